"""By their names: of which format files are, which of them belong together, and by which key each is asked for."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["NAMELESS", "Entry", "entries_of", "keys_of"]

#: The format of what has a name that is no text.
NAMELESS = "nameless"
_PACKED = ".zarr.zip"
#: How a name ends -> the format. A folder ends so too when it is a Zarr store.
_SUFFIXES = MappingProxyType(
    {
        ".h5": "hdf5",
        ".hdf5": "hdf5",
        ".hdf": "hdf5",
        ".nxs": "hdf5",
        ".tif": "tiff",
        ".tiff": "tiff",
        ".npy": "npy",
        ".csv": "csv",
        ".parquet": "parquet",
        ".arrow": "arrow",
        ".arrows": "arrow",
        ".feather": "arrow",
        ".xlsx": "excel",
        ".xlsm": "excel",
        ".jpg": "jpeg",
        ".jpeg": "jpeg",
        ".png": "png",
        ".zarr": "zarr",
        _PACKED: "zarr",
    }
)
#: The formats of which numbered files are one array together.
_NUMBERED = frozenset({"tiff", "npy", "jpeg", "png"})
_NUMBER = re.compile(r"(.*?)(\d+)", re.ASCII | re.DOTALL)


class Entry(NamedTuple):
    """What is shown of a folder under one key.

    Parameters
    ----------
    key : str
    format : str
        ``"folder"``, the name of a format, or `NAMELESS`.
    names : tuple of str
        The file or folder; of numbered files all, by their numbers.
    numbered : bool
        Whether they are numbered files, which are one array together; False by default.
    """

    key: str
    format: str
    names: tuple[str, ...]
    numbered: bool = False


def entries_of(files: Iterable[str], folders: Iterable[str]) -> list[Entry]:
    """What a folder shows.

    Parameters
    ----------
    files, folders : iterable of str
        The names of what is in it.

    Returns
    -------
    list of Entry
        By their keys. A key is the name without the ending that says the format; where two would have the same, both
        have their full names. Numbered files have what stands before the number. Files of other formats are left out.
        What has a name that is no text, and so cannot be in a URL, has ``\\xe4`` in its key for each byte that is none.

    Examples
    --------
    >>> for entry in entries_of(["a.h5", "b.npy", "b.csv", "i_1.tif", "i_2.tif", "notes.txt"], ["c.zarr", "sub"]):
    ...     print(entry.key, entry.format, len(entry.names))
    a hdf5 1
    b.csv csv 1
    b.npy npy 1
    c zarr 1
    i_ tiff 2
    sub folder 1
    """
    # The keys that each would have, the shortest first; the last is the name of a file, which no other has.
    wishes: list[tuple[str, ...]] = []
    found: list[Entry] = []
    numbered: dict[tuple[str, str], list[tuple[int, str]]] = {}
    nameless: list[str] = []
    for name in files:
        stem, form = _split(name)
        if form is None:
            continue
        if not _is_text(name):
            nameless.append(name)
            continue
        number = _NUMBER.fullmatch(stem) if form in _NUMBERED else None
        if number is None:
            wishes.append((stem, name))
            found.append(Entry(name, form, (name,)))
        else:
            numbered.setdefault((number[1], form), []).append((int(number[2]), name))
    for name in folders:
        if not _is_text(name):
            nameless.append(name)
            continue
        stem, form = _split(name)
        is_zarr = form == "zarr" and not name.lower().endswith(".zip")
        wishes.append((stem, name) if is_zarr else (name,))
        found.append(Entry(name, "zarr" if is_zarr else "folder", (name,)))
    for (prefix, form), numbers in numbered.items():
        names = tuple(name for _, name in sorted(numbers))
        wishes.append((prefix or form, f"{prefix}.{form}", names[0]))
        found.append(Entry(names[0], form, names, True))
    entries = [entry._replace(key=key) for key, entry in zip(keys_of(wishes), found, strict=True)]
    return sorted([*entries, *_nameless(nameless, {entry.key for entry in entries})])


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _nameless(names: Iterable[str], taken: set[str]) -> Iterator[Entry]:
    """What has names that are no text, each under a key that nothing else has."""
    for name in sorted(names):
        key = os.fsencode(_split(name)[0]).decode("utf-8", "backslashreplace")
        while key in taken:
            key += "'"
        taken.add(key)
        yield Entry(key, NAMELESS, (name,))


def _split(name: str) -> tuple[str, str | None]:
    """The name without the ending that says the format, and the format; None when it says none."""
    lower = name.lower()
    at = lower.rfind(".")
    if lower.endswith(_PACKED):
        at = len(lower) - len(_PACKED)
    form = _SUFFIXES.get(lower[at:]) if at > 0 else None
    return (name, None) if form is None else (name[:at], form)


def keys_of(wishes: Sequence[tuple[str, ...]]) -> list[str]:
    """For each the first of its wishes that no other has.

    Parameters
    ----------
    wishes : sequence of tuple of str
        The last of each is one that no other has.

    Returns
    -------
    list of str

    Examples
    --------
    >>> keys_of([("a", "a.jpg"), ("b", "b.jpg"), ("a", "a.jpeg")])
    ['a.jpg', 'b', 'a.jpeg']
    """
    keys = [wish[0] for wish in wishes]
    levels: dict[int, int] = {}
    while len(counts := Counter(keys)) < len(keys):
        for at, wish in enumerate(wishes):
            if counts[keys[at]] > 1 and (level := levels.get(at, 0) + 1) < len(wish):
                keys[at], levels[at] = wish[level], level
    return keys
