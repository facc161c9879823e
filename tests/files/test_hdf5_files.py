"""HDF5 datasets read lazily from real files, as h5py and detectors write them."""

import os
import subprocess
import sys
import time

import h5py
import hdf5plugin
import numpy as np
import pytest

from databroker_like.errors import InvalidFile, MissingExtra, MissingFile, NotWritable
from databroker_like.files import hdf5
from databroker_like.files._lazy import stack, view
from databroker_like.files.hdf5 import HDF5Array, dataset_names
from databroker_like.testing._lazy_arrays import LazyArrayContract, open_files

FRAMES = np.random.default_rng(7).integers(0, 60000, (6, 5, 4)).astype("uint16")


def write(path, data=FRAMES, name="entry/data/data", **how):
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=data, **how)
    return path


class TestContiguous(LazyArrayContract):
    def make(self, folder):
        return HDF5Array(write(folder / "a.h5"), "entry/data/data"), FRAMES


class TestChunked(LazyArrayContract):
    def make(self, folder):
        return HDF5Array(write(folder / "a.h5", chunks=(2, 3, 4)), ("entry", "data", "data")), FRAMES


class TestGzipAndShuffle(LazyArrayContract):
    def make(self, folder):
        path = write(folder / "a.h5", chunks=(1, 5, 4), compression="gzip", shuffle=True)
        return HDF5Array(path, "/entry/data/data"), FRAMES


class TestBlosc(LazyArrayContract):
    def make(self, folder):
        path = write(folder / "a.h5", chunks=(1, 5, 4), **hdf5plugin.Blosc(cname="lz4"))
        return HDF5Array(path, "entry/data/data"), FRAMES


class TestBigEndianNumbers(LazyArrayContract):
    def make(self, folder):
        data = np.linspace(0, 1, 7).astype(">f4")
        return HDF5Array(write(folder / "a.h5", data), "entry/data/data"), data


class TestText(LazyArrayContract):
    def make(self, folder):
        data = np.array(["grün", "", "red"], dtype=object)
        return HDF5Array(write(folder / "a.h5", data, dtype=h5py.string_dtype()), "entry/data/data"), data


class TestSwmrFlag(LazyArrayContract):
    def make(self, folder):
        return HDF5Array(write(folder / "a.h5", chunks=(1, 5, 4)), "entry/data/data", swmr=True), FRAMES


class TestVirtualDataset(LazyArrayContract):
    def make(self, folder):
        layout = h5py.VirtualLayout(FRAMES.shape, FRAMES.dtype)
        for i in range(2):
            write(folder / f"{i}.h5", FRAMES[3 * i : 3 * i + 3], "data")
            layout[3 * i : 3 * i + 3] = h5py.VirtualSource(f"{i}.h5", "data", (3, 5, 4))
        with h5py.File(folder / "all.h5", "w") as file:
            file.create_virtual_dataset("data", layout)
        return HDF5Array(folder / "all.h5", "data"), FRAMES


def test_one_number_without_axes_reads(tmp_path):
    array = HDF5Array(write(tmp_path / "a.h5", np.float32(1.5)), "entry/data/data")
    assert array.shape == ()
    assert array[()] == 1.5
    assert np.asarray(array).dtype == np.float32


def test_an_axis_of_no_length_reads_nothing(tmp_path):
    array = HDF5Array(write(tmp_path / "a.h5", np.empty((0, 3)), maxshape=(None, 3)), "entry/data/data")
    assert array[:].shape == (0, 3)
    assert np.asarray(array).dtype == np.float64


def count_opens(monkeypatch):
    opened = []
    real = hdf5._opened

    def counted(h5py, path, swmr):
        opened.append(path)
        return real(h5py, path, swmr)

    monkeypatch.setattr(hdf5, "_opened", counted)
    return opened


def test_one_frame_opens_the_file_once_and_reads_one_frame(tmp_path, monkeypatch):
    array = HDF5Array(write(tmp_path / "a.h5", chunks=(1, 5, 4)), "entry/data/data")
    opened = count_opens(monkeypatch)
    read = []
    real = h5py.Dataset.read_direct

    def recorded(self, dest, *args, **kwargs):
        read.append(dest.size)
        return real(self, dest, *args, **kwargs)

    monkeypatch.setattr(h5py.Dataset, "read_direct", recorded)
    np.testing.assert_array_equal(array[3], FRAMES[3])
    assert opened == [str(tmp_path / "a.h5")]
    assert read == [20]


def test_neighbouring_frames_stacked_are_read_in_one_go(tmp_path, monkeypatch):
    path = write(tmp_path / "a.h5", chunks=(1, 5, 4))
    frames = stack([view(HDF5Array(path, "entry/data/data"), i) for i in range(6)])
    opened = count_opens(monkeypatch)
    np.testing.assert_array_equal(np.asarray(frames), FRAMES)
    assert opened == [str(path)] * len(opened)
    assert len(opened) <= 2


def test_scattered_frames_of_one_file_share_one_opening(tmp_path, monkeypatch):
    path = write(tmp_path / "a.h5", chunks=(1, 5, 4))
    order = [5, 1, 3, 0]
    frames = stack([view(HDF5Array(path, "entry/data/data"), i) for i in order])
    assert frames.shape == (4, 5, 4)
    opened = count_opens(monkeypatch)
    np.testing.assert_array_equal(frames[:], FRAMES[order])
    assert len(opened) == 1


def test_a_missing_dataset_lists_those_there_are_nearest_first(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name in ("entry/data/data", "entry/sum", "zeta"):
            file[name] = [1]
    assert dataset_names(path) == ["entry/data/data", "entry/sum", "zeta"]
    with pytest.raises(InvalidFile) as caught:
        _ = HDF5Array(path, "/entry/data/dat").shape
    message = str(caught.value)
    assert "'/entry/data/dat' is not there" in message
    assert message.index("entry/data/data") < message.index("zeta")


def test_a_group_in_place_of_a_dataset_is_said_to_be_one(tmp_path):
    write(tmp_path / "a.h5")
    with pytest.raises(InvalidFile, match=r"'entry/data' is a group.*'entry/data/data'"):
        HDF5Array(tmp_path / "a.h5", "entry/data")[0]


def test_a_missing_file_names_its_path(tmp_path):
    with pytest.raises(MissingFile, match=r"no file '.*nowhere\.h5'"):
        HDF5Array(tmp_path / "nowhere.h5", "data")[0]


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all" * 99])
def test_another_kind_of_file_is_no_hdf5_file(tmp_path, content):
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(InvalidFile, match="cannot be read as an HDF5 file") as caught:
        HDF5Array(path, "data")[0]
    assert str(path) in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


def test_a_file_cut_short_is_said_to_be_one(tmp_path):
    path = write(tmp_path / "a.h5", np.zeros((50, 100)))
    os.truncate(path, 20_000)
    with pytest.raises(InvalidFile, match="truncated"):
        HDF5Array(path, "entry/data/data")[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(tmp_path):
    path = write(tmp_path / "a.h5")
    path.chmod(0)
    with pytest.raises(NotWritable, match="may not be read"):
        HDF5Array(path, "entry/data/data")[0]


def test_a_replaced_file_is_read_anew_and_a_shrunken_one_is_an_error(tmp_path):
    path = write(tmp_path / "a.h5")
    array = HDF5Array(path, "entry/data/data")
    assert array[0, 0, 0] == FRAMES[0, 0, 0]
    write(path, FRAMES + 1)
    assert array[0, 0, 0] == FRAMES[0, 0, 0] + 1
    write(path, FRAMES[:2])
    with pytest.raises(InvalidFile, match=r"\(2, 5, 4\) now and had \(6, 5, 4\)"):
        array[5]


def test_a_file_open_elsewhere_in_this_process_reads(tmp_path):
    path = write(tmp_path / "a.h5")
    with h5py.File(path, "r"):
        np.testing.assert_array_equal(HDF5Array(path, "entry/data/data")[2], FRAMES[2])
    with h5py.File(path, "r", locking=False):
        np.testing.assert_array_equal(HDF5Array(path, "entry/data/data")[2], FRAMES[2])


WRITER = """
import sys, h5py, numpy as np
with h5py.File(sys.argv[1], "w", libver="latest") as file:
    data = file.create_dataset("data", shape=(0, 3), maxshape=(None, 3), chunks=(1, 3), dtype="i4")
    file.swmr_mode = True
    for i in range(int(sys.stdin.readline())):
        data.resize(i + 1, 0)
        data[i] = i
    data.flush()
    print("ready", flush=True)
    sys.stdin.readline()
"""


def test_a_file_that_another_process_is_writing_reads(tmp_path):
    path = tmp_path / "a.h5"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        writer.stdin.write("4\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "ready\n"
        array = HDF5Array(path, "data", swmr=True)
        assert array.shape == (4, 3)
        assert array[-1].tolist() == [3, 3, 3]
        # The document need not say that it is being written.
        assert HDF5Array(path, "data")[1:3, 0].tolist() == [1, 2]
        writer.stdin.write("\n")
        writer.stdin.flush()
        assert writer.wait(300) == 0
    assert open_files(tmp_path) == []


def test_without_h5py_the_error_has_the_command_that_installs_it(tmp_path, monkeypatch):
    write(tmp_path / "a.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtra, match=r"pip install 'databroker-like\[files\]'"):
        HDF5Array(tmp_path / "a.h5", "entry/data/data")[0]


def test_without_the_filters_the_error_has_the_command_that_installs_them(tmp_path, monkeypatch):
    path = write(tmp_path / "a.h5", chunks=(1, 5, 4), **hdf5plugin.Zstd())
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(MissingExtra, match=r"hdf5plugin.*pip install 'databroker-like\[files\]'"):
        HDF5Array(path, "entry/data/data")[0]


def test_a_damaged_file_is_refused_at_once(tmp_path):
    """And not looked at again and again, as one that is being written would be."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update({"title": "x", "n": [0, 1, 2]})
        file["x"] = [1]
    content = bytearray(path.read_bytes())
    # How long the rest of the header of the root group is.
    content[131] = 0xD6
    path.write_bytes(content)
    begun = time.monotonic()
    with pytest.raises(InvalidFile, match="cannot be read as an HDF5 file"):
        HDF5Array(path, "x")[:]
    assert time.monotonic() - begun < 45


def test_a_name_that_is_no_utf_8_is_in_the_way_of_no_other(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["good"] = [1, 2]
        file[b"b\xe4d"] = [3]
    assert HDF5Array(path, "good")[:].tolist() == [1, 2]
    assert dataset_names(path) == ["good"]
    with pytest.raises(InvalidFile, match="'goof' is not there; the file has 'good'"):
        _ = HDF5Array(path, "goof").shape
