"""Recording: where each document belongs, whether it is there already, and only then that it is written."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from databroker_like.core._belonging import belongs_nowhere, belongs_to
from databroker_like.core._validation import check_columns, validate
from databroker_like.drivers._open_run import Log, OpenRun

__all__ = ["Logs", "Recorder"]

Doc = Mapping[str, Any]
_FINISHED_AT_HAND = 4
_OWNERS_KNOWN = 100_000


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
        self._open: dict[str, OpenRun] = {}
        self._owners: dict[tuple[str, str], str] = {}
        self._finished: dict[str, OpenRun] = {}
        self._lock = threading.RLock()

    def insert(self, name: str, doc: Doc) -> None:
        """Record one document; see `RunSink`."""
        validate(name, doc)
        check_columns(name, doc)
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

    def _start(self, doc: Doc) -> OpenRun:
        uid = doc["uid"]
        run = self._in_hand(uid)
        if run is None:
            run = self._open[uid] = OpenRun(uid, self._logs.create(doc))
        return run

    def _run_of(self, name: str, doc: Doc) -> OpenRun:
        kind, uid = belongs_to(name, doc)
        if kind == "run":
            run = self._in_hand(uid)
        elif kind == "the only run":
            run = next(iter(self._open.values())) if len(self._open) == 1 else None
        else:
            run = self._owner((kind, uid))
        if run is None:
            raise belongs_nowhere(name, doc, kind, uid, self._open)
        return run

    def _owner(self, key: tuple[str, str]) -> OpenRun | None:
        if key not in self._owners:
            for uid in self._logs.unfinished(key[1]):
                self._in_hand(uid)
                if key in self._owners:
                    break
        return self._in_hand(self._owners[key]) if key in self._owners else None

    def _in_hand(self, uid: str) -> OpenRun | None:
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

    def _reopen(self, uid: str) -> OpenRun | None:
        log = self._logs.find(uid)
        if log is None:
            return None
        run = OpenRun(uid, log)
        try:
            for place, name, doc in log.replay():
                run.remember(name, doc, place)
                for owned in _owned(name, doc):
                    self._owners[owned] = uid
        except BaseException:
            log.close()
            raise
        return run

    def _put_by(self, run: OpenRun) -> None:
        """A finished run stays at hand a while: its documents may be sent again."""
        del self._open[run.uid]
        self._finished[run.uid] = run
        while len(self._finished) > _FINISHED_AT_HAND:
            self._finished.pop(next(iter(self._finished))).log.close()
        while len(self._owners) > _OWNERS_KNOWN:
            del self._owners[next(iter(self._owners))]


def _owned(name: str, doc: Doc) -> list[tuple[str, str]]:
    """What later documents refer to."""
    return [(name, doc["uid"])] if name in ("descriptor", "resource", "stream_resource") else []
