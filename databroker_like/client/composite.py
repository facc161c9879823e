"""Containers of the spec ``composite``: the columns of their tables stand beside their arrays, as one dataset."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from databroker_like.client._columns import column_as_array
from databroker_like.client._side_by_side import side_by_side
from databroker_like.client.array import ArrayClient, DaskArrayClient
from databroker_like.client.container import Container
from databroker_like.client.dataframe import DaskDataFrameClient, DataFrameClient
from databroker_like.client.ragged import RaggedClient
from databroker_like.client.sparse import SparseClient
from databroker_like.client.xarray import read_arrays
from databroker_like.errors import Invalid, NoSuchColumn, NotFound, WrongType, listed, nearest

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

__all__ = ["CompositeClient"]

#: For so many seconds the contents are taken to be what they were.
_KNOWN_FOR = 1.0
_TABLES = (DataFrameClient, DaskDataFrameClient)


class CompositeClient(Container):
    """A container whose keys are those of its arrays and the columns of its tables.

    The tables themselves are in ``client.base``.

    Examples
    --------
    >>> import numpy
    >>> import pyarrow
    >>> from databroker_like.client import Context, from_context
    >>> from databroker_like.nodes import ArrayData, MapNode, TableData
    >>> from databroker_like.tree import build_app
    >>> from databroker_like.structures import Spec
    >>> parts = {"table": TableData(pyarrow.table({"det": [5, 6]})), "image": ArrayData(numpy.ones((2, 3)))}
    >>> app = build_app(MapNode({"stream": MapNode(parts, specs=[Spec("composite")])}), public=True)
    >>> with Context.from_app(app) as context:
    ...     stream = from_context(context)["stream"]
    ...     list(stream), dict(stream.read().sizes)
    (['det', 'image'], {'dim0': 2, 'image_dim1': 3})
    """

    #: What the first axis of all is called, where nothing else says it and they are of one length.
    _first_axis = "dim0"
    _known: tuple[float, dict[str, tuple[Any, str | None]]] | None = None

    @property
    def base(self) -> Container:
        """The same container, as any other: its tables are in it by their own keys."""
        return Container(
            self.context,
            item=self.item,
            structure_clients=self.structure_clients,
            include_data_sources=self._include_data_sources,
            queries=self._queries,
            sorting=self._sorting if self._own_sorting else None,
        )

    def refresh(self) -> Any:
        self._known = None
        return super().refresh()

    def __getitem__(self, keys: str | tuple[str, ...]) -> Any:
        names = keys if isinstance(keys, tuple) else (keys,)
        path = [part for name in names if isinstance(name, str) for part in name.split("/") if part]
        if not path or len(path) < len(names):
            return super().__getitem__(keys)
        found = self._parts().get(path[0])
        if found is None:
            found = self._parts(again=True).get(path[0])
        if found is None:
            raise NotFound(self._missing(path[0]))
        client, column = found
        rest = path[1:] if column is None else [column, *path[1:]]
        return client["/".join(rest)] if rest else client

    def __len__(self) -> int:
        return len(self._parts())

    def listed(
        self, kind: str, *, start: int = 0, most: int | None = None, reverse: bool = False, page_size: int | None = None
    ) -> Iterator[Any]:
        parts = list(self._parts().items())
        stop = None if most is None else start + most
        for key, (client, column) in islice(parts[::-1] if reverse else parts, start, stop):
            if kind == "keys":
                yield key
                continue
            found = client if column is None else client[column]
            yield found if kind == "values" else (key, found)

    def read(self, variables: Sequence[str] | None = None, dim0: str | None = None) -> xr.Dataset:
        """The columns and arrays, or some of them, as one dataset.

        Parameters
        ----------
        variables : sequence of str, optional
            All by default.
        dim0 : str, optional
            What the first axis is called where nothing else says it. By default it is ``dim0``, or ``time`` in a
            stream of a run, when it is as long in all of them, and one of its own for each when it is not, as
            ``det_dim0``.

        Returns
        -------
        xarray.Dataset
            Of dask arrays, when the client is one of dask's. Rows of different lengths are filled up with NaN.

        Raises
        ------
        NoSuchColumn
            When there is no such array or column.
        Invalid
            When ``dim0`` is given for axes that are not as long as one another, or their names contradict.
        """
        import xarray as xr

        parts = self._chosen(variables)
        read = self._read(parts)
        lengths = {len(data) for data in read.values() if data.ndim}
        unnamed = {len(data) for name, data in read.items() if data.ndim and not _dims(parts[name])}
        if dim0 is not None and len(unnamed) > 1:
            raise Invalid(
                f"{dim0!r} cannot be the first axis of all in {self.uri}: they are of the lengths {sorted(unnamed)}"
            )
        first = dim0 or (self._first_axis if len(lengths) < 2 else None)
        found = {}
        for name, data in read.items():
            dims = _dims(parts[name]) or [
                first if first is not None and not axis else f"{name}_dim{axis}" for axis in range(data.ndim)
            ]
            found[name] = (dims, data)
        try:
            return xr.Dataset(found)
        except ValueError as error:
            raise Invalid(f"what is in {self.uri} is no dataset: {error}; read some of it: read([...])") from error

    def _chosen(self, variables: Sequence[str] | None) -> dict[str, tuple[Any, str | None]]:
        parts = self._parts()
        if variables is None:
            return {name: part for name, part in parts.items() if part[1] is not None or isinstance(part[0], _READ)}
        if isinstance(variables, str):
            variables = [variables]
        for name in variables:
            if name not in parts:
                raise NoSuchColumn(self._missing(name))
            client, column = parts[name]
            if column is None and not isinstance(client, _READ):
                raise WrongType(f"{name!r} in {self.uri} is a {client.structure_family}, which no dataset has in it")
        return {name: parts[name] for name in variables}

    def _missing(self, name: str) -> str:
        parts = self._parts()
        if any(column is not None and client.path_parts[-1] == name for client, column in parts.values()):
            return f"{name!r} in {self.uri} is a table, whose columns stand here; it is in .base[{name!r}]"
        return f"there is no {name!r} in {self.uri}; there is {listed(nearest(name, parts) or parts)}"

    def _parts(self, again: bool = False) -> dict[str, tuple[Any, str | None]]:
        """Key -> the client of what is in here, and the column of it when it is a table."""
        if again or self._known is None or time.monotonic() - self._known[0] > _KNOWN_FOR:
            found: dict[str, tuple[Any, str | None]] = {}
            for key, client in super().listed("items"):
                for column in client.columns if isinstance(client, _TABLES) else [None]:
                    found.setdefault(key if column is None else column, (client, column))
            self._known = (time.monotonic(), found)
        return self._known[1]

    def _read(self, parts: dict[str, tuple[Any, str | None]]) -> dict[str, Any]:
        """What is in them, in their order."""
        columns = {name: part for name, part in parts.items() if part[1] is not None}
        lazy = [name for name, (client, _) in columns.items() if isinstance(client, DaskDataFrameClient)]
        arrays = side_by_side(self.context, lambda name: columns[name][0][columns[name][1]], lazy)
        read: dict[str, Any] = {name: array.read() for name, array in zip(lazy, arrays, strict=True)}
        inside = _read_columns({name: part for name, part in columns.items() if name not in read})
        read |= inside
        read |= {name: client.read() for name, (client, _) in parts.items() if isinstance(client, DaskArrayClient)}
        dense = {name: client for name, (client, _) in parts.items() if isinstance(client, ArrayClient)}
        rows = self._rows(list(dense.values()), min(map(len, inside.values()), default=0))
        read |= zip(dense, read_arrays(self.context, list(dense.values()), rows), strict=True)
        for name, (client, _) in parts.items():
            if name not in read:
                read[name] = _padded(client.read()) if isinstance(client, RaggedClient) else client.todense()
        return {name: read[name] for name in parts}

    def _rows(self, arrays: Sequence[ArrayClient], events: int) -> list[int | None]:
        """How many rows of arrays belong to the events that were read; None where that is all they have.

        The events of a run that goes on, and the arrays of them, grow while they are read.
        """
        rows: list[int | None] = []
        for array in arrays:
            is_along = self._first_axis is not None and array.shape and (array.dims or ("",))[0] == self._first_axis
            has_grown = is_along and array.shape[0] < events
            if has_grown:
                array.refresh()
            # What had more rows than there are events by then has them for another reason, and stays whole.
            length = array.shape[0] if is_along else 0
            rows.append(events if events and (length == events or (has_grown and length > events)) else None)
        return rows


_READ = (ArrayClient, DaskArrayClient, RaggedClient, SparseClient)


def _read_columns(columns: dict[str, tuple[Any, str | None]]) -> dict[str, np.ndarray]:
    """Columns of tables; each table is asked once for all that is wanted of it."""
    tables: dict[str, tuple[Any, list[str]]] = {}
    for client, column in columns.values():
        tables.setdefault(client.uri, (client, []))[1].append(str(column))
    found: dict[str, np.ndarray] = {}
    for client, names in tables.values():
        table = client._table(None if len(names) == len(client.columns) else names)
        found |= {name: column_as_array(table[name]) for name in names}
    return found


def _dims(part: tuple[Any, str | None]) -> list[str] | None:
    client, column = part
    told = None if column is not None else client.dims
    return None if told is None else list(told)


def _padded(rows: Any) -> np.ndarray:
    """Rows of different lengths as an array, filled up with NaN."""
    import numpy as np

    lists = rows.tolist()
    width = max(map(len, lists), default=0)
    dtype = np.dtype(str(rows.dtype))
    if any(len(row) < width for row in lists):
        dtype = np.result_type(dtype, np.float32)
    found = np.full((len(lists), width), np.nan if dtype.kind in "fc" else 0, dtype)
    for at, row in enumerate(lists):
        found[at, : len(row)] = row
    return found
