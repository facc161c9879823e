"""Arrow IPC files and streams, which Feather files are too, as lazy tables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.files._table import LazyTable, TableInfo, grouped
from databroker_like.files._translate import reading

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ArrowTable"]

_WHAT = "an Arrow IPC file or stream"
_MAGIC = b"ARROW1"


class ArrowTable(LazyTable):
    """A table in an Arrow IPC file or stream; only the batches that are asked for are read.

    Parameters
    ----------
    path : str or path-like

    Raises
    ------
    MissingFile, NotWritable, InvalidFile
        On reading: the file is absent, may not be read, or is neither.

    Examples
    --------
    >>> import os, pyarrow, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.arrow")
    >>> table = pyarrow.table({"x": [1, 2, 3], "y": [4, 5, 6]})
    >>> with pyarrow.ipc.new_stream(path, table.schema) as stream:
    ...     stream.write_table(table)
    >>> ArrowTable(path).info.rows, ArrowTable(path).read(0, ["y"])["y"].to_pylist()
    ((3,), [4, 5, 6])
    """

    _parts: list[range]
    _is_stream = False
    #: Of a stream: where each batch begins; empty when batches cannot be read one by one.
    _starts: list[int]

    def _describe(self) -> TableInfo:
        import pyarrow as pa

        with reading(self.path, _WHAT, ValueError, EOFError):
            with open(self.path, "rb") as file:
                self._is_stream = file.read(len(_MAGIC)) != _MAGIC
            if self._is_stream:
                return self._describe_stream()
            with pa.OSFile(self.path) as file, pa.ipc.open_file(file) as reader:
                count = reader.num_record_batches
                size = os.path.getsize(self.path) // max(1, count)
                self._parts = grouped([size] * count)
                batches = [reader.get_batch(i).num_rows for i in range(count)] if count > 1 else None
                rows = (
                    tuple(sum(batches[i] for i in part) for part in self._parts)
                    if batches is not None
                    else (reader.get_batch(0).num_rows if count else 0,)
                )
                return TableInfo(reader.schema, rows)

    def _describe_stream(self) -> TableInfo:
        import pyarrow as pa

        starts, rows, sizes = [], [], []
        with pa.OSFile(self.path) as file:
            schema = pa.ipc.read_schema(_message(file, "schema"))
            has_dictionaries = any(pa.types.is_dictionary(field.type) for field in schema)
            while not has_dictionaries:
                start = file.tell()
                try:
                    message = _message(file, "record batch")
                except EOFError:
                    break
                starts.append(start)
                sizes.append(file.tell() - start)
                rows.append(pa.ipc.read_record_batch(message, schema).num_rows)
        if has_dictionaries:
            # What an index stands for is said before; such a stream is read from its beginning.
            with pa.OSFile(self.path) as file, pa.ipc.open_stream(file) as reader:
                for batch in reader:
                    rows.append(batch.num_rows)
                    sizes.append(batch.nbytes)
        self._starts = starts
        self._parts = grouped(sizes)
        return TableInfo(schema, tuple(sum(rows[i] for i in part) for part in self._parts))

    def _read(self, part: int, columns: Sequence[str] | None) -> pa.Table:
        import pyarrow as pa

        schema = self.info.schema
        numbers = self._parts[part]
        with reading(self.path, _WHAT, ValueError, EOFError), pa.OSFile(self.path) as file:
            if not self._is_stream:
                wanted = [] if columns is None else [schema.names.index(name) for name in columns]
                options = pa.ipc.IpcReadOptions(included_fields=wanted or None)
                with pa.ipc.open_file(file, options=options) as reader:
                    return _table([reader.get_batch(i) for i in numbers], reader.schema)
            return _table(self._of_stream(file, numbers, schema), schema)

    def _of_stream(self, file: Any, numbers: range, schema: pa.Schema) -> list[pa.RecordBatch]:
        import pyarrow as pa

        if self._starts:
            found = []
            for number in numbers:
                file.seek(self._starts[number])
                found.append(pa.ipc.read_record_batch(_message(file, "record batch"), schema))
            return found
        with pa.ipc.open_stream(file) as reader:
            return [batch for at, batch in enumerate(reader) if at in numbers]


def _message(file: Any, kind: str) -> pa.Message:
    """The next message, if it is of this kind: what takes one of another for it reads beyond its end."""
    import pyarrow as pa

    message = pa.ipc.read_message(file)
    if message.type != kind:
        raise ValueError(f"there is a message of kind {message.type!r} where one of kind {kind!r} belongs")
    return message


def _table(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """Batches as one table; where the lengths in them do not fit together, that is an error and not a crash later."""
    import pyarrow as pa

    for batch in batches:
        batch.validate(full=True)
    return pa.Table.from_batches(batches, schema)
