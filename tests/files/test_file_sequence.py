"""Names of numbered files."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.errors import Invalid
from databroker_like.files._sequence import FileNames, FileSequence
from databroker_like.files.npy import NPYArray, npy_sequence


@pytest.mark.parametrize(
    ("template", "filename", "expected"),
    [
        ("img_{:06d}.tif", "", "/d/img_000042.tif"),
        ("img_{}.tif", "", "/d/img_42.tif"),
        ("img_{0:03}.tif", "", "/d/img_042.tif"),
        ("%s%s_%6.6d.tif", "scan", "/d/scan_000042.tif"),
        ("%s%s_%d.npy", "ab", "/d/ab_42.npy"),
        ("%05i.jpg", "", "/d/00042.jpg"),
    ],
)
def test_both_ways_of_writing_a_template_are_understood(template, filename, expected):
    assert FileNames("/d", template, filename).path(42) == expected


@given(st.integers(0, 10**7), st.integers(1, 9))
def test_both_ways_give_the_same_name(number, width):
    old, new = FileNames("/d", f"a_%0{width}d.tif"), FileNames("/d", f"a_{{:0{width}d}}.tif")
    assert old.path(number) == new.path(number)


def test_a_template_without_a_place_for_the_number_is_refused():
    with pytest.raises(Invalid, match="no place for the number"):
        FileNames("/d", "img.tif")


@pytest.mark.parametrize("template", ["../{}.tif", "/etc/{}", "a/../../{}.tif"])
def test_a_template_that_leads_out_of_its_folder_is_refused(template):
    with pytest.raises(Invalid, match="leads out of its folder"):
        FileNames("/d", template)


def test_a_template_reads_no_attributes_of_the_number():
    with pytest.raises(Invalid, match="no place"):
        FileNames("/d", "{0.__class__}.tif")


def test_a_template_that_formats_no_number_says_so():
    with pytest.raises(Invalid, match="cannot be filled in"):
        FileNames("/d", "img_{:q}.tif")


def test_a_sequence_of_no_files_is_refused():
    with pytest.raises(Invalid, match="at least one"):
        npy_sequence(FileNames("/d", "{}.npy"), range(0))


def test_a_long_sequence_costs_nothing_to_make_or_to_pickle(tmp_path):
    np.save(tmp_path / "0.npy", [1, 2])
    array = npy_sequence(FileNames(str(tmp_path), "{}.npy"), range(10**9))
    assert array.shape == (10**9, 2)
    assert len(pickle.dumps(array)) < 1000
    assert array[0].tolist() == [1, 2]


def test_sequences_that_read_the_same_are_equal_by_identity():
    names = FileNames("/d", "{}.npy")
    assert npy_sequence(names, range(3)).identity == npy_sequence(names, range(3)).identity
    assert npy_sequence(names, range(3)).identity != npy_sequence(names, range(4)).identity
    assert FileSequence(NPYArray, names, range(3)).identity == npy_sequence(names, range(3)).identity
