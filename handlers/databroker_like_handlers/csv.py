"""CSV files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from databroker_like.assets.handlers_base import HandlerBase
from databroker_like.files import CSVArray, LazyArray, view

__all__ = ["CSVHandler"]


class CSVHandler(HandlerBase):
    """Spec ``CSV``: one CSV file, of which a datum takes a column, or one value of it.

    Parameters
    ----------
    filename : str
        The file.
    header : bool
        Whether the first line has the names of the columns; True by default.
    """

    specs = {"CSV"}

    def __init__(self, filename: str, header: bool = True) -> None:
        self._filename = os.fspath(filename)
        self._header = header

    def __call__(self, column: str | int | None = None, row: int | None = None) -> LazyArray:
        """A column, unread.

        Parameters
        ----------
        column : str or int, optional
            The name of a column, or its position; all by default, when they are of one kind.
        row : int, optional
            Counted from 0; all by default.

        Returns
        -------
        LazyArray
            Of shape (rows,) for a column, (rows, columns) for all; one axis less for one row.
        """
        values = CSVArray(self._filename, column, header=self._header)
        return values if row is None else view(values, row)

    def get_file_list(self, datum_kwargs_gen: Iterable[Mapping[str, Any]]) -> list[str]:
        """The file."""
        return [self._filename]
