"""The rows of a stream as columns: event pages joined, in memory or when they are asked for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from databroker_like.core._pages import page_size, scalars
from databroker_like.core._source import RunSource
from databroker_like.errors import Invalid
from databroker_like.files._lazy import ArrayInfo, LazyArray

if TYPE_CHECKING:
    import numpy as np

__all__ = ["EventColumn", "EventRows", "as_array", "fitted", "gapped_column", "join_column", "ragged", "roomy"]

Doc = Mapping[str, Any]

#: Characters that texts may take when all are as long as the longest; beyond, they stay objects unless most are.
PADDED_AT_MOST = 16_000_000


def as_array(values: Any) -> np.ndarray:
    """A column as one array, of the dtype that its values have.

    Parameters
    ----------
    values : list or ndarray
        One value for each event.

    Returns
    -------
    ndarray
        Of shape (time, ...). Values of different shapes make a column of ``object`` dtype and shape (time,), each
        value an array of its own; texts that end in zeros, or of which few are very long, and integers that neither
        int64 nor uint64 holds, stay Python objects.

    Examples
    --------
    >>> as_array(["a", "bcd"])
    array(['a', 'bcd'], dtype='<U3')
    >>> as_array([[1, 2], [3]])
    array([array([1, 2]), array([3])], dtype=object)
    """
    import numpy as np

    if isinstance(values, np.ndarray):
        return values
    if len(values) and isinstance(values[0], str | bytes) and _is_no_fixed_width(values):
        return _objects(values)
    try:
        array = np.asarray(values)
    except ValueError:
        return ragged(values)
    if array.dtype == np.float64 and array.ndim == 1 and (np.abs(array) >= 2.0**63).any():
        return _integers(values, array)
    if array.dtype == object and array.ndim > 1:
        # Rows of one length whose elements are of no one kind, such as lists with None in them.
        return ragged(values) if any(isinstance(v, list | tuple) and _uneven(v) for v in values) else array
    return array


def _objects(values: Sequence[Any]) -> np.ndarray:
    import numpy as np

    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def _is_no_fixed_width(values: Sequence[Any]) -> bool:
    """Whether texts are such as numpy would shorten, or blow up: it pads all to the longest, and cuts zeros off."""
    kind = type(values[0])
    if not all(type(value) is kind for value in values):
        return False
    joined = values[0][:0].join(values)
    if (b"\0" if kind is bytes else "\0") in joined:
        return True
    padded = max(map(len, values)) * len(values)
    return padded > PADDED_AT_MOST and padded > 8 * len(joined)


def _integers(values: Sequence[Any], array: np.ndarray) -> np.ndarray:
    """Integers too large for int64 as they are, where numpy makes floats of them that are others."""
    import numpy as np

    if not all(isinstance(value, int | np.integer) for value in values):
        return array
    return np.asarray(values, dtype=np.uint64) if min(values) >= 0 else _objects(values)


def _uneven(value: Sequence[Any]) -> bool:
    lengths = {len(v) if isinstance(v, list | tuple) else -1 for v in value}
    return len(lengths) > 1


def ragged(values: Iterable[Any]) -> np.ndarray:
    """Values of different shapes as a column of arrays."""
    import numpy as np

    values = list(values)
    out = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        out[i] = as_array(value) if isinstance(value, list | tuple) else value
    return out


def join_column(parts: Sequence[Any]) -> np.ndarray:
    """The column of several pages as one array, which is nobody else's.

    Parameters
    ----------
    parts : sequence of list or ndarray
        The column of each page, at least one.

    Returns
    -------
    ndarray
    """
    import numpy as np

    if all(isinstance(part, list) for part in parts):
        return as_array(parts[0] if len(parts) == 1 else list(chain.from_iterable(parts)))
    if len(parts) == 1:
        return np.array(parts[0])
    kept = [as_array(part) for part in parts if len(part)] or [as_array(parts[0])]
    if len({array.shape[1:] for array in kept}) > 1:
        return ragged(chain.from_iterable(kept))
    if len({array.dtype.kind for array in kept}) > 1:
        # What one list of all would have become, numbers beside strings for instance.
        return as_array(list(chain.from_iterable(scalars(array) for array in kept)))
    return np.concatenate(kept)


def roomy(dtype: np.dtype) -> np.dtype:
    """The dtype that has room for NaN beside values of another, as xarray chooses it.

    Examples
    --------
    >>> import numpy
    >>> str(roomy(numpy.dtype("int64"))), str(roomy(numpy.dtype("bool")))
    ('float64', 'object')
    """
    import numpy as np

    if dtype.kind in "fc":
        return dtype
    if dtype.kind in "iu":
        return np.dtype("float64") if dtype.itemsize > 2 else np.dtype("float32")
    return np.dtype(object)


def gapped_column(parts: Sequence[Any], lengths: Sequence[int]) -> np.ndarray:
    """The column of several pages, of which some lack it: NaN stands in their rows.

    Parameters
    ----------
    parts : sequence of list, ndarray or None
        The column of each page.
    lengths : sequence of int
        The rows of each page.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> gapped_column([[1.5], None, [2.5]], [1, 2, 1])
    array([1.5, nan, nan, 2.5])
    """
    import numpy as np

    there = [part for part in parts if part is not None]
    if len(there) == len(parts):
        return join_column(there)
    if not there:
        return np.full(sum(lengths), np.nan)
    values = join_column(there)
    out = np.full((sum(lengths), *values.shape[1:]), np.nan, dtype=roomy(values.dtype))
    out[np.repeat([part is not None for part in parts], lengths)] = values
    return out


def fitted(array: np.ndarray, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """Some rows of a column in the dtype and shape that all of its rows have together."""
    if dtype.hasobject and not array.dtype.hasobject and array.ndim > 1 and not shape:
        return ragged(array)
    if array.shape[1:] != shape:
        raise Invalid(
            f"rows of shape {array.shape[1:]} have come to a column of shape {shape}; the data was changed "
            "after it was opened: open it again"
        )
    return array.astype(dtype, copy=False)


class EventRows:
    """The events of one descriptor: what was read last is kept, and is left behind when it pickles.

    Parameters
    ----------
    source : RunSource
    descriptor_uid : str
    """

    def __init__(self, source: RunSource, descriptor_uid: str) -> None:
        self.source = source
        self.descriptor_uid = descriptor_uid
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._last: tuple[tuple[int, int], list[Doc]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "descriptor_uid": self.descriptor_uid}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def pages(self, start: int, stop: int) -> list[Doc]:
        """The pages that hold rows ``start`` to ``stop`` and no others."""
        # Columns side by side ask for the same rows one after the other.
        with self._lock:
            if self._last is None or self._last[0] != (start, stop):
                pages = list(self.source.get_event_pages(self.descriptor_uid, skip=start, limit=stop - start))
                self._last = ((start, stop), pages)
            return self._last[1]


class EventColumn(LazyArray):
    """A column of the events themselves, read when it is asked for.

    Parameters
    ----------
    rows : EventRows
    field : {"data", "timestamps"}
    key : str
        The data key.
    length : int
        The number of events.
    dtype : numpy.dtype
    shape : tuple of int
        Of one event's value.
    digest : str
        What tells the values from others, such as those of a file that was mended by hand since.
    """

    def __init__(
        self,
        rows: EventRows,
        field: str,
        key: str,
        length: int,
        dtype: np.dtype,
        shape: tuple[int, ...] = (),
        digest: str = "",
    ) -> None:
        self._rows = rows
        self._field = field
        self._key = key
        self._digest = digest
        self._known = ArrayInfo((length, *shape), dtype, (max(1, length), *shape))

    @property
    def identity(self) -> tuple[Any, ...]:
        """The descriptor, the field and the key, how many rows there were, and what tells their values from others."""
        return ("events", self._rows.descriptor_uid, self._field, self._key, self.shape, self.dtype.str, self._digest)

    def _open(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext(self._rows)

    def _describe(self, handle: Any) -> ArrayInfo:
        assert self._known is not None
        return self._known

    def _read(self, handle: EventRows, out: np.ndarray, box: tuple[range, ...]) -> None:
        rows, rest = box[0], box[1:]
        pages = handle.pages(rows[0], rows[-1] + 1)
        array = gapped_column([page[self._field].get(self._key) for page in pages], [page_size(page) for page in pages])
        array = fitted(array, self.dtype, self.shape[1:])
        out[...] = array[(slice(None, None, rows.step), *(slice(r.start, r.stop, r.step) for r in rest))]
