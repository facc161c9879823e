"""The catalog of runs in a MongoDB in the normalized layout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from databroker_like.core._sink import RunSink, checked_fsync
from databroker_like.drivers._mongo_catalog import MongoCatalog, checked_find_kwargs
from databroker_like.drivers._mongo_indexes import ASSETS, NORMALIZED, Index
from databroker_like.drivers._mongo_normalized import NormalizedCollection
from databroker_like.drivers._mongo_server import MongoServer
from databroker_like.drivers._mongo_sink import NormalizedSink

__all__ = ["BlueskyMongoCatalog"]


class BlueskyMongoCatalog(MongoCatalog):
    """Runs in a MongoDB, a collection for each kind of document, as suitcase-mongo and databroker keep them.

    It also records: ``RE.subscribe(catalog.insert)``.

    Parameters
    ----------
    metadatastore_db : str or Database
        The URI of the database of start, stop, descriptor and event documents, with its name in it; or a database
        of pymongo or mongomock. The server is asked when the first run is.
    asset_registry_db : str or Database
        The same of resource and datum documents; it may be the same database.
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
    fsync : str
        When what is recorded is also forced to the disk of the server: ``"never"``, with each ``"stop"`` document
        (the default), or with each ``"event"``.
    **kwargs
        What every intake catalog takes: ``name``, ``description``, ``metadata``, ...

    Examples
    --------
    >>> import mongomock
    >>> client = mongomock.MongoClient()
    >>> catalog = BlueskyMongoCatalog(client["metadata"], client["assets"])
    >>> catalog.insert("start", {"uid": "41fb8ca9", "time": 1700000000.0, "scan_id": 1})
    >>> catalog[-1].metadata["start"]["scan_id"]
    1
    """

    name = "bluesky-mongo-normalized-catalog"
    _arguments = ("metadatastore_db", "asset_registry_db")

    def __init__(
        self,
        metadatastore_db: Any,
        asset_registry_db: Any,
        *,
        handler_registry: Mapping[str, Any] | None = None,
        root_map: Mapping[str, str] | None = None,
        filler_class: Any = "event_model.Filler",
        query: Any = None,
        find_kwargs: Mapping[str, Any] | None = None,
        transforms: Mapping[str, Any] | None = None,
        fsync: str = "stop",
        **kwargs: Any,
    ) -> None:
        self._metadatastore, self._asset_registry = self._servers(metadatastore_db, asset_registry_db)
        self._find_kwargs = checked_find_kwargs(find_kwargs)
        self._fsync = checked_fsync(fsync)
        super().__init__(
            handler_registry=handler_registry,
            root_map=root_map,
            filler_class=filler_class,
            query=query,
            transforms=transforms,
            **kwargs,
        )

    def _make_collection(self) -> NormalizedCollection:
        return NormalizedCollection(self._metadatastore, self._asset_registry, self._find_kwargs)

    def _make_sink(self) -> RunSink:
        return NormalizedSink(self._metadatastore, self._asset_registry, self._fsync)

    def _indexes(self) -> list[tuple[MongoServer, tuple[Index, ...]]]:
        return [(self._metadatastore, NORMALIZED), (self._asset_registry, ASSETS)]
