"""Pictures read lazily."""

import os
import sys

import numpy as np
import pytest
from PIL import Image

from databroker_like.errors import InvalidFile, MissingExtra, MissingFile
from databroker_like.files._sequence import FileNames
from databroker_like.files.jpeg import JPEGArray, jpeg_sequence
from databroker_like.testing._lazy_arrays import LazyArrayContract

GREY = (np.arange(7 * 9).reshape(7, 9) * 3).astype("uint8")
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)


def written(path, data):
    Image.fromarray(data).save(path)
    with Image.open(path) as image:
        return np.array(image)


class TestGrey(LazyArrayContract):
    def make(self, folder):
        data = written(folder / "a.jpg", GREY)
        assert np.abs(data.astype(int) - GREY).max() < 20
        return JPEGArray(folder / "a.jpg"), data


class TestColour(LazyArrayContract):
    def make(self, folder):
        return JPEGArray(folder / "a.jpg"), written(folder / "a.jpg", COLOUR)


class TestPng(LazyArrayContract):
    def make(self, folder):
        written(folder / "a.png", GREY.astype("uint16") * 200)
        return JPEGArray(folder / "a.png"), GREY.astype("uint16") * 200


class TestSequence(LazyArrayContract):
    def make(self, folder):
        data = [written(folder / f"scan_{i:03d}.jpg", np.roll(COLOUR, i, 1)) for i in range(4)]
        return jpeg_sequence(FileNames(str(folder), "%s%s_%3.3d.jpg", "scan"), range(4)), np.stack(data)


def test_one_picture_of_many_opens_one_file(tmp_path, monkeypatch):
    for i in range(50):
        written(tmp_path / f"{i}.jpg", GREY)
    array = jpeg_sequence(FileNames(str(tmp_path), "{}.jpg"), range(50))
    assert array.shape == (50, 7, 9)
    opened = []
    real = Image.open

    def counted(path, *args, **kwargs):
        opened.append(os.path.basename(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(Image, "open", counted)
    assert array[33].shape == (7, 9)
    assert opened == ["33.jpg"]


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(MissingFile, match=r"a\.jpg"):
        JPEGArray(tmp_path / "a.jpg")[0]


@pytest.mark.parametrize("content", [b"", b"no picture" * 99])
def test_what_is_no_picture_says_so(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(InvalidFile, match="cannot be read as an image file"):
        JPEGArray(tmp_path / "a.jpg")[0]


def test_a_picture_cut_short_says_so(tmp_path):
    written(tmp_path / "a.jpg", np.random.default_rng(0).integers(0, 255, (99, 99)).astype("uint8"))
    os.truncate(tmp_path / "a.jpg", 2000)
    with pytest.raises(InvalidFile, match="truncated"):
        JPEGArray(tmp_path / "a.jpg")[0]


def test_without_pillow_the_error_has_the_command_that_installs_it(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtra, match=r"databroker-like\[files\]"):
        JPEGArray(tmp_path / "a.jpg")[0]
