"""Which class is for which structure family, and for which of the specs that the protocol has."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from databroker_like.client.array import ArrayClient, DaskArrayClient
from databroker_like.client.awkward import AwkwardClient
from databroker_like.client.composite import CompositeClient
from databroker_like.client.container import Container
from databroker_like.client.dataframe import DaskDataFrameClient, DataFrameClient
from databroker_like.client.ragged import RaggedClient
from databroker_like.client.sparse import SparseClient
from databroker_like.client.xarray import DaskDatasetClient, DatasetClient

__all__ = ["dask_clients", "numpy_clients"]

_BOTH: Mapping[str, Any] = {
    "awkward": AwkwardClient,
    "composite": CompositeClient,
    "container": Container,
    "ragged": RaggedClient,
    "sparse": SparseClient,
}
_NUMPY: Mapping[str, Any] = MappingProxyType(
    {**_BOTH, "array": ArrayClient, "table": DataFrameClient, "xarray_dataset": DatasetClient}
)
_DASK: Mapping[str, Any] = MappingProxyType(
    {**_BOTH, "array": DaskArrayClient, "table": DaskDataFrameClient, "xarray_dataset": DaskDatasetClient}
)


def numpy_clients() -> Mapping[str, Any]:
    """Those that read data into memory."""
    return _NUMPY


def dask_clients() -> Mapping[str, Any]:
    """Those that read data when dask computes."""
    return _DASK
