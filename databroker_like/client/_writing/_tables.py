"""What the clients of tables write: all rows, those of a partition, or more rows at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.client._progress import progress
from databroker_like.client._side_by_side import side_by_side
from databroker_like.client._writing._bodies import ARROW, arrow_file, is_dask_table, table_of
from databroker_like.client._writing._sending import data_link, send
from databroker_like.client.context import Context
from databroker_like.errors import Invalid, NoSuchColumn, OutOfRange, listed
from databroker_like.structures import TableStructure

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TableWriting", "add_rows", "fitted", "put_partition", "put_table"]


def put_table(context: Context, item: Mapping[str, Any], table: pa.Table) -> None:
    """All rows of a table of one partition."""
    send(context, "PUT", data_link(item, "full"), content=arrow_file(table), content_type=ARROW)


def put_partition(context: Context, item: Mapping[str, Any], partition: int, table: pa.Table) -> None:
    """All rows of one partition."""
    params = [("partition", str(partition))]
    link = data_link(item, "partition")
    send(context, "PUT", link, params=params, content=arrow_file(table), content_type=ARROW)


def add_rows(context: Context, item: Mapping[str, Any], partition: int, table: pa.Table) -> None:
    """More rows at the end of one partition; never twice."""
    params = [("partition", str(partition))]
    link = data_link(item, "partition")
    send(context, "PATCH", link, params=params, content=arrow_file(table), content_type=ARROW, repeat=False)


def fitted(table: pa.Table, structure: TableStructure, uri: str) -> pa.Table:
    """A table with the columns that the server expects, in their order and of their types.

    Parameters
    ----------
    table : pyarrow.Table
    structure : TableStructure
    uri : str
        Of the table on the server, for what is said of it.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    NoSuchColumn
        When it has others.
    Invalid
        When a column has another type, and would not be the same in that of the server.

    Examples
    --------
    >>> import pyarrow
    >>> structure = TableStructure.from_schema(pyarrow.schema({"n": pyarrow.int64(), "x": pyarrow.float64()}))
    >>> fitted(pyarrow.table({"x": [1, 2], "n": [3, 4]}), structure, "t").to_pydict()
    {'n': [3, 4], 'x': [1.0, 2.0]}
    """
    import pyarrow as pa

    schema = structure.schema
    missing = [name for name in schema.names if name not in table.schema.names]
    more = [name for name in table.schema.names if name not in schema.names]
    if missing or more:
        said = " and ".join(
            [*([f"lacks {listed(missing)}"] if missing else []), *([f"has {listed(more)} besides"] if more else [])]
        )
        raise NoSuchColumn(f"what is to be written to {uri} {said}; its columns are {listed(schema.names)}")
    try:
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise Invalid(f"what is to be written to {uri} has a column of another type: {error}") from error


class TableWriting:
    """The part of the clients of tables that writes."""

    if TYPE_CHECKING:
        context: Context

        @property
        def item(self) -> dict[str, Any]: ...
        @property
        def uri(self) -> str: ...
        def structure(self) -> TableStructure: ...

    def write(self, dataframe: Any) -> None:
        """Write all rows anew.

        Parameters
        ----------
        dataframe : pandas.DataFrame, pyarrow.Table, mapping of columns, or dataframe of dask
            With the columns that there are; one of dask is computed and written partition by partition.

        Raises
        ------
        NoSuchColumn, Invalid
            When the columns are others.
        NotWritable
            When the server takes no data here.
        """
        structure = self.structure()
        if is_dask_table(dataframe):
            put_partitions(self.context, self.item, dataframe, structure, self.uri)
            return
        table = fitted(table_of(dataframe), structure, self.uri)
        if structure.npartitions == 1:
            put_table(self.context, self.item, table)
            return
        # As many rows in each partition, but for the last.
        rows = -(-len(table) // structure.npartitions)
        side_by_side(
            self.context,
            lambda at: put_partition(self.context, self.item, at, table.slice(at * rows, rows)),
            range(structure.npartitions),
            "writing",
        )

    def write_partition(self, partition: int, dataframe: Any) -> None:
        """Write the rows of one partition anew.

        Parameters
        ----------
        partition : int
        dataframe : pandas.DataFrame, pyarrow.Table, or mapping of columns

        Raises
        ------
        OutOfRange
            When there is no such partition.
        NoSuchColumn, Invalid
            When the columns are others.
        NotWritable
            When the server takes no data here.
        """
        put_partition(self.context, self.item, self._at(partition), self._fitted(dataframe))

    def append_partition(self, partition: int, dataframe: Any) -> None:
        """Add rows at the end of one partition, of a table made by `Container.create_appendable_table`.

        It is repeated only when the server has certainly not begun with it: no row is there twice. When the connection
        breaks in between, an `Unreachable` says so, and the rows may be there.

        Parameters
        ----------
        partition : int
        dataframe : pandas.DataFrame, pyarrow.Table, or mapping of columns

        Raises
        ------
        OutOfRange
            When there is no such partition.
        NoSuchColumn, Invalid
            When the columns are others.
        NotWritable
            When nothing can be added to this table.
        """
        add_rows(self.context, self.item, self._at(partition), self._fitted(dataframe))

    def _at(self, partition: int) -> int:
        count = self.structure().npartitions
        if not 0 <= partition < count:
            raise OutOfRange(f"{self.uri} has {count} partition{'s' * (count != 1)}, and no partition {partition}")
        return partition

    def _fitted(self, dataframe: Any) -> pa.Table:
        return fitted(table_of(dataframe), self.structure(), self.uri)


def put_partitions(
    context: Context, item: Mapping[str, Any], dataframe: Any, structure: TableStructure, uri: str
) -> None:
    """All rows of a dataframe of dask, which is computed partition by partition."""
    if dataframe.npartitions != structure.npartitions:
        raise Invalid(
            f"a dataframe of {dataframe.npartitions} partitions does not fit {uri}, which has "
            f"{structure.npartitions}; dataframe.repartition(npartitions={structure.npartitions}) makes it fit"
        )

    import dask

    with progress(context, structure.npartitions, "writing") as advance:
        write = dask.delayed(_Partitions(context, item, structure, uri, advance), pure=False, traverse=False)
        # Dask computes and writes side by side, here or on its workers, and lets go of what is written.
        dask.compute(*(write(at, part) for at, part in enumerate(dataframe.to_delayed())))


class _Partitions:
    """The partitions of a table on a server, written by dask."""

    def __init__(
        self,
        context: Context,
        item: Mapping[str, Any],
        structure: TableStructure,
        uri: str,
        advance: Callable[..., None] | None,
    ) -> None:
        self._context, self._item, self._structure, self._uri = context, item, structure, uri
        self._advance = advance

    def __getstate__(self) -> dict[str, Any]:
        # A bar is shown in one process.
        return {**self.__dict__, "_advance": None}

    def __call__(self, at: int, part: Any) -> None:
        put_partition(self._context, self._item, at, fitted(table_of(part), self._structure, self._uri))
        if self._advance is not None:
            self._advance()
