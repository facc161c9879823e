"""Where the links in an HDF5 file lead: followed inside of it, and never out of what is served."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from databroker_like.files.hdf5 import open_file
from databroker_like.nodes.files._place import Place

__all__ = [
    "Found",
    "Inside",
    "address_of",
    "addresses_above",
    "follow",
    "is_above",
    "leads_outside",
    "sources_of",
]

#: More links after one another lead nowhere.
_MOST_LINKS = 64
#: So deep virtual datasets are made of one another.
_MOST_LEVELS = 4


@dataclass(frozen=True)
class Inside:
    """A path in another file.

    Parameters
    ----------
    file : str
        As the link says it.
    path : tuple of str
    """

    file: str
    path: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What a path leads to: an object of this file, a place in another, or nothing, and why.

    Parameters
    ----------
    object : h5py.HLObject, optional
    elsewhere : Inside, optional
    problem : str, optional
    """

    object: Any = None
    elsewhere: Inside | None = None
    problem: str | None = None


def follow(file: Any, path: Sequence[str]) -> Found:
    """What a path in an open file leads to.

    HDF5 itself would follow a link into any file that the process may read; so each part of the path is looked at.

    Parameters
    ----------
    file : h5py.File
    path : sequence of str

    Returns
    -------
    Found

    Examples
    --------
    >>> import h5py, io
    >>> with h5py.File(io.BytesIO(), "w") as file:
    ...     file["a/b"] = 1
    ...     file["c"] = h5py.SoftLink("/a")
    ...     file["d"] = h5py.ExternalLink("/there/secret.h5", "/x")
    ...     follow(file, ["c", "b"]).object.name, follow(file, ["d", "y"]).elsewhere
    ('/a/b', Inside(file='/there/secret.h5', path=('x', 'y')))
    """
    import h5py

    waiting = list(reversed(path))
    groups = [file["/"]]
    links = 0
    while waiting:
        name = waiting.pop()
        here = groups[-1]
        if not isinstance(here, h5py.Group):
            return Found(problem="is not there")
        if name in ("", "."):
            continue
        link = here.get(name, getlink=True)
        if link is None:
            return Found(problem="is not there")
        if isinstance(link, h5py.HardLink):
            groups.append(here[name])
            continue
        links += 1
        if links > _MOST_LINKS:
            return Found(problem="is a link that leads in a circle")
        parts = [part for part in link.path.split("/") if part]
        if isinstance(link, h5py.ExternalLink):
            return Found(elsewhere=Inside(link.filename, (*parts, *reversed(waiting))))
        if not isinstance(link, h5py.SoftLink):
            return Found(problem="is a link of a kind that is not followed")
        if link.path.startswith("/"):
            groups = groups[:1]
        waiting.extend(reversed(parts))
    return Found(groups[-1])


def is_above(file: Any, path: Sequence[str], thing: Any) -> bool:
    """Whether a thing is one of the groups that lie on the way to a path: a link to it would be followed without end.

    Parameters
    ----------
    file : h5py.File
    path : sequence of str
    thing : h5py.HLObject or None
        What the path leads to.

    Returns
    -------
    bool

    Examples
    --------
    >>> import h5py, io
    >>> with h5py.File(io.BytesIO(), "w") as file:
    ...     file["a/b"] = 1
    ...     file["a/up"] = h5py.SoftLink("/")
    ...     [is_above(file, ["a", name], file["a"][name]) for name in ("b", "up")]
    [False, True]
    """
    import h5py

    if not isinstance(thing, h5py.Group):
        return False
    return any(follow(file, path[:depth]).object == thing for depth in range(len(path)))


def address_of(place: Place, thing: Any) -> tuple[str, int] | None:
    """Where a group is, in whichever of several files; None for what is no group.

    Parameters
    ----------
    place : Place
        The file that it is in.
    thing : h5py.HLObject or None

    Returns
    -------
    tuple of str and int, or None
    """
    import h5py

    if not isinstance(thing, h5py.Group):
        return None
    return os.path.realpath(place.path), int(h5py.h5o.get_info(thing.id).addr)


def addresses_above(file: Any, place: Place, path: Sequence[str], entered: int) -> frozenset[tuple[str, int]]:
    """Where the groups are that lie on the way to a path, from where the way comes into the file.

    Parameters
    ----------
    file : h5py.File
    place : Place
        Of the file.
    path : sequence of str
    entered : int
        How long the path is there.

    Returns
    -------
    frozenset of (str, int)
    """
    found = (address_of(place, follow(file, path[:depth]).object) for depth in range(entered, len(path)))
    return frozenset(address for address in found if address is not None)


def leads_outside(dataset: Any, place: Place, *, _depth: int = 0) -> str | None:
    """Why the data of a dataset is not read: it lies in other files, and these are not served.

    Parameters
    ----------
    dataset : h5py.Dataset
    place : Place
        The file that the dataset is in.

    Returns
    -------
    str or None
    """
    # HDF5 looks for these where the process was started, which is nowhere in particular.
    if dataset.external and not all(os.path.isabs(name) and place.beside(name) for name, _, _ in dataset.external):
        return "has its data in a file that is not served"
    if not dataset.is_virtual:
        return None
    if _depth > _MOST_LEVELS:
        return "is made of data that is made of data, too many times"
    for name, inside in sorted({(source.file_name, source.dset_name) for source in dataset.virtual_sources()}):
        source = place if name == "." else place.beside(name)
        if source is None:
            return "is made of data in a file that is not served"
        if source.stamp() is None:
            # What is not there is filled in, unless HDF5 finds it where the process was started.
            if os.path.exists(name):
                return "is made of data in a file that is not served"
            continue
        problem = _source_problem(dataset.file if name == "." else None, source, inside, _depth)
        if problem is not None:
            return problem
    return None


def sources_of(dataset: Any, place: Place) -> tuple[Place, ...]:
    """The other files that a virtual dataset is made of, of those that are served.

    Parameters
    ----------
    dataset : h5py.Dataset
    place : Place
        The file that the dataset is in.

    Returns
    -------
    tuple of Place
    """
    if not dataset.is_virtual:
        return ()
    names = sorted({source.file_name for source in dataset.virtual_sources()} - {"."})
    return tuple(source for source in map(place.beside, names) if source is not None)


def _source_problem(file: Any, place: Place, inside: str, depth: int) -> str | None:
    import h5py

    # Through the library alone: the files that are kept open are waited for, and this one may be the one in use.
    with contextlib.nullcontext(file) if file is not None else open_file(place.path) as opened:
        found = follow(opened, inside.split("/"))
        if found.elsewhere is not None:
            return "is made of data to which a link leads from file to file"
        if not isinstance(found.object, h5py.Dataset):
            return None
        return leads_outside(found.object, place, _depth=depth + 1)
