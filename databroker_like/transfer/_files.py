"""Files put in place whole or not at all, inside one folder, and never over a different one."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from databroker_like.errors import Conflict, DatabrokerError, InvalidFile, MissingFile, NotWritable

__all__ = ["Placed", "Store", "exclusive", "inside", "make_folder", "not_writable", "sha256_of", "writing"]

_BLOCK = 1 << 20
#: What a file is called before it is whole.
PART = ".part"
CHECKSUMS = "checksums.sha256"


def not_writable(path: str, error: OSError) -> NotWritable:
    """The error for a place that cannot be written to, which says why.

    Parameters
    ----------
    path : str
    error : OSError

    Returns
    -------
    NotWritable
    """
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None))
    advice = (
        "make room, and do it again: it goes on where it stopped" if full else "choose a folder that can be written to"
    )
    return NotWritable(f"{path} cannot be written: {error.strerror or error}; {advice}")


def make_folder(path: str) -> None:
    """Make a folder and those above it, unless they are there."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise not_writable(path, error) from error


def inside(folder: str, relative: str) -> str:
    """The path of something inside a folder, for a relative path that somebody else wrote.

    Parameters
    ----------
    folder : str
    relative : str

    Returns
    -------
    str

    Raises
    ------
    InvalidFile
        When it leads out of the folder: by ``..``, as an absolute path, or through a symbolic link.

    Examples
    --------
    >>> inside("/pack", "documents/a.msgpack")
    '/pack/documents/a.msgpack'
    >>> inside("/pack", "../secrets")
    Traceback (most recent call last):
        ...
    databroker_like.errors.InvalidFile: '../secrets' leads out of /pack; nothing outside of it is touched
    """
    path = os.path.normpath(os.path.join(folder, relative))
    base = os.path.realpath(folder)
    if (
        not relative
        or "\0" in relative
        or os.path.isabs(relative)
        or not _below(path, os.path.normpath(folder))
        or not _below(os.path.realpath(path), base)
    ):
        raise InvalidFile(f"{relative!r} leads out of {folder}; nothing outside of it is touched")
    return path


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def sha256_of(path: str) -> str:
    """The checksum of a file, as sha256sum prints it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def writing(path: str, *, replace: bool) -> Iterator[IO[bytes]]:
    """A file under another name, which gets its own when all of it is on the disk.

    Parameters
    ----------
    path : str
    replace : bool
        Whether it may take the place of one that is there.

    Yields
    ------
    file

    Raises
    ------
    Conflict
        When there is one already, and it may not be replaced.
    NotWritable
        When the disk is full, or the folder cannot be written to.
    """
    folder, name = os.path.split(path)
    part = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(8)}{PART}")
    try:
        with _translated(path), open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with _translated(path):
            _give_name(part, path, replace)
            _sync_folder(folder)
    except BaseException:
        with contextlib.suppress(OSError):  # it may not even be there
            os.unlink(part)
        raise


@contextlib.contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except DatabrokerError:  # some are an OSError too, and say what it is
        raise
    except FileExistsError as error:
        raise Conflict(f"{path} is there already") from error
    except OSError as error:
        raise not_writable(path, error) from error


def _give_name(part: str, path: str, replace: bool) -> None:
    if replace:
        os.replace(part, path)
        return
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from None
        os.rename(part, path)
        return
    os.unlink(part)


def _sync_folder(folder: str) -> None:
    """Let the new name survive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def exclusive(folder: str) -> Iterator[None]:
    """While this is on, no other process does the same in the folder; leftovers of those that died are cleared away.

    Raises
    ------
    Conflict
        When another process is at it.
    """
    try:
        import fcntl
    except ImportError:  # a system without such locks
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"another process is writing into {folder}; wait until it is done") from None
        except OSError:  # a file system without locks: leftovers could be somebody's work
            yield
            return
        _clear_parts(folder)
        yield
    finally:
        os.close(descriptor)


def _clear_parts(folder: str) -> None:
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(PART):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(place, name))


class Placed(NamedTuple):
    """A file that is in place.

    Parameters
    ----------
    path : str
    written : int
        How many bytes were written for that; 0 when it was there already.
    is_new : bool
    """

    path: str
    written: int
    is_new: bool


class Store:
    """A folder that files are copied into, each with its checksum in ``checksums.sha256``.

    Parameters
    ----------
    folder : str

    Notes
    -----
    ``sha256sum -c checksums.sha256`` in the folder checks them all.
    """

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(folder)
        self._checksums: dict[str, str] = {}
        self._loaded = False

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While this is on, no other process copies into the folder; see `exclusive`."""
        make_folder(self.folder)
        with exclusive(self.folder):
            yield

    def put(self, path: str, relative: str) -> Placed:
        """Copy a file, unless the same is there.

        Parameters
        ----------
        path : str
            Of the file.
        relative : str
            Where it goes inside the folder.

        Returns
        -------
        Placed

        Raises
        ------
        Conflict
            When a different file is there.
        InvalidFile
            When the place would be outside of the folder, or what is copied is no file.
        MissingFile
            When there is no such file.
        NotWritable
            When the disk is full, or the folder cannot be written to.
        """
        if "\n" in relative:
            raise InvalidFile(f"{relative!r} has a line break in its name; rename the file")
        make_folder(self.folder)
        target = inside(self.folder, relative)
        self._load()
        status = _status(path)
        if os.path.lexists(target):
            self._compare(path, status, target, relative)
            return Placed(target, 0, False)
        make_folder(os.path.dirname(target))
        target = inside(self.folder, relative)  # once more: now all folders are there
        checksum, size = self._write(path, target)
        if sha256_of(target) != checksum:
            with contextlib.suppress(OSError):
                os.unlink(target)
            raise InvalidFile(f"{target} did not come back from the disk as it was written; is the disk all right?")
        with contextlib.suppress(OSError):  # the time is a courtesy, and tells copies apart quickly
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        self._remember(relative, checksum)
        return Placed(target, size, True)

    def _write(self, path: str, target: str) -> tuple[str, int]:
        checksum, size = hashlib.sha256(), 0
        with writing(target, replace=False) as out:
            for block in _blocks(path):
                checksum.update(block)
                out.write(block)
                size += len(block)
        return checksum.hexdigest(), size

    def _compare(self, path: str, status: os.stat_result, target: str, relative: str) -> None:
        there = os.stat(target, follow_symlinks=False)
        is_same = stat.S_ISREG(there.st_mode) and there.st_size == status.st_size
        if is_same and relative in self._checksums and there.st_mtime_ns == status.st_mtime_ns:
            return
        if not is_same or sha256_of(target) != sha256_of(path):
            raise Conflict(f"{target} is there already and is not the same as {path}; it is left as it is")
        if relative not in self._checksums:
            self._remember(relative, sha256_of(target))

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        with contextlib.suppress(FileNotFoundError), open(self._list, encoding="utf-8") as lines:
            for line in lines:
                checksum, separator, relative = line.rstrip("\n").partition("  ")
                if separator and len(checksum) == 64:
                    self._checksums[relative] = checksum

    @property
    def _list(self) -> str:
        return os.path.join(self.folder, CHECKSUMS)

    def _remember(self, relative: str, checksum: str) -> None:
        line = f"{checksum}  {relative}\n".encode(errors="surrogateescape")
        try:
            descriptor = os.open(self._list, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise not_writable(self._list, error) from error
        self._checksums[relative] = checksum


def _blocks(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                yield block
    except OSError as error:
        raise MissingFile(f"{path} cannot be read: {error.strerror or error}") from error


def _status(path: str) -> Any:
    try:
        status = os.stat(path)
    except OSError as error:
        raise MissingFile(f"{path} cannot be read: {error.strerror or error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise InvalidFile(f"{path} is no file; only files are copied")
    return status
