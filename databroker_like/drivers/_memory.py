"""Runs in memory: documents in lists, or whatever a generator function gives."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from databroker_like.core._collection import RunCollection
from databroker_like.core._source import RunSource
from databroker_like.drivers._places import Place
from databroker_like.drivers._runs import DecodedRun, RunData, RunsBuilder
from databroker_like.errors import NoSuchRun, listed, nearest

__all__ = ["MemoryCollection", "MemoryLogs", "MemoryRun"]

Doc = Mapping[str, Any]
Documents = Iterable[tuple[str, Doc]]


class MemoryRun(DecodedRun):
    """One run whose documents a function gives; it pickles as the documents.

    Parameters
    ----------
    start : document
    stop : document, optional
    documents : callable
        ``() -> iterable of (name, document)``; called again while there is no stop document, because the run may
        have gone on.
    """

    def __init__(self, start: Doc, stop: Doc | None, documents: Callable[[], Documents]) -> None:
        self.start = start
        self.stop = stop
        self._documents = documents
        self._data: RunData | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"start": self.start, "stop": self.stop, "documents": list(self._documents())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["start"], state["stop"], _Recorded(state["documents"]))  # type: ignore[misc]

    def data(self) -> RunData:
        """The documents, as columns."""
        if self._data is None or self.stop is None:
            builder = RunsBuilder()
            builder.feed(self._documents())
            data = builder.run(self.start["uid"])
            self._data = data
        return self._data

    def get_run_start(self) -> Doc:
        return self.start

    def get_run_stop(self) -> Doc | None:
        return self.stop


class _Recorded:
    """The documents of a list, each time from the beginning."""

    def __init__(self, documents: list[tuple[str, Doc]]) -> None:
        self.documents = documents

    def __call__(self) -> Iterator[tuple[str, Doc]]:
        return iter(self.documents)


class MemoryCollection(RunCollection):
    """Runs that were put in one by one."""

    def __init__(self) -> None:
        self.runs: dict[str, MemoryRun] = {}
        # Nothing else tells one collection from another; it travels with the pickle.
        self.identity = uuid.uuid4().hex

    def put(self, run: MemoryRun) -> None:
        """Add a run, in place of the one of the same uid if there is one."""
        self.runs[run.start["uid"]] = run

    def starts(self) -> Mapping[str, Doc]:
        ordered = sorted(self.runs.items(), key=lambda item: (item[1].start["time"], item[0]))
        return {uid: run.start for uid, run in ordered}

    def run(self, uid: str) -> MemoryRun:
        try:
            return self.runs[uid]
        except KeyError:
            near = nearest(uid, self.runs)
            raise NoSuchRun(f"no run {uid!r}; the nearest of {len(self.runs)}: {listed(near)}") from None

    def has(self, uid: str) -> bool:
        return uid in self.runs

    def start(self, uid: str) -> Doc:
        return self.run(uid).start

    def stop(self, uid: str) -> Doc | None:
        return self.run(uid).stop

    def source(self, uid: str, get_filler: Any) -> RunSource:
        return self.run(uid).source(get_filler)


class MemoryLogs:
    """Records into a `MemoryCollection`."""

    def __init__(self, collection: MemoryCollection) -> None:
        self._collection = collection

    def create(self, start: Doc) -> MemoryLog:
        return MemoryLog(self._collection, start["uid"], [])

    def find(self, uid: str) -> MemoryLog | None:
        if not self._collection.has(uid):
            return None
        run = self._collection.run(uid)
        return MemoryLog(self._collection, uid, list(run._documents()))

    def unfinished(self, mention: str) -> Iterator[str]:
        return (uid for uid, run in list(self._collection.runs.items()) if run.stop is None)


class MemoryLog:
    """The documents of one run, in a list."""

    def __init__(self, collection: MemoryCollection, uid: str, documents: list[tuple[str, Doc]]) -> None:
        self._collection = collection
        self._uid = uid
        self._documents = documents

    def replay(self, since: int = 0) -> Iterator[tuple[Place, str, Doc]]:
        return (((place, 1), *self._documents[place]) for place in range(since, len(self._documents)))

    def append(self, name: str, doc: Doc) -> Place:
        kept = copy.deepcopy(dict(doc))  # whoever sent it may change it afterwards
        self._documents.append((name, kept))
        if name == "start":
            self._collection.put(MemoryRun(kept, None, _Recorded(self._documents)))
        else:
            run = self._collection.run(self._uid)
            if name == "stop":
                run.stop = kept
            run._documents = _Recorded(self._documents)
            run._data = None
        return len(self._documents) - 1, 1

    def at(self, place: Place) -> tuple[str, Doc]:
        return self._documents[place[0]]

    def as_kept(self, name: str, doc: Doc) -> Doc:
        return doc

    def is_current(self) -> bool:
        return self._uid in self._collection.runs

    def discard(self) -> None:
        """Nothing to take away: only a start document that is kept makes a run."""

    def close(self) -> None:
        """Nothing is held open."""
