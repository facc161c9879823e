"""Recording into a MongoDB in the normalized layout."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from databroker_like import registry
from databroker_like.core._belonging import belongs_nowhere, belongs_to, named
from databroker_like.core._pages import unpack_datum_page, unpack_event_page
from databroker_like.core._validation import check_columns, validate
from databroker_like.drivers._mongo_encoding import encoded
from databroker_like.drivers._mongo_server import MongoServer
from databroker_like.drivers._mongo_writing import Writer
from databroker_like.errors import InvalidDocument

__all__ = ["NormalizedSink"]

Doc = Mapping[str, Any]
_OWNERS_KNOWN = 100_000
_RUNS_KNOWN = 1_000


class NormalizedSink:
    """A `RunSink` that writes each document as one document of its collection.

    Several sinks, in several processes, may record at once.

    Parameters
    ----------
    server, assets : MongoServer
        The database of metadata and events, and that of resources and datums.
    fsync : str
        ``"never"``: what is acknowledged is in the server's hands. ``"stop"``: with the stop document everything
        before it is also in the server's journal on disk. ``"event"``: every document is, at once.
    """

    def __init__(self, server: MongoServer, assets: MongoServer, fsync: str = "stop") -> None:
        registry.require("pymongo", "record into a MongoDB")  # and bson comes with it
        self._writer = Writer(server, assets, fsync)
        self._lock = threading.RLock()
        self._owners: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._open: OrderedDict[str, None] = OrderedDict()

    def insert(self, name: str, doc: Doc) -> None:
        """Record one document; see `RunSink`."""
        validate(name, doc)
        check_columns(name, doc)
        with self._lock:
            if name == "event_page":
                self._several(name, "event", doc, unpack_event_page(dict(doc)))
            elif name == "datum_page":
                self._several(name, "datum", doc, unpack_datum_page(dict(doc)))
            else:
                self._one(name, doc)

    def close(self) -> None:
        """Forget the runs in hand; connections belong to the process."""
        with self._lock:
            self._owners.clear()
            self._open.clear()
            self._writer.forget()

    def _one(self, name: str, doc: Doc) -> None:
        run, is_told = self._run_of(name, doc)
        document = encoded(name, doc if is_told else {**doc, "_run_start": run})
        self._writer.make_ready()
        if name == "start" or self._is_open(run):
            self._writer.write(name, document)
        elif not self._writer.is_there(name, document):
            raise _too_late(name, doc, run)
        if name == "start":
            # It may be there since long ago, with its stop document.
            self._is_open(run)
        elif name == "stop":
            self._open.pop(run, None)
        elif name in ("descriptor", "resource", "stream_resource"):
            self._know((name, doc["uid"]), run)

    def _several(self, name: str, of: str, page: Doc, rows: Iterable[Doc]) -> None:
        """The rows of a page; all of them are encoded before any is written."""
        run, _ = self._run_of(name, page)
        documents = [encoded(of, row) for row in rows]
        self._writer.make_ready()
        if self._is_open(run):
            self._writer.write_all(of, documents)
        elif self._writer.new_rows(of, documents):
            raise _too_late(name, page, run)

    # -- whose

    def _run_of(self, name: str, doc: Doc) -> tuple[str, bool]:
        """The run a document belongs to, and whether it says so itself or the document that it belongs to does."""
        if name == "start":
            return doc["uid"], True
        kind, uid = belongs_to(name, doc)
        run: str | None = None
        if kind == "run":
            if uid in self._open or self._writer.find_one("start", {"uid": uid}, "_id") is not None:
                run = uid
        elif kind == "the only run":
            run = next(iter(self._open)) if len(self._open) == 1 else self._told_before(name, doc)
        else:
            run = self._owners.get((kind, uid))
            if run is None:
                found = self._writer.find_one(kind, {"uid": uid}, "run_start", "_run_start")
                run = None if found is None else found.get("run_start", found.get("_run_start"))
                if run is not None:
                    self._know((kind, uid), run)
        if run is None:
            raise belongs_nowhere(name, doc, kind, uid, self._open)
        return run, kind != "the only run"

    def _told_before(self, name: str, doc: Doc) -> str | None:
        """The run of a resource that names none and is there already."""
        found = self._writer.find_one(name, {"uid": doc["uid"]}, "_run_start")
        return None if found is None else found.get("_run_start")

    def _know(self, key: tuple[str, str], run: str) -> None:
        self._owners[key] = run
        while len(self._owners) > _OWNERS_KNOWN:
            self._owners.popitem(last=False)

    def _is_open(self, run: str) -> bool:
        """Whether a run has no stop document yet."""
        if run not in self._open:
            if self._writer.find_one("stop", {"run_start": run}, "_id") is not None:
                return False
            self._open[run] = None
            while len(self._open) > _RUNS_KNOWN:
                self._open.popitem(last=False)
        return True


def _too_late(name: str, doc: Doc, run: str) -> InvalidDocument:
    return InvalidDocument(f"{named(name, doc)} comes after the stop document of run {run}")
