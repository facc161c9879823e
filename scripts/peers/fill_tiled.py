"""Runs in the environment of tiled 0.2.20: fills a server with its own client; arguments: the address and the key."""

import sys

import dask.array
import numpy as np
import pandas as pd
from tiled.client import from_uri

root = from_uri(sys.argv[1], api_key=sys.argv[2])
things = root.create_container("things", metadata={"title": "things"})
small = np.arange(12.0).reshape(4, 3)
things.write_array(small, key="small", metadata={"color": "red", "n": 1}, dims=["y", "x"], specs=["demo"])
large = dask.array.from_array(np.arange(6000000, dtype="<i8").reshape(3000, 2000), chunks=(1000, 700))
things.write_array(large, key="large", metadata={"color": "blue", "n": 2})
things.write_table(pd.DataFrame({"a": [1, 2, 3], "s": ["x", "y", "z"]}), key="tab", metadata={"color": "blue"})
many = root.create_container("many")
for n in range(12):
    many.create_container(f"k{n:03}", metadata={"n": n, "odd": bool(n % 2), "name": f"sample {n}", "tags": [n, "t"]})
