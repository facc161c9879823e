"""Recording into a MongoDB in the normalized layout: unique indexes keep every document there once."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from databroker_like import registry
from databroker_like.core._document import same
from databroker_like.core._pages import unpack_datum_page, unpack_event_page
from databroker_like.core._validation import validate
from databroker_like.drivers._mongo_indexes import ASSETS, NORMALIZED, create, is_unique
from databroker_like.drivers._mongo_run import plain
from databroker_like.drivers._mongo_server import MongoServer, as_python
from databroker_like.errors import Conflict, InvalidDocument, listed

__all__ = ["FSYNC", "NormalizedSink"]

Doc = Mapping[str, Any]

#: When what was written is also forced to the disk of the server.
FSYNC = ("never", "stop", "event")
_MOST_BYTES = 16 * 1024 * 1024
_DUPLICATE = 11000
_OWNERS_KNOWN = 100_000
_RUNS_KNOWN = 1_000
_AT_ONCE = 1_000

_COLLECTIONS = {
    "start": "run_start",
    "stop": "run_stop",
    "descriptor": "event_descriptor",
    "event": "event",
    "resource": "resource",
    "datum": "datum",
    "stream_resource": "stream_resource",
    "stream_datum": "stream_datum",
}
_OF_ASSETS = frozenset({"resource", "datum", "stream_resource", "stream_datum"})
#: What there may be only one of: any of these sets of keys.
_IDENTITIES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "start": (("uid",),),
    "stop": (("run_start",), ("uid",)),
    "descriptor": (("uid",),),
    "event": (("uid",), ("descriptor", "seq_num")),
    "resource": (("uid",),),
    "datum": (("datum_id",),),
    "stream_resource": (("uid",),),
    "stream_datum": (("uid",),),
}


class NormalizedSink:
    """A `RunSink` that writes each document as one document of its collection.

    Several sinks, in several processes, may record at once: what may be there only once is kept so by unique
    indexes, and where an older database does not allow such an index, by looking first.

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
        self._server = server
        self._assets = assets
        self._fsync = fsync
        self._lock = threading.RLock()
        self._looks_first: dict[str, bool] = {}
        self._owners: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._open: OrderedDict[str, None] = OrderedDict()
        self._is_ready = False

    def insert(self, name: str, doc: Doc) -> None:
        """Record one document; see `RunSink`."""
        validate(name, doc)
        with self._lock:
            # Everything is encoded before anything is written.
            if name == "event_page":
                self._several("event", doc["descriptor"], unpack_event_page(doc))
            elif name == "datum_page":
                self._several("datum", doc["resource"], unpack_datum_page(doc))
            else:
                self._one(name, doc)

    def close(self) -> None:
        """Forget the runs in hand; connections belong to the process."""
        with self._lock:
            self._owners.clear()
            self._open.clear()

    # -- one document

    def _one(self, name: str, doc: Doc) -> None:
        run, is_told = self._run_of(name, doc)
        encoded = _encoded(name, doc if is_told else {**doc, "_run_start": run})
        self._make_ready()
        if name == "start" or self._is_open(run):
            self._write(name, encoded)
        elif not self._is_there(name, encoded):
            raise InvalidDocument(f"{name} {_uid(doc)!r} comes after the stop document of run {run}")
        if name == "start":
            self._open[run] = None
            while len(self._open) > _RUNS_KNOWN:
                self._open.popitem(last=False)
        elif name == "stop":
            self._open.pop(run, None)
        elif name in ("descriptor", "resource", "stream_resource"):
            self._know((name, doc["uid"]), run)

    def _write(self, name: str, encoded: _Encoded) -> None:
        if self._looks_first[name] and self._is_there(name, encoded):
            return
        errors = registry.require("pymongo.errors", "record into a MongoDB")
        with self._of(name).translated(writes=True):
            try:
                self._collection(name).insert_one(encoded.to_insert(self._of(name)))
            except errors.DuplicateKeyError as error:
                if not self._is_there(name, encoded):
                    raise Conflict(f"{name} {_uid(encoded.doc)!r} was there already, and is not now") from error

    def _is_there(self, name: str, encoded: _Encoded) -> bool:
        """Whether the same document is there; a `Conflict` when another is."""
        for found in self._known(name, [encoded.doc]):
            if not same(plain(found), plain(encoded.doc)):
                raise _conflict(name, encoded.doc, found)
            return True
        return False

    def _known(self, name: str, docs: list[Doc]) -> list[Doc]:
        """The documents there that have the identity of one of these."""
        alternatives: list[dict[str, Any]] = []
        for keys in _IDENTITIES[name]:
            if len(keys) == 1:
                alternatives.append({keys[0]: {"$in": [doc[keys[0]] for doc in docs]}})
            else:  # the members of a page have the first in common
                alternatives.append({keys[0]: docs[0][keys[0]], keys[1]: {"$in": [doc[keys[1]] for doc in docs]}})
        found: dict[Any, Doc] = {}
        with self._of(name).translated():
            # One after the other: each has its index.
            for alternative in alternatives:
                found.update((doc["_id"], doc) for doc in self._collection(name).find(alternative))
        return list(found.values())

    # -- pages

    def _several(self, name: str, owner: str, docs: Iterable[Doc]) -> None:
        encoded = [_encoded(name, doc) for doc in docs]
        _check_page(name, owner, [each.doc for each in encoded])
        kind = "descriptor" if name == "event" else "resource"
        run = self._owner(name, kind, owner)
        self._make_ready()
        if not encoded:
            return
        if not self._is_open(run):
            missing = self._missing(name, encoded)
            if missing:
                raise InvalidDocument(f"{name} {_uid(missing[0].doc)!r} comes after the stop document of run {run}")
            return
        if self._looks_first[name]:
            encoded = self._missing(name, encoded)
        self._write_all(name, encoded)

    def _write_all(self, name: str, encoded: list[_Encoded]) -> None:
        """All of them, but for those that are there already; none, when one is there with another content."""
        errors = registry.require("pymongo.errors", "record into a MongoDB")
        server = self._of(name)
        written: list[Any] = []
        while encoded:
            documents = [each.to_insert(server) for each in encoded]
            with server.translated(writes=True):
                try:
                    self._collection(name).insert_many(documents, ordered=True)
                    return
                except errors.BulkWriteError as error:
                    failed = (error.details or {}).get("writeErrors") or [{}]
                    position = failed[0].get("index", 0)
                    # Nothing stays half written: what was written of this page is taken back, unless the rest follows.
                    written += [each.object_id for each in encoded[:position]]
                    if failed[0].get("code") != _DUPLICATE:
                        self._take_back(name, written)
                        raise
                    rest = encoded[position:]
                    try:
                        encoded = self._missing(name, rest)
                    except Conflict:
                        self._take_back(name, written)
                        raise
                    if len(encoded) == len(rest):
                        self._take_back(name, written)
                        raise
                except errors.PyMongoError:
                    self._take_back(name, written + [each.object_id for each in encoded])
                    raise

    def _take_back(self, name: str, ids: list[Any]) -> None:
        errors = registry.require("pymongo.errors", "record into a MongoDB")
        for begin in range(0, len(ids), _AT_ONCE):
            try:
                self._collection(name).delete_many({"_id": {"$in": ids[begin : begin + _AT_ONCE]}})
            except errors.PyMongoError:
                return  # the server is gone; what is there of the page was never acknowledged, nor is it in the way

    def _missing(self, name: str, encoded: list[_Encoded]) -> list[_Encoded]:
        """Those that are not there; a `Conflict` when another of the same identity is."""
        left: list[_Encoded] = []
        for begin in range(0, len(encoded), _AT_ONCE):
            some = encoded[begin : begin + _AT_ONCE]
            known: dict[tuple[Any, ...], Doc] = {}
            for found in self._known(name, [each.doc for each in some]):
                known.update(((keys, *(found[key] for key in keys)), found) for keys in _IDENTITIES[name])
            for each in some:
                others = [known.get((keys, *(each.doc[key] for key in keys))) for keys in _IDENTITIES[name]]
                there = [other for other in others if other is not None]
                if not there:
                    left.append(each)
                elif not all(same(plain(other), plain(each.doc)) for other in there):
                    raise _conflict(name, each.doc, there[0])
        return left

    # -- whose

    def _run_of(self, name: str, doc: Doc) -> tuple[str, bool]:
        """The run a document belongs to, and whether the document says so itself or its owner does."""
        if name == "start":
            return doc["uid"], True
        if name == "event":
            return self._owner(name, "descriptor", doc["descriptor"], doc), True
        if name == "datum":
            return self._owner(name, "resource", doc["resource"], doc), True
        if name == "stream_datum":
            return self._owner(name, "stream_resource", doc["stream_resource"], doc), True
        if "run_start" in doc:
            run = doc["run_start"]
            if run not in self._open:
                with self._server.translated():
                    if self._server.collection("run_start").find_one({"uid": run}, {"_id": 1}) is None:
                        raise self._of_no_run(name, "run", run, doc)
            return run, True
        if len(self._open) == 1:
            return next(iter(self._open)), False
        raise self._of_no_run(name, "the only run", "", doc)

    def _owner(self, name: str, kind: str, uid: str, doc: Doc | None = None) -> str:
        run = self._owners.get((kind, uid))
        if run is None:
            with self._of(kind).translated():
                found = self._collection(kind).find_one({"uid": uid}, {"run_start": 1, "_run_start": 1})
            run = None if found is None else found.get("run_start", found.get("_run_start"))
            if run is None:
                raise self._of_no_run(name, kind, uid, doc or {})
            self._know((kind, uid), run)
        return run

    def _of_no_run(self, name: str, kind: str, uid: str, doc: Doc) -> InvalidDocument:
        return InvalidDocument(
            f"{name} {_uid(doc)!r} belongs to {kind} {uid!r}, which is in no run that is being recorded; "
            f"these are: {listed(self._open)}. Insert the documents of a run in order, from its start"
        )

    def _know(self, key: tuple[str, str], run: str) -> None:
        self._owners[key] = run
        while len(self._owners) > _OWNERS_KNOWN:
            self._owners.popitem(last=False)

    def _is_open(self, run: str) -> bool:
        """Whether a run has no stop document yet."""
        if run in self._open:
            return True
        with self._server.translated():
            if self._server.collection("run_stop").find_one({"run_start": run}, {"_id": 1}) is not None:
                return False
        self._open[run] = None
        return True

    # -- where

    def _of(self, name: str) -> MongoServer:
        return self._assets if name in _OF_ASSETS else self._server

    def _collection(self, name: str) -> Any:
        collection = self._of(name).collection(_COLLECTIONS[name])
        concern = dict(collection.write_concern.document)
        if concern.get("w", 1) == 0:
            del concern["w"]  # what is not acknowledged may be lost without anybody knowing
        if self._fsync == "event" or (self._fsync == "stop" and name == "stop"):
            concern["j"] = True
        if self._of(name).is_mongomock or concern == collection.write_concern.document:
            return collection
        write_concern = registry.require("pymongo", "record into a MongoDB").WriteConcern
        return collection.with_options(write_concern=write_concern(**concern))

    def _make_ready(self) -> None:
        if self._is_ready:
            return
        create(self._server, NORMALIZED)
        create(self._assets, ASSETS)
        self._looks_first = {
            name: not all(is_unique(self._of(name), _COLLECTIONS[name], *keys) for keys in identities)
            for name, identities in _IDENTITIES.items()
        }
        self._is_ready = True


class _Encoded:
    """A document as BSON, with the identity the database has for it."""

    __slots__ = ("_raw", "doc", "object_id")

    def __init__(self, doc: Doc, raw: bytes, object_id: Any) -> None:
        self.doc = doc
        self._raw = raw
        self.object_id = object_id

    def to_insert(self, server: MongoServer) -> Any:
        if server.is_mongomock:
            return {"_id": self.object_id, **self.doc}
        from bson.raw_bson import RawBSONDocument

        return RawBSONDocument(self._raw)


def _encoded(name: str, doc: Doc) -> _Encoded:
    """A document with its arrays as lists; an error when a MongoDB cannot hold it."""
    import bson

    object_id = bson.ObjectId()
    try:
        raw = bson.encode({"_id": object_id, **doc}, check_keys=True, codec_options=_encoder())
    except bson.errors.InvalidDocument as error:
        raise InvalidDocument(f"{name} {_uid(doc)!r} cannot be kept in a MongoDB: {_reason(error)}") from error
    except (OverflowError, UnicodeEncodeError, ValueError, TypeError, RecursionError) as error:
        raise InvalidDocument(f"{name} {_uid(doc)!r} cannot be kept in a MongoDB: {error}") from error
    if len(raw) > _MOST_BYTES:
        raise InvalidDocument(
            f"{name} {_uid(doc)!r} has {len(raw) / 2**20:.1f} MB; a MongoDB keeps documents of at most 16 MB. Write "
            "large arrays to a file and record where it is"
        )
    return _Encoded(bson.decode(raw, _decoder()), raw, object_id)


def _reason(error: Exception) -> str:
    """What bson says of a document, without the whole document."""
    text = str(error).split(" | full doc")[0].removeprefix("Invalid document: ").removeprefix("Invalid document ")
    return text if len(text) <= 300 else text[:150] + "..." + text[-150:]


@functools.cache
def _encoder() -> Any:
    from bson.codec_options import CodecOptions, TypeRegistry

    return CodecOptions(type_registry=TypeRegistry(fallback_encoder=_plain_value))


@functools.cache
def _decoder() -> Any:
    from bson.codec_options import DEFAULT_CODEC_OPTIONS

    return as_python(DEFAULT_CODEC_OPTIONS)


def _plain_value(value: Any) -> Any:
    """Arrays and numbers of numpy, and what turns into them, as lists and numbers."""
    to_list: Callable[[], Any] | None = getattr(value, "tolist", None)
    if to_list is not None:
        return to_list()
    if hasattr(value, "__array__"):
        import numpy

        return numpy.asarray(value).tolist()
    return value


def _check_page(name: str, owner: str, docs: list[Doc]) -> None:
    """A page that holds one identity twice is refused before any of it is written."""
    for keys in _IDENTITIES[name]:
        seen: dict[tuple[Any, ...], Doc] = {}
        for doc in docs:
            identity = tuple(doc[key] for key in keys)
            if identity in seen:
                raise Conflict(f"a page of {owner!r} holds two {name}s of {' and '.join(keys)} {identity[-1]!r}")
            seen[identity] = doc


def _conflict(name: str, doc: Doc, found: Doc) -> Conflict:
    of = f" (as {_uid(found)!r})" if _uid(found) != _uid(doc) else ""
    return Conflict(f"another {name} {_uid(doc)!r} is there already{of}; this one is not recorded")


def _uid(doc: Doc) -> Any:
    return doc.get("uid", doc.get("datum_id", ""))
