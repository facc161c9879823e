"""Rows of values as text: CSV, HTML, and the sheets of Excel."""

from __future__ import annotations

import csv
import html
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import chain, islice
from typing import IO, Any

from databroker_like.errors import Invalid, TooLarge
from databroker_like.registry import require
from databroker_like.tree.formats._spool import spooled

__all__ = ["Row", "as_csv", "as_html", "as_sheet", "plain_text"]

Row = Sequence[Any]

_ROWS_AT_ONCE = 1000
#: What a sheet of Excel has room for.
_MOST_ROWS, _MOST_COLUMNS, _MOST_CHARACTERS = 1_048_576, 16_384, 32_767
#: Each takes a hundred times as long as a number in another format: so many are written within some ten seconds.
_MOST_CELLS = 250_000
_CELLS = (str, int, float, bool, datetime, date, time, timedelta)


def plain_text(value: Any) -> Any:
    """Bytes as text, to the bottom of lists; anything else as it is.

    Parameters
    ----------
    value : object

    Returns
    -------
    object

    Examples
    --------
    >>> plain_text([b"a", (b"\\xff", 1)])
    ['a', ['\\\\xff', 1]]
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, list | tuple):
        return [plain_text(one) for one in value]
    return value


def _some(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while some := list(islice(left, _ROWS_AT_ONCE)):
        yield some


def as_csv(header: Row | None, rows: Iterable[Row]) -> Iterator[bytes]:
    """Rows as values with commas between them.

    Parameters
    ----------
    header : sequence, optional
        The first line.
    rows : iterable of sequence

    Returns
    -------
    iterator of bytes

    Examples
    --------
    >>> b"".join(as_csv(["x", "name"], [[1, "a,b"], [None, "c"]]))
    b'x,name\\n1,"a,b"\\n,c\\n'
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if header is not None:
        writer.writerow(header)
    for some in _some(rows):
        writer.writerows(some)
        # Half a surrogate pair is no text that could be sent.
        yield out.getvalue().encode(errors="backslashreplace")
        out.seek(0)
        out.truncate()
    yield out.getvalue().encode(errors="backslashreplace")


def as_html(header: Row | None, rows: Iterable[Row]) -> Iterator[bytes]:
    """Rows as a table of HTML, a page by itself.

    Parameters
    ----------
    header : sequence, optional
        The names of the columns.
    rows : iterable of sequence

    Returns
    -------
    iterator of bytes

    Examples
    --------
    >>> b"".join(as_html(["x"], [["<b>"]])).decode().splitlines()[3:-1]
    ['<tr><th>x</th></tr>', '<tr><td>&lt;b&gt;</td></tr>']
    """
    yield b'<!DOCTYPE html>\n<meta charset="utf-8">\n<table border="1">\n'
    if header is not None:
        yield _html_row("th", header)
    for some in _some(rows):
        yield b"".join(_html_row("td", row) for row in some)
    yield b"</table>\n"


def _html_row(tag: str, row: Row) -> bytes:
    cells = "".join(f"<{tag}>{'' if cell is None else html.escape(str(cell))}</{tag}>" for cell in row)
    return f"<tr>{cells}</tr>\n".encode(errors="backslashreplace")


def as_sheet(header: Row | None, rows: Iterable[Row], *, count: int, width: int) -> Iterator[bytes]:
    """Rows as a file of Excel with one sheet.

    Parameters
    ----------
    header : sequence, optional
        The names of the columns.
    rows : iterable of sequence
    count, width : int
        How many rows and columns there are.

    Returns
    -------
    iterator of bytes

    Raises
    ------
    Invalid
        When a sheet has no room for them.
    TooLarge
        When it would take very long to write them.
    MissingExtra
        When openpyxl is not installed.
    """
    openpyxl = require("openpyxl", "write files of Excel")
    if count >= _MOST_ROWS or width > _MOST_COLUMNS:
        raise Invalid(
            f"a sheet of Excel has room for {_MOST_ROWS} rows and {_MOST_COLUMNS} columns, and these are {count} and "
            f"{width}: ask for a part, or for another format"
        )

    if count * width > _MOST_CELLS:
        raise TooLarge(
            f"this would be {count * width} cells, and no more than {_MOST_CELLS} are sent as a sheet of Excel, which "
            "takes long to write: ask for a part of it, or for the format 'csv' or 'parquet'"
        )

    def write(file: IO[bytes]) -> None:
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet("Sheet1")
        for row in rows if header is None else chain((header,), rows):
            sheet.append([_cell(value, sheet) for value in row])
        book.save(file)

    return spooled(write)


def _cell(value: Any, sheet: Any) -> Any:
    """A value as a cell of Excel has it: numbers that are none, and times with a zone, are text there."""
    if value is None:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, bool) or not isinstance(value, _CELLS):
        return value if isinstance(value, bool) else _text(str(value), sheet)
    if isinstance(value, str):
        return _text(value, sheet)
    if isinstance(value, datetime | time) and value.tzinfo is not None:
        return value.isoformat()
    if isinstance(value, int) and abs(value) > 1 << 53:  # Excel's numbers are doubles
        return str(value)
    return value


def _text(text: str, sheet: Any) -> Any:
    """As long as a cell may be, without what XML has no character for, and never a formula."""
    kept = "".join(c if c in "\t\n\r" or (c >= " " and not "\ud800" <= c <= "\udfff") else "\ufffd" for c in text)
    kept = kept[:_MOST_CHARACTERS]
    if not kept.startswith("="):
        return kept
    cell = require("openpyxl.cell", "write files of Excel").WriteOnlyCell(sheet, value=kept)
    cell.data_type = "s"
    return cell
