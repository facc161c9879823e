"""A folder of files as a tree: what shows, under which keys, and as it is now."""

from __future__ import annotations

import gc
import os
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr

from databroker_like.errors import MissingFile
from databroker_like.nodes import ArrayNode, ContainerNode, TableNode
from databroker_like.nodes._broken import BrokenNode
from databroker_like.nodes.files import FolderNode, _folder
from databroker_like.queries import Eq, KeyLookup, KeysFilter
from databroker_like.testing._lazy_arrays import open_files
from tests.support.settling import settle


def keys_of(tree: ContainerNode) -> list[str]:
    """All keys."""
    return list(tree.keys())


def test_files_are_nodes_by_their_names_without_the_ending_that_says_the_format(tmp_path: Path) -> None:
    np.save(tmp_path / "grid.npy", np.arange(6).reshape(2, 3))
    np.save(tmp_path / "sample_1.5K.npy", np.arange(3))
    pd.DataFrame({"x": [1]}).to_csv(tmp_path / "points.CSV", index=False)
    (tmp_path / "notes.txt").write_text("nothing to show")
    (tmp_path / ".hidden.npy").write_bytes(b"")
    tree = FolderNode(tmp_path)
    assert keys_of(tree) == ["grid", "points", "sample_1.5K"]
    assert isinstance(tree.get("grid"), ArrayNode)
    assert isinstance(tree.get("points"), TableNode)
    assert tree.count() == 3
    assert tree.get("notes") is None
    assert tree.get("grid.npy") is None
    assert tree.get("../grid") is None


def test_files_that_would_have_one_key_have_their_full_names(tmp_path: Path) -> None:
    for name in ("same.npy", "other.npy"):
        np.save(tmp_path / name, np.arange(3))
    pd.DataFrame({"x": [1]}).to_csv(tmp_path / "same.csv", index=False)
    pd.DataFrame({"x": [1]}).to_csv(tmp_path / "same.npy.csv", index=False)
    assert keys_of(FolderNode(tmp_path)) == ["other", "same.csv", "same.npy", "same.npy.csv"]


def test_folders_are_containers_and_empty_ones_too(tmp_path: Path) -> None:
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    np.save(tmp_path / "sub" / "deep" / "x.npy", np.arange(3))
    (tmp_path / "empty.d").mkdir()
    tree = FolderNode(tmp_path, metadata={"title": "a folder"})
    assert keys_of(tree) == ["empty.d", "sub"]
    assert tree.get("empty.d").count() == 0
    assert tree.get("sub").get("deep").get("x").read().tolist() == [0, 1, 2]
    assert tree.metadata == {"title": "a folder"}
    assert tree.get("sub").metadata == {}


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="no folder"):
        FolderNode(tmp_path / "nowhere")


def test_links_are_followed_inside_of_the_folder_and_never_out_of_it(tmp_path: Path) -> None:
    outside, served = tmp_path / "outside", tmp_path / "served"
    outside.mkdir()
    (served / "sub").mkdir(parents=True)
    np.save(outside / "secret.npy", np.arange(3))
    np.save(served / "open.npy", np.arange(4))
    os.symlink(outside / "secret.npy", served / "secret.npy")
    os.symlink(outside, served / "elsewhere")
    os.symlink("open.npy", served / "again.npy")
    os.symlink("..", served / "sub" / "circle")
    os.symlink("missing.npy", served / "dangling.npy")
    tree = FolderNode(served)
    assert keys_of(tree) == ["again", "open", "sub"]
    assert tree.get("secret") is None
    assert tree.get("again").read().tolist() == [0, 1, 2, 3]
    assert keys_of(tree.get("sub")) == []


def test_a_link_that_is_bent_outwards_while_it_is_served_is_no_longer_read(tmp_path: Path) -> None:
    outside, served = tmp_path / "outside", tmp_path / "served"
    outside.mkdir()
    served.mkdir()
    np.save(outside / "x.npy", np.arange(3))
    np.save(served / "y.npy", np.arange(4))
    link = served / "link.npy"
    os.symlink("y.npy", link)
    tree = FolderNode(served)
    assert tree.get("link").read().tolist() == [0, 1, 2, 3]
    link.unlink()
    os.symlink(outside / "x.npy", link)
    assert tree.get("link") is None
    assert keys_of(tree) == ["y"]


def test_what_is_neither_file_nor_folder_is_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npy")
    assert keys_of(FolderNode(tmp_path)) == []


def test_what_has_a_name_that_is_no_text_is_shown_and_told_to_be_renamed(tmp_path: Path) -> None:
    here = os.fsencode(tmp_path)
    np.save(tmp_path / "a.npy", np.arange(3))
    for name in (b"\xe41.npy", b"\xe42.npy", b"notes\xe4.txt", b".\xe4.npy", b"same\xe4.npy", b"same\xe4.csv"):
        with open(os.path.join(here, name), "wb"):
            pass
    os.mkdir(os.path.join(here, b"m\xc3\xbc\xfc"))
    (tmp_path / "same\\xe4.csv").touch()
    tree = FolderNode(tmp_path)
    shown = ["\\xe41", "\\xe42", "m\u00fc\\xfc", "same\\xe4'", "same\\xe4''"]
    assert keys_of(tree) == sorted([*shown, "a", "same\\xe4"])
    assert [key for key, _ in tree.items()] == keys_of(tree)
    assert tree.count() == 7
    for key in shown:
        node = tree.get(key)
        assert isinstance(node, BrokenNode)
        assert node.metadata["error"].startswith(f"'{key}' has a name that is not UTF-8")
        assert "rename it" in node.metadata["error"]
    assert tree.get("a").read().tolist() == [0, 1, 2]
    os.rename(os.path.join(here, b"\xe41.npy"), os.path.join(here, b"b.npy"))
    assert tree.get("\\xe41") is None


def test_files_that_are_added_changed_and_removed_show_at_once(tmp_path: Path) -> None:
    tree = FolderNode(tmp_path)
    assert keys_of(tree) == []
    np.save(tmp_path / "a.npy", np.arange(3))
    assert keys_of(tree) == ["a"]
    before = tree.get("a")
    assert before.structure().shape == (3,)
    np.save(tmp_path / "a.npy", np.arange(5.0))
    assert tree.get("a").read().tolist() == [0, 1, 2, 3, 4]
    (tmp_path / "a.npy").unlink()
    assert tree.get("a") is None
    assert keys_of(tree) == []


def test_files_are_closed_when_nobody_has_the_folder_any_more(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = [1]
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((3, 3), "u2"))
    pd.DataFrame({"x": [1]}).to_excel(tmp_path / "c.xlsx", sheet_name="s")
    settle(tmp_path)
    tree = FolderNode(tmp_path)
    for node in (tree.get("a").get("x"), tree.get("b"), tree.get("c").get("s")):
        node.read()
    assert len(tree._place.served.files) == 3
    assert {Path(name).name for name in open_files(tmp_path)} == {"a.h5", "b.tif"}
    served = weakref.ref(tree._place.served)
    del tree, node
    gc.collect()
    assert served() is None
    assert open_files(tmp_path) == []


def test_what_is_known_of_a_file_is_used_again_when_that_has_not_changed_for_a_while(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    tree = FolderNode(tmp_path)
    assert tree.get("a") is not tree.get("a")
    assert tree.get("a").version is None
    settle(tmp_path)
    node = tree.get("a")
    assert tree.get("a") is node
    assert node.version == tree.get("a").version is not None


@pytest.mark.parametrize("name", ["a.npy", "a.h5", "a.tif", "a.csv", "a.parquet", "a.xlsx", "a.zarr"])
def test_a_change_within_one_tick_of_the_clock_shows(tmp_path: Path, name: str) -> None:
    """As large as before, in the same place, and not later as far as the clock can tell."""
    path = tmp_path / name
    tree = FolderNode(tmp_path)
    now = time.time_ns()
    for number in range(5):
        tree.close()
        if name == "a.npy":
            np.save(path, np.full(3, number))
        elif name == "a.h5":
            with h5py.File(path, "w") as file:
                file["x"] = np.full(3, number)
        elif name == "a.tif":
            tifffile.imwrite(path, np.full((3, 3), number, "u2"))
        elif name == "a.zarr":
            zarr.create_array(path, data=np.full(3, number), overwrite=True, compressors=None)
        else:
            frame = pd.DataFrame({"x": [number] * 3})
            if name == "a.csv":
                frame.to_csv(path, index=False)
            elif name == "a.parquet":
                frame.to_parquet(path)
            else:
                frame.to_excel(path, index=False)
        for changed in [path, tmp_path, *path.rglob("*")]:
            os.utime(changed, ns=(now, now))
        node = tree.get("a")
        if isinstance(node, ContainerNode):
            (node,) = (inner for _, inner in node.items())
        data = node.get("x").read() if isinstance(node, TableNode) else node.read()
        assert data.ravel()[0] == number
        assert node.version is None


def test_a_folder_long_left_alone_is_not_listed_again_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    long_ago = 1_700_000_000
    os.utime(tmp_path, (long_ago, long_ago))
    tree = FolderNode(tmp_path)
    assert keys_of(tree) == ["a"]
    listed: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    assert keys_of(tree) == ["a"]
    assert listed == []
    np.save(tmp_path / "b.npy", np.arange(3))
    assert keys_of(tree) == ["a", "b"]
    # Within the tick of the clock a file more would not change the time of the folder again.
    assert keys_of(tree) == ["a", "b"]
    assert len(listed) == 2


def test_to_list_a_folder_opens_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    monkeypatch.setattr(
        _folder,
        "_node_of",
        lambda form, place, stamp: looked.append(place.name.partition(".")[0]) or BrokenNode("not looked into"),
    )
    for number in range(1000):
        (tmp_path / f"file{number}x.h5").touch()
    tree = FolderNode(tmp_path)
    assert tree.count() == 1000
    assert list(tree.keys(998)) == ["file99x", "file9x"]
    assert tree.search(KeysFilter(["file7x", "nothing"])).count() == 1
    assert list(tree.sorted([("", -1)]).keys(0, 1)) == ["file9x"]
    assert looked == []
    assert [key for key, _ in tree.search(KeyLookup("file7x")).items()] == ["file7x"]
    assert looked == ["file7x"]


@pytest.mark.parametrize(
    "name", ["a.h5", "a.tif", "a.npy", "a.parquet", "a.arrow", "a.xlsx", "a.png", "a.jpg", "a.zarr"]
)
@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"\x89HDF\r\n\x1a\n" + bytes(100), b"PAR1PAR1", b"II*\0\xff\xff\xff\xff"]
)
def test_a_damaged_file_shows_as_broken_and_the_rest_is_served(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "whole.npy", np.arange(3))
    tree = FolderNode(tmp_path)
    broken = dict(tree.items())["a"]
    assert isinstance(broken, BrokenNode)
    assert name in broken.metadata["error"]
    assert str(tmp_path) not in broken.metadata["error"]
    assert tree.get("whole").read().tolist() == [0, 1, 2]


def test_a_mended_file_is_served(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"still being written")
    tree = FolderNode(tmp_path)
    assert isinstance(tree.get("a"), BrokenNode)
    with h5py.File(path, "w") as file:
        file["x"] = [1, 2]
    assert tree.get("a").get("x").read().tolist() == [1, 2]


def test_nodes_are_searched_and_sorted_by_metadata(tmp_path: Path) -> None:
    for name, color, level in (("a", "red", 2), ("b", "blue", 10), ("c", "red", 1)):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.attrs.update({"color": color, "level": level})
    tree = FolderNode(tmp_path)
    red = tree.search(Eq("color", "red"))
    assert keys_of(red) == ["a", "c"]
    assert red.count() == 2
    assert keys_of(red.sorted([("level", 1)])) == ["c", "a"]
    assert red.page(1, 5)[0] == 2
    assert red.get("b") is None
    assert tree.distinct("color") == [("red", 2), ("blue", 1)]
    assert list(tree.sorted([("level", -1)]).keys(0, 2)) == ["b", "a"]


def test_many_threads_read_files_while_these_are_replaced(tmp_path: Path) -> None:
    def write(name: str, value: int) -> None:
        new = tmp_path / f".{name}"
        if name.endswith("h5"):
            with h5py.File(new, "w") as file:
                file["x"] = np.full((50, 50), value)
        elif name.endswith("tif"):
            tifffile.imwrite(new, np.full((50, 50), value, "u2"))
        else:
            with new.open("wb") as file:
                np.save(file, np.full((50, 50), value))
        new.rename(tmp_path / name)

    names = ("a.h5", "b.tif", "c.npy")
    for name in names:
        write(name, 0)
    tree = FolderNode(tmp_path, most_open=1)

    def read(number: int) -> None:
        node = tree.get("abc"[number % 3])
        node = node.get("x") if isinstance(node, ContainerNode) else node
        data = node.read()
        assert data.shape == (50, 50)
        assert (data == data[0, 0]).all()

    with ThreadPoolExecutor(8) as pool:
        readings = [pool.submit(read, number) for number in range(300)]
        for value in range(1, 30):
            write(names[value % 3], value)
        for reading in readings:
            reading.result()
    assert tree.get("c").read()[0, 0] == 29
    assert len(tree._place.served.files) <= 1
    tree.close()
    assert len(tree._place.served.files) == 0


def test_a_folder_that_has_become_a_file_since_it_was_listed_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "day").mkdir()
    tree = FolderNode(tmp_path)
    entry = tree._entries()["day"]
    (tmp_path / "day").rmdir()
    (tmp_path / "day").write_bytes(b"")
    assert tree._of(entry) is None


def test_what_is_damaged_is_a_line_of_the_log_each_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "half.h5").write_bytes(b"the writer was killed")
    tree = FolderNode(tmp_path)
    for level, traced in (("INFO", False), ("DEBUG", True)):
        with caplog.at_level(level, "databroker_like.nodes.files"):
            caplog.clear()
            assert isinstance(tree.get("half"), BrokenNode)
        told = caplog.records[0]
        assert "half.h5 cannot be read as an HDF5 file: " in told.getMessage()
        assert bool(told.exc_info) == traced
