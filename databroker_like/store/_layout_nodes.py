"""The leaves of a run as nodes: the table of a stream's events, and the arrays beside it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from databroker_like.core._columns import page_size
from databroker_like.core._rows import EventColumn, EventRows
from databroker_like.core._source import RunSource
from databroker_like.errors import Invalid, NoSuchColumn, listed, nearest
from databroker_like.files._lazy import ArrayInfo, LazyArray
from databroker_like.store._layout_columns import arrow_type, as_arrow, is_json
from databroker_like.store._looks import Look
from databroker_like.utils._once import once

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["ArrayLeaf", "InternalTable", "Missing", "RecordedArray", "TableColumn"]

Doc = Mapping[str, Any]


@dataclass(frozen=True)
class TableColumn:
    """One column of a table: which column of the events it is, and what it looks like.

    Parameters
    ----------
    name : str
        In the table.
    group : {"data", "timestamps"} or None
        Where it stands in an event; None for ``time`` and ``seq_num``.
    key : str
    look : Look
    """

    name: str
    group: str | None
    key: str
    look: Look

    @once
    def field(self) -> pa.Field:
        """The column in the schema of the table; values that stand there as JSON say so."""
        import pyarrow as pa

        return pa.field(self.name, arrow_type(self.look), metadata={"encoding": "json"} if is_json(self.look) else None)

    def of_page(self, page: Doc) -> Any:
        """The column of an event page; None when the page has none."""
        return page.get(self.key) if self.group is None else page.get(self.group, {}).get(self.key)


@dataclass(frozen=True)
class InternalTable:
    """The events of a stream as a table.

    Parameters
    ----------
    name : str
        ``internal``; or ``internal_0``, ``internal_1``, ... of a stream with very many columns.
    metadata : mapping
        The descriptions of the data keys whose values stand in it.
    fields : tuple of TableColumn
    source : RunSource
    parts : tuple of (descriptor uid, int)
        Whose events these are, and how many; those of one descriptor follow those of the one before.
    """

    name: str
    metadata: Mapping[str, Any]
    fields: tuple[TableColumn, ...]
    source: RunSource
    parts: tuple[tuple[str, int], ...]

    @property
    def rows(self) -> int:
        """How many events there were when the run was described."""
        return sum(rows for _, rows in self.parts)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [field.name for field in self.fields]

    @once
    def schema(self) -> pa.Schema:
        """The names and types of the columns."""
        import pyarrow as pa

        return pa.schema([field.field for field in self.fields])

    def read(self, columns: Iterable[str] | None = None, start: int = 0, stop: int | None = None) -> pa.Table:
        """Some columns and rows.

        Parameters
        ----------
        columns : iterable of str, optional
            In the order in which they are wanted; all by default.
        start, stop : int
            The first row, and the one after the last; all by default. Negative ones count from the end.

        Returns
        -------
        pyarrow.Table

        Raises
        ------
        NoSuchColumn
            When one is not there.
        """
        import pyarrow as pa

        fields = self.fields if columns is None else tuple(map(self._field, columns))
        schema = pa.schema([field.field for field in fields])
        begin, end, _ = slice(start, stop).indices(self.rows)
        batches: list[pa.RecordBatch] = []
        offset = 0
        for uid, rows in self.parts:
            low, high = max(begin - offset, 0), min(end - offset, rows)
            offset += rows
            if low >= high or not fields:
                continue
            for page in self.source.get_event_pages(uid, skip=low, limit=high - low):
                arrays = [self._values(field, page) for field in fields]
                batches.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
        return pa.Table.from_batches(batches, schema=schema)

    def _field(self, name: str) -> TableColumn:
        for field in self.fields:
            if field.name == name:
                return field
        near = listed(nearest(name, self.columns) or self.columns)
        raise NoSuchColumn(f"the table {self.name!r} has no column {name!r}; it has {near}")

    def _values(self, field: TableColumn, page: Doc) -> pa.Array:
        import pyarrow as pa

        column = field.of_page(page)
        if column is None:
            return pa.nulls(page_size(page), field.field.type)
        return as_arrow(column, field.look, f"column {field.name!r} of table {self.name!r}")


class RecordedArray(EventColumn):
    """The arrays that stand in events themselves, as one array.

    Parameters
    ----------
    rows : EventRows
    key : str
    length : int
    look : Look
    step : int
        How many rows are read at once.
    """

    def __init__(self, rows: EventRows, key: str, length: int, look: Look, step: int) -> None:
        super().__init__(rows, "data", key, length, look.dtype, look.shape)
        self._known = ArrayInfo((length, *look.shape), look.dtype, (max(1, min(step, length)), *look.shape))

    def _read(self, handle: EventRows, out: np.ndarray, box: tuple[range, ...]) -> None:
        if any(self._key in page["data"] for page in handle.pages(box[0][0], box[0][-1] + 1)):
            super()._read(handle, out, box)
        else:  # rows that all lack it, which some have
            out[...] = float("nan")


class Missing(LazyArray):
    """Rows of a column that their descriptor does not have: NaN.

    Parameters
    ----------
    length : int
    dtype : numpy.dtype
    frame : tuple of int
        The shape of a row.
    """

    def __init__(self, length: int, dtype: np.dtype, frame: tuple[int, ...]) -> None:
        self._known = ArrayInfo((length, *frame), dtype, (1, *frame))

    @property
    def identity(self) -> tuple[Any, ...]:
        """The shape and the type."""
        return ("missing", self.shape, self.dtype.str)

    def _open(self) -> Any:
        return contextlib.nullcontext()

    def _describe(self, handle: Any) -> ArrayInfo:
        assert self._known is not None
        return self._known

    def _read(self, handle: Any, out: np.ndarray, box: tuple[range, ...]) -> None:
        out[...] = float("nan")


@dataclass(frozen=True)
class ArrayLeaf:
    """A data key of a stream as an array, one row for each event.

    Parameters
    ----------
    name : str
        The data key.
    metadata : mapping
        Its description.
    array : LazyArray
        Nothing is opened before shape or data are looked at.
    is_external : bool
        Whether the data lies in files of others.
    """

    name: str
    metadata: Mapping[str, Any]
    array: LazyArray
    is_external: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """(events, ...)."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements."""
        return self.array.dtype

    @property
    def dims(self) -> tuple[str, ...]:
        """``time``, then the names that the data key declares, or ``<data key>_0``, ``<data key>_1``, ..."""
        declared: Sequence[str] = self.metadata.get("dims") or ()
        rest = len(self.shape) - 1
        if len(declared) == rest + 1 and declared[0] == "time":
            declared = declared[1:]
        names = declared if len(declared) == rest else [f"{self.name}_{axis}" for axis in range(rest)]
        return ("time", *map(str, names))

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """The lengths of the pieces that are read at once, along each axis."""
        return tuple(
            tuple(min(step, length - at) for at in range(0, length, step)) or (0,)
            for length, step in zip(self.shape, map(_at_least_one, self.array.chunks), strict=True)
        )

    def read(self, index: Any = ()) -> np.ndarray:
        """A part of the array.

        Parameters
        ----------
        index : integers, slices, ``...``
            Everything by default.

        Returns
        -------
        numpy.ndarray
        """
        import numpy as np

        return np.asarray(self.array[index])

    def block(self, *numbers: int) -> np.ndarray:
        """One of the pieces that `chunks` counts.

        Parameters
        ----------
        *numbers : int
            One for each axis.

        Returns
        -------
        numpy.ndarray

        Raises
        ------
        Invalid
            When there is no such piece.
        """
        steps = tuple(map(_at_least_one, self.array.chunks))
        counts = tuple(max(1, math.ceil(n / step)) for n, step in zip(self.shape, steps, strict=True))
        if len(numbers) != len(counts) or any(not 0 <= n < count for n, count in zip(numbers, counts, strict=True)):
            raise Invalid(f"{self.name!r} has no block {numbers}; there are {counts}")
        return self.read(
            tuple(
                slice(n * step, min((n + 1) * step, length))
                for n, step, length in zip(numbers, steps, self.shape, strict=True)
            )
        )


def _at_least_one(step: int) -> int:
    return max(1, step)
