"""NPY files read lazily, and never unpickled."""

import os

import numpy as np
import pytest

from databroker_like.errors import InvalidFile, MissingFile
from databroker_like.files._sequence import FileNames
from databroker_like.files.npy import NPYArray, npy_sequence
from databroker_like.testing._lazy_arrays import LazyArrayContract

DATA = np.arange(5 * 4 * 3).reshape(5, 4, 3)


class TestRowsFirst(LazyArrayContract):
    def make(self, folder):
        np.save(folder / "a.npy", DATA)
        return NPYArray(folder / "a.npy"), DATA


class TestColumnsFirst(LazyArrayContract):
    def make(self, folder):
        np.save(folder / "a.npy", np.asfortranarray(DATA))
        return NPYArray(folder / "a.npy"), DATA


class TestRecords(LazyArrayContract):
    def make(self, folder):
        data = np.array([(1, 0.5), (2, 0.25)], dtype=[("a", "i4"), ("b", "f8")])
        np.save(folder / "a.npy", data)
        return NPYArray(folder / "a.npy"), data

    def test_converts_and_copies_as_numpy_asks(self, pair):
        array, expected = pair
        np.testing.assert_array_equal(np.array(array, copy=True), expected)


class TestSequence(LazyArrayContract):
    def make(self, folder):
        for i, frame in enumerate(DATA):
            np.save(folder / f"ab12_{i}.npy", frame)
        return npy_sequence(FileNames(str(folder), "%s_%d.npy", "ab12"), range(5)), DATA


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("this folder must never be made",)


def test_a_pickle_is_never_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "a.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidFile, match="never loaded"):
        NPYArray(tmp_path / "a.npy")[0]
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


@pytest.mark.parametrize("shape", [(), (0,), (0, 3)])
def test_arrays_without_axes_or_elements_read(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.ones(shape))
    np.testing.assert_array_equal(np.asarray(NPYArray(tmp_path / "a.npy")), np.ones(shape))


@pytest.mark.parametrize("content", [b"", b"no NPY" * 99])
def test_what_is_no_npy_file_says_so(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(InvalidFile, match="cannot be read as an NPY file"):
        NPYArray(tmp_path / "a.npy")[0]


def test_a_file_cut_short_says_so(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(1000))
    os.truncate(tmp_path / "a.npy", 1000)
    with pytest.raises(InvalidFile, match="cut short"):
        NPYArray(tmp_path / "a.npy")[0]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFile, match=r"a\.npy"):
        NPYArray(tmp_path / "a.npy")[0]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("{'descr': '<f8', 'fortran_order': False}", "no type and shape"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", "a shape"),
        ("{'descr': 'nonsense', 'fortran_order': False, 'shape': (1,)}", "a type"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1e9,)}", "a shape"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (10**18,)}", "cannot be understood"),
        ("__import__('os').mkdir('x')", "cannot be understood"),
        ("(" * 5000, "cannot be understood"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}", "its header says"),
    ],
)
def test_a_header_that_makes_no_sense_says_so(tmp_path, header, said):
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(InvalidFile, match=said):
        NPYArray(tmp_path / "a.npy")[0]


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format_is_read(tmp_path, version):
    data = np.array([(1, 2.5)], dtype=[("a", "<i4"), ("b" if version < (3, 0) else "\u03b2", ">f8")])
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array(file, data, version=version)
    assert NPYArray(tmp_path / "a.npy")[0].tolist() == (1, 2.5)


def test_what_python_2_wrote_is_read(tmp_path):
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (2L,), }"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + np.arange(2).tobytes()
    (tmp_path / "a.npy").write_bytes(content)
    assert NPYArray(tmp_path / "a.npy")[:].tolist() == [0, 1]


def test_a_file_cut_short_while_it_is_read_is_an_error_and_not_the_end_of_the_process(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(1_000_000))
    array = NPYArray(tmp_path / "a.npy")

    def read():
        with array._open() as opened:
            os.truncate(tmp_path / "a.npy", 1000)
            array._read_box(opened, np.empty(1_000_000), (range(1_000_000),))

    with pytest.raises(InvalidFile, match="too early"):
        read()
