"""TIFF, NPY, JPEG and PNG files, one or numbered, as nodes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from databroker_like.errors import InvalidFile
from databroker_like.nodes import ArrayNode, ContainerNode
from databroker_like.nodes._broken import BrokenNode
from databroker_like.nodes.files import FolderNode
from databroker_like.nodes.files._pictures import PICTURES
from tests.support.settling import settle

FRAME = np.arange(12, dtype="u2").reshape(3, 4)


def array_in(folder: Path, key: str) -> ArrayNode:
    """The array under a key."""
    node = FolderNode(folder).get(key)
    assert isinstance(node, ArrayNode), node and node.metadata
    return node


@pytest.mark.parametrize(
    ("frames", "options"),
    [
        (FRAME, {}),
        (np.stack([FRAME, FRAME + 1]), {"photometric": "minisblack"}),
        (np.stack([FRAME, FRAME + 1]), {"photometric": "minisblack", "compression": "zlib"}),
        (np.zeros((5, 6, 3), "u1"), {"photometric": "rgb"}),
        (FRAME.astype(">u2"), {"byteorder": ">"}),
        (FRAME.astype("f4"), {"metadata": None}),
    ],
    ids=["one page", "two pages", "compressed", "colours", "big-endian", "plain"],
)
def test_a_tiff_file_is_an_array_of_its_pages(tmp_path: Path, frames: Any, options: Any) -> None:
    tifffile.imwrite(tmp_path / "a.tif", frames, **options)
    node = array_in(tmp_path, "a")
    assert node.structure().shape == frames.shape
    np.testing.assert_array_equal(node.read(), frames)
    np.testing.assert_array_equal(node.read((..., slice(None, None, -2))), frames[..., ::-2])
    assert node.data_source().media_type == "image/tiff"
    assert node.metadata["ImageWidth"] == frames.shape[1 if options.get("photometric") == "rgb" else -1]
    assert type(node.metadata["Compression"]) is int


def test_of_a_tiff_file_only_the_pages_that_are_asked_for_are_read(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 60_000, (20, 100, 100)).astype("u2")
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for frame in frames:
            file.write(frame, compression="zlib", contiguous=False)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        offset = file.pages[5].dataoffsets[0]
    with open(tmp_path / "a.tif", "r+b") as raw:
        raw.seek(offset)
        raw.write(bytes(50))
    node = array_in(tmp_path, "a")
    np.testing.assert_array_equal(node.read((slice(6, 9),)), frames[6:9])
    with pytest.raises(InvalidFile, match=r"'a\.tif' cannot be read as a TIFF file") as caught:
        node.read((5,))
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_npy_file_is_an_array(tmp_path: Path, order: Any) -> None:
    data = np.asarray(np.arange(24).reshape(2, 3, 4), order=order)
    np.save(tmp_path / "a.npy", data)
    node = array_in(tmp_path, "a")
    assert node.read((1, slice(None), -1)).tolist() == data[1, :, -1].tolist()
    assert node.read((0, 0, 0)).shape == ()
    assert node.data_source().media_type == "application/x-npy"


def test_objects_in_an_npy_file_are_refused_and_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([1, "a", None], dtype=object), allow_pickle=True)
    node = FolderNode(tmp_path).get("a")
    assert isinstance(node, BrokenNode)
    assert "pickled objects are never loaded" in node.metadata["error"]


@pytest.mark.parametrize(
    ("name", "media_type"), [("a.png", "image/png"), ("a.jpg", "image/jpeg"), ("a.jpeg", "image/jpeg")]
)
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3)])
def test_a_picture_is_an_array(tmp_path: Path, name: str, media_type: str, shape: tuple[int, ...]) -> None:
    Image.fromarray(np.full(shape, 128, "u1")).save(tmp_path / name)
    node = array_in(tmp_path, "a")
    assert node.structure().shape == shape
    assert np.abs(node.read((0, 0)).astype(int) - 128).max() < 3
    assert node.data_source().media_type == media_type


def test_a_picture_that_is_not_what_its_name_says_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    Image.fromarray(np.zeros((3, 4), "u1")).save(tmp_path / "b.jpg", format="PNG")
    tree = FolderNode(tmp_path)
    assert isinstance(tree.get("a"), BrokenNode)
    assert isinstance(tree.get("b"), BrokenNode)


def write_numbered(folder: Path, form: str, number: int, frame: np.ndarray = FRAME) -> None:
    """One of numbered files."""
    if form == "npy":
        np.save(folder / f"i_{number}.npy", frame)
    elif form == "png":
        Image.fromarray(frame.astype("u1")).save(folder / f"i_{number}.png")
    else:
        tifffile.imwrite(folder / f"i_{number}.tif", frame)


@pytest.mark.parametrize("form", ["tif", "npy", "png"])
def test_numbered_files_are_one_array_that_grows(tmp_path: Path, form: str) -> None:
    tree = FolderNode(tmp_path)
    for number in range(12):
        write_numbered(tmp_path, form, number, FRAME + number)
        node = tree.get("i_")
        assert node.structure().shape == (number + 1, 3, 4)
        assert node.read((-1, 0, 1)) == number + 1
    assert list(tree.keys()) == ["i_"]
    assert node.read((slice(None, None, 5), 0, 0)).tolist() == [0, 5, 10]
    assert [asset.num for asset in node.data_source().assets] == list(range(12))
    assert node.data_source().assets[10].name.startswith("i_10.")
    (tmp_path / f"i_3.{form}").unlink()
    assert tree.get("i_").read((slice(None), 0, 0)).tolist() == [0, 1, 2, *range(4, 12)]


def test_of_numbered_files_only_those_that_are_asked_for_are_opened(tmp_path: Path) -> None:
    for number in range(6):
        write_numbered(tmp_path, "tif", number, FRAME + number)
    (tmp_path / "i_3.tif").write_bytes(b"damaged")
    node = array_in(tmp_path, "i_")
    assert node.read((slice(4, None), 0, 0)).tolist() == [4, 5]
    with pytest.raises(InvalidFile, match=r"'i_3\.tif' cannot be read") as caught:
        node.read()
    assert str(tmp_path) not in str(caught.value)


def test_a_block_of_small_numbered_files_opens_not_too_many(tmp_path: Path) -> None:
    np.save(tmp_path / "i_0.npy", FRAME)
    for number in range(1, 600):
        os.link(tmp_path / "i_0.npy", tmp_path / f"i_{number}.npy")
    node = array_in(tmp_path, "i_")
    assert node.structure().chunks == ((256, 256, 88), (3,), (4,))
    assert node.read_block((2, 0, 0)).shape == (88, 3, 4)


def test_numbered_files_of_several_pages_have_an_axis_for_them(tmp_path: Path) -> None:
    for number in range(3):
        tifffile.imwrite(tmp_path / f"i_{number}.tif", np.stack([FRAME, FRAME + number]), photometric="minisblack")
    node = array_in(tmp_path, "i_")
    assert node.structure().shape == (3, 2, 3, 4)
    tifffile.imwrite(tmp_path / "i_1.tif", FRAME)
    with pytest.raises(InvalidFile, match="shape"):
        node.read((1,))


def test_a_file_of_several_pages_among_others_of_one_is_not_taken_for_its_first(tmp_path: Path) -> None:
    for number in range(3):
        write_numbered(tmp_path, "tif", number)
    node = array_in(tmp_path, "i_")
    tifffile.imwrite(tmp_path / "i_2.tif", np.stack([FRAME, FRAME]), photometric="minisblack")
    with pytest.raises(InvalidFile, match="2 pages"):
        node.read()


@pytest.mark.parametrize("form", ["tif", "npy", "png"])
def test_numbered_files_of_several_shapes_are_each_an_array(tmp_path: Path, form: str) -> None:
    frames = [FRAME, FRAME[:2], FRAME[:, :3]]
    for number, frame in enumerate(frames):
        write_numbered(tmp_path, form, number, frame)
    (tmp_path / f"i_10.{form}").write_bytes(b"damaged")
    node = FolderNode(tmp_path).get("i_")
    assert isinstance(node, ContainerNode)
    assert node.metadata == {}
    assert list(node.keys()) == ["i_0", "i_1", "i_2", "i_10"]
    for number, frame in enumerate(frames):
        assert node.get(f"i_{number}").read().tolist() == frame.tolist()
    assert isinstance(node.get("i_10"), BrokenNode)
    assert node.get("i_3") is None
    (tmp_path / f"i_1.{form}").unlink()
    assert node.get("i_1") is None


def test_numbered_files_of_several_types_are_each_an_array_unless_the_first_can_hold_the_others(tmp_path: Path) -> None:
    for number, kind in enumerate(["f4", "u1"]):
        np.save(tmp_path / f"held_{number}.npy", FRAME.astype(kind))
        np.save(tmp_path / f"kept_{1 - number}.npy", FRAME.astype(kind))
    assert array_in(tmp_path, "held_").structure().shape == (2, 3, 4)
    node = FolderNode(tmp_path).get("kept_")
    assert isinstance(node, ContainerNode)
    assert [one.structure().data_type.itemsize for _, one in node.items()] == [1, 4]


def test_where_the_first_of_numbered_files_is_damaged_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "i_0.npy").write_bytes(b"damaged")
    tree = FolderNode(tmp_path)
    assert isinstance(tree.get("i_"), BrokenNode)
    write_numbered(tmp_path, "npy", 1)
    node = tree.get("i_")
    assert isinstance(node.get("i_0"), BrokenNode)
    assert node.get("i_1").read().tolist() == FRAME.tolist()
    write_numbered(tmp_path, "npy", 0)
    assert tree.get("i_").structure().shape == (2, 3, 4)


def test_numbered_files_are_one_array_again_when_they_are_alike_again(tmp_path: Path) -> None:
    tree = FolderNode(tmp_path)
    for number, is_array in [(2, False), (3, True), (2, False)]:
        write_numbered(tmp_path, "npy", 0)
        write_numbered(tmp_path, "npy", 1, FRAME[:number])
        settle(tmp_path)
        os.utime(tmp_path / "i_1.npy", (number, number))
        for _ in range(2):
            assert isinstance(tree.get("i_"), ArrayNode) == is_array


def test_names_that_say_one_number_twice_are_told_apart(tmp_path: Path) -> None:
    for name, width in [("i_1.tif", 4), ("i_1.tiff", 3), ("i_01.tif", 2)]:
        tifffile.imwrite(tmp_path / name, FRAME[:, :width])
    node = FolderNode(tmp_path).get("i_")
    assert {key: one.structure().shape[1] for key, one in node.items()} == {"i_01": 2, "i_1.tif": 4, "i_1.tiff": 3}


def test_of_very_many_numbered_files_some_are_looked_at_and_the_headers_of_these_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "i_0.npy", FRAME)
    for number in range(1, 600):
        os.link(tmp_path / "i_0.npy", tmp_path / f"i_{number}.npy")
    settle(tmp_path)
    looked: list[str] = []
    reader, *rest = PICTURES["npy"]

    def counted(path: str) -> Any:
        looked.append(os.path.basename(path))
        return reader(path)

    monkeypatch.setattr("databroker_like.nodes.files._numbered.PICTURES", {"npy": (counted, *rest)})
    tree = FolderNode(tmp_path)
    assert tree.get("i_").structure().shape == (600, 3, 4)
    assert len(looked) == len(set(looked)) == 100
    assert {"i_0.npy", "i_599.npy"} < set(looked)
    write_numbered(tmp_path, "npy", 600, FRAME[:2])
    settle(tmp_path)
    assert list(tree.get("i_").keys())[-1] == "i_600"
    assert looked.count("i_0.npy") == 1


def test_a_numbered_file_that_is_changed_makes_another_version(tmp_path: Path) -> None:
    for number in range(3):
        write_numbered(tmp_path, "npy", number)
    settle(tmp_path)
    tree = FolderNode(tmp_path)
    before = tree.get("i_").version
    np.save(tmp_path / "i_1.npy", FRAME + 100)
    assert tree.get("i_").version != before
    assert tree.get("i_").read((1, 0, 0)) == 100


def test_an_array_whose_file_is_replaced_by_another_shape_is_an_error_or_the_new_one(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", FRAME)
    tree = FolderNode(tmp_path)
    node = tree.get("a")
    np.save(tmp_path / "a.npy", FRAME[0])
    with pytest.raises(InvalidFile, match="replaced"):
        node.read()
    assert tree.get("a").read().tolist() == [0, 1, 2, 3]
    os.truncate(tmp_path / "a.npy", 130)
    with pytest.raises(InvalidFile, match="cannot be read"):
        node.read((0, 0))
    assert isinstance(tree.get("a"), BrokenNode)


@given(data=st.data())
def test_any_slice_of_pages_and_of_numbered_files_is_what_numpy_gives(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shape = (data.draw(st.integers(1, 4)), 3, 5)
    frames = np.arange(np.prod(shape), dtype="u2").reshape(shape)
    folder = tmp_path_factory.mktemp("tiff")
    tifffile.imwrite(folder / "pages.tif", frames, photometric="minisblack")
    np.save(folder / "all.npy", frames)
    for number, frame in enumerate(frames):
        write_numbered(folder, "tif", number, frame)
    tree = FolderNode(folder)
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=False))
    index = index if isinstance(index, tuple) else (index,)
    for key in ("i_", "all", *(["pages"] if len(frames) > 1 else [])):
        np.testing.assert_array_equal(tree.get(key).read(index), frames[index])
