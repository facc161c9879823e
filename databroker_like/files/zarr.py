"""Zarr arrays, version 2 and 3, as lazy arrays."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from databroker_like.errors import InvalidFile, listed, nearest
from databroker_like.files._array import ArrayInfo, LazyArray
from databroker_like.files._select import Box, slices
from databroker_like.files._translate import reading
from databroker_like.files._zarr_chunks import ChunkFiles
from databroker_like.registry import require

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ZarrArray", "open_store"]

_WHAT = "a Zarr array or group"


class ZarrArray(LazyArray):
    """A Zarr array in a folder or a zip file; only the chunks that a slice touches are read.

    Parameters
    ----------
    path : str or path-like
        The folder, or a ``.zip`` file.
    dataset : str
        The path of the array inside a group; empty, the default, for a store that is one array.

    Raises
    ------
    MissingFile, NotWritable, InvalidFile
        On reading: the folder is absent, may not be read, or has no such array.

    Examples
    --------
    >>> import os, tempfile, zarr
    >>> path = os.path.join(tempfile.mkdtemp(), "a.zarr")
    >>> zarr.create_array(path, shape=(4, 2), chunks=(2, 2), dtype="i4")[:] = 7
    >>> ZarrArray(path).chunks, ZarrArray(path)[3].tolist()
    ((2, 2), [7, 7])
    """

    def __init__(self, path: str | os.PathLike[str], dataset: str = "") -> None:
        self.path = os.fspath(path)
        self.dataset = dataset.strip("/")

    @property
    def identity(self) -> tuple[Any, ...]:
        """The path and the array's path inside it."""
        return ("zarr", self.path, self.dataset)

    @property
    def paths(self) -> tuple[str, ...]:
        """The folder."""
        return (self.path,)

    def _where(self) -> str:
        return f"{self.path}, array {self.dataset!r}" if self.dataset else self.path

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        zarr = require("zarr", "read Zarr arrays")
        # Codecs raise whatever they like for damaged chunks; nothing but zarr runs inside, besides our own errors.
        with reading(self.path, _WHAT, Exception), contextlib.closing(open_store(zarr, self.path)) as store:
            yield self._array(zarr, store)

    def _array(self, zarr: Any, store: Any) -> Any:
        try:
            found = zarr.open(store=store, path=self.dataset or None, mode="r")
        except FileNotFoundError:
            found = None
        if isinstance(found, zarr.Array):
            return found
        root = zarr.open(store=store, mode="r")
        names = sorted(_array_names(root)) if isinstance(root, zarr.Group) else []
        asked = repr(self.dataset) if self.dataset else "the root"
        if len(names) == 1 and not self.dataset:
            return root[names[0]]
        kind = "is a group, not an array" if found is not None else "is not there"
        raise InvalidFile(f"{self.path!r}: {asked} {kind}; its arrays: {listed(nearest(self.dataset, names) or names)}")

    def _describe(self, handle: Any) -> ArrayInfo:
        return ArrayInfo(tuple(handle.shape), handle.dtype, tuple(max(1, n) for n in handle.chunks))

    def _read(self, handle: Any, out: np.ndarray, box: Box) -> None:
        shape = self._look(handle).shape
        if handle.ndim != len(shape) or any(r[-1] >= n for r, n in zip(box, handle.shape, strict=True)):
            raise InvalidFile(
                f"{self._where()} has shape {tuple(handle.shape)} now and had {shape}; it was replaced: open it again"
            )
        chunks = self._chunk_files(handle)
        if chunks is not None and chunks.read(out, box, self._may_read):
            return
        from zarr.buffer.cpu import NDBuffer

        # Chunks are decoded to where they are wanted; handle[...] would make an array of its own first.
        handle.get_basic_selection(slices(box), out=NDBuffer.from_numpy_array(out))

    def _chunk_files(self, handle: Any) -> ChunkFiles | None:
        """The files of an opened array, when they can be read without zarr."""
        return ChunkFiles.of(handle)

    def _may_read(self, path: str) -> bool:
        """Whether a file of the array may be read; zarr is asked for it when it may not, and refuses it as it does."""
        return True


def open_store(zarr: Any, path: str) -> Any:
    """A folder or a zip file as a store that is only read; FileNotFoundError when there is none."""
    if not os.path.exists(path):
        raise FileNotFoundError(path)
    if os.path.isdir(path):
        return zarr.storage.LocalStore(path, read_only=True)
    return zarr.storage.ZipStore(path, mode="r", read_only=True)


def _array_names(group: Any) -> Iterator[str]:
    zarr = require("zarr", "read Zarr arrays")
    for name, member in group.members(max_depth=None):
        if isinstance(member, zarr.Array):
            yield name
