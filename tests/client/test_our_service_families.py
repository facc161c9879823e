"""Nodes of every structure family, read by our client from our service in the same process."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import awkward
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from databroker_like.client import Context, from_context
from databroker_like.nodes import ArrayData, AwkwardData, MapNode, RaggedData, SparseData, TableData, dataset_node
from databroker_like.tree import build_app

ARRAYS: dict[str, Any] = {
    "grid": np.arange(35.0).reshape(7, 5),
    "big": np.arange(6, dtype=">i4").reshape(3, 2),
    "text": np.array(["a", "längst"]),
    "time": np.array(["2026-01-01", "NaT"], dtype="M8[ns]"),
    "records": np.array([(1, 0.5, "a"), (2, 1.5, "bc")], dtype=[("n", "<i4"), ("x", "<f8"), ("s", "<U2")]),
    "vectors": np.array([(1, (1, 2))], dtype=[("n", "<i4"), ("v", "<f4", (2,))]),
    "scalar": np.array(5, dtype="<i4"),
    "empty": np.empty((0, 3)),
}
DENSE = np.where(np.arange(12).reshape(4, 3) % 2 == 0, np.arange(12).reshape(4, 3) + 0.5, 0)
ROWS = [[1.5, 2.5, 3.5], [4.5], [5.5, 6.5]]
ITEMS = [{"x": [1, 2], "y": 1.5, "s": "ab", "o": None}, {"x": [], "y": 2.5, "s": "längst", "o": 3}]
DATASET = xr.Dataset(
    {"img": (("t", "x"), np.arange(6).reshape(3, 2), {"units": "counts"}), "a": ("t", [1.5, np.nan, 3.5])},
    coords={"t": ("t", pd.date_range("2026-01-01", periods=3)), "w": ("t", ["p", "q", "r"]), "x": [10, 20]},
    attrs={"scan": 5},
)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A client of a tree with all of them."""
    form, length, buffers = awkward.to_buffers(awkward.Array(ITEMS))
    places = np.array(DENSE.nonzero())
    tree = MapNode(
        {
            "arrays": MapNode({name: ArrayData(array) for name, array in ARRAYS.items()}, metadata={"title": "arrays"}),
            "sparse": SparseData(places, DENSE[tuple(places)], DENSE.shape, chunks=((2, 2), (3,))),
            "ragged": RaggedData(ROWS),
            "awkward": AwkwardData(form.to_dict(), length, buffers),
            "table": TableData(pd.DataFrame({"n": [1, 2], "s": ["a", "b,c"]})),
            "picture": ArrayData(np.arange(6).reshape(2, 3)),
            "dataset": dataset_node(DATASET),
        }
    )
    with Context.from_app(build_app(tree, public=True)) as context:
        yield from_context(context)


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_is_the_same_to_the_byte(client: Any, name: str) -> None:
    found, array = client["arrays"][name].read(), ARRAYS[name]
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_a_sparse_array_is_the_same(client: Any) -> None:
    assert client["sparse"].read().todense().tolist() == DENSE.tolist()
    assert client["sparse"][1:3, 2].todense().tolist() == DENSE[1:3, 2].tolist()
    assert client["sparse"].read_block((1, 0)).todense().tolist() == DENSE[2:].tolist()


def test_ragged_and_awkward_arrays_are_the_same(client: Any) -> None:
    assert client["ragged"].read().tolist() == ROWS
    assert client["ragged"][0, 1] == 2.5
    assert client["awkward"].read().to_list() == ITEMS
    assert client["awkward"]["x"].to_list() == [item["x"] for item in ITEMS]


def test_a_dataset_is_identical(client: Any) -> None:
    xr.testing.assert_identical(client["dataset"].read(), DATASET)


@pytest.mark.parametrize("name", ["sparse", "ragged", "awkward", "table", "dataset", "picture", "arrays"])
def test_every_format_that_is_offered_is_exported(client: Any, name: str) -> None:
    node = client[name]
    for form in node.formats:
        written = io.BytesIO()
        node.export(written, format=form)
        assert written.getvalue(), form
