"""Lazy arrays: the base, the wrappers of the same shape, and the way to dask, under one name."""

from databroker_like.files._array import ArrayInfo, LazyArray, file_stamp, named
from databroker_like.files._dask import to_dask
from databroker_like.files._memory import MemoryArray
from databroker_like.files._stacks import Concatenated, Stacked, concatenate, stack
from databroker_like.files._views import Grouped, Sliced, View, Window, view

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
    "file_stamp",
    "named",
    "stack",
    "to_dask",
    "view",
]
