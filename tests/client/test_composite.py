"""Containers whose tables and arrays are one dataset, read from our own service in process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xarray as xr

from databroker_like import errors
from databroker_like.client.container import Container
from databroker_like.nodes import ArrayData, MapNode, RaggedData, SparseData, TableData
from databroker_like.structures import Spec

IMAGE = np.arange(12.0).reshape(3, 4)
TABLE = pa.table({"time": [1.0, 2.0, 3.0], "det": [5, 6, 7], "pair": [[1, 2], [3, 4], [5, 6]]})
PARTS = {"table": TableData(TABLE, partition_rows=2), "image": ArrayData(IMAGE, dims=["time", "x"])}


@pytest.fixture
def opened(served: Callable[..., Any]) -> Callable[..., Any]:
    def open_(clients: Any = "numpy", **more: Any) -> Any:
        both = MapNode({**PARTS, **more}, specs=[Spec("composite")])
        return served(MapNode({"both": both}), "both", clients=clients)

    return open_


def test_columns_stand_beside_arrays(opened: Any) -> None:
    client = opened()
    assert list(client) == client.keys()[:] == ["time", "det", "pair", "image"]
    assert (len(client), client.keys()[-1], client.keys()[1:3]) == (4, "image", ["det", "pair"])
    assert "det" in client
    assert client["det"].read().tolist() == [5, 6, 7]
    assert [key for key, _ in client.items()] == list(client)
    assert client.values()[-1].shape == (3, 4)
    np.testing.assert_array_equal(client["image"].read(), IMAGE)
    assert type(client.base) is Container
    assert list(client.base) == ["table", "image"]


def test_they_are_read_as_one_dataset(opened: Any) -> None:
    found = opened().read()
    expected = xr.Dataset(
        {
            "time": ("dim0", [1.0, 2.0, 3.0]),
            "det": ("dim0", [5, 6, 7]),
            "pair": (("dim0", "pair_dim1"), [[1, 2], [3, 4], [5, 6]]),
            "image": (("time", "x"), IMAGE),
        }
    )
    xr.testing.assert_identical(found, expected)
    assert opened().read(dim0="time")["det"].dims == ("time",)
    assert list(opened().read(["image", "det"])) == ["image", "det"]


def test_dask_reads_what_is_computed(opened: Any) -> None:
    names = ["time", "det", "image"]
    lazy = opened("dask").read(names)
    assert all(lazy[name].chunks for name in names)
    xr.testing.assert_identical(lazy.compute(), opened().read(names))


def test_axes_of_different_lengths_have_names_of_their_own(opened: Any) -> None:
    five = ArrayData(np.zeros(5))
    found = opened(five=five).read(["det", "five"])
    assert dict(found.sizes) == {"det_dim0": 3, "five_dim0": 5}
    with pytest.raises(errors.Invalid, match=r"\[3, 5\]"):
        opened(five=five).read(dim0="t")
    with pytest.raises(errors.Invalid, match="no dataset"):
        opened(five=ArrayData(np.zeros(5), dims=["time"])).read(["image", "five"])


def test_ragged_and_sparse_arrays_become_dense(opened: Any) -> None:
    client = opened(rows=RaggedData([[1.0, 2.0], [3.0], []]), few=SparseData([[1]], [7], (3,)))
    found = client.read(["rows", "few"])
    np.testing.assert_array_equal(found["rows"], [[1.0, 2.0], [3.0, np.nan], [np.nan, np.nan]])
    assert found["few"].values.tolist() == [0, 7, 0]


def test_what_is_in_it_may_be_another_container(opened: Any) -> None:
    client = opened(inner=MapNode({"deep": ArrayData(IMAGE)}))
    assert client["inner", "deep"].shape == client["inner/deep"].shape == (3, 4)
    assert "inner" not in client.read()
    with pytest.raises(TypeError, match="'inner'"):
        client.read(["inner"])


def test_what_is_not_there_is_told(opened: Any) -> None:
    client = opened()
    with pytest.raises(KeyError, match=r"\.base\['table'\]"):
        client["table"]
    with pytest.raises(KeyError, match="'det'"):
        client["dett"]
    with pytest.raises(errors.NoSuchColumn, match="'det'"):
        client.read("dett")
    with pytest.raises(TypeError):
        client[3]


def test_what_comes_later_is_found(opened: Any) -> None:
    client = opened()
    assert "late" not in client
    client._known = (client._known[0] + 100, {"image": client._known[1]["image"]})
    assert client["det"].shape == (3,)
