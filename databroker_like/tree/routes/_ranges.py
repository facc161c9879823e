"""The bytes that the header ``Range`` asks for, of a file or of what is sent as one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._words import JSON, to_json

__all__ = ["Part", "part_asked", "part_of", "partly", "unsatisfied"]

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

    def said(self, size: int) -> str:
        """Which bytes they are, of so many, as the header ``Content-Range`` has it."""
        return f"bytes {self.first}-{self.first + self.length - 1}/{size}"


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


def part_asked(asked: Asked, tag: str | None, size: int) -> Part | None:
    """The bytes that are wanted; all of what is not any more what the caller has a part of.

    Parameters
    ----------
    asked : Asked
    tag : str or None
        Of what is sent.
    size : int

    Returns
    -------
    Part or None
        None when there are no such bytes.
    """
    is_same = asked.part_if is None or asked.part_if == tag
    return part_of(asked.part if is_same else None, size)


def unsatisfied(size: int) -> Reply:
    """The answer to who asks for bytes that are not there.

    Parameters
    ----------
    size : int
        How many there are.

    Returns
    -------
    Reply
    """
    detail = {"detail": f"the file has {size} bytes, and none of those that 'Range' asks for"}
    return Reply(to_json(detail), JSON, {"Content-Range": f"bytes */{size}"}, 416)


def partly(asked: Asked, content: bytes | memoryview, media_type: str, tag: str | None) -> Reply:
    """Bytes that are there, or those of them that are wanted.

    Parameters
    ----------
    asked : Asked
    content : bytes or memoryview
    media_type : str
    tag : str or None
        By which they are known again.

    Returns
    -------
    Reply
    """
    part = part_asked(asked, tag, len(content))
    if part is None:
        return unsatisfied(len(content))
    headers = {"Accept-Ranges": "bytes", **({} if tag is None else {"ETag": tag})}
    if not part.is_some:
        return Reply(content, media_type, headers)
    headers["Content-Length"] = str(part.length)
    headers["Content-Range"] = part.said(len(content))
    return Reply(memoryview(content)[part.first : part.first + part.length], media_type, headers, 206)
