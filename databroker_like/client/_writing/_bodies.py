"""Arrays and tables as they are sent to a server: what their structure is, and their bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid, WrongType, listed
from databroker_like.structures import ArrayStructure, Chunks, TableStructure, data_type_of, regular_chunks

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = [
    "ARROW",
    "OCTETS",
    "array_of",
    "array_structure",
    "arrow_file",
    "check_names",
    "is_dask_array",
    "is_dask_table",
    "memory_of",
    "regular",
    "schema_of",
    "table_of",
    "table_structure",
    "whole_chunks",
]

OCTETS = "application/octet-stream"
ARROW = "application/vnd.apache.arrow.file"
#: No block that is written is larger.
MOST_BYTES = 100 * 10**6


def is_dask_array(value: Any) -> bool:
    """Whether it is a dask array; dask is not loaded to find out."""
    return type(value).__module__.split(".")[0] == "dask" and hasattr(value, "chunks")


def is_dask_table(value: Any) -> bool:
    """Whether it is a dataframe of dask; dask is not loaded to find out."""
    return type(value).__module__.split(".")[0] in ("dask", "dask_expr") and hasattr(value, "divisions")


def array_of(array: Any) -> Any:
    """What can be written as an array: a numpy array, or a dask array as it is.

    Parameters
    ----------
    array : array-like
        Anything that `numpy.asarray` takes; a dask array, and what has one inside, such as a lazy
        ``xarray.DataArray``, stays lazy.

    Returns
    -------
    numpy.ndarray or dask.array.Array

    Raises
    ------
    WrongType
        When its elements are Python objects: they would have to be pickled, and nobody should unpickle them. Or when
        some are masked.

    Examples
    --------
    >>> array_of([[1, 2], [3, 4]]).shape
    (2, 2)
    >>> array_of([{"a": 1}])
    Traceback (most recent call last):
        ...
    databroker_like.errors.WrongType: Python objects are not written as an array, for only a pickle could hold them...
    """
    import numpy as np

    if type(array).__module__.split(".")[0] == "xarray" and is_dask_array(array.data):
        array = array.data
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise WrongType("what is masked would be there again: write .filled(...) with a value that stands for nothing")
    if not is_dask_array(array):
        array = np.asarray(array)
    if array.dtype.kind == "T":
        # Text of any length, which has no form on the wire.
        array = array.astype(f"U{max(1, int(np.strings.str_len(array).max(initial=0)))}")
    if array.dtype.hasobject:
        raise WrongType(
            "Python objects are not written as an array, for only a pickle could hold them: "
            "write numbers, or text with .astype(str), or rows of different lengths with write_ragged or write_awkward"
        )
    return array


def memory_of(array: np.ndarray) -> memoryview:
    """The bytes of an array, row by row; nothing is copied where they lie so already.

    Parameters
    ----------
    array : numpy.ndarray

    Returns
    -------
    memoryview

    Examples
    --------
    >>> import numpy
    >>> memory_of(numpy.array([[1, 2], [3, 4]], "u1").T).tobytes()
    b'\\x01\\x03\\x02\\x04'
    """
    import numpy as np

    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def whole_chunks(array: Any) -> Chunks:
    """The blocks in which an array is to lie on a server: all alike but for the last, none above 100 MB.

    Parameters
    ----------
    array : numpy.ndarray or dask.array.Array
        The blocks of a dask array are kept as far as they are so.

    Returns
    -------
    tuple of tuple of int

    Raises
    ------
    Invalid
        When dask does not know how long the blocks are.

    Examples
    --------
    >>> import dask.array
    >>> whole_chunks(dask.array.zeros((7, 4), chunks=((3, 2, 2), 4)))
    ((3, 3, 1), (4,))
    """
    itemsize = data_type_of(array.dtype).itemsize
    if not is_dask_array(array):
        return regular_chunks(array.shape, itemsize)
    if any(math.isnan(length) for lengths in array.chunks for length in lengths):
        raise Invalid("dask does not know how long the blocks of this array are: call its compute_chunk_sizes() first")
    return regular(array.chunks, array.shape, itemsize)


def regular(chunks: Chunks, shape: Sequence[int], itemsize: int) -> Chunks:
    """Blocks that are all alike but for the last, and not above 100 MB, as near to others as can be.

    Parameters
    ----------
    chunks : tuple of tuple of int
    shape : sequence of int
    itemsize : int
        The bytes of an element.

    Returns
    -------
    tuple of tuple of int

    Examples
    --------
    >>> regular(((3, 2, 2), (4,)), (7, 4), 8)
    ((3, 3, 1), (4,))
    >>> regular(((4,), (30_000_000,)), (4, 30_000_000), 1)
    ((3, 1), (30000000,))
    """
    steps = [max(1, *lengths) for lengths in chunks]
    for axis in range(len(steps)):
        # From the first axis on: rows stay whole as long as they can.
        row = math.prod(steps[axis + 1 :]) * max(1, itemsize)
        if steps[axis] * row > MOST_BYTES:
            steps[axis] = max(1, MOST_BYTES // row)
    return tuple(_cut(length, step) for length, step in zip(shape, steps, strict=True))


def _cut(length: int, step: int) -> tuple[int, ...]:
    whole, rest = divmod(length, step)
    return (step,) * whole + ((rest,) if rest else ()) or (0,)


def table_of(data: Any) -> pa.Table:
    """What can be written as a table, as one of Arrow.

    Parameters
    ----------
    data : pyarrow.Table, pyarrow.RecordBatch, pandas.DataFrame, or mapping of columns

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    Invalid
        When the name of a column is no text, or begins with an underscore, which servers keep for themselves; or
        when Arrow cannot hold a column.
    WrongType
        When it is something else.

    Examples
    --------
    >>> table_of({"x": [1, 2], "name": ["a", "b"]}).schema.names
    ['x', 'name']
    >>> table_of({"_x": [1, 2]})
    Traceback (most recent call last):
        ...
    databroker_like.errors.Invalid: no column may have a name that begins with '_', as '_x' does
    """
    import pyarrow as pa

    try:
        if isinstance(data, pa.Table):
            table = data
        elif isinstance(data, pa.RecordBatch):
            table = pa.Table.from_batches([data])
        elif isinstance(data, Mapping):
            table = pa.table({name: _column(column) for name, column in data.items()})
        elif hasattr(data, "iloc"):
            names = [name for name in data.columns if not isinstance(name, str)]
            if names:
                raise Invalid(f"the names of columns are text, not {names[0]!r}")
            table = pa.Table.from_pandas(_with_named_index(data))
        else:
            raise WrongType(
                f"a table is a dataframe, a table of Arrow or a mapping of columns, not {type(data).__name__!r}"
            )
    except pa.ArrowException as error:
        raise Invalid(f"a column cannot be written as a table of Arrow: {error}") from error
    check_names(table.schema.names)
    return table


def _with_named_index(frame: Any) -> Any:
    """A dataframe whose index has a name, unless it merely counts the rows."""
    names = frame.index.names
    if None not in names or (type(frame.index).__name__ == "RangeIndex" and names == [None]):
        return frame
    instead = ["index"] if len(names) == 1 else [f"level_{at}" for at in range(len(names))]
    chosen = [other if name is None else name for name, other in zip(names, instead, strict=True)]
    taken = [name for name in chosen if name in frame.columns]
    if taken:
        raise Invalid(f"the index of the dataframe has no name, and {listed(taken)} is one of a column: name the index")
    return frame.rename_axis(index=chosen)


def _column(values: Any) -> Any:
    import numpy as np

    if isinstance(values, np.ndarray) and values.ndim > 1:
        return list(values)
    return values


def check_names(names: Iterable[str]) -> None:
    """Invalid when columns cannot have these names."""
    names = list(names)
    begun = [name for name in names if name.startswith("_")]
    if begun:
        raise Invalid(f"no column may have a name that begins with '_', as {listed(begun)} does")
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise Invalid(f"each column has a name of its own; {listed(twice)} is there twice")


def schema_of(schema: Any) -> pa.Schema:
    """The schema of a table, of a schema or of anything that `table_of` takes."""
    import pyarrow as pa

    found = schema if isinstance(schema, pa.Schema) else table_of(schema).schema
    check_names(found.names)
    return found


def arrow_file(table: pa.Table) -> memoryview:
    """A table as a file of Arrow."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def table_structure(table: pa.Table, npartitions: int = 1) -> TableStructure:
    """What a table is like."""
    return TableStructure.from_schema(table.schema, npartitions)


def array_structure(array: Any, dims: Iterable[str] | None) -> ArrayStructure:
    """What an array is like, in blocks as they are written."""
    return ArrayStructure.from_array(array, chunks=whole_chunks(array), dims=dims)
