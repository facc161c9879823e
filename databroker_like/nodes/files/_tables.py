"""Tables in files as nodes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.errors import DatabrokerError, InvalidFile
from databroker_like.files._table import LazyTable
from databroker_like.files.excel import ExcelTable, sheet_names
from databroker_like.nodes._broken import BrokenNode
from databroker_like.nodes._node import Node
from databroker_like.nodes._sources import DataSource
from databroker_like.nodes._tables import TableNode
from databroker_like.nodes.files._listed import ListedNode
from databroker_like.nodes.files._place import Place, Stamp, lasting, once
from databroker_like.structures import TableStructure

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["EXCEL", "FileTable", "Workbook"]

EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_WORKBOOK = "an Excel workbook"


class FileTable(TableNode):
    """A table that lies in a file; only the parts and columns that are asked for are read.

    Parameters
    ----------
    table : LazyTable
    place : Place
    what : str
        What it is, with an article.
    source : DataSource
    """

    def __init__(self, table: LazyTable, place: Place, what: str, source: DataSource) -> None:
        self._table = table
        self._place = place
        self._what = what
        self._source = source
        with place.border(what):
            info = table.info
            names = info.schema.names
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise InvalidFile(f"{place.name!r} has two columns of the name {twice!r}; give them names of their own")
            self._structure = TableStructure.from_schema(info.schema, len(info.rows))
        self._rows = info.rows

    @property
    def metadata(self) -> Mapping[str, Any]:
        return {}

    @property
    def version(self) -> Any:
        return self._place.version()

    def data_source(self) -> DataSource:
        return self._source

    def structure(self) -> TableStructure:
        return self._structure

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self.read_rows(columns, 0, None)

    def read_partition(self, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        self.check_partition(number)
        if columns is not None:
            self.check_columns(columns)
        with self._place.border(self._what):
            return self._table.read(number, columns)

    def read_rows(self, columns: Sequence[str] | None, start: int, stop: int | None) -> pa.Table:
        import pyarrow as pa

        if columns is not None:
            self.check_columns(columns)
        last = sum(self._rows) if stop is None else stop
        found: list[pa.Table] = []
        before = 0
        for number, rows in enumerate(self._rows):
            low, high = max(start - before, 0), min(last - before, rows)
            # The first tells the types where no row is wanted.
            if low < high or (not found and number == len(self._rows) - 1):
                found.append(self.read_partition(number, columns).slice(low, max(0, high - low)))
            before += rows
        return pa.concat_tables(found)


class Sheet(ExcelTable):
    """A sheet that is parsed once for many readings, and forgotten when nobody has read it for a while.

    Parameters
    ----------
    place : Place
    stamp : Stamp
    sheet : str
    """

    def __init__(self, place: Place, stamp: Stamp, sheet: str) -> None:
        super().__init__(place.path, sheet)
        self._place = place
        self._once = once(stamp)

    def _whole(self) -> pa.Table:
        plain = ExcelTable(self.path, self.sheet)

        @contextlib.contextmanager
        def parsed() -> Iterator[pa.Table]:
            yield plain.parsed()

        with self._place.served.files.use((self.path, self.sheet), self._once, parsed) as table:
            return table


class Workbook(ListedNode):
    """An Excel workbook, whose sheets are tables.

    Parameters
    ----------
    place : Place
    stamp : Stamp
    """

    def __init__(self, place: Place, stamp: Stamp) -> None:
        self._place = place
        self._stamp = stamp
        with place.border(_WORKBOOK):
            self._names = sheet_names(place.path)

    @property
    def metadata(self) -> Mapping[str, Any]:
        return {}

    @property
    def version(self) -> Any:
        return self._place.version()

    def data_source(self) -> DataSource:
        return DataSource(EXCEL, (self._place.asset(),))

    def _all_keys(self) -> Sequence[str]:
        return self._names

    def _node(self, key: str) -> Node | None:
        if key not in self._names:
            return None
        place, stamp = self._place, self._stamp

        def made() -> Node:
            source = DataSource(EXCEL, (place.asset(),), {"sheet": key})
            try:
                return FileTable(Sheet(place, stamp, key), place, _WORKBOOK, source)
            except DatabrokerError as error:
                return BrokenNode(error, version=lasting(stamp))

        return place.served.remembered((place.name, key), stamp, made)
