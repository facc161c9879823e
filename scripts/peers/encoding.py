"""Results written down as JSON so that the very same object can be made of them again: datasets, arrays, documents.

Floats are written so that they come back to the bit; what has a dtype keeps it. Nothing is pickled.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["decode", "encode"]


def encode(value: Any) -> Any:
    """What ``json.dumps`` takes, for a Dataset, an array, a document, an exception, or lists and mappings of those.

    Parameters
    ----------
    value : object

    Returns
    -------
    object
        Only dicts, lists, strings, numbers, truth values and None.

    Raises
    ------
    TypeError
        When there is something in it that could not be made again.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, BaseException):
        return {"__raises__": [c.__name__ for c in type(value).__mro__ if c is not object], "message": str(value)}
    if isinstance(value, np.generic | np.ndarray):
        return _encode_array(value)
    if type(value).__module__.startswith("dask.array"):
        return {"__dask__": _encode_array(np.asarray(value)), "dtype": value.dtype.str, "shape": list(value.shape)}
    if type(value).__name__ == "Dataset":
        return {
            "__dataset__": [[name, encode(value[name])] for name in value.data_vars],
            "coords": [[name, encode(value[name])] for name in value.coords],
            "attrs": encode(dict(value.attrs)),
        }
    if type(value).__name__ == "DataArray":
        return {"dims": list(value.dims), "attrs": encode(dict(value.attrs)), "values": _encode_array(value.values)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    raise TypeError(f"{type(value).__module__}.{type(value).__name__} cannot be written down exactly")


def _encode_array(value: Any) -> dict[str, Any]:
    array = np.asarray(value)
    kind = "__array__" if isinstance(value, np.ndarray) else "__scalar__"
    if array.dtype.hasobject:
        return {kind: "object", "shape": list(array.shape), "items": [encode(item) for item in array.ravel()]}
    if array.dtype.kind in "US":
        return {kind: array.dtype.str, "shape": list(array.shape), "items": array.ravel().tolist()}
    if array.size > 64:
        raw = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
        return {kind: array.dtype.str, "shape": list(array.shape), "base64": raw}
    return {kind: array.dtype.str, "shape": list(array.shape), "items": array.ravel().tolist()}


def decode(value: Any) -> Any:
    """The object that `encode` wrote down; an exception stays the mapping it became.

    Parameters
    ----------
    value : object
        As ``json.loads`` gives it.

    Returns
    -------
    object
    """
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "__array__" in value:
        return _decode_array(value, "__array__")
    if "__scalar__" in value:
        return _decode_array(value, "__scalar__")[()]
    if "__dask__" in value:
        return decode(value["__dask__"])
    if "__dataset__" in value:
        import xarray

        def variables(pairs: list[list[Any]]) -> dict[str, Any]:
            return {name: (v["dims"], decode(v["values"]), decode(v["attrs"])) for name, v in pairs}

        return xarray.Dataset(variables(value["__dataset__"]), variables(value["coords"]), attrs=decode(value["attrs"]))
    return {key: decode(item) for key, item in value.items()}


def _decode_array(value: dict[str, Any], kind: str) -> Any:
    shape = tuple(value["shape"])
    if value[kind] == "object":
        array = np.empty(shape, dtype=object)
        array.ravel()[:] = [decode(item) for item in value["items"]]
        return array
    if "base64" in value:
        return np.frombuffer(base64.b64decode(value["base64"]), dtype=value[kind]).reshape(shape).copy()
    return np.array(value["items"], dtype=value[kind]).reshape(shape)
