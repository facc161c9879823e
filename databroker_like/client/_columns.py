"""Columns of Arrow as arrays of numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["column_as_array"]


def column_as_array(column: pa.ChunkedArray | pa.Array, dtype: np.dtype | None = None) -> np.ndarray:
    """A column, as one array with a first axis of its rows.

    Parameters
    ----------
    column : pyarrow.ChunkedArray or pyarrow.Array
        Lists of the same length become further axes; others become objects.
    dtype : numpy.dtype, optional
        What is made of the elements; by default they are as Arrow has them.

    Returns
    -------
    numpy.ndarray

    Examples
    --------
    >>> import pyarrow
    >>> column_as_array(pyarrow.array([[1, 2], [3, 4]]))
    array([[1, 2],
           [3, 4]])
    """
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    lengths = []
    while _is_list(column.type) and not column.null_count and len(column):
        length = _same_length(column)
        if not length:
            break
        lengths.append(length)
        column = column.flatten()
    found = column.to_numpy(zero_copy_only=False)
    if lengths:
        found = found.reshape(-1, *lengths)
    return found if dtype is None else found.astype(dtype, copy=False)


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _same_length(column: Any) -> int | None:
    """The length that all lists have; None when they differ."""
    import pyarrow.compute as pc

    lengths = pc.unique(pc.list_value_length(column))
    return lengths[0].as_py() if len(lengths) == 1 else None
