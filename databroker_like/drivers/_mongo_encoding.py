"""Documents as a MongoDB keeps them: BSON, made and judged before anything is written."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from databroker_like.core._belonging import named
from databroker_like.drivers._mongo_server import MongoServer, as_python
from databroker_like.errors import InvalidDocument

__all__ = ["Encoded", "encoded"]

Doc = Mapping[str, Any]
_MOST_BYTES = 16 * 1024 * 1024


class Encoded:
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


def encoded(name: str, doc: Doc) -> Encoded:
    """A document with its arrays as lists; an error when a MongoDB cannot hold it."""
    import bson

    if "_id" in doc:  # it would be left out when the document is read
        raise InvalidDocument(f"{named(name, doc)} cannot be kept in a MongoDB, which has a key '_id' of its own")
    object_id = bson.ObjectId()
    try:
        raw = bson.encode({"_id": object_id, **doc}, check_keys=True, codec_options=_encoder())
    except bson.errors.InvalidDocument as error:
        raise InvalidDocument(f"{named(name, doc)} cannot be kept in a MongoDB: {_reason(error)}") from error
    except (OverflowError, UnicodeEncodeError, ValueError, TypeError, RecursionError) as error:
        raise InvalidDocument(f"{named(name, doc)} cannot be kept in a MongoDB: {error}") from error
    if len(raw) > _MOST_BYTES:
        raise InvalidDocument(
            f"{named(name, doc)} has {len(raw) / 2**20:.1f} MB; a MongoDB keeps documents of at most 16 MB. Write "
            "large arrays to a file and record where it is"
        )
    return Encoded(bson.decode(raw, _decoder()), raw, object_id)


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
