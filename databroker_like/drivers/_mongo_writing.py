"""Writing documents into the collections of the normalized layout, each once, and a page whole or not at all."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from databroker_like import registry
from databroker_like.core._belonging import named
from databroker_like.core._identity import judge_event, regular, same
from databroker_like.drivers._mongo_encoding import Encoded
from databroker_like.drivers._mongo_indexes import ASSETS, NORMALIZED, create, is_unique
from databroker_like.drivers._mongo_patience import Patience, first_refused, patiently
from databroker_like.drivers._mongo_run import plain
from databroker_like.drivers._mongo_server import MongoServer
from databroker_like.errors import Conflict, DatabrokerError

__all__ = ["Writer"]

Doc = Mapping[str, Any]

_DUPLICATE = 11000
_AT_ONCE = 1_000
_STREAMS_KNOWN = 10_000

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
#: What there may be only one of: by any of these keys.
_IDENTITIES: Mapping[str, tuple[str, ...]] = {
    "start": ("uid",),
    "stop": ("run_start", "uid"),
    "descriptor": ("uid",),
    "event": ("uid",),
    "resource": ("uid",),
    "datum": ("datum_id",),
    "stream_resource": ("uid",),
    "stream_datum": ("uid",),
}


class Writer:
    """Writes into the two databases.

    What may be there only once is kept so by unique indexes, and where an older database does not allow such an
    index, by looking first. An event may share descriptor and seq_num with another when it was taken again later, so
    that is always looked for, unless no event of that descriptor has so high a number.

    Parameters
    ----------
    server, assets : MongoServer
        The database of metadata and events, and that of resources and datums.
    fsync : str
        ``"never"``, ``"stop"`` or ``"event"``.
    """

    def __init__(self, server: MongoServer, assets: MongoServer, fsync: str) -> None:
        self._server = server
        self._assets = assets
        self._fsync = fsync
        self._looks_first: dict[str, bool] = {}
        self._highest: OrderedDict[str, int] = OrderedDict()

    def make_ready(self) -> None:
        """Create the indexes, once."""
        if self._looks_first:
            return
        create(self._server, NORMALIZED)
        create(self._assets, ASSETS)
        self._looks_first = {
            name: not all(is_unique(self.of(name), _COLLECTIONS[name], key) for key in keys)
            for name, keys in _IDENTITIES.items()
        }

    def forget(self) -> None:
        """Look anew at what is there."""
        self._highest.clear()

    def of(self, name: str) -> MongoServer:
        """The database of a kind of document."""
        return self._assets if name in _OF_ASSETS else self._server

    def find_one(self, name: str, query: Mapping[str, Any], *fields: str) -> Doc | None:
        """Some fields of a document, or None."""
        server = self.of(name)
        with server.translated():
            collection = server.collection(_COLLECTIONS[name])
            found: Doc | None = patiently(lambda: collection.find_one(query, dict.fromkeys(fields, 1)))
        return found

    # -- one

    def write(self, name: str, document: Encoded) -> None:
        """Write a document, unless the same is there; `Conflict` when another is in its place."""
        if name == "event":
            self.write_all(name, [document])
            return
        errors = registry.require("pymongo.errors", "record into a MongoDB")
        looks_first, patience = self._looks_first[name], Patience()
        with self.of(name).translated(writes=True):
            while not (looks_first and self.is_there(name, document)):
                try:
                    self._collection(name).insert_one(document.to_insert(self.of(name)))
                    return
                except errors.DuplicateKeyError as error:
                    if not self.is_there(name, document):
                        raise Conflict(f"{named(name, document.doc)} was there already, and is not now") from error
                    return
                except errors.OperationFailure as error:
                    if not patience.is_left(error):
                        raise
                    looks_first = True  # it may be written all the same, or somebody else was in the way with it

    def is_there(self, name: str, document: Encoded) -> bool:
        """Whether the same document is there; `Conflict` when another is in its place."""
        return not self.new_rows(name, [document])

    # -- several

    def write_all(self, name: str, documents: list[Encoded]) -> None:
        """Write events or datums, but for those that are there; none, when another is in the place of one."""
        if self._looks_first[name] or not self._are_surely_new(name, documents):
            documents = self.new_rows(name, documents)
        errors = registry.require("pymongo.errors", "record into a MongoDB")
        server = self.of(name)
        last, ids, patience = documents, [document.object_id for document in documents], Patience()
        with server.translated(writes=True):
            while documents:
                try:
                    if len(documents) == 1:
                        self._collection(name).insert_one(documents[0].to_insert(server))
                    else:
                        self._collection(name).insert_many([d.to_insert(server) for d in documents], ordered=True)
                    break
                except errors.OperationFailure as error:
                    refused = first_refused(error) or {}
                    somebody_was_faster = (
                        isinstance(error, errors.DuplicateKeyError) or refused.get("code") == _DUPLICATE
                    )
                    if not somebody_was_faster and not patience.is_left(error):
                        self._take_back(name, ids)
                        raise
                    # Of these some are written by now, here or by somebody else.
                    try:
                        rest = self.new_rows(name, documents)
                    except DatabrokerError:
                        self._take_back(name, ids)
                        raise
                    if somebody_was_faster and len(rest) == len(documents):
                        self._take_back(name, ids)
                        raise
                    documents = rest
                except errors.PyMongoError:
                    self._take_back(name, ids)
                    raise
        if name == "event" and last:
            descriptor = last[0].doc["descriptor"]
            highest = max(document.doc["seq_num"] for document in last)
            self._highest[descriptor] = max(highest, self._highest.get(descriptor, highest))

    def _take_back(self, name: str, ids: list[Any]) -> None:
        """Of a page that cannot be written nothing stays."""
        errors = registry.require("pymongo.errors", "record into a MongoDB")
        collection = self._collection(name)
        for begin in range(0, len(ids), _AT_ONCE):
            some = {"_id": {"$in": ids[begin : begin + _AT_ONCE]}}
            try:
                patiently(functools.partial(collection.delete_many, some))
            except errors.PyMongoError:
                return  # the server is gone; what is there of the page was never acknowledged, nor is it in the way

    # -- what is there

    def new_rows(self, name: str, documents: list[Encoded]) -> list[Encoded]:
        """Those that are not there yet; `Conflict` when another is in the place of one."""
        new: list[Encoded] = []
        coming: list[Doc] = []
        for begin in range(0, len(documents), _AT_ONCE):
            some = documents[begin : begin + _AT_ONCE]
            known = [*self._known(name, [document.doc for document in some]), *coming]
            there = _Places(name, known)
            for document in some:
                row = regular(plain(document.doc))
                if there.has(row):
                    continue
                new.append(document)
                coming.append(row)
                there.add(row)
        return new

    def _known(self, name: str, docs: list[Doc]) -> list[Doc]:
        """The documents there that may be the same as one of these, or in the place of one."""
        alternatives = [{key: _any([doc[key] for doc in docs])} for key in _IDENTITIES[name]]
        if name == "event":
            numbers = _any([doc["seq_num"] for doc in docs])
            alternatives.append({"descriptor": docs[0]["descriptor"], "seq_num": numbers})
        found: dict[Any, Doc] = {}
        server = self.of(name)
        with server.translated():
            collection = server.collection(_COLLECTIONS[name])
            # One question after the other: each has its index.
            for alternative in alternatives:
                there: list[Doc] = patiently(functools.partial(_all, collection, alternative))
                found.update((doc["_id"], doc) for doc in there)
        return [regular(plain(doc)) for doc in found.values()]

    def _are_surely_new(self, name: str, documents: list[Encoded]) -> bool:
        """Whether events come with higher numbers than any before; a unique index is enough for other kinds."""
        if name != "event" or not documents:
            return True
        descriptor = documents[0].doc["descriptor"]
        highest = self._highest.get(descriptor)
        if highest is None:
            server = self.of(name)
            with server.translated():
                collection = server.collection("event")
                latest = patiently(
                    lambda: collection.find_one({"descriptor": descriptor}, {"seq_num": 1}, sort=[("seq_num", -1)])
                )
                highest = 0 if latest is None else latest["seq_num"]
            self._highest[descriptor] = highest
            while len(self._highest) > _STREAMS_KNOWN:
                self._highest.popitem(last=False)
        for document in documents:
            number = document.doc["seq_num"]
            if number <= highest:
                return False
            highest = number
        return True

    def _collection(self, name: str) -> Any:
        """The collection to write to, with the answer to wait for."""
        collection = self.of(name).collection(_COLLECTIONS[name])
        concern = dict(collection.write_concern.document)
        if concern.get("w", 1) == 0:
            del concern["w"]  # what is not acknowledged may be lost without anybody knowing
        is_last = name == "stop" or (name in _OF_ASSETS and not self._assets.is_beside(self._server))
        if self._fsync == "event" or (self._fsync == "stop" and is_last):
            concern["j"] = True  # a journal is written in order: what came before to this server is in it as well
        if self.of(name).is_mongomock or concern == collection.write_concern.document:
            return collection
        write_concern = registry.require("pymongo", "record into a MongoDB").WriteConcern
        return collection.with_options(write_concern=write_concern(**concern))


class _Places:
    """The places that documents take, and which documents are there."""

    def __init__(self, name: str, documents: Iterable[Doc]) -> None:
        self._name = name
        self._keys = _IDENTITIES[name]
        self._taken: dict[tuple[str, Any], Doc] = {}
        self._numbered: dict[int, list[Doc]] = {}
        for doc in documents:
            self.add(doc)

    def add(self, doc: Doc) -> None:
        self._taken.update(((key, doc[key]), doc) for key in self._keys)
        if self._name == "event":
            self._numbered.setdefault(doc["seq_num"], []).append(doc)

    def has(self, doc: Doc) -> bool:
        """Whether the same document is there; `Conflict` when another is in its place."""
        there = [self._taken[key, doc[key]] for key in self._keys if (key, doc[key]) in self._taken]
        if self._name == "event":
            if any(judge_event(known, doc) == "same" for known in there):
                return True
            earlier = self._numbered.get(doc["seq_num"])
            if earlier:
                judge_event(max(earlier, key=lambda known: known["time"]), doc)
            return False
        for known in there:
            if not same(known, doc):
                raise Conflict(f"another {named(self._name, doc)} is there already; this one is not recorded")
        return bool(there)


def _all(collection: Any, query: Mapping[str, Any]) -> list[Doc]:
    return list(collection.find(query))


def _any(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else {"$in": values}
