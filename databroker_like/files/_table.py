"""LazyTable: a table that lies in a file and is read part by part."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from databroker_like.utils._once import once

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PART_BYTES", "LazyTable", "TableInfo", "grouped"]

#: A part of a table has about so many bytes, unless the file has larger ones.
PART_BYTES = 16 << 20


@dataclass(frozen=True)
class TableInfo:
    """What is known of a table without reading it.

    Parameters
    ----------
    schema : pyarrow.Schema
    rows : tuple of int
        How many rows each part has; one part at least.
    """

    schema: pa.Schema
    rows: tuple[int, ...]


class LazyTable(ABC):
    """A table that lies in a file: it tells its columns, reads the parts that are asked for, and holds no file open.

    A format fills in two hooks, `_describe` and `_read`. The first look at `info` opens the file, once, and what was
    seen holds from then on.

    Parameters
    ----------
    path : str or path-like
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)

    @abstractmethod
    def _describe(self) -> TableInfo:
        """What the file holds."""

    @abstractmethod
    def _read(self, part: int, columns: Sequence[str] | None) -> pa.Table:
        """A part that is there, and some of its columns, which are there, in any order."""

    @once
    def info(self) -> TableInfo:
        """The columns, and how many rows each part has; the first look opens the file, later ones do not."""
        return self._describe()

    def read(self, part: int, columns: Sequence[str] | None = None) -> pa.Table:
        """A part of the table.

        Parameters
        ----------
        part : int
            From 0 to before the number of parts.
        columns : sequence of str, optional
            Of those that are there; all by default.

        Returns
        -------
        pyarrow.Table
            With the columns in the order in which they are named.
        """
        names = self.info.schema.names if columns is None else list(columns)
        if not names:
            return self._read(part, None).select([])
        return self._read(part, columns).select(names)


def grouped(sizes: Sequence[int], most: int = PART_BYTES) -> list[range]:
    """Neighbours taken together until they have a size.

    Parameters
    ----------
    sizes : sequence of int
        In bytes.
    most : int
        16 MB by default; what is larger by itself stays alone.

    Returns
    -------
    list of range
        At least one.

    Examples
    --------
    >>> grouped([3, 3, 3, 20, 1], 6)
    [range(0, 2), range(2, 3), range(3, 4), range(4, 5)]
    """
    found, start, total = [], 0, 0
    for at, size in enumerate(sizes):
        if at > start and total + size > most:
            found.append(range(start, at))
            start, total = at, 0
        total += size
    return [*found, range(start, len(sizes))]
