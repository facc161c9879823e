"""The real tiled client reads a folder of files from our service: what it gets is what was written."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile
import zarr
from PIL import Image

from databroker_like.nodes.files import FolderNode
from tests.interop.test_tiled_client import ROOT, peer, served

__all__ = ["peer"]

GRID = np.arange(24.0).reshape(6, 4)
FRAME = np.arange(12, dtype="u2").reshape(3, 4)
TABLE = pd.DataFrame({"x": [1, 2, 3], "name": ["a", "b", "c"], "y": [0.5, 1.5, 2.5]})

#: Where a node is -> the array in it.
ARRAYS: dict[str, Any] = {
    "scan/entry/data": GRID,
    "scan/entry/soft": GRID,
    "scan/entry/scalar": np.float64(3.5),
    "scan/entry/records": np.array([(1, 0.5), (2, 1.5)], dtype=[("n", "<i4"), ("x", "<f8")]),
    "scan/entry/texts": np.array(["a", "l\u00e4ngst"]),
    "scan/entry/bytes": np.array([b"ab", b"c"]),
    "scan/entry/flags": np.array([True, False]),
    "master/frames": GRID,
    "one": FRAME,
    "pages": np.stack([FRAME, FRAME + 1]),
    "frame_": np.stack([FRAME + number for number in range(12)]),
    "plain": GRID,
    "columns": np.asfortranarray(GRID),
    "picture": np.full((3, 4, 3), 7, "u1"),
    "new": GRID,
    "old": GRID,
    "group/x": GRID,
    "sub/deep/x": np.arange(3),
}
#: Where a node is -> the table in it.
TABLES = ["points", "groups", "batches", "stream", "feather", "book/First", "book/Second"]


def write(folder: Path) -> None:
    """Files of every format, a damaged one among them."""
    with h5py.File(folder / "scan.h5", "w") as file:
        file.attrs["title"] = "a scan"
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        entry.create_dataset("data", data=GRID, chunks=(2, 3)).attrs["units"] = "mm"
        entry["soft"] = h5py.SoftLink("/entry/data")
        entry["scalar"] = 3.5
        entry["records"] = ARRAYS["scan/entry/records"]
        entry["texts"] = ["a", "l\u00e4ngst"]
        entry["bytes"] = ARRAYS["scan/entry/bytes"]
        entry["flags"] = ARRAYS["scan/entry/flags"]
        rows = entry.create_dataset("rows", (2,), h5py.vlen_dtype("<i4"))
        rows[0], rows[1] = [1, 2], [3]
        entry.create_dataset("references", (2,), h5py.ref_dtype)
    with h5py.File(folder / "master.nxs", "w") as file:
        file["frames"] = h5py.ExternalLink("scan.h5", "/entry/data")
    tifffile.imwrite(folder / "one.tif", FRAME)
    tifffile.imwrite(folder / "pages.tiff", ARRAYS["pages"], photometric="minisblack")
    for number in range(12):
        tifffile.imwrite(folder / f"frame_{number:04d}.tif", FRAME + number)
    np.save(folder / "plain.npy", GRID)
    np.save(folder / "columns.npy", ARRAYS["columns"])
    Image.fromarray(ARRAYS["picture"]).save(folder / "picture.png")
    for name, version in (("new", 3), ("old", 2)):
        zarr.create_array(folder / f"{name}.zarr", shape=(6, 4), chunks=(2, 3), dtype="f8", zarr_format=version)[:] = (
            GRID
        )
    zarr.open_group(folder / "group.zarr", mode="w", attributes={"k": 1}).create_array("x", data=GRID)
    (folder / "sub" / "deep").mkdir(parents=True)
    np.save(folder / "sub" / "deep" / "x.npy", np.arange(3))
    TABLE.to_csv(folder / "points.csv", index=False)
    table = pa.Table.from_pandas(TABLE)
    pq.write_table(table, folder / "groups.parquet", row_group_size=2)
    with pa.ipc.new_file(folder / "batches.arrow", table.schema) as out:
        out.write_table(table, max_chunksize=2)
    with pa.ipc.new_stream(folder / "stream.arrows", table.schema) as out:
        out.write_table(table, max_chunksize=2)
    TABLE.to_feather(folder / "feather.feather")
    with pd.ExcelWriter(folder / "book.xlsx") as writer:
        TABLE.to_excel(writer, sheet_name="First", index=False)
        TABLE.to_excel(writer, sheet_name="Second", index=False)
    (folder / "damaged.h5").write_bytes(b"garbage")
    (folder / "notes.txt").write_text("not shown")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files of every format."""
    made = tmp_path_factory.mktemp("served")
    write(made)
    return made


@pytest.fixture(scope="module")
def answered(peer: str, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the client reads of the folder."""
    home = tmp_path_factory.mktemp("home")
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "PYTHON", "VIRTUAL", "TILED"))
    }
    with served(FolderNode(folder)) as url:
        done = subprocess.run(
            [peer, str(Path(ROOT) / "scripts" / "peers" / "ask_files.py"), url, "secret"],
            env={**kept, "HOME": str(home), "TILED_RETRY_ATTEMPTS": "1"},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=500,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    assert str(folder) not in done.stdout
    # The client tells of its downloads before.
    return json.loads(done.stdout.splitlines()[-1])


pytestmark = pytest.mark.peer


def at(answered: dict[str, Any], path: str) -> dict[str, Any]:
    """What the client read at a path."""
    node = answered["tree"]
    for key in path.split("/"):
        node = node["nodes"][key]
    return node


def as_told(data: Any) -> Any:
    """Data as it comes back in JSON."""
    return json.loads(json.dumps(np.asarray(data).tolist(), default=lambda value: value.decode("latin-1")))


@pytest.mark.parametrize("path", ARRAYS)
def test_the_client_reads_arrays(answered: dict[str, Any], path: str) -> None:
    found, data = at(answered, path), ARRAYS[path]
    assert np.dtype(found["type"] if "[" not in found["type"] else data.dtype) == np.asarray(data).dtype
    assert found["data"] == as_told(data)
    if np.ndim(data):
        assert found["every second"] == as_told(data[::2])
        assert found["first block"] == as_told(data[tuple(slice(cuts[0]) for cuts in found["blocks"])])


@pytest.mark.parametrize("path", TABLES)
def test_the_client_reads_tables(answered: dict[str, Any], path: str) -> None:
    found = at(answered, path)
    assert found["columns"] == TABLE.to_dict("list")
    assert found["first column"] == [1, 2, 3]
    assert sum(found["rows of parts"]) == 3


def test_the_client_sees_what_is_there_and_what_is_said_of_it(answered: dict[str, Any]) -> None:
    paths = [*ARRAYS, *TABLES, "damaged"]
    assert set(answered["tree"]["nodes"]) == {path.split("/")[0] for path in paths}
    assert at(answered, "scan")["metadata"] == {"title": "a scan"}
    assert at(answered, "scan/entry")["metadata"] == {"NX_class": "NXentry"}
    assert at(answered, "scan/entry/data")["metadata"] == {"units": "mm"}
    assert at(answered, "group")["metadata"] == {"k": 1}
    assert at(answered, "one")["metadata"]["ImageWidth"] == 4


def test_the_client_reads_rows_of_different_lengths(answered: dict[str, Any]) -> None:
    assert at(answered, "scan/entry/rows")["data"] == [[1, 2], [3]]


def test_the_client_sees_what_is_broken_and_why(answered: dict[str, Any]) -> None:
    damaged = at(answered, "damaged")
    assert (damaged["family"], damaged["nodes"]) == ("container", {})
    assert "'damaged.h5' cannot be read as an HDF5 file" in damaged["metadata"]["error"]
    assert "cannot be sent" in at(answered, "scan/entry/references")["metadata"]["error"]


def test_the_client_fetches_the_files_as_they_are(answered: dict[str, Any], folder: Path) -> None:
    assert answered["files"] == {
        "scan": (folder / "scan.h5").read_bytes().hex(),
        "points": (folder / "points.csv").read_bytes().hex(),
    }
