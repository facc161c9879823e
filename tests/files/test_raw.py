"""Elements read where they lie in a file."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.files import _raw
from databroker_like.files._raw import read_elements
from databroker_like.files._select import lengths, slices

DTYPES = ["u1", "<i4", ">f8", "?", "S3", "<U2", "<M8[ns]", [("a", "<i2"), ("b", ">f4", (2,))]]


@st.composite
def boxes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[range, ...]]:
    """A shape, and a box in it."""
    shape = tuple(draw(st.lists(st.integers(1, 7), max_size=4)))
    box = []
    for length in shape:
        start = draw(st.integers(0, length - 1))
        box.append(range(start, draw(st.integers(start + 1, length)), draw(st.integers(1, 4))))
    return shape, tuple(box)


@given(boxes(), st.sampled_from(DTYPES), st.sampled_from([1, 16, 100, 1 << 20]), st.booleans())
def test_a_box_is_what_numpy_has_there(shaped: object, described: object, span: int, other_order: bool) -> None:
    shape, box = shaped  # type: ignore[misc]
    dtype = np.dtype(described)
    raw = np.random.default_rng(0).integers(0, 128, (int(np.prod(shape)) * dtype.itemsize,), "u1").tobytes()
    if dtype.kind == "b":
        raw = bytes(value % 2 for value in raw)
    if dtype.kind == "U":
        raw = np.frombuffer(raw, "<u4").astype("<u4").__mod__(1000).astype("<u4").tobytes()
    expected = np.frombuffer(raw, dtype).reshape(shape)[slices(box)]
    out = np.empty(lengths(box)[::-1], dtype).T if other_order else np.empty(lengths(box), dtype.newbyteorder("="))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_raw, "_SPAN_BYTES", span)
        read_elements(io.BytesIO(b"12345" + raw), 5, dtype, shape, out, box)
    assert out.astype(expected.dtype).tobytes() == np.ascontiguousarray(expected).tobytes()


def test_only_the_part_that_is_wanted_is_read(tmp_path: Path) -> None:
    shape = (1000, 1000, 10)

    class Counting(io.FileIO):
        count = 0

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            found = super().readinto(buffer)
            self.count += found or 0
            return found or 0

    with open(tmp_path / "a", "wb") as file:
        file.truncate(10_000_000)
    with Counting(tmp_path / "a") as file:
        out = np.empty((1, 2, 10), "u1")
        read_elements(file, 0, np.dtype("u1"), shape, out, (range(500, 501), range(3, 5), range(10)))
        assert file.count == 20
        out = np.empty((2, 1, 1), "u1")
        read_elements(file, 0, np.dtype("u1"), shape, out, (range(0, 1000, 999), range(1), range(1)))
        assert file.count == 22


def test_a_file_that_ends_too_early_says_so() -> None:
    with pytest.raises(EOFError, match="too early"):
        read_elements(io.BytesIO(b"123"), 0, np.dtype("u1"), (4,), np.empty(4, "u1"), (range(4),))


def test_texts_of_no_length_are_read() -> None:
    out = np.empty((2,), "S0")
    read_elements(io.BytesIO(), 0, np.dtype("S0"), (2,), out, (range(2),))
