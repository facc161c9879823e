"""CSV files as lazy arrays: one column, or all of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from databroker_like.errors import InvalidFile, listed, nearest
from databroker_like.files._array import ArrayInfo, LazyArray
from databroker_like.files._select import Box, slices
from databroker_like.files._translate import reading

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["CSVArray", "column_names"]

_WHAT = "a CSV file"


class CSVArray(LazyArray):
    """A column of a CSV file, (rows,), or all of its columns, (rows, columns), when they are of one kind.

    Parameters
    ----------
    path : str or path-like
    column : str or int, optional
        The name of a column, or its position; all by default.
    header : bool
        Whether the first line has the names; True by default.

    Raises
    ------
    MissingFile, NotWritable, InvalidFile
        On reading: the file is absent, may not be read, is no CSV file or has no such column.

    Notes
    -----
    Text has no index, so a slice reads the column up to the last row asked for; the types are those of the whole
    column, which the first look at ``dtype`` therefore reads.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("x,y\\n1,0.5\\n2,0.25\\n")
    >>> CSVArray(path, "y")[:].tolist()
    [0.5, 0.25]
    """

    def __init__(self, path: str | os.PathLike[str], column: str | int | None = None, *, header: bool = True) -> None:
        self.path = os.fspath(path)
        self.column = column
        self.header = header

    @property
    def identity(self) -> tuple[Any, ...]:
        """The path, the column and whether there is a header."""
        return ("csv", self.path, self.column, self.header)

    @property
    def paths(self) -> tuple[str, ...]:
        """The file."""
        return (self.path,)

    def _where(self) -> str:
        return self.path if self.column is None else f"{self.path}, column {self.column!r}"

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        import pandas as pd

        with reading(self.path, _WHAT, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError):
            if not os.path.isfile(self.path):
                raise FileNotFoundError(self.path)
            yield _Table(self)

    def _describe(self, handle: _Table) -> ArrayInfo:
        values = handle.values(None)
        return ArrayInfo(values.shape, values.dtype, tuple(max(1, n) for n in values.shape))

    def _read(self, handle: _Table, out: np.ndarray, box: Box) -> None:
        values = handle.values(box[0][-1] + 1)
        if len(values) <= box[0][-1]:
            raise InvalidFile(
                f"{self._where()} has {len(values)} rows now and had {self._look(handle).shape[0]}; "
                "it was replaced: open it again"
            )
        out[...] = values[slices(box)]


class _Table:
    """One opening of a CSV file, parsed once at the most."""

    def __init__(self, array: CSVArray) -> None:
        self._array = array
        self._all: np.ndarray | None = None

    def values(self, rows: int | None) -> np.ndarray:
        if self._all is not None:
            return self._all
        array = self._array
        known = array._known
        # Once the type is known the rows beyond the last one asked for need not be parsed.
        if known is None or known.dtype.hasobject or rows is None:
            self._all = _parsed(array, None, None)
            return self._all
        return _parsed(array, rows, known.dtype)


def _parsed(array: CSVArray, rows: int | None, dtype: Any) -> np.ndarray:
    import numpy as np
    import pandas as pd

    frame = pd.read_csv(
        array.path,
        header=0 if array.header else None,
        usecols=None if array.column is None else [_position(array)],
        nrows=rows,
        skipinitialspace=True,
    )
    if frame.shape[1] == 0:
        raise InvalidFile(f"{array.path!r} is a CSV file without columns")
    if array.column is not None:
        values = _plain(frame.iloc[:, 0])
        return values if dtype is None else values.astype(dtype)
    columns = [_plain(frame.iloc[:, i]) for i in range(frame.shape[1])]
    texts = [str(name) for name, values in zip(frame.columns, columns, strict=True) if values.dtype == object]
    if texts and len(texts) < len(columns):
        raise InvalidFile(
            f"{array.path!r} has columns of numbers and of text ({listed(texts)}), which cannot be one array; "
            "ask for one column"
        )
    values = np.stack(columns, axis=1)
    return values if dtype is None else values.astype(dtype)


def _plain(series: pd.Series) -> np.ndarray:
    """A numpy array of numbers, truth values, or Python strings."""
    import numpy as np

    numeric = series.dtype.kind in "biuf" if isinstance(series.dtype, np.dtype) else False
    return series.to_numpy() if numeric else series.to_numpy(dtype=object)


def _position(array: CSVArray) -> int:
    names = column_names(array.path, header=array.header)
    if isinstance(array.column, str) and array.column in names:
        return names.index(array.column)
    if isinstance(array.column, int) and 0 <= array.column < len(names):
        return array.column
    known = listed(nearest(array.column, names) or names) if array.header else f"{len(names)}, counted from 0"
    raise InvalidFile(f"{array.path!r} has no column {array.column!r}; its columns: {known}")


def column_names(path: str | os.PathLike[str], *, header: bool = True) -> list[str]:
    """The names of the columns of a CSV file.

    Parameters
    ----------
    path : str or path-like
    header : bool
        Whether the first line has the names; without one they are "0", "1", ...

    Returns
    -------
    list of str

    Raises
    ------
    MissingFile, NotWritable, InvalidFile
    """
    import pandas as pd

    path = os.fspath(path)
    with reading(path, _WHAT, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError):
        frame = pd.read_csv(path, header=0 if header else None, nrows=0 if header else 1, skipinitialspace=True)
    return [str(name) for name in frame.columns]
