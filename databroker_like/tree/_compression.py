"""Answers in fewer bytes, where the caller takes them so and the time is well spent."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from importlib.util import find_spec
from itertools import chain
from typing import Any

from databroker_like.tree._media import weighed

__all__ = ["compressed", "compressed_pieces", "encodings"]

Buffer = bytes | memoryview

#: What is smaller is sent as soon as it is made smaller.
_LEAST = 1000
#: By how much it must become smaller.
_RATIO = 1.11
#: Looked at before all of it is compressed: what does not become smaller here is sent as it is.
_SAMPLE = 1 << 16
#: Text-like media types; of others only those that have numbers in them as they are become much smaller.
_COMPRESSIBLE = frozenset(
    {
        "application/json",
        "application/x-msgpack",
        "application/json-seq",
        "application/octet-stream",
        "application/vnd.apache.arrow.file",
        "text/csv",
        "text/plain",
        "text/html",
        "text/x-comma-separated-values",
    }
)
_NUMBERS = "application/octet-stream"
#: gzip is so slow that a large answer is there earlier as it is.
_MOST: Mapping[str, int] = {"gzip": 8 << 20, "blosc2": (1 << 31) - 64}
_LEVELS: Mapping[str, int | None] = {"zstd": 1, "gzip": 1, "lz4": None}


@cache
def encodings(media_type: str) -> tuple[str, ...]:
    """In which encodings something can be sent, the best first.

    Parameters
    ----------
    media_type : str
        Without parameters.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> encodings("application/json"), encodings("image/png")
    (('zstd', 'lz4', 'gzip'), ())
    """
    if media_type not in _COMPRESSIBLE:
        return ()
    if media_type == _NUMBERS and find_spec("blosc2") is not None:
        return ("blosc2", "zstd", "lz4", "gzip")
    return ("zstd", "lz4", "gzip")


def compressed(content: Buffer, media_type: str, accepted: str, itemsize: int = 1) -> tuple[Buffer, str] | None:
    """Something in fewer bytes.

    Parameters
    ----------
    content : bytes or memoryview
    media_type : str
        What it is.
    accepted : str
        The header ``Accept-Encoding`` of who wants it.
    itemsize : int
        Bytes of a number, of which arrays are made; 1 by default.

    Returns
    -------
    tuple of (bytes, str) or None
        With the encoding. None when the caller takes none that there is, or it does not pay.

    Examples
    --------
    >>> smaller, encoding = compressed(b"[1,2,3]" * 1000, "application/json", "gzip, zstd")
    >>> encoding, len(smaller) < 200
    ('zstd', True)
    """
    size = len(content)
    if size < _LEAST:
        return None
    encoding = _chosen(encodings(media_type), accepted)
    if encoding is None or size > _MOST.get(encoding, size):
        return None
    write = _writer(encoding)
    if size > 4 * _SAMPLE:
        sample = memoryview(content)[:_SAMPLE]
        if len(write(sample, itemsize)) * _RATIO >= len(sample):
            return None
    smaller = write(content, itemsize)
    return (smaller, encoding) if len(smaller) * _RATIO < size else None


def compressed_pieces(pieces: Iterator[Buffer], media_type: str, accepted: str) -> tuple[Iterator[Buffer], str]:
    """Something that comes in pieces, in fewer bytes, as one stream.

    Parameters
    ----------
    pieces : iterator of bytes or memoryview
    media_type : str
        What they are together.
    accepted : str
        The header ``Accept-Encoding`` of who wants them.

    Returns
    -------
    tuple of (iterator of bytes, str)
        With the encoding, which is empty when the pieces are what they were.

    Examples
    --------
    >>> smaller, encoding = compressed_pieces(iter([b"[1,2,3]" * 500] * 9), "application/json-seq", "gzip, zstd")
    >>> encoding, sum(map(len, smaller)) < 200
    ('zstd', True)
    """
    # gzip would take longer than to send it.
    if _chosen(set(encodings(media_type)) & {"zstd"}, accepted) is None:
        return pieces, ""
    first: list[Buffer] = []
    size = 0
    while size < _SAMPLE and (piece := next(pieces, None)) is not None:
        first.append(piece)
        size += len(piece)
    sample = b"".join(first)[:_SAMPLE]
    whole = chain(first, pieces)
    if size < _LEAST or len(_arrow("zstd", sample, 1)) * _RATIO >= len(sample):
        return whole, ""
    return _squeezed(whole), "zstd"


class _Sink(io.RawIOBase):
    """Collects what is written until somebody takes it."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """All that was written since."""
        found, self._written = b"".join(self._written), []
        return found


def _squeezed(pieces: Iterator[Buffer]) -> Iterator[bytes]:
    import pyarrow as pa

    sink = _Sink()
    with pa.CompressedOutputStream(pa.PythonFile(sink, mode="w"), "zstd") as squeezing:
        for piece in pieces:
            squeezing.write(piece)
            if found := sink.taken():
                yield found
        squeezing.flush()
        yield sink.taken()
    yield sink.taken()


def _chosen(there: Iterable[str], accepted: str) -> str | None:
    """The encoding that the caller prefers; of those that are as good to him, the one that is best here."""
    weights = weighed(accepted)
    least = weights.get("*", 0.0)
    best = max(there, key=lambda one: weights.get(one, least), default=None)
    return best if best is not None and weights.get(best, least) > 0 else None


def _writer(encoding: str) -> Callable[[Any, int], Buffer]:
    return _blosc2 if encoding == "blosc2" else partial(_arrow, encoding)


def _arrow(encoding: str, content: Any, itemsize: int) -> Buffer:
    import pyarrow as pa

    # One for each answer: that of gzip is no good to two threads.
    codec = pa.Codec(encoding, compression_level=_LEVELS[encoding])
    smaller: bytes = codec.compress(content, asbytes=True)
    return smaller


def _blosc2(content: Any, itemsize: int) -> Buffer:
    import blosc2

    # Several threads of its own would take the processors from who else asks.
    smaller: bytes = blosc2.compress2(
        content,
        typesize=min(itemsize, 255),
        clevel=1,
        codec=blosc2.Codec.LZ4,
        filters=[blosc2.Filter.SHUFFLE],
        nthreads=1,
    )
    return smaller
