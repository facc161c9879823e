"""Parts, rows, groups and stacks of lazy arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.errors import Invalid, InvalidFile
from databroker_like.files._lazy import (
    Concatenated,
    Grouped,
    MemoryArray,
    Sliced,
    Stacked,
    View,
    Window,
    concatenate,
    stack,
    view,
)
from databroker_like.files.npy import NPYArray
from databroker_like.testing._lazy_arrays import LazyArrayContract, basic_keys

DATA = np.arange(6 * 4 * 3).reshape(6, 4, 3)


def on_disk(folder, data=DATA, name="a.npy"):
    np.save(folder / name, data)
    return NPYArray(folder / name)


class TestSliced(LazyArrayContract):
    def make(self, folder):
        key = (slice(None, None, -2), None, slice(1, 4), 1)
        return Sliced(on_disk(folder), key), DATA[key]


class TestSlicedTwice(LazyArrayContract):
    def make(self, folder):
        first, second = (slice(5, 0, -1), ..., 2), (slice(None, None, -2), slice(1, None))
        return view(view(on_disk(folder), first), second), DATA[first][second]


class TestView(LazyArrayContract):
    def make(self, folder):
        return View(on_disk(folder)), DATA


class TestWindow(LazyArrayContract):
    def make(self, folder):
        return Window(on_disk(folder), 1, 5), DATA[1:5]


class TestGrouped(LazyArrayContract):
    def make(self, folder):
        return Grouped(on_disk(folder), 2), DATA.reshape(3, 2, 4, 3)


class TestGroupedByOne(LazyArrayContract):
    def make(self, folder):
        return Grouped(on_disk(folder), 1), DATA[:, None]


class TestGroupedColumns(LazyArrayContract):
    """Memory that does not lie in one piece, under groups."""

    def make(self, folder):
        return Sliced(Grouped(on_disk(folder), 3), (..., 1)), DATA.reshape(2, 3, 4, 3)[..., 1]


class TestStacked(LazyArrayContract):
    def make(self, folder):
        return Stacked([on_disk(folder, frame, f"{i}.npy") for i, frame in enumerate(DATA)]), DATA


class TestConcatenated(LazyArrayContract):
    def make(self, folder):
        parts = [on_disk(folder, part, f"{i}.npy") for i, part in enumerate((DATA[:1], DATA[1:4], DATA[4:]))]
        return Concatenated(parts), DATA


class TestStackOfRows(LazyArrayContract):
    def make(self, folder):
        array = on_disk(folder)
        return stack([view(array, i) for i in (0, 1, 2, 5, 4, 3)]), DATA[[0, 1, 2, 5, 4, 3]]


class TestStackOfGroups(LazyArrayContract):
    def make(self, folder):
        array = on_disk(folder)
        return stack([view(array, slice(i, i + 2)) for i in (0, 2, 4)]), DATA.reshape(3, 2, 4, 3)


class TestConcatenatedWithNothingBetween(LazyArrayContract):
    def make(self, folder):
        empty = on_disk(folder, DATA[:0], "none.npy")
        return concatenate([on_disk(folder), empty, Window(on_disk(folder), 2, 2), view(on_disk(folder), ...)]), (
            np.concatenate([DATA, DATA])
        )


def test_a_part_knows_its_chunks():
    array = Sliced(MemoryArray(DATA), (slice(0, 2), None, slice(None), 0))
    assert array.chunks == (2, 1, 4)


@given(st.data())
def test_a_view_of_a_view_is_the_numpy_view_of_a_view(data):
    first = data.draw(basic_keys(DATA.shape))
    once = np.asarray(DATA[first])
    second = data.draw(basic_keys(once.shape))
    twice = view(view(MemoryArray(DATA), first), second)
    np.testing.assert_array_equal(np.asarray(twice), once[second])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.data())
def test_any_order_of_rows_stacks_as_numpy_takes_them(order, data):
    array = stack([view(MemoryArray(DATA), i) for i in order])
    key = data.draw(basic_keys((len(order), 4, 3)))
    np.testing.assert_array_equal(array[key], DATA[order][key])


def test_neighbouring_rows_become_one_window():
    array = MemoryArray(DATA)
    assert isinstance(stack([view(array, i) for i in range(6)]), Window)
    assert isinstance(stack([view(array, slice(i, i + 3)) for i in (0, 3)]), Grouped)


def test_equal_arrays_made_apart_are_joined_too(tmp_path):
    on_disk(tmp_path)
    assert isinstance(stack([view(NPYArray(tmp_path / "a.npy"), np.int64(i)) for i in range(6)]), Window)


def test_a_window_beyond_the_end_names_both_numbers(tmp_path):
    window = Window(on_disk(tmp_path), 2, 9)
    assert window.rows == 7
    with pytest.raises(InvalidFile, match=r"a\.npy holds 6 rows and 9 were announced"):
        _ = window.shape
    with pytest.raises(InvalidFile, match="holds 6 rows and 9 were announced"):
        window[0]


def test_a_window_must_be_one():
    for start, stop in ((-1, 2), (3, 2)):
        with pytest.raises(Invalid, match="no window"):
            Window(MemoryArray(DATA), start, stop)


def test_groups_that_do_not_come_out_even_are_refused():
    with pytest.raises(InvalidFile, match="4 rows at a time"):
        _ = Grouped(MemoryArray(DATA), 4).shape
    with pytest.raises(Invalid, match="groups of 0"):
        Grouped(MemoryArray(DATA), 0)


def test_parts_of_different_shapes_are_named():
    with pytest.raises(InvalidFile, match=r"part 1 .*\(2, 4\), the others \(3, 4\)"):
        Stacked([MemoryArray(np.zeros((3, 4))), MemoryArray(np.zeros((2, 4)))])[:]
    with pytest.raises(InvalidFile, match="part 1"):
        Concatenated([MemoryArray(np.zeros((3, 4))), MemoryArray(np.zeros((3, 5)))])[:]


def test_parts_that_the_first_type_cannot_hold_are_refused():
    with pytest.raises(InvalidFile, match="holds uint16, the first uint8"):
        Stacked([MemoryArray(np.zeros(2, "u1")), MemoryArray(np.zeros(2, "u2"))])[:]
    wide = Stacked([MemoryArray(np.zeros(2, "u2")), MemoryArray(np.full(2, 9, "u1"))])
    assert wide[1].tolist() == [9, 9]
    assert wide[1].dtype == np.uint16


def test_nothing_to_put_together_is_refused():
    for make in (Stacked, Concatenated, stack):
        with pytest.raises(Invalid, match="at least one"):
            make([])
    with pytest.raises(Invalid, match="stack them"):
        _ = Concatenated([MemoryArray(1), MemoryArray(2)]).shape


def test_reading_into_another_type_converts_where_numpy_would():
    array = MemoryArray(np.array([1, 2], "u2"))
    assert array.read_into(np.empty(2, "f4")).tolist() == [1.0, 2.0]
    with pytest.raises(Invalid, match="cannot read float64 into an array of int32"):
        MemoryArray([0.5]).read_into(np.empty(1, "i4"))


def test_only_the_parts_touched_are_opened(tmp_path):
    parts = [on_disk(tmp_path, frame, f"{i}.npy") for i, frame in enumerate(DATA)]
    stacked = Stacked(parts)
    assert stacked.shape == DATA.shape
    for path in tmp_path.glob("[!4].npy"):
        path.unlink()
    np.testing.assert_array_equal(stacked[4, 1:], DATA[4, 1:])
