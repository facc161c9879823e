"""Datasets of xarray: containers of arrays that share their axes, read as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from databroker_like.client._columns import column_as_array
from databroker_like.client._side_by_side import side_by_side
from databroker_like.client.array import ArrayClient, DaskArrayClient
from databroker_like.client.container import Container
from databroker_like.errors import NoSuchColumn, NoSuchFormat, ServiceFailed, listed, nearest

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import xarray as xr

__all__ = ["DaskDatasetClient", "DatasetClient"]

_ARROW = "application/vnd.apache.arrow.file"
#: Where a URL would be longer, the names are sent as a body.
_LONGEST_QUERY = 1600
#: What is fetched as one table has no more bytes.
_TABLE_BYTES = 100 << 20
#: The kinds of elements that a table of Arrow holds as they are.
_IN_TABLES = frozenset("biufMmU")
_COORDINATE = "xarray_coord"


class _DatasetClient(Container):
    """What the two clients of datasets share."""

    def _chosen(self, variables: Sequence[str] | None) -> dict[str, Any]:
        """The clients of the arrays that are wanted, by name."""
        if isinstance(variables, str):
            variables = [variables]
        there = dict(self.items())
        for name in variables or ():
            if name not in there:
                near = listed(nearest(name, there) or there)
                raise NoSuchColumn(f"{self.uri} has no variable {name!r}; it has {near}")
        arrays = there if variables is None else {name: there[name] for name in variables}
        return {name: array for name, array in arrays.items() if isinstance(array, ArrayClient | DaskArrayClient)}

    def _dataset(self, arrays: dict[str, Any], read: dict[str, Any]) -> xr.Dataset:
        import xarray as xr

        data: dict[str, Any] = {}
        coords: dict[str, Any] = {}
        for name, array in arrays.items():
            dims = array.dims or tuple(f"{name}_dim{axis}" for axis in range(array.ndim))
            attributes = array.metadata_copy().get("attrs") or {}
            is_coordinate = any(spec.name == _COORDINATE for spec in array.specs)
            (coords if is_coordinate else data)[name] = xr.Variable(dims, read[name], attributes)
        return xr.Dataset(data, coords, self.metadata_copy().get("attrs") or {})

    def _wide(self, names: Sequence[str]) -> pa.Table:
        """Some variables of one axis as one table, in one request."""
        import pyarrow as pa

        fetch, link = self.context.session.fetch, self._link("full")
        params = [("field", name) for name in names]
        if len(urlencode(params)) > _LONGEST_QUERY:
            reply = fetch("POST", link, accept=_ARROW, json=list(names), repeat=True)
        else:
            reply = fetch("GET", link, params=params, accept=_ARROW)
        try:
            return pa.ipc.open_file(reply.content).read_all().select(list(names))
        except (pa.ArrowInvalid, KeyError, OSError) as error:
            raise ServiceFailed(f"{reply.url} sent no table of the variables asked for: {error}") from error


class DatasetClient(_DatasetClient):
    """A dataset on a server, read into memory; and a container of its variables, which are read one by one.

    Examples
    --------
    >>> import xarray
    >>> from databroker_like.client import Context, from_context
    >>> from databroker_like.nodes import MapNode, dataset_node
    >>> from databroker_like.tree import build_app
    >>> node = dataset_node(xarray.Dataset({"det": ("time", [5.0, 6.0])}, {"time": [1.0, 2.0]}))
    >>> with Context.from_app(build_app(MapNode({"d": node}), public=True)) as context:
    ...     dataset = from_context(context)["d"]
    ...     list(dataset), dataset.read()["det"].values
    (['det', 'time'], array([5., 6.]))
    """

    def read(self, variables: Sequence[str] | None = None, *, optimize_wide_table: bool = True) -> xr.Dataset:
        """All of the dataset, or some of its variables.

        Parameters
        ----------
        variables : sequence of str, optional
            All by default.
        optimize_wide_table : bool
            Whether variables of one axis are fetched together, where the server can; True by default.

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        NoSuchColumn
            When there is no such variable.
        """
        arrays = self._chosen(variables)
        read = _read_together(self, arrays) if optimize_wide_table else {}
        rest = [name for name in arrays if name not in read]
        read |= zip(rest, read_arrays(self.context, [arrays[name] for name in rest]), strict=True)
        return self._dataset(arrays, read)


class DaskDatasetClient(_DatasetClient):
    """A dataset on a server, as one of dask arrays, which read when they are computed.

    Examples
    --------
    >>> import xarray
    >>> from databroker_like.client import Context, from_context
    >>> from databroker_like.nodes import MapNode, dataset_node
    >>> from databroker_like.tree import build_app
    >>> node = dataset_node(xarray.Dataset({"det": ("time", [5.0, 6.0])}, {"time": [1.0, 2.0]}))
    >>> with Context.from_app(build_app(MapNode({"d": node}), public=True)) as context:
    ...     float(from_context(context, "dask")["d"].read()["det"].max().compute())
    6.0
    """

    def read(self, variables: Sequence[str] | None = None, *, optimize_wide_table: bool = True) -> xr.Dataset:
        """All of the dataset, or some of its variables; only the coordinates that label an axis are read.

        Parameters
        ----------
        variables : sequence of str, optional
            All by default.
        optimize_wide_table : bool
            Whether variables of one axis are fetched together, where the server can; True by default.

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        NoSuchColumn
            When there is no such variable.
        """
        arrays = self._chosen(variables)
        labels = {name: array for name, array in arrays.items() if array.dims == (name,)}
        read: dict[str, Any] = _read_together(self, labels) if optimize_wide_table else {}
        read |= {name: array.compute() for name, array in labels.items() if name not in read}
        if optimize_wide_table:
            read |= self._lazy_columns({name: array for name, array in arrays.items() if name not in read})
        read |= {name: array.read() for name, array in arrays.items() if name not in read}
        return self._dataset(arrays, read)

    def _lazy_columns(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """Variables that one request will fetch, when the first of them is computed."""
        import dask
        import dask.array as da

        found = {}
        for names in _groups(arrays):
            together = {name: arrays[name] for name in names}
            token = dask.base.tokenize(self.uri, *together.values())
            table = dask.delayed(_together_or_not, pure=True)(self, together, dask_key_name=f"table-{token}")
            for name, array in together.items():
                found[name] = da.from_delayed(table[name], array.shape, array.dtype)
        return found


def read_arrays(context: Any, arrays: Sequence[Any], rows: Sequence[int | None] | None = None) -> list[np.ndarray]:
    """Several arrays: those of one request side by side, larger ones one after another.

    Parameters
    ----------
    context : Context
    arrays : sequence of ArrayClient or DaskArrayClient
    rows : sequence of int or None, optional
        How many of the first rows are wanted of each; None, which is the default, is all.

    Returns
    -------
    list of numpy.ndarray
    """

    def read(at: int) -> np.ndarray:
        count = None if rows is None else rows[at]
        found: np.ndarray = arrays[at]._read(None) if count is None else arrays[at]._read_rows(count)
        return found

    small = [at for at, array in enumerate(arrays) if array.nbytes <= _TABLE_BYTES]
    found = dict(zip(small, side_by_side(context, read, small), strict=True))
    # These are read side by side each in itself.
    return [found[at] if at in found else read(at) for at in range(len(arrays))]


def _together_or_not(client: _DatasetClient, arrays: dict[str, Any]) -> dict[str, np.ndarray]:
    read = _read_together(client, arrays)
    return {name: read[name] if name in read else array._read(None) for name, array in arrays.items()}


def _read_together(client: _DatasetClient, arrays: dict[str, Any]) -> dict[str, np.ndarray]:
    """Those variables that the server sends as columns of tables."""
    groups = list(_groups(arrays))
    try:
        tables = side_by_side(client.context, client._wide, groups)
    except NoSuchFormat:
        # Not every server does; each array can be had by itself.
        return {}
    return {
        name: column_as_array(table[name], arrays[name].dtype)
        for names, table in zip(groups, tables, strict=True)
        for name in names
        if len(table) == arrays[name].shape[0]
    }


def _groups(arrays: dict[str, Any]) -> Iterator[list[str]]:
    """The names of those that fit into tables: of one axis, of the same length, and not too large together."""
    by_length: dict[int, list[str]] = {}
    for name, array in arrays.items():
        if array.ndim == 1 and array.shape[0] and array.dtype.kind in _IN_TABLES and array.dtype.itemsize:
            by_length.setdefault(array.shape[0], []).append(name)
    for names in by_length.values():
        yield from _filled(names, arrays)


def _filled(names: Iterable[str], arrays: dict[str, Any]) -> Iterator[list[str]]:
    taken: list[str] = []
    size = 0
    for name in names:
        if taken and size + arrays[name].nbytes > _TABLE_BYTES:
            if len(taken) > 1:
                yield taken
            taken, size = [], 0
        taken.append(name)
        size += arrays[name].nbytes
    # One alone is as well an array.
    if len(taken) > 1:
        yield taken
