"""The catalog of runs in memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from databroker_like.core._collection import RunCollection
from databroker_like.core._sink import RunSink
from databroker_like.drivers._memory import MemoryCollection, MemoryLogs, MemoryRun
from databroker_like.drivers._record import Recorder
from databroker_like.v2 import Broker

__all__ = ["BlueskyInMemoryCatalog"]

Doc = Mapping[str, Any]


class BlueskyInMemoryCatalog(Broker):
    """Runs in memory, put in by `upsert` or recorded by ``RE.subscribe(catalog.insert)``.

    Parameters
    ----------
    handler_registry : dict, optional
        Spec -> handler class, or the dotted path of one.
    root_map : dict, optional
        The ``root`` of external files as recorded -> where they are now.
    filler_class : type or str, optional
        ``event_model.Filler`` by default.
    query : dict, optional
        Only the runs whose start document matches; all by default.
    transforms : dict, optional
        ``"start"``, ``"stop"``, ``"resource"``, ``"descriptor"`` -> function that mends such a document.
    **kwargs
        What every intake catalog takes: ``name``, ``description``, ``metadata``, ...

    Examples
    --------
    >>> start = {"uid": "41fb8ca9", "time": 1700000000.0, "scan_id": 1}
    >>> catalog = BlueskyInMemoryCatalog()
    >>> catalog.upsert(start, None, iter, ([("start", start)],), {})
    >>> catalog[-1].metadata["start"]["scan_id"]
    1
    """

    name = "bluesky-run-catalog"

    def __init__(
        self,
        *,
        handler_registry: Mapping[str, Any] | None = None,
        root_map: Mapping[str, str] | None = None,
        filler_class: Any = "event_model.Filler",
        query: Any = None,
        transforms: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            handler_registry=handler_registry,
            root_map=root_map,
            filler_class=filler_class,
            query=query,
            transforms=transforms,
            **kwargs,
        )

    def upsert(
        self,
        start_doc: Doc,
        stop_doc: Doc | None,
        gen_func: Callable[..., Iterable[tuple[str, Doc]]],
        gen_args: Iterable[Any],
        gen_kwargs: Mapping[str, Any],
    ) -> None:
        """Put in a run, in place of the one of the same uid if there is one.

        Parameters
        ----------
        start_doc : mapping
        stop_doc : mapping or None
        gen_func : callable
            ``gen_func(*gen_args, **gen_kwargs)`` gives the ``(name, document)`` pairs of the run in order. It is
            called when the run is read; the first time only, once there is a stop document.
        gen_args : iterable
        gen_kwargs : mapping
        """
        collection = self._memory()
        documents = functools.partial(gen_func, *gen_args, **gen_kwargs)
        collection.put(MemoryRun(dict(start_doc), None if stop_doc is None else dict(stop_doc), documents))

    def _memory(self) -> MemoryCollection:
        collection = self.collection
        assert isinstance(collection, MemoryCollection)
        return collection

    def _make_collection(self) -> RunCollection:
        return MemoryCollection()

    def _make_sink(self) -> RunSink:
        return Recorder(MemoryLogs(self._memory()))

    def _identity(self) -> tuple[Any, ...]:
        return (*super()._identity(), self._memory().identity)

    def __getstate__(self) -> dict[str, Any]:
        self._memory()
        return super().__getstate__()
