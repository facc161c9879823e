"""Arrays as bytes, JSON and text."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid
from databroker_like.structures import ArrayStructure
from databroker_like.tree._media import Format
from databroker_like.tree._words import JSON, to_json

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ARRAY_FORMATS", "as_described"]


def as_described(array: Any, structure: ArrayStructure) -> np.ndarray:
    """An array with elements exactly as the structure of its node says, in the order of C.

    Parameters
    ----------
    array : numpy.ndarray
    structure : ArrayStructure

    Returns
    -------
    numpy.ndarray
    """
    import numpy as np

    dtype = structure.data_type.to_numpy_dtype()
    # ascontiguousarray would make an axis where there is none.
    return np.asarray(array, dtype=dtype, order="C")


def _octets(array: np.ndarray) -> bytes | memoryview:
    import numpy as np

    if not array.nbytes:
        return b""
    return memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]


def _text_of(value: Any) -> Any:
    """Bytes as text, to the bottom; anything else as it is."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, list | tuple):
        return [_text_of(one) for one in value]
    return value


def _json(array: np.ndarray) -> bytes:
    if array.dtype.kind in "biuf" and array.dtype.isnative and array.ndim:
        return to_json(array)
    if array.dtype.kind in "mM":
        array = array.astype(str)
    return to_json(_text_of(array.tolist()))


def _rows(array: np.ndarray) -> Iterable[Sequence[Any]]:
    if array.dtype.names:
        if array.ndim > 1:
            raise Invalid(f"a structured array of {array.ndim} axes is no table; ask for a slice, or for JSON")
        return [_text_of(row) for row in array.reshape(-1).tolist()]
    if array.ndim > 2:
        raise Invalid(f"an array of {array.ndim} axes is no table; ask for a slice of two axes, or for JSON")
    if array.dtype.kind in "mM":
        array = array.astype(str)
    listed = _text_of(array.tolist())
    if array.ndim == 0:
        return [[listed]]
    return listed if array.ndim == 2 else [[one] for one in listed]


def _csv(array: np.ndarray) -> bytes:
    import csv

    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(_rows(array))
    return out.getvalue().encode()


_CHARSET = "; charset=utf-8"
#: The first is what the clients read; the others are exports.
ARRAY_FORMATS: tuple[Format, ...] = (
    Format("application/octet-stream", _octets),
    Format(JSON, _json, ("json",)),
    Format("text/csv", _csv, ("csv",), _CHARSET),
    Format("text/x-comma-separated-values", _csv, (), _CHARSET),
    Format("text/plain", _csv, ("text", "txt"), _CHARSET),
)
