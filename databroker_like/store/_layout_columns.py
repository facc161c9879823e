"""Columns of events as the columns of a table: which arrow type each has, and its values in that type."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.core._columns import scalars
from databroker_like.core._rows import as_array
from databroker_like.errors import Invalid
from databroker_like.store._looks import Look

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["LONGEST_LIST", "arrow_type", "as_arrow", "is_json", "lies_in_array"]

#: A value of more elements is a row of an array, and not a cell of a table.
LONGEST_LIST = 16


def lies_in_array(look: Look) -> bool:
    """Whether values belong in an array: more elements than a cell takes, or texts in an array.

    Parameters
    ----------
    look : Look

    Returns
    -------
    bool
    """
    return bool(look.shape) and (look.dtype.kind in "US" or math.prod(look.shape) > LONGEST_LIST)


def is_json(look: Look) -> bool:
    """Whether values are of no one arrow type, and are written out as JSON.

    Parameters
    ----------
    look : Look

    Returns
    -------
    bool
    """
    if look.dtype.kind in "US":
        return bool(look.shape)
    return look.dtype.kind not in "biuf" or look.dtype.itemsize > 8


def arrow_type(look: Look) -> pa.DataType:
    """The type of a table's column.

    Parameters
    ----------
    look : Look

    Returns
    -------
    pyarrow.DataType

    Examples
    --------
    >>> import numpy
    >>> arrow_type(Look.of("<f8", (2, 3)))
    ListType(list<item: list<item: double>>)
    """
    import pyarrow as pa

    if is_json(look):
        return pa.string()
    if not look.shape and look.dtype.kind in "US":
        return pa.string() if look.dtype.kind == "U" else pa.binary()
    kind: pa.DataType = pa.from_numpy_dtype(look.dtype.newbyteorder("="))
    for _ in look.shape:
        kind = pa.list_(kind)
    return kind


def as_arrow(column: Any, look: Look, where: str) -> pa.Array:
    """The values of a column in the type that the whole column has.

    Parameters
    ----------
    column : list or array of shape (n, ...)
    look : Look
        Of the whole column.
    where : str
        Which column, for an error.

    Returns
    -------
    pyarrow.Array

    Raises
    ------
    Invalid
        When they are of another type or shape, because more has come since the column was looked at.
    """
    import pyarrow as pa

    if is_json(look):
        return pa.array([_json(value) for value in scalars(column)], pa.string())
    if look.dtype.kind in "US":
        kind = pa.string() if look.dtype.kind == "U" else pa.binary()
        values = scalars(column)
        try:
            return pa.array(values, kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
            texts = _as_read(values, look, where)
        if look.dtype.kind == "U":  # half a surrogate pair is no text in UTF-8
            texts = [text.encode("utf-8", "replace").decode() for text in texts]
        return pa.array(texts, kind)
    array = as_array(column)
    if array.shape[1:] != look.shape or array.dtype.kind not in "biuf":
        raise _changed(where, look)
    flat = pa.array(array.astype(look.dtype.newbyteorder("="), copy=False).reshape(-1), from_pandas=False)
    return _in_lists(flat, len(array), look.shape)


def _as_read(values: list[Any], look: Look, where: str) -> list[Any]:
    """Texts and other values as the texts that reading the column makes of them."""
    import numpy as np

    kind: type = str if look.dtype.kind == "U" else bytes
    if all(isinstance(value, kind) for value in values):
        return values
    try:
        # A text at the end, since these rows may be numbers alone.
        array = np.array([*values, kind()])[:-1]
    except (TypeError, ValueError, OverflowError) as error:  # what numpy makes no array of
        raise _changed(where, look) from error
    if array.dtype.kind != look.dtype.kind or array.ndim > 1:
        raise _changed(where, look)
    found: list[Any] = array.tolist()
    return found


def _in_lists(flat: pa.Array, rows: int, shape: Sequence[int]) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    for axis in range(len(shape) - 1, -1, -1):
        count = rows * math.prod(shape[:axis])
        flat = pa.ListArray.from_arrays(np.arange(count + 1, dtype=np.int32) * shape[axis], flat)
    return flat


def _changed(where: str, look: Look) -> Invalid:
    return Invalid(
        f"{where}: values have come that are not of type {look.dtype} and shape {look.shape}; the data grew after it "
        "was looked at: describe the run again"
    )


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    """What stands in JSON for a value that it has no type for."""
    if hasattr(value, "tolist"):
        plain: np.ndarray | Any = value.tolist()
        return plain
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return str(value)
