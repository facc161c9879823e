"""Columns of CSV files read lazily."""

import numpy as np
import pytest

from databroker_like.errors import InvalidFile, MissingFile
from databroker_like.files.csv import CSVArray, column_names
from databroker_like.testing._lazy_arrays import LazyArrayContract

TABLE = "count, current,name\n1,0.5,one\n2,,two\n3,0.25,three\n"
MATRIX = "1,0.5\n2,0.25\n3,0.125\n"


def write(path, text=TABLE):
    path.write_text(text)
    return path


class TestIntegers(LazyArrayContract):
    def make(self, folder):
        return CSVArray(write(folder / "a.csv"), "count"), np.array([1, 2, 3])


class TestNumbersWithAGap(LazyArrayContract):
    def make(self, folder):
        return CSVArray(write(folder / "a.csv"), "current"), np.array([0.5, np.nan, 0.25])


class TestWords(LazyArrayContract):
    def make(self, folder):
        return CSVArray(write(folder / "a.csv"), "name"), np.array(["one", "two", "three"], dtype=object)


class TestAllColumnsWithoutAHeader(LazyArrayContract):
    def make(self, folder):
        path = write(folder / "a.csv", MATRIX)
        return CSVArray(path, header=False), np.array([[1, 0.5], [2, 0.25], [3, 0.125]])


class TestAColumnByItsPosition(LazyArrayContract):
    def make(self, folder):
        return CSVArray(write(folder / "a.csv", MATRIX), 0, header=False), np.array([1, 2, 3])


def test_columns_have_names_or_numbers(tmp_path):
    assert column_names(write(tmp_path / "a.csv")) == ["count", "current", "name"]
    assert column_names(write(tmp_path / "b.csv", MATRIX), header=False) == ["0", "1"]


def test_a_slice_parses_no_further_than_it_needs(tmp_path):
    array = CSVArray(write(tmp_path / "a.csv", "x\n1\n2\n3\n"), "x")
    assert array.dtype == np.int64
    write(tmp_path / "a.csv", "x\n1\n2\nthis is no number\n")
    assert array[:2].tolist() == [1, 2]


def test_a_missing_column_names_the_nearest(tmp_path):
    with pytest.raises(InvalidFile, match="no column 'curent'; its columns: 'count', 'current'"):
        CSVArray(write(tmp_path / "a.csv"), "curent")[0]
    with pytest.raises(InvalidFile, match="no column 7; its columns: 2, counted from 0"):
        CSVArray(write(tmp_path / "b.csv", MATRIX), 7, header=False)[0]


def test_columns_of_different_kinds_are_no_array(tmp_path):
    with pytest.raises(InvalidFile, match=r"columns of numbers and of text.*'name'"):
        CSVArray(write(tmp_path / "a.csv"))[0]


def test_a_shorter_file_is_an_error(tmp_path):
    array = CSVArray(write(tmp_path / "a.csv"), "count")
    assert len(array) == 3
    write(tmp_path / "a.csv", "count\n1\n")
    with pytest.raises(InvalidFile, match="has 1 rows now and had 3"):
        array[2]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\xfa\n", b"a,b\n1,2,3\n4,5\n1,2,3,4,5\n"])
def test_what_is_no_csv_file_says_so(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InvalidFile, match="cannot be read as a CSV file"):
        CSVArray(tmp_path / "a.csv")[0]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFile, match=r"a\.csv"):
        CSVArray(tmp_path / "a.csv", "x")[0]
