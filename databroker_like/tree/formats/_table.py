"""Tables as files of Arrow, Parquet, HDF5 and Excel, as CSV, HTML and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from databroker_like.errors import Invalid
from databroker_like.nodes._tables import as_array
from databroker_like.tree._media import UTF8, Format
from databroker_like.tree._words import JSON, to_json
from databroker_like.tree.formats._hdf5 import HDF5_TYPE, as_hdf5, dataset_of, hdf5_name
from databroker_like.tree.formats._rows import Row, as_csv, as_html, as_sheet, plain_text
from databroker_like.tree.formats._spool import spooled

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["ARROW_TYPE", "TABLE_FORMATS", "arrow_array", "column_into"]

ARROW_TYPE = "application/vnd.apache.arrow.file"

_ROWS_AT_ONCE = 1000
#: Pieces are sent one by one where they are as large, and not larger than that.
_JOINED, _PIECE = 1 << 16, 4 << 20
#: The units of time that Arrow has.
_ARROW_TIMES = ("s", "ms", "us", "ns")


def arrow_array(array: np.ndarray, name: str) -> pa.Array:
    """An array with one axis as a column of Arrow.

    Parameters
    ----------
    array : numpy.ndarray
    name : str
        For an error.

    Returns
    -------
    pyarrow.Array

    Raises
    ------
    Invalid
        When Arrow has no such type, as it has none for complex numbers.

    Examples
    --------
    >>> import numpy
    >>> arrow_array(numpy.array([1, 2], dtype=">i2"), "x").type
    DataType(int16)
    """
    import numpy as np
    import pyarrow as pa

    if array.dtype.names:
        fields = [arrow_array(np.ascontiguousarray(array[field]), f"{name}.{field}") for field in array.dtype.names]
        return pa.StructArray.from_arrays(fields, names=list(array.dtype.names))
    if array.ndim == 1 and array.dtype.kind in "mM":
        unit, count = np.datetime_data(array.dtype)
        if unit not in _ARROW_TIMES or count != 1:
            nearest = unit if unit in _ARROW_TIMES else "ns" if unit in ("ps", "fs", "as") else "s"
            array = array.astype(f"{array.dtype.kind}8[{nearest}]")
    try:
        return pa.array(array.astype(array.dtype.newbyteorder("="), copy=False))
    except pa.ArrowException as error:
        raise Invalid(
            f"{name!r:.100} has elements of type {array.dtype} and {array.ndim} axes, for which tables have no type: "
            "read it as an array"
        ) from error


def _arrow(table: pa.Table) -> Iterator[bytes | memoryview]:
    """The table piece by piece, of which those with data are the table's own."""
    import pyarrow as pa

    sink = _Sink()
    with pa.PythonFile(sink, mode="w") as file, pa.ipc.new_file(file, table.schema) as writer:
        for batch in table.to_batches():
            writer.write_batch(batch)
            yield from sink.taken(_JOINED)
    yield from sink.taken(0)


class _Sink:
    """A file that gives away what is written into it: small pieces put together, large ones cut."""

    closed = False

    def __init__(self) -> None:
        self._small: list[memoryview] = []
        self._size = 0
        self._ready: list[bytes | memoryview] = []

    def write(self, written: Any) -> int:
        piece = memoryview(written).cast("B") if len(memoryview(written)) else memoryview(b"")
        if piece.nbytes < _JOINED:
            self._small.append(piece)
            self._size += piece.nbytes
        else:
            self._join()
            self._ready.extend(piece[at : at + _PIECE] for at in range(0, piece.nbytes, _PIECE))
        return piece.nbytes

    def _join(self) -> None:
        if self._size:
            self._ready.append(b"".join(self._small))
        self._small, self._size = [], 0

    def taken(self, least: int) -> list[bytes | memoryview]:
        """What there is to send; small pieces when they are together more than ``least``."""
        if self._size > least:
            self._join()
        ready, self._ready = self._ready, []
        return ready

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """No more is written."""
        self.closed = True


def _parquet(table: pa.Table) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    def write(file: IO[bytes]) -> None:
        try:
            parquet.write_table(table, file)
        except pa.ArrowException as error:
            raise Invalid(f"Parquet has no word for a type of this table: {error}") from error

    return spooled(write)


def _rows(table: pa.Table) -> Iterator[Row]:
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        yield from zip(*map(_listed, batch.columns), strict=True)


def _listed(column: Any) -> list[Any]:
    """The values of a column as Python has them; times beyond its years as text."""
    import pyarrow as pa

    try:
        values = column.to_pylist()
    except (ValueError, OverflowError) as error:
        if not (pa.types.is_timestamp(column.type) or pa.types.is_duration(column.type)):
            raise Invalid(f"values of type {column.type} are no text: ask for the file of Arrow") from error
        times = pa.chunked_array([column]) if isinstance(column, pa.Array) else column
        values = [None if time == "NaT" else time for time in times.to_numpy().astype(str).tolist()]
    return plain_text(values)


def _csv(table: pa.Table) -> Iterator[bytes]:
    return as_csv(table.column_names, _rows(table))


def _html(table: pa.Table) -> Iterator[bytes]:
    return as_html(table.column_names, _rows(table))


def _sheet(table: pa.Table) -> Iterator[bytes]:
    return as_sheet(table.column_names, _rows(table), count=table.num_rows, width=table.num_columns)


def _json(table: pa.Table) -> Iterator[bytes]:
    between = b"{"
    for at, name in enumerate(table.column_names):
        yield between + to_json(name) + b":"
        yield to_json(_values(table.column(at)))
        between = b","
    yield b"}" if between == b"," else b"{}"


def _values(column: Any) -> Any:
    # Without missing values the numbers need not become Python's.
    is_plain = not column.null_count and str(column.type) in ("double", "float", "int64", "int32", "uint64", "uint32")
    return column.to_numpy() if is_plain else _listed(column)


def _json_lines(table: pa.Table) -> Iterator[bytes]:
    names = table.column_names
    rows = _rows(table)
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        yield b"".join(to_json(dict(zip(names, row, strict=True))) + b"\n" for row in some)


def _hdf5(table: pa.Table) -> Iterator[bytes]:
    def write(root: Any) -> None:
        for at, name in enumerate(table.column_names):
            column_into(root, hdf5_name(name), table.column(at), name)

    return as_hdf5(write)


def column_into(group: Any, name: str, column: pa.ChunkedArray, key: str) -> None:
    """A column of a table as a dataset in a file of HDF5; what is no array is one text of JSON for each row.

    Parameters
    ----------
    group : h5py.Group
    name : str
        Of the dataset.
    column : pyarrow.ChunkedArray
    key : str
        Of the column.
    """
    import numpy as np

    try:
        array = as_array(column, key)
    except Invalid:
        array = np.array([to_json(value).decode() for value in _listed(column)], dtype=np.str_)
    dataset_of(group, name, array.shape, array.dtype, iter([((slice(None),) * array.ndim, array)]))


#: The first is what the clients read; the others are exports.
TABLE_FORMATS: tuple[Format, ...] = (
    Format(ARROW_TYPE, _arrow, ("arrow", "feather")),
    Format("application/x-parquet", _parquet, ("parquet",)),
    Format("text/csv", _csv, ("csv",), UTF8),
    Format("text/x-comma-separated-values", _csv, (), UTF8),
    Format("text/plain", _csv, ("text", "txt"), UTF8),
    # Text, as spreadsheets take it under this name; what they write themselves is another format.
    Format("application/vnd.ms-excel", _csv, ("xls",), UTF8),
    Format("text/html", _html, ("html", "htm"), UTF8),
    Format("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _sheet, ("xlsx",), needs=("openpyxl",)),
    Format(JSON, _json, ("json",)),
    Format("application/json-seq", _json_lines, ("json-seq",)),
    Format(HDF5_TYPE, _hdf5, ("h5", "hdf5"), needs=("h5py",)),
)
