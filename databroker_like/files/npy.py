"""NPY files as lazy arrays; a pickle inside one is never loaded."""

from __future__ import annotations

import ast
import contextlib
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from databroker_like.errors import InvalidFile
from databroker_like.files._array import ArrayInfo
from databroker_like.files._one_file import OneFile
from databroker_like.files._raw import read_elements
from databroker_like.files._select import Box
from databroker_like.files._sequence import FileNames, FileSequence
from databroker_like.files._translate import reading

if TYPE_CHECKING:
    import numpy as np

__all__ = ["NPYArray", "npy_sequence"]

_WHAT = "an NPY file of numbers (pickled objects are never loaded)"
_LONGEST_HEADER = 100_000


class NPYArray(OneFile):
    """An array in an NPY file; only the part asked for leaves the disk.

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
        with reading(self.path, _WHAT, ValueError, EOFError), open(self.path, "rb", buffering=0) as file:
            yield _Opened(file, *_header(file))

    def _describe(self, handle: _Opened) -> ArrayInfo:
        return ArrayInfo(handle.shape, handle.dtype, tuple(max(1, n) for n in handle.shape))

    def _read(self, handle: _Opened, out: np.ndarray, box: Box) -> None:
        shape = self._look(handle).shape
        if handle.shape != shape:
            raise InvalidFile(
                f"{self.path!r} has shape {handle.shape} now and had {shape}; it was replaced: open it again"
            )
        if handle.columns_first:
            shape, out, box = shape[::-1], out.T, box[::-1]
        read_elements(handle.file, handle.offset, handle.dtype, shape, out, box)


@dataclass(frozen=True)
class _Opened:
    """An open file, and what its header says."""

    file: IO[bytes]
    shape: tuple[int, ...]
    dtype: np.dtype
    columns_first: bool
    offset: int


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype, bool, int]:
    """Shape, type, whether columns come first, and where the elements begin."""
    import numpy as np

    major, minor = np.lib.format.read_magic(file)
    if major not in (1, 2, 3):
        raise ValueError(f"it is of version {major}.{minor}")
    counted = file.read(2 if major == 1 else 4)
    length = int.from_bytes(counted, "little")
    if length > _LONGEST_HEADER:
        raise ValueError(f"its header has {length} bytes")
    text = file.read(length)
    if len(text) < length:
        raise ValueError("its header is cut short")
    said = _literal(text.decode("utf-8" if major == 3 else "latin-1"))
    if not isinstance(said, dict) or not {"descr", "fortran_order", "shape"} <= set(said):
        raise ValueError("its header says no type and shape")
    shape = said["shape"]
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"its header says a shape {shape!r:.80}")
    try:
        dtype = np.lib.format.descr_to_dtype(said["descr"])
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"its header says a type {said['descr']!r:.200}") from error
    if dtype.hasobject:
        raise ValueError("it holds pickled objects")
    offset = file.tell()
    size, needed = os.fstat(file.fileno()).st_size, offset + math.prod(shape) * dtype.itemsize
    if size < needed:
        raise ValueError(f"it has {size} bytes and its header says {needed}")
    return shape, dtype, bool(said["fortran_order"]), offset


def _literal(text: str) -> object:
    """What is written as Python writes numbers, texts and the like; nothing is run."""
    try:
        # Python 2 wrote an L after some numbers.
        return ast.literal_eval(re.sub(r"(?<=\d)L\b", "", text).strip())
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError("its header cannot be understood") from error


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
