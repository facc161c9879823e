"""Lazy arrays made of others: parts, rows, groups of rows, stacks; each has the shape of what it wraps."""

from __future__ import annotations

import bisect
import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid, InvalidFile
from databroker_like.files._array import ArrayInfo, LazyArray
from databroker_like.files._select import Box, lengths, plain, select, slices

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "Concatenated",
    "Grouped",
    "MemoryArray",
    "Sliced",
    "Stacked",
    "View",
    "Window",
    "concatenate",
    "stack",
    "view",
]


class MemoryArray(LazyArray):
    """An array in memory in the clothes of a lazy one.

    Parameters
    ----------
    data : array_like

    Examples
    --------
    >>> MemoryArray([1, 2, 3])[::-1].tolist()
    [3, 2, 1]
    """

    def __init__(self, data: Any) -> None:
        import numpy as np

        self._data = np.asarray(data)

    @property
    def identity(self) -> tuple[Any, ...]:
        """The type, the shape and a digest of the bytes."""
        import numpy as np

        data = self._data
        raw = repr(data.tolist()).encode() if data.dtype.hasobject else np.ascontiguousarray(data).tobytes()
        return ("memory", data.dtype.str, data.shape, hashlib.blake2b(raw, digest_size=16).hexdigest())

    def _open(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext(self._data)

    def _describe(self, handle: Any) -> ArrayInfo:
        return ArrayInfo(self._data.shape, self._data.dtype, self._data.shape)

    def _read(self, handle: Any, out: np.ndarray, box: Box) -> None:
        out[...] = self._data[slices(box)]


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


class _Parts(LazyArray):
    """What is made of several arrays and opens each only while it reads from it."""

    def __init__(self, parts: Sequence[LazyArray]) -> None:
        if not parts:
            raise Invalid("no arrays to put together; an array needs at least one part to know its shape")
        self.parts = parts

    @property
    def identity(self) -> tuple[Any, ...]:
        """Those of the parts."""
        return (type(self).__name__.lower(), *(part.identity for part in self.parts))

    @property
    def paths(self) -> tuple[str, ...]:
        """The files of all parts, each once."""
        return tuple(dict.fromkeys(path for part in self.parts for path in part.paths))

    def _where(self) -> str:
        first = self.parts[0]._where()
        return f"{first} and {len(self.parts) - 1} more parts" if first and len(self.parts) > 1 else first

    def _open(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext(_Opener())


class _Opener:
    """Opens parts one after the other; neighbours that read the same file share one opening."""

    @contextlib.contextmanager
    def session(self) -> Iterator[Any]:
        with contextlib.ExitStack() as stack:
            source: LazyArray | None = None
            handle: Any = None

            def opened(part: LazyArray) -> Any:
                nonlocal source, handle
                theirs = part.source
                if source is None or not (theirs is source or theirs.identity == source.identity):
                    stack.close()
                    source = None
                    handle = stack.enter_context(part._open())
                    source = theirs
                return handle

            yield opened


class Concatenated(_Parts):
    """Arrays one after the other along the first axis.

    Parameters
    ----------
    parts : sequence of LazyArray
        At least one; the same shape apart from the first axis. A part is opened when something is read from it, or
        when its length cannot be known without.

    Examples
    --------
    >>> Concatenated([MemoryArray([1, 2]), MemoryArray([3])])[1:].tolist()
    [2, 3]
    """

    _ends: list[int] | None = None

    @property
    def rows(self) -> int | None:
        """The sum of the parts' rows, when all are known."""
        counts = [part.rows for part in self.parts]
        return None if any(n is None for n in counts) else sum(n for n in counts if n is not None)

    def _offsets(self) -> list[int]:
        if self._ends is None:
            self._ends = list(accumulate(len(part) if part.rows is None else part.rows for part in self.parts))
        return self._ends

    def _describe(self, handle: Any) -> ArrayInfo:
        first = self.parts[0].info
        if not first.shape:
            raise Invalid("arrays without axes cannot be concatenated; stack them")
        return ArrayInfo((self._offsets()[-1], *first.shape[1:]), first.dtype, first.chunks)

    def _read(self, handle: Any, out: np.ndarray, box: Box) -> None:
        ends = self._offsets()
        rows, rest = box[0], box[1:]
        done = 0
        with handle.session() as opened:
            while done < len(rows):
                index = bisect.bisect_right(ends, rows[done])
                start = ends[index - 1] if index else 0
                count = len(range(rows[done], min(ends[index], rows.stop), rows.step))
                part = self.parts[index]
                here = opened(part)
                _check_part(part, part._look(here), (ends[index] - start, *self.shape[1:]), self.dtype, index)
                local = range(rows[done] - start, rows[done + count - 1] - start + 1, rows.step)
                part._read_box(here, out[done : done + count], (local, *rest))
                done += count


class Stacked(_Parts):
    """Arrays of one shape along a new first axis.

    `stack` makes one and joins neighbours first, which is what to call.

    Parameters
    ----------
    parts : sequence of LazyArray
        At least one. The shape is that of the first; another with a different shape is an error when it is read.

    Examples
    --------
    >>> Stacked([MemoryArray([1, 2]), MemoryArray([3, 4])])[:, 1].tolist()
    [2, 4]
    """

    @property
    def rows(self) -> int:
        """The number of parts."""
        return len(self.parts)

    def _describe(self, handle: Any) -> ArrayInfo:
        first = self.parts[0].info
        return ArrayInfo((len(self.parts), *first.shape), first.dtype, (1, *first.chunks))

    def _read(self, handle: Any, out: np.ndarray, box: Box) -> None:
        with handle.session() as opened:
            for i, row in enumerate(box[0]):
                part = self.parts[row]
                here = opened(part)
                _check_part(part, part._look(here), self.shape[1:], self.dtype, row)
                part._read_box(here, out[i, ...], box[1:])


def _check_part(part: LazyArray, info: ArrayInfo, shape: tuple[int, ...], dtype: np.dtype, index: int) -> None:
    import numpy as np

    if info.shape != shape:
        raise InvalidFile(
            f"part {index} ({part._where() or type(part).__name__}) has shape {info.shape}, the others {shape}; "
            "parts of different shapes cannot be one array: read them one by one"
        )
    if info.dtype != dtype and not np.can_cast(info.dtype, dtype, "safe"):
        raise InvalidFile(
            f"part {index} ({part._where() or type(part).__name__}) holds {info.dtype}, the first {dtype}, "
            "which cannot hold it; read them one by one"
        )


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
    >>> view(MemoryArray([1, 2, 3]), slice(1, None)).shape
    (2,)
    """
    return Sliced(array, key)


def concatenate(parts: Sequence[LazyArray]) -> LazyArray:
    """Lazy arrays one after the other along the first axis; a single one is returned as it is.

    Parameters
    ----------
    parts : sequence of LazyArray

    Returns
    -------
    LazyArray
    """
    return parts[0] if len(parts) == 1 else Concatenated(list(parts))


def stack(parts: Sequence[LazyArray]) -> LazyArray:
    """Lazy arrays of one shape along a new first axis, neighbours in one file joined into one reading.

    Parameters
    ----------
    parts : sequence of LazyArray
        Views such as ``view(frames, 17)`` or ``view(frames, slice(10, 15))`` of one array are joined when each goes on
        where the one before it ended.

    Returns
    -------
    LazyArray
        Of shape ``(len(parts), *shape of a part)``.

    Examples
    --------
    >>> frames = MemoryArray([[1, 2], [3, 4], [5, 6]])
    >>> stack([view(frames, i) for i in range(3)])
    <Window, not opened yet>
    """
    if not parts:
        raise Invalid("no arrays to stack; a stack needs at least one to know its shape")
    joined: list[LazyArray] = []
    single: list[LazyArray] = []
    position = 0
    while position < len(parts):
        run = _run(parts, position)
        if run is None:
            single.append(parts[position])
            position += 1
            continue
        array, position = run
        if single:
            joined.append(Stacked(single))
            single = []
        joined.append(array)
    if single:
        joined.append(Stacked(single))
    return concatenate(joined)


def _run(parts: Sequence[LazyArray], position: int) -> tuple[LazyArray, int] | None:
    """The rows that the parts from ``position`` on take together from one array, and where that ends."""
    rows = _rows_taken(parts[position])
    if rows is None:
        return None
    parent, start, size, dropped = rows
    stop = start + size
    end = position + 1
    while end < len(parts):
        more = _rows_taken(parts[end])
        if more is None or more[1:] != (stop, size, dropped):
            break
        if more[0] is not parent and more[0].identity != parent.identity:
            break
        stop += size
        end += 1
    if end - position == 1 and not dropped:
        return None
    window = Window(parent, start, stop)
    return (window if dropped else Grouped(window, size)), end


def _rows_taken(part: LazyArray) -> tuple[LazyArray, int, int, bool] | None:
    """(parent, first row, number of rows, whether the axis is dropped) of a view that takes whole rows."""
    if isinstance(part, Window):
        return (part.parent, part.start, part.rows, False) if part.rows else None
    if not isinstance(part, Sliced):
        return None
    key = part.key[0] if isinstance(part.key, tuple) and len(part.key) == 1 else part.key
    if isinstance(key, int) and not isinstance(key, bool) and key >= 0:
        return part.parent, key, 1, True
    if isinstance(key, slice) and key.step in (None, 1) and key.stop is not None:
        start = key.start or 0
        if 0 <= start < key.stop:
            return part.parent, start, key.stop - start, False
    return None
