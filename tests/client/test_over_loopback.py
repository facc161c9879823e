"""What is made to be read later travels to other processes: read from our own service over loopback."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xarray as xr

from databroker_like.client import from_uri
from databroker_like.nodes import ArrayData, MapNode, TableData, dataset_node
from databroker_like.tree import build_app
from tests.support.loopback import listening

GRID = np.arange(400.0).reshape(20, 20)
DATASET = xr.Dataset({"det": ("time", [1.0, 2.0]), "image": (("time", "x"), np.ones((2, 3)))}, {"time": [0.5, 1.5]})


@pytest.fixture
def uri() -> Iterator[str]:
    nodes = {
        "grid": ArrayData(GRID, chunks=((5,) * 4, (20,))),
        "table": TableData(pa.table({"a": list(range(10)), "s": ["x"] * 10}), partition_rows=3),
        "dataset": dataset_node(DATASET),
    }
    with listening(build_app(MapNode(nodes), api_key="secret")) as url:
        yield url


def travelled(found: Any) -> Any:
    return pickle.loads(pickle.dumps(found))


def test_what_dask_will_read_travels(uri: str) -> None:
    client = from_uri(uri, "dask", api_key="secret")
    try:
        again = travelled(client)
        np.testing.assert_array_equal(travelled(client["grid"].read())[::-1, 3].compute(), GRID[::-1, 3])
        assert travelled(client["table"].read())["s"].compute().tolist() == ["x"] * 10
        xr.testing.assert_identical(travelled(client["dataset"].read()).compute(), DATASET)
        assert again["grid"].shape == GRID.shape
        # All of them came with the same connections.
        assert again.context is travelled(client["grid"]).context
    finally:
        client.context.close()
        again.context.close()


def test_clients_are_used_by_several_threads(uri: str) -> None:
    client = from_uri(uri, api_key="secret", max_connections=3)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(client["grid"].read())) for _ in range(8)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        client.context.close()
    assert len(found) == 8
    for array in found:
        np.testing.assert_array_equal(array, GRID)
