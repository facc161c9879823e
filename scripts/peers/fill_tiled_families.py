"""Runs in the environment of tiled 0.2.20: fills a server with data of every structure family; arguments: the address
and the key."""

import sys

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow as pa
import sparse
import xarray as xr
from tiled.client import from_uri
from tiled.client.xarray import write_xarray_dataset

root = from_uri(sys.argv[1], api_key=sys.argv[2])
kinds = root.create_container("kinds", metadata={"title": "every family"})

kinds.write_awkward(ak.Array([{"x": [1, 2], "y": 1.5}, {"x": [], "y": 2.5}, {"x": [3], "y": 3.5}]), key="awkward")

places = np.array([[0, 1, 4, 5], [1, 0, 3, 2]])
kinds.write_sparse(places, np.array([1.5, 2.5, 3.5, 4.5]), (6, 4), key="sparse", dims=["y", "x"])
blocks = sparse.COO(places, np.array([1.5, 2.5, 3.5, 4.5]), shape=(6, 4))
from tiled.structures.array import BuiltinDtype  # noqa: E402
from tiled.structures.data_source import DataSource  # noqa: E402
from tiled.structures.sparse import COOStructure  # noqa: E402

structure = COOStructure(
    shape=(6, 4),
    chunks=((3, 3), (4,)),
    data_type=BuiltinDtype.from_numpy_dtype(np.dtype("<f8")),
    coord_data_type=BuiltinDtype.from_numpy_dtype(np.dtype("<i8")),
)
cut = kinds.new("sparse", [DataSource(structure=structure, structure_family="sparse")], key="cut")
for number, part in enumerate((blocks[:3], blocks[3:])):
    cut.write_block(coords=part.coords, data=part.data, block=(number, 0))

kinds.write_ragged([np.array([1.0, 2.0]), np.array([3.0]), np.array([4.0, 5.0, 6.0])], key="ragged")

kinds.write_array(np.array([(1, 2.5), (2, 3.5)], [("n", "<i2"), ("x", "<f8")]), key="rows")
kinds.write_array(np.array(["2026-01-01", "2026-01-02"], "M8[s]"), key="moments")
kinds.write_array(np.array(["red", "green"]), key="words")
kinds.write_array(np.zeros((0, 3)), key="empty")
kinds.write_array(np.array(4.5), key="point")

write_xarray_dataset(
    kinds,
    xr.Dataset(
        {
            "det": ("time", [1.0, 2.0, 3.0], {"units": "V"}),
            "name": ("time", np.array(["a", "bb", "c"])),
            "on": ("time", [True, False, True]),
            "image": (("time", "y", "x"), np.arange(24.0).reshape(3, 4, 2)),
        },
        coords={"time": np.array(["2026-01-01", "2026-01-02", "2026-01-03"], "M8[ns]"), "scale": ("x", [0.5, 1.5])},
        attrs={"sample": "gold"},
    ),
    key="dataset",
)

both = kinds.create_container("both", specs=["composite"], metadata={"of": "a table and arrays"})
both.write_table(pd.DataFrame({"time": [1.0, 2.0, 3.0], "det": [5, 6, 7]}), key="table")
both.write_array(np.arange(12.0).reshape(3, 4), key="image", dims=["time", "x"])
both.write_array(np.arange(3), key="number")

growing = kinds.create_appendable_table(pa.schema({"a": pa.int64(), "s": pa.string()}), key="growing")
growing.append_partition(0, pa.table({"a": [1, 2], "s": ["x", "y"]}))
kinds.write_table({"a": [1, 2, 3], "s": ["x", "y", "z"]}, key="tab")

deep = kinds.create_container("deep")
for name in ("one", "two"):
    inner = deep.create_container(name, metadata={"color": "red"})
    inner.create_container("inside", metadata={"color": "blue"})
deep["one"].update_metadata({"color": "green"})
deep["one"].update_metadata({"color": "yellow"})
