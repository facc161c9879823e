"""Recording: where each document belongs, whether it is there already, and only then that it is written."""

from __future__ import annotations

import json
import threading
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from databroker_like.core._validation import validate
from databroker_like.errors import Conflict, InvalidDocument, listed

__all__ = ["Log", "Logs", "Recorder"]

Doc = Mapping[str, Any]
_FINISHED_AT_HAND = 4
_OWNERS_KNOWN = 100_000


class Log(Protocol):
    """The documents of one run, to be appended to."""

    def replay(self) -> Iterator[tuple[Any, str, Doc]]:
        """What is there already: place, name, document."""

    def append(self, name: str, doc: Doc) -> Any:
        """Add a document, so that it survives the death of the process; its place."""

    def at(self, place: Any) -> tuple[str, Doc]:
        """The name and document at a place."""

    def as_kept(self, name: str, doc: Doc) -> Doc:
        """A document as it comes back after it was kept."""

    def is_current(self) -> bool:
        """Whether nobody else has changed it, or taken it away."""

    def discard(self) -> None:
        """Take it away: its first document could not be written."""

    def close(self) -> None: ...


class Logs(Protocol):
    """Where the logs of runs are."""

    def create(self, start: Doc) -> Log:
        """An empty log for a new run."""

    def find(self, uid: str) -> Log | None:
        """The log of a run that is there; None when there is none."""

    def unfinished(self, mention: str) -> Iterable[str]:
        """The uids of runs without a stop document that mention a uid."""


class Recorder:
    """A `RunSink` over logs: validates, finds the run of each document, and writes none of them twice.

    Parameters
    ----------
    logs : Logs

    Notes
    -----
    A recorder that was started again in the middle of a run goes on with it: a document that belongs to no run in
    hand is looked for among the runs that have no stop document yet.
    """

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._open: dict[str, _OpenRun] = {}
        self._owners: dict[tuple[str, str], str] = {}
        self._finished: dict[str, _OpenRun] = {}
        self._lock = threading.RLock()

    def insert(self, name: str, doc: Doc) -> None:
        """Record one document; see `RunSink`."""
        validate(name, doc)
        with self._lock:
            run = self._start(doc) if name == "start" else self._run_of(name, doc)
            try:
                run.take(name, doc)
            finally:
                if run.is_empty:
                    del self._open[run.uid]
                    run.log.discard()
                elif run.is_finished:
                    self._put_by(run)
            for owned in _owned(name, doc):
                self._owners[owned] = run.uid

    def close(self) -> None:
        """Release the files; runs without a stop document stay readable as they are."""
        with self._lock:
            for run in [*self._open.values(), *self._finished.values()]:
                run.log.close()
            self._open.clear()
            self._finished.clear()
            self._owners.clear()

    def _start(self, doc: Doc) -> _OpenRun:
        uid = doc["uid"]
        run = self._in_hand(uid)
        if run is None:
            run = self._open[uid] = _OpenRun(uid, self._logs.create(doc))
        return run

    def _run_of(self, name: str, doc: Doc) -> _OpenRun:
        kind, uid = _belongs_to(name, doc)
        if kind == "run":
            run = self._in_hand(uid)
        elif kind == "the only run":
            run = next(iter(self._open.values())) if len(self._open) == 1 else None
        else:
            run = self._owner((kind, uid))
        if run is None:
            raise InvalidDocument(
                f"{name} {_uid(doc)!r} belongs to {kind} {uid!r}, which is in no run that is being recorded; "
                f"these are: {listed(self._open)}. Insert the documents of a run in order, from its start"
            )
        return run

    def _owner(self, key: tuple[str, str]) -> _OpenRun | None:
        if key not in self._owners:
            for uid in self._logs.unfinished(key[1]):
                self._in_hand(uid)
                if key in self._owners:
                    break
        return self._in_hand(self._owners[key]) if key in self._owners else None

    def _in_hand(self, uid: str) -> _OpenRun | None:
        """A run that is being recorded, was a moment ago, or is there already; None when there is no such run."""
        run = self._open.get(uid)
        if run is not None:
            return run
        run = self._finished.pop(uid, None)
        if run is not None and not run.log.is_current():
            run.log.close()
            run = None
        if run is None:
            run = self._reopen(uid)
        if run is not None:
            self._open[uid] = run
        return run

    def _reopen(self, uid: str) -> _OpenRun | None:
        log = self._logs.find(uid)
        if log is None:
            return None
        run = _OpenRun(uid, log)
        try:
            for place, name, doc in log.replay():
                run.remember(name, doc, place)
                for owned in _owned(name, doc):
                    self._owners[owned] = uid
        except BaseException:
            log.close()
            raise
        return run

    def _put_by(self, run: _OpenRun) -> None:
        """A finished run stays at hand a while: its documents may be sent again."""
        del self._open[run.uid]
        self._finished[run.uid] = run
        while len(self._finished) > _FINISHED_AT_HAND:
            self._finished.pop(next(iter(self._finished))).log.close()
        while len(self._owners) > _OWNERS_KNOWN:
            del self._owners[next(iter(self._owners))]


class _OpenRun:
    """A run being recorded."""

    def __init__(self, uid: str, log: Log) -> None:
        self.uid = uid
        self.log = log
        self.is_finished = False
        self._places: dict[Hashable, Any] = {}

    @property
    def is_empty(self) -> bool:
        """Whether not even its start document could be taken."""
        return not self._places

    def remember(self, name: str, doc: Doc, place: Any) -> None:
        for key in _identities(name, doc):
            self._places[key] = place
        if name == "stop":
            self.is_finished = True

    def take(self, name: str, doc: Doc) -> None:
        """Append a document, unless the same is there."""
        keys = _identities(name, doc)
        there = [self._places[key] for key in keys if key in self._places]
        if there:
            known_name, known = self.log.at(there[0])
            if known_name == name and _same(known, self.log.as_kept(name, doc)):
                return
            raise Conflict(f"run {self.uid} holds another {name} {_uid(doc)!r} already; this one is not recorded")
        if self.is_finished:
            raise InvalidDocument(f"{name} {_uid(doc)!r} comes after the stop document of run {self.uid}")
        self.remember(name, doc, self.log.append(name, doc))


def _uid(doc: Doc) -> Any:
    return doc.get("uid", doc.get("datum_id", ""))


def _identities(name: str, doc: Doc) -> list[tuple[str, str]]:
    """What may be there only once."""
    if name in ("start", "stop"):
        return [(name, "")]
    if name in ("event", "event_page"):
        return [("event", uid) for uid in ([doc["uid"]] if name == "event" else doc["uid"])]
    if name in ("datum", "datum_page"):
        return [("datum", uid) for uid in ([doc["datum_id"]] if name == "datum" else doc["datum_id"])]
    return [(name, doc["uid"])]


def _owned(name: str, doc: Doc) -> list[tuple[str, str]]:
    """What later documents refer to."""
    return [(name, doc["uid"])] if name in ("descriptor", "resource", "stream_resource") else []


def _belongs_to(name: str, doc: Doc) -> tuple[str, str]:
    if name in ("event", "event_page"):
        return "descriptor", doc["descriptor"]
    if name in ("datum", "datum_page"):
        return "resource", doc["resource"]
    if name == "stream_datum":
        return "stream_resource", doc["stream_resource"]
    if "run_start" in doc:
        return "run", doc["run_start"]
    return "the only run", ""


def _same(known: Doc, other: Doc) -> bool:
    return known is other or _canonical(known) == _canonical(other)


def _canonical(doc: Doc) -> str:
    """Text that is equal for equal documents, NaN included."""
    return json.dumps(doc, sort_keys=True, default=_tagged)


def _tagged(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return [str(getattr(value, "dtype", "")), value.tolist()]
    return repr(value)
