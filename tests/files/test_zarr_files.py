"""Zarr arrays, version 2 and 3, read lazily."""

import shutil
import sys

import numpy as np
import pytest
import zarr

from databroker_like.errors import InvalidFile, MissingExtra, MissingFile
from databroker_like.files.zarr import ZarrArray
from databroker_like.testing._lazy_arrays import LazyArrayContract

DATA = np.random.default_rng(5).normal(size=(6, 5, 4)).astype("float32")


def write(path, version=3, name=None, **how):
    array = zarr.create_array(
        path, name=name, shape=DATA.shape, dtype=DATA.dtype, chunks=(2, 5, 2), zarr_format=version, **how
    )
    array[:] = DATA
    return path


class TestVersion2(LazyArrayContract):
    def make(self, folder):
        return ZarrArray(write(folder / "a.zarr", 2)), DATA


class TestVersion3(LazyArrayContract):
    def make(self, folder):
        return ZarrArray(write(folder / "a.zarr", 3)), DATA


class TestSharded(LazyArrayContract):
    def make(self, folder):
        return ZarrArray(write(folder / "a.zarr", 3, shards=(4, 5, 4))), DATA


class TestInsideAGroup(LazyArrayContract):
    def make(self, folder):
        zarr.create_group(folder / "a.zarr").create_group("entry")
        return ZarrArray(write(folder / "a.zarr", name="entry/data"), "/entry/data"), DATA


def test_the_chunks_are_those_of_the_file(tmp_path):
    assert ZarrArray(write(tmp_path / "a.zarr")).chunks == (2, 5, 2)


def test_a_slice_reads_only_the_chunks_it_touches(tmp_path):
    write(tmp_path / "a.zarr")
    array = ZarrArray(tmp_path / "a.zarr")
    assert array.shape == DATA.shape
    for chunk in ("0", "2"):
        shutil.rmtree(tmp_path / "a.zarr" / "c" / chunk)
    np.testing.assert_array_equal(array[3], DATA[3])


def test_a_zip_file_reads(tmp_path):
    write(tmp_path / "a.zarr")
    shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path / "a.zarr")
    np.testing.assert_array_equal(ZarrArray(tmp_path / "a.zip")[1:3, ::2], DATA[1:3, ::2])


def test_the_only_array_of_a_group_needs_no_name(tmp_path):
    zarr.create_group(tmp_path / "a.zarr")
    write(tmp_path / "a.zarr", name="data")
    np.testing.assert_array_equal(ZarrArray(tmp_path / "a.zarr")[0], DATA[0])


def test_a_missing_array_lists_those_there_are(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr")
    for name in ("image", "dark"):
        group.create_array(name, shape=(2,), dtype="i4")
    with pytest.raises(InvalidFile, match="'imag' is not there; its arrays: 'image'"):
        ZarrArray(tmp_path / "a.zarr", "imag")[0]
    with pytest.raises(InvalidFile, match=r"the root is a group.*'dark', 'image'"):
        ZarrArray(tmp_path / "a.zarr")[0]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(MissingFile, match=r"a\.zarr"):
        ZarrArray(tmp_path / "a.zarr")[0]


def test_what_is_no_zarr_folder_says_so(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    for path in (tmp_path, tmp_path / "a.txt"):
        with pytest.raises(InvalidFile, match="cannot be read as a Zarr array"):
            ZarrArray(path)[0]


def test_a_damaged_chunk_says_so(tmp_path):
    write(tmp_path / "a.zarr")
    (tmp_path / "a.zarr" / "c" / "0" / "0" / "0").write_bytes(b"no chunk")
    with pytest.raises(InvalidFile, match="cannot be read as a Zarr array"):
        ZarrArray(tmp_path / "a.zarr")[0]


def test_a_shrunken_array_is_an_error(tmp_path):
    write(tmp_path / "a.zarr")
    array = ZarrArray(tmp_path / "a.zarr")
    assert len(array) == 6
    zarr.open_array(tmp_path / "a.zarr", mode="r+").resize((2, 5, 4))
    with pytest.raises(InvalidFile, match=r"\(2, 5, 4\) now and had \(6, 5, 4\)"):
        array[5]


def test_without_zarr_the_error_has_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingExtra, match=r"databroker-like\[zarr\]"):
        ZarrArray(tmp_path / "a.zarr")[0]
