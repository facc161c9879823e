"""Parquet files as lazy tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.files._table import LazyTable, TableInfo, grouped
from databroker_like.files._translate import reading

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetTable"]

_WHAT = "a Parquet file"


class ParquetTable(LazyTable):
    """A table in a Parquet file; only the row groups and columns that are asked for are read.

    Row groups of a few rows are taken together as one part.

    Parameters
    ----------
    path : str or path-like

    Raises
    ------
    MissingFile, NotWritable, InvalidFile
        On reading: the file is absent, may not be read, or is no Parquet file.

    Examples
    --------
    >>> import os, pyarrow, pyarrow.parquet, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.parquet")
    >>> pyarrow.parquet.write_table(pyarrow.table({"x": [1, 2, 3], "y": [4, 5, 6]}), path)
    >>> table = ParquetTable(path)
    >>> table.info.schema.names, table.info.rows, table.read(0, ["y"])["y"].to_pylist()
    (['x', 'y'], (3,), [4, 5, 6])
    """

    _parts: list[range]
    _metadata: Any

    def _describe(self) -> TableInfo:
        import pyarrow.parquet as pq

        with reading(self.path, _WHAT, ValueError), pq.ParquetFile(self.path) as file:
            self._metadata = file.metadata
            groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
            self._parts = grouped([group.total_byte_size for group in groups])
            rows = tuple(sum(groups[i].num_rows for i in part) for part in self._parts)
            return TableInfo(file.schema_arrow, rows)

    def _read(self, part: int, columns: Sequence[str] | None) -> pa.Table:
        import pyarrow.parquet as pq

        schema = self.info.schema
        with reading(self.path, _WHAT, ValueError), pq.ParquetFile(self.path, metadata=self._metadata) as file:
            return file.read_row_groups(
                list(self._parts[part]), columns=None if columns is None else list(columns)
            ).cast(schema if columns is None else _some(schema, columns))


def _some(schema: pa.Schema, columns: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([schema.field(name) for name in columns], schema.metadata)
