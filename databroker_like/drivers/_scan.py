"""Which files there are now: one pass over each folder, with what tells that a file has changed."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator
from fnmatch import translate
from typing import NamedTuple

__all__ = ["Listing", "Pattern", "Scan", "Signature", "is_still", "parse_paths", "scan", "signature"]


class Signature(NamedTuple):
    """What is other when a file is another one, or has been changed; times in nanoseconds.

    The time of the last status change is among them because a copy may keep the time of modification.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    def is_fresh(self, now_ns: int) -> bool:
        """Whether the file may change again without its times showing it, because clocks tick coarsely."""
        latest = max(self.mtime_ns, self.ctime_ns)
        tick = 2_000_000_000 if latest % 1_000_000_000 == 0 else 20_000_000
        return latest > now_ns - tick


#: Folder -> file name -> the fields of its signature, as a plain tuple: there are many.
Listing = dict[str, dict[str, tuple[int, ...]]]


class Pattern(NamedTuple):
    """Where files are looked for.

    Parameters
    ----------
    folder : str
        Absolute; may hold wildcards only when ``name`` is None.
    name : str or None
        The pattern of file names in that folder; None when ``folder`` is a pattern of whole paths.
    """

    folder: str
    name: str | None

    @property
    def is_literal(self) -> bool:
        """Whether it stands for one file."""
        return self.name is not None and not glob.has_magic(self.name)

    def takes(self, name: str) -> bool:
        """Whether a file of this name in the folder would be found."""
        return self.name is not None and re.fullmatch(translate(self.name), name) is not None


def parse_paths(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], suffixes: Iterable[str]
) -> list[Pattern]:
    """Paths as written in a catalog, as patterns.

    Parameters
    ----------
    paths : str, path, or list of them
        Files, folders, and patterns with ``*``, ``?``, ``[...]`` and ``**``. A folder stands for the files in it
        that have one of the ``suffixes``.
    suffixes : iterable of str

    Returns
    -------
    list of Pattern

    Examples
    --------
    >>> parse_paths("/data/*.jsonl", [".jsonl"])
    [Pattern(folder='/data', name='*.jsonl')]
    """
    found = []
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        text = os.fspath(path).removeprefix("file://")
        text = os.path.abspath(os.path.expanduser(text)) + (os.sep if text.endswith(os.sep) else "")
        folder, name = os.path.split(text)
        if not name or (not glob.has_magic(text) and os.path.isdir(text)):
            found += [Pattern(text.rstrip(os.sep) or os.sep, "*" + suffix) for suffix in suffixes]
        elif glob.has_magic(folder) or "**" in name:
            found.append(Pattern(text, None))
        else:
            found.append(Pattern(folder, name))
    return found


class Scan(NamedTuple):
    """What one pass found.

    Parameters
    ----------
    listing : dict of folder -> dict of name -> Signature
    is_plain : bool
        Whether each file is in its folder only: no links, by which it could be changed from elsewhere.
    """

    listing: Listing
    is_plain: bool


def scan(patterns: Iterable[Pattern]) -> Scan:
    """The files there are now.

    Parameters
    ----------
    patterns : iterable of Pattern

    Returns
    -------
    Scan
    """
    is_plain = True
    listing: Listing = {}
    names_of: dict[str, list[str]] = {}
    for folder, name in patterns:
        if name is None:
            is_plain = False
            for path in _found(folder):
                base, file = os.path.split(path)
                names_of.setdefault(base, []).append(file)
        else:
            names_of.setdefault(folder, []).extend(_matching(folder, name) if glob.has_magic(name) else [name])
    for folder, names in names_of.items():
        listing[folder], linked = _signatures(folder, names)
        is_plain = is_plain and not linked
    return Scan(listing, is_plain)


def _found(pattern: str) -> Iterator[str]:
    """The paths that a pattern of whole paths matches; a folder that links lead to again is entered once."""
    before, stars, after = f"{pattern}/*".partition("/**/") if pattern.endswith("/**") else pattern.partition("/**/")
    if not stars:
        yield from glob.iglob(pattern)
        return
    entered: set[tuple[int, int]] = set()
    for base in glob.iglob(before) if before else ["/"]:
        for folder, folders, _ in os.walk(base, followlinks=True):
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in entered:
                folders.clear()
                continue
            entered.add((status.st_dev, status.st_ino))
            folders[:] = sorted(name for name in folders if name[0] != ".")
            yield from _found(os.path.join(glob.escape(folder), after))


def _matching(folder: str, pattern: str) -> list[str]:
    """The names in a folder that match."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
    suffix = pattern[1:]
    if pattern[0] == "*" and not glob.has_magic(suffix):
        return [name for name in names if name.endswith(suffix) and name[0] != "."]
    match = re.compile(translate(pattern)).match
    return [name for name in names if match(name) and (name[0] != "." or pattern[0] == ".")]


def _signatures(folder: str, names: list[str]) -> tuple[dict[str, tuple[int, ...]], bool]:
    """Name -> signature of the files that are there; whether any is a link, or has another name as well."""
    found: dict[str, tuple[int, ...]] = {}
    linked = False
    try:
        # Relative to an open folder a name is looked up in one step.
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return found, linked
    relative = descriptor if os.stat in os.supports_dir_fd else None
    base = folder if relative is None else ""
    is_regular, lstat, join = stat.S_ISREG, os.lstat, os.path.join
    try:
        for name in names:
            try:
                status = lstat(join(base, name) if base else name, dir_fd=relative)
                if not is_regular(status.st_mode):
                    if not stat.S_ISLNK(status.st_mode):
                        continue
                    linked = True
                    status = os.stat(join(base, name), dir_fd=relative)
                    if not is_regular(status.st_mode):
                        continue
            except OSError:  # deleted since, or a link to nowhere
                continue
            found[name] = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            if status.st_nlink > 1:
                linked = True
    finally:
        os.close(descriptor)
    return found, linked


def is_still(path: str, sign: tuple[int, ...]) -> bool:
    """Whether a file is there and has this signature; asked often, and so without making one."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return sign == (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def signature(path: str) -> Signature | None:
    """What one file is now; None when it is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Signature(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
