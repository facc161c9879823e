"""Pages joined into columns."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.core._rows import as_array, fitted, join_column, ragged
from databroker_like.errors import Invalid

VALUES = (
    st.lists(st.floats(allow_nan=False))
    | st.lists(st.integers(-(2**62), 2**62))
    | st.lists(st.booleans())
    | st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
    | st.lists(st.none() | st.integers(-5, 5))
    | st.lists(st.lists(st.integers(-5, 5), min_size=2, max_size=2))
    | st.lists(st.lists(st.integers(-5, 5), max_size=3))
)


def same(one: Any, other: Any) -> bool:
    return getattr(one, "tolist", lambda: one)() == getattr(other, "tolist", lambda: other)()


@given(VALUES, st.lists(st.integers(0, 10), max_size=3), st.booleans())
def test_pages_joined_are_the_values_however_they_were_cut(values: list[Any], cuts: list[int], arrays: bool) -> None:
    whole = as_array(values)
    edges = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    parts: list[Any] = [values[a:b] for a, b in itertools.pairwise(edges)]
    if arrays and whole.dtype.kind in "fib":
        parts = [np.asarray(part, dtype=whole.dtype).reshape(len(part), *whole.shape[1:]) for part in parts]
    column = join_column(parts)
    assert column.dtype == whole.dtype
    assert column.shape == whole.shape
    assert all(same(a, b) for a, b in zip(column, whole, strict=True))


@given(VALUES)
def test_no_value_is_changed(values: list[Any]) -> None:
    column = as_array(values)
    assert len(column) == len(values)
    assert all(same(found, value) for found, value in zip(column.tolist(), values, strict=True))


def test_a_joined_column_is_nobody_elses() -> None:
    part = np.arange(3)
    assert not np.shares_memory(join_column([part]), part)


@pytest.mark.parametrize(
    ("parts", "kind", "shape"),
    [
        ([[1], [2.5]], "f", (2,)),
        ([np.array([1]), np.array([2.5])], "f", (2,)),
        ([np.array([1.5]), ["a"]], "U", (2,)),
        ([np.zeros((1, 2)), np.zeros((2, 2))], "f", (3, 2)),
        ([np.zeros((1, 2)), np.zeros((2, 3))], "O", (3,)),
        ([[[1, 2]], [[1]]], "O", (2,)),
        ([[{"a": 1}], [{"b": 2}]], "O", (2,)),
        ([[], np.array([1])], "i", (1,)),
    ],
)
def test_pages_of_different_kinds_join(parts: list[Any], kind: str, shape: tuple[int, ...]) -> None:
    column = join_column(parts)
    assert (column.dtype.kind, column.shape) == (kind, shape)


def test_rows_are_fitted_to_the_whole_column() -> None:
    assert fitted(np.array([1]), np.dtype("float64"), ()).dtype == "float64"
    assert fitted(np.array([[1, 2]]), np.dtype(object), ()).shape == (1,)
    with pytest.raises(Invalid, match=r"rows of shape \(2,\) have come to a column of shape \(3,\)"):
        fitted(np.array([[1, 2]]), np.dtype("int64"), (3,))


def test_ragged_values_keep_their_own_dtypes() -> None:
    column = ragged([[1, 2], [1.5], "x", None])
    assert [getattr(value, "dtype", None) for value in column] == [np.dtype("int64"), np.dtype("float64"), None, None]
