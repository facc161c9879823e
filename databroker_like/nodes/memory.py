"""Nodes of what is in memory: mappings of nodes, numpy and dask arrays, tables, sparse, ragged and awkward arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid, WrongType
from databroker_like.nodes._arrays import ArrayNode, SparseNode
from databroker_like.nodes._asking import Selector, as_sorting, positions, selector
from databroker_like.nodes._awkward_data import AwkwardData
from databroker_like.nodes._described import Described, Doc
from databroker_like.nodes._node import DEFAULT_SORTING, ContainerNode, Node, Query, Sorting
from databroker_like.nodes._ragged_data import RaggedData
from databroker_like.nodes._tables import TableNode
from databroker_like.queries import Tally
from databroker_like.slices import Slices, expand, sliced_shape
from databroker_like.structures import (
    ArrayStructure,
    SparseStructure,
    Spec,
    TableStructure,
    data_type_of,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import xarray as xr

__all__ = ["ArrayData", "AwkwardData", "MapNode", "RaggedData", "SparseData", "TableData", "dataset_node"]

#: A part of a table has no more bytes, unless one row has.
_PARTITION_BYTES = 64 << 20
_DATASET = "xarray_dataset"


class MapNode(Described, ContainerNode):
    """A container of the nodes in a mapping, in its order; what is put into the mapping later shows.

    Parameters
    ----------
    nodes : mapping of str to Node
    metadata : mapping, optional
    specs : iterable of Spec
        None by default.

    Examples
    --------
    >>> from databroker_like.queries import Eq
    >>> tree = MapNode({color: MapNode({}, metadata={"color": color}) for color in ("red", "blue")})
    >>> list(tree.keys()), list(tree.search(Eq("color", "blue")).keys()), list(tree.sorted([("color", 1)]).keys())
    (['red', 'blue'], ['blue'], ['blue', 'red'])
    """

    def __init__(self, nodes: Mapping[str, Node], *, metadata: Doc | None = None, specs: Iterable[Spec] = ()) -> None:
        super().__init__(metadata, specs)
        self._nodes = nodes
        self._selectors: tuple[Selector, ...] = ()
        self._sorting: Sorting = DEFAULT_SORTING

    @property
    def at_hand(self) -> bool:
        # What another mapping does to give a node is not known, nor what a subclass does to tell of itself.
        return type(self) is MapNode and type(self._nodes) is dict

    @property
    def is_told_whole(self) -> bool:
        return any(spec.name == _DATASET for spec in self._specs)

    def get(self, key: str) -> Node | None:
        node = self._nodes.get(key)
        return node if node is not None and all(all(select([key], [node])) for select in self._selectors) else None

    def items(self, offset: int = 0, limit: int | None = None) -> Iterator[tuple[str, Node]]:
        keys, nodes = self._found()
        stop = None if limit is None else offset + limit
        if nodes is None:
            return self._looked_at(keys[offset:stop])
        return zip(keys[offset:stop], nodes[offset:stop], strict=True)

    def keys(self, offset: int = 0, limit: int | None = None) -> Iterator[str]:
        return iter(self._found()[0][offset : None if limit is None else offset + limit])

    def count(self) -> int:
        return len(self._found()[0]) if self._selectors else len(self._nodes)

    def page(self, offset: int, limit: int) -> tuple[int, Sequence[tuple[str, Node]]]:
        keys, nodes = self._found()
        part = slice(offset, offset + limit)
        found = self._looked_at(keys[part]) if nodes is None else zip(keys[part], nodes[part], strict=True)
        return len(keys), list(found)

    def _looked_at(self, keys: Iterable[str]) -> Iterator[tuple[str, Node]]:
        for key in keys:
            node = self._nodes.get(key)
            if node is not None:
                yield key, node

    def _found(self) -> tuple[list[str], list[Node] | None]:
        """The keys of what matches, in order, and the nodes where they were looked at.

        There are no pairs here: of very many, who collects garbage would have to look at each.
        """
        # A copy: it may grow meanwhile.
        keys = list(self._nodes)
        if not self._selectors and self._sorting in (DEFAULT_SORTING, (("", -1),)):
            return keys if self._sorting == DEFAULT_SORTING else keys[::-1], None
        found = [self._nodes.get(key) for key in keys]
        keys = [key for key, node in zip(keys, found, strict=True) if node is not None]
        nodes = [node for node in found if node is not None]
        for select in self._selectors:
            chosen = list(select(keys, nodes))
            keys, nodes = list(compress(keys, chosen)), list(compress(nodes, chosen))
        if self._sorting != DEFAULT_SORTING:
            order = positions(self._sorting, [node.metadata for node in nodes])
            keys, nodes = [keys[at] for at in order], [nodes[at] for at in order]
        return keys, nodes

    def distinct(self, key: str) -> list[tuple[Any, int]]:
        tally = Tally(key)
        nodes = self._found()[1]
        tally.add_all(node.metadata for node in (list(self._nodes.values()) if nodes is None else nodes))
        return tally.counts()

    def search(self, query: Query) -> MapNode:
        return self._changed(selectors=(*self._selectors, selector(query)))

    def sorted(self, by: Sequence[tuple[str, int]]) -> MapNode:
        return self._changed(sorting=as_sorting(by))

    @property
    def sorting(self) -> Sorting:
        return self._sorting

    def _changed(self, *, selectors: tuple[Selector, ...] | None = None, sorting: Sorting | None = None) -> MapNode:
        other = MapNode(self._nodes, metadata=self._metadata, specs=self._specs)
        other._selectors = self._selectors if selectors is None else selectors
        other._sorting = self._sorting if sorting is None else sorting
        return other


class ArrayData(Described, ArrayNode):
    """An array of numpy or dask, or anything that is sliced as one and has a shape and a dtype.

    Parameters
    ----------
    array : array-like
    metadata : mapping, optional
    specs : iterable of Spec
        None by default.
    dims : iterable of str, optional
        The names of the axes.
    chunks : tuple of tuple of int, optional
        Those of a dask array, or some of a few megabytes, by default.

    Examples
    --------
    >>> import numpy
    >>> ArrayData(numpy.arange(6).reshape(2, 3)).read((slice(None), 0))
    array([0, 3])
    """

    def __init__(
        self,
        array: Any,
        *,
        metadata: Doc | None = None,
        specs: Iterable[Spec] = (),
        dims: Iterable[str] | None = None,
        chunks: tuple[tuple[int, ...], ...] | None = None,
    ) -> None:
        super().__init__(metadata, specs)
        self._array = array
        self._structure = ArrayStructure.from_array(array, chunks=chunks, dims=dims)

    @property
    def at_hand(self) -> bool:
        return type(self) is ArrayData

    def structure(self) -> ArrayStructure:
        return self._structure

    def read(self, slices: Slices = ()) -> np.ndarray:
        import numpy as np

        shape, dtype = self._structure.shape, self._structure.data_type.to_numpy_dtype()
        sliced_shape(slices, shape)
        if isinstance(self._array, np.ndarray):
            # A copy without gaps between fields, where there are any, is what the structure says.
            return np.asarray(self._array[slices], dtype)
        forward, turned = _forward(expand(slices, len(shape)), shape)
        # dask's arrays give themselves away here.
        found = np.asarray(self._array[forward], dtype)
        return found[turned] if turned else found


def _forward(parts: tuple[int | slice, ...], shape: Sequence[int]) -> tuple[tuple[int | slice, ...], tuple[slice, ...]]:
    """Indexes that every kind of array takes, and how the axes that are left are then turned around."""
    found: list[int | slice] = []
    turned: list[slice] = []
    for part, length in zip(parts, shape, strict=True):
        if not isinstance(part, slice):
            found.append(range(length)[part])
            continue
        some = range(length)[part]
        if not some:
            found.append(slice(0, 0))
        else:
            found.append(slice(min(some[0], some[-1]), max(some[0], some[-1]) + 1, abs(some.step)))
        turned.append(slice(None, None, -1 if some.step < 0 else 1))
    return tuple(found), tuple(turned)


class TableData(Described, TableNode):
    """A table of Arrow, or a DataFrame of pandas.

    Parameters
    ----------
    table : pyarrow.Table or pandas.DataFrame
    metadata : mapping, optional
    specs : iterable of Spec
        None by default.
    partition_rows : int, optional
        How many rows are a part; as many as have 64 MB by default.

    Examples
    --------
    >>> import pyarrow
    >>> node = TableData(pyarrow.table({"x": [1, 2, 3]}), partition_rows=2)
    >>> node.structure().npartitions, node.read_partition(1)["x"].to_pylist(), node.get("x").read((0,)).item()
    (2, [3], 1)
    """

    def __init__(
        self,
        table: pa.Table | pd.DataFrame,
        *,
        metadata: Doc | None = None,
        specs: Iterable[Spec] = (),
        partition_rows: int | None = None,
    ) -> None:
        import pyarrow as pa

        super().__init__(metadata, specs)
        if not isinstance(table, pa.Table):
            if not hasattr(table, "columns"):
                raise WrongType(f"a table is one of Arrow or a DataFrame, not {type(table).__name__}")
            table = pa.Table.from_pandas(table)
        self._table: pa.Table = table
        rows = table.num_rows
        bytes_a_row = max(1, table.nbytes // max(1, rows))
        self._rows = max(1, _PARTITION_BYTES // bytes_a_row if partition_rows is None else partition_rows)
        self._structure = TableStructure.from_schema(table.schema, max(1, -(-rows // self._rows)))

    @property
    def at_hand(self) -> bool:
        return type(self) is TableData

    def structure(self) -> TableStructure:
        return self._structure

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        if columns is None:
            return self._table
        self.check_columns(columns)
        return self._table.select(list(columns))

    def count_bytes(self, columns: Sequence[str] | None = None, partition: int | None = None) -> int:
        table = self.read(columns) if partition is None else self.read_partition(partition, columns)
        return int(table.nbytes)

    def read_partition(self, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        self.check_partition(number)
        return self.read(columns).slice(number * self._rows, self._rows)


class SparseData(Described, SparseNode):
    """An array of which some elements are there, as a list of coordinates.

    Parameters
    ----------
    coords : array of shape (axes, elements)
    data : array of shape (elements,)
    shape : sequence of int
    metadata : mapping, optional
    specs : iterable of Spec
        None by default.
    dims : iterable of str, optional
    chunks : tuple of tuple of int, optional
        One by default.

    Examples
    --------
    >>> node = SparseData([[0, 3], [1, 2]], [1.5, 2.5], (4, 4))
    >>> coordinates, elements = node.read((slice(2, None),))
    >>> coordinates.tolist(), elements.tolist()
    ([[1], [2]], [2.5])
    """

    def __init__(
        self,
        coords: Any,
        data: Any,
        shape: Sequence[int],
        *,
        metadata: Doc | None = None,
        specs: Iterable[Spec] = (),
        dims: Iterable[str] | None = None,
        chunks: tuple[tuple[int, ...], ...] | None = None,
    ) -> None:
        import numpy as np

        super().__init__(metadata, specs)
        self._data = np.asarray(data)
        self._coords = np.asarray(coords, dtype="<i8")
        if self._coords.shape != (len(shape), self._data.size) or self._data.ndim != 1:
            raise Invalid(
                f"{self._data.size} elements of an array with {len(shape)} axes have coordinates of the shape "
                f"{(len(shape), self._data.size)}, not {self._coords.shape}"
            )
        bounds = np.asarray(shape, dtype="<i8").reshape(-1, 1)
        if ((self._coords < 0) | (self._coords >= bounds)).any():
            raise Invalid(f"a coordinate lies beyond an array of shape {tuple(shape)}")
        cuts = tuple((int(n),) for n in shape) if chunks is None else chunks
        lengths = tuple(map(int, shape))
        self._structure = SparseStructure(
            data_type_of(self._data.dtype), cuts, lengths, None if dims is None else tuple(dims)
        )

    def structure(self) -> SparseStructure:
        return self._structure

    def count_elements(self) -> int:
        return int(self._data.size)

    def read(self, slices: Slices = ()) -> tuple[np.ndarray, np.ndarray]:
        import numpy as np

        shape = self._structure.shape
        sliced_shape(slices, shape)
        keep = np.ones(len(self._data), bool)
        found = []
        for part, length, along in zip(expand(slices, len(shape)), shape, self._coords, strict=True):
            if isinstance(part, slice):
                some = range(length)[part]
                # Where each index of the axis stands in the part; -1 where it does not.
                steps, rest = np.divmod(along - some.start, some.step)
                keep &= (rest == 0) & (steps >= 0) & (steps < len(some))
                found.append(steps)
            else:
                keep &= along == range(length)[part]
        places = (
            np.array(found, dtype="<i8").reshape(len(found), -1)[:, keep] if found else np.empty((0, keep.sum()), "<i8")
        )
        return places, self._data[keep]


def dataset_node(dataset: xr.Dataset, *, metadata: Doc | None = None, specs: Iterable[Spec] = ()) -> MapNode:
    """A Dataset of xarray as a container of arrays.

    Parameters
    ----------
    dataset : xarray.Dataset
    metadata : mapping, optional
        Beside ``attrs``, which are the Dataset's.
    specs : iterable of Spec
        Before ``xarray_dataset``; none by default.

    Returns
    -------
    MapNode

    Examples
    --------
    >>> import xarray
    >>> node = dataset_node(xarray.Dataset({"x": ("time", [1.0, 2.0])}, attrs={"scan": 5}))
    >>> node.metadata, node.get("x").structure().dims
    ({'attrs': {'scan': 5}}, ('time',))
    """
    arrays: dict[str, Node] = {}
    for kind, variables in (("xarray_data_var", dataset.data_vars), ("xarray_coord", dataset.coords)):
        for name, variable in variables.items():
            said = {"attrs": dict(variable.attrs)}
            dims = [str(dim) for dim in variable.dims]
            arrays[str(name)] = ArrayData(variable.data, metadata=said, specs=[Spec(kind)], dims=dims)
    said = {**(metadata or {}), "attrs": dict(dataset.attrs)}
    return MapNode(arrays, metadata=said, specs=[*specs, Spec(_DATASET)])
