"""Runs in files: which there are now, and a source for each."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from operator import attrgetter
from typing import Any

from databroker_like.core._collection import Head, RunCollection
from databroker_like.core._source import RunSource
from databroker_like.drivers._calm import calm
from databroker_like.drivers._entries import Entry, Part, Row
from databroker_like.drivers._format import FileFormat
from databroker_like.drivers._index import Index
from databroker_like.drivers._parsed import PARSED
from databroker_like.drivers._runs import DecodedRun, RunData
from databroker_like.drivers._scan import Listing, is_still, parse_paths, scan, signature
from databroker_like.drivers._watch import Watch
from databroker_like.errors import MissingFile, NoSuchRun, listed, nearest
from databroker_like.queries import Everything, Node, Tally, searched, top_level_keys

__all__ = ["FileCollection", "FileRun"]

Doc = Mapping[str, Any]

#: With fewer files than this, asking each is fast enough.
_WATCHED_FROM = 200
#: An empty file is no reason to warn before it is so old: its recorder may be about to write.
_BEGINS_WITHIN_NS = 10_000_000_000


class FileCollection(RunCollection):
    """The runs in files of one format.

    Each question looks at the folders again; only files that are new or changed are read.

    Parameters
    ----------
    paths : str, path, or list of them
        Files, folders, and patterns.
    file_format : FileFormat
    """

    def __init__(
        self, paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], file_format: FileFormat
    ) -> None:
        self.format = file_format
        self.patterns = parse_paths(paths, file_format.suffixes)
        self._forget()

    def _forget(self) -> None:
        self._listing: Listing | None = None
        self._entries: dict[str, dict[str, Entry]] = {}
        self._rows: list[Row] = []
        self._by_uid: dict[str, Row] = {}
        self._uncertain = self._unsaved = False
        self._watch: Watch | None = None
        self._warned: set[tuple[str, str]] = set()
        self._index = Index(self.format, "\n".join(f"{p.folder}\n{p.name}" for p in self.patterns))

    def __getstate__(self) -> dict[str, Any]:
        return {"format": self.format, "patterns": self.patterns}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    # -- what there is now

    def refresh(self) -> None:
        """Look which files there are, and read those that are new or changed."""
        if self._watch is None or self._uncertain or not self._watch.is_quiet():
            with calm():
                self._look_again()

    def _look_again(self) -> None:
        is_first = self._listing is None
        known = self._index.load() if is_first else self._entries
        if self._watch is None and self._is_worth_watching(known):
            self._watch = Watch({pattern.folder for pattern in self.patterns})
        if self._watch is not None:
            self._watch.settle()
        now = time.time_ns()
        listing, is_plain = scan(self.patterns)
        if not is_plain:
            self._watch = None
        if not is_first and listing == self._listing and not self._uncertain:
            return
        entries: dict[str, dict[str, Entry]] = {}
        looked: list[Entry] = []
        for folder, files in listing.items():
            before = known.get(folder, {})
            entries[folder] = here = {
                name: entry
                for name, sign in files.items()
                if (entry := before.get(name)) is not None
                and entry.sign == sign
                and (entry.is_saved or not entry.may_have_changed)
            }
            for name in [name for name in files if name not in here] if len(here) < len(files) else ():
                here[name] = entry = self._look(folder, name, files[name], now)
                looked.append(entry)
        self._entries, self._listing = entries, listing
        self._uncertain = any(entry.may_have_changed for entry in looked)
        self._order()
        self._unsaved = self._unsaved or bool(looked)
        if self._unsaved:
            self._index.save(entries)
            self._unsaved = any(not entry.is_saved for files in entries.values() for entry in files.values())

    def _is_worth_watching(self, known: Mapping[str, Mapping[str, Entry]]) -> bool:
        return sum(map(len, known.values())) > _WATCHED_FROM and all(p.name is not None for p in self.patterns)

    def _look(self, folder: str, name: str, sign: tuple[int, ...], now: int) -> Entry:
        path = os.path.join(folder, name)
        outline = self.format.outline(path, sign[0])
        # A recorder makes a file before it writes the first document into it.
        begins = sign[0] == 0 and now - sign[1] < _BEGINS_WITHIN_NS
        if outline.problem and not begins:
            self._warn(path, outline.problem)
        return Entry.of(folder, name, sign, outline, now)

    def _warn(self, path: str, problem: str) -> None:
        if (path, problem) not in self._warned:
            self._warned.add((path, problem))
            warnings.warn(f"{path}: {problem}; the other files are not affected", UserWarning, stacklevel=2)

    def _order(self) -> None:
        rows = [row for files in self._entries.values() for entry in files.values() for row in entry.rows]
        by_uid = {row.uid: row for row in rows}
        if len(by_uid) != len(rows):
            by_uid = {}
            for row in rows:
                other = by_uid.setdefault(row.uid, row)
                if other is not row:
                    by_uid[row.uid] = self._better(other, row)
            rows = list(by_uid.values())
        # By time, and by uid where that is the same, which is rare: sorting by plain numbers is much faster.
        if len(set(map(attrgetter("time"), rows))) != len(rows):
            rows.sort(key=attrgetter("uid"))
        rows.sort(key=attrgetter("time"))
        self._rows = rows
        self._by_uid = by_uid

    def _better(self, one: Row, other: Row) -> Row:
        better, worse = sorted((one, other), key=_completeness, reverse=True)
        self._warn(worse.path, f"run {one.uid} is also in {better.path}, which is more complete and is used")
        return better

    def _found(self, uid: str) -> Row | None:
        """The row of a run, current: only its own file is looked at when that has not changed."""
        row = self._by_uid.get(uid)
        if row is None or not is_still(row.entry.path, row.entry.sign) or self._is_uncertain(row):
            self.refresh()
            row = self._by_uid.get(uid)
        return row

    def _row(self, uid: str) -> Row:
        row = self._found(uid)
        if row is None:
            near = nearest(uid, self._by_uid)
            raise NoSuchRun(f"no run {uid!r}; the nearest of {len(self._by_uid)}: {listed(near)}")
        return row

    def _is_uncertain(self, row: Row) -> bool:
        return self._uncertain and row.entry.may_have_changed

    def problems(self) -> dict[str, str]:
        """Path -> what is wrong with the file there, for those that cannot be read, or not to their end."""
        self.refresh()
        found = {
            os.path.join(folder, name): entry.problem
            for folder, files in self._entries.items()
            for name, entry in files.items()
            if entry.problem
        }
        found.update(PARSED.problems(self.format, self._listing or {}))
        for pattern in self.patterns:
            if pattern.is_literal and pattern.name not in self._entries.get(pattern.folder, {}):
                found[os.path.join(pattern.folder, str(pattern.name))] = "there is no such file"
            elif pattern.name is not None and not os.path.isdir(pattern.folder):
                found[pattern.folder] = _why_no_folder(pattern.folder)
            elif pattern.name is not None and not os.access(pattern.folder, os.R_OK | os.X_OK):
                found[pattern.folder] = "the folder cannot be read: permission denied"
        return dict(sorted(found.items()))

    def has_files(self) -> bool:
        """Whether there is any file at all."""
        return any(scan(self.patterns).listing.values())

    def path_of(self, uid: str) -> str:
        """The file a run is in."""
        return self._row(uid).path

    # -- RunCollection

    def starts(self) -> Mapping[str, Doc]:
        self.refresh()
        return _Starts(self._rows, self._by_uid)

    def stop(self, uid: str) -> Doc | None:
        return self._row(uid).stop

    def start(self, uid: str) -> Doc:
        return self._row(uid).start

    def version(self, uid: str) -> Any:
        row = self._by_uid.get(uid)
        return row.entry.sign if row is not None and row.is_finished else None

    def has(self, uid: str) -> bool:
        return self._found(uid) is not None

    def source(self, uid: str, get_filler: Any) -> RunSource:
        row = self._row(uid)
        return FileRun(row.path, uid, self.format, row).source(get_filler)

    def find(
        self, query: Node = Everything(), *, newest_first: bool = False, skip: int = 0, limit: int | None = None
    ) -> Iterator[str]:
        self.refresh()
        rows = self._rows[::-1] if newest_first else self._rows
        matching = (row.uid for row in _matching(rows, query))
        return islice(matching, skip, None if limit is None else skip + limit)

    def heads(
        self, query: Node = Everything(), *, newest_first: bool = False, skip: int = 0, limit: int | None = None
    ) -> Iterator[Head]:
        self.refresh()
        rows = self._rows[::-1] if newest_first else self._rows
        matching = ((row.uid, row.start, row.stop) for row in _matching(rows, query))
        return islice(matching, skip, None if limit is None else skip + limit)

    def count(self, query: Node = Everything()) -> int:
        self.refresh()
        return len(self._rows) if isinstance(query, Everything) else sum(1 for _ in _matching(self._rows, query))

    def distinct(self, key: str, query: Node = Everything()) -> list[tuple[Any, int]]:
        tally = Tally(key)
        self.refresh()
        for _, doc in _decisive_matches(self._rows, query, key.partition(".")[0]):
            tally.add(doc)
        return tally.counts()


def _matching(rows: list[Row], query: Node) -> Iterator[Row]:
    if isinstance(query, Everything):
        return iter(rows)
    matches = query.matches
    return (row for row, doc in _decisive(rows, top_level_keys(query)) if matches(doc))


def _decisive_matches(rows: list[Row], query: Node, field: str) -> Iterator[tuple[Row, Doc]]:
    matches = query.matches
    return (pair for pair in _decisive(rows, top_level_keys(query) | {field}) if matches(pair[1]))


def _decisive(rows: list[Row], keys: frozenset[str]) -> Iterator[tuple[Row, Doc]]:
    """Each run with as much of its searched document as some top-level keys of it are about."""
    if "stop" in keys or "" in keys:
        return ((row, searched(row.start, row.stop)) for row in rows)
    if "$text" in keys:
        return ((row, row.start) for row in rows)
    return _with_facts(rows, keys)


def _with_facts(rows: list[Row], fields: frozenset[str]) -> Iterator[tuple[Row, Doc]]:
    part: Part | None = None
    facts: Any = None
    for row in rows:
        doc = row.known_start
        if doc is None:
            if row.part is not part or facts is None:
                part = row.part
                assert part is not None
                facts = part.facts(fields)
            doc = facts(row.number)
            if doc is None:
                doc = row.start
        yield row, doc


def _completeness(row: Row) -> tuple[bool, int, int, str]:
    return row.is_finished, row.entry.signature.size, row.entry.signature.mtime_ns, row.path


class _Starts(Mapping[str, Doc]):
    """The start documents by uid, oldest first, each decoded when it is asked for."""

    def __init__(self, rows: list[Row], by_uid: dict[str, Row]) -> None:
        self._rows = rows
        self._by_uid = by_uid

    def __getitem__(self, uid: str) -> Doc:
        return self._by_uid[uid].start

    def __contains__(self, uid: object) -> bool:
        return uid in self._by_uid

    def __iter__(self) -> Iterator[str]:
        return (row.uid for row in self._rows)

    def __reversed__(self) -> Iterator[str]:
        return (row.uid for row in reversed(self._rows))

    def __len__(self) -> int:
        return len(self._rows)


class FileRun(DecodedRun):
    """One run in one file; it pickles as the path.

    Parameters
    ----------
    path : str
    uid : str
    file_format : FileFormat
    row : Row, optional
        What is known about it already.
    """

    def __init__(self, path: str, uid: str, file_format: FileFormat, row: Row | None = None) -> None:
        self.path = path
        self.uid = uid
        self.format = file_format
        self._row = row
        self._looked_ns = time.time_ns()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "uid": self.uid, "format": self.format}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], state["uid"], state["format"])  # type: ignore[misc]

    def _current(self) -> Row:
        now = signature(self.path)
        row = self._row
        if now is None:
            raise MissingFile(f"{self.path} is not there any more; the run {self.uid} in it cannot be read")
        if row is None or row.entry.sign != now or now.is_fresh(self._looked_ns):
            self._looked_ns = time.time_ns()
            folder, name = os.path.split(self.path)
            entry = Entry.of(folder, name, now, self.format.outline(self.path, now.size))
            row = next((row for row in entry.rows if row.uid == self.uid), None)
            if row is None:
                raise NoSuchRun(f"run {self.uid} is no longer in {self.path}; look it up in the catalog again")
            self._row = row
        return row

    def data(self) -> RunData:
        """The documents, as columns, as far as the file goes now."""
        file = PARSED.get(self.path, self.format)
        if file.problem and not file.has_warned:
            file.has_warned = True
            warnings.warn(f"{self.path}: {file.problem}; the run is read up to there", UserWarning, stacklevel=3)
        return file.run(self.uid)

    def get_run_start(self) -> Doc:
        return self._current().start

    def get_run_stop(self) -> Doc | None:
        return self._current().stop


def _why_no_folder(path: str) -> str:
    try:
        os.stat(path)
    except FileNotFoundError:
        return "there is no such folder"
    except OSError as error:
        return f"it cannot be looked at: {error.strerror or error}"
    return "it is no folder"
