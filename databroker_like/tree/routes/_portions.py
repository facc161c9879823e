"""What the routes of data have in common: which portion is asked for, whether it is small enough, and the reply."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from databroker_like.errors import Invalid, InvalidRequest, OutOfRange, TooLarge
from databroker_like.nodes._arrays import inside_of
from databroker_like.slices import Slices, parse_block, parse_shape, parse_slices
from databroker_like.structures import ArrayStructure, SparseStructure
from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._media import Format

__all__ = [
    "block_of",
    "bytes_of",
    "check_bytes",
    "check_shape",
    "columns_of",
    "sent",
    "shape_expected",
    "slices_of",
    "texts_in",
]

_MOST_COLUMNS = 10_000
#: What is no larger is sent in one piece.
_GATHERED = 1 << 16
#: In a header between quotes.
_FILENAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+ ")


def sent(asked: Asked, form: Format, data: Any) -> Reply:
    """Data in a format, with the name of the file that it becomes when the caller says one.

    Parameters
    ----------
    asked : Asked
    form : Format
    data : object
        What the format is written of.

    Returns
    -------
    Reply
    """
    headers: dict[str, str] = {"Vary": "Accept"}
    filename = asked.params.one("filename")
    if filename is not None:
        if not filename or len(filename) > 200 or not _FILENAME.issuperset(filename):
            raise InvalidRequest("'filename' has letters of ASCII, digits, spaces and any of '._-+'")
        headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    content = form.write(data)
    return Reply(_gathered(content) if isinstance(content, Iterator) else content, form.sent_as, headers)


def _gathered(pieces: Iterator[bytes | memoryview]) -> bytes | Iterator[bytes | memoryview]:
    """Few bytes in one piece, which goes out at once and can be made smaller; many as they come."""
    first, size = [], 0
    for piece in pieces:
        first.append(piece)
        size += len(piece)
        if size > _GATHERED:
            return _again(first, pieces)
    return b"".join(first)


def _again(first: list[bytes | memoryview], rest: Iterator[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    # Closed with it, which a chain would not be.
    yield from first
    first.clear()
    yield from rest


def slices_of(asked: Asked) -> Slices:
    """The part that ``slice`` names; everything when it is not given.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    tuple of int, slice or Ellipsis
    """
    return _understood(parse_slices, asked.params.one("slice") or "")


def block_of(asked: Asked, structure: ArrayStructure | SparseStructure) -> tuple[tuple[int, ...], Slices]:
    """The block that ``block`` names, and the part of the whole array that ``slice`` names in it.

    Parameters
    ----------
    asked : Asked
    structure : ArrayStructure or SparseStructure

    Returns
    -------
    block : tuple of int
    part : tuple of int or slice
    """
    text = asked.params.one("block")
    if text is None:
        raise InvalidRequest("the parameter 'block' is needed: a number for each axis, such as 'block=0,1'")
    block = _understood(parse_block, text)
    return block, inside_of(_understood(structure.block_box, block), slices_of(asked))


def _understood(read: Any, value: Any) -> Any:
    """What is read of a parameter; what is wrong with it is wrong with the request."""
    try:
        return read(value)
    except (Invalid, OutOfRange) as error:
        raise error if isinstance(error, InvalidRequest) else InvalidRequest(str(error)) from error


def check_shape(asked: Asked, shape: Sequence[int]) -> None:
    """Refuse what has another shape than the caller thinks it has.

    Parameters
    ----------
    asked : Asked
        With ``expected_shape``, or without.
    shape : sequence of int

    Raises
    ------
    Invalid
        When that is another.
    """
    wanted = shape_expected(asked)
    if wanted is not None and wanted != tuple(shape):
        raise Invalid(
            f"what is asked for has the shape {tuple(shape)}, and not {wanted}: the array may have changed; ask for "
            "its metadata again"
        )


def shape_expected(asked: Asked) -> tuple[int, ...] | None:
    """The shape that a caller thinks the answer has; None when that is not said.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    tuple of int, or None
    """
    expected = asked.params.one("expected_shape")
    found: tuple[int, ...] | None = None if expected is None else _understood(parse_shape, expected)
    return found


def check_bytes(asked: Asked, nbytes: int, cure: str) -> None:
    """Refuse what is too large, best before it is read.

    Parameters
    ----------
    asked : Asked
    nbytes : int
    cure : str
        What to ask for.

    Raises
    ------
    TooLarge
    """
    most = asked.settings.most_reply_bytes
    if nbytes > most:
        raise TooLarge(f"this would be {nbytes} bytes, and {most} are sent at once; {cure}")
    asked.reserve(nbytes)


def bytes_of(shape: Sequence[int], itemsize: int) -> int:
    """The bytes of an array.

    Parameters
    ----------
    shape : sequence of int
    itemsize : int

    Returns
    -------
    int

    Examples
    --------
    >>> bytes_of((2, 3), 8), bytes_of((), 8)
    (48, 8)
    """
    return math.prod(shape) * itemsize


def columns_of(asked: Asked) -> list[str] | None:
    """The columns that are wanted: of the URL, or of the list that was sent; ``field`` is what it was called before.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    list of str, or None
        Each once; None for all.
    """
    wanted = [*asked.params.many("column"), *asked.params.many("field")] or None
    if asked.body is not None:
        wanted = [*(wanted or ()), *texts_in(asked.body, 'columns are sent as a list of texts, such as ["time"]')]
    if wanted is not None and len(wanted) > _MOST_COLUMNS:
        raise InvalidRequest(f"{len(wanted)} columns; {_MOST_COLUMNS} can be asked for at once")
    return None if wanted is None else list(dict.fromkeys(wanted))


def texts_in(body: Any, sentence: str) -> list[str]:
    """The texts in a body that is a list of them.

    Parameters
    ----------
    body : object
        From JSON.
    sentence : str
        What is said when it is none.

    Returns
    -------
    list of str

    Raises
    ------
    InvalidRequest
        When it is none.
    """
    if not isinstance(body, list) or not all(isinstance(one, str) for one in body):
        raise InvalidRequest(sentence)
    return body
