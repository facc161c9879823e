"""Files that are being recorded into: whole documents, handed to the system one by one."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from databroker_like.core._belonging import named
from databroker_like.drivers._files import FileCollection
from databroker_like.drivers._format import FileFormat, Reader, open_file
from databroker_like.drivers._places import Place
from databroker_like.errors import Conflict, InvalidDocument, InvalidFile, NoSuchRun, NotWritable
from databroker_like.files._folders import make_folder, sync_folder

__all__ = ["FileLog", "FileLogs"]

Doc = Mapping[str, Any]
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=@~-]{0,199}")


class FileLogs:
    """The files of a collection, and where new ones go.

    Parameters
    ----------
    collection : FileCollection
    fsync : {"never", "stop", "event"}
        When what was written is also forced to the disk; see `FileLog`.
    """

    def __init__(self, collection: FileCollection, fsync: str = "stop") -> None:
        self._collection = collection
        self._fsync = fsync

    def _folder(self) -> str:
        suffix = self._collection.format.suffix
        for pattern in self._collection.patterns:
            if pattern.name is not None and not pattern.is_literal and pattern.takes("0" * 36 + suffix):
                return pattern.folder
        raise NotWritable(
            f"none of the paths of this catalog would find a new file; add one like '/folder/*{suffix}' to record there"
        )

    def create(self, start: Doc) -> FileLog:
        uid = start["uid"]
        if not _SAFE.fullmatch(uid):
            raise InvalidDocument(
                f"start {uid!r}: the uid becomes the name of a file; use letters, digits and ._+=@~- "
                "(a UUID, as the RunEngine makes them)"
            )
        folder = self._folder()
        path = os.path.join(folder, uid + self._collection.format.suffix)
        try:
            holders = make_folder(folder)
        except OSError as error:
            raise _not_writable(folder, error) from error
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | _CLOEXEC, 0o666)
        except FileExistsError as error:
            if not _is_blank(path):
                raise Conflict(
                    f"{path} is there already and holds no run {uid}; move it away to record this one"
                ) from error
            descriptor = _open(path)  # a recorder died before it had written the start document
        except OSError as error:
            raise _not_writable(path, error) from error
        log = FileLog(path, self._collection.format, descriptor, fsync=self._fsync)
        if self._fsync != "never":
            try:
                for holder in holders:
                    sync_folder(holder)
            except OSError as error:
                log.discard()
                raise _not_writable(path, error) from error
        return log

    def find(self, uid: str) -> FileLog | None:
        if not self._collection.has(uid):
            return None
        path = self._collection.path_of(uid)
        try:
            return FileLog(path, self._collection.format, _open(path), fsync=self._fsync)
        except NotWritable:  # enough to see whether a document is there already
            return FileLog(path, self._collection.format, os.open(path, os.O_RDONLY | _CLOEXEC), can_append=False)

    def unfinished(self, mention: str) -> Iterable[str]:
        sought = mention.encode(errors="surrogatepass")
        for uid in self._collection.find(newest_first=True):
            try:
                if self._collection.stop(uid) is None and _mentions(self._collection.path_of(uid), sought):
                    yield uid
            except (NoSuchRun, OSError):  # deleted meanwhile
                continue


class FileLog:
    """One file of one run; each document is written whole, or not at all.

    Parameters
    ----------
    path : str
    file_format : FileFormat
    descriptor : int
        The open file.
    can_append : bool
        Whether it is open for writing.
    fsync : {"never", "stop", "event"}
        A document that is written survives the death of the process, and with "event" also a power cut; with "stop"
        a run does, from its stop document on.
    """

    def __init__(
        self, path: str, file_format: FileFormat, descriptor: int, can_append: bool = True, fsync: str = "never"
    ) -> None:
        self.path = path
        self._format = file_format
        self._descriptor = descriptor
        self._can_append = can_append
        self._fsync = fsync
        self._is_closed = False
        self._end = 0
        self._size = 0
        self._lead = b""
        self._listed: list[tuple[str, Doc]] = []
        self._is_begun = False

    def replay(self, since: int = 0) -> Iterator[tuple[Place, str, Doc]]:
        if self._listed:
            for number, (name, doc) in enumerate(self._listed[since:], since):
                yield (number, 1), name, doc
        elif self._is_begun:
            yield from self._read(self._format.reader(self.path, since))
        else:
            yield from self._begin()

    def _read(self, reader: Reader) -> Iterator[tuple[Place, str, Doc]]:
        try:
            for name, doc in reader:
                if reader.can_append:
                    yield reader.span, name, doc
                else:  # there is no place in it to read from again, so it is kept as it is
                    self._listed.append((name, doc))
                    yield (len(self._listed) - 1, 1), name, doc
        except InvalidFile as error:
            raise Conflict(f"{self.path} cannot be continued: {error}; move it away") from error
        except OSError as error:
            raise _not_writable(self.path, error) from error

    def _begin(self) -> Iterator[tuple[Place, str, Doc]]:
        self._is_begun = True
        self._size = os.fstat(self._descriptor).st_size
        reader = self._format.reader(self.path)
        starts = 0
        for place, name, doc in self._read(reader):
            starts += name == "start"
            yield place, name, doc
        self._end = reader.offset
        self._can_append = self._can_append and starts == 1 and reader.can_append
        ending = os.pread(self._descriptor, 1, self._end - 1) if self._end and self._can_append else b""
        if ending and not ending.endswith(self._format.separator):
            self._lead = self._format.separator

    def append(self, name: str, doc: Doc) -> Place:
        raw = self._format.encode(name, doc)
        if not self._can_append:
            raise NotWritable(f"{self.path} cannot be appended to; {named(name, doc)} is not recorded")
        status = os.fstat(self._descriptor)
        if not status.st_nlink:
            raise NotWritable(f"{self.path} was deleted while it was recorded into; begin the run again")
        if status.st_size != self._size:
            raise Conflict(f"{self.path} is written to by another process as well; only one may record a run")
        try:
            if self._size != self._end:  # half a document, of a recorder that died
                os.ftruncate(self._descriptor, self._end)
            view = memoryview(self._lead + raw)
            while view:
                view = view[os.write(self._descriptor, view) :]
            if self._fsync == "event" or (self._fsync == "stop" and name == "stop"):
                os.fsync(self._descriptor)
        except OSError as error:
            self._size = self._take_back()
            raise _not_writable(self.path, error) from error
        begin = self._end + len(self._lead)
        self._size = self._end = begin + len(raw)
        self._lead = b""
        self._is_begun = True
        return begin, len(raw)

    def _take_back(self) -> int:
        """Take away what is not a whole document; the size of the file then."""
        with contextlib.suppress(OSError):  # then it stays, and a reader ends before it
            os.ftruncate(self._descriptor, self._end)
        return os.fstat(self._descriptor).st_size

    def at(self, place: Place) -> tuple[str, Doc]:
        begin, size = place
        if self._listed:
            return self._listed[begin]
        return self._format.decode(os.pread(self._descriptor, size, begin))

    def as_kept(self, name: str, doc: Doc) -> Doc:
        return self._format.decode(self._format.encode(name, doc))[1]

    def is_current(self) -> bool:
        try:
            here, there = os.fstat(self._descriptor), os.stat(self.path)
        except OSError:
            return False
        return os.path.samestat(here, there) and there.st_size == self._size

    def discard(self) -> None:
        self.close()
        with contextlib.suppress(OSError):  # an empty file is no run
            os.unlink(self.path)

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            os.close(self._descriptor)


_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_APPEND | _CLOEXEC)
    except OSError as error:
        raise _not_writable(path, error) from error


def _is_blank(path: str) -> bool:
    return os.path.getsize(path) == 0


def _mentions(path: str, sought: bytes) -> bool:
    carried = b""
    with open_file(path) as file:
        while block := file.read(1 << 20):
            if sought in carried + block:
                return True
            carried = block[-len(sought) :]
    return False


def _not_writable(path: str, error: OSError) -> NotWritable:
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None))
    advice = "make room, and insert the document again" if full else "choose a folder that can be written to"
    return NotWritable(f"{path} cannot be written: {error.strerror or error}; {advice}")
