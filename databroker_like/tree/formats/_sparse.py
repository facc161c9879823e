"""Sparse arrays as the table of their elements, each with its coordinates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from databroker_like.tree._media import Format
from databroker_like.tree._words import JSON
from databroker_like.tree.formats._table import ARROW_TYPE, TABLE_FORMATS, arrow_array

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["SPARSE_FORMATS", "elements_table"]

Elements = tuple["np.ndarray", "np.ndarray"]

_TYPES = (
    ARROW_TYPE,
    "application/x-parquet",
    "text/csv",
    "text/plain",
    "text/html",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    JSON,
    "application/x-hdf5",
)


def elements_table(coordinates: np.ndarray, elements: np.ndarray) -> pa.Table:
    """The elements of a sparse array as a table: columns ``dim0``, ``dim1`` and so on, and ``data``.

    Parameters
    ----------
    coordinates : numpy.ndarray
        Of the shape (axes, elements).
    elements : numpy.ndarray

    Returns
    -------
    pyarrow.Table

    Examples
    --------
    >>> import numpy
    >>> elements_table(numpy.array([[0, 3], [1, 2]]), numpy.array([0.5, 1.5])).to_pylist()
    [{'dim0': 0, 'dim1': 1, 'data': 0.5}, {'dim0': 3, 'dim1': 2, 'data': 1.5}]
    """
    import pyarrow as pa

    columns = {f"dim{axis}": arrow_array(along, f"dim{axis}") for axis, along in enumerate(coordinates)}
    return pa.table({**columns, "data": arrow_array(elements, "data")})


def _of_table(write: Callable[[Any], Any]) -> Callable[[Elements], Any]:
    return lambda found: write(elements_table(*found))


_NAMED = {form.media_type: form for form in TABLE_FORMATS}
#: The first is what the clients read; the others are exports.
SPARSE_FORMATS: tuple[Format, ...] = tuple(
    replace(_NAMED[media_type], write=_of_table(_NAMED[media_type].write)) for media_type in _TYPES
)
