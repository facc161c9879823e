"""Lazy arrays made of several others: one after the other, or along a new axis."""

from __future__ import annotations

import bisect
import contextlib
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid, InvalidFile
from databroker_like.files._array import ArrayInfo, LazyArray
from databroker_like.files._select import Box
from databroker_like.files._views import Grouped, Sliced, Window

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Concatenated", "Stacked", "concatenate", "stack"]


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

    @property
    def state(self) -> tuple[Any, ...]:
        """Those of the first and the last part."""
        return (self.parts[0].state, self.parts[-1].state)

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
    >>> from databroker_like.files._memory import MemoryArray
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
    >>> from databroker_like.files._memory import MemoryArray
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
    >>> from databroker_like.files._lazy import MemoryArray, view
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
