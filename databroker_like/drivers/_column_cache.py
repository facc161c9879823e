"""Decoded runs, kept on disk so that a fresh process need not decode them again.

A shortcut and never an authority: what is kept counts only while path, size, times and inode of the file are what
they were, and only when its checksums hold; otherwise the file itself is decoded. Arrays are kept as they lie in
memory, everything else in the encoding of the file's own format, so that nothing is lost and nothing can be run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from databroker_like.drivers._format import FileFormat
from databroker_like.drivers._index import cache_folder
from databroker_like.drivers._runs import RunData
from databroker_like.drivers._scan import Signature
from databroker_like.errors import InvalidDocument

__all__ = ["ColumnCache"]

_MAGIC = b"dblc-02\n"
_HEADER = struct.Struct("<8sQQL")
_BLOCK = 1 << 13  # 64-bit words
_PAGE_COLUMNS = ("data", "timestamps", "filled", "datum_kwargs")


class ColumnCache:
    """Files of columns in one folder, the least recently used deleted first.

    Parameters
    ----------
    folder : Path, optional
        In the user's cache by default.
    most_bytes : int
        How much they may take together, 2 GiB by default.
    """

    def __init__(self, folder: Path | None = None, most_bytes: int = 2 << 30) -> None:
        self._folder = folder
        self.most_bytes = most_bytes

    def path(self, path: str, file_format: FileFormat) -> Path:
        """Where the columns of a file are kept."""
        digest = hashlib.sha256(f"{file_format.name}\n{path}".encode(errors="surrogatepass")).hexdigest()[:32]
        return (self._folder or cache_folder() / "columns") / f"{digest}.columns"

    def load(self, path: str, file_format: FileFormat, signature: Signature) -> dict[str, RunData] | None:
        """The runs of a file as they were kept; None when they were not, or not for the file as it is now."""
        place = self.path(path, file_format)
        try:
            with open(place, "rb") as file:
                header = file.read(_HEADER.size)
                if len(header) != _HEADER.size:
                    return None
                magic, table_size, body_size, table_sum = _HEADER.unpack(header)
                if magic != _MAGIC or os.fstat(file.fileno()).st_size != _HEADER.size + table_size + body_size:
                    return None
                raw = file.read(table_size)
                if zlib.crc32(raw) != table_sum:
                    return None
                table = orjson.loads(raw)
                if table["of"] != [path, file_format.name, *signature]:
                    return None
                body = file.read(body_size)
            if len(body) != body_size or not _holds(body, table["parts"]):
                return None
            os.utime(place)  # it was used just now
        except OSError:
            return None
        unpack = _Unpacker(body, file_format)
        return {uid: unpack.run(run) for uid, run in table["runs"].items()}

    def save(self, path: str, file_format: FileFormat, signature: Signature, runs: Mapping[str, RunData]) -> None:
        """Keep the runs of a file; nothing happens where they cannot be kept."""
        pack = _Packer(file_format)
        try:
            table = {
                "of": [path, file_format.name, *signature],
                "runs": {uid: pack.run(run) for uid, run in runs.items()},
                "parts": pack.checked,
            }
            raw = orjson.dumps(table)
        except (InvalidDocument, orjson.JSONEncodeError):  # something only the file's own encoding holds
            return
        if pack.size * 4 > self.most_bytes:
            return
        place = self.path(path, file_format)
        header = _HEADER.pack(_MAGIC, len(raw), pack.size, zlib.crc32(raw))
        with contextlib.suppress(OSError):  # a full or read-only cache costs time, not answers
            place.parent.mkdir(parents=True, exist_ok=True)
            self._make_room(place.parent, pack.size)
            descriptor, temporary = tempfile.mkstemp(dir=place.parent, prefix=".new-")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(header)
                    file.write(raw)
                    file.writelines(pack.parts)
                os.replace(temporary, place)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise

    def _make_room(self, folder: Path, size: int) -> None:
        kept = []
        with os.scandir(folder) as found:
            for item in found:
                with contextlib.suppress(OSError):  # another process made room
                    status = item.stat()
                    kept.append((status.st_mtime_ns, status.st_size, item.path))
        total = size + sum(item[1] for item in kept)
        for _, freed, path in sorted(kept):
            if total <= self.most_bytes:
                return
            with contextlib.suppress(OSError):
                os.unlink(path)
            total -= freed


def _checksum(part: Any) -> int:
    """Ten times faster than a CRC: the sum of each block of words, and the CRC of the sums."""
    import numpy

    words = numpy.frombuffer(part, dtype="<u8", count=len(part) // 8)
    whole = len(words) // _BLOCK * _BLOCK
    sums = words[:whole].reshape(-1, _BLOCK).sum(axis=1, dtype="<u8").tobytes()
    return zlib.crc32(part[whole * 8 :], zlib.crc32(sums))


def _holds(body: bytes, checked: list[tuple[int, int]]) -> bool:
    """Whether each part of the body is what was kept."""
    view, begin = memoryview(body), 0
    for size, checksum in checked:
        if _checksum(view[begin : begin + size]) != checksum:
            return False
        begin += size
    return begin == len(body)


class _Packer:
    def __init__(self, file_format: FileFormat) -> None:
        self._format = file_format
        self.parts: list[Any] = []
        self.checked: list[tuple[int, int]] = []
        self.size = 0

    def _put(self, raw: Any) -> tuple[int, int]:
        begin, size = self.size, len(raw)
        if size % 8:  # arrays begin at whole words
            raw = bytes(raw) + bytes(-size % 8)
        self.parts.append(raw)
        self.checked.append((len(raw), _checksum(raw)))
        self.size += len(raw)
        return begin, size

    def value(self, value: Any) -> tuple[int, int]:
        return self._put(self._format.encode("value", {"value": value}))

    def run(self, run: RunData) -> dict[str, Any]:
        return {
            "documents": self.value(
                [run.start, run.stop, run.descriptors, run.resources, run.stream_resources, run.stream_datums]
            ),
            "events": {uid: [self.page(page) for page in pages] for uid, pages in run.event_pages.items()},
            "datums": {uid: [self.page(page) for page in pages] for uid, pages in run.datum_pages.items()},
        }

    def page(self, page: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: {name: self.column(column) for name, column in value.items()}
            if key in _PAGE_COLUMNS
            else value
            if isinstance(value, str)
            else self.column(value)
            for key, value in page.items()
        }

    def column(self, column: Any) -> list[Any]:
        import numpy

        if isinstance(column, list):
            strings = _equally_long(column)
            if strings is None:
                return ["list", *self.value(column)]
            return ["ascii", *self._put(strings), len(column)]
        if column.dtype.kind == "U":
            try:
                return ["ascii", *self._put(column.astype("S").tobytes()), len(column)]
            except UnicodeEncodeError:
                pass
        array = numpy.ascontiguousarray(column)
        return ["array", *self._put(array.reshape(-1).view("u1").data), array.dtype.str, array.shape]


class _Unpacker:
    def __init__(self, body: bytes, file_format: FileFormat) -> None:
        self._body = body
        self._format = file_format

    def value(self, begin: int, size: int) -> Any:
        return self._format.decode(self._body[begin : begin + size])[1]["value"]

    def run(self, run: Mapping[str, Any]) -> RunData:
        start, stop, descriptors, resources, stream_resources, stream_datums = self.value(*run["documents"])
        return RunData(
            start=start,
            stop=stop,
            descriptors=descriptors,
            event_pages={uid: [self.page(page) for page in pages] for uid, pages in run["events"].items()},
            resources=resources,
            datum_pages={uid: [self.page(page) for page in pages] for uid, pages in run["datums"].items()},
            stream_resources=stream_resources,
            stream_datums=stream_datums,
        )

    def page(self, page: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: {name: self.column(*column) for name, column in value.items()}
            if isinstance(value, dict)
            else value
            if isinstance(value, str)
            else self.column(*value)
            for key, value in page.items()
        }

    def column(self, kind: str, begin: int, size: int, *more: Any) -> Any:
        import numpy

        if kind == "list":
            return self.value(begin, size)
        if kind == "ascii":
            (count,) = more
            letters = numpy.frombuffer(self._body, dtype="u1", count=size, offset=begin).astype("<u4")
            return letters.view(f"<U{max(1, size // count)}")
        dtype, shape = more
        found = numpy.dtype(dtype)
        count = 1
        for length in shape:
            count *= length
        return numpy.frombuffer(self._body, dtype=found, count=count, offset=begin).reshape(shape)


def _equally_long(column: list[Any]) -> bytes | None:
    """Strings of ASCII letters, all of one length, as bytes one after the other; None when they are not."""
    if not column or set(map(type, column)) != {str} or len(set(map(len, column))) != 1 or not column[0]:
        return None
    joined = "".join(column)
    return joined.encode() if joined.isascii() and "\0" not in joined else None
