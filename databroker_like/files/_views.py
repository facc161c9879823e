"""Lazy arrays that look at a part of another, or at its rows in groups; each reads from the other's opened file."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid, InvalidFile
from databroker_like.files._array import ArrayInfo, LazyArray
from databroker_like.files._select import Box, lengths, plain, select

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Grouped", "Sliced", "View", "Window", "view"]


class View(LazyArray):
    """The same array again, reading from the same opened file; the base of what looks at a part of one.

    Parameters
    ----------
    parent : LazyArray
    """

    def __init__(self, parent: LazyArray) -> None:
        self.parent = parent

    @property
    def identity(self) -> tuple[Any, ...]:
        """The parent's."""
        return self.parent.identity

    @property
    def source(self) -> LazyArray:
        """The array whose opened file this one reads from."""
        return self.parent.source

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that it reads."""
        return self.parent.paths

    @property
    def state(self) -> tuple[Any, ...]:
        """The parent's."""
        return self.parent.state

    def _where(self) -> str:
        return self.parent._where()

    def _open(self) -> contextlib.AbstractContextManager[Any]:
        return self.parent._open()

    def _describe(self, handle: Any) -> ArrayInfo:
        return self.parent._look(handle)

    def _read(self, handle: Any, out: np.ndarray, box: Box) -> None:
        self.parent._read_box(handle, out, box)


class Sliced(View):
    """The part of an array that a basic index asks for.

    Parameters
    ----------
    parent : LazyArray
    key : int, slice, Ellipsis, None or a tuple of them

    Examples
    --------
    >>> from databroker_like.files._memory import MemoryArray
    >>> Sliced(MemoryArray([[1, 2], [3, 4]]), (slice(None), 1))[::-1].tolist()
    [4, 2]
    """

    def __init__(self, parent: LazyArray, key: Any) -> None:
        super().__init__(parent)
        self.key = plain(key)

    @property
    def identity(self) -> tuple[Any, ...]:
        """The parent's, and the key."""
        return ("sliced", self.parent.identity, repr(self.key))

    @property
    def rows(self) -> int | None:
        """Known for a new first axis."""
        first = self.key[0] if isinstance(self.key, tuple) and self.key else self.key
        return 1 if first is None else super().rows

    def _describe(self, handle: Any) -> ArrayInfo:
        info = self.parent._look(handle)
        selection = select(self.key, info.shape)
        sizes = iter(zip(info.chunks, lengths(selection.box), strict=True))
        chunks = []
        for item in selection.view:
            if item is None:
                chunks.append(1)
                continue
            chunk, length = next(sizes)
            if isinstance(item, slice):
                chunks.append(max(1, min(chunk, length)))
        return ArrayInfo(selection.shape, info.dtype, tuple(chunks))

    def _read(self, handle: Any, out: np.ndarray, box: Box) -> None:
        selection = select(self.key, self.parent._look(handle).shape)
        ours = iter(box)
        theirs = iter(selection.box)
        composed: list[range] = []
        for item in selection.view:
            if item is None:
                next(ours)
                continue
            taken = next(theirs)
            composed.append(_range_of(taken, next(ours)) if isinstance(item, slice) else taken)
        self.parent._read_box(handle, out[selection.inverse], tuple(composed))


class Window(View):
    """Rows ``start`` to ``stop`` of an array, all of which must be there.

    Parameters
    ----------
    parent : LazyArray
    start, stop : int
        Not negative. A parent with fewer than ``stop`` rows is an error when it is read, never a shorter answer.

    Examples
    --------
    >>> from databroker_like.files._memory import MemoryArray
    >>> Window(MemoryArray([10, 20, 30]), 1, 3)[:].tolist()
    [20, 30]
    """

    def __init__(self, parent: LazyArray, start: int, stop: int) -> None:
        if not 0 <= start <= stop:
            raise Invalid(f"rows {start} to {stop} are no window; give 0 <= start <= stop")
        super().__init__(parent)
        self.start = start
        self.stop = stop

    @property
    def identity(self) -> tuple[Any, ...]:
        """The parent's, and the rows."""
        return ("window", self.parent.identity, self.start, self.stop)

    @property
    def rows(self) -> int:
        """``stop - start``; nothing is opened for it."""
        return self.stop - self.start

    def _describe(self, handle: Any) -> ArrayInfo:
        info = self.parent._look(handle)
        if not info.shape or info.shape[0] < self.stop:
            has = info.shape[0] if info.shape else "no"
            raise InvalidFile(
                f"{self._where() or 'the array'} holds {has} rows and {self.stop} were announced; "
                "it was cut short or is still being written: read fewer, or again when it is complete"
            )
        return ArrayInfo(
            (self.rows, *info.shape[1:]), info.dtype, (max(1, min(info.chunks[0], self.rows)), *info.chunks[1:])
        )

    def _read(self, handle: Any, out: np.ndarray, box: Box) -> None:
        self._look(handle)
        self.parent._read_box(handle, out, (_range_of(range(self.start, self.stop), box[0]), *box[1:]))


class Grouped(View):
    """Rows taken together ``size`` at a time: (n * size, y, x) seen as (n, size, y, x).

    Parameters
    ----------
    parent : LazyArray
    size : int
        Rows to a group.

    Examples
    --------
    >>> from databroker_like.files._memory import MemoryArray
    >>> Grouped(MemoryArray([1, 2, 3, 4, 5, 6]), 2)[:].tolist()
    [[1, 2], [3, 4], [5, 6]]
    """

    def __init__(self, parent: LazyArray, size: int) -> None:
        if size < 1:
            raise Invalid(f"groups of {size} rows cannot be made; give 1 or more")
        super().__init__(parent)
        self.group = size

    @property
    def identity(self) -> tuple[Any, ...]:
        """The parent's, and the size of a group."""
        return ("grouped", self.parent.identity, self.group)

    @property
    def rows(self) -> int | None:
        """The parent's rows by the size of a group."""
        return None if self.parent.rows is None else self.parent.rows // self.group

    def _describe(self, handle: Any) -> ArrayInfo:
        info = self.parent._look(handle)
        if not info.shape or info.shape[0] % self.group:
            raise InvalidFile(
                f"{self._where() or 'an array'} of shape {info.shape} cannot be taken {self.group} rows at a time"
            )
        chunk = info.chunks[0]
        chunks = (max(1, chunk // self.group), min(chunk, self.group), *info.chunks[1:])
        return ArrayInfo((info.shape[0] // self.group, self.group, *info.shape[1:]), info.dtype, chunks)

    def _read(self, handle: Any, out: np.ndarray, box: Box) -> None:
        self._look(handle)
        groups, within, *rest = box
        size = self.group
        if groups.step == 1 and len(within) == size:
            flat = _merged(out)
            if flat is not None:
                self.parent._read_box(handle, flat, (range(groups.start * size, groups.stop * size), *rest))
                return
        if len(within) == 1:
            first = groups.start * size + within.start
            rows = range(first, first + groups.step * size * (len(groups) - 1) + 1, groups.step * size)
            self.parent._read_box(handle, out[:, 0], (rows, *rest))
            return
        for i, group in enumerate(groups):
            rows = range(group * size + within.start, group * size + within.stop, within.step)
            self.parent._read_box(handle, out[i], (rows, *rest))


def _merged(out: np.ndarray) -> np.ndarray | None:
    """A view with the first two axes made one, or None when the memory does not lie that way."""
    if out.shape[0] > 1 and out.strides[0] != out.strides[1] * out.shape[1]:
        return None
    import numpy as np

    return np.lib.stride_tricks.as_strided(
        out, (out.shape[0] * out.shape[1], *out.shape[2:]), (out.strides[1], *out.strides[2:]), subok=False
    )


def _range_of(outer: range, inner: range) -> range:
    """The positions that ``inner``, counting along ``outer``, stands for; ``inner`` goes forward."""
    return outer[inner.start : inner.stop : inner.step]


def view(array: LazyArray, key: Any) -> LazyArray:
    """The part of a lazy array that an index asks for, still lazy.

    Parameters
    ----------
    array : LazyArray
    key : index

    Returns
    -------
    LazyArray

    Examples
    --------
    >>> from databroker_like.files._memory import MemoryArray
    >>> view(MemoryArray([1, 2, 3]), slice(1, None)).shape
    (2,)
    """
    return Sliced(array, key)
