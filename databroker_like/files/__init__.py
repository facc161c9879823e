"""Reading file formats lazily: one file per format, each giving a `LazyArray`.

The names a handler is written with are here, each loaded from its own file on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from databroker_like.files._lazy import ArrayInfo as ArrayInfo
    from databroker_like.files._lazy import Concatenated as Concatenated
    from databroker_like.files._lazy import Grouped as Grouped
    from databroker_like.files._lazy import LazyArray as LazyArray
    from databroker_like.files._lazy import MemoryArray as MemoryArray
    from databroker_like.files._lazy import Sliced as Sliced
    from databroker_like.files._lazy import Stacked as Stacked
    from databroker_like.files._lazy import View as View
    from databroker_like.files._lazy import Window as Window
    from databroker_like.files._lazy import concatenate as concatenate
    from databroker_like.files._lazy import stack as stack
    from databroker_like.files._lazy import to_dask as to_dask
    from databroker_like.files._lazy import view as view
    from databroker_like.files._select import slices as slices
    from databroker_like.files._translate import reading as reading
    from databroker_like.files.csv import CSVArray as CSVArray
    from databroker_like.files.hdf5 import HDF5Array as HDF5Array
    from databroker_like.files.jpeg import JPEGArray as JPEGArray
    from databroker_like.files.npy import NPYArray as NPYArray
    from databroker_like.files.tiff import TIFFArray as TIFFArray
    from databroker_like.files.zarr import ZarrArray as ZarrArray

#: Name -> the file it lives in.
_HOMES = {
    **dict.fromkeys(
        (
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
        ),
        "_lazy",
    ),
    "CSVArray": "csv",
    "HDF5Array": "hdf5",
    "JPEGArray": "jpeg",
    "NPYArray": "npy",
    "TIFFArray": "tiff",
    "ZarrArray": "zarr",
    "reading": "_translate",
    "slices": "_select",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
