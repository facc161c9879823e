"""The indexes that runs in a MongoDB need."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from time import sleep
from typing import Any

from databroker_like import registry
from databroker_like.drivers._mongo_patience import Patience, is_passing, patiently
from databroker_like.drivers._mongo_server import MongoServer, is_not_allowed

__all__ = ["ASSETS", "EMBEDDED", "NORMALIZED", "Index", "create", "has_text_index", "is_unique"]

_TEXT = "text"
#: A field that no document has: text is never taken for another language than none.
_NO_LANGUAGE = "_no_language"
#: Servers refuse to make an index while another process makes the same, and not all of them say that this is why.
_ATTEMPTS = 5


@dataclass(frozen=True)
class Index:
    """An index of a collection.

    Parameters
    ----------
    collection : str
    keys : tuple of (str, int)
    is_unique : bool
    """

    collection: str
    keys: tuple[tuple[str, int | str], ...]
    is_unique: bool = False


def _index(collection: str, *keys: str, unique: bool = False) -> Index:
    return Index(collection, tuple((key.removeprefix("-"), -1 if key.startswith("-") else 1) for key in keys), unique)


#: Those of the database of metadata; among them those that databroker 1.2.5 needs to read what is recorded here.
NORMALIZED = (
    _index("run_start", "uid", unique=True),
    _index("run_start", "-time", "-uid"),
    _index("run_start", "-scan_id", "-time"),
    Index("run_start", (("$**", _TEXT),)),
    _index("run_stop", "run_start", unique=True),
    _index("run_stop", "uid", unique=True),
    _index("event_descriptor", "uid", unique=True),
    _index("event_descriptor", "-run_start", "-time"),
    _index("event", "uid", unique=True),
    _index("event", "descriptor", "seq_num", "time", unique=True),
    _index("event", "descriptor", "_id"),
    _index("event", "-descriptor", "time"),
)

#: Those of the database of resources and datums.
ASSETS = (
    _index("resource", "uid"),
    _index("resource", "run_start"),
    _index("datum", "datum_id", unique=True),
    _index("datum", "resource", "_id"),
    _index("stream_resource", "uid", unique=True),
    _index("stream_resource", "run_start"),
    _index("stream_datum", "uid", unique=True),
    _index("stream_datum", "stream_resource", "_id"),
)

#: Those of the embedded layout.
EMBEDDED = (
    _index("header", "start.uid"),
    _index("header", "-start.time", "-start.uid"),
    _index("header", "start.scan_id"),
    _index("header", "stop.run_start"),
    _index("header", "descriptors.uid"),
    _index("header", "resources.uid"),
    Index("header", (("$**", _TEXT),)),
    _index("event", "descriptor", "first_index"),
    _index("datum", "resource", "first_index"),
    _index("datum", "datum_id"),
    _index("stream_resource", "run_start"),
    _index("stream_datum", "stream_resource", "_id"),
)


def create(server: MongoServer, indexes: tuple[Index, ...]) -> None:
    """Create the indexes that are not there.

    One that would be unique and cannot be, because the collection holds something twice already, is made without.

    Parameters
    ----------
    server : MongoServer
    indexes : tuple of Index
    """
    with server.translated(writes=True):
        for name in dict.fromkeys(index.collection for index in indexes):
            collection = server.collection(name)
            there = [_keys(described) for described in _information(server, name)]
            for index in indexes:
                if index.collection != name or index.keys in there:
                    continue
                if index.keys[0][1] == _TEXT:
                    # A collection has one of these at the most; one that is not asked would only cost.
                    if server.finds_words_as_mongodb and not any(_is_text(keys) for keys in there):
                        words = {"default_language": "none", "language_override": _NO_LANGUAGE}
                        patiently(functools.partial(collection.create_index, list(index.keys), **words))
                    continue
                _create_one(server, index)


def _create_one(server: MongoServer, index: Index) -> None:
    errors = registry.require("pymongo.errors", "reach a MongoDB")
    collection = server.collection(index.collection)
    patience, unclear = Patience(), 0
    while True:
        try:
            collection.create_index(list(index.keys), unique=index.is_unique)
            return
        except errors.OperationFailure as error:
            is_refused_for_now = is_passing(error)
            is_left = patience.is_left(error)
            if any(_keys(described) == index.keys for described in _information(server, index.collection)):
                return  # another process was faster
            if is_left:
                continue
            if is_refused_for_now or is_not_allowed(error):
                raise
            unclear += 1
            if not isinstance(error, errors.DuplicateKeyError) and unclear < _ATTEMPTS:
                sleep(0.05 * 2 ** (unclear - 1))
                continue
            if not index.is_unique:
                raise
            patiently(functools.partial(collection.create_index, list(index.keys)))
            return


def is_unique(server: MongoServer, collection: str, *keys: str) -> bool:
    """Whether a collection has a unique index of these keys."""
    with server.translated():
        return any(
            described.get("unique") and [key for key, _ in described["key"]] == list(keys)
            for described in _information(server, collection)
        )


def has_text_index(server: MongoServer, collection: str) -> bool:
    """Whether a collection has a text index of all fields that finds each word as it is written."""
    if not server.finds_words_as_mongodb:
        return False
    with server.translated():
        return any(
            _is_text(_keys(described))
            and "$**" in described.get("weights", {})
            and described.get("default_language") == "none"
            and described.get("language_override") == _NO_LANGUAGE
            for described in _information(server, collection)
        )


def _information(server: MongoServer, name: str) -> list[Mapping[str, Any]]:
    """The indexes of a collection; not every server has an answer for one that is not there yet."""
    if name not in patiently(server.database.list_collection_names):
        return []
    return list(patiently(server.collection(name).index_information).values())


def _keys(described: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((key, direction) for key, direction in described["key"])


def _is_text(keys: tuple[tuple[str, Any], ...]) -> bool:
    return any(direction == _TEXT for _, direction in keys)
