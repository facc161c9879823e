"""Folders in which something is made before it has its name; those of processes that were killed are cleared away."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator

__all__ = ["part_of"]

#: How often another name is tried because somebody took the folder for left behind before it was held.
_TRIES = 10


@contextlib.contextmanager
def part_of(path: str) -> Iterator[str]:
    """A folder beside a path, to be renamed to it; what still has its own name in the end is deleted.

    Where the system has locks, it is held meanwhile; those beside it that nobody holds are of processes that were
    killed, and are deleted.

    Parameters
    ----------
    path : str

    Returns
    -------
    context manager of str

    Raises
    ------
    OSError
        When it cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with part_of(os.path.join(folder, "backup")) as part:
    ...     os.path.isdir(part), os.path.basename(part)[:7], part[-5:]
    (True, 'backup.', '.part')
    >>> os.listdir(folder)
    []
    """
    part, held = _made(path)
    try:
        if held is not None:
            _clear(path, part)
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if held is not None:
            os.close(held)


def _made(path: str) -> tuple[str, int | None]:
    """A new folder, and what holds it: None where the system has no locks."""
    for attempt in range(1, _TRIES + 1):
        part = f"{path}.{secrets.token_hex(4)}.part"
        os.makedirs(part)
        try:
            held = _hold(part)
            if held is None or os.path.isdir(part):
                return part, held
            os.close(held)
        except (BlockingIOError, FileNotFoundError):
            # Somebody who clears up found it before it was held.
            if attempt == _TRIES:
                raise
    raise FileNotFoundError(f"{part} was deleted by another process")


def _hold(folder: str) -> int | None:
    """Hold a folder until what is returned is closed, or the process ends; BlockingIOError when somebody else does."""
    try:
        import fcntl
    except ImportError:  # a system without such locks
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:  # a file system without them: what is left could be somebody's work
        os.close(descriptor)
        return None
    return descriptor


def _clear(path: str, mine: str) -> None:
    """Delete what processes that were killed left beside a path."""
    folder, name = os.path.split(os.path.abspath(path))
    left = re.compile(re.escape(name) + r"\.[0-9a-f]{8}\.part")
    with contextlib.suppress(OSError):
        for other in os.listdir(folder):
            there = os.path.join(folder, other)
            if not left.fullmatch(other) or other == os.path.basename(mine) or os.path.islink(there):
                continue
            with contextlib.suppress(OSError):
                held = _hold(there)
                if held is not None:
                    try:
                        shutil.rmtree(there, ignore_errors=True)
                    finally:
                        os.close(held)
