"""The columns of a page: a list or a numpy array, and what may be done with them.

A one-dimensional array stands for the Python values of its ``tolist()``, an array of more dimensions for one array
per event; anything else with a length is read item by item.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from databroker_like.errors import InvalidDocument

__all__ = [
    "COLUMNS",
    "EVENT_COLUMNS",
    "EVENT_GROUPS",
    "GROUPS",
    "LazyPage",
    "Page",
    "check_lengths",
    "each_value",
    "joined",
    "one_by_one",
    "page_size",
    "scalars",
    "slice_page",
]

Page = Mapping[str, Any]

#: How a page is laid out: the columns that stand by themselves, and the dictionaries of columns.
EVENT_COLUMNS = ("time", "uid", "seq_num")
EVENT_GROUPS = ("data", "timestamps", "filled")
COLUMNS = frozenset({*EVENT_COLUMNS, "datum_id"})
GROUPS = frozenset({*EVENT_GROUPS, "datum_kwargs"})


class LazyPage(Mapping[str, Any]):
    """A page that reads its columns when they are touched, and knows how many rows it has without that."""

    __slots__ = ()

    @property
    @abstractmethod
    def rows(self) -> int:
        """How many rows there are."""

    @abstractmethod
    def cut(self, start: int, stop: int) -> Page:
        """Rows ``start`` to ``stop`` as a page; nothing is read."""


def scalars(column: Any) -> list[Any]:
    """The values of a column, one per event: Python values of a 1-D array, one array each of a larger one.

    Parameters
    ----------
    column : list or array of shape (n, ...)
        A list comes back as it is.

    Returns
    -------
    list

    Examples
    --------
    >>> import numpy
    >>> scalars(numpy.array([1.5, 2.5]))
    [1.5, 2.5]
    >>> [row.tolist() for row in scalars(numpy.array([[1, 2], [3, 4]]))]
    [[1, 2], [3, 4]]
    """
    if type(column) is list:
        return column
    if getattr(column, "ndim", None) == 1:
        return _materialized(column).tolist()
    return list(each_value(column))


def _materialized(column: Any) -> Any:
    """A lazy array's data; a numpy array as it is."""
    return column if hasattr(column, "tolist") else column.__array__()


def each_value(column: Any) -> Iterable[Any]:
    """The values of a column, one after another: an array of frames is not read in at once."""
    if isinstance(column, list | tuple):
        return column
    dimensions = getattr(column, "ndim", None)
    if dimensions == 1:
        return _materialized(column).tolist()
    if dimensions is None:
        return column
    return map(column.__getitem__, range(len(column)))


def joined(parts: list[Any]) -> Any:
    """Columns one below the other: an array when they are arrays of one kind, otherwise a list."""
    if len(parts) == 1:
        return parts[0]
    if all(type(part) is list for part in parts):
        return list(chain.from_iterable(parts))
    # Without numpy, or while another thread imports it, there are no arrays to keep as arrays.
    numpy = sys.modules.get("numpy")
    ndarray = getattr(numpy, "ndarray", None)
    if numpy is not None and ndarray is not None and all(isinstance(part, ndarray) for part in parts):
        first = parts[0]
        # Joining int64 to float64 would change the integers; frames of two shapes make no array.
        if all(part.dtype == first.dtype and part.shape[1:] == first.shape[1:] for part in parts):
            return numpy.concatenate(parts, dtype=first.dtype)  # without it, bytes would be brought into native order
    return list(chain.from_iterable(map(scalars, parts)))


def page_size(page: Page) -> int:
    """How many events, or datums, a page holds.

    Examples
    --------
    >>> page_size({"datum_id": ["r/0", "r/1"], "resource": "r", "datum_kwargs": {}})
    2
    """
    if isinstance(page, LazyPage):
        return page.rows
    return len(page["uid"] if "uid" in page else page["datum_id"])


def one_by_one(pages: Iterable[Page]) -> Iterator[Page]:
    """Pages one after the other, of which none is held when the next is asked for: what was read of it is let go of.

    Examples
    --------
    >>> [page["uid"] for page in one_by_one([{"uid": ["a"]}, {"uid": ["b"]}])]
    [['a'], ['b']]
    """
    if not isinstance(pages, list):
        yield from pages
        return
    waiting = deque(pages)
    # Nobody else may hold the list.
    del pages
    while waiting:
        yield waiting.popleft()


def slice_page(page: Page, start: int, stop: int) -> Page:
    """Rows ``start`` to ``stop`` of an event page or a datum page, as a page; arrays are viewed, not copied.

    Examples
    --------
    >>> slice_page({"datum_id": ["r/0", "r/1"], "resource": "r", "datum_kwargs": {"n": [0, 1]}}, 1, 2)
    {'datum_id': ['r/1'], 'resource': 'r', 'datum_kwargs': {'n': [1]}}
    """
    if isinstance(page, LazyPage):
        return page.cut(start, stop)
    return {
        key: value[start:stop]
        if key in COLUMNS
        else {name: column[start:stop] for name, column in value.items()}
        if key in GROUPS
        else value
        for key, value in page.items()
    }


def check_lengths(page: Page) -> int:
    """The number of rows, which every column must have."""
    rows = page_size(page)
    for key, value in page.items():
        if key in COLUMNS and len(value) != rows:
            raise _ragged(page, key, len(value), rows)
        if key in GROUPS:
            for name, column in value.items():
                if len(column) != rows:
                    raise _ragged(page, f"{key}.{name}", len(column), rows)
    return rows


def _ragged(page: Page, column: str, length: int, rows: int) -> InvalidDocument:
    owner = f"descriptor {page['descriptor']!r}" if "descriptor" in page else f"resource {page.get('resource')!r}"
    return InvalidDocument(f"a page of {owner} has {rows} rows, but its column {column!r} has {length} values")
