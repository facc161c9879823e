"""What a descriptor declares of the values of a data key, with what is known to be misreported mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["declared_dtype", "extract_dtype", "extract_shape", "fits", "is_number"]

Doc = Mapping[str, Any]


def extract_shape(descriptor: Doc, key: str, resource: Doc | None = None) -> list[int]:
    """The shape that a descriptor says one event's value has, with what is known to be misreported mended.

    Parameters
    ----------
    descriptor : mapping
    key : str
        The data key.
    resource : mapping, optional
        The resource the value lies in; its ``frame_per_point`` is the number of images.

    Returns
    -------
    list of int
        With -1 where the number of images is recorded nowhere.

    Examples
    --------
    >>> extract_shape({"data_keys": {"img": {"shape": [5, 7, 0]}}, "object_keys": {}}, "img",
    ...               {"resource_kwargs": {"frame_per_point": 3}})
    [3, 7, 5]
    """
    shape = [-1 if n is None else int(n) for n in descriptor["data_keys"][key].get("shape", [])]
    images = _number_of_images(descriptor, key, resource) if resource is not None else -1
    if len(shape) == 3 and shape[-1] == 0:
        # ophyd long reported (x, y, 0) for what is (num_images, y, x).
        x, y, _ = shape
        return [images, y, x]
    return [images if n == -1 else n for n in shape]


def _number_of_images(descriptor: Doc, key: str, resource: Doc) -> int:
    frames = resource.get("resource_kwargs", {}).get("frame_per_point")
    if frames is not None:
        return int(frames)
    for device, keys in descriptor.get("object_keys", {}).items():
        if key not in keys:
            continue
        data = descriptor.get("configuration", {}).get(device, {}).get("data", {})
        for name, value in data.items():
            if name.endswith("num_images"):
                return int(value)
    return -1


def is_number(declared: Sequence[int | None], dtype: Any) -> bool:
    """Whether a data key stands for one number, or text, to an event: one declared as a row of one is none.

    ophyd-async declares the shape (1,) for a number that is taken once for each event.

    Parameters
    ----------
    declared : sequence of int or None
        The shape.
    dtype : str or None
        The ``dtype`` of the data key.

    Examples
    --------
    >>> is_number([1], "number"), is_number([1], "array"), is_number([], "number")
    (True, False, True)
    """
    return not declared or (tuple(declared) == (1,) and dtype != "array")


def fits(declared: Sequence[int | None], found: Sequence[int], dtype: Any = "array") -> bool:
    """Whether data has the shape that was declared for it; a length that is None, or not positive, is left open.

    Parameters
    ----------
    declared : sequence of int or None
    found : sequence of int
        The shape that one event's data has.
    dtype : str or None
        The ``dtype`` of the data key.

    Examples
    --------
    >>> fits([None, 4], (3, 4)), fits([1], (), "number"), fits([3], ())
    (True, True, False)
    """
    if not found and is_number(declared, dtype):
        return True
    return len(declared) == len(found) and all(
        n is None or int(n) <= 0 or int(n) == m for n, m in zip(declared, found, strict=True)
    )


def extract_dtype(descriptor: Doc, key: str) -> Any:
    """The numpy dtype that a descriptor says the values of a data key have.

    Parameters
    ----------
    descriptor : mapping
    key : str

    Returns
    -------
    numpy.dtype
        From ``dtype_numpy`` where it is given, else from ``dtype``; float64 for an array of unsaid elements.

    Examples
    --------
    >>> extract_dtype({"data_keys": {"n": {"dtype": "integer"}}}, "n")
    dtype('int64')
    """
    return declared_dtype(descriptor["data_keys"][key])


def declared_dtype(data_key: Doc) -> Any:
    """The numpy dtype of a data key as its description says; float64 for an array of unsaid elements."""
    import numpy as np

    for name in ("dtype_numpy", "dtype_descr", "dtype_str"):
        said = data_key.get(name)
        if isinstance(said, str | list | tuple):
            try:
                return np.dtype(said if isinstance(said, str) else [tuple(part) for part in said])
            except TypeError:
                continue
    kinds = {"number": "float64", "integer": "int64", "boolean": "bool", "string": "U1"}
    return np.dtype(kinds.get(data_key.get("dtype", "array"), "float64"))
