"""Columns of arrow tables as columns of event pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["column_of"]


def column_of(field: pa.Field, column: pa.ChunkedArray) -> Any:
    """A column of a table as one of an event page.

    Parameters
    ----------
    field : pyarrow.Field
        What the table says of it; values that stand there as JSON say so.
    column : pyarrow.ChunkedArray

    Returns
    -------
    list or numpy.ndarray
        Nulls among numbers are NaN.

    Examples
    --------
    >>> import pyarrow as pa
    >>> column_of(pa.field("a", pa.list_(pa.int64())), pa.chunked_array([[[1, 2], [3, 4]]]))
    array([[1, 2],
           [3, 4]])
    """
    import orjson
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if (field.metadata or {}).get(b"encoding") == b"json":
        return [None if text is None else orjson.loads(text) for text in column.to_pylist()]
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or (pa.types.is_boolean(kind) and not column.null_count):
        return column.to_numpy()
    if not _is_list(kind) or column.null_count:
        return column.to_pylist()
    shape = [len(column)]
    flat: Any = column.combine_chunks()
    while _is_list(flat.type):
        lengths = pc.list_value_length(flat)
        if flat.null_count or not len(flat) or pc.min(lengths).as_py() != pc.max(lengths).as_py():
            return column.to_pylist()
        shape.append(lengths[0].as_py())
        flat = flat.flatten()
    if not (pa.types.is_integer(flat.type) or pa.types.is_floating(flat.type)):
        return column.to_pylist()
    return flat.to_numpy(zero_copy_only=False).reshape(shape)


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))
