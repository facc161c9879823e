"""The real tiled client searches deep, reads revisions and raw files, and unpacks what is sent in fewer bytes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from databroker_like.nodes import ArrayData, Asset, DataSource, MapNode, Revised, TableData, dataset_node
from databroker_like.service import Settings
from tests.interop.test_tiled_client import ROOT, peer, served

__all__ = ["peer"]

GRID = np.arange(3000.0).reshape(30, 100)


class OfFiles(ArrayData):
    """Is read of files."""

    def __init__(self, *assets: Asset) -> None:
        super().__init__(np.arange(3))
        self.assets = assets

    def data_source(self) -> DataSource:
        return DataSource("image/tiff", self.assets)


class Changed(MapNode):
    """Was changed twice."""

    def revisions(self) -> list[Revised]:
        return [Revised(1, {"color": "red"}), Revised(2, {"color": "blue"})]


@pytest.mark.peer
def test_what_is_told_is_understood(peer: str, tmp_path: Path) -> None:
    folder = tmp_path / "served"
    (folder / "scan" / "c").mkdir(parents=True)
    files = {"scan/zarr.json": b"{}", "scan/c/0": bytes(5000), "ä b.tif": bytes(range(256))}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    red = {"color": "red"}
    tree = MapNode(
        {
            "many": MapNode({f"k{i}": MapNode({}, metadata={"i": i, "name": f"n{i}"}) for i in range(30)}),
            "a": MapNode({"b": MapNode({"c": ArrayData(np.arange(3), metadata=red)})}, metadata=red),
            "dataset": dataset_node(xr.Dataset({"d": ("t", [0.5, 1.5])}, coords={"t": [1, 2]})),
            "array": ArrayData(GRID),
            "table": TableData(pd.DataFrame({"x": np.arange(3000)})),
            "file": OfFiles(Asset(folder / "ä b.tif", "ä b.tif")),
            "folder": OfFiles(Asset(folder / "scan", "scan", is_directory=True)),
            "changed": Changed({}, metadata={"color": "green"}),
        }
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "PYTHON", "TILED"))}
    with served(tree, settings=Settings(compression="always")) as url:
        done = subprocess.run(
            [peer, str(ROOT / "scripts" / "peers" / "ask_told.py"), url, "secret"],
            env={**environment, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=500,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == {
        "deep": [["a"], ["a", "b", "c"]],
        "deep count": 2,
        "shallow": [["a"]],
        "regex": ["k15", "k25"],
        "regex in any case": ["k15", "k25"],
        "like": ["k15"],
        "keys": 30,
        "sorted": ["k29", "k28", "k27"],
        "dataset": [0.5, 1.5],
        "inlined": ["d", "t"],
        "array": GRID.tolist(),
        "table": list(range(3000)),
        "encodings": ["blosc2", "zstd"],
        "file": {"ä b.tif": files["ä b.tif"].hex()},
        "folder": {"c/0": files["scan/c/0"].hex(), "zarr.json": files["scan/zarr.json"].hex()},
        "manifest": {"1": ["c/0", "zarr.json"]},
        "uris": ["scan"],
        "revisions": ["red", "blue"],
        "revision": 2,
    }
