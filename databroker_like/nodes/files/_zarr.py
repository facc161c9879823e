"""Zarr stores, of version 2 and 3: groups as containers, arrays as arrays."""

from __future__ import annotations

import contextlib
import functools
import os
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from databroker_like.errors import DatabrokerError, InvalidFile, listed
from databroker_like.files._zarr_chunks import ChunkFiles
from databroker_like.files.zarr import ZarrArray, open_store
from databroker_like.nodes._broken import BrokenNode
from databroker_like.nodes._node import Node
from databroker_like.nodes._sources import DataSource
from databroker_like.nodes.files._arrays import FileArray
from databroker_like.nodes.files._attributes import attributes
from databroker_like.nodes.files._groups import FileGroup
from databroker_like.nodes.files._place import Place, lasting
from databroker_like.registry import require

__all__ = ["ZarrGroup", "looks_like_zarr", "zarr_node", "zarr_stamp"]

_WHAT = "a Zarr array or group"
_MEDIA_TYPE = "application/x-zarr"
_MARKS = ("zarr.json", ".zarray", ".zgroup")
_DESCRIPTIONS = (*_MARKS, ".zattrs", ".zmetadata")
#: When a store has more files, whether one of them has changed is not known.
_MOST_FILES = 5_000


def looks_like_zarr(path: str) -> bool:
    """Whether a folder is a Zarr store, whatever its name.

    Parameters
    ----------
    path : str

    Returns
    -------
    bool
    """
    return any(os.path.isfile(os.path.join(path, mark)) for mark in _MARKS)


def zarr_stamp(place: Place, inside: str = "") -> Any:
    """What changes when any file of a store does; None when it has too many to tell.

    Parameters
    ----------
    place : Place
    inside : str
        The path of an array or a group in it; all of it by default.

    Returns
    -------
    tuple of int, or None
    """
    path = os.path.join(place.path, inside)
    if not os.path.isdir(path):
        return place.stamp()
    newest = size = count = places = 0
    waiting = [path]
    while waiting:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(waiting.pop()) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    continue
                said = entry.stat()
                newest, size, count = max(newest, said.st_mtime_ns), size + said.st_size, count + 1
                # A file that takes the place of another with an older time is another all the same.
                places = (places + said.st_ino * 1_000_003 ^ said.st_mtime_ns) & ((1 << 62) - 1)
                if count > _MOST_FILES:
                    return None
    return (newest, size, count, places)


def metadata_stamp(place: Place, inside: str) -> Any:
    """What changes when the description of an array or a group does.

    Parameters
    ----------
    place : Place
    inside : str

    Returns
    -------
    tuple
    """
    if not os.path.isdir(place.path):
        return place.stamp()
    here = place.inside(inside) if inside else place
    return (here.stamp(), *(here.inside(mark).stamp() for mark in _DESCRIPTIONS))


def zarr_node(place: Place, inside: str = "") -> Node:
    """What is at a path in a store.

    Parameters
    ----------
    place : Place
    inside : str
        The root by default.

    Returns
    -------
    Node

    Raises
    ------
    DatabrokerError
        When it cannot be read.
    """
    zarr = require("zarr", "read Zarr arrays")
    with place.border(_WHAT), contextlib.closing(_store(place)) as store:
        found = _found(store, place, inside)
        said = attributes(list(found.attrs), dict(found.attrs).__getitem__)
        if isinstance(found, zarr.Group):
            return ZarrGroup(place, inside, _members(place, inside), said)
        array = ServedZarr(place, inside)
        array._known = array._describe(found)
        dims = _dims(found, said)
    return FileArray(
        array,
        place,
        _WHAT,
        version=lambda: lasting(zarr_stamp(place, inside)),
        source=_source(place, inside),
        metadata=said,
        dims=dims,
    )


def _found(store: Any, place: Place, inside: str) -> Any:
    """The array or group at a path in a store; `InvalidFile` when the store is there and has none."""
    zarr = require("zarr", "read Zarr arrays")
    try:
        return zarr.open(store=store, path=inside or None, mode="r", use_consolidated=False)
    except FileNotFoundError as error:
        if place.stamp() is None:
            raise
        raise InvalidFile(
            f"there is no Zarr array or group in {place.name!r}: none of {listed(_MARKS)} is there; is it still being "
            "written?"
        ) from error


def _members(place: Place, inside: str) -> list[str]:
    """The names of the arrays and groups in a group; none of them is looked into."""
    if os.path.isdir(place.path):
        here = place.inside(inside) if inside else place
        with os.scandir(here.path) as found:
            names = [entry.name for entry in found if entry.is_dir() and here.inside(entry.name).stamp() is not None]
        return sorted(name for name in names if looks_like_zarr(os.path.join(here.path, name)))
    depth = len(inside.split("/")) if inside else 0
    with zipfile.ZipFile(place.path) as package:
        parts = [name.split("/") for name in package.namelist() if not inside or name.startswith(f"{inside}/")]
    return sorted({part[depth] for part in parts if len(part) == depth + 2 and part[-1] in _MARKS})


class ServedZarr(ZarrArray):
    """An array in a store whose links lead nowhere out of what is served.

    Parameters
    ----------
    place : Place
    dataset : str
    """

    def __init__(self, place: Place, dataset: str) -> None:
        super().__init__(place.path, dataset)
        self._place = place
        #: The array as it was opened last, and of what state its description was.
        self._opened: tuple[Any, Any] | None = None
        self._known_chunks: tuple[Any, ChunkFiles | None] | None = None

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        zarr = require("zarr", "read Zarr arrays")
        if not os.path.isdir(self._place.path):
            with contextlib.closing(_store(self._place)) as store:
                yield self._array(zarr, store)
            return
        # Nothing of a folder is kept open; its description is read again when it has changed, or may have.
        stamp, opened = lasting(metadata_stamp(self._place, self.dataset)), self._opened
        if stamp is None or opened is None or opened[0] != stamp:
            opened = self._opened = (stamp, self._array(zarr, _store(self._place)))
        yield opened[1]

    def _chunk_files(self, handle: Any) -> ChunkFiles | None:
        known = self._known_chunks
        if known is None or known[0] is not handle:
            known = self._known_chunks = (handle, super()._chunk_files(handle))
        return known[1]

    def _may_read(self, path: str) -> bool:
        return self._place.served.is_inside(path)


def _store(place: Place) -> Any:
    """The folder or zip file of a store, only for reading."""
    if not os.path.isdir(place.path):
        # What zarr says of a file that is no zip file is about itself.
        zipfile.ZipFile(place.path).close()
        return open_store(require("zarr", "read Zarr arrays"), place.path)
    store = _inside_store()(place.path, read_only=True)
    store.place = place
    return store


@functools.cache
def _inside_store() -> Any:
    """The class of stores in folders of which no file is read that lies elsewhere; made when zarr is first needed."""
    zarr = require("zarr", "read Zarr arrays")

    class InsideStore(zarr.storage.LocalStore):  # type: ignore[name-defined]
        place: Place

        async def get(self, key: str, *args: Any, **options: Any) -> Any:
            if not self.place.served.is_inside(os.path.join(self.place.path, key)):
                if key.rpartition("/")[2] in _DESCRIPTIONS:
                    return None
                raise InvalidFile(f"{key!r} in {self.place.name!r} is a link that leads out of what is served")
            return await super().get(key, *args, **options)

    return InsideStore


def _dims(array: Any, said: dict[str, Any]) -> list[str] | None:
    """The names of the axes: version 3 has a place for them, version 2 the habit of xarray."""
    names = getattr(array.metadata, "dimension_names", None) or said.get("_ARRAY_DIMENSIONS")
    if isinstance(names, list | tuple) and len(names) == array.ndim and all(isinstance(name, str) for name in names):
        return list(names)
    return None


def _source(place: Place, inside: str) -> DataSource:
    is_directory = os.path.isdir(place.path)
    return DataSource(_MEDIA_TYPE, (place.asset(is_directory=is_directory),), {"dataset": inside} if inside else {})


class ZarrGroup(FileGroup):
    """A group in a Zarr store.

    Parameters
    ----------
    place : Place
    inside : str
        Its path in the store.
    names : list of str
    metadata : mapping
    """

    def __init__(self, place: Place, inside: str, names: list[str], metadata: Mapping[str, Any]) -> None:
        self._place = place
        self._inside = inside
        super().__init__(names, metadata)

    def data_source(self) -> DataSource:
        return _source(self._place, self._inside)

    def _inner(self, key: str) -> Node:
        path, place = f"{self._inside}/{key}".strip("/"), self._place

        def made() -> Node:
            try:
                return zarr_node(place, path)
            except DatabrokerError as error:
                return BrokenNode(error, version=lasting(metadata_stamp(place, path)))

        return place.served.remembered((place.name, path), metadata_stamp(place, path), made)
