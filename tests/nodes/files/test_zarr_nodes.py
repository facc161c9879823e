"""Zarr stores as nodes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from databroker_like.errors import InvalidFile
from databroker_like.nodes import ArrayNode, ContainerNode
from databroker_like.nodes._broken import BrokenNode
from databroker_like.nodes.files import FolderNode, _zarr
from tests.support.settling import settle

GRID = np.arange(48.0).reshape(6, 8)


def array_at(path: Path, data: np.ndarray = GRID, **options: Any) -> Any:
    """A store that is one array."""
    made = zarr.create_array(path, shape=data.shape, dtype=data.dtype, overwrite=True, **{"chunks": (2, 4), **options})
    made[:] = data
    return made


@pytest.mark.parametrize("version", [2, 3])
def test_an_array_is_an_array_with_its_attributes(tmp_path: Path, version: int) -> None:
    array_at(tmp_path / "a.zarr", zarr_format=version, attributes={"units": "mm", "numbers": [1, 2]})
    node = FolderNode(tmp_path).get("a")
    assert isinstance(node, ArrayNode)
    assert node.metadata == {"units": "mm", "numbers": [1, 2]}
    assert node.read((slice(1, 3), -1)).tolist() == GRID[1:3, -1].tolist()
    assert node.read_block((0, 0)).shape == (6, 8)
    source = node.data_source()
    assert (source.media_type, source.assets[0].name, source.assets[0].is_directory) == (
        "application/x-zarr",
        "a.zarr",
        True,
    )


@pytest.mark.parametrize("version", [2, 3])
def test_a_group_is_a_container_of_arrays_and_groups(tmp_path: Path, version: int) -> None:
    root = zarr.open_group(tmp_path / "g.zarr", mode="w", zarr_format=version, attributes={"title": "all"})
    root.create_array("x", data=GRID)
    root.create_group("inner", attributes={"level": 2}).create_array("y", data=np.arange(3))
    node = FolderNode(tmp_path).get("g")
    assert isinstance(node, ContainerNode)
    assert node.metadata == {"title": "all"}
    assert node.is_told_whole
    assert list(node.keys()) == ["inner", "x"]
    assert node.get("inner").metadata == {"level": 2}
    assert node.get("inner").get("y").read().tolist() == [0, 1, 2]
    assert node.get("inner").data_source().parameters == {"dataset": "inner"}
    assert node.get("nothing") is None
    assert node.get("../g.zarr") is None


def test_a_folder_is_a_store_by_what_is_in_it_whatever_its_name(tmp_path: Path) -> None:
    array_at(tmp_path / "plain")
    assert isinstance(FolderNode(tmp_path).get("plain"), ArrayNode)


def test_a_packed_group_is_read(tmp_path: Path) -> None:
    root = zarr.open_group(tmp_path / "store", mode="w")
    root.create_array("x", data=GRID)
    root.create_group("inner").create_array("y", data=np.arange(3))
    shutil.make_archive(str(tmp_path / "g.zarr"), "zip", tmp_path / "store")
    node = FolderNode(tmp_path).get("g")
    assert list(node.keys()) == ["inner", "x"]
    assert list(node.get("inner").keys()) == ["y"]
    assert node.get("inner").get("y").read().tolist() == [0, 1, 2]


def test_a_packed_store_is_read(tmp_path: Path) -> None:
    array_at(tmp_path / "store")
    shutil.make_archive(str(tmp_path / "a.zarr"), "zip", tmp_path / "store")
    node = FolderNode(tmp_path).get("a")
    assert node.read((0,)).tolist() == GRID[0].tolist()
    assert not node.data_source().assets[0].is_directory


def test_axes_have_the_names_that_the_store_says(tmp_path: Path) -> None:
    array_at(tmp_path / "new.zarr", dimension_names=["y", "x"])
    array_at(tmp_path / "old.zarr", zarr_format=2, attributes={"_ARRAY_DIMENSIONS": ["y", "x"]})
    array_at(tmp_path / "none.zarr", attributes={"_ARRAY_DIMENSIONS": ["only one"]})
    tree = FolderNode(tmp_path)
    assert [tree.get(key).structure().dims for key in ("new", "old", "none")] == [("y", "x"), ("y", "x"), None]


def test_an_array_that_grows_or_is_written_into_shows_as_it_is_now(tmp_path: Path) -> None:
    made = array_at(tmp_path / "a.zarr")
    tree = FolderNode(tmp_path)
    settle(tmp_path)
    first = tree.get("a")
    before = first.version
    assert before is not None
    made[0, 0] = 99
    assert tree.get("a").version is None
    settle(tmp_path)
    assert tree.get("a").version is not None
    assert tree.get("a").version != before
    assert tree.get("a").read((0, 0)) == 99
    made.resize((10, 8))
    assert tree.get("a").structure().shape == (10, 8)
    made.resize((2, 8))
    with pytest.raises(InvalidFile, match="it was replaced"):
        first.read((5,))


def test_whether_a_store_of_very_many_files_has_changed_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array_at(tmp_path / "a.zarr")
    monkeypatch.setattr(_zarr, "_MOST_FILES", 3)
    assert FolderNode(tmp_path).get("a").version is None


def test_damage_shows_where_it_is_and_the_rest_is_served(tmp_path: Path) -> None:
    array_at(tmp_path / "described.zarr")
    (tmp_path / "described.zarr" / "zarr.json").write_text("{not JSON")
    (tmp_path / "empty.zarr").mkdir()
    array_at(tmp_path / "chunk.zarr")
    (tmp_path / "chunk.zarr" / "c" / "0" / "0").write_bytes(b"no chunk")
    array_at(tmp_path / "whole.zarr")
    tree = FolderNode(tmp_path)
    assert tree.get("whole").read((0, 0)) == 0
    for key in ("described", "empty"):
        assert isinstance(tree.get(key), BrokenNode)
        assert key in tree.get(key).metadata["error"]
        assert str(tmp_path) not in tree.get(key).metadata["error"]
    chunk = tree.get("chunk")
    assert chunk.read((5, 7)) == 47
    with pytest.raises(InvalidFile, match="cannot be read as a Zarr") as caught:
        chunk.read((0, 0))
    assert str(tmp_path) not in str(caught.value)


def test_an_array_of_a_group_is_removed_and_comes_back_while_it_is_served(tmp_path: Path) -> None:
    root = zarr.open_group(tmp_path / "g.zarr", mode="w")
    root.create_array("x", data=GRID)
    tree = FolderNode(tmp_path)
    assert list(tree.get("g").keys()) == ["x"]
    root.create_array("y", data=GRID)
    assert list(tree.get("g").keys()) == ["x", "y"]
    del root["x"]
    assert list(tree.get("g").keys()) == ["y"]


@given(data=st.data())
def test_any_slice_is_what_numpy_gives(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=5))
    array = np.arange(np.prod(shape)).reshape(shape)
    folder = tmp_path_factory.mktemp("zarr")
    chunks = tuple(data.draw(st.integers(1, side)) for side in shape)
    array_at(folder / "a.zarr", array, chunks=chunks, zarr_format=data.draw(st.sampled_from([2, 3])))
    node = FolderNode(folder).get("a")
    for _ in range(3):
        index = data.draw(hnp.basic_indices(shape, allow_newaxis=False))
        index = index if isinstance(index, tuple) else (index,)
        np.testing.assert_array_equal(node.read(index), array[index])


@pytest.mark.parametrize("version", [2, 3])
def test_links_in_a_store_are_not_followed_out_of_the_folder(tmp_path: Path, version: int) -> None:
    served, outside = tmp_path / "served", tmp_path / "outside"
    served.mkdir()
    root = zarr.open_group(served / "g.zarr", mode="w", zarr_format=version)
    root.create_array("x", data=GRID, chunks=(2, 4), compressors=None)
    array_at(outside / "secret.zarr", zarr_format=version)
    (served / "g.zarr" / "secret").symlink_to(outside / "secret.zarr")
    chunk = served / "g.zarr" / "x" / ("c/0/0" if version == 3 else "0.0")
    secret = outside / "bytes"
    secret.write_bytes(bytes(chunk.stat().st_size))
    chunk.unlink()
    chunk.symlink_to(secret)
    node = FolderNode(served).get("g")
    assert list(node.keys()) == ["x"]
    with pytest.raises(InvalidFile, match="leads out"):
        node.get("x").read((0, 0))
    assert node.get("x").read((5, 7)) == 47


@pytest.mark.parametrize("compressors", ["auto", None])
def test_a_folder_of_chunks_that_leads_out_is_not_followed_either(tmp_path: Path, compressors: Any) -> None:
    served, outside = tmp_path / "served", tmp_path / "outside"
    array_at(served / "a.zarr", compressors=compressors)
    shutil.move(served / "a.zarr" / "c" / "1", outside)
    (served / "a.zarr" / "c" / "1").symlink_to(outside)
    node = FolderNode(served).get("a")
    assert node.read(slice(0, 2)).tolist() == GRID[:2].tolist()
    for part in (slice(2, 4), slice(1, 3), (3, 7)):
        with pytest.raises(InvalidFile, match="leads out"):
            node.read(part)
    # Within what is served it is one like any other.
    shutil.move(outside, served / "moved")
    (served / "a.zarr" / "c" / "1").unlink()
    (served / "a.zarr" / "c" / "1").symlink_to(served / "moved")
    assert node.read().tolist() == GRID.tolist()


def test_chunks_in_a_folder_are_read_without_the_loop_of_zarr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = array_at(tmp_path / "a.zarr")
    settle(tmp_path)
    node = FolderNode(tmp_path).get("a")

    def refused(*args: Any, **options: Any) -> Any:
        raise AssertionError("zarr was asked")

    with monkeypatch.context() as patched:
        patched.setattr(zarr.Array, "get_basic_selection", refused)
        assert node.read().tolist() == GRID.tolist()
        assert node.read_block((0, 0), (slice(1, 5), 3)).tolist() == GRID[1:5, 3].tolist()
    made[2, 3] = -1
    assert node.read((2, 3)) == -1


def test_a_store_in_which_there_is_nothing_says_so(tmp_path: Path) -> None:
    (tmp_path / "new.zarr").mkdir()
    node = FolderNode(tmp_path).get("new")
    assert isinstance(node, BrokenNode)
    assert "no Zarr array or group in 'new.zarr'" in node.metadata["error"]


@pytest.mark.parametrize("content", [b"", b"rubbish" * 100])
def test_a_package_that_is_no_zip_file_is_told_as_that(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.zarr.zip").write_bytes(content)
    node = FolderNode(tmp_path).get("p")
    assert isinstance(node, BrokenNode)
    assert "not a zip file" in node.metadata["error"]
