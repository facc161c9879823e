"""The handler classes of ``databroker.assets.handlers``, under the paths that catalogs and configurations name.

They live in distributions of their own: ``databroker-like-handlers`` has the common ones, each looked up here when it
is asked for; ``area-detector-handlers`` has the others.
"""

from __future__ import annotations

from typing import Any

from databroker_like.assets.handlers_base import HandlerBase
from databroker_like.errors import MissingExtra
from databroker_like.registry import import_path

#: Name -> the module of ``databroker_like_handlers`` that has it.
_HOMES = {
    "AreaDetectorHDF5Handler": "hdf5",
    "AreaDetectorHDF5SWMRHandler": "hdf5",
    "AreaDetectorHDF5SWMRTimestampHandler": "hdf5",
    "AreaDetectorHDF5SingleHandler": "hdf5",
    "AreaDetectorHDF5TimestampHandler": "hdf5",
    "AreaDetectorSPEHandler": "spe",
    "AreaDetectorTiffHandler": "tiff",
    "HDF5DatasetSliceHandler": "hdf5",
}

__all__ = ["HandlerBase"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}; area-detector-handlers (pip install "
            "area-detector-handlers) may have it, in area_detector_handlers.handlers"
        )
    try:
        return import_path(f"databroker_like_handlers.{home}:{name}")
    except MissingExtra as error:
        raise MissingExtra(f"{name} is in a package of its own: pip install databroker-like-handlers") from error


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
