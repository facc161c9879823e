"""Datasets, read from our own service in process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from databroker_like import errors
from databroker_like.client import xarray as datasets
from databroker_like.http import Session
from databroker_like.nodes import MapNode, dataset_node

NUMBERS = np.arange(24.0).reshape(3, 4, 2)
DATASET = xr.Dataset(
    {
        "det": ("time", [1.0, 2.0, 3.0], {"units": "V"}),
        "name": ("time", np.array(["a", "bb", "c"])),
        "on": ("time", [True, False, True]),
        "small": ("time", np.array([1, 2, 3], ">i2")),
        "image": (("time", "y", "x"), NUMBERS),
    },
    coords={"time": np.array(["2026-01-01", "2026-01-02", "2026-01-03"], "M8[ns]"), "scale": ("x", [0.5, 1.5])},
    attrs={"sample": "gold"},
)


@pytest.fixture
def opened(served: Callable[..., Any]) -> Callable[..., Any]:
    return lambda dataset, clients="numpy": served(MapNode({"d": dataset_node(dataset)}), "d", clients=clients)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the requests for data."""
    found: list[str] = []
    real = Session.receive

    def receive(self: Any, method: str, url: str, *rest: Any, **more: Any) -> Any:
        if "/search/" not in url and "/metadata/" not in url:
            found.append(f"{method} {url.partition('/api/v1/')[2].partition('?')[0]}")
        return real(self, method, url, *rest, **more)

    monkeypatch.setattr(Session, "receive", receive)
    return found


def test_it_is_the_dataset_that_is_served(opened: Any) -> None:
    xr.testing.assert_identical(opened(DATASET).read(), DATASET)
    found = opened(DATASET).read(["det", "time"])
    xr.testing.assert_identical(found, DATASET[["det"]].drop_vars("scale", errors="ignore"))


def test_variables_of_one_axis_come_in_one_request(opened: Any, asked: list[str]) -> None:
    client = opened(DATASET)
    found = client.read()
    assert found["small"].dtype == np.dtype(">i2")
    # scale is alone in its length.
    assert sorted(asked) == ["GET array/full/d/image", "GET array/full/d/scale", "GET container/full/d"]
    asked.clear()
    xr.testing.assert_identical(client.read(optimize_wide_table=False), DATASET)
    assert len(asked) == len(DATASET.variables)


def test_many_variables_are_sent_as_a_body(opened: Any, asked: list[str]) -> None:
    wide = xr.Dataset({f"a variable with a long name {n}": ("time", [n, 2.0]) for n in range(100)})
    xr.testing.assert_identical(opened(wide).read(), wide)
    assert asked == ["POST container/full/d"]


def test_tables_are_not_too_large(opened: Any, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_TABLE_BYTES", 48)
    wide = xr.Dataset({f"v{n}": ("time", [n, 2.0, 3.0]) for n in range(5)})
    xr.testing.assert_identical(opened(wide).read(), wide)
    assert sorted(asked) == ["GET array/full/d/v4", "GET container/full/d", "GET container/full/d"]


def test_a_server_without_tables_is_read_array_by_array(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any) -> None:
        raise errors.NoSuchFormat("no tables here")

    monkeypatch.setattr(datasets._DatasetClient, "_wide", refuses)
    xr.testing.assert_identical(opened(DATASET).read(), DATASET)
    xr.testing.assert_identical(opened(DATASET, "dask").read().compute(), DATASET)


def test_dask_reads_what_is_computed(opened: Any, asked: list[str]) -> None:
    lazy = opened(DATASET, "dask").read()
    assert asked == ["GET array/full/d/time"]
    assert lazy["det"].chunks == ((3,),)
    asked.clear()
    assert float(lazy["det"].sum().compute()) == 6.0
    assert asked == ["GET container/full/d"]
    asked.clear()
    xr.testing.assert_identical(lazy.compute(), DATASET)
    assert asked.count("GET container/full/d") == 1


def test_it_is_a_container_of_its_variables(opened: Any) -> None:
    client = opened(DATASET)
    assert set(client) == set(DATASET.variables)
    np.testing.assert_array_equal(client["image"][0], NUMBERS[0])
    assert client["det"].metadata["attrs"] == {"units": "V"}


@pytest.mark.parametrize("clients", ["numpy", "dask"])
def test_empty_datasets_are_read(opened: Any, clients: str) -> None:
    for dataset in (xr.Dataset(attrs={"a": 1}), xr.Dataset({"a": ("t", np.empty(0)), "b": ("t", np.empty(0))})):
        xr.testing.assert_identical(opened(dataset, clients).read().compute(), dataset)


def test_variables_that_are_not_there_are_told(opened: Any) -> None:
    with pytest.raises(KeyError, match="'dett'; it has 'det'"):
        opened(DATASET).read(["dett"])
