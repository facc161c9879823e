"""HDF5 files: groups as containers, datasets as arrays, attributes as metadata."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
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
from databroker_like.nodes.files._groups import FileGroup
from databroker_like.nodes.files._hdf5_links import (
    Found,
    address_of,
    addresses_above,
    follow,
    is_above,
    leads_outside,
    sources_of,
)
from databroker_like.nodes.files._hdf5_rows import HDF5Rows, element_type
from databroker_like.nodes.files._place import Place, Stamp, is_settled, lasting, once

if TYPE_CHECKING:
    import numpy as np

__all__ = ["HDF5Group", "hdf5_node"]

WHAT = "an HDF5 file"
_MEDIA_TYPE = "application/x-hdf5"
#: Texts of different lengths are sent in a type of one length; an array that would be larger is not.
_MOST_TEXT_BYTES = 256 << 20
_LEAST_TEXT_BYTES = 4
_IN_ITSELF = "is a link to a group that it is in itself, which would have no end"


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
    above : frozenset
        Where the groups are, in this file and in others, that lie on the way to it; none by default.
    entered : int
        How long the path is at which the way comes into this file; 0 by default.
    """

    def __init__(
        self, place: Place, stamp: Stamp, *, above: frozenset[tuple[str, int]] = frozenset(), entered: int = 0
    ) -> None:
        self.place = place
        self.stamp = stamp
        self.version = lasting(stamp)
        self._once = once(stamp)
        self._above = above
        self._entered = entered

    @contextlib.contextmanager
    def opened(self) -> Iterator[Any]:
        """The open file, which others may read from at the same time."""
        path = self.place.path
        with self.place.border(WHAT), self.place.served.files.use(path, self._now(), lambda: open_file(path)) as file:
            yield file

    def _now(self) -> Any:
        """By what the open file is asked for; it may have changed since it was looked into."""
        stamp = self.place.stamp()
        if stamp is None:
            raise FileNotFoundError(self.place.path)
        return self._once if stamp == self.stamp else once(stamp)

    @contextlib.contextmanager
    def found(self, path: Sequence[str]) -> Iterator[Found]:
        """What is at a path in the file, while the file is open."""
        with self.opened() as file:
            yield follow(file, path)

    def inner(self, path: tuple[str, ...]) -> Node:
        """What is at a path in the file as a node, as far as it may be kept; a broken one where it cannot be read."""
        served, key = self.place.served, (self.place.name, path, self._above)
        known = served.known(key, self.stamp)
        if known is not None:
            return known
        is_lasting = is_settled(self.stamp)
        try:
            node, is_here = self._looked_at(path)
        except DatabrokerError as error:
            return BrokenNode(error, version=self.version)
        if is_here and is_lasting:
            served.keep(key, self.stamp, node)
        return node

    def node(self, path: tuple[str, ...]) -> Node:
        """What is at a path in the file as a node; a broken one where it cannot be served."""
        return self._looked_at(path)[0]

    def _looked_at(self, path: tuple[str, ...]) -> tuple[Node, bool]:
        """A node, and whether this file alone says what it is."""
        import h5py

        with self.opened() as file:
            found = follow(file, path)
            if found.problem is not None:
                return self._broken(path, found.problem), True
            if found.elsewhere is None:
                if is_above(file, path, found.object) or self._leads_back(found.object, self._above):
                    return self._broken(path, _IN_ITSELF), True
                if isinstance(found.object, h5py.Group):
                    return HDF5Group(self, path, list(found.object), _said(found.object)), True
                if isinstance(found.object, h5py.Dataset):
                    return self._dataset(path, found.object), not found.object.is_virtual
                return self._broken(path, "is neither a group nor a dataset"), True
            target = self.place.beside(found.elsewhere.file)
            if target is None:
                return self._broken(path, "is in a file that is not served"), False
            above = self._above | addresses_above(file, self.place, path, self._entered)
        return self._linked(path, target, found.elsewhere.path, above), False

    def _leads_back(self, thing: Any, above: frozenset[tuple[str, int]]) -> bool:
        """Whether a thing in this file is a group on the way to it that led through other files."""
        return bool(above) and address_of(self.place, thing) in above

    def _broken(self, path: tuple[str, ...], problem: str) -> BrokenNode:
        return BrokenNode(f"{self.named(path)} {problem}", version=self.version)

    def _linked(
        self, path: tuple[str, ...], target: Place, inside: tuple[str, ...], above: frozenset[tuple[str, int]]
    ) -> Node:
        """What lies in another file; not followed further when that file leads on to yet another."""
        stamp = target.stamp()
        if stamp is None:
            return self._broken(path, f"is in the file {target.name!r}, which is not there")
        other = HDF5File(target, stamp, above=above, entered=len(inside))
        with other.found(inside) as found:
            if found.elsewhere is not None:
                return self._broken(path, "leads from file to file to file")
            if other._leads_back(found.object, above):
                return self._broken(path, _IN_ITSELF)
        return other.node(inside)

    def _dataset(self, path: tuple[str, ...], dataset: Any) -> Node:
        outside = leads_outside(dataset, self.place)
        if outside:
            return self._broken(path, outside)
        array = ServedDataset(self, path, sources_of(dataset, self.place))
        # Whether data in other files has changed is not known.
        version = (lambda: None) if dataset.is_virtual or dataset.external else self.place.version
        source = DataSource(_MEDIA_TYPE, (self.place.asset(),), {"dataset": "/".join(path)})
        dtype = element_type(dataset)
        if dtype is not None:
            said = _said(dataset)
            return HDF5Rows(array.opened, dataset, dtype, metadata=said, version=version, source=source)
        array._known = array._describe(dataset)
        return FileArray(array, self.place, WHAT, version=version, source=source, metadata=_said(dataset))

    def named(self, path: Sequence[str]) -> str:
        """How a thing in the file is called in a sentence."""
        return f"{'/'.join(path)!r} in {self.place.name!r}"


class ServedDataset(HDF5Array):
    """A dataset read through the files that are kept open, with texts in a type of one length.

    Parameters
    ----------
    file : HDF5File
    path : tuple of str
    sources : sequence of Place
        Other files that it is made of.
    """

    def __init__(self, file: HDF5File, path: tuple[str, ...], sources: Sequence[Place]) -> None:
        super().__init__(file.place.path, path)
        self._file = file
        self._parts = path
        self._sources = sources

    def _where(self) -> str:
        return self._file.named(self._parts)

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        for place in self._sources:
            # HDF5 would go on with what it knows of a file that is open already.
            place.served.files.drop_changed(place.path, place.stamp())
        with self._file.found(self._parts) as found:
            if found.object is None or not hasattr(found.object, "dtype"):
                raise InvalidFile(f"{self._where()} is not there any more; ask for the metadata of its group again")
            yield found.object

    @contextlib.contextmanager
    def opened(self) -> Iterator[Any]:
        """The open dataset; whatever goes wrong while it is read is an error of ours."""
        with self._file.place.border(WHAT), self._open() as dataset:
            yield dataset

    def _describe(self, handle: Any) -> ArrayInfo:
        import h5py
        import numpy as np

        if handle.shape is None:
            raise InvalidFile(f"{self._where()} is empty: it has a type and no shape")
        info = super()._describe(handle)
        if info.dtype != object:
            return info
        if not h5py.check_string_dtype(handle.dtype):
            kind = "references" if h5py.check_ref_dtype(handle.dtype) else "rows of different lengths in several axes"
            raise InvalidFile(f"{self._where()} holds {kind}, which cannot be sent")
        if handle.size * _LEAST_TEXT_BYTES > _MOST_TEXT_BYTES:
            raise InvalidFile(f"{self._where()} has {handle.size} texts, which is too much to be sent as one array")
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


class HDF5Group(FileGroup):
    """A group in an HDF5 file.

    Parameters
    ----------
    file : HDF5File
    path : tuple of str
    names : list of str or bytes
        Bytes are what is no UTF-8: h5py does not look into what is called so.
    metadata : mapping
    """

    def __init__(
        self, file: HDF5File, path: tuple[str, ...], names: Sequence[str | bytes], metadata: Mapping[str, Any]
    ) -> None:
        self._file = file
        self._path = path
        keys = [name for name in names if isinstance(name, str)]
        self._nameless = _readable([name for name in names if isinstance(name, bytes)], frozenset(keys))
        super().__init__(sorted([*keys, *self._nameless]), metadata)

    def data_source(self) -> DataSource:
        parameters = {"dataset": "/".join(self._path)} if self._path else {}
        return DataSource(_MEDIA_TYPE, (self._file.place.asset(),), parameters)

    def _inner(self, key: str) -> Node:
        path = (*self._path, key)
        if key in self._nameless:
            return self._file._broken(path, "has a name that is not UTF-8, and is not looked into: rename it")
        return self._file.inner(path)


def _readable(names: Sequence[bytes], others: frozenset[str]) -> frozenset[str]:
    """A key for each name that is no UTF-8, and none of the others."""
    keys: set[str] = set()
    for name in names:
        key = name.decode("utf-8", "backslashreplace")
        while key in keys or key in others:
            key += "'"
        keys.add(key)
    return frozenset(keys)


def _said(thing: Any) -> dict[str, Any]:
    return attributes(list(thing.attrs), thing.attrs.__getitem__)
