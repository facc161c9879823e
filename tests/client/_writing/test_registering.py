from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile
import zarr
from PIL import Image

from databroker_like import errors
from databroker_like.client._writing._registering import looked_at, mimetype_of
from databroker_like.structures import ArrayStructure, TableStructure
from tests.client.recording_server import RecordingServer

TABLE = pa.table({"x": [1, 2], "name": ["a", "b"]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "a b.npy", np.arange(6.0).reshape(2, 3))
    for n in range(3):
        tifffile.imwrite(tmp_path / f"i{n}.tif", np.full((4, 5), n, "u2"))
    tifffile.imwrite(tmp_path / "pages.tif", np.zeros((3, 4, 5), "u2"), photometric="minisblack")
    Image.fromarray(np.zeros((8, 9, 3), "u1")).save(tmp_path / "p.jpg")
    with h5py.File(tmp_path / "h.h5", "w") as file:
        file["entry/data"] = np.arange(5)
    zarr.save_array(str(tmp_path / "z.zarr"), np.arange(10.0))
    pq.write_table(TABLE, tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("x,name\n1,a\n2,b\n")
    with pa.ipc.new_file(tmp_path / "t.arrow", TABLE.schema) as writer:
        writer.write_table(TABLE)
    return tmp_path


def posted(recording: RecordingServer) -> dict[str, Any]:
    asked = recording.changes[-1]
    assert (asked.method, asked.path) == ("POST", "/register/")
    (source,) = asked.json["data_sources"]
    return source


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "mimetype", "given"),
    [
        ("a b.npy", (2, 3), "f8", "application/x-npy", {}),
        ("i0.tif", (4, 5), "u2", "image/tiff", {}),
        ("pages.tif", (3, 4, 5), "u2", "image/tiff", {}),
        ("p.jpg", (8, 9, 3), "u1", "image/jpeg", {}),
        ("z.zarr", (10,), "f8", "application/x-zarr", {}),
        ("h.h5", (5,), "i8", "application/x-hdf5", {"dataset": "entry/data"}),
    ],
)
def test_an_array_in_a_file_is_shown(
    writable: Any,
    recording: RecordingServer,
    folder: Path,
    name: str,
    shape: Any,
    dtype: str,
    mimetype: str,
    given: Any,
) -> None:
    made = writable.register(folder / name, key="a", parameters=given, metadata={"n": 1}, specs=["demo"])
    source = posted(recording)
    structure = ArrayStructure.from_json(source["structure"])
    assert (structure.shape, structure.data_type.to_numpy_dtype()) == (shape, np.dtype(dtype))
    assert (source["mimetype"], source["management"], source["parameters"]) == (mimetype, "external", given)
    (asset,) = source["assets"]
    assert asset == {
        "data_uri": f"file://localhost{folder}/{name.replace(' ', '%20')}",
        "is_directory": name == "z.zarr",
        "parameter": "data_uri",
        "num": None,
        "size": None if name == "z.zarr" else (folder / name).stat().st_size,
        "id": None,
    }
    assert made.shape == shape
    assert dict(made.metadata) == {"n": 1}


def test_several_images_are_one_array(writable: Any, recording: RecordingServer, folder: Path) -> None:
    made = writable.register(*(folder / f"i{n}.tif" for n in (2, 0, 1)))
    source = posted(recording)
    assert (made.shape, made.chunks) == ((3, 4, 5), ((1, 1, 1), (4,), (5,)))
    assert source["mimetype"] == "multipart/related;type=image/tiff"
    assert [(asset["data_uri"][-6:], asset["parameter"], asset["num"]) for asset in source["assets"]] == [
        ("i2.tif", "data_uris", 0),
        ("i0.tif", "data_uris", 1),
        ("i1.tif", "data_uris", 2),
    ]


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.arrow"])
def test_a_table_in_a_file_is_shown(writable: Any, recording: RecordingServer, folder: Path, name: str) -> None:
    made = writable.register(str(folder / name))
    source = posted(recording)
    assert TableStructure.from_json(source["structure"]).schema.names == ["x", "name"]
    assert [(asset["parameter"], asset["num"]) for asset in source["assets"]] == [("data_uris", 0)]
    assert made.columns == ["x", "name"]


def test_an_hdf5_file_is_a_container(writable: Any, recording: RecordingServer, folder: Path) -> None:
    writable.register((folder / "h.h5").as_uri())
    source = posted(recording)
    assert recording.changes[-1].json["structure_family"] == "container"
    assert source["structure"] == {"keys": ["entry"]}
    assert source["assets"][0]["data_uri"] == f"file://localhost{folder}/h.h5"


def test_what_only_the_server_has_is_told(writable: Any, recording: RecordingServer) -> None:
    structure = ArrayStructure.from_array(np.ones((2, 3)))
    writable.register("/there/a.npy", structure=structure)
    source = posted(recording)
    assert (source["structure"], source["assets"][0]["size"]) == (structure.to_json(), None)
    with pytest.raises(errors.MissingFile, match="only the server has it"):
        writable.register("/there/a.npy")


def test_a_structure_that_was_given_must_fit(writable: Any, recording: RecordingServer, folder: Path) -> None:
    structure = ArrayStructure.from_array(np.ones(6))
    assert writable.register(folder / "a b.npy", structure=structure).shape == (6,)
    for wrong in (ArrayStructure.from_array(np.ones(5)), TableStructure.from_schema(TABLE.schema)):
        with pytest.raises(errors.Invalid, match="does not fit"):
            writable.register(folder / "a b.npy", structure=wrong)
    with pytest.raises(errors.Invalid, match="does not fit"):
        writable.register(folder / "t.csv", structure=TableStructure.from_schema(pa.schema({"x": pa.int64()})))


def test_a_pickle_is_never_loaded(writable: Any, recording: RecordingServer, tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(errors.InvalidFile):
        writable.register(tmp_path / "o.npy")
    assert recording.changes == []


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "which file"),
        (["notes.txt"], "mimetype="),
        (["i0.tif", "a b.npy"], "mimetype="),
        (["i0.tif", "pages.tif"], "one shape"),
        (["t.csv", "t.csv"], "one by one"),
    ],
)
def test_what_nothing_is_known_of_is_refused(writable: Any, folder: Path, names: list[str], said: str) -> None:
    with pytest.raises(errors.Invalid, match=said):
        writable.register(*(folder / name for name in names))


def test_other_kinds_of_files_need_a_structure(writable: Any, recording: RecordingServer, folder: Path) -> None:
    with pytest.raises(errors.Invalid, match="structure="):
        writable.register(folder / "t.csv", mimetype="x/y")
    with pytest.raises(errors.NotOffered, match="reads files"):
        writable.register("https://data.example/a.npy")
    assert mimetype_of([Path("A.TIFF")]) == "image/tiff"
    assert looked_at([folder / "i0.tif"], "image/tiff", {}).shape == (4, 5)
