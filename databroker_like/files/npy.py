"""NPY files as lazy arrays; a pickle inside one is never loaded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from databroker_like.files._array import ArrayInfo
from databroker_like.files._one_file import OneFile
from databroker_like.files._select import Box, slices
from databroker_like.files._sequence import FileNames, FileSequence
from databroker_like.files._translate import reading

if TYPE_CHECKING:
    import numpy as np

__all__ = ["NPYArray", "npy_sequence"]

_WHAT = "an NPY file of numbers (pickled objects are never loaded)"


class NPYArray(OneFile):
    """An array in an NPY file, read through a memory map: only the part asked for leaves the disk.

    Parameters
    ----------
    path : str or path-like

    Raises
    ------
    MissingFile, NotWritable, InvalidFile
        On reading: the file is absent, may not be read, is no NPY file, or holds pickled objects.

    Examples
    --------
    >>> import numpy, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.npy")
    >>> numpy.save(path, [[1, 2], [3, 4]])
    >>> NPYArray(path)[:, 1].tolist()
    [2, 4]
    """

    kind = "npy"

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        import numpy as np

        with reading(self.path, _WHAT, ValueError, EOFError):
            yield np.lib.format.open_memmap(self.path, mode="r")

    def _describe(self, handle: Any) -> ArrayInfo:
        return ArrayInfo(handle.shape, handle.dtype, tuple(max(1, n) for n in handle.shape))

    def _read(self, handle: Any, out: np.ndarray, box: Box) -> None:
        out[...] = handle[slices(box)]


def npy_sequence(names: FileNames, numbers: range) -> FileSequence:
    """Numbered NPY files as one lazy array.

    Parameters
    ----------
    names : FileNames
    numbers : range

    Returns
    -------
    FileSequence
        Of shape (files, *shape of a file).
    """
    return FileSequence(NPYArray, names, numbers)
