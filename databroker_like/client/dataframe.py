"""Tables: read whole, by columns or by partitions, as pandas or dask dataframes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlencode

from databroker_like.client._side_by_side import side_by_side
from databroker_like.client._subscribing import TableSubscribing
from databroker_like.client._writing._tables import TableWriting
from databroker_like.client.base import BaseClient
from databroker_like.errors import Invalid, NoSuchColumn, OutOfRange, ServiceFailed, listed, nearest
from databroker_like.structures import TableStructure

if TYPE_CHECKING:
    import dask.dataframe
    import pandas as pd
    import pyarrow as pa

__all__ = ["DaskDataFrameClient", "DataFrameClient"]

_ARROW = "application/vnd.apache.arrow.file"
#: Where a URL would be longer, the columns are sent as a body.
_LONGEST_QUERY = 1600


class _DataFrameClient(TableSubscribing, TableWriting, BaseClient):
    """What the two clients of tables share."""

    def structure(self) -> TableStructure:
        """The names and types of the columns, and the number of partitions.

        Returns
        -------
        TableStructure
        """
        found = super().structure()
        if not isinstance(found, TableStructure):
            raise ServiceFailed(f"the server does not say what kind of table {self.uri} is")
        return found

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.structure().columns)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __contains__(self, column: object) -> bool:
        return column in self.columns

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'/'.join(self.path_parts)!r} columns={self.columns}>"

    def __getitem__(self, column: str) -> Any:
        """One column, as a client of an array."""
        self._checked([column])
        return self._child(self.context.get_item([*self.path_parts, column]))

    def _ipython_key_completions_(self) -> list[str]:
        # What is offered after table[" and the tab key.
        return list(self.columns)

    def export(
        self,
        filepath: str | os.PathLike[str] | IO[bytes],
        columns: Sequence[str] | None = None,
        *,
        format: str | None = None,
    ) -> None:
        """Have the server write the table in some format, and save that.

        Parameters
        ----------
        filepath : path or binary file
            A file is there whole or not at all.
        columns : sequence of str, optional
            All by default.
        format : str, optional
            A media type or short name, such as ``"csv"`` or ``"parquet"``; by default, that of the file's name.
        """
        self._export(filepath, [("column", name) for name in self._checked(columns) or ()], format)

    def _checked(self, columns: Sequence[str] | None) -> list[str] | None:
        if columns is None:
            return None
        if isinstance(columns, str):
            raise Invalid(f"columns is a list of names: [{columns!r}]")
        for name in columns:
            if name not in self.columns:
                near = listed(nearest(name, self.columns) or self.columns)
                raise NoSuchColumn(f"{self.uri} has no column {name!r}; it has {near}")
        return list(columns)

    def _partition(self, partition: int, columns: list[str] | None) -> pa.Table:
        """One partition, as a table of Arrow."""
        import pyarrow as pa

        count = self.structure().npartitions
        if not 0 <= partition < count:
            raise OutOfRange(f"{self.uri} has {count} partition{'s' * (count != 1)}, and no partition {partition}")
        # The template of the link ends with partition={index}, which is what is sent.
        link = self._link("partition").partition("?")[0]
        params = [("partition", str(partition))]
        by_name = [("column", name) for name in columns or ()]
        fetch = self.context.session.fetch
        if columns is not None and len(urlencode(by_name)) > _LONGEST_QUERY:
            reply = fetch("POST", link, params=params, accept=_ARROW, json=columns, repeat=True)
        else:
            reply = fetch("GET", link, params=[*params, *by_name], accept=_ARROW)
        try:
            found = pa.ipc.open_file(reply.content).read_all()
        except (pa.ArrowInvalid, OSError) as error:
            raise ServiceFailed(f"{reply.url} sent no table of Arrow: {error}") from error
        return found

    def _table(self, columns: list[str] | None) -> pa.Table:
        """All partitions, side by side, as one table of Arrow."""
        import pyarrow as pa

        count = self.structure().npartitions
        if columns is not None and not columns:
            # On the wire, no columns are all columns; none of them is what every partition is without.
            return self._table(None).select([])
        if count == 0:
            empty = self.structure().schema.empty_table()
            return empty if columns is None else empty.select(columns)
        if count == 1:
            return self._partition(0, columns)
        parts = side_by_side(self.context, lambda at: self._partition(at, columns), range(count))
        return pa.concat_tables(parts, promote_options="permissive")


class DataFrameClient(_DataFrameClient):
    """A table on a server, read as a dataframe of pandas.

    Examples
    --------
    >>> import pyarrow
    >>> from databroker_like.client import Context, from_context
    >>> from databroker_like.nodes import MapNode, TableData
    >>> from databroker_like.tree import build_app
    >>> app = build_app(MapNode({"t": TableData(pyarrow.table({"time": [1.0, 2.0], "det": [5, 6]}))}), public=True)
    >>> with Context.from_app(app) as context:
    ...     table = from_context(context)["t"]
    ...     table.columns, table.read(["det"])["det"].tolist(), table["time"].read()
    (['time', 'det'], [5, 6], array([1., 2.]))
    """

    def read(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All rows of the table.

        Parameters
        ----------
        columns : sequence of str, optional
            All by default.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        NoSuchColumn
            When there is no such column.
        """
        return self._table(self._checked(columns)).to_pandas()

    def read_partition(self, partition: int, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """One of the parts in which the table lies on the server.

        Parameters
        ----------
        partition : int
        columns : sequence of str, optional
            All by default.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        OutOfRange
            When there is no such partition.
        NoSuchColumn
            When there is no such column.
        """
        return self._partition(partition, self._checked(columns)).to_pandas()


class DaskDataFrameClient(_DataFrameClient):
    """A table on a server, as a dataframe of dask that reads partition by partition when it is computed.

    Examples
    --------
    >>> import pyarrow
    >>> from databroker_like.client import Context, from_context
    >>> from databroker_like.nodes import MapNode, TableData
    >>> from databroker_like.tree import build_app
    >>> app = build_app(MapNode({"t": TableData(pyarrow.table({"time": [1.0, 2.0], "det": [5, 6]}))}), public=True)
    >>> with Context.from_app(app) as context:
    ...     lazy = from_context(context, "dask")["t"].read()
    ...     int(lazy["det"].sum().compute())
    11
    """

    def read(self, columns: Sequence[str] | None = None) -> dask.dataframe.DataFrame:
        """All rows of the table; nothing is read yet.

        Parameters
        ----------
        columns : sequence of str, optional
            All by default.

        Returns
        -------
        dask.dataframe.DataFrame

        Raises
        ------
        NoSuchColumn
            When there is no such column.
        """
        return self._lazy(range(self.structure().npartitions), self._checked(columns))

    def read_partition(self, partition: int, columns: Sequence[str] | None = None) -> dask.dataframe.DataFrame:
        """One of the parts in which the table lies on the server; nothing is read yet.

        Parameters
        ----------
        partition : int
        columns : sequence of str, optional
            All by default.

        Returns
        -------
        dask.dataframe.DataFrame

        Raises
        ------
        OutOfRange
            When there is no such partition.
        NoSuchColumn
            When there is no such column.
        """
        count = self.structure().npartitions
        if not 0 <= partition < count:
            raise OutOfRange(f"{self.uri} has {count} partition{'s' * (count != 1)}, and no partition {partition}")
        return self._lazy([partition], self._checked(columns))

    def compute(self) -> pd.DataFrame:
        """All rows of the table, in memory.

        Returns
        -------
        pandas.DataFrame
        """
        return self._table(None).to_pandas()

    def _lazy(self, partitions: Sequence[int], columns: list[str] | None) -> dask.dataframe.DataFrame:
        import dask.dataframe as dd

        schema = self.structure().schema.empty_table()
        meta = (schema if columns is None else schema.select(columns)).to_pandas()
        if not partitions:
            return dd.from_pandas(meta, npartitions=1)
        return dd.from_map(self._part, list(partitions), columns=columns, meta=meta, enforce_metadata=False)

    def _part(self, partition: int, columns: list[str] | None = None) -> pd.DataFrame:
        return self._partition(partition, columns).to_pandas()
