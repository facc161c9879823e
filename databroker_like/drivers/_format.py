"""What a file of documents looks like to the rest of the drivers, whatever its encoding."""

from __future__ import annotations

import gzip
import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from databroker_like.errors import InvalidFile

__all__ = ["MAX_DOCUMENT", "SMALL", "FileFormat", "Outline", "Reader", "is_gzipped", "open_file"]

Doc = Mapping[str, Any]

#: Up to this size a file is read whole to learn which runs are in it; a larger one only at its two ends.
SMALL = 1 << 18
_BLOCK = 1 << 22
_TAIL = 1 << 16
_GZIP = b"\x1f\x8b"

#: No document may be larger: what claims to be is broken, or meant to exhaust memory.
MAX_DOCUMENT = 1 << 30


def open_file(path: str) -> Any:
    """A file for reading, decompressed when it is gzipped; told by its first bytes, not by its name."""
    raw: Any = open(path, "rb", buffering=1 << 17)  # noqa: SIM115 - the caller closes it
    if raw.peek(2)[:2] == _GZIP:
        return _Gunzipped(raw)
    return raw


def is_gzipped(file: Any) -> bool:
    """Whether a file that `open_file` opened is decompressed as it is read."""
    return isinstance(file, gzip.GzipFile)


class _Gunzipped(gzip.GzipFile):
    """Closes the file below as well."""

    def __init__(self, raw: Any) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._below = raw

    def close(self) -> None:
        super().close()
        self._below.close()


@dataclass
class Outline:
    """Which runs a file holds.

    Parameters
    ----------
    runs : list of (start document, stop document or None)
    problem : str, optional
        What is wrong with the file.
    """

    runs: list[tuple[Doc, Doc | None]] = field(default_factory=list)
    problem: str | None = None


class Reader(ABC):
    """The documents of one file, in order; knows where it is.

    Parameters
    ----------
    path : str
    offset : int
        Begin there, which is a place where `offset` of an earlier reader stood; 0 by default.

    Attributes
    ----------
    offset : int
        Just after the last whole document; in bytes of the decompressed file.
    span : (int, int)
        Where the last document is, and how many bytes it has; only when `can_append`.
    can_append : bool
        Whether documents may be appended to the file as it is: it is no list, and not compressed.
    where : str
        The place of the last document, in words.
    """

    def __init__(self, path: str, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self.number = 0
        self.span = (offset, 0)
        self.can_append = True

    def batches(self) -> Iterator[list[tuple[str, Doc]]]:
        """The documents as lists of some, which is faster; `offset` stands after the list before."""
        for pair in self:
            yield [pair]

    def stopped_at(self, position: int) -> None:  # noqa: B027 - a list of one needs nothing
        """Say that the document at a position of the last batch was not taken."""

    @property
    @abstractmethod
    def where(self) -> str: ...

    @abstractmethod
    def __iter__(self) -> Iterator[tuple[str, Doc]]:
        """Pairs of name and document; raises InvalidFile at what is none, and ends before half a document."""


class FileFormat(ABC):
    """One encoding of documents in files."""

    #: As in an error message.
    name: str
    #: The suffix of files that are recorded.
    suffix: str
    #: The suffixes of files that are read when a folder is given.
    suffixes: tuple[str, ...]
    #: What stands after each document.
    separator: bytes = b""
    #: Bytes without which there is no start document.
    start_marker: bytes

    @abstractmethod
    def reader(self, path: str, offset: int = 0) -> Reader:
        """The documents of a file."""

    @abstractmethod
    def encode(self, name: str, doc: Doc) -> bytes:
        """One document as it is appended to a file; InvalidDocument when this encoding cannot hold it."""

    @abstractmethod
    def decode(self, raw: bytes) -> tuple[str, Doc]:
        """The document in bytes made by `encode`."""

    @abstractmethod
    def last_stop(self, tail: bytes) -> Doc | None:
        """The stop document that a file ends in, from its last bytes; None when it does not."""

    def outline(self, path: str, size: int) -> Outline:
        """Which runs a file holds, reading as little as that takes."""
        try:
            if size > SMALL:
                found = self._outline_of_ends(path, size)
                if found is not None:
                    return found
            return self._outline_of_all(path)
        except (OSError, EOFError, zlib.error) as error:
            return Outline(problem=f"it cannot be read: {error}")

    def _outline_of_all(self, path: str) -> Outline:
        reader = self.reader(path)
        runs: dict[str, tuple[Doc, Doc | None]] = {}
        problem, last = None, None
        try:
            for name, doc in reader:
                if name == "start":
                    last = doc["uid"]
                    problem = problem or _start_problem(doc)
                    runs.setdefault(last, (doc, None))
                elif name == "stop":
                    owner = doc.get("run_start", last)
                    if owner in runs:
                        runs[owner] = (runs[owner][0], doc)
        except InvalidFile as error:
            problem = str(error)
        except (KeyError, TypeError, AttributeError):
            problem = f"{reader.where} is no document of a run"
        except EOFError as error:
            problem = f"truncated: {error}"
        except zlib.error as error:
            problem = f"damaged after {reader.where}: {error}"
        good = [pair for pair in runs.values() if _start_problem(pair[0]) is None]
        if not good and problem is None:
            if not self._any_content(path):
                problem = "empty"
            elif reader.number or reader.offset:
                problem = "it holds no start document"
            else:
                problem = "truncated: it ends in the middle of its first document"
        return Outline(good, problem)

    def _any_content(self, path: str) -> bool:
        with open_file(path) as file:
            return bool(file.read(4096).strip())

    def _outline_of_ends(self, path: str, size: int) -> Outline | None:
        """From the first document and the last; None when that does not tell."""
        with open(path, "rb") as file:
            if file.read(2) == _GZIP:
                return None
            file.seek(max(0, size - _TAIL))
            stop = self.last_stop(file.read(_TAIL))
        try:
            first = next(iter(self.reader(path)), None)
        except InvalidFile:
            return None
        if first is None or first[0] != "start" or _start_problem(first[1]):
            return None
        start = first[1]
        if stop is not None and stop.get("run_start") == start["uid"]:
            return Outline([(start, stop)])
        return Outline([(start, None)]) if stop is None and not self._more_starts(path) else None

    def _more_starts(self, path: str) -> bool:
        marker, count, carried = self.start_marker, 0, b""
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                count += (carried + block).count(marker)
                carried = block[1 - len(marker) :]
                if count > 1:
                    return True
        return False


def _start_problem(doc: Any) -> str | None:
    if not isinstance(doc, Mapping) or not isinstance(doc.get("uid"), str) or not doc["uid"]:
        return "its start document has no uid"
    time = doc.get("time")
    try:
        is_time = isinstance(time, int | float) and not isinstance(time, bool) and math.isfinite(time)
    except OverflowError:
        is_time = False
    if not is_time:
        return f"the start document of run {doc['uid']} has no time"
    return None
