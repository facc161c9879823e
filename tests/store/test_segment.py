"""Segments: pages come back to the letter, a column and a row at a time, and read as any Arrow file."""

from __future__ import annotations

import math
import pickle
import struct
import uuid
from typing import Any

import numpy
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.core._columns import check_lengths, page_size, slice_page
from databroker_like.core._pages import concat_event_pages, rechunk_event_pages, unpack_event_page
from databroker_like.errors import InvalidDocument, InvalidFile
from databroker_like.store import _segment
from databroker_like.store._looks import look_at
from databroker_like.store._segment import Segment, encode_segment
from databroker_like.testing import _strategies


def letters(value: Any) -> Any:
    """A value as what two equal ones share, down to the types and the bits."""
    if isinstance(value, numpy.ndarray):
        return "array", value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, numpy.generic):
        return type(value).__name__, value.dtype.str, value.tobytes()
    if isinstance(value, dict):
        return "dict", [(letters(key), letters(inner)) for key, inner in value.items()]
    if isinstance(value, list | tuple):
        return type(value).__name__, [letters(inner) for inner in value]
    if type(value) is float:
        return "float", struct.pack("<d", value)
    return type(value).__name__, value


def spelled(page: Any) -> Any:
    """A page to the letter, as events; an array stands for its values."""
    shape = list(page), {group: list(page[group]) for group in ("data", "timestamps", "filled") if group in page}
    return shape, [letters(event) for event in unpack_event_page(page)]


def page_of(columns: dict[str, Any], rows: int, **more: Any) -> dict[str, Any]:
    return {
        "descriptor": "d",
        "uid": [f"e{n}" for n in range(rows)],
        "time": [float(n) for n in range(rows)],
        "seq_num": list(range(1, rows + 1)),
        "data": columns,
        "timestamps": {key: [float(n) for n in range(rows)] for key in columns},
        "filled": {},
        **more,
    }


_NUMPY = st.sampled_from(["<f4", "<f8", "<f2", ">f8", "<i2", "<u8", "|u1", "?", "<c16", "<U3", "|S3", "<M8[ns]", ">i4"])


@st.composite
def _arrays(draw: st.DrawFn) -> numpy.ndarray:
    dtype, shape = numpy.dtype(draw(_NUMPY)), tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
    size = math.prod(shape)
    if dtype.kind == "U":
        return numpy.array(draw(st.lists(st.sampled_from("abé"), min_size=size, max_size=size)), dtype).reshape(shape)
    raw = draw(st.binary(min_size=size * dtype.itemsize, max_size=size * dtype.itemsize))
    if dtype.kind == "b":
        return (numpy.frombuffer(raw, "u1") % 2).astype(bool).reshape(shape)
    return numpy.frombuffer(raw, dtype).reshape(shape)


_FLOATS = st.one_of(st.floats(), st.binary(min_size=8, max_size=8).map(lambda raw: struct.unpack("<d", raw)[0]))
_ANYTHING = st.one_of(
    _strategies.values,
    _FLOATS,
    st.integers(),
    st.integers(2**63, 2**64 - 1),
    st.text(st.characters(exclude_categories=[])),
    st.binary(max_size=4),
    st.complex_numbers(allow_nan=False),
    st.dictionaries(st.text(max_size=2), _strategies.values, max_size=2),
    st.uuids().map(str),
    st.uuids().map(lambda u: str(u).upper()),
    st.tuples(st.floats(allow_nan=False), st.integers()),
    st.floats(width=32).map(numpy.float32),
    _FLOATS.map(numpy.float64),
    st.integers(0, 9).map(numpy.int64),
    st.booleans().map(numpy.bool_),
    _arrays(),
)
_ONE_KIND = [
    _FLOATS,
    st.integers(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(2**63, 2**64 - 1),
    st.booleans(),
    st.none(),
    st.text(st.characters(exclude_categories=[]), max_size=4),
    st.uuids().map(str),
    st.binary(max_size=4),
    _FLOATS.map(numpy.float64),
    st.floats(width=32).map(numpy.float32),
    st.integers(0, 9).map(numpy.uint16),
    st.lists(_FLOATS, min_size=2, max_size=2),
    st.lists(st.integers(-5, 5), max_size=2),
    st.lists(st.lists(st.booleans(), min_size=1, max_size=1), min_size=3, max_size=3),
    st.lists(st.lists(st.text(max_size=2), min_size=2, max_size=2), min_size=1, max_size=1),
    st.lists(st.one_of(st.floats(allow_nan=False), st.integers()), min_size=2, max_size=2),
    _ANYTHING,
]


@st.composite
def _columns(draw: st.DrawFn, rows: int) -> Any:
    """A list of one kind or of anything; an array of any number of dimensions."""
    which = draw(st.integers(0, len(_ONE_KIND) + 3))
    if which < len(_ONE_KIND):
        return draw(st.lists(_ONE_KIND[which], min_size=rows, max_size=rows))
    one = draw(_arrays())
    if which == len(_ONE_KIND):
        return numpy.broadcast_to(one, (rows, *one.shape))
    if which == len(_ONE_KIND) + 1:
        return [one.copy() for _ in range(rows)]
    return numpy.array(draw(st.lists(st.floats(width=16), min_size=rows, max_size=rows)), draw(_NUMPY.filter(_is_real)))


def _is_real(dtype: str) -> bool:
    return numpy.dtype(dtype).kind == "f"


_DATA_KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)


@st.composite
def pages(draw: st.DrawFn) -> list[dict[str, Any]]:
    """One to three pages with the same keys, whose columns may be of other kinds in each."""
    data = draw(st.lists(_DATA_KEYS, max_size=3, unique=True))
    timestamps = draw(st.permutations(data))
    filled = draw(st.none() | st.just([]) | st.permutations(data))
    order = draw(st.permutations(["descriptor", "uid", "time", "seq_num", "data", "timestamps"]))
    found = []
    for _ in range(draw(st.integers(1, 3))):
        rows = draw(st.integers(1, 5))
        ids = st.uuids().map(str) | st.text(max_size=3)
        page = {
            "descriptor": "d",
            "uid": draw(st.lists(ids, min_size=rows, max_size=rows)),
            "time": draw(_columns(rows)),
            "seq_num": list(range(rows)),
            "data": {key: draw(_columns(rows)) for key in data},
            "timestamps": {key: draw(_columns(rows)) for key in timestamps},
        }
        page = {key: page[key] for key in order}
        if filled is not None:
            page["filled"] = {key: draw(_columns(rows)) for key in filled}
        found.append(page)
    return found


@given(pages(), st.sampled_from([None, "lz4", "zstd"]), st.data())
def test_pages_come_back_to_the_letter_whole_and_in_parts(parts, compression, data):
    (shape, *_), events = spelled(parts[0])[0], [event for page in parts for event in spelled(page)[1]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_segment, "BATCH_ROWS", data.draw(st.integers(1, 7)))
        segment = Segment(encode_segment(parts, compression=compression))
    assert segment.rows == len(events)
    page = segment.page("d")
    assert spelled(page) == (spelled(parts[0])[0], events)
    begin = data.draw(st.integers(0, len(events)))
    end = data.draw(st.integers(begin, len(events)))
    assert spelled(segment.page("d", begin, end))[1] == events[begin:end]
    assert spelled(slice_page(page, begin, end))[1] == events[begin:end]
    again = Segment(encode_segment([segment.page("d"), pickle.loads(pickle.dumps(page))]))
    assert spelled(again.page("d"))[1] == events * 2


@given(pages())
def test_what_a_column_looks_like_is_known_without_reading_it(parts):
    segment = Segment(encode_segment(parts))
    page = segment.page("d")
    looks = {key: page.look("data", key) for key in page["data"]}
    assert page._held == {}
    for key, look in looks.items():
        assert look == look_at(page["data"][key]), key
    assert page.look("data", "none of these") is None
