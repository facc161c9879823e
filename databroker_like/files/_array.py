"""LazyArray: an array that lies in files and is read when it is indexed."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid
from databroker_like.files._select import Box, forward, lengths, select

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ArrayInfo", "LazyArray", "file_stamp", "named"]


@dataclass(frozen=True)
class ArrayInfo:
    """What is known of an array without reading it.

    Parameters
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    chunks : tuple of int
        The shape of the piece that the file itself reads at once.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: tuple[int, ...]


class LazyArray(ABC):
    """An array that lies in files: it tells shape and dtype, reads what an index asks for, and holds no file open.

    A format fills in three hooks: `_open` (a context manager giving whatever it reads from), `_describe` and
    `_read`; and `identity`, the plain values that say which data this is. Everything else is here. Constructing
    one opens nothing; the first look at ``shape`` or ``dtype`` opens the file, once, and what was seen holds from
    then on: data is read from the file each time, and a file that no longer fits what was seen is an error.

    Examples
    --------
    >>> import numpy as np
    >>> from databroker_like.files._memory import MemoryArray
    >>> frames = MemoryArray(np.arange(24).reshape(2, 3, 4))
    >>> frames.shape, frames.chunks, frames[1, ::2, -1].tolist()
    ((2, 3, 4), (2, 3, 4), [15, 23])
    """

    _known: ArrayInfo | None = None

    # -- what a format fills in --------------------------------------------------------------------------------

    @property
    @abstractmethod
    def identity(self) -> tuple[Any, ...]:
        """Plain, hashable values that name the data; two arrays with equal identities read the same."""

    @abstractmethod
    def _open(self) -> contextlib.AbstractContextManager[Any]:
        """A context manager that opens the file and releases it."""

    @abstractmethod
    def _describe(self, handle: Any) -> ArrayInfo:
        """What the opened file holds."""

    @abstractmethod
    def _read(self, handle: Any, out: np.ndarray, box: Box) -> None:
        """Read a box, whose steps are positive and whose lengths are not zero, into ``out`` of its lengths."""

    # -- what is known without reading ------------------------------------------------------------------------

    @property
    def info(self) -> ArrayInfo:
        """Shape, dtype and chunks; the first look opens the file, later ones do not."""
        if self._known is None:
            with self._open() as handle:
                self._known = self._describe(handle)
        return self._known

    @property
    def shape(self) -> tuple[int, ...]:
        """The length along each axis."""
        return self.info.shape

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements, as the file has it."""
        return self.info.dtype

    @property
    def chunks(self) -> tuple[int, ...]:
        """The shape of the piece that the file itself reads at once."""
        return self.info.chunks

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes that all elements take in memory."""
        return self.size * self.dtype.itemsize

    @property
    def rows(self) -> int | None:
        """The length along the first axis when it is known without opening anything, else None."""
        return self._known.shape[0] if self._known is not None and self._known.shape else None

    @property
    def source(self) -> LazyArray:
        """The array whose opened file this one reads from: itself, unless it is a view of another."""
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that it reads; none for arrays in memory."""
        return ()

    @property
    def token(self) -> str:
        """A name for the data as it lies on disk now: it changes when a file does."""
        return named(self.identity, [_stamp(path) for path in self.paths])

    @property
    def state(self) -> tuple[Any, ...]:
        """What is quickly looked at and is another when shape and dtype may be: the first and the last file."""
        return tuple(file_stamp(path) for path in {*self.paths[:1], *self.paths[-1:]})

    def __dask_tokenize__(self) -> Any:
        return (type(self).__qualname__, self.token)

    # -- reading ----------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read what a numpy basic index asks for: integers, slices with any step, ``...`` and ``None``."""
        import numpy as np

        with self._open() as handle:
            info = self._look(handle)
            selection = select(key, info.shape)
            full = np.empty(lengths(selection.box), info.dtype)
            self._read_box(handle, full, selection.box)
        return full[selection.view]

    def read_into(self, out: np.ndarray, key: Any = ()) -> np.ndarray:
        """Read into an array that is there already, without a further copy.

        Parameters
        ----------
        out : ndarray
            Of the shape that ``self[key]`` has. Another dtype is converted to, when numpy's ``same_kind`` allows.
        key : index
            What to read; everything by default.

        Returns
        -------
        ndarray
            ``out``.

        Raises
        ------
        Invalid
            When ``out`` has another shape, or a type the data cannot be converted to.
        """
        with self._open() as handle:
            info = self._look(handle)
            selection = select(key, info.shape)
            if out.shape != selection.shape:
                raise Invalid(f"cannot read shape {selection.shape} into an array of shape {out.shape}")
            self._read_box(handle, out[selection.inverse], selection.box)
        return out

    def _look(self, handle: Any) -> ArrayInfo:
        if self._known is None:
            self._known = self._describe(handle)
        return self._known

    def _read_box(self, handle: Any, out: np.ndarray, box: Box) -> None:
        """Read any box into ``out``, of any dtype that fits; what `__getitem__` and the wrappers call."""
        import numpy as np

        if not all(lengths(box)):
            return
        out, box = forward(out, box)
        dtype = self._look(handle).dtype
        if out.dtype == dtype:
            self._read(handle, out, box)
            return
        if not np.can_cast(dtype, out.dtype, "same_kind"):
            raise Invalid(f"cannot read {dtype} into an array of {out.dtype}")
        own = np.empty(out.shape, dtype)
        self._read(handle, own, box)
        out[...] = own.astype(out.dtype, casting="same_kind")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Everything, in memory; reading always makes a new array, so ``copy=False`` cannot be had."""
        if copy is False:
            raise ValueError("an array in a file is copied into memory when it is read; copy=False cannot be had")
        data = self[()] if self.ndim else self._scalar()
        return data if dtype is None else data.astype(dtype, copy=False)

    def _scalar(self) -> np.ndarray:
        import numpy as np

        return self.read_into(np.empty((), self.dtype))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        name = type(self).__name__
        where = f" {self._where()}" if self._where() else ""
        if self._known is None:
            return f"<{name}{where}, not opened yet>"
        return f"<{name}{where} shape={self.shape} dtype={self.dtype} chunks={self.chunks}>"

    def _where(self) -> str:
        """Which data, for a repr and for an error message."""
        return ", ".join(self.paths[:1])


def named(*parts: Any) -> str:
    """A name made of plain values.

    Examples
    --------
    >>> named("a", 1) == named("a", 1), named("a", 1) == named("a", 2)
    (True, False)
    """
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def file_stamp(path: str) -> tuple[int, int, int]:
    """The time of change, the size and the number of a file or a folder; zeros where there is nothing.

    Examples
    --------
    >>> file_stamp("/there/is/no/such/file")
    (0, 0, 0)
    """
    try:
        stat = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _stamp(path: str) -> tuple[int, int, int]:
    """What changes when a file does; for a folder, when anything below it does; zeros where there is nothing."""
    newest, size, count = file_stamp(path)
    if os.path.isdir(path):
        for folder, _, names in os.walk(path):
            for name in names:
                inside = os.stat(os.path.join(folder, name))
                newest, size, count = max(newest, inside.st_mtime_ns), size + inside.st_size, count + 1
    return (newest, size, count)
