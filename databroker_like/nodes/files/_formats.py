"""By their names: of which format files are, which of them belong together, and by which key each is asked for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import MappingProxyType

__all__ = ["Entry", "entries_of"]

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
        ".zarr.zip": "zarr",
    }
)
#: The formats of which numbered files are one array together.
_NUMBERED = frozenset({"tiff", "npy", "jpeg", "png"})
_NUMBER = re.compile(r"(.*?)(\d+)", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """What is shown of a folder under one key.

    Parameters
    ----------
    key : str
    format : str
        ``"folder"``, or the name of a format.
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
    found: list[tuple[str, Entry]] = []
    numbered: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for name in files:
        stem, form = _split(name)
        if form is None:
            continue
        number = _NUMBER.fullmatch(stem) if form in _NUMBERED else None
        if number is None:
            found.append((stem, Entry(name, form, (name,))))
        else:
            numbered.setdefault((number[1], form), []).append((int(number[2]), name))
    for name in folders:
        stem, form = _split(name)
        is_zarr = form == "zarr" and not name.lower().endswith(".zip")
        found.append((stem, Entry(name, "zarr", (name,))) if is_zarr else (name, Entry(name, "folder", (name,))))
    for (prefix, form), numbers in numbered.items():
        names = tuple(name for _, name in sorted(numbers))
        # The full name of numbered files that would be taken for others says what they are.
        found.append((prefix or form, Entry(f"{prefix}.{form}", form, names, True)))
    return sorted(_keyed(found), key=lambda entry: entry.key)


def _split(name: str) -> tuple[str, str | None]:
    """The name without the ending that says the format, and the format; None when it says none."""
    lower = name.lower()
    for length in (2, 1):
        parts = lower.rsplit(".", length)
        suffix = "." + ".".join(parts[1:])
        if len(parts) == length + 1 and parts[0] and suffix in _SUFFIXES:
            return name[: -len(suffix)], _SUFFIXES[suffix]
    return name, None


def _keyed(found: list[tuple[str, Entry]]) -> list[Entry]:
    """Entries under short keys, where they have them alone, and else under those that they came with."""
    keys = [short for short, _ in found]
    # A full name may be the short key of yet another; then that one has its full name too.
    while True:
        counts = Counter(keys)
        shared = [
            at for at, (key, (_, entry)) in enumerate(zip(keys, found, strict=True)) if _is_shared(counts, key, entry)
        ]
        if not shared:
            break
        for at in shared:
            keys[at] = found[at][1].key
    return [replace(entry, key=key) for key, (_, entry) in zip(keys, found, strict=True)]


def _is_shared(counts: Counter[str], key: str, entry: Entry) -> bool:
    return counts[key] > 1 and key != entry.key
