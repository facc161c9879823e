"""What was learnt about each file, kept in one small file in the user's cache so that opening stays cheap.

The index is a shortcut and never an authority. An entry counts only while path, size, times and inode of its file
are what they were; what is read from it is checked; when it is missing, damaged, of another catalog or cannot be
written, the files themselves are read. Processes share it without locks: a part is appended in one write, or the
whole is put in place in one step, and a part that is lost is only read again.

One part of the file is: a header, a table (JSON, all that listing needs), facets (JSON, a column of each scalar field
of the start documents, all that most searches need) and the encoded start and stop documents, each with a checksum.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import tempfile
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import count, repeat
from pathlib import Path
from typing import Any

import orjson

from databroker_like.drivers._entries import ABSENT, UNDECIDED, Descriptor, Entry, Part, Row
from databroker_like.drivers._fields import Facets, facets_of
from databroker_like.drivers._format import FileFormat
from databroker_like.errors import InvalidDocument

__all__ = ["Index", "cache_folder"]

Doc = Mapping[str, Any]
_HEADER = struct.Struct("<8sQQQL")
_MAGIC = b"dblx-03\n"
_MOST_PARTS = 24
_MOST_FACETS = 256

_OF_FILES = ("names", "folder", "size", "mtime", "ctime", "inode", "problem")
_WORDS = ("size", "mtime", "ctime", "inode", "folder", "file", "begin", "start", "stop", "sum")
_SIZE = struct.Struct("<Q")
_OF_RUNS = ("file", "uid", "time", "begin", "start", "stop", "sum")


def cache_folder() -> Path:
    """Where this user's caches of databroker-like are."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("databroker-like"))


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
        holder = Descriptor(descriptor)
        end, position = os.fstat(descriptor).st_size, 0
        while position < end:
            header = os.pread(descriptor, _HEADER.size, position)
            if len(header) < _HEADER.size:
                break
            magic, table_size, facets_size, documents_size, checksum = _HEADER.unpack(header)
            begin = position + _HEADER.size
            total = table_size + facets_size + documents_size
            if magic != _MAGIC or begin + total > end:
                break
            raw = holder.read(begin, table_size, checksum)
            if raw is None:
                break
            table = _unpacked_table(raw)
            if table["key"] != self._key:
                break
            facets_at = begin + table_size
            _take(Part(self.format, holder, table, facets_at, facets_at + facets_size), entries)
            self._parts += 1
            position = begin + total
        self._is_damaged = position != end
        return entries

    # -- writing

    def save(self, entries: Mapping[str, Mapping[str, Entry]]) -> None:
        """Keep what is settled and not kept yet; nothing happens where that cannot be written."""
        every = [entry for files in entries.values() for entry in files.values()]
        fresh = [entry for entry in every if not entry.is_saved and entry.is_settled]
        if not fresh:
            return
        whole = self._is_damaged or self._parts == 0 or self._parts >= _MOST_PARTS or len(fresh) * 4 > len(every)
        part = self._packed([entry for entry in every if entry.is_saved] + fresh if whole else fresh)
        with contextlib.suppress(OSError):  # a full or read-only cache costs time, not answers
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if whole:
                _replace(self.path, part)
                self._parts, self._is_damaged = 1, False
            else:
                _append(self.path, part)
                self._parts += 1
            for entry in fresh:
                entry.is_saved = True

    def _packed(self, entries: Iterable[Entry]) -> bytes:
        table: dict[str, Any] = {column: [] for column in (*_OF_FILES, *_OF_RUNS)}
        folders: dict[str, int] = {}
        facets: list[Facets] = []
        documents: list[bytes] = []
        size = 0
        for entry in entries:
            try:
                raws = [self._raw(row) for row in entry.rows]
                starts = [self._start(row, raw) for row, raw in zip(entry.rows, raws, strict=True)]
                orjson.dumps((entry.path, entry.problem, [(start["uid"], *start) for start in starts]))
                array("q", entry.sign)
            except (InvalidDocument, orjson.JSONEncodeError, OverflowError):
                continue  # what cannot be kept to the letter is read from its file each time
            facets += map(facets_of, starts)
            number = len(table["names"])
            folder = folders.setdefault(entry.folder, len(folders))
            told: tuple[Any, ...] = (entry.name, folder, *entry.sign, entry.problem)
            for column, value in zip(_OF_FILES, told, strict=True):
                table[column].append(value)
            for row, (start, stop) in zip(entry.rows, raws, strict=True):
                both = start + stop
                found = (number, row.uid, row.time, size, len(start), len(stop), zlib.crc32(both))
                for column, value in zip(_OF_RUNS, found, strict=True):
                    table[column].append(value)
                documents.append(both)
                size += len(both)
        raw_facets = _packed_facets(table, facets)
        table["key"], table["folders"] = self._key, list(folders)
        raw = _packed_table(table)
        header = _HEADER.pack(_MAGIC, len(raw), sum(map(len, raw_facets)), size, zlib.crc32(raw))
        return b"".join([header, raw, *raw_facets, *documents])

    def _start(self, row: Row, raw: tuple[bytes, bytes]) -> Doc:
        return row.start if row.known_start is not None else self.format.decode(raw[0])[1]

    def _raw(self, row: Row) -> tuple[bytes, bytes]:
        kept = row.part.raw(row.number) if row.part is not None else None
        if kept is not None:
            return kept
        stop = row.stop
        return self.format.encode("start", row.start), b"" if stop is None else self.format.encode("stop", stop)


def _take(part: Part, entries: dict[str, dict[str, Entry]]) -> None:
    """Put the entries of a part among those of the parts before; a later one counts."""
    table = part.table
    paths = table["folders"]
    signs = zip(table["size"], table["mtime"], table["ctime"], table["inode"], strict=True)
    folders = map(paths.__getitem__, table["folder"])
    # Nothing but calls in C between one object and the next: there are many.
    made = list(map(Entry, folders, table["names"], signs, table["problem"], repeat(0), repeat(True)))
    if len(paths) == 1:
        entries.setdefault(paths[0], {}).update(zip(table["names"], made, strict=True))
    else:
        for entry in made:
            entries.setdefault(entry.folder, {})[entry.name] = entry
    files = map(made.__getitem__, table["file"])
    for row in map(Row, files, table["uid"], table["time"], repeat(part), count()):
        row.entry.rows.append(row)


def _packed_table(table: dict[str, Any]) -> bytes:
    """Whole numbers as they lie in memory, which is read ten times faster, behind the rest as JSON."""
    words = [array("q", table[column]).tobytes() for column in _WORDS]
    rest = orjson.dumps({key: value for key, value in table.items() if key not in _WORDS})
    return _SIZE.pack(len(rest)) + rest + b"".join(words)


def _unpacked_table(raw: bytes) -> dict[str, Any]:
    (size,) = _SIZE.unpack_from(raw)
    begin = _SIZE.size + size
    table: dict[str, Any] = orjson.loads(raw[_SIZE.size : begin])
    for column in _WORDS:
        words = array("q")
        end = begin + 8 * len(table["names" if column in _OF_FILES else "uid"])
        words.frombytes(raw[begin:end])
        table[column] = words
        begin = end
    return table


def _packed_facets(table: dict[str, Any], facets: list[Facets]) -> list[bytes]:
    """A column of each field that start documents have as a scalar, and where each is."""
    often = Counter(key for found in facets for key in found.scalars)
    keys = [key for key, _ in often.most_common(_MOST_FACETS)]
    others = {key for found in facets for key in found.others}
    packed: list[bytes] = []
    places: dict[str, tuple[int, int, int]] = {}
    size = 0
    for key in keys:
        raw = orjson.dumps([UNDECIDED if key in found.others else found.scalars.get(key, ABSENT) for found in facets])
        places[key] = (size, len(raw), zlib.crc32(raw))
        packed.append(raw)
        size += len(raw)
    table["facets"] = places
    # Of these the documents themselves tell; what is neither here nor among the columns, no run has.
    table["others"] = sorted(others.union(often) - set(keys))
    return packed


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
