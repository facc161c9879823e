"""CSV files as lazy tables, large ones in parts."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING

from databroker_like.errors import InvalidFile
from databroker_like.files._table import PART_BYTES, LazyTable, TableInfo
from databroker_like.files._translate import reading

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CSVTable"]

_WHAT = "a CSV file"
_QUOTE, _LINE_ENDS = '"', ("\n", "\r")
_PIECE = 1 << 20
#: Of which type a column is shows when all of it was seen; who lists a folder waits for that.
_MOST_BYTES = 4 << 30


class CSVTable(LazyTable):
    """A table in a CSV file whose first line has the names of its columns.

    Numbers, truth values and texts are told apart by all values of a column, so the first look reads the whole file.
    From then on only the part that is asked for is read.

    Parameters
    ----------
    path : str or path-like
    part_bytes : int
        About how many bytes of the file are a part; 16 MB by default.

    Raises
    ------
    MissingFile, NotWritable, InvalidFile
        On reading: the file is absent, may not be read, or is no CSV file.

    Notes
    -----
    Lines end as on any system: with LF, CR LF or CR. What is not UTF-8 is read as Latin-1. Whole numbers that are too
    large for int64 are uint64 where all of a column fit, and float64 otherwise. A column of which nothing is there has
    numbers; two columns of one name are told apart by a number after it.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write('x,name\\n1,"a, b"\\n,c\\n')
    >>> CSVTable(path).read(0).to_pydict()
    {'x': [1, None], 'name': ['a, b', 'c']}
    """

    def __init__(self, path: str | os.PathLike[str], *, part_bytes: int | None = None) -> None:
        super().__init__(path)
        self.part_bytes = PART_BYTES if part_bytes is None else part_bytes
        self._cuts: list[int] = []
        self._encoding = "utf-8"

    def _describe(self) -> TableInfo:
        with reading(self.path, _WHAT, ValueError):
            try:
                return self._looked_through()
            except UnicodeDecodeError:
                # What is not UTF-8 was most often written by a program of western Europe.
                self._encoding = "latin-1"
                return self._looked_through()

    def _looked_through(self) -> TableInfo:
        import pyarrow as pa

        size = os.path.getsize(self.path)
        if size > _MOST_BYTES:
            raise InvalidFile(
                f"{self.path!r} has {size} bytes, and to tell its columns all of it would be read; save it as Parquet"
            )
        names, begin = _header(self.path, self._encoding)
        self._cuts = [begin, *_line_ends(self.path, begin, size, self.part_bytes), size]
        rows, schema = [], pa.schema([(name, pa.null()) for name in names])
        large: set[str] = set()
        for part in range(len(self._cuts) - 1):
            table = self._parsed(part, names, None)
            if pa.binary() in table.schema.types:
                raise UnicodeDecodeError(self._encoding, b"", 0, 1, "bytes that are no text")
            rows.append(table.num_rows)
            schema = _both(schema, table.schema)
            large.update(name for name in names if _is_large(table[name]))
        fields = [(name, _sent_as(kind)) for name, kind in zip(names, schema.types, strict=True)]
        fields = [(name, self._of_large(name, names, kind) if name in large else kind) for name, kind in fields]
        return TableInfo(pa.schema(fields), tuple(rows))

    def _of_large(self, name: str, names: list[str], kind: pa.DataType) -> pa.DataType:
        """The type of a column with numbers beyond int64: uint64 where each of them is a whole number that fits."""
        import pyarrow as pa

        if kind != pa.float64():
            return kind
        whole = pa.schema([(name, pa.uint64())])
        try:
            for part in range(len(self._cuts) - 1):
                self._parsed(part, names, whole, [name])
        except pa.ArrowInvalid:
            return kind
        return pa.uint64()

    def _read(self, part: int, columns: Sequence[str] | None) -> pa.Table:
        with reading(self.path, _WHAT, ValueError):
            schema = self.info.schema
            return self._parsed(part, schema.names, schema, columns)

    def _parsed(
        self, part: int, names: list[str], schema: pa.Schema | None, columns: Sequence[str] | None = None
    ) -> pa.Table:
        import pyarrow as pa
        import pyarrow.csv as pc

        start, stop = self._cuts[part], self._cuts[part + 1]
        with open(self.path, "rb") as file:
            file.seek(start)
            text = file.read(stop - start)
        if len(text) != stop - start:
            raise InvalidFile(f"{self.path!r} is shorter than it was; ask for its metadata again")
        if not text.strip():
            empty = pa.schema([(name, pa.null()) for name in names]) if schema is None else schema
            return empty.empty_table()
        convert = pc.ConvertOptions(
            column_types=schema, include_columns=None if columns is None else list(columns), strings_can_be_null=False
        )
        return pc.read_csv(
            io.BytesIO(text),
            read_options=pc.ReadOptions(
                column_names=names, block_size=max(_PIECE, len(text) + 1), encoding=self._encoding
            ),
            parse_options=pc.ParseOptions(newlines_in_values=True),
            convert_options=convert,
        )


def _header(path: str, encoding: str) -> tuple[list[str], int]:
    """The names of the columns, and where the first row begins."""
    import csv

    with open(path, "rb") as binary:
        begun = binary.read(3)
        if begun.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise InvalidFile(f"{path!r} is text in UTF-16; save it in UTF-8")
        if not begun:
            raise InvalidFile(f"{path!r} is empty: it has no header")
        begin = end = 3 if begun == b"\xef\xbb\xbf" else 0
        file, line = _lines(binary, begin), ""
        while True:
            more = file.readline()
            line += more
            end += len(more)
            if not more or (line.strip() and not line.count(_QUOTE) % 2):
                break
            if len(line) > _PIECE:
                raise InvalidFile(f"{path!r} has a first line of more than {_PIECE} bytes, which is no header")
    rows = list(csv.reader(io.StringIO(line.encode("latin-1").decode(encoding), newline=""), skipinitialspace=True))
    row = next((row for row in rows if row), [])
    if not row:
        raise InvalidFile(f"{path!r} has no header")
    names: list[str] = []
    for name in row:
        short, number = name, 0
        while name in names:
            number += 1
            name = f"{short}.{number}"
        names.append(name)
    return names, end


def _lines(file: IO[bytes], begin: int) -> io.TextIOWrapper:
    """The bytes of a file from a place on, each as one character, in lines that end with LF, CR LF or CR."""
    file.seek(begin)
    return io.TextIOWrapper(file, "latin-1", newline="")


def _line_ends(path: str, begin: int, size: int, step: int) -> Iterator[int]:
    """Where parts end: behind a line end that is in no quoted text."""
    quoted, wanted, at = False, begin + step, begin
    with open(path, "rb") as binary:
        file = _lines(binary, begin)
        while wanted < size:
            # What is before the wanted place matters for its quotes alone.
            while at < wanted:
                piece = file.read(min(_PIECE, wanted - at))
                if not piece:
                    return
                at += len(piece)
                quoted ^= bool(piece.count(_QUOTE) % 2)
            while True:
                line = file.readline()
                if not line:
                    return
                at += len(line)
                quoted ^= bool(line.count(_QUOTE) % 2)
                if line.endswith(_LINE_ENDS) and not quoted:
                    break
            if at >= size:
                return
            yield at
            wanted = at + step


def _both(one: pa.Schema, other: pa.Schema) -> pa.Schema:
    """The types that hold the values of both."""
    import pyarrow as pa

    def kind(first: pa.DataType, second: pa.DataType) -> pa.DataType:
        first, second = _plain(first), _plain(second)
        if first == second or pa.types.is_null(second):
            return first
        if pa.types.is_null(first):
            return second
        numbers = {first, second} <= {pa.int64(), pa.float64()}
        return pa.float64() if numbers else pa.string()

    return pa.schema([(name, kind(one.field(i).type, other.field(i).type)) for i, name in enumerate(one.names)])


def _is_large(column: pa.ChunkedArray) -> bool:
    """Whether there are numbers that uint64 may hold and int64 does not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.type != pa.float64():
        return False
    found = pc.min_max(column).as_py()
    return found["max"] is not None and 2.0**63 <= found["max"] <= 2.0**64 and found["min"] >= 0


def _plain(kind: pa.DataType) -> pa.DataType:
    """Numbers, truth values and nothing at all as they are; all else, times too, is text."""
    import pyarrow as pa

    known = pa.types.is_null(kind) or kind in (pa.int64(), pa.float64(), pa.bool_())
    return kind if known else pa.string()


def _sent_as(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    return pa.float64() if pa.types.is_null(kind) else _plain(kind)
