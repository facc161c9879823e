"""Fill a running tiled server with what is read from it, by tiled's own client: python fill_peer.py URI KEY FOLDER.

It runs in the environment of tiled and imports nothing of ours; FOLDER holds the arrays and the table as files.
"""

import json
import sys
from pathlib import Path

import dask.array
import numpy as np
import pyarrow.parquet
from tiled.client import from_uri
from tiled.structures.array import ArrayStructure
from tiled.structures.data_source import DataSource

uri, key, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
client = from_uri(uri, api_key=key)
client.create_container("runs").create_container("first")
client.create_container("a").create_container("b").create_container("c", metadata={"color": "blue"})
for name, chunks in json.loads((folder / "chunks.json").read_text()).items():
    # Not by write_array, which makes few chunks of many.
    array = dask.array.from_array(np.load(folder / f"{name}.npy"), chunks=tuple(chunks))
    source = DataSource(structure=ArrayStructure.from_array(array), structure_family="array")
    stored = client.new("array", [source], key=name)
    for block in np.ndindex(array.numblocks):
        stored.write_block(array.blocks[block].compute(), block)
client.write_table(pyarrow.parquet.read_table(folder / "table.parquet").to_pandas(), key="table")
