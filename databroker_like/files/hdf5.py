"""HDF5 datasets as lazy arrays."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.errors import InvalidFile, listed, nearest
from databroker_like.files._array import ArrayInfo, LazyArray
from databroker_like.files._select import Box, slices
from databroker_like.files._translate import reading
from databroker_like.registry import require

if TYPE_CHECKING:
    import numpy as np

__all__ = ["HDF5Array", "dataset_names", "open_file"]

_WHAT = "an HDF5 file"

#: How many names are gathered for an error message before looking further costs too much.
_NAMES_AT_MOST = 1000


class HDF5Array(LazyArray):
    """A dataset in an HDF5 file.

    The file is opened for each reading, which costs a tenth of a millisecond, and released after it, so that a
    writer is never in the way and a replaced file is never served from memory.

    Parameters
    ----------
    path : str or path-like
        The file.
    dataset : str or sequence of str
        The path of the dataset inside it, as one string or as its parts.
    swmr : bool
        The file is being written in single-writer-multiple-reader mode; False by default.

    Raises
    ------
    MissingFile, NotWritable, InvalidFile
        On reading: the file is absent, may not be read, or is no HDF5 file or has no such dataset.

    Examples
    --------
    >>> import h5py, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "a.h5")
    >>> with h5py.File(path, "w") as file:
    ...     file["entry/data"] = [[1, 2], [3, 4]]
    >>> HDF5Array(path, "entry/data")[1].tolist()
    [3, 4]
    """

    def __init__(self, path: str | os.PathLike[str], dataset: str | Sequence[str], *, swmr: bool = False) -> None:
        self.path = os.fspath(path)
        self.dataset = dataset if isinstance(dataset, str) else "/".join(dataset)
        self.swmr = swmr

    @property
    def identity(self) -> tuple[Any, ...]:
        """The path, the dataset and whether it is being written."""
        return ("hdf5", self.path, self.dataset, self.swmr)

    @property
    def paths(self) -> tuple[str, ...]:
        """The file."""
        return (self.path,)

    def _where(self) -> str:
        return f"{self.path}, dataset {self.dataset!r}"

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        with reading(self.path, _WHAT, RuntimeError), open_file(self.path, self.swmr) as file:
            yield self._dataset(file)

    def _dataset(self, file: Any) -> Any:
        import h5py

        try:
            found = file[self.dataset]
        except (KeyError, ValueError):
            found = None
        if isinstance(found, h5py.Dataset):
            if found.shape is None:
                raise InvalidFile(f"{self.path}, dataset {self.dataset!r} is empty: it has a type and no shape")
            return found
        names = _names(file)
        near = nearest(self.dataset.strip("/"), names)
        rest = [name for name in names if name not in near]
        kind = "is a group, not a dataset" if found is not None else "is not there"
        known = ", ".join(filter(None, [", ".join(map(repr, near)), listed(rest) if rest or not near else ""]))
        raise InvalidFile(f"{self.path!r}: {self.dataset!r} {kind}; the file has {known}")

    def _describe(self, handle: Any) -> ArrayInfo:
        import numpy as np

        dtype = np.dtype(object) if _is_text(handle) else handle.dtype
        chunks = handle.chunks or _rows_at_once(handle.shape)
        return ArrayInfo(tuple(handle.shape), dtype, tuple(chunks))

    def _read(self, handle: Any, out: np.ndarray, box: Box) -> None:
        shape = self._look(handle).shape
        if handle.ndim != len(shape) or any(r[-1] >= n for r, n in zip(box, handle.shape, strict=True)):
            raise InvalidFile(
                f"{self._where()} has shape {tuple(handle.shape)} now and had {shape}; it was replaced: open it again"
            )
        _load_filters(handle)
        try:
            if _is_text(handle):
                out[...] = handle.asstr()[slices(box)]
            elif out.flags.c_contiguous and out.ndim:
                handle.read_direct(out, slices(box))
            else:
                out[...] = handle[slices(box)]
        except OSError as error:
            # A filter that fails at what it is given is there.
            if "filter" not in str(error) or "filter returned failure" in str(error):
                raise
            raise InvalidFile(
                f"{self._where()} is compressed with a filter that is not installed ({error}); "
                "pip install hdf5plugin, or the package that has the filter"
            ) from error


@contextlib.contextmanager
def open_file(path: str, swmr: bool = False) -> Iterator[Any]:
    """An HDF5 file, open for reading without a lock.

    Parameters
    ----------
    path : str
    swmr : bool
        The file is being written in single-writer-multiple-reader mode; False by default.

    Returns
    -------
    context manager of h5py.File

    Raises
    ------
    OSError
        When it is none, or not there.
    """
    file = _opened(require("h5py", "read HDF5 files"), path, swmr)
    try:
        yield file
    finally:
        file.close()


#: What HDF5 says of a file that somebody has open for writing.
_WRITTEN = ("SWMR", "already open")


def _opened(h5py: Any, path: str, swmr: bool) -> Any:
    # Reading takes no lock: it would stop a writer, and fails on disks that have none. Where the same process has the
    # file open already, HDF5 insists that it be opened the same way; and a file that is being written can be opened
    # only as such, whether or not a document said so.
    plain: list[dict[str, Any]] = [{"locking": False}, {}]
    growing: list[dict[str, Any]] = [{"libver": "latest", "swmr": True, **attempt} for attempt in plain]
    first: OSError | None = None
    for attempt in growing + plain if swmr else plain + growing:
        try:
            return h5py.File(path, "r", **attempt)
        except FileNotFoundError:
            raise
        except OSError as error:
            first = first or error
            # In a file that is opened as one that is being written, what is damaged is looked at again and again for a
            # minute, for it might be being mended.
            if not swmr and attempt is plain[-1] and not any(word in str(error) for word in _WRITTEN):
                break
    assert first is not None
    raise first


def _is_text(dataset: Any) -> bool:
    import h5py

    text = h5py.check_string_dtype(dataset.dtype) if dataset.dtype.hasobject else None
    return text is not None


def _load_filters(dataset: Any) -> None:
    """Make the compression filters of hdf5plugin known when the dataset needs one that HDF5 does not bring."""
    if dataset.chunks is None:
        return
    plist = dataset.id.get_create_plist()
    # HDF5's own filters have numbers up to 6, and lzf, which h5py brings, is 32000.
    if any(plist.get_filter(i)[0] not in {1, 2, 3, 4, 5, 6, 32000} for i in range(plist.get_nfilters())):
        require("hdf5plugin", f"read {dataset.file.filename!r}, whose data is compressed")


def _rows_at_once(shape: tuple[int, ...]) -> tuple[int, ...]:
    """How a dataset that lies in one piece is best read: one row, or all of it when a row is a number."""
    return (1, *(max(1, n) for n in shape[1:])) if len(shape) > 1 else tuple(max(1, n) for n in shape)


def _names(file: Any) -> list[str]:
    import h5py

    names: list[str] = []

    def visit(name: str | bytes, found: Any) -> bool | None:
        # A name that is no UTF-8 comes as bytes, and cannot be asked for.
        if isinstance(found, h5py.Dataset) and isinstance(name, str):
            names.append(name)
        return True if len(names) >= _NAMES_AT_MOST else None

    file.visititems(visit)
    return names


def dataset_names(path: str | os.PathLike[str]) -> list[str]:
    """The paths of the datasets in an HDF5 file.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    list of str
        Sorted; the first thousand of a file that has more.

    Raises
    ------
    MissingFile, NotWritable, InvalidFile
    """
    path = os.fspath(path)
    with reading(path, _WHAT, RuntimeError), open_file(path, False) as file:
        return sorted(_names(file))
