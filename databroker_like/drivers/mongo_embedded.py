"""The catalog of runs in a MongoDB in the embedded layout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from databroker_like.core._sink import RunSink
from databroker_like.drivers._mongo_catalog import MongoCatalog, checked_find_kwargs
from databroker_like.drivers._mongo_embedded import EmbeddedCollection
from databroker_like.drivers._mongo_indexes import EMBEDDED, Index
from databroker_like.drivers._mongo_server import MongoServer
from databroker_like.errors import NotOffered

__all__ = ["BlueskyMongoCatalog"]


class BlueskyMongoCatalog(MongoCatalog):
    """Runs in a MongoDB, one header document a run and pages of events, as suitcase-mongo's embedded layout has them.

    It only reads; `databroker_like.drivers.mongo_normalized.BlueskyMongoCatalog` also records.

    Parameters
    ----------
    datastore_db : str or Database
        The URI of the database, with its name in it; or a database of pymongo or mongomock. The server is asked when
        the first run is.
    handler_registry : dict, optional
        Spec -> handler class, or the dotted path of one.
    root_map : dict, optional
        The ``root`` of external files as recorded -> where they are now.
    filler_class : type or str, optional
        ``event_model.Filler`` by default.
    query : dict, optional
        Only the runs that match; all by default.
    find_kwargs : dict, optional
        Passed to pymongo's ``find``, such as ``{"max_time_ms": 5000}``.
    transforms : dict, optional
        ``"start"``, ``"stop"``, ``"resource"``, ``"descriptor"`` -> function that mends such a document.
    **kwargs
        What every intake catalog takes: ``name``, ``description``, ``metadata``, ...

    Examples
    --------
    >>> import mongomock
    >>> list(BlueskyMongoCatalog(mongomock.MongoClient()["runs"]))
    []
    """

    name = "bluesky-mongo-embedded-catalog"
    _arguments = ("datastore_db",)

    def __init__(
        self,
        datastore_db: Any,
        *,
        handler_registry: Mapping[str, Any] | None = None,
        root_map: Mapping[str, str] | None = None,
        filler_class: Any = "event_model.Filler",
        query: Any = None,
        find_kwargs: Mapping[str, Any] | None = None,
        transforms: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        (self._datastore,) = self._servers(datastore_db)
        self._find_kwargs = checked_find_kwargs(find_kwargs)
        super().__init__(
            handler_registry=handler_registry,
            root_map=root_map,
            filler_class=filler_class,
            query=query,
            transforms=transforms,
            **kwargs,
        )

    def _make_collection(self) -> EmbeddedCollection:
        return EmbeddedCollection(self._datastore, self._find_kwargs)

    def _make_sink(self) -> RunSink:
        raise NotOffered(
            f"{type(self).__name__} {self.name!r} reads the embedded layout and does not record into it; record with "
            "databroker_like.drivers.mongo_normalized.BlueskyMongoCatalog"
        )

    def _indexes(self) -> list[tuple[MongoServer, tuple[Index, ...]]]:
        return [(self._datastore, EMBEDDED)]
