"""The sheets of an Excel workbook as lazy tables."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.errors import InvalidFile, listed
from databroker_like.files._table import LazyTable, TableInfo
from databroker_like.files._translate import reading
from databroker_like.registry import require

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ExcelTable", "sheet_names"]

_WHAT = "an Excel workbook"
#: A workbook is a packed folder; one that would be larger unpacked is not read.
_MOST_BYTES = 128 << 20


class ExcelTable(LazyTable):
    """A sheet of an Excel workbook whose first row has the names of its columns.

    Values are as Excel last calculated them. A workbook has no parts that could be read by themselves, so the whole
    sheet is read, once.

    Parameters
    ----------
    path : str or path-like
    sheet : str

    Raises
    ------
    MissingFile, NotWritable, InvalidFile
        On reading: the file is absent, may not be read, is no workbook or has no such sheet.

    Examples
    --------
    >>> import openpyxl, os, tempfile
    >>> path, book = os.path.join(tempfile.mkdtemp(), "a.xlsx"), openpyxl.Workbook()
    >>> for row in (["x", "name"], [1, "a"], [2.5, None]):
    ...     book.active.append(row)
    >>> book.save(path)
    >>> ExcelTable(path, "Sheet").read(0).to_pydict()
    {'x': [1.0, 2.5], 'name': ['a', None]}
    """

    _table: pa.Table | None = None

    def __init__(self, path: str | os.PathLike[str], sheet: str) -> None:
        super().__init__(path)
        self.sheet = sheet

    def _describe(self) -> TableInfo:
        table = self._whole()
        return TableInfo(table.schema, (table.num_rows,))

    def _read(self, part: int, columns: Sequence[str] | None) -> pa.Table:
        return self._whole()

    def _whole(self) -> pa.Table:
        """The sheet, parsed once; where many are read, somebody else remembers it."""
        if self._table is None:
            self._table = self.parsed()
        return self._table

    def parsed(self) -> pa.Table:
        """The sheet, parsed anew."""
        import pyarrow as pa

        with _workbook(self.path) as book:
            if self.sheet not in book.sheetnames:
                raise InvalidFile(f"{self.path!r} has no sheet {self.sheet!r}; it has {listed(book.sheetnames)}")
            rows = list(book[self.sheet].iter_rows(values_only=True))
        while rows and all(value is None for value in rows[-1]):
            rows.pop()
        header = list(rows[0]) if rows else []
        while (
            header
            and header[-1] is None
            and all(len(row) < len(header) or row[len(header) - 1] is None for row in rows)
        ):
            header.pop()
        names: list[str] = []
        for at, value in enumerate(header):
            short = name = f"column {at + 1}" if value is None else str(value)
            number = 0
            while name in names:
                number += 1
                name = f"{short}.{number}"
            names.append(name)
        columns = [[row[at] if at < len(row) else None for row in rows[1:]] for at in range(len(names))]
        return pa.table(dict(zip(names, map(_column, columns), strict=True)))


def _column(values: list[Any]) -> pa.Array:
    """Values of one kind as they are; what is mixed is text."""
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pa.array(values, pa.float64())
    if kinds <= {int, float}:
        largest = max((abs(value) for value in values if isinstance(value, int)), default=0)
        whole = kinds == {int} and largest < 1 << 63
        return pa.array([value if value is None or whole else float(value) for value in values])
    if kinds == {bool} or kinds == {str}:
        return pa.array(values)
    if kinds <= {dt.datetime, dt.date}:
        moments = [
            value if value is None or isinstance(value, dt.datetime) else dt.datetime.combine(value, dt.time())
            for value in values
        ]
        return pa.array(moments, pa.timestamp("us"))
    return pa.array([None if value is None else str(value) for value in values], pa.string())


@contextlib.contextmanager
def _workbook(path: str) -> Iterator[Any]:
    """A workbook, open for reading; its macros and links are left alone."""
    openpyxl = require("openpyxl", "read Excel workbooks")
    # Packages in packages, of XML: what is damaged shows in many ways.
    troubles = (ValueError, KeyError, TypeError, AttributeError, SyntaxError, IndexError, zlib.error)
    with reading(path, _WHAT, *troubles, zipfile.BadZipFile, NotImplementedError, EOFError):
        with zipfile.ZipFile(path) as package:
            size = sum(part.file_size for part in package.infolist())
        if size > _MOST_BYTES:
            raise InvalidFile(
                f"{path!r} is {size} bytes when it is unpacked, and {_MOST_BYTES} are read; save its sheets as Parquet "
                "or CSV"
            )
        with warnings.catch_warnings():
            # What openpyxl leaves out (styles, checks of what is typed in) is no data.
            warnings.simplefilter("ignore", UserWarning)
            book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
            try:
                yield book
            finally:
                book.close()


def sheet_names(path: str | os.PathLike[str]) -> list[str]:
    """The names of the sheets of an Excel workbook that have cells, in its order.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    list of str

    Raises
    ------
    MissingFile, NotWritable, InvalidFile
    """
    with _workbook(os.fspath(path)) as book:
        return [sheet.title for sheet in book.worksheets]
