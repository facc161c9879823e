"""From a lazy array to a dask array whose graph costs no more than its chunks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from databroker_like.files._array import LazyArray

if TYPE_CHECKING:
    import dask.array as da

__all__ = ["chunk_shape", "to_dask"]

#: Numbers read together, at least: a task per number would cost more than the numbers.
_NUMBERS_AT_ONCE = 10_000

#: A file's chunk smaller than this is widened to the whole frame.
_SMALL_CHUNK = 64 * 1024


def to_dask(lazy: LazyArray, chunks: Any = None, *, inline: bool = True) -> da.Array:
    """A dask array that reads a lazy array chunk by chunk.

    Parameters
    ----------
    lazy : LazyArray
        It goes into the graph as it is, path and parameters, and pickles.
    chunks : optional
        As `dask.array.from_array` takes them; by default what `chunk_shape` says.
    inline : bool
        Let every task carry the lazy array, which is best while it is no more than a path. False lets it stand in
        the graph once, for all tasks to refer to.

    Returns
    -------
    dask.array.Array
        Its name is made from the paths, the files' times and sizes, and the parameters: the same data has the same
        name.

    Examples
    --------
    >>> from databroker_like.files._memory import MemoryArray
    >>> to_dask(MemoryArray([[1, 2], [3, 4]])).sum().compute().item()
    10
    """
    import dask.array as da
    import numpy as np
    from dask.tokenize import tokenize

    shape, dtype = lazy.shape, lazy.dtype
    if 0 in shape or not shape:
        # Nothing to cut up; dask would ask for a chunk of length zero.
        chunks = shape
    elif chunks is None:
        chunks = chunk_shape(lazy)
    name = f"{type(lazy).__name__.lower()}-{tokenize(lazy.token, chunks)}"
    meta = np.empty((0,) * len(shape), dtype=dtype)
    return da.from_array(lazy, chunks=chunks, name=name, meta=meta, asarray=False, inline_array=inline)


def chunk_shape(lazy: LazyArray) -> tuple[int, ...]:
    """The shape of the pieces that a lazy array is best read in.

    Parameters
    ----------
    lazy : LazyArray

    Returns
    -------
    tuple of int
        The file's own chunks; frames whole where those are small; 10 000 rows or more where a row is a number.
    """
    shape = lazy.shape
    own = tuple(max(1, min(c, n)) if n else 1 for c, n in zip(lazy.chunks, shape, strict=True))
    itemsize = max(1, lazy.dtype.itemsize)
    if math.prod(shape[1:]) == 1:
        rows = own[0] * math.ceil(_NUMBERS_AT_ONCE / own[0])
        return (min(max(rows, 1), max(shape[0], 1)), *own[1:])
    if math.prod(own) * itemsize < _SMALL_CHUNK:
        own = (own[0], *(max(1, n) for n in shape[1:]))
    return own
