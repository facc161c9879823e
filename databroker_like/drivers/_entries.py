"""What is known of each file and run without reading events: entries, rows, and the part of an index they came from."""

from __future__ import annotations

import os
import weakref
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from databroker_like.drivers._format import FileFormat, Outline
from databroker_like.drivers._scan import Signature

__all__ = ["ABSENT", "UNDECIDED", "Descriptor", "Entry", "Part", "Row"]

Doc = Mapping[str, Any]
_UNFINISHED_FOR_NS = 60_000_000_000

#: In a column of facets, where the start document has no such key; no scalar is a list.
ABSENT: list[Any] = []
#: In a column of facets, where only the document itself tells; no scalar is a dictionary.
UNDECIDED: dict[str, Any] = {}


class Entry:
    """One file: its runs, and what is wrong with it.

    Parameters
    ----------
    folder, name : str
    sign : tuple
        The fields of its `Signature`.
    problem : str or None
    seen_ns : int
        When it was looked into.
    saved : bool
        Whether the index has it.
    """

    __slots__ = ("folder", "is_saved", "name", "problem", "rows", "seen_ns", "sign")  # there are many

    def __init__(
        self, folder: str, name: str, sign: tuple[int, ...], problem: str | None, seen_ns: int = 0, saved: bool = False
    ) -> None:
        self.folder = folder
        self.name = name
        self.sign = sign
        self.problem = problem
        self.seen_ns = seen_ns
        self.is_saved = saved
        self.rows: list[Row] = []

    @classmethod
    def of(cls, folder: str, name: str, sign: tuple[int, ...], outline: Outline, seen_ns: int = 0) -> Entry:
        """The entry of a file that was just looked into."""
        entry = cls(folder, name, sign, outline.problem, seen_ns)
        for start, stop in outline.runs:
            row = Row(entry, start["uid"], float(start["time"]))
            row.known_start, row.known_stop = start, stop
            entry.rows.append(row)
        return entry

    @property
    def path(self) -> str:
        folder = self.folder
        return folder + self.name if folder.endswith(os.sep) else folder + os.sep + self.name

    @property
    def signature(self) -> Signature:
        """What the file was when it was looked into."""
        return Signature._make(self.sign)

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


class Row:
    """One run in one file, as far as it is known without reading its events.

    Parameters
    ----------
    entry : Entry
        The file.
    uid : str
    time : float
        When the run started.
    part : Part, optional
        The part of an index where its documents are, and ``number``, the place there.
    """

    __slots__ = ("entry", "known_start", "known_stop", "number", "part", "time", "uid")  # there are many

    def __init__(self, entry: Entry, uid: str, time: float, part: Part | None = None, number: int = 0) -> None:
        self.entry = entry
        self.uid = uid
        self.time = time
        self.part = part
        self.number = number
        self.known_start: Doc | None = None
        self.known_stop: Doc | None = None

    @property
    def path(self) -> str:
        return self.entry.path

    def _load(self) -> None:
        if self.known_start is None:
            assert self.part is not None
            self.known_start, self.known_stop = self.part.documents(self)

    @property
    def start(self) -> Doc:
        """The start document."""
        self._load()
        assert self.known_start is not None
        return self.known_start

    @property
    def stop(self) -> Doc | None:
        """The stop document, or None."""
        self._load()
        return self.known_stop

    @property
    def is_finished(self) -> bool:
        """Whether there is a stop document; known without reading it."""
        if self.known_start is None and self.part is not None:
            return bool(self.part.table["stop"][self.number])
        return self.known_stop is not None


class Descriptor:
    """An open file that is closed when nobody needs it any more."""

    def __init__(self, number: int) -> None:
        self.number = number
        weakref.finalize(self, os.close, number)

    def read(self, begin: int, size: int, checksum: int) -> bytes | None:
        """Some of its bytes; None when they are not what was written."""
        raw = os.pread(self.number, size, begin)
        return raw if len(raw) == size and zlib.crc32(raw) == checksum else None


class Part:
    """One part of an index, of which only the table has been read.

    Parameters
    ----------
    file_format : FileFormat
    descriptor : Descriptor
    table : dict
        Columns of files and runs; see `Index`.
    facets_at, documents_at : int
        Where in the file the facets and the documents begin.
    """

    def __init__(
        self, file_format: FileFormat, descriptor: Descriptor, table: dict[str, Any], facets_at: int, documents_at: int
    ) -> None:
        self._format = file_format
        self._descriptor = descriptor
        self.table = table
        self._facets_at = facets_at
        self._documents_at = documents_at
        self._columns: dict[str, list[Any] | None] = {}

    def raw(self, number: int) -> tuple[bytes, bytes] | None:
        """The encoded start and stop documents of a run; None when they are damaged."""
        table = self.table
        size = table["start"][number]
        begin = self._documents_at + table["begin"][number]
        raw = self._descriptor.read(begin, size + table["stop"][number], table["sum"][number])
        return None if raw is None else (raw[:size], raw[size:])

    def documents(self, row: Row) -> tuple[Doc, Doc | None]:
        """The start and stop documents of a run."""
        raw = self.raw(row.number)
        if raw is not None:
            start, stop = raw
            return self._format.decode(start)[1], self._format.decode(stop)[1] if stop else None
        for begin, end in self._format.outline(row.path, row.entry.signature.size).runs:
            if begin["uid"] == row.uid:
                return begin, end
        return {"uid": row.uid, "time": row.time}, None  # the file is being changed; it will be seen next time

    def facts(self, fields: frozenset[str]) -> Callable[[int], Doc | None]:
        """A function of a run's number that gives its start document cut down to some fields.

        It gives None where only the document itself tells.
        """
        columns = {field: self._column(field) for field in sorted(fields)}
        if any(column is None for column in columns.values()):
            return _undecided
        if len(columns) == 1:
            ((field, only),) = columns.items()
            return _single(field, only or [])
        return _several({field: column or [] for field, column in columns.items()})

    def _column(self, field: str) -> list[Any] | None:
        """The facets of one field, a value for each run; empty when no run has it, None when that is not known."""
        if field not in self._columns:
            place = self.table["facets"].get(field)
            if place is None:
                self._columns[field] = None if field in self.table["others"] else []
            else:
                begin, size, checksum = place
                raw = self._descriptor.read(self._facets_at + begin, size, checksum)
                self._columns[field] = None if raw is None else orjson.loads(raw)
        return self._columns[field]


def _undecided(number: int) -> None:
    return None


def _single(field: str, column: list[Any]) -> Callable[[int], Doc | None]:
    def fact(number: int) -> Doc | None:
        value = column[number] if column else ABSENT
        if value.__class__ is dict:
            return None
        return {} if value.__class__ is list else {field: value}

    return fact


def _several(columns: dict[str, list[Any]]) -> Callable[[int], Doc | None]:
    def facts(number: int) -> Doc | None:
        found = {}
        for field, column in columns.items():
            value = column[number] if column else ABSENT
            if value.__class__ is dict:
                return None
            if value.__class__ is not list:
                found[field] = value
        return found

    return facts
