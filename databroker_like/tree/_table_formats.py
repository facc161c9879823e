"""Tables as Arrow and Parquet files, CSV and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from databroker_like.tree._media import Format
from databroker_like.tree._words import JSON, to_json

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TABLE_FORMATS"]

_ROWS_AT_ONCE = 1000


def _arrow(table: pa.Table) -> memoryview:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def _parquet(table: pa.Table) -> memoryview:
    import pyarrow as pa
    import pyarrow.parquet

    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink)
    return memoryview(sink.getvalue())


def _csv(table: pa.Table) -> bytes:
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return out.getvalue().encode()


def _json(table: pa.Table) -> bytes:
    return to_json({name: _values(table.column(at)) for at, name in enumerate(table.column_names)})


def _values(column: Any) -> Any:
    # Without missing values the numbers need not become Python's.
    is_plain = not column.null_count and str(column.type) in ("double", "float", "int64", "int32", "uint64", "uint32")
    return column.to_numpy() if is_plain else column.to_pylist()


def _json_lines(table: pa.Table) -> Iterator[bytes]:
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        yield b"".join(to_json(row) + b"\n" for row in batch.to_pylist())


_CHARSET = "; charset=utf-8"
#: The first is what the clients read; the others are exports.
TABLE_FORMATS: tuple[Format, ...] = (
    Format("application/vnd.apache.arrow.file", _arrow, ("arrow", "feather")),
    Format("application/x-parquet", _parquet, ("parquet",)),
    Format("text/csv", _csv, ("csv",), _CHARSET),
    Format("text/x-comma-separated-values", _csv, (), _CHARSET),
    Format("text/plain", _csv, ("text", "txt"), _CHARSET),
    Format(JSON, _json, ("json",)),
    Format("application/json-seq", _json_lines, ("json-seq",)),
)
