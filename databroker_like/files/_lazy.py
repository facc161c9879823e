"""Lazy arrays: the base, the wrappers of the same shape, and the way to dask, under one name."""

from databroker_like.files._array import ArrayInfo, LazyArray
from databroker_like.files._dask import to_dask
from databroker_like.files._wrappers import (
    Concatenated,
    Grouped,
    MemoryArray,
    Sliced,
    Stacked,
    View,
    Window,
    concatenate,
    stack,
    view,
)

__all__ = [
    "ArrayInfo",
    "Concatenated",
    "Grouped",
    "LazyArray",
    "MemoryArray",
    "Sliced",
    "Stacked",
    "View",
    "Window",
    "concatenate",
    "stack",
    "to_dask",
    "view",
]
