"""What a format's library raises, said once in our words: which file, what is wrong, what to do."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from databroker_like.errors import DatabrokerError, InvalidFile, MissingFile, NotWritable

__all__ = ["reading"]


@contextlib.contextmanager
def reading(path: str, what: str, *troubles: type[Exception]) -> Iterator[None]:
    """Translate the errors of a library that reads a file.

    Parameters
    ----------
    path : str
        The file.
    what : str
        What it should be, with an article: ``"an HDF5 file"``.
    *troubles : exception classes
        What the library raises, besides OSError, when it cannot make sense of the file.

    Raises
    ------
    MissingFile
        The file is not there.
    NotWritable
        It may not be read.
    InvalidFile
        It is not what it should be.

    Examples
    --------
    >>> with reading("/nowhere/a.h5", "an HDF5 file"):
    ...     open("/nowhere/a.h5")
    Traceback (most recent call last):
    databroker_like.errors.MissingFile: there is no file '/nowhere/a.h5', which should be an HDF5 file; ...
    """
    try:
        yield
    except DatabrokerError:
        raise
    except Exception as error:
        if not isinstance(error, (OSError, *troubles)):
            raise
        raise _translated(path, what, error) from error


def _translated(path: str, what: str, error: BaseException) -> DatabrokerError:
    reason = str(error).strip() or type(error).__name__
    if not os.path.exists(path):
        parent = os.path.dirname(path) or "."
        where = f"the folder {parent!r} is there" if os.path.isdir(parent) else f"nor is there a folder {parent!r}"
        missing = MissingFile(
            f"there is no file {path!r}, which should be {what}; {where}: "
            "has it moved (give root_map), or is its disk not mounted?"
        )
        missing.filename = path
        return missing
    if isinstance(error, PermissionError) or not os.access(path, os.R_OK):
        return NotWritable(f"{path!r} may not be read by this user; ask its owner for permission to read it")
    if os.path.isfile(path) and os.path.getsize(path) == 0:
        reason = "it is empty"
    return InvalidFile(
        f"{path!r} cannot be read as {what}: {reason}; was it cut short, or is it still being written, "
        "or of another format?"
    )
