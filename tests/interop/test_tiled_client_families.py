"""The real tiled client reads nodes of every structure family from our service, and exports them in every format."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import awkward
import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from databroker_like.nodes import ArrayData, AwkwardData, MapNode, RaggedData, SparseData, TableData, dataset_node
from tests.interop.test_tiled_client import ROOT, peer, served

__all__ = ["peer"]

ARRAYS: dict[str, Any] = {
    "grid": np.arange(35.0).reshape(7, 5),
    "big": np.arange(6, dtype=">i4").reshape(3, 2),
    "bool": np.array([True, False]),
    "half": np.arange(3, dtype="<f2"),
    "complex": np.array([1 + 2j, 0]),
    "text": np.array(["a", "längst"]),
    "bytes": np.array([b"a", b"bc"]),
    "time": np.array(["2026-01-01", "NaT"], dtype="M8[ns]"),
    "records": np.array([(1, 0.5, "a"), (2, 1.5, "bc")], dtype=[("n", "<i4"), ("x", "<f8"), ("s", "<U2")]),
    "vectors": np.array([(1, (1, 2))], dtype=[("n", "<i4"), ("v", "<f4", (2,))]),
    "scalar": np.array(5, dtype="<i4"),
    "empty": np.empty((0, 3)),
}
DENSE = np.where(np.arange(12).reshape(4, 3) % 2 == 0, np.arange(12).reshape(4, 3) + 0.5, 0)
ROWS = [[1.5, 2.5, 3.5], [4.5], [5.5, 6.5]]
DEEP = [[[1, 2], [3]], [[4]]]
INNER = [np.arange(6).reshape(3, 2), np.arange(2).reshape(1, 2)]
ITEMS = [{"x": [1, 2], "y": 1.5, "s": "ab", "o": None}, {"x": [], "y": 2.5, "s": "längst", "o": 3}]
TABLE = pd.DataFrame({"n": [1, 2], "s": ["a", "b,c"], "x": [0.5, np.nan]})
DATASETS = {
    "dataset": xr.Dataset(
        {"img": (("t", "x"), np.arange(6).reshape(3, 2), {"units": "counts"}), "a": ("t", [1.5, np.nan, 3.5])},
        coords={"t": ("t", pd.date_range("2026-01-01", periods=3)), "w": ("t", ["p", "q", "r"]), "x": [10, 20]},
        attrs={"scan": 5},
    ),
    "wide": xr.Dataset(
        {f"v{n}": ("t", np.arange(3) * n * 0.5) for n in range(5)} | {"flag": ("t", [True, False, True])},
        coords={"t": ("t", pd.date_range("2026-01-01", periods=3)), "w": ("t", ["p", "q", "r"])},
    ),
    # Too many for a URL, so that they are asked for in a body.
    "long names": xr.Dataset({f"{'v' * 90}{n}": ("t", np.arange(3) + n) for n in range(30)}, coords={"t": [1, 2, 3]}),
}


def tree() -> MapNode:
    form, length, buffers = awkward.to_buffers(awkward.Array(ITEMS))
    places = np.array(DENSE.nonzero())
    return MapNode(
        {
            "arrays": MapNode({name: ArrayData(array) for name, array in ARRAYS.items()}, metadata={"title": "arrays"}),
            "sparse": SparseData(places, DENSE[tuple(places)], DENSE.shape, chunks=((2, 2), (3,))),
            "ragged": RaggedData(ROWS),
            "deep": RaggedData(DEEP),
            "inner": RaggedData(INNER),
            "awkward": AwkwardData(form.to_dict(), length, buffers),
            "table": TableData(TABLE),
            "picture": ArrayData(np.arange(6).reshape(2, 3)),
            **{name: dataset_node(dataset) for name, dataset in DATASETS.items()},
        }
    )


@pytest.fixture(scope="module")
def read(peer: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the client reads of the tree."""
    home = tmp_path_factory.mktemp("home")
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "PYTHON", "VIRTUAL", "TILED"))
    }
    with served(tree()) as url:
        done = subprocess.run(
            [peer, str(Path(ROOT) / "scripts" / "peers" / "ask_families.py"), url, "secret"],
            env={**kept, "HOME": str(home), "TILED_RETRY_ATTEMPTS": "1"},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=500,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


pytestmark = pytest.mark.peer


@pytest.mark.parametrize("name", ARRAYS)
def test_the_client_reads_arrays_of_every_type(read: dict[str, Any], name: str) -> None:
    found, array = read["arrays"][name], ARRAYS[name]
    assert found["dtype"] == repr(array.dtype.descr if array.dtype.names else array.dtype.str)
    assert found["shape"] == list(array.shape)
    assert base64.b64decode(found["bytes"]) == base64.b64decode(found["block"]) == array.tobytes()
    assert base64.b64decode(found["last"]) == (array[-1:] if array.ndim else array).tobytes()


def test_the_client_reads_a_sparse_array(read: dict[str, Any]) -> None:
    found = read["sparse"]
    coordinates, data = found.pop("block")
    block = np.zeros((2, 3))
    block[tuple(coordinates)] = data
    assert block.tolist() == DENSE[2:].tolist()
    # The client takes the part for one as wide as the array where it counts the rest itself.
    assert found == {
        "whole": DENSE.tolist(),
        "slice": DENSE[1:3].tolist(),
        "row": DENSE[2].tolist(),
        "part": DENSE[1:3, 2].tolist(),
    }


def test_the_client_reads_ragged_arrays(read: dict[str, Any]) -> None:
    assert read["ragged"] == {
        "shape": [[3, None], [2, None, None], [2, None, 2]],
        "whole": [ROWS, DEEP, [row.tolist() for row in INNER]],
        "row": ROWS[2],
        "rows": ROWS[:2],
        "heads": [row[:1] for row in ROWS],
        "element": 2.5,
        "deep": DEEP[0],
        "type": ["float64", "int64", "int64"],
    }


def test_the_client_reads_an_awkward_array(read: dict[str, Any]) -> None:
    assert read["awkward"] == {
        "whole": ITEMS,
        "field": [item["x"] for item in ITEMS],
        "item": ITEMS[1],
        "slice": ITEMS[:1],
        "shown": "<AwkwardClient",
    }


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("name", DATASETS)
def test_the_client_reads_a_dataset_that_is_equal(read: dict[str, Any], name: str, together: bool) -> None:
    found, dataset = read["datasets"][f"{name} {together}"], DATASETS[name]
    assert (found["attrs"], found["coords"]) == (dataset.attrs, sorted(dataset.coords))
    assert set(found["variables"]) == set(dataset.variables)
    for key, variable in dataset.variables.items():
        one = found["variables"][key]
        assert (one["dims"], one["attrs"]) == (list(variable.dims), variable.attrs)
        assert one["values"] == variable.values.astype(str).tolist()
        # In a table the client has texts as objects of Python.
        assert one["kind"] == variable.dtype.kind or {one["kind"], variable.dtype.kind} == {"O", "U"}
    assert read["datasets"]["some"] == ["a"]


def test_the_client_exports_every_family_in_every_format(read: dict[str, Any]) -> None:
    found = read["exports"]
    for name in ("sparse", "ragged", "awkward", "dataset", "table", "picture", "container"):
        assert found[name]
        assert all(found[name].values()), found[name]
    assert {"image/png", "image/tiff", "text/html"} <= set(found["picture"])
    assert {"application/x-hdf5", "application/json"} <= set(found["container"])
    for file in ("table.csv", "table.parquet", "table.xlsx", "table.html", "table.h5", "table.json"):
        assert found[file] > 10
    assert base64.b64decode(found["csv"]).decode() == 'n,s,x\n1,a,0.5\n2,"b,c",\n'
    assert json.loads(base64.b64decode(found["part"])) == [1, 4]
    file = h5py.File(io.BytesIO(base64.b64decode(found["h5"])))
    assert file.attrs["title"] == "arrays"
    np.testing.assert_array_equal(file["grid"][...], ARRAYS["grid"])


def test_the_client_copies_nodes_to_a_server_of_its_own(read: dict[str, Any]) -> None:
    assert read["copied"] == {
        "keys": ["awkward", "dataset", "picture", "ragged", "sparse", "table"],
        "sparse": DENSE.tolist(),
        "ragged": ROWS,
        "awkward": ITEMS,
        "table": TABLE["s"].tolist(),
        "dataset": DATASETS["dataset"]["img"].values.tolist(),
        "picture": [[0, 1, 2], [3, 4, 5]],
    }
