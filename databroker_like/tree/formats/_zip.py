"""Buffers one after the other in a zip file, as they are."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["ZIP_TYPE", "zipped"]

ZIP_TYPE = "application/zip"
#: The same buffers are the same file.
_TIME = (1980, 1, 1, 0, 0, 0)
_PIECE = 4 << 20


class _Sink:
    """A file that gives away what is written into it."""

    def __init__(self) -> None:
        self.pieces: list[bytes | memoryview] = []

    def write(self, piece: Any) -> int:
        seen = memoryview(piece)
        self.pieces.extend(seen[at : at + _PIECE] for at in range(0, seen.nbytes, _PIECE))
        return seen.nbytes

    def flush(self) -> None:
        """Nothing is kept back."""


def zipped(buffers: Mapping[str, bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The pieces of a zip file in which buffers are stored without compression; they are not copied.

    Parameters
    ----------
    buffers : mapping of str to bytes or memoryview
        Name -> buffer.

    Returns
    -------
    iterator of bytes or memoryview

    Examples
    --------
    >>> import io
    >>> made = io.BytesIO(b"".join(zipped({"node0-data": b"abc"})))
    >>> zipfile.ZipFile(made).read("node0-data")
    b'abc'
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for name, buffer in buffers.items():
            archive.writestr(zipfile.ZipInfo(name, _TIME), buffer)
            yield from sink.pieces
            sink.pieces.clear()
    yield from sink.pieces
