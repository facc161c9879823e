"""Folders that are still there after a power cut."""

from __future__ import annotations

import errno
import os

__all__ = ["make_folder", "sync_folder"]

_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


def make_folder(folder: str) -> list[str]:
    """Make a folder, unless it is there.

    Parameters
    ----------
    folder : str

    Returns
    -------
    list of str
        The folders in which something is new once a file is in it, the innermost first: what `sync_folder` is for.

    Examples
    --------
    >>> import tempfile
    >>> root = tempfile.mkdtemp()
    >>> [path.removeprefix(root) for path in make_folder(root + "/a/b")]
    ['/a/b', '/a', '']
    """
    holders = [folder]
    while not os.path.isdir(holders[-1]):
        above = os.path.dirname(os.path.abspath(holders[-1]))
        if above == holders[-1]:
            break
        holders.append(above)
    os.makedirs(folder, exist_ok=True)
    return holders


def sync_folder(folder: str) -> None:
    """Force to the disk which files a folder has; nothing happens where a file system has nothing to force.

    Parameters
    ----------
    folder : str
    """
    descriptor = os.open(folder, os.O_RDONLY | _CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
