"""Sparse, awkward and ragged arrays as they are sent to a server: what their structure is, and their bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from databroker_like import registry
from databroker_like.client._writing._bodies import array_of, memory_of
from databroker_like.errors import Invalid
from databroker_like.structures import (
    AwkwardStructure,
    BuiltinDtype,
    Chunks,
    RaggedStructure,
    SparseStructure,
    data_type_of,
)

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["ZIP", "awkward_parts", "coordinates_table", "ragged_parts", "ragged_rows", "sparse_structure"]

ZIP = "application/zip"


def coordinates_table(coords: Any, data: Any, shape: Sequence[int]) -> pa.Table:
    """The elements of a sparse array with their places, as a table.

    Parameters
    ----------
    coords : array-like
        A row for each axis, a column for each element.
    data : array-like
        The elements.
    shape : sequence of int
        In which the places lie.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    Invalid
        When there are not as many places as elements, or some lie outside.

    Examples
    --------
    >>> coordinates_table([[0, 1], [1, 2]], [1.5, 2.5], (3, 4)).to_pydict()
    {'dim0': [0, 1], 'dim1': [1, 2], 'data': [1.5, 2.5]}
    """
    import numpy as np
    import pyarrow as pa

    places, values = np.asarray(coords), array_of(data)
    if places.size == 0:
        places = places.reshape(len(shape), 0).astype("i8")
    if places.ndim != 2 or values.ndim != 1 or places.shape != (len(shape), len(values)):
        raise Invalid(
            f"coords of shape {places.shape} and data of shape {values.shape} do not fit {len(shape)} axes: "
            "coords has a row for each axis and a column for each element"
        )
    if places.dtype.kind not in "iu":
        raise Invalid(f"coords are integers, not {places.dtype}")
    for axis, (row, length) in enumerate(zip(places, shape, strict=True)):
        if len(row) and (row.min() < 0 or row.max() >= length):
            raise Invalid(f"coords of axis {axis} lie beyond its length {length}")
    columns = {f"dim{axis}": pa.array(row) for axis, row in enumerate(places)}
    return pa.table({**columns, "data": pa.array(np.asarray(values))})


def sparse_structure(
    coords: Any, data: Any, shape: Sequence[int], dims: Iterable[str] | None, chunks: Chunks | None = None
) -> SparseStructure:
    """What a sparse array is like; one block, where nothing else is said."""
    import numpy as np

    shape = tuple(map(int, shape))
    kind, places = data_type_of(array_of(data).dtype), np.asarray(coords)
    # No places at all are a list of floats to numpy.
    coordinate = BuiltinDtype.from_numpy_dtype(places.dtype if places.size else np.dtype("i8"))
    blocks = chunks or tuple((length,) for length in shape)
    named = None if dims is None else tuple(dims)
    return SparseStructure(kind, blocks, shape, named, coord_data_type=coordinate)


def awkward_parts(array: Any) -> tuple[AwkwardStructure, bytes]:
    """An awkward array: its structure, and its buffers in a zip.

    Parameters
    ----------
    array : awkward.Array, or what it is made of

    Returns
    -------
    AwkwardStructure
    bytes
    """
    ak = registry.require("awkward", "write awkward arrays")
    form, length, buffers = ak.to_buffers(ak.to_packed(_awkward(ak, array)))
    return AwkwardStructure(length, form.to_dict()), _zipped(buffers)


def ragged_parts(
    array: Any,
    dims: Iterable[str] | None = None,
    dtype: np.dtype | None = None,
    most_bytes: int | None = None,
    depth: int | None = None,
) -> tuple[RaggedStructure, bytes]:
    """A ragged array: its structure, and its buffers in a zip, with their form and the number of rows.

    Parameters
    ----------
    array : ragged.array, awkward.Array, or list of lists
    dims : iterable of str, optional
    dtype : numpy.dtype, optional
        Of the elements; as they are, by default.
    most_bytes : int, optional
        Of the rows of one block; all rows are one, by default.
    depth : int, optional
        How many axes it has, which an array without rows cannot tell; two by default, when there are none.

    Returns
    -------
    RaggedStructure
    bytes

    Raises
    ------
    Invalid
        When it has fields, text or missing elements, which `write_awkward` writes.

    Examples
    --------
    >>> structure, body = ragged_parts([[1, 2, 3], [4]])
    >>> structure.shape, structure.size, structure.chunks
    ((2, None), 4, ((2,), None))
    """
    import numpy as np

    ak = registry.require("awkward", "write ragged arrays")
    found = _awkward(ak, array)
    if dtype is not None:
        found = ak.values_astype(found, dtype)
    found = ak.to_packed(ak.from_regular(found, axis=None))
    layout, axes = _innermost(found.layout)
    if layout.is_unknown:
        # Without any element, awkward knows neither of what kind they are nor, without rows, how deep they lie.
        axes = max(depth or 2, axes)
        kind_of_rows = " * ".join([*["var"] * (axes - 1), str(dtype or np.dtype("f8"))])
        found = ak.to_packed(ak.enforce_type(found, kind_of_rows))
        layout, axes = _innermost(found.layout)
    if not layout.is_numpy or layout.inner_shape or axes == 1:
        raise Invalid(
            "a ragged array has rows of numbers alone; write_awkward writes what has fields, text or missing elements, "
            "and write_array what has no rows"
        )
    rows, kind = len(found), data_type_of(np.asarray(layout.data).dtype)
    inner = (None,) * (axes - 1)
    cut = (rows,) if most_bytes is None else _rows_cut(_elements(ak, found), most_bytes // kind.itemsize)
    named = None if dims is None else tuple(dims)
    structure = RaggedStructure(kind, (rows, *inner), len(layout), (cut, *inner), named)
    form, length, buffers = ak.to_buffers(found)
    # The protocol has the form as text of JSON within JSON.
    told = {"length": length.to_bytes(8, "big"), "form": orjson.dumps(orjson.dumps(form.to_dict()).decode())}
    return structure, _zipped({**buffers, **told})


def ragged_rows(array: Any, start: int, stop: int) -> Any:
    """Some of the rows, of anything that can be written as a ragged array."""
    return _awkward(registry.require("awkward", "write ragged arrays"), array)[start:stop]


def _innermost(layout: Any) -> tuple[Any, int]:
    """What is in the rows, and how many axes there are."""
    axes = 1
    while layout.is_list and layout.parameter("__array__") not in ("string", "bytestring"):
        layout, axes = layout.content, axes + 1
    return layout, axes


def _elements(ak: Any, array: Any) -> list[int]:
    """How many elements each row has, in whatever depth."""
    while array.ndim > 2:
        array = ak.flatten(array, axis=2)
    return ak.num(array).to_list()


def _rows_cut(elements: Sequence[int], most: int) -> tuple[int, ...]:
    """How many rows stand together, so that no more elements do than allowed; a longer row stands alone."""
    cuts, held = [0], 0
    for count in elements:
        if cuts[-1] and held + count > most:
            cuts.append(0)
            held = 0
        cuts[-1] += 1
        held += count
    return tuple(cuts)


def _awkward(ak: Any, array: Any) -> Any:
    # A ragged.array has an awkward one within.
    inner = getattr(array, "_impl", array) if type(array).__module__.split(".")[0] == "ragged" else array
    if isinstance(inner, ak.Array):
        return inner
    try:
        return ak.Array(inner)
    except (TypeError, ValueError) as error:
        raise Invalid(f"awkward can make no array of it: {error}") from error


def _zipped(buffers: Mapping[str, Any]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as made:
        for name, buffer in buffers.items():
            made.writestr(name, buffer if isinstance(buffer, bytes) else memory_of(buffer))
    return sink.getvalue()
