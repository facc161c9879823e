"""Replies that become files: whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from databroker_like.errors import MissingFile, NotWritable, ServiceFailed, WrongType

if TYPE_CHECKING:
    import httpx

__all__ = ["Into", "to_file"]


class Into:
    """A reply written to an open file; begun anew when the connection broke, taken back when it fails.

    Parameters
    ----------
    file : binary file

    Raises
    ------
    WrongType
        When it is a file of text.
    """

    def __init__(self, file: Any) -> None:
        if isinstance(file, io.TextIOBase) or not callable(getattr(file, "write", None)):
            raise WrongType(f"what is exported are bytes: give a path, or a file opened as binary, not {file!r:.100}")
        self._file = file
        seekable = getattr(file, "seekable", None)
        self._start: int | None = file.tell() if seekable is not None and seekable() else None
        self._begun = False

    def __call__(self, response: httpx.Response) -> None:
        if self._begun:
            if self._start is None:
                raise ServiceFailed("the connection broke, and what was written to the stream cannot be taken back")
            self.take_back()
        self._begun = True
        for part in response.iter_bytes():
            self._file.write(part)

    def take_back(self) -> None:
        """Leave the file as it was, as far as that can be done."""
        if self._begun and self._start is not None:
            self._file.seek(self._start)
            self._file.truncate()


def to_file(path: str | os.PathLike[str], write: Callable[[IO[bytes]], None]) -> None:
    """A file that is there whole or not at all.

    Parameters
    ----------
    path : path
        What is there is replaced when the new one is whole.
    write : callable
        Takes the open file.

    Raises
    ------
    MissingFile
        When there is no folder for it.
    NotWritable
        When there can be no new file in the folder.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.bin")
    ...     to_file(path, lambda file: file.write(b"all of it"))
    ...     path.read_bytes(), len(os.listdir(folder))
    (b'all of it', 1)
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFile(f"there is no folder {str(path.parent)!r} for {path.name!r}; make it first") from None
    except OSError as error:
        said = error.strerror or type(error).__name__
        raise NotWritable(f"{str(path)!r} cannot be written: {said}") from error
    try:
        with open(handle, "wb") as file:
            write(file)
        # The rights that any new file gets, not those of a private one.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
