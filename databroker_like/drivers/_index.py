"""What was learnt about each file, kept in one small file in the user's cache so that opening stays cheap.

The index is a shortcut and never an authority. An entry counts only while path, size, times and inode of its file
are what they were; what is read from it is checked; when it is missing, damaged, of another catalog or cannot be
written, the files themselves are read. Processes share it without locks: a part is appended in one write, or the
whole is put in place in one step, and a part that is lost is only read again.

One part of the file is: a header, a table (JSON, all that listing needs), facets (JSON, all that most searches
need) and the encoded start and stop documents, each with a checksum.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import tempfile
import weakref
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from databroker_like.drivers._fields import Facets, facets_of
from databroker_like.drivers._format import FileFormat, Outline
from databroker_like.drivers._scan import Signature
from databroker_like.errors import InvalidDocument

__all__ = ["Entry", "Index", "Row", "cache_folder"]

Doc = Mapping[str, Any]
_HEADER = struct.Struct("<8sQQQLL")
_MAGIC = b"dblx-01\n"
_MOST_PARTS = 24
_UNFINISHED_FOR_NS = 60_000_000_000


def cache_folder() -> Path:
    """Where this user's caches of databroker-like are."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("databroker-like"))


class Row:
    """One run in one file, as far as it is known without reading its events."""

    __slots__ = ("_facets", "_raw", "_start", "_stop", "folder", "name", "signature", "time", "uid")

    def __init__(self, folder: str, name: str, signature: Signature, uid: str, time: float, raw: _Raw | None) -> None:
        self.folder = folder
        self.name = name
        self.signature = signature
        self.uid = uid
        self.time = time
        self._raw = raw
        self._start: Doc | None = None
        self._stop: Doc | None = None
        self._facets: Facets | None = None

    @classmethod
    def of(cls, folder: str, name: str, signature: Signature, start: Doc, stop: Doc | None) -> Row:
        """A row whose documents were just read."""
        row = cls(folder, name, signature, start["uid"], start["time"], None)
        row._start, row._stop = start, stop
        return row

    @property
    def path(self) -> str:
        return os.path.join(self.folder, self.name)

    def _load(self) -> None:
        if self._start is None:
            assert self._raw is not None
            self._start, self._stop = self._raw.documents(self)

    @property
    def start(self) -> Doc:
        """The start document."""
        self._load()
        assert self._start is not None
        return self._start

    @property
    def stop(self) -> Doc | None:
        """The stop document, or None."""
        self._load()
        return self._stop

    @property
    def facets(self) -> Facets:
        """What most searches ask about."""
        if self._facets is None:
            found = self._raw.facets(self) if self._raw is not None and self._start is None else None
            self._facets = found or facets_of(self.start)
        return self._facets

    @property
    def is_finished(self) -> bool:
        """Whether there is a stop document; known without reading it."""
        if self._start is None and self._raw is not None:
            return self._raw.stop_size > 0
        return self._stop is not None


class Entry:
    """One file: its runs, and what is wrong with it."""

    __slots__ = ("is_saved", "problem", "rows", "seen_ns", "signature")

    def __init__(
        self, signature: Signature, rows: list[Row], problem: str | None, seen_ns: int, is_saved: bool = False
    ) -> None:
        self.signature = signature
        self.rows = rows
        self.problem = problem
        self.seen_ns = seen_ns
        self.is_saved = is_saved

    @property
    def may_have_changed(self) -> bool:
        """Whether it was read so soon after it was written that an equal signature says nothing."""
        return not self.is_saved and self.signature.is_fresh(self.seen_ns)

    @property
    def is_settled(self) -> bool:
        """Whether it is worth keeping: finished, or left alone for a while."""
        if self.may_have_changed:
            return False
        finished = bool(self.rows) and all(row.is_finished for row in self.rows)
        return finished or self.seen_ns - self.signature.mtime_ns > _UNFINISHED_FOR_NS


class _Part:
    """One part of the index file, of which only the table has been read."""

    def __init__(self, index: Index, descriptor: _Descriptor, facets_at: tuple[int, int, int], blob_at: int) -> None:
        self.index = index
        self.descriptor = descriptor
        self.blob_at = blob_at
        self._facets_at = facets_at
        self._facets: list[Any] | None = None
        self._shapes: list[tuple[str, ...]] = []

    def facets(self, number: int) -> Facets | None:
        if self._facets is None:
            begin, size, checksum = self._facets_at
            raw = os.pread(self.descriptor.number, size, begin)
            if len(raw) != size or zlib.crc32(raw) != checksum:
                self._facets = []
            else:
                shapes, self._facets = orjson.loads(raw)
                self._shapes = [tuple(shape) for shape in shapes]
        if not self._facets:
            return None
        shape, scalars = self._facets[number]
        return Facets(scalars, self._shapes[shape])


class _Raw:
    """The place of a run's documents in the index file."""

    __slots__ = ("begin", "checksum", "number", "part", "start_size", "stop_size")

    def __init__(self, part: _Part, number: int, begin: int, start_size: int, stop_size: int, checksum: int) -> None:
        self.part = part
        self.number = number
        self.begin = begin
        self.start_size = start_size
        self.stop_size = stop_size
        self.checksum = checksum

    def bytes(self) -> bytes | None:
        size = self.start_size + self.stop_size
        raw = os.pread(self.part.descriptor.number, size, self.part.blob_at + self.begin)
        return raw if len(raw) == size and zlib.crc32(raw) == self.checksum else None

    def documents(self, row: Row) -> tuple[Doc, Doc | None]:
        raw, index = self.bytes(), self.part.index
        if raw is None:  # damaged since it was opened
            found = index.format.outline(row.path, row.signature.size)
            for start, stop in found.runs:
                if start["uid"] == row.uid:
                    return start, stop
            return {"uid": row.uid, "time": row.time}, None
        _, start = index.format.decode(raw[: self.start_size])
        return start, index.format.decode(raw[self.start_size :])[1] if self.stop_size else None

    def facets(self, row: Row) -> Facets | None:
        return self.part.facets(self.number)


class Index:
    """The file, for one format and one set of paths.

    Parameters
    ----------
    file_format : FileFormat
    key : str
        What tells this set of paths from others.
    folder : Path, optional
        Where to keep it; the user's cache by default.
    """

    def __init__(self, file_format: FileFormat, key: str, folder: Path | None = None) -> None:
        self.format = file_format
        self._key = f"{file_format.name}\n{key}"
        self._folder = folder
        self._parts = 0
        self._is_damaged = False

    @property
    def path(self) -> Path:
        digest = hashlib.sha256(self._key.encode(errors="surrogatepass")).hexdigest()[:32]
        return (self._folder or cache_folder() / "runs") / f"{digest}.index"

    # -- reading

    def load(self) -> dict[str, dict[str, Entry]]:
        """Folder -> file name -> entry, as far as the index holds them undamaged."""
        entries: dict[str, dict[str, Entry]] = {}
        self._parts, self._is_damaged = 0, False
        try:
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError:
            return entries
        holder = _Descriptor(descriptor)
        end, position = os.fstat(descriptor).st_size, 0
        while position < end:
            header = os.pread(descriptor, _HEADER.size, position)
            if len(header) < _HEADER.size:
                break
            magic, table_size, facets_size, blob_size, table_sum, facets_sum = _HEADER.unpack(header)
            begin = position + _HEADER.size
            total = table_size + facets_size + blob_size
            if magic != _MAGIC or begin + total > end:
                break
            raw = os.pread(descriptor, table_size, begin)
            if len(raw) != table_size or zlib.crc32(raw) != table_sum:
                break
            table = orjson.loads(raw)
            if table["key"] != self._key:
                break
            part = _Part(self, holder, (begin + table_size, facets_size, facets_sum), begin + table_size + facets_size)
            self._take(part, table, entries)
            self._parts += 1
            position = begin + total
        self._is_damaged = position != end
        return entries

    @staticmethod
    def _take(part: _Part, table: dict[str, Any], entries: dict[str, dict[str, Entry]]) -> None:
        folders = [entries.setdefault(folder, {}) for folder in table["folders"]]
        names, numbers = table["names"], table["folder"]
        made = []
        for name, number, sign, problem in zip(
            names,
            numbers,
            zip(table["size"], table["mtime"], table["ctime"], table["inode"], strict=True),
            table["problem"],
            strict=True,
        ):
            folders[number][name] = entry = Entry(Signature(*sign), [], problem, 0, True)
            made.append(entry)
        paths = table["folders"]
        for number, (file, uid, time, *raw) in enumerate(
            zip(*(table[key] for key in ("file", "uid", "time", "begin", "start", "stop", "sum")), strict=True)
        ):
            entry = made[file]
            entry.rows.append(
                Row(paths[numbers[file]], names[file], entry.signature, uid, time, _Raw(part, number, *raw))
            )

    # -- writing

    def save(self, entries: Mapping[str, Mapping[str, Entry]]) -> None:
        """Keep what is settled and not kept yet; nothing happens where that cannot be written."""
        every = [(folder, name, entry) for folder, files in entries.items() for name, entry in files.items()]
        fresh = [item for item in every if not item[2].is_saved and item[2].is_settled]
        if not fresh:
            return
        whole = self._is_damaged or self._parts == 0 or self._parts >= _MOST_PARTS or len(fresh) * 4 > len(every)
        part = self._packed([item for item in every if item[2].is_saved] + fresh if whole else fresh)
        with contextlib.suppress(OSError):  # a full or read-only cache costs time, not answers
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if whole:
                _replace(self.path, part)
                self._parts, self._is_damaged = 1, False
            else:
                _append(self.path, part)
                self._parts += 1
            for _, _, entry in fresh:
                entry.is_saved = True

    def _packed(self, items: Iterable[tuple[str, str, Entry]]) -> bytes:
        table: dict[str, Any] = {"key": self._key, "folders": []}
        columns = ("names", "folder", "size", "mtime", "ctime", "inode", "problem", "file", "uid", "time", "begin",
                   "start", "stop", "sum")  # fmt: skip
        table.update({column: [] for column in columns})
        folders: dict[str, int] = {}
        shapes: dict[tuple[str, ...], int] = {}
        facets, blob, size = [], [], 0
        for folder, name, entry in items:
            try:
                raws = [self._raw(row) for row in entry.rows]
                folder.encode()
                name.encode()
            except (InvalidDocument, UnicodeEncodeError):
                continue  # what the encoding cannot hold is read from its file each time
            number = len(table["names"])
            values: tuple[Any, ...] = (name, folders.setdefault(folder, len(folders)), *entry.signature, entry.problem)
            for column, value in zip(columns, values, strict=False):
                table[column].append(value)
            for row, (start, stop) in zip(entry.rows, raws, strict=True):
                both = start + stop
                found = (number, row.uid, row.time, size, len(start), len(stop), zlib.crc32(both))
                for column, value in zip(columns[7:], found, strict=True):
                    table[column].append(value)
                blob.append(both)
                size += len(both)
                scalars, others = row.facets
                facets.append((shapes.setdefault(others, len(shapes)), scalars))
        table["folders"] = list(folders)
        raw_table = orjson.dumps(table)
        raw_facets = orjson.dumps((list(shapes), facets))
        header = _HEADER.pack(
            _MAGIC, len(raw_table), len(raw_facets), size, zlib.crc32(raw_table), zlib.crc32(raw_facets)
        )
        return b"".join([header, raw_table, raw_facets, *blob])

    def _raw(self, row: Row) -> tuple[bytes, bytes]:
        if row._start is None and row._raw is not None and (raw := row._raw.bytes()) is not None:
            return raw[: row._raw.start_size], raw[row._raw.start_size :]
        stop = row.stop
        return self.format.encode("start", row.start), b"" if stop is None else self.format.encode("stop", stop)


class _Descriptor:
    """An open file that is closed when nobody needs it any more."""

    def __init__(self, number: int) -> None:
        self.number = number
        weakref.finalize(self, os.close, number)


def _replace(path: Path, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _append(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


def rows_of(folder: str, name: str, signature: Signature, outline: Outline) -> list[Row]:
    """The rows of a file that was just looked into."""
    return [Row.of(folder, name, signature, start, stop) for start, stop in outline.runs]
