"""BSON documents of one layout to columns at once, without decoding them one by one."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["uniform_columns"]

_LONGEST_STRING = 128
_FIXED = {0x01: ("<f8", 8), 0x10: ("<i4", 4), 0x12: ("<i8", 8), 0x08: ("u1", 1)}
_OBJECT_ID = 0x07
_SKIPPED = {_OBJECT_ID: 12}
_NULL = 0x0A
_GROUPS = frozenset({"data", "timestamps", "filled", "datum_kwargs"})


class _Irregular(Exception):
    """A document holds something that has no fixed place."""


@dataclass
class _Leaf:
    """One value of a document: its path, type and the place of its bytes."""

    path: tuple[str, ...]
    kind: int
    offset: int
    size: int


def uniform_columns(batch: bytes) -> dict[str, Any] | None:
    """The columns of BSON documents that are laid out alike, one behind the other; None when they are not.

    They are alike when all have the same keys in the same order, values of the same types, and strings and arrays of
    the same lengths: every value then stands at the same place of each, and numpy takes them all at once.

    Parameters
    ----------
    batch : bytes
        Documents as ``pymongo.collection.Collection.find_raw_batches`` gives them.

    Returns
    -------
    dict or None
        Key -> column, as `databroker_like.core.RunSource` means columns; of the documents ``data``, ``timestamps``,
        ``filled`` and ``datum_kwargs`` a dictionary of columns. ObjectIds are left out.

    Examples
    --------
    >>> import bson
    >>> uniform_columns(bson.encode({"n": 1.5, "data": {"x": 2}}) + bson.encode({"n": 2.5, "data": {"x": 3}}))
    {'n': array([1.5, 2.5]), 'data': {'x': array([2, 3])}}
    """
    if len(batch) < 5:
        return None
    (size,) = struct.unpack_from("<i", batch)
    if size < 5 or len(batch) % size:
        return None
    import numpy

    table = numpy.frombuffer(batch, "u1").reshape(-1, size)
    try:
        leaves = list(_leaves(batch, 4, size - 1, ()))
        # What is no value (types, keys, lengths) is the same in all, or they are not alike.
        frame = numpy.ones(size, bool)
        for leaf in leaves:
            frame[leaf.offset : leaf.offset + leaf.size] = False
        if (table[:, frame] != table[0, frame]).any():
            return None
        return _gathered(table, leaves)
    except (_Irregular, UnicodeDecodeError, KeyError, IndexError, struct.error):
        return None


def _leaves(raw: bytes, at: int, end: int, path: tuple[str, ...]) -> Iterator[_Leaf]:
    """The values of one document, from its first element to its end."""
    while at < end:
        kind = raw[at]
        stop = raw.index(0, at + 1)
        here = (*path, raw[at + 1 : stop].decode())
        at = stop + 1
        if kind in _FIXED:
            size = _FIXED[kind][1]
            yield _Leaf(here, kind, at, size)
        elif kind in _SKIPPED:
            size = _SKIPPED[kind]
            yield _Leaf(here, kind, at, size)
        elif kind == _NULL:
            size = 0
            yield _Leaf(here, kind, at, 0)
        elif kind == 0x02:
            (length,) = struct.unpack_from("<i", raw, at)
            size = 4 + length
            yield _Leaf(here, kind, at + 4, length - 1)
        elif kind in (0x03, 0x04):
            (size,) = struct.unpack_from("<i", raw, at)
            if kind == 0x03 and (len(here) > 1 or here[0] not in _GROUPS):
                raise _Irregular
            if size == 5 or kind == 0x03:
                yield _Leaf(here, kind, at, 0)  # that it is there
            yield from _leaves(raw, at + 4, at + size - 1, here)
        else:
            raise _Irregular
        at += size
        if at > end:
            raise _Irregular


def _gathered(table: Any, leaves: list[_Leaf]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    position = 0
    while position < len(leaves):
        leaf = leaves[position]
        position += 1
        if leaf.kind == 0x03:
            found[leaf.path[0]] = {}
            continue
        if leaf.kind in _SKIPPED and len(leaf.path) == 1:
            continue
        into: dict[str, Any] = found[leaf.path[0]] if leaf.path[0] in _GROUPS else found
        depth = 2 if leaf.path[0] in _GROUPS else 1
        if len(leaf.path) == depth:
            column = [[] for _ in range(len(table))] if leaf.kind == 0x04 else _column(table, leaf)
        else:
            key = leaf.path[:depth]
            members = [leaf]
            while position < len(leaves) and leaves[position].path[:depth] == key:
                members.append(leaves[position])
                position += 1
            column = _nested(table, members, depth)
        into[leaf.path[depth - 1]] = column
    return found


def _column(table: Any, leaf: _Leaf) -> Any:
    import numpy

    count = len(table)
    if leaf.kind == _NULL:
        return [None] * count
    if leaf.kind == 0x02:
        return _strings(table, leaf)
    if leaf.kind not in _FIXED:
        raise _Irregular
    dtype = _FIXED[leaf.kind][0]
    values = numpy.ascontiguousarray(table[:, leaf.offset : leaf.offset + leaf.size]).view(dtype).ravel()
    if leaf.kind == 0x08:
        return values.astype(bool)
    return values.astype("<i8") if leaf.kind == 0x10 else values


def _strings(table: Any, leaf: _Leaf) -> Any:
    import numpy

    if not leaf.size:
        return [""] * len(table)
    text = table[:, leaf.offset : leaf.offset + leaf.size]
    if text.max() > 127 or not text.all():  # beyond ASCII, or a NUL, which numpy would strip
        raise _Irregular
    strings = numpy.ascontiguousarray(text).view(f"S{leaf.size}").ravel().astype(f"<U{leaf.size}")
    return strings if leaf.size <= _LONGEST_STRING else strings.tolist()


def _nested(table: Any, members: list[_Leaf], depth: int) -> list[Any]:
    """The column of an array key: lists, of lists, of numbers, all of one type and shape."""
    import numpy

    kinds = {leaf.kind for leaf in members}
    if len(kinds) != 1 or not kinds <= _FIXED.keys():
        raise _Irregular
    indexes = [tuple(map(int, leaf.path[depth:])) for leaf in members]
    if len({len(index) for index in indexes}) != 1:
        raise _Irregular
    shape = tuple(1 + max(index[axis] for index in indexes) for axis in range(len(indexes[0])))
    if indexes != list(numpy.ndindex(*shape)):
        raise _Irregular
    stacked = numpy.stack([_column(table, leaf) for leaf in members], axis=1)
    nested: list[Any] = stacked.reshape(len(table), *shape).tolist()
    return nested
