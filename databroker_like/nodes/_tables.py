"""Nodes whose data is a table, and their columns, which are arrays."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid, NoSuchColumn, OutOfRange, listed, nearest
from databroker_like.nodes._arrays import ArrayNode
from databroker_like.nodes._node import Node
from databroker_like.slices import Slices, expand, sliced_shape
from databroker_like.structures import ArrayStructure, StructureFamily, TableStructure

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["ColumnNode", "TableNode", "as_array"]


class TableNode(Node):
    """A node whose data is a table; its columns are nodes in it."""

    structure_family = StructureFamily.table

    @abstractmethod
    def structure(self) -> TableStructure:
        """The names and types of the columns, and of how many parts the table is."""

    @abstractmethod
    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The table, or some columns of it.

        Parameters
        ----------
        columns : sequence of str, optional
            In the order in which they are wanted; all by default.

        Returns
        -------
        pyarrow.Table

        Raises
        ------
        NoSuchColumn
            When one is not there.
        """

    @abstractmethod
    def read_partition(self, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        """One part of the table.

        Parameters
        ----------
        number : int
            From 0.
        columns : sequence of str, optional
            All by default.

        Returns
        -------
        pyarrow.Table

        Raises
        ------
        OutOfRange
            When there is no such part.
        NoSuchColumn
            When one is not there.
        """

    def count_bytes(self, columns: Sequence[str] | None = None, partition: int | None = None) -> int | None:
        """How many bytes columns have, in one part or in all; None where that is not known before they are read."""
        return None

    def read_rows(self, columns: Sequence[str] | None, start: int, stop: int | None) -> pa.Table:
        """Some rows, from one to before another.

        Parameters
        ----------
        columns : sequence of str or None
            None for all.
        start, stop : int
            Not negative; None for the end.

        Returns
        -------
        pyarrow.Table
        """
        table = self.read(columns)
        return table.slice(start, None if stop is None else max(0, stop - start))

    def check_columns(self, columns: Iterable[str]) -> None:
        """Refuse columns that are not there.

        Raises
        ------
        NoSuchColumn
            When one is not there; with the nearest ones that are.
        """
        there = self.structure().columns
        known = frozenset(there)
        for name in columns:
            if name not in known:
                near = nearest(name, there) or there[:10]
                raise NoSuchColumn(f"the table has no column {name!r}; it has {listed(near) if near else 'none'}")

    def check_partition(self, number: int) -> None:
        """Refuse the number of a part that is not there, by OutOfRange."""
        there = self.structure().npartitions
        if not 0 <= number < there:
            raise OutOfRange(f"there is no partition {number}; there are {there}, from 0")

    def get(self, key: str) -> ColumnNode | None:
        """A column as an array; None when there is none of this name."""
        return ColumnNode(self, key) if key in self.structure().columns else None


class ColumnNode(ArrayNode):
    """A column of a table as an array, as the table was when it was asked for.

    Parameters
    ----------
    table : TableNode
    name : str
    """

    def __init__(self, table: TableNode, name: str) -> None:
        self._table = table
        self._name = name
        self._structure: ArrayStructure | None = None

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Nothing is said of a column."""
        return {}

    @property
    def version(self) -> Any:
        return self._table.version

    def structure(self) -> ArrayStructure:
        if self._structure is None:
            self._structure = ArrayStructure.from_array(self._rows(0, None))
        return self._structure

    def read(self, slices: Slices = ()) -> np.ndarray:
        import numpy as np

        structure = self.structure()
        shape = structure.shape
        wanted = sliced_shape(slices, shape)
        first, *rest = expand(slices, len(shape))
        some = range(shape[0])[first] if isinstance(first, slice) else range(range(shape[0])[first], shape[0])[:1]
        if not some:
            # No row says how long the lists in a column are.
            return np.empty(wanted, structure.data_type.to_numpy_dtype())
        rows = self._rows(min(some[0], some[-1]), max(some[0], some[-1]) + 1)
        within = slice(None, None, some.step) if isinstance(first, slice) else 0
        # Some rows may be of a narrower type than all of them.
        return np.asarray(rows[(within, *rest)], structure.data_type.to_numpy_dtype())

    def _rows(self, start: int, stop: int | None) -> np.ndarray:
        return as_array(self._table.read_rows([self._name], start, stop)[self._name], self._name)


def as_array(column: pa.ChunkedArray, name: str) -> np.ndarray:
    """The values of a column of a table as an array.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
    name : str
        For an error.

    Returns
    -------
    numpy.ndarray
        Lists that are all of one length are axes of it. What is missing is NaN, no time, or the empty text.

    Raises
    ------
    Invalid
        When lists are of different lengths, or values are neither numbers, times, texts nor bytes.

    Examples
    --------
    >>> import pyarrow
    >>> as_array(pyarrow.chunked_array([[[1, 2], [3, 4]]]), "x")
    array([[1, 2],
           [3, 4]])
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        lengths = pc.unique(pc.list_value_length(column)).to_pylist()
        if len(lengths) > 1 or None in lengths:
            raise Invalid(f"the lists in column {name!r} are of different lengths, which is no array: read the table")
        inner = as_array(pa.chunked_array([chunk.flatten() for chunk in column.chunks], kind.value_type), name)
        return inner.reshape(len(column), lengths[0] if lengths else 0, *inner.shape[1:])
    if pa.types.is_dictionary(kind):
        return as_array(column.cast(kind.value_type), name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array(["" if value is None else value for value in column.to_pylist()], dtype=np.str_)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return np.array([b"" if value is None else value for value in column.to_pylist()], dtype=np.bytes_)
    array: np.ndarray = column.to_numpy()
    if array.dtype == object and pa.types.is_boolean(kind):
        array = column.cast(pa.float64()).to_numpy()
    if array.dtype == object:
        raise Invalid(f"the values of column {name!r}, of type {kind}, are no array: read the table")
    return array
