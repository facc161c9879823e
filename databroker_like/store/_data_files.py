"""The data files of a store: written once, whole, and never changed; in a folder or in an object store."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from typing import Any

from databroker_like.errors import DatabrokerError, MissingFile, NotWritable, Unreachable
from databroker_like.files._folders import make_folder, sync_folder
from databroker_like.registry import require

__all__ = ["DataFiles"]

#: Recording waits for no server longer than this, unless it is told to.
_S3_PATIENCE = {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 2}}

#: How often a file is tried to be written while its folder is taken away by others.
_ATTEMPTS = 5

_NAME = re.compile(r"[0-9a-z]+(/[0-9a-z]+)*/[0-9a-z][0-9a-z._-]*")


class DataFiles:
    """Immutable files by name below one root.

    Parameters
    ----------
    root : str
        A folder, or the URL of a place in an object store that fsspec reaches, such as ``s3://bucket/prefix``.
    options : dict, optional
        What fsspec needs to reach it, such as ``{"endpoint_url": ...}``.
    """

    def __init__(self, root: str, options: dict[str, Any] | None = None) -> None:
        self.root = root.rstrip("/")
        self._options = dict(options or {})

    def __repr__(self) -> str:
        return f"DataFiles({self.root!r})"

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return "://" not in self.root

    def _path(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise MissingFile(f"{name!r} is no name of a data file")
        return f"{self.root}/{name}"

    @property
    def _remote(self) -> Any:
        import fsspec

        protocol = self.root.partition("://")[0]
        if protocol == "s3":
            require("s3fs", "keep data files on S3")
            return fsspec.filesystem(protocol, **{"config_kwargs": _S3_PATIENCE, **self._options})
        return fsspec.filesystem(protocol, **self._options)

    def write(self, name: str, content: Any) -> None:
        """Put a file there, whole and forced to the disk; a reader never sees half of it.

        Raises
        ------
        NotWritable
            When it cannot be written; nothing is left.
        """
        path = self._path(name)
        if not self.is_local:
            with self._errors(path):
                try:
                    self._remote.pipe_file(path, bytes(content))  # an object is there whole, or not at all
                except FileNotFoundError as error:
                    raise NotWritable(f"{path} cannot be written: {error}; is there such a bucket?") from error
            return
        for left in reversed(range(_ATTEMPTS)):
            try:
                _put(path, content)
                return
            except FileNotFoundError as error:
                # The folder was empty, and went with the last file that another process took away.
                if not left:
                    raise _not_writable(path, error) from error
            except OSError as error:
                raise _not_writable(path, error) from error

    def shown(self, name: str) -> str:
        """A file as an error names it."""
        return self._path(name)

    def open(self, name: str) -> Any:
        """The content of a file as a `pyarrow.Buffer`; of a local one, mapped into memory.

        Raises
        ------
        MissingFile
            When it is not there.
        """
        import pyarrow

        path = self._path(name)
        if not self.is_local:
            with self._errors(path):
                return pyarrow.py_buffer(self._remote.cat_file(path))
        try:
            return pyarrow.memory_map(path).read_buffer()
        except FileNotFoundError as error:
            raise MissingFile(f"the data file {path} of the store is not there") from error
        except OSError as error:
            raise MissingFile(f"the data file {path} of the store cannot be read: {error.strerror or error}") from error

    def delete(self, name: str) -> None:
        """Take a file away; nothing happens when it is not there."""
        path = self._path(name)
        if not self.is_local:
            with self._errors(path), contextlib.suppress(FileNotFoundError):
                self._remote.rm_file(path)
            return
        try:
            os.unlink(path)
            with contextlib.suppress(OSError):  # other files are in it
                os.rmdir(os.path.dirname(path))
        except FileNotFoundError:
            return
        except OSError as error:
            raise _not_writable(path, error) from error

    def names(self, prefix: str) -> Iterator[tuple[str, float]]:
        """The files there are, and when each was written, in seconds since the epoch; halves of files too.

        Parameters
        ----------
        prefix : str
            The folder below the root that they are in, at any depth.
        """
        for name, written in self._local_names(prefix) if self.is_local else self._remote_names(prefix):
            if _NAME.fullmatch(name):  # what else is there is somebody else's
                yield name, written

    def _remote_names(self, prefix: str) -> list[tuple[str, float]]:
        place = f"{self.root}/{prefix}"
        with self._errors(place):
            remote = self._remote
            remote.invalidate_cache()  # other processes write there too
            try:
                found = remote.find(place, detail=True)
            except FileNotFoundError:
                return []
        begin = self.root.partition("://")[2]
        return [(path.removeprefix(begin).lstrip("/"), _written(about)) for path, about in found.items()]

    def _local_names(self, prefix: str) -> Iterator[tuple[str, float]]:
        for folder, _, files in os.walk(f"{self.root}/{prefix}"):
            for file in files:
                path = os.path.join(folder, file)
                with contextlib.suppress(FileNotFoundError):
                    yield os.path.relpath(path, self.root).replace(os.sep, "/"), os.stat(path).st_mtime

    def link(self, other: DataFiles, name: str) -> bool:
        """Give a file another name in another folder on the same disk; nobody ever changes it.

        Parameters
        ----------
        other : DataFiles
        name : str

        Returns
        -------
        bool
            False where that cannot be, as between two disks.

        Raises
        ------
        MissingFile
            When the file is not there.
        """
        if not (self.is_local and other.is_local):
            return False
        path, target = self._path(name), other._path(name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            os.link(path, target)
        except FileNotFoundError as error:
            raise MissingFile(f"the data file {path} of the store is not there") from error
        except OSError:
            return False
        return True

    @contextlib.contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        """Translate what an object store says, or the libraries that ask it."""
        try:
            yield
        except DatabrokerError:
            raise
        except FileNotFoundError as error:
            raise MissingFile(f"the data file {path} of the store is not there") from error
        except PermissionError as error:
            raise NotWritable(
                f"{path} may not be read or written: {error}; are these the right credentials?"
            ) from error
        except Exception as error:
            said = str(error).strip() or type(error).__name__
            raise Unreachable(f"the object store of {path} does not answer: {said}; can it be reached?") from error


def _put(path: str, content: Any) -> None:
    """Write a file beside its place, and move it there."""
    temporary = f"{path}.{secrets.token_hex(4)}.part"
    try:
        holders = make_folder(os.path.dirname(path))
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        for holder in holders:
            sync_folder(holder)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _written(about: dict[str, Any]) -> float:
    written = about.get("LastModified") or about.get("created") or about.get("mtime") or 0.0
    return float(written.timestamp()) if hasattr(written, "timestamp") else float(written)


def _not_writable(path: str, error: OSError) -> NotWritable:
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None))
    advice = "make room, and try again" if full else "choose a folder that can be written to"
    return NotWritable(f"{path} cannot be written: {error.strerror or error}; {advice}")
