"""Whether anything can have changed in some folders since they were last looked through.

Asking the times of 10 000 files takes longer than everything else a search does. Linux tells of each change to the
files of a folder as it happens (inotify); as long as it has told of none, there is none. Where that cannot be relied
upon (another system, a network file system, links to files elsewhere) nothing is claimed, and the files are asked.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import weakref
from collections.abc import Iterable
from typing import Any

__all__ = ["Watch"]

_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "f2fs", "zfs", "jfs", "bcachefs", "overlay"})
_CHANGES = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800  # modify ... move_self
_MOST_FOLDERS = 64
_TRUSTED_S = 10.0  # memory-mapped writes are not told of: look for oneself now and then


class Watch:
    """Is told by the system of changes to the files in some folders.

    Parameters
    ----------
    folders : iterable of str
        Absolute paths.

    Examples
    --------
    >>> watch = Watch(["/no/such/folder"])
    >>> watch.is_quiet()
    False
    """

    def __init__(self, folders: Iterable[str]) -> None:
        self.folders = frozenset(folders)
        self._descriptor = _watch(self.folders)
        self._until = 0.0
        self._process = os.getpid()
        self._identities: dict[str, tuple[int, int] | None] = {}
        if self._descriptor is not None:
            weakref.finalize(self, os.close, self._descriptor)

    @property
    def is_reliable(self) -> bool:
        """Whether the system tells of changes there."""
        return self._descriptor is not None

    def settle(self) -> None:
        """Begin: what the system has told of up to now is about to be looked at."""
        self._drain()
        self._identities = {folder: _identity(folder) for folder in self.folders}
        self._until = time.monotonic() + _TRUSTED_S

    def is_quiet(self) -> bool:
        """Whether nothing has changed since `settle`."""
        if self._descriptor is None or self._process != os.getpid() or time.monotonic() > self._until:
            return False
        # A folder that was moved away with all that is above it does not tell.
        if self._drain() or any(_identity(folder) != self._identities.get(folder) for folder in self.folders):
            self._until = 0.0
            return False
        return True

    def _drain(self) -> bool:
        """Take what the system has told; whether there was anything."""
        told = False
        if self._descriptor is not None:
            with contextlib.suppress(BlockingIOError):
                while os.read(self._descriptor, 1 << 16):
                    told = True
        return told


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _watch(folders: frozenset[str]) -> int | None:
    if not sys.platform.startswith("linux") or not folders or len(folders) > _MOST_FOLDERS:
        return None
    if not all(_is_local(folder) for folder in folders):
        return None
    import ctypes

    libc: Any = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
    if descriptor < 0:  # the user's limit is reached
        return None
    for folder in folders:
        if libc.inotify_add_watch(descriptor, os.fsencode(folder), ctypes.c_uint32(_CHANGES)) < 0:
            os.close(descriptor)
            return None
    return int(descriptor)


def _is_local(folder: str) -> bool:
    """Whether all changes to a folder go through this system."""
    best, kind = "", ""
    real = os.path.realpath(folder)
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                before, _, after = line.partition(" - ")
                mount = before.split(" ")[4].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
                if (real == mount or real.startswith(mount.rstrip("/") + "/")) and len(mount) >= len(best):
                    best, kind = mount, after.split(" ")[0]
    except (OSError, IndexError):
        return False
    return kind in _LOCAL
