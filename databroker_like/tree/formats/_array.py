"""Arrays as bytes, JSON, text, sheets and images."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid
from databroker_like.structures import ArrayStructure
from databroker_like.tree._media import UTF8, Format
from databroker_like.tree._words import JSON, to_json
from databroker_like.tree.formats._images import as_png, as_tiff
from databroker_like.tree.formats._rows import Row, as_csv, as_html, as_sheet, plain_text

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ARRAY_FORMATS", "array_octets", "as_described"]

#: As many elements are made objects of Python at once.
_AT_ONCE = 1 << 16


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


def array_octets(array: np.ndarray) -> bytes | memoryview:
    """The bytes of an array in the order of C, without a copy where they lie so.

    Parameters
    ----------
    array : numpy.ndarray

    Returns
    -------
    bytes or memoryview

    Examples
    --------
    >>> import numpy
    >>> bytes(array_octets(numpy.array([[1, 2], [3, 4]], dtype=">i2").T))
    b'\\x00\\x01\\x00\\x03\\x00\\x02\\x00\\x04'
    """
    import numpy as np

    if not array.nbytes:
        return b""
    lying = np.asarray(array, order="C")
    return memoryview(lying.reshape(-1).view(np.uint8))  # type: ignore[arg-type]


def _listed(array: np.ndarray) -> Any:
    """An array as lists, which JSON and text have words for."""
    if array.dtype.kind in "mM":
        array = array.astype(str)
    return plain_text(array.tolist())


def _pieces(array: np.ndarray) -> Iterator[np.ndarray]:
    """Some rows of an array after others."""
    rows = max(1, _AT_ONCE // max(1, array[:1].size))
    for at in range(0, len(array), rows):
        yield array[at : at + rows]


def _json(array: np.ndarray) -> Iterator[bytes]:
    numbers = array.dtype.kind in "biuf" and array.dtype.itemsize <= 8
    if numbers:
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if not array.ndim:
        yield to_json(_listed(array))
        return
    between = b"["
    for some in _pieces(array):
        yield between + to_json(some if numbers else _listed(some))[1:-1]
        between = b","
    yield b"]" if between == b"," else b"[]"


def _as_rows(array: np.ndarray) -> tuple[Row | None, Iterable[Row], int]:
    """The names of the columns, where they have any, the rows, and how many columns there are."""
    if array.dtype.names:
        if array.ndim > 1:
            raise Invalid(f"a structured array of {array.ndim} axes is no table; ask for a slice, or for JSON")
        rows = array.reshape(-1)
        names = array.dtype.names
        return names, (row for some in _pieces(rows) for row in plain_text(some.tolist())), len(names)
    if array.ndim > 2:
        raise Invalid(f"an array of {array.ndim} axes is no table; ask for a slice of two axes, or for JSON")
    table = array if array.ndim == 2 else array.reshape(-1, 1)
    return None, (row for some in _pieces(table) for row in _listed(some)), table.shape[1]


def _csv(array: np.ndarray) -> Iterator[bytes]:
    header, rows, _ = _as_rows(array)
    return as_csv(header, rows)


def _html(array: np.ndarray) -> Iterator[bytes]:
    header, rows, _ = _as_rows(array)
    return as_html(header, rows)


def _sheet(array: np.ndarray) -> Iterator[bytes]:
    header, rows, width = _as_rows(array)
    return as_sheet(header, rows, count=len(array) if array.ndim else 1, width=width)


def _npy(array: np.ndarray) -> Iterator[bytes | memoryview]:
    from numpy.lib import format as npy

    head = io.BytesIO()
    npy.write_array_header_1_0(head, npy.header_data_from_array_1_0(array))
    yield head.getvalue()
    yield array_octets(array)


#: The first is what the clients read; the others are exports.
ARRAY_FORMATS: tuple[Format, ...] = (
    Format("application/octet-stream", array_octets),
    Format(JSON, _json, ("json",)),
    Format("text/csv", _csv, ("csv",), UTF8),
    Format("text/x-comma-separated-values", _csv, (), UTF8),
    Format("text/plain", _csv, ("text", "txt"), UTF8),
    # Text, as spreadsheets take it under this name; what they write themselves is another format.
    Format("application/vnd.ms-excel", _csv, ("xls",), UTF8),
    Format("text/html", _html, ("html", "htm"), UTF8),
    Format("image/png", as_png, ("png",), needs=("PIL",)),
    Format("image/tiff", as_tiff, ("tiff", "tif"), needs=("tifffile",)),
    Format("application/x-npy", _npy, ("npy",)),
    Format("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _sheet, ("xlsx",), needs=("openpyxl",)),
)
