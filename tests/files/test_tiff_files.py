"""TIFF files read lazily: pages of one, and one file to a frame."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from databroker_like.errors import InvalidFile, MissingExtra, MissingFile
from databroker_like.files._sequence import FileNames
from databroker_like.files.tiff import TIFFArray, tiff_sequence
from databroker_like.testing._lazy_arrays import LazyArrayContract, open_files

FRAMES = np.random.default_rng(3).integers(0, 60000, (6, 5, 4)).astype("uint16")


class TestOnePage(LazyArrayContract):
    def make(self, folder):
        tifffile.imwrite(folder / "a.tif", FRAMES[0])
        return TIFFArray(folder / "a.tif"), FRAMES[:1]


class TestContiguousPages(LazyArrayContract):
    def make(self, folder):
        tifffile.imwrite(folder / "a.tif", FRAMES, photometric="minisblack")
        return TIFFArray(folder / "a.tif"), FRAMES


class TestCompressedPages(LazyArrayContract):
    def make(self, folder):
        tifffile.imwrite(folder / "a.tif", FRAMES, photometric="minisblack", compression="zlib")
        return TIFFArray(folder / "a.tif"), FRAMES


class TestLzwTiles(LazyArrayContract):
    def make(self, folder):
        tifffile.imwrite(folder / "a.tif", FRAMES, photometric="minisblack", compression="lzw", tile=(16, 16))
        return TIFFArray(folder / "a.tif"), FRAMES


class TestPagesWrittenOneByOne(LazyArrayContract):
    """As a detector's file writer appends them."""

    def make(self, folder):
        with tifffile.TiffWriter(folder / "a.tif") as file:
            for frame in FRAMES:
                file.write(frame, contiguous=False)
        return TIFFArray(folder / "a.tif"), FRAMES


class TestBigEndianFile(LazyArrayContract):
    def make(self, folder):
        tifffile.imwrite(folder / "a.tif", FRAMES, byteorder=">", photometric="minisblack")
        return TIFFArray(folder / "a.tif"), FRAMES


class TestImageJStack(LazyArrayContract):
    def make(self, folder):
        tifffile.imwrite(folder / "a.tif", FRAMES, imagej=True)
        return TIFFArray(folder / "a.tif"), FRAMES


class TestColours(LazyArrayContract):
    def make(self, folder):
        data = np.random.default_rng(0).integers(0, 255, (2, 5, 4, 3)).astype("uint8")
        tifffile.imwrite(folder / "a.tif", data, photometric="rgb")
        return TIFFArray(folder / "a.tif"), data


class TestOneFileToAFrame(LazyArrayContract):
    def make(self, folder):
        for i, frame in enumerate(FRAMES):
            tifffile.imwrite(folder / f"img_{i:04d}.tif", frame)
        return tiff_sequence(FileNames(str(folder), "img_{:04d}.tif"), range(6)), FRAMES


class TestTwoPagesToAFile(LazyArrayContract):
    def make(self, folder):
        for i in range(3):
            tifffile.imwrite(folder / f"scan_{i:06d}.tif", FRAMES[2 * i : 2 * i + 2], photometric="minisblack")
        return tiff_sequence(FileNames(str(folder), "%s%s_%6.6d.tif", "scan"), range(3)), FRAMES


def sequence(folder, number=200):
    for i in range(number):
        tifffile.imwrite(folder / f"img_{i:04d}.tif", np.full((5, 4), i, "uint16"))
    return tiff_sequence(FileNames(str(folder), "img_{:04d}.tif"), range(number))


def test_one_frame_of_many_opens_one_file(tmp_path, monkeypatch):
    array = sequence(tmp_path)
    assert array.shape == (200, 5, 4)
    opened = []
    real = tifffile.TiffFile.__init__

    def counted(self, file, *args, **kwargs):
        opened.append(os.path.basename(file))
        real(self, file, *args, **kwargs)

    monkeypatch.setattr(tifffile.TiffFile, "__init__", counted)
    assert array[17, 0, 0] == 17
    assert opened == ["img_0017.tif"]
    assert array[-1:-4:-2, 0, 0].tolist() == [199, 197]
    assert sorted(opened[1:]) == ["img_0197.tif", "img_0199.tif"]
    assert open_files(tmp_path) == []


def test_one_page_of_many_decodes_one_page(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", FRAMES, photometric="minisblack", compression="zlib")
    array = TIFFArray(tmp_path / "a.tif")
    decoded = []
    for kind in (tifffile.TiffPage, tifffile.tifffile.TiffFrame):
        real = kind.asarray

        def recorded(self, *args, _real=real, **kwargs):
            decoded.append(self.index)
            return _real(self, *args, **kwargs)

        monkeypatch.setattr(kind, "asarray", recorded)
    np.testing.assert_array_equal(array[4], FRAMES[4])
    assert set(decoded) == {4}


def test_a_thumbnail_beside_the_frames_is_left_out(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(FRAMES, photometric="minisblack")
        file.write(FRAMES[0, :2, :2])
    assert TIFFArray(tmp_path / "a.tif").shape == FRAMES.shape


def test_a_missing_frame_is_named_and_the_others_read(tmp_path):
    array = sequence(tmp_path, 5)
    (tmp_path / "img_0003.tif").unlink()
    assert array[4, 0, 0] == 4
    with pytest.raises(MissingFile, match=r"img_0003\.tif"):
        array[:]


def test_a_frame_of_another_shape_is_named(tmp_path):
    array = sequence(tmp_path, 3)
    tifffile.imwrite(tmp_path / "img_0002.tif", np.zeros((2, 2), "uint16"))
    with pytest.raises(InvalidFile, match=r"img_0002\.tif has shape \(1, 2, 2\)"):
        array[:]


@pytest.mark.parametrize("content", [b"", b"no TIFF" * 99, b"II*\x00" + b"\xff" * 40])
def test_what_is_no_tiff_file_says_so(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InvalidFile, match=r"a\.tif' (cannot be read as|is) a TIFF file"):
        TIFFArray(tmp_path / "a.tif")[0]


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_file_cut_short_says_so(tmp_path, compression):
    data = np.random.default_rng(0).integers(0, 60000, (100, 100)).astype("uint16")
    tifffile.imwrite(tmp_path / "a.tif", data, compression=compression)
    size = (tmp_path / "a.tif").stat().st_size
    os.truncate(tmp_path / "a.tif", size // 2)
    with pytest.raises(InvalidFile, match="cannot be read as a TIFF file"):
        TIFFArray(tmp_path / "a.tif")[0]


def test_without_tifffile_the_error_has_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(MissingExtra, match=r"databroker-like\[files\]"):
        TIFFArray(tmp_path / "a.tif")[0]


NO_CODECS = """
import sys
sys.modules["imagecodecs"] = None
from databroker_like.errors import MissingExtra
from databroker_like.files.tiff import TIFFArray
try:
    TIFFArray(sys.argv[1])[0]
except MissingExtra as error:
    print(error)
"""


def test_without_the_codec_the_error_has_the_command_that_installs_it(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", FRAMES[0], compression="zstd")
    done = subprocess.run(
        [sys.executable, "-c", NO_CODECS, str(tmp_path / "a.tif")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert "'imagecodecs' is needed to read" in done.stdout
    assert "pip install 'databroker-like[files]'" in done.stdout


def test_a_page_that_says_more_pieces_than_there_are_is_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.zeros((64, 64), "u2"), rowsperstrip=8, compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tag = file.pages[0].tags["ImageLength"]
        at = tag.valueoffset
    with open(tmp_path / "a.tif", "r+b") as raw:
        raw.seek(at)
        raw.write((60_000).to_bytes(2, "little"))
    with pytest.raises(InvalidFile, match="pieces"):
        TIFFArray(tmp_path / "a.tif")[0, :3]
