"""The bytes of a file that the header ``Range`` asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Part", "part_of"]

_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,19})-([0-9]{0,19})\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """Some bytes of a file.

    Parameters
    ----------
    first, length : int
    is_some : bool
        Whether a part was asked for, and not all.
    """

    first: int
    length: int
    is_some: bool


def part_of(header: str | None, size: int) -> Part | None:
    """The bytes that are wanted.

    Parameters
    ----------
    header : str or None
        Of HTTP. One that is not understood, or asks for several parts, is as good as none: all is sent.
    size : int
        Of the file.

    Returns
    -------
    Part or None
        None when there are no such bytes.

    Examples
    --------
    >>> part_of("bytes=5-", 8), part_of("bytes=-2", 8), part_of("bytes=8-", 8)
    (Part(first=5, length=3, is_some=True), Part(first=6, length=2, is_some=True), None)
    """
    matched = None if header is None else _RANGE.fullmatch(header)
    whole = Part(0, size, False)
    if matched is None:
        return whole
    begin, end = matched.groups()
    if not begin:
        if not end:
            return whole
        length = min(int(end), size)
        return Part(size - length, length, True) if length else None
    first = int(begin)
    last = min(int(end), size - 1) if end else size - 1
    if end and int(end) < first:
        return whole
    return Part(first, last - first + 1, True) if first < size else None
