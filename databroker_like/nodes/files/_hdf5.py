"""HDF5 files: groups as containers, datasets as arrays, attributes as metadata."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from databroker_like.errors import DatabrokerError, InvalidFile
from databroker_like.files._array import ArrayInfo
from databroker_like.files._select import Box
from databroker_like.files.hdf5 import HDF5Array, open_file
from databroker_like.nodes._broken import BrokenNode
from databroker_like.nodes._node import Node
from databroker_like.nodes._sources import DataSource
from databroker_like.nodes.files._arrays import FileArray
from databroker_like.nodes.files._attributes import attributes
from databroker_like.nodes.files._hdf5_links import Found, follow, leads_outside
from databroker_like.nodes.files._listed import ListedNode
from databroker_like.nodes.files._place import Place, Stamp

if TYPE_CHECKING:
    import numpy as np

__all__ = ["HDF5Group", "hdf5_node"]

WHAT = "an HDF5 file"
_MEDIA_TYPE = "application/x-hdf5"
#: Texts of different lengths are sent in a type of one length; an array that would be larger is not.
_MOST_TEXT_BYTES = 256 << 20


def hdf5_node(place: Place, stamp: Stamp) -> Node:
    """The root group of a file.

    Parameters
    ----------
    place : Place
    stamp : Stamp
        As the file is now.

    Returns
    -------
    Node

    Raises
    ------
    DatabrokerError
        When it cannot be read.
    """
    return HDF5File(place, stamp).node(())


class HDF5File:
    """One HDF5 file as it was at one moment.

    Parameters
    ----------
    place : Place
    stamp : Stamp
    """

    def __init__(self, place: Place, stamp: Stamp) -> None:
        self.place = place
        self.stamp = stamp

    @contextlib.contextmanager
    def opened(self) -> Iterator[Any]:
        """The open file, which others may read from at the same time."""
        with (
            self.place.border(WHAT),
            self.place.served.files.use(self.place.path, self.now, lambda: open_file(self.place.path)) as file,
        ):
            yield file

    @property
    def now(self) -> Stamp:
        """The stamp of the file as it is when it is read, which may be later than when it was looked into."""
        stamp = self.place.stamp()
        if stamp is None:
            raise FileNotFoundError(self.place.path)
        return stamp

    @contextlib.contextmanager
    def found(self, path: Sequence[str]) -> Iterator[Found]:
        """What is at a path in the file, while the file is open."""
        with self.opened() as file:
            yield follow(file, path)

    def node(self, path: tuple[str, ...]) -> Node:
        """What is at a path in the file as a node; a broken one where it cannot be served."""
        import h5py

        other: tuple[Place, tuple[str, ...]] | None = None
        with self.opened() as file:
            found = follow(file, path)
            if found.problem is not None:
                return BrokenNode(f"{self.named(path)} {found.problem}", version=self.stamp)
            if found.elsewhere is not None:
                target = self.place.beside(found.elsewhere.file)
                if target is None:
                    return BrokenNode(f"{self.named(path)} is in a file that is not served", version=self.stamp)
                other = (target, found.elsewhere.path)
            elif isinstance(found.object, h5py.Group):
                return HDF5Group(self, path, sorted(found.object), _said(found.object))
            elif isinstance(found.object, h5py.Dataset):
                return self._dataset(path, found.object)
            else:
                return BrokenNode(f"{self.named(path)} is neither a group nor a dataset", version=self.stamp)
        return self._linked(path, *other)

    def _linked(self, path: tuple[str, ...], target: Place, inside: tuple[str, ...]) -> Node:
        """What lies in another file; not followed further when that file leads on to yet another."""
        stamp = target.stamp()
        if stamp is None:
            return BrokenNode(
                f"{self.named(path)} is in the file {target.name!r}, which is not there", version=self.stamp
            )
        other = HDF5File(target, stamp)
        with other.opened() as file:
            if follow(file, inside).elsewhere is not None:
                return BrokenNode(f"{self.named(path)} leads from file to file to file", version=(self.stamp, stamp))
        return other.node(inside)

    def _dataset(self, path: tuple[str, ...], dataset: Any) -> Node:
        outside = leads_outside(dataset, self.place)
        if outside:
            return BrokenNode(f"{self.named(path)} {outside}", version=self.stamp)
        array = ServedDataset(self, path)
        array._known = array._describe(dataset)
        said = _said(dataset)
        source = DataSource(_MEDIA_TYPE, (self.place.asset(),), {"dataset": "/".join(path)})
        return FileArray(array, self.place, WHAT, version=self.place.stamp, source=source, metadata=said)

    def named(self, path: Sequence[str]) -> str:
        """How a thing in the file is called in a sentence."""
        return f"{'/'.join(path)!r} in {self.place.name!r}"


class ServedDataset(HDF5Array):
    """A dataset read through the files that are kept open, with texts in a type of one length.

    Parameters
    ----------
    file : HDF5File
    path : tuple of str
    """

    def __init__(self, file: HDF5File, path: tuple[str, ...]) -> None:
        super().__init__(file.place.path, path)
        self._file = file
        self._parts = path

    def _where(self) -> str:
        return self._file.named(self._parts)

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        with self._file.found(self._parts) as found:
            if found.object is None or not hasattr(found.object, "dtype"):
                raise InvalidFile(f"{self._where()} is not there any more; ask for the metadata of its group again")
            yield found.object

    def _describe(self, handle: Any) -> ArrayInfo:
        import h5py
        import numpy as np

        if handle.shape is None:
            raise InvalidFile(f"{self._where()} is empty: it has a type and no shape")
        info = super()._describe(handle)
        if info.dtype != object:
            return info
        if not h5py.check_string_dtype(handle.dtype):
            raise InvalidFile(f"{self._where()} has elements of type {handle.dtype}, which cannot be sent")
        texts = np.asarray(handle.asstr(errors="replace")[()], dtype=object)
        longest = max(map(len, texts.ravel()), default=1) or 1
        if texts.size * longest * 4 > _MOST_TEXT_BYTES:
            raise InvalidFile(
                f"{self._where()} has {texts.size} texts, the longest of {longest} characters, which is too much to be "
                "sent as one array"
            )
        return ArrayInfo(info.shape, np.dtype(f"<U{longest}"), info.chunks)

    def _read(self, handle: Any, out: np.ndarray, box: Box) -> None:
        if out.dtype.kind != "U":
            super()._read(handle, out, box)
            return
        out[...] = handle.asstr(errors="replace")[tuple(slice(r.start, r.stop, r.step) for r in box)]


class HDF5Group(ListedNode):
    """A group in an HDF5 file.

    Parameters
    ----------
    file : HDF5File
    path : tuple of str
    names : list of str
    metadata : mapping
    """

    def __init__(self, file: HDF5File, path: tuple[str, ...], names: list[str], metadata: Mapping[str, Any]) -> None:
        self._file = file
        self._path = path
        self._names = names
        self._metadata = metadata

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._names)

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self._metadata

    @property
    def version(self) -> Any:
        return self._file.place.stamp()

    def data_source(self) -> DataSource:
        parameters = {"dataset": "/".join(self._path)} if self._path else {}
        return DataSource(_MEDIA_TYPE, (self._file.place.asset(),), parameters)

    @property
    def is_told_whole(self) -> bool:
        return True

    def _all_keys(self) -> Sequence[str]:
        return self._names

    def _node(self, key: str) -> Node | None:
        if key not in self._known:
            return None
        place, stamp, path = self._file.place, self._file.stamp, (*self._path, key)

        def made() -> Node:
            try:
                return self._file.node(path)
            except DatabrokerError as error:
                return BrokenNode(str(error), version=stamp)

        return place.served.remembered((place.name, path), stamp, made)


def _said(thing: Any) -> dict[str, Any]:
    return attributes(list(thing.attrs), thing.attrs.__getitem__)
