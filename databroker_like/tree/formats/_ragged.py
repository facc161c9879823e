"""Ragged arrays as JSON, as the buffers of an awkward array, and as files of Arrow and Parquet."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid
from databroker_like.nodes._arrays import RaggedRows
from databroker_like.tree._media import Format
from databroker_like.tree._words import JSON, to_json
from databroker_like.tree.formats._array import array_octets
from databroker_like.tree.formats._rows import plain_text
from databroker_like.tree.formats._table import ARROW_TYPE, TABLE_FORMATS, arrow_array
from databroker_like.tree.formats._zip import ZIP_TYPE, zipped

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["RAGGED_FORMATS", "Flat", "Ragged"]

_ROWS_AT_ONCE = 1000
#: What awkward calls the types of numpy that it has.
_PRIMITIVES = "biufcmM"
_NAMED = {form.media_type: form for form in TABLE_FORMATS}


@dataclass(frozen=True)
class Flat:
    """The elements of a ragged array one after the other, and where rows begin.

    Parameters
    ----------
    offsets : tuple of numpy.ndarray
        For each axis of different lengths, the outermost first: where a row begins, and where the last ends.
    data : numpy.ndarray
    """

    offsets: tuple[np.ndarray, ...]
    data: np.ndarray


@dataclass(frozen=True)
class Ragged:
    """A part of a ragged array.

    Parameters
    ----------
    rows : array, or sequence of arrays, or of such sequences
    levels : int
        How many axes of different lengths it has.
    dtype : numpy.dtype
    inner : tuple of int
        The lengths of the axes after those.
    """

    rows: RaggedRows
    levels: int
    dtype: np.dtype
    inner: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """The bytes of its elements, and of where rows begin."""
        return _nbytes(self.rows, self.levels)

    def flat(self) -> Flat:
        """Its elements one after the other.

        Examples
        --------
        >>> import numpy
        >>> flat = Ragged([numpy.array([1, 2]), numpy.array([3])], 1, numpy.dtype("<i8"), ()).flat()
        >>> [offsets.tolist() for offsets in flat.offsets], flat.data.tolist()
        ([[0, 2, 3]], [1, 2, 3])
        """
        import numpy as np

        dtype = self.dtype.newbyteorder("<") if self.dtype.byteorder == ">" else self.dtype
        if not self.levels:
            return Flat((), np.asarray(self.rows, dtype, order="C"))
        offsets, rows = [], self.rows
        for level in range(self.levels):
            ends = np.fromiter(map(len, rows), np.int64, len(rows)).cumsum()
            offsets.append(np.concatenate([np.zeros(1, np.int64), ends]))
            if level < self.levels - 1:
                rows = list(chain.from_iterable(rows))
        data = np.concatenate([np.empty((0, *self.inner), dtype), *rows])
        return Flat(tuple(offsets), np.asarray(data, dtype, order="C"))


def _nbytes(rows: Any, levels: int) -> int:
    return 8 * (len(rows) + 1) + sum(_nbytes(row, levels - 1) for row in rows) if levels else int(rows.nbytes)


def _plain(rows: Any, levels: int) -> Any:
    """Rows as JSON has words for them."""
    if levels:
        return [_plain(row, levels - 1) for row in rows]
    if rows.dtype.kind in "biuf" and rows.dtype.itemsize <= 8:
        # Contiguous and of this machine, which is what is written without making Python's numbers of it.
        return rows.astype(rows.dtype.newbyteorder("="), order="C", copy=False) if rows.ndim else rows.item()
    return plain_text((rows.astype(str) if rows.dtype.kind in "mM" else rows).tolist())


def _json(found: Ragged) -> Iterator[bytes]:
    rows, levels = found.rows, found.levels
    if not levels:
        yield to_json(_plain(rows, 0))
        return
    between = b"["
    for at in range(0, len(rows), _ROWS_AT_ONCE):
        yield between + to_json(_plain(rows[at : at + _ROWS_AT_ONCE], levels))[1:-1]
        between = b","
    yield b"]" if between == b"," else b"[]"


def _zip(found: Ragged) -> Iterator[bytes | memoryview]:
    """The buffers, the length, and the form as JSON in a text of JSON."""
    flat = found.flat()
    if flat.data.dtype.kind not in _PRIMITIVES or flat.data.dtype.name.startswith(("float128", "complex256")):
        raise Invalid(f"elements of type {flat.data.dtype} are no awkward array: ask for JSON")
    if not flat.data.ndim:
        raise Invalid("one element is no array: ask for JSON")
    key = len(flat.offsets)
    form: dict[str, Any] = {
        "class": "NumpyArray",
        "primitive": _primitive(flat.data.dtype),
        "inner_shape": list(flat.data.shape[1:]),
        "parameters": {},
        "form_key": f"node{key}",
    }
    buffers: dict[str, bytes | memoryview] = {f"node{key}-data": array_octets(flat.data)}
    for level in reversed(range(key)):
        form = {
            "class": "ListOffsetArray",
            "offsets": "i64",
            "content": form,
            "parameters": {},
            "form_key": f"node{level}",
        }
        buffers[f"node{level}-offsets"] = array_octets(flat.offsets[level])
    length = len(flat.offsets[0]) - 1 if flat.offsets else len(flat.data)
    said = {"length": struct.pack(">q", length), "form": json.dumps(json.dumps(form)).encode()}
    return zipped({**buffers, **said})


def _primitive(dtype: np.dtype) -> str:
    import numpy as np

    if dtype.kind in "mM":
        unit, count = np.datetime_data(dtype)
        return f"{'datetime' if dtype.kind == 'M' else 'timedelta'}64[{count if count > 1 else ''}{unit}]"
    return dtype.name


def _table(found: Ragged) -> pa.Table:
    """Rows as one column of lists, ``data``."""
    import pyarrow as pa

    flat = found.flat()
    values = arrow_array(flat.data.reshape(-1), "data")
    for length in reversed(flat.data.shape[1:]):
        values = pa.FixedSizeListArray.from_arrays(values, length)
    for offsets in reversed(flat.offsets):
        values = pa.LargeListArray.from_arrays(offsets, values)
    return pa.table({"data": values})


def _of_table(media_type: str) -> Any:
    return lambda found: _NAMED[media_type].write(_table(found))


#: The first is what is sent to who takes anything; the others are what the clients read, and exports.
RAGGED_FORMATS: tuple[Format, ...] = (
    Format(JSON, _json, ("json",)),
    Format(ZIP_TYPE, _zip, ("zip",)),
    Format(ARROW_TYPE, _of_table(ARROW_TYPE), ("arrow", "feather")),
    Format("application/x-parquet", _of_table("application/x-parquet"), ("parquet",)),
)
