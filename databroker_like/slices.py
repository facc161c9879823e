"""Parts of arrays as text: ``1:3,0,::2``, block numbers and shapes, as they stand in the query of a URL."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from types import EllipsisType
from typing import Any

from databroker_like.errors import Invalid, OutOfRange

__all__ = [
    "Slices",
    "expand",
    "format_shape",
    "format_slices",
    "normalize",
    "parse_block",
    "parse_shape",
    "parse_slices",
    "sliced_shape",
]

Index = int | slice | EllipsisType
Slices = tuple[Index, ...]

#: As many axes as numpy has.
_MOST_AXES = 64
_LARGEST = 1 << 63
_NUMBER = re.compile(r"-?[0-9]{1,19}")
_PART = re.compile(r"(-?[0-9]{0,19}):(-?[0-9]{0,19})(?::(-?[0-9]{0,19}))?")


def parse_slices(text: str) -> Slices:
    """The part of an array that a text names.

    Parameters
    ----------
    text : str
        An index, ``start:stop``, ``start:stop:step`` or ``...`` for each axis, with commas; everything when empty.

    Returns
    -------
    tuple of int, slice or Ellipsis

    Raises
    ------
    Invalid
        When it is no such text, or has more axes or larger numbers than an array can have.

    Examples
    --------
    >>> parse_slices("1:3,0,::2")
    (slice(1, 3, None), 0, slice(None, None, 2))
    >>> parse_slices("-1,...")
    (-1, Ellipsis)
    >>> parse_slices("1:3,x")
    Traceback (most recent call last):
        ...
    databroker_like.errors.Invalid: 'x' in the slice '1:3,x' is no index, nor a slice such as '1:3' or '::2'
    """
    if not text:
        return ()
    parts = text.split(",", _MOST_AXES + 1)
    if len(parts) > _MOST_AXES:
        raise Invalid(f"a slice of more than {_MOST_AXES} axes: {text!r:.80}")
    found = tuple(_index(part.strip(), text) for part in parts)
    if found.count(Ellipsis) > 1:
        raise Invalid(f"the slice {text!r:.80} has '...' more than once")
    return found


def _index(part: str, text: str) -> Index:
    if part == "...":
        return Ellipsis
    if _NUMBER.fullmatch(part):
        return _small(int(part), text)
    matched = _PART.fullmatch(part)
    if matched is None or "-" in matched.groups():
        raise Invalid(f"{part!r:.80} in the slice {text!r:.80} is no index, nor a slice such as '1:3' or '::2'")
    start, stop, step = (_small(int(number), text) if number else None for number in matched.groups())
    if step == 0:
        raise Invalid(f"the step of {part!r} in the slice {text!r:.80} is 0; a step is 1, 2, ... or -1, -2, ...")
    return slice(start, stop, step)


def _small(number: int, text: str) -> int:
    if not -_LARGEST <= number < _LARGEST:
        raise Invalid(f"{number} in the slice {text!r:.80} is larger than any array")
    return number


def normalize(key: Any) -> Slices:
    """What stands between the brackets of ``array[...]`` as a tuple of plain indexes and slices.

    Parameters
    ----------
    key : int, slice, Ellipsis, or a tuple or list of these
        Whole numbers may be numpy's.

    Returns
    -------
    tuple of int, slice or Ellipsis

    Raises
    ------
    Invalid
        When something else is in it, such as an array of indexes or a new axis.

    Examples
    --------
    >>> import numpy
    >>> normalize((slice(0, numpy.int64(3)), ...))
    (slice(0, 3, None), Ellipsis)
    """
    parts = key if isinstance(key, tuple) else (key,)
    if len(parts) > _MOST_AXES:
        raise Invalid(f"{len(parts)} indexes for an array; no array has more than {_MOST_AXES} axes")
    found = tuple(map(_plain, parts))
    if found.count(Ellipsis) > 1:
        raise Invalid("an index can have '...' only once")
    return found


def _plain(part: Any) -> Index:
    if part is Ellipsis:
        return Ellipsis
    try:
        if isinstance(part, slice):
            bounds = (None if n is None else operator.index(n) for n in (part.start, part.stop, part.step))
            plain = slice(*bounds)
            if plain.step == 0:
                raise Invalid("the step of a slice is 1, 2, ... or -1, -2, ..., not 0")
            return plain
        if not isinstance(part, bool):
            return operator.index(part)
    except TypeError:
        pass
    raise Invalid(f"{part!r:.80} is no index of an array here: only whole numbers, slices and '...' are")


def format_slices(slices: Any) -> str:
    """The text that `parse_slices` makes the same of.

    Parameters
    ----------
    slices : int, slice, Ellipsis, or a tuple of these

    Returns
    -------
    str

    Examples
    --------
    >>> format_slices((slice(1, 3), 0, slice(None, None, 2)))
    '1:3,0,::2'
    """
    return ",".join(map(_text, normalize(slices)))


def _text(part: Index) -> str:
    if isinstance(part, slice):
        start, stop, step = ("" if n is None else str(n) for n in (part.start, part.stop, part.step))
        return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"
    return "..." if part is Ellipsis else str(part)


def expand(slices: Any, ndim: int) -> tuple[int | slice, ...]:
    """One index or slice for each axis, without ``...``.

    Parameters
    ----------
    slices : int, slice, Ellipsis, or a tuple of these
    ndim : int
        How many axes there are.

    Returns
    -------
    tuple of int or slice

    Raises
    ------
    OutOfRange
        When there are more than axes.

    Examples
    --------
    >>> expand((..., 0), 3)
    (slice(None, None, None), slice(None, None, None), 0)
    """
    parts = normalize(slices)
    named = sum(part is not Ellipsis for part in parts)
    if named > ndim:
        raise OutOfRange(f"{named} indexes for an array of {ndim} axes")
    rest = (slice(None),) * (ndim - named)
    at = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    return tuple(part for part in (*parts[:at], *rest, *parts[at + 1 :]) if part is not Ellipsis)


def sliced_shape(slices: Any, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of a part of an array.

    Parameters
    ----------
    slices : int, slice, Ellipsis, or a tuple of these
    shape : sequence of int
        Of the whole array.

    Returns
    -------
    tuple of int

    Raises
    ------
    OutOfRange
        When an index lies beyond its axis, or there are more indexes than axes.

    Examples
    --------
    >>> sliced_shape((slice(1, 3), 0), (5, 4, 2))
    (2, 2)
    """
    found = []
    for axis, (part, length) in enumerate(zip(expand(slices, len(shape)), shape, strict=True)):
        if isinstance(part, slice):
            found.append(len(range(*part.indices(length))))
        elif not -length <= part < length:
            raise OutOfRange(f"index {part} lies beyond axis {axis}, which has the length {length}")
    return tuple(found)


def parse_block(text: str) -> tuple[int, ...]:
    """The number of a block along each axis; empty for an array without axes.

    Parameters
    ----------
    text : str
        Such as ``"0,1"``.

    Returns
    -------
    tuple of int

    Raises
    ------
    Invalid
        When it is no such text.

    Examples
    --------
    >>> parse_block("0,1")
    (0, 1)
    """
    return _counts(text, "block", "block numbers such as '0,1'")


def parse_shape(text: str) -> tuple[int, ...]:
    """The shape that a text names.

    Parameters
    ----------
    text : str
        Such as ``"2,3"``; ``"scalar"`` for an array without axes.

    Returns
    -------
    tuple of int

    Raises
    ------
    Invalid
        When it is no such text.

    Examples
    --------
    >>> parse_shape("2,3"), parse_shape("scalar")
    ((2, 3), ())
    """
    return () if text == "scalar" else _counts(text, "shape", "lengths such as '2,3', or 'scalar'")


def _counts(text: str, what: str, form: str) -> tuple[int, ...]:
    parts = text.split(",", _MOST_AXES + 1) if text else []
    if len(parts) > _MOST_AXES or not all(_NUMBER.fullmatch(p.strip()) and int(p) >= 0 for p in parts):
        raise Invalid(f"the {what} {text!r:.80} cannot be understood: write {form}")
    return tuple(_small(int(part), text) for part in parts)


def format_shape(shape: Sequence[int]) -> str:
    """The text that `parse_shape` makes the same of.

    Parameters
    ----------
    shape : sequence of int

    Returns
    -------
    str

    Examples
    --------
    >>> format_shape((2, 3)), format_shape(())
    ('2,3', 'scalar')
    """
    return ",".join(map(str, shape)) or "scalar"
