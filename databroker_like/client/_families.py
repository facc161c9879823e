"""Which class is for which structure family."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from databroker_like.client.array import ArrayClient, DaskArrayClient
from databroker_like.client.container import Container
from databroker_like.client.dataframe import DaskDataFrameClient, DataFrameClient

__all__ = ["dask_clients", "numpy_clients"]

_NUMPY: Mapping[str, Any] = MappingProxyType({"array": ArrayClient, "container": Container, "table": DataFrameClient})
_DASK: Mapping[str, Any] = MappingProxyType(
    {"array": DaskArrayClient, "container": Container, "table": DaskDataFrameClient}
)


def numpy_clients() -> Mapping[str, Any]:
    """Those that read data into memory."""
    return _NUMPY


def dask_clients() -> Mapping[str, Any]:
    """Those that read data when dask computes."""
    return _DASK
