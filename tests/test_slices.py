"""Parts of arrays are written and read as text, and a text that is none is refused in a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from databroker_like.errors import Invalid, OutOfRange
from databroker_like.slices import (
    expand,
    format_shape,
    format_slices,
    normalize,
    parse_block,
    parse_shape,
    parse_slices,
    sliced_shape,
)

SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)


@given(SHAPES.flatmap(lambda shape: st.tuples(st.just(shape), arrays.basic_indices(shape))))
def test_a_slice_comes_back_from_its_text_and_has_the_shape_that_numpy_gives(asked: tuple) -> None:
    shape, index = asked
    text = format_slices(index)
    found = parse_slices(text)
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    assert np.array_equal(array[found], array[index])
    assert np.array_equal(array[expand(found, array.ndim)], array[index])
    assert sliced_shape(found, shape) == np.shape(array[index])
    assert parse_slices(format_slices(found)) == found


@given(st.text(alphabet="0123456789:,-. x", max_size=30))
def test_any_text_is_a_slice_or_refused(text: str) -> None:
    try:
        found = parse_slices(text)
    except Invalid:
        return
    assert parse_slices(format_slices(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "1,,2",
        ",",
        "::0",
        "1:2:3:4",
        "--1",
        "-",
        "1:-",
        "...,...",
        "1.5",
        "1e3",
        "\u0663",
        "9" * 20,
        str(1 << 63),
        "0," * 80,
    ],
)
def test_what_is_no_slice_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="slice"):
        parse_slices(text)


def test_an_error_shows_no_more_than_the_beginning_of_a_long_text() -> None:
    with pytest.raises(Invalid) as caught:
        parse_slices("x" * 100_000)
    assert len(str(caught.value)) < 400


def test_everything_is_the_empty_text() -> None:
    assert parse_slices("") == ()
    assert format_slices(()) == ""
    assert sliced_shape((), (2, 3)) == (2, 3)


@pytest.mark.parametrize("key", [None, True, 1.5, "1", [1, 2], np.array([True]), slice(0, 1.5), slice(None, None, 0)])
def test_only_indexes_and_slices_are_sent(key: object) -> None:
    with pytest.raises(Invalid):
        normalize(key)


def test_numbers_of_numpy_are_numbers() -> None:
    assert normalize(np.int16(3)) == (3,)
    assert normalize((slice(np.uint8(1), None), ...)) == (slice(1, None), Ellipsis)
    with pytest.raises(Invalid, match="only once"):
        normalize((..., ...))
    with pytest.raises(Invalid, match="65 indexes"):
        normalize((0,) * 65)


def test_more_indexes_than_axes_and_indexes_beyond_an_axis_are_refused() -> None:
    # As numpy says it: an IndexError.
    with pytest.raises(OutOfRange, match="3 indexes for an array of 2 axes"):
        sliced_shape((0, 0, 0), (2, 2))
    for index in (2, -3):
        with pytest.raises(OutOfRange, match="axis 1"):
            sliced_shape((0, index), (2, 2))


def test_blocks_and_shapes() -> None:
    assert parse_block("1, 0") == (1, 0)
    assert parse_block("") == ()
    assert parse_shape("scalar") == ()
    for shape in [(), (0,), (3, 4)]:
        assert parse_shape(format_shape(shape)) == shape
    for wrong in ("a", "-1", "1,", "1.0", "1," * 70, "9" * 30):
        with pytest.raises(Invalid):
            parse_block(wrong)
        with pytest.raises(Invalid):
            parse_shape(wrong)
