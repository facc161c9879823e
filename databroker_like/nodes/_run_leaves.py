"""The leaves of a run: the table of a stream's events, and the arrays beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.core._declared import declared_dtype, extract_shape, is_number
from databroker_like.errors import HandlerFailed, InvalidFile, MissingExtra, MissingFile, NoSuchHandler
from databroker_like.files._lazy import Concatenated, LazyArray
from databroker_like.nodes._arrays import ArrayNode
from databroker_like.nodes._tables import ColumnNode, TableNode
from databroker_like.slices import Slices, sliced_shape
from databroker_like.store._layout_nodes import ArrayLeaf, InternalTable
from databroker_like.structures import ArrayStructure, Chunks, TableStructure, data_type_of
from databroker_like.utils._once import once

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["EventArray", "EventTable"]

#: A part of a table has about so many bytes, and a block of an array at least about so many where rows are small.
_PARTITION_BYTES = 16 << 20
_BLOCK_BYTES = 4 << 20
#: What keeps data from being looked at, and its description from nobody.
_UNREADABLE = (MissingFile, NoSuchHandler, HandlerFailed, InvalidFile, MissingExtra)


class EventTable(TableNode):
    """The events of a stream, as many as there were when it was asked for.

    Parameters
    ----------
    table : InternalTable
    version : object
        Of the run.
    """

    def __init__(self, table: InternalTable, version: Any) -> None:
        self._table = table
        self._version = version
        self._columns: dict[str, ColumnNode] = {}

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The data keys whose values stand in it."""
        return self._table.metadata

    @property
    def version(self) -> Any:
        return self._version

    @once
    def _rows_a_part(self) -> int:
        looks = [field.look for field in self._table.fields]
        bytes_a_row = sum(look.dtype.itemsize * math.prod(look.shape) for look in looks)
        return max(1, _PARTITION_BYTES // max(1, bytes_a_row))

    @once
    def _structure(self) -> TableStructure:
        return TableStructure.from_schema(self._table.schema, max(1, -(-self._table.rows // self._rows_a_part)))

    def structure(self) -> TableStructure:
        return self._structure

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self.read_rows(columns, 0, None)

    def read_rows(self, columns: Sequence[str] | None, start: int, stop: int | None) -> pa.Table:
        return self._table.read(columns, start, stop)

    def read_partition(self, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        self.check_partition(number)
        return self.read_rows(columns, number * self._rows_a_part, (number + 1) * self._rows_a_part)

    def get(self, key: str) -> ColumnNode | None:
        column = self._columns.get(key)
        if column is None and (column := super().get(key)) is not None:
            self._columns[key] = column
        return column


class EventArray(ArrayNode):
    """A data key of a stream as an array, one row for each event.

    Parameters
    ----------
    leaf : ArrayLeaf
    rows : int
        How many events there are, for what lies in files that cannot be looked at.
    version : object
        Of the run.
    """

    def __init__(self, leaf: ArrayLeaf, rows: int, version: Any) -> None:
        self._leaf = leaf
        self._rows = rows
        self._version = version

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The description of the data key."""
        return self._leaf.metadata

    @property
    def version(self) -> Any:
        return self._version

    @once
    def _found(self) -> ArrayStructure:
        leaf = self._leaf
        data_type = data_type_of(leaf.dtype)
        return ArrayStructure(data_type, _joined(leaf.chunks, data_type.itemsize), leaf.shape, leaf.dims)

    @property
    def found(self) -> ArrayStructure:
        """The structure that the data has; an error when it is not there or cannot be read."""
        return self._found

    @property
    def is_external(self) -> bool:
        """Whether the data lies in files of others."""
        return self._leaf.is_external

    @property
    def parts(self) -> Sequence[LazyArray]:
        """What the array is put together of: that of one descriptor after that of another."""
        array = self._leaf.array
        return array.parts if isinstance(array, Concatenated) else [array]

    def structure(self) -> ArrayStructure:
        """As the data has it; as it is declared, when the data is not there or cannot be read."""
        try:
            return self._found
        except _UNREADABLE:
            return self._declared()

    def _declared(self) -> ArrayStructure:
        import numpy as np

        said = self._leaf.metadata
        key = self._leaf.name
        shape = () if is_number(said.get("shape") or (), said.get("dtype")) else extract_shape(_alone(key, said), key)
        lengths = (self._rows, *(max(0, length) for length in shape))
        dims = ("time", *(f"{key}_{axis}" for axis in range(len(shape))))
        data_type = data_type_of(np.dtype(declared_dtype(said)))
        return ArrayStructure(data_type, tuple((length,) for length in lengths), lengths, dims)

    def read(self, slices: Slices = ()) -> np.ndarray:
        sliced_shape(slices, self._found.shape)
        return self._leaf.read(slices)


def _alone(key: str, data_key: Mapping[str, Any]) -> dict[str, Any]:
    """A descriptor of this data key and nothing else."""
    return {"data_keys": {key: data_key}}


def _joined(chunks: Chunks, itemsize: int) -> Chunks:
    """Small pieces along the first axis put together, where no other axis is cut."""
    if not chunks or any(len(cuts) > 1 for cuts in chunks[1:]):
        return chunks
    bytes_a_row = max(1, itemsize * math.prod(sum(cuts) for cuts in chunks[1:]))
    first = chunks[0]
    together = max(1, _BLOCK_BYTES // (bytes_a_row * max(1, first[0])))
    if together == 1:
        return chunks
    joined = tuple(sum(first[at : at + together]) for at in range(0, len(first), together))
    return (joined, *chunks[1:])
