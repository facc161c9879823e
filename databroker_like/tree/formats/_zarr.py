"""How zarr describes arrays and groups, in both of its formats, and the chunks of an array as it has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid
from databroker_like.structures import ArrayStructure, regular_chunks

if TYPE_CHECKING:
    import numpy as np

__all__ = ["array_v2", "array_v3", "boxed", "chunk_shape", "group_v3", "padded", "type_in_v3"]

#: A chunk has no more bytes, where the blocks of a node would.
_MOST_BYTES = 64 << 20
_NAMES = {"b": "bool", "i": "int", "u": "uint", "f": "float", "c": "complex"}


def chunk_shape(structure: ArrayStructure) -> tuple[int, ...]:
    """The lengths of the chunks, which zarr has all alike, those at the end filled up.

    Parameters
    ----------
    structure : ArrayStructure

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> import numpy
    >>> chunk_shape(ArrayStructure.from_array(numpy.zeros((7, 0)), chunks=((3, 3, 1), (0,))))
    (3, 1)
    """
    longest = tuple(max((1, *cuts)) for cuts in structure.chunks)
    nbytes = structure.data_type.itemsize
    for length in longest:
        nbytes *= length
    if nbytes <= _MOST_BYTES:
        return longest
    return tuple(max((1, *cuts)) for cuts in regular_chunks(structure.shape, structure.data_type.itemsize))


def boxed(structure: ArrayStructure, chunk: Sequence[int]) -> tuple[slice, ...] | None:
    """Where a chunk lies in the array, without what is filled up.

    Parameters
    ----------
    structure : ArrayStructure
    chunk : sequence of int
        Its number along each axis.

    Returns
    -------
    tuple of slice, or None
        None when there is no such chunk.
    """
    lengths = chunk_shape(structure)
    if len(chunk) != len(lengths):
        return None
    box = []
    for number, length, whole in zip(chunk, lengths, structure.shape, strict=True):
        if not 0 <= number * length < whole:
            return None
        box.append(slice(number * length, min(whole, (number + 1) * length)))
    return tuple(box)


def padded(part: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
    """A part of an array, filled up to the lengths of a chunk.

    Parameters
    ----------
    part : numpy.ndarray
    lengths : sequence of int

    Returns
    -------
    numpy.ndarray
        The part itself, where it is as long.

    Examples
    --------
    >>> import numpy
    >>> padded(numpy.array([1, 2]), [3])
    array([1, 2, 0])
    """
    import numpy as np

    if part.shape == tuple(lengths):
        return part
    whole = np.zeros(tuple(lengths), part.dtype)
    whole[tuple(slice(0, length) for length in part.shape)] = part
    return whole


def _refuse(dtype: np.dtype, inside: bool = False) -> None:
    """Refuse the types that zarr has no word for."""
    if dtype.names:
        for name in dtype.names:
            if dtype[name].shape:
                raise Invalid(
                    f"zarr has no word for the field {name!r:.100}, which holds an array: read it over the API"
                )
            _refuse(dtype[name], True)
    elif (dtype.kind in "fc" and dtype.itemsize > (8 if dtype.kind == "f" else 16)) or (inside and not dtype.itemsize):
        raise Invalid(f"zarr has no word for elements of type {dtype}: read it over the API")


def array_v2(structure: ArrayStructure) -> dict[str, Any]:
    """An array as ``.zarray`` says it.

    Parameters
    ----------
    structure : ArrayStructure

    Returns
    -------
    dict

    Raises
    ------
    Invalid
        When zarr has no such type of elements.
    """
    dtype = structure.data_type.to_numpy_dtype()
    _refuse(dtype)
    return {
        "zarr_format": 2,
        "shape": list(structure.shape),
        "chunks": list(chunk_shape(structure)),
        "dtype": _typestr(dtype),
        "compressor": None,
        # Nothing stands for what is not there: all is there.
        "fill_value": None,
        "filters": None,
        "order": "C",
        "dimension_separator": ".",
    }


def _typestr(dtype: np.dtype) -> Any:
    return [[name, _typestr(dtype[name])] for name in dtype.names] if dtype.names else dtype.str


def type_in_v3(dtype: np.dtype) -> tuple[Any, Any, np.dtype]:
    """A type of elements in the words of the third format.

    Parameters
    ----------
    dtype : numpy.dtype

    Returns
    -------
    data_type : str or dict
    fill_value : object
        An element of zeros.
    stored : numpy.dtype
        What elements are sent as: records have their numbers in one order of bytes.

    Raises
    ------
    Invalid
        When zarr has no such type.

    Examples
    --------
    >>> import numpy
    >>> type_in_v3(numpy.dtype(">i2"))
    ('int16', 0, dtype('>i2'))
    """
    import base64

    import numpy as np

    _refuse(dtype)
    if dtype.names:
        stored = dtype.newbyteorder("<")
        fields = [[name, type_in_v3(dtype[name])[0]] for name in dtype.names]
        zeros = base64.b64encode(bytes(dtype.itemsize)).decode()
        return {"name": "structured", "configuration": {"fields": fields}}, zeros, stored
    size = {"configuration": {"length_bytes": dtype.itemsize}}
    if dtype.kind == "U":
        return {"name": "fixed_length_utf32", **size}, "", dtype
    if dtype.kind == "S":
        return {"name": "null_terminated_bytes", **size}, "", dtype
    if dtype.kind == "V":
        return {"name": "raw_bytes", **size}, base64.b64encode(bytes(dtype.itemsize)).decode(), dtype
    if dtype.kind in "mM":
        unit, count = np.datetime_data(dtype)
        name = "numpy.datetime64" if dtype.kind == "M" else "numpy.timedelta64"
        return {"name": name, "configuration": {"unit": unit, "scale_factor": count}}, 0, dtype
    if dtype.kind == "b":
        return "bool", False, dtype
    zero: Any = {"c": [0.0, 0.0], "f": 0.0}.get(dtype.kind, 0)
    return f"{_NAMES[dtype.kind]}{dtype.itemsize * 8}", zero, dtype


def array_v3(structure: ArrayStructure, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """An array as ``zarr.json`` says it.

    Parameters
    ----------
    structure : ArrayStructure
    attributes : mapping

    Returns
    -------
    dict

    Raises
    ------
    Invalid
        When zarr has no such type of elements.
    """
    data_type, fill_value, stored = type_in_v3(structure.data_type.to_numpy_dtype())
    codec: dict[str, Any] = {"name": "bytes"}
    if stored.names:
        codec["configuration"] = {"endian": "little"}
    elif stored.kind not in "SV" and stored.itemsize > 1:
        codec["configuration"] = {"endian": "big" if stored.str.startswith(">") else "little"}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(structure.shape),
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk_shape(structure))}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill_value,
        "codecs": [codec],
        "attributes": dict(attributes),
        **({} if structure.dims is None else {"dimension_names": list(structure.dims)}),
        "storage_transformers": [],
    }


def group_v3(attributes: Mapping[str, Any], inside: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A group as ``zarr.json`` says it.

    Parameters
    ----------
    attributes : mapping
    inside : mapping, optional
        Path -> what ``zarr.json`` says of all that is in it.

    Returns
    -------
    dict
    """
    said: dict[str, Any] = {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}
    if inside is not None:
        said["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": dict(inside)}
    return said
