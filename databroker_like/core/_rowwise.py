"""Rows to columns: values that arrive one document at a time become columns, bounded in memory, exact to the letter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

__all__ = ["CHUNK", "Rows", "column"]

#: Rows that are kept as Python objects before they become arrays: bounds memory, and keeps the garbage collector idle.
CHUNK = 16_384

#: Longer strings stay a list: a fixed-width array of a few long ones and many short ones would be mostly padding.
_LONGEST_STRING = 128

_DTYPES: dict[type, str] = {float: "<f8", int: "<i8", bool: "?"}


def column(values: list[Any]) -> Any:
    """A column of values as an array where that loses nothing, else the list itself.

    Parameters
    ----------
    values : list, shape (n_events,)
        One value per event.

    Returns
    -------
    numpy.ndarray or list
        One-dimensional float64, int64, bool or ``<U`` when every value is of exactly that Python type, so that
        ``tolist()`` gives the values back; n-dimensional when every value is an array of one dtype and shape;
        otherwise ``values``.

    Examples
    --------
    >>> column([1.0, 2.5])
    array([1. , 2.5])
    >>> column([1, 2.5])
    [1, 2.5]
    """
    kinds = set(map(type, values))
    if len(kinds) != 1:
        return values
    (kind,) = kinds
    import numpy

    if kind in _DTYPES:
        try:
            return numpy.array(values, dtype=_DTYPES[kind])
        except OverflowError:  # an integer beyond 64 bits
            return values
    if kind is str:
        if max(map(len, values)) > _LONGEST_STRING or "\0" in "".join(values):  # numpy strips NULs at the end
            return values
        try:
            return numpy.array(values)
        except UnicodeEncodeError:  # a lone surrogate
            return values
    if issubclass(kind, numpy.ndarray):
        first = values[0]
        if (
            first.ndim
            and first.dtype.kind in "biufc"
            and all(v.dtype == first.dtype and v.shape == first.shape for v in values)
        ):
            return numpy.stack(values, dtype=first.dtype)
    return values


class Rows:
    """Equally shaped rows, kept flat until there are enough of them to become columns.

    Parameters
    ----------
    keys : list of str
        The keys of every row, in order.

    Examples
    --------
    >>> rows = Rows(["x", "y"])
    >>> rows.extend([1.0, "a"])
    >>> rows.extend([2.0, "b"])
    >>> rows.columns(2)["x"]
    array([1., 2.])
    """

    __slots__ = ("extend", "flat", "keys")

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys
        self.flat: list[Any] = []
        self.extend: Callable[[Iterable[Any]], None] = self.flat.extend

    def extend_columns(self, columns: Mapping[str, Any]) -> None:
        """Take rows that arrive as columns (lists or arrays)."""
        self.extend(chain.from_iterable(zip(*(as_list(columns[key]) for key in self.keys), strict=True)))

    def columns(self, count: int) -> dict[str, Any]:
        """The columns of the ``count`` rows there are; the rows stay."""
        flat, width = self.flat, len(self.keys)
        if count and width > 1 and set(map(type, flat)) == {float}:
            import numpy

            table = numpy.fromiter(flat, "<f8", len(flat)).reshape(count, width)
            return dict(zip(self.keys, table.T.copy(), strict=True))
        return {key: column(flat[position::width]) for position, key in enumerate(self.keys)}


def as_list(values: Any) -> list[Any]:
    """A column as one Python object per event.

    Examples
    --------
    >>> import numpy
    >>> as_list(numpy.array([1, 2]))
    [1, 2]
    """
    if isinstance(values, list):
        return values
    if getattr(values, "ndim", 1) == 1 and hasattr(values, "tolist"):
        return list(values.tolist())
    return list(values)
