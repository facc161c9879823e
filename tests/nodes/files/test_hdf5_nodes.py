"""HDF5 files as nodes: groups, datasets, attributes, links."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from databroker_like.errors import InvalidFile, OutOfRange
from databroker_like.nodes import ArrayNode, ContainerNode, RaggedNode, find
from databroker_like.nodes._broken import BrokenNode
from databroker_like.nodes.files import FolderNode
from databroker_like.tree._words import to_json, to_msgpack
from tests.support.settling import settle

GRID = np.arange(600.0).reshape(20, 30)


def written(path: Path, **datasets: Any) -> Path:
    """A file with these datasets."""
    with h5py.File(path, "w") as file:
        for name, data in datasets.items():
            file[name] = data
    return path


def array_in(folder: Path, *keys: str) -> ArrayNode:
    """The array at a path below a folder."""
    node = find(FolderNode(folder), keys)
    assert isinstance(node, ArrayNode), node.metadata
    return node


def problem_in(folder: Path, *keys: str) -> str:
    """What is wrong with what is at a path below a folder."""
    node = find(FolderNode(folder), keys)
    assert isinstance(node, BrokenNode)
    text = str(node.metadata["error"])
    assert str(folder) not in text
    return text


def test_groups_are_containers_datasets_arrays_and_attributes_metadata(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "scan.nxs", "w") as file:
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs.update(
            {"NX_class": "NXentry", "numbers": [1, 2], "bytes": np.bytes_(b"abc"), "none": h5py.Empty("f4")}
        )
        data = entry.create_dataset("data", data=GRID, chunks=(5, 7))
        data.attrs["units"] = "mm"
    root = FolderNode(tmp_path).get("scan")
    assert isinstance(root, ContainerNode)
    assert root.metadata == {"default": "entry"}
    assert root.is_told_whole
    assert list(root.keys()) == ["entry"]
    group = root.get("entry")
    assert group.metadata["NX_class"] == "NXentry"
    assert group.metadata["numbers"] == [1, 2]
    assert group.metadata["bytes"] == "abc"
    assert group.metadata["none"] == "<Empty>"
    node = group.get("data")
    assert node.metadata == {"units": "mm"}
    assert node.read((slice(3, 5), 7)).tolist() == GRID[3:5, 7].tolist()
    assert group.get("nothing") is None
    source = node.data_source()
    assert (source.media_type, source.assets[0].name) == ("application/x-hdf5", "scan.nxs")
    assert source.parameters == {"dataset": "entry/data"}
    assert root.data_source().parameters == {}


@pytest.mark.parametrize(
    "data",
    [
        np.float32(1.5),
        np.arange(3, dtype=">i2"),
        np.array([True, False]),
        np.array([1 + 2j]),
        np.array([b"ab", b"c"]),
        np.array([(1, 2.5, [1, 2])], dtype=[("a", "<i4"), ("b", "<f8"), ("c", "u1", (2,))]),
        np.array([(1, 2.5)], dtype=np.dtype([("a", "u1"), ("b", "<f8")], align=True)),
        np.zeros((0, 3)),
        np.float16([0.5]),
    ],
    ids=str,
)
def test_numbers_records_and_bytes_are_read_as_they_were_written(tmp_path: Path, data: Any) -> None:
    written(tmp_path / "a.h5", x=data)
    node = array_in(tmp_path, "a", "x")
    found = node.read()
    assert found.dtype == node.structure().data_type.to_numpy_dtype()
    assert found.shape == np.shape(data)
    np.testing.assert_array_equal(found, np.asarray(data, found.dtype))


@pytest.mark.parametrize("texts", ["h\u00e9llo", ["a", "bcd", ""], [["x"], ["yy"]]])
def test_texts_are_read(tmp_path: Path, texts: Any) -> None:
    written(tmp_path / "a.h5", x=texts)
    node = array_in(tmp_path, "a", "x")
    assert node.read().tolist() == texts
    assert node.structure().data_type.to_json()["kind"] == "U"


def test_a_slice_of_texts_and_of_none_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = ["a", "bcd", "ef"]
        file.create_dataset("none", (0,), h5py.string_dtype())
        file.create_dataset("latin", (1,), h5py.string_dtype())[0] = b"caf\xe9"
    assert array_in(tmp_path, "a", "x").read((slice(None, None, -2),)).tolist() == ["ef", "a"]
    assert array_in(tmp_path, "a", "none").read().shape == (0,)
    assert array_in(tmp_path, "a", "latin").read().tolist() == ["caf\ufffd"]


def test_texts_that_would_take_too_much_as_one_array_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "a.h5", x=["a", "b" * 1000])
    monkeypatch.setattr("databroker_like.nodes.files._hdf5._MOST_TEXT_BYTES", 5000)
    assert "the longest of 1000 characters" in problem_in(tmp_path, "a", "x")


def test_what_cannot_be_sent_is_broken_and_what_is_beside_it_is_served(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["fine"] = 1
        file.create_dataset("references", (2,), h5py.ref_dtype)
        file.create_dataset("rows", (2, 3), h5py.vlen_dtype("i4"))
        file["empty"] = h5py.Empty("f8")
        file["type"] = np.dtype("f8")
    assert "references, which cannot be sent" in problem_in(tmp_path, "a", "references")
    assert "rows of different lengths" in problem_in(tmp_path, "a", "rows")
    assert "no shape" in problem_in(tmp_path, "a", "empty")
    assert "neither a group nor a dataset" in problem_in(tmp_path, "a", "type")
    assert array_in(tmp_path, "a", "fine").read() == 1


def test_rows_of_different_lengths_are_a_ragged_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("databroker_like.nodes.files._hdf5_rows._ROWS", 2)
    rows = [[1, 2, 3], [], [4], [5, 6]]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("x", (4,), h5py.vlen_dtype("<i2"))
        data.attrs["units"] = "counts"
        for number, row in enumerate(rows):
            data[number] = row
        file.create_dataset("none", (0,), h5py.vlen_dtype("<i2"))
    node = find(FolderNode(tmp_path), ["a", "x"])
    assert isinstance(node, RaggedNode)
    assert node.metadata == {"units": "counts"}
    assert (node.structure().shape, node.structure().size) == ((4, None), 6)
    assert [row.tolist() for row in node.read()] == rows
    assert [row.tolist() for row in node.read((slice(None, None, -2),))] == [[5, 6], []]
    assert [row.tolist() for row in node.read((slice(2, None), slice(0, 1)))] == [[4], [5]]
    assert np.asarray(node.read((3, 1))) == 6
    assert node.read((0,)).dtype == np.dtype("<i2")
    assert len(find(FolderNode(tmp_path), ["a", "none"]).read()) == 0
    with pytest.raises(OutOfRange):
        node.read((4,))


def test_a_few_bytes_that_say_a_huge_shape_do_no_harm(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("numbers", (10**15, 3), "f8", chunks=(1, 3))
        file.create_dataset("texts", (10**12,), h5py.string_dtype(), chunks=(1,))
        file.create_dataset("rows", (10**12,), h5py.vlen_dtype("i4"), chunks=(1,))
    node = array_in(tmp_path, "a", "numbers")
    assert node.structure().shape == (10**15, 3)
    assert len(node.structure().chunks[0]) <= 100_000
    assert node.read((-1,)).tolist() == [0, 0, 0]
    assert "too much" in problem_in(tmp_path, "a", "texts")
    assert "can be sent" in problem_in(tmp_path, "a", "rows")


def test_blocks_are_made_of_whole_chunks_of_the_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("small", (40, 1000, 1000), "f4", chunks=(1, 100, 100))
        file.create_dataset("large", (4, 3000, 3000), "f8", chunks=(1, 3000, 3000))
        file.create_dataset("plain", (40, 1000, 1000), "f4")
    chunks = {key: node.structure().chunks for key, node in FolderNode(tmp_path).get("a").items()}
    assert chunks["small"] == ((4,) * 10, (1000,), (1000,))
    assert chunks["large"] == ((1,) * 4, (3000,), (3000,))
    assert chunks["plain"] == ((4,) * 10, (1000,), (1000,))


def test_a_block_reads_only_the_chunks_that_it_is_made_of(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("x", (8, 2000, 2000), "u1", chunks=(1, 2000, 2000), compression="gzip")
        data[:] = 7
        # The bytes of the second chunk are no longer what the filter wrote.
        info = data.id.get_chunk_info(1)
        whole = data.id.get_chunk_info(2)
    with open(tmp_path / "a.h5", "r+b") as raw:
        raw.seek(info.byte_offset)
        raw.write(b"\0" * info.size)
    assert whole.size
    node = array_in(tmp_path, "a", "x")
    assert node.read((2, 0, slice(0, 3))).tolist() == [7, 7, 7]
    assert node.read_block((1, 0, 0)).shape == (4, 2000, 2000)
    with pytest.raises(InvalidFile, match=r"'a\.h5' cannot be read as an HDF5 file"):
        node.read_block((0, 0, 0))
    with pytest.raises(OutOfRange):
        node.read_block((9, 0, 0))


@given(data=st.data())
def test_any_slice_is_what_numpy_gives(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=6))
    array = np.arange(np.prod(shape)).reshape(shape)
    folder = tmp_path_factory.mktemp("h5")
    chunks = tuple(data.draw(st.integers(1, side)) for side in shape)
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("x", data=array, chunks=chunks)
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=False))
    index = index if isinstance(index, tuple) else (index,)
    found = array_in(folder, "a", "x").read(index)
    np.testing.assert_array_equal(found, array[index])


# -- links ------------------------------------------------------------------------------------------------------------


def test_bytes_that_are_no_utf_8_are_characters_that_every_format_has(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        text = h5py.string_dtype("utf-8")
        file.attrs.create("one", b"\xffab", dtype=text)
        file.attrs.create("some", [b"\xff", b"b"], dtype=text)
        file.attrs["fixed"] = np.bytes_(b"\xffab")
    said = FolderNode(tmp_path).get("a").metadata
    assert said == {"one": "\ufffdab", "some": ["\ufffd", "b"], "fixed": "\ufffdab"}
    assert json.loads(to_json(said)) == msgpack.unpackb(to_msgpack(said)) == said


def test_a_name_that_is_no_utf_8_is_one_broken_node_and_the_rest_of_its_file_is_served(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["good"] = [1, 2]
        file[b"b\xe4d"] = [3, 4]
        file["b\\xe4d"] = [5, 6]
        file["group/x"] = 1
        file["group"].create_group(b"gr\xfcn")["y"] = 2
        file["group"][b"w\xf6"] = h5py.SoftLink("/good")
    root = FolderNode(tmp_path).get("a")
    assert list(root.keys()) == ["b\\xe4d", "b\\xe4d'", "good", "group"]
    assert root.count() == 4
    assert array_in(tmp_path, "a", "b\\xe4d").read().tolist() == [5, 6]
    assert array_in(tmp_path, "a", "good").read().tolist() == [1, 2]
    assert array_in(tmp_path, "a", "group", "x").read() == 1
    assert list(root.get("group").keys()) == ["gr\\xfcn", "w\\xf6", "x"]
    for path in (["b\\xe4d'"], ["group", "gr\\xfcn"], ["group", "w\\xf6"]):
        assert "not UTF-8" in problem_in(tmp_path, "a", *path)
    assert json.loads(to_json(list(root.keys()))) == list(root.keys())


def test_links_inside_of_a_file_are_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/x"] = GRID
        file["soft"] = h5py.SoftLink("/group")
        file["group/near"] = h5py.SoftLink("x")
        file["twice"] = h5py.SoftLink("/soft/near")
    assert array_in(tmp_path, "a", "soft", "x").read((0, 1)) == 1
    assert array_in(tmp_path, "a", "twice").read((0, 1)) == 1


def test_links_that_lead_nowhere_or_in_a_circle_are_broken(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["dangling"] = h5py.SoftLink("/nothing")
        file["circle"] = h5py.SoftLink("/circle")
        file["x"] = 1
        file["below"] = h5py.SoftLink("/x/deeper")
    assert "is not there" in problem_in(tmp_path, "a", "dangling")
    assert "circle" in problem_in(tmp_path, "a", "circle")
    assert "is not there" in problem_in(tmp_path, "a", "below")


def test_a_link_to_a_group_above_it_is_broken_and_one_to_a_group_beside_it_is_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/x"] = 1
        file["loop"] = h5py.SoftLink("/")
        file["group/itself"] = file["group"]
        file["group/root"] = file["/"]
        file["group/round"] = h5py.ExternalLink("a.h5", "/")
        file["beside/other"] = file["group"]
        file["beside/near"] = h5py.ExternalLink("a.h5", "/group")
    for path in (["loop"], ["group", "itself"], ["group", "root"], ["group", "round"], ["beside", "other", "itself"]):
        assert "a group that it is in itself" in problem_in(tmp_path, "a", *path)
    assert array_in(tmp_path, "a", "beside", "other", "x").read() == 1
    assert array_in(tmp_path, "a", "beside", "near", "x").read() == 1


def test_links_into_other_files_are_followed_when_these_are_served(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    written(tmp_path / "raw" / "data.h5", frames=GRID)
    with h5py.File(tmp_path / "master.h5", "w") as file:
        file["near"] = h5py.ExternalLink("raw/data.h5", "/frames")
        file["absolute"] = h5py.ExternalLink(str(tmp_path / "raw" / "data.h5"), "/")
        file["missing"] = h5py.ExternalLink("raw/none.h5", "/frames")
    assert array_in(tmp_path, "master", "near").read((1, 2)) == GRID[1, 2]
    assert array_in(tmp_path, "master", "absolute", "frames").read((1, 2)) == GRID[1, 2]
    assert "not there" in problem_in(tmp_path, "master", "missing")


def paths_below(node: Any, above: tuple[str, ...] = ()) -> list[str]:
    """All paths below a node, each with what is wrong with it; an endless way ends in an error of recursion."""
    found = []
    for key, inner in node.items():
        path = (*above, key)
        found.append("/".join(path) + (" is broken" if isinstance(inner, BrokenNode) else ""))
        if isinstance(inner, ContainerNode):
            found.extend(paths_below(inner, path))
    return found


def test_links_of_two_files_into_each_other_end(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["group/x"] = 1
            file["group/over"] = h5py.ExternalLink(f"{other}.h5", "/group")
            file["over"] = h5py.ExternalLink(f"{other}.h5", "/")
    settle(tmp_path)
    tree = FolderNode(tmp_path)
    for _ in range(2):  # as it is looked into, and as it is known
        assert paths_below(tree.get("b")) == [
            "group",
            "group/over",
            "group/over/over is broken",
            "group/over/x",
            "group/x",
            "over",
            "over/group",
            "over/group/over",
            "over/group/over/over is broken",
            "over/group/over/x",
            "over/group/x",
            "over/over is broken",
        ]
    assert "a group that it is in itself" in problem_in(tmp_path, "a", "over", "over")
    assert "a group that it is in itself" in problem_in(tmp_path, "a", "group", "over", "over")
    # Another group of a file that lies on the way is no circle.
    assert array_in(tmp_path, "a", "over", "group", "over", "x").read() == 1


def test_links_of_a_file_into_groups_of_itself_end(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, other in (("left", "right"), ("right", "left")):
            file[f"{name}/value"] = 1
            file[f"{name}/{other}"] = h5py.ExternalLink("a.h5", f"/{other}")
    assert paths_below(FolderNode(tmp_path).get("a")) == [
        "left",
        "left/right",
        "left/right/left is broken",
        "left/right/value",
        "left/value",
        "right",
        "right/left",
        "right/left/right is broken",
        "right/left/value",
        "right/value",
    ]


def test_links_of_three_files_and_links_up_end(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["entry/data/x"] = 1
            file["entry/data/up"] = h5py.SoftLink("/entry")
            file["entry/next"] = h5py.ExternalLink(f"{other}.h5", "/entry")
            file["entry/near"] = h5py.ExternalLink(f"{other}.h5", "/entry/data")
    found = paths_below(FolderNode(tmp_path).get("a"))
    assert len(found) < 60
    assert "entry/next/next/next is broken" in found
    assert "entry/next/next/near/x" in found
    assert not any(path.startswith("entry/next/next/next/") for path in found)


def test_links_into_files_that_are_not_served_are_never_followed(tmp_path: Path) -> None:
    served, outside = tmp_path / "served", tmp_path / "outside"
    served.mkdir()
    outside.mkdir()
    secret = written(outside / "secret.h5", x=[1, 2, 3])
    (outside / "raw.bin").write_bytes(bytes(24))
    os.symlink(secret, served / "innocent.h5")
    written(served / "a.h5", x=1)
    with h5py.File(served / "a.h5", "w") as file:
        file["absolute"] = h5py.ExternalLink(str(secret), "/x")
        file["upwards"] = h5py.ExternalLink("../outside/secret.h5", "/x")
        file["linked"] = h5py.ExternalLink("innocent.h5", "/x")
        file["behind"] = h5py.SoftLink("/absolute")
        file["group/soft"] = h5py.SoftLink("/upwards")
        file.create_dataset("raw", (3,), "f8", external=[(str(outside / "raw.bin"), 0, 24)])
        layout = h5py.VirtualLayout((3,), "i8")
        layout[:] = h5py.VirtualSource(str(secret), "x", (3,))
        file.create_virtual_dataset("virtual", layout)
        layout = h5py.VirtualLayout((3,), "i8")
        layout[:] = h5py.VirtualSource(".", "/virtual", (3,))
        file.create_virtual_dataset("of_virtual", layout)
        layout = h5py.VirtualLayout((3,), "i8")
        layout[:] = h5py.VirtualSource(".", "/absolute", (3,))
        file.create_virtual_dataset("of_linked", layout)
    for path in ("absolute", "upwards", "linked", "behind", "group/soft", "raw", "virtual", "of_virtual"):
        assert "not served" in problem_in(served, "a", *path.split("/"))
    assert "a link leads" in problem_in(served, "a", "of_linked")


def test_virtual_datasets_of_files_that_are_served_are_read(tmp_path: Path) -> None:
    for number in range(3):
        written(tmp_path / f"part_{number}.h5", x=np.full(4, number))
    with h5py.File(tmp_path / "all.h5", "w") as file:
        layout = h5py.VirtualLayout((4, 4), "i8")
        for number in range(4):
            layout[number] = h5py.VirtualSource(f"part_{number}.h5", "x", (4,))
        file.create_virtual_dataset("x", layout, fillvalue=-1)
    assert array_in(tmp_path, "all", "x").read((slice(None), 0)).tolist() == [0, 1, 2, -1]


def test_what_a_link_or_a_virtual_dataset_leads_to_is_looked_at_again(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file["link"] = h5py.ExternalLink("part.h5", "/x")
        layout = h5py.VirtualLayout((4,), "i8")
        layout[:] = h5py.VirtualSource("part.h5", "x", (4,))
        file.create_virtual_dataset("virtual", layout, fillvalue=-1)
    tree = FolderNode(tmp_path)
    settle(tmp_path)
    assert isinstance(tree.get("all").get("link"), BrokenNode)
    assert tree.get("all").get("virtual").read().tolist() == [-1] * 4
    for number in range(1, 4):
        for changed in tmp_path.glob("part*"):
            # In the same place, so that it is the same file to HDF5.
            tree.close()
            assert changed.exists()
        written(tmp_path / "part.h5", x=np.full(4, number))
        settle(tmp_path)
        os.utime(tmp_path / "part.h5", (number, number))
        all_of_it = tree.get("all")
        assert all_of_it.get("link").read().tolist() == [number] * 4
        assert all_of_it.get("virtual").read().tolist() == [number] * 4
        assert all_of_it.get("virtual").version is None


# -- while it is served -----------------------------------------------------------------------------------------------


def test_a_dataset_that_grows_is_read_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    tree = FolderNode(tmp_path, most_open=0)
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset("x", (0, 3), "f8", maxshape=(None, 3), chunks=(2, 3))
        file.swmr_mode = True
        for rows in (1, 5, 9):
            data.resize(rows, 0)
            data[:] = rows
            data.flush()
            node = tree.get("a").get("x")
            assert node.structure().shape == (rows, 3)
            assert node.read((-1,)).tolist() == [rows] * 3


def test_a_file_that_is_written_anew_is_read_as_it_is_now(tmp_path: Path) -> None:
    tree = FolderNode(tmp_path)
    versions = set()
    for number in range(5):
        tree.close()
        written(tmp_path / "a.h5", x=np.full((number + 1, 2), number))
        if number % 2:
            settle(tmp_path)
        node = tree.get("a").get("x")
        assert node.read().tolist() == [[number, number]] * (number + 1)
        versions.add(node.version)
    assert None in versions
    assert len(versions) == 3


def test_a_node_whose_file_shrank_or_went_says_so(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5", x=GRID)
    tree = FolderNode(tmp_path, most_open=0)
    node = tree.get("a").get("x")
    written(path, x=GRID[:3])
    with pytest.raises(InvalidFile, match="it was replaced"):
        node.read((10,))
    written(path, y=GRID)
    with pytest.raises(InvalidFile, match="not there any more"):
        node.read((0,))
    path.unlink()
    with pytest.raises(FileNotFoundError, match="any more") as caught:
        node.read((0,))
    assert str(tmp_path) not in str(caught.value)


def test_many_threads_read_one_file(tmp_path: Path) -> None:
    for name in "ab":
        written(tmp_path / f"{name}.h5", **{f"x{i}": GRID + i for i in range(8)})
    tree = FolderNode(tmp_path, most_open=1)

    def read(number: int) -> None:
        node = tree.get("ab"[number % 2]).get(f"x{number % 8}")
        np.testing.assert_array_equal(node.read((slice(number % 20, None),)), GRID[number % 20 :] + number % 8)

    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(read, number) for number in range(400)]:
            done.result()
