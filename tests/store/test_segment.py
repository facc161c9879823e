"""Segments: pages come back to the letter, a column and a row at a time, and read as any Arrow file."""

from __future__ import annotations

import dataclasses
import functools
import math
import pickle
import random
import struct
import uuid
from typing import Any

import numpy
import pandas
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.core import BlueskyRun
from databroker_like.core._columns import check_lengths, page_size, slice_page
from databroker_like.core._pages import (
    concat_event_pages,
    interlace_event_pages,
    rechunk_event_pages,
    slice_pages,
    unpack_event_page,
)
from databroker_like.core._source import RunSource
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.errors import InvalidDocument, InvalidFile
from databroker_like.store import _segment
from databroker_like.store._looks import look_at
from databroker_like.store._segment import Segment, encode_segment
from databroker_like.store._segment_columns import StoredValues
from databroker_like.testing import _runs as samples
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
    shape, events = spelled(parts[0])[0], [event for page in parts for event in spelled(page)[1]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_segment, "BATCH_ROWS", data.draw(st.integers(1, 7)))
        segment = Segment(encode_segment(parts, compression=compression))
    assert segment.rows == len(events)
    page = segment.page("d")
    assert spelled(page) == (shape, events)
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


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """The columns that are read, and which rows."""
    found: list[tuple[str, int, int]] = []
    original = Segment.column

    def column(self: Segment, number: int, start: int, stop: int) -> Any:
        found.append((self.schema.field(number).name, start, stop))
        return original(self, number, start, stop)

    monkeypatch.setattr(Segment, "column", column)
    return found


def test_a_column_is_read_when_it_is_touched_and_once(touched):
    page = Segment(encode_segment([page_of({"x": [1.0, 2.0], "y": [3, 4]}, 2)])).page("d")
    assert page_size(page) == 2
    assert list(page) == ["descriptor", "uid", "time", "seq_num", "data", "timestamps", "filled"]
    assert list(page["data"]) == ["x", "y"]
    assert "x" in page["data"]
    assert "z" not in page["data"]
    assert page["data"].get("z") is None
    assert len(page["data"]) == 2
    assert page["descriptor"] == "d"
    assert "filled" in page
    assert touched == []
    assert page["data"]["x"].tolist() == [1.0, 2.0]
    assert page["data"]["x"].tolist() == [1.0, 2.0]
    assert touched == [("data.x", 0, 2)]
    with pytest.raises(KeyError):
        page["no such column"]
    with pytest.raises(KeyError):
        page["data"]["z"]


def test_cutting_pages_reads_nothing_and_then_only_the_rows_left(touched, monkeypatch):
    monkeypatch.setattr(_segment, "BATCH_ROWS", 10)
    pages = [page_of({"x": [float(n) for n in range(100)]}, 100)]
    segment = Segment(encode_segment(pages))
    (part,) = slice_pages([segment.page("d")], skip=33, limit=4)
    assert page_size(slice_page(part, 1, 3)) == 2
    assert touched == []
    read = []
    batches = segment.batches

    def counted(*args: Any) -> Any:
        for batch in batches(*args):
            read.append(batch.num_rows)
            yield batch

    segment.batches = counted
    assert slice_page(part, 1, 3)["data"]["x"].tolist() == [34.0, 35.0]
    assert read == [2]
    assert touched == [("data.x", 34, 36)]
    assert segment.page("d", 5, 5)["data"]["x"] == []
    assert [page_size(page) for page in rechunk_event_pages([segment.page("d")], 40)] == [40, 40, 20]


def test_record_batches_are_bounded_by_rows_and_by_bytes(monkeypatch):
    frames = numpy.zeros((20, 64, 64), "<u2")
    monkeypatch.setattr(_segment, "BATCH_BYTES", 3 * frames[0].nbytes + 1000)
    segment = Segment(encode_segment([page_of({"image": frames}, 20)], compression=None))
    assert segment.step == 3
    assert segment.page("d").step == 3
    monkeypatch.setattr(_segment, "BATCH_ROWS", 2)
    assert Segment(encode_segment([page_of({"image": frames}, 20)])).step == 2


def test_any_arrow_reader_sees_the_columns_under_their_names():
    ids = [str(uuid.UUID(int=n)) for n in range(3)]
    page = page_of({"x": [1.5, math.nan, 2.5], "label": ["a", "b", "c"], "odd": [1, None, "x"]}, 3, uid=ids)
    page["data"]["image"] = numpy.arange(12, dtype="<u2").reshape(3, 2, 2)
    page["data"]["flags"] = [[True, False]] * 3
    page["timestamps"] = {}
    page["filled"] = {"x": [True, True, True]}
    table = pyarrow.ipc.open_file(encode_segment([page], compression="zstd")).read_all()
    assert {field.name: str(field.type) for field in table.schema} == {
        "time": "double",
        "uid": "fixed_size_binary[16]",
        "seq_num": "int64",
        "data.x": "double",
        "data.label": "string",
        "data.odd": "binary",
        "data.image": "extension<arrow.fixed_shape_tensor[value_type=uint16, shape=[2,2]]>",
        "data.flags": "fixed_size_list<item: bool>[2]",
        "filled.x": "bool",
    }
    assert table["uid"].to_pylist() == [uuid.UUID(text).bytes for text in ids]
    numpy.testing.assert_array_equal(table["data.image"].combine_chunks().to_numpy_ndarray(), page["data"]["image"])
    frame = table.select(["time", "data.x", "data.label"]).to_pandas()
    pandas.testing.assert_series_equal(frame["data.x"], pandas.Series([1.5, math.nan, 2.5], name="data.x"))
    assert frame["data.label"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_a_file_mapped_into_memory_is_read_in_place(tmp_path, compression):
    page = page_of({"x": numpy.arange(1000.0)}, 1000)
    (tmp_path / "a.arrow").write_bytes(encode_segment([page], compression=compression))
    segment = Segment(pyarrow.memory_map(str(tmp_path / "a.arrow")).read_buffer())
    assert segment.page("d", 10, 12)["data"]["x"].tolist() == [10.0, 11.0]
    assert spelled(pickle.loads(pickle.dumps(segment)).page("d")) == spelled(page)


def test_lists_of_numbers_are_an_array_to_whoever_wants_one_and_lists_to_others():
    values = [[[n, n + 1]] for n in range(4)]
    column = Segment(encode_segment([page_of({"x": values}, 4)])).page("d")["data"]["x"]
    assert isinstance(column, StoredValues)
    assert len(column) == 4
    assert list(column) == values == column.tolist()
    assert column[-1] == values[-1]
    assert isinstance(column[1:3], StoredValues)
    assert column[1:3].tolist() == values[1:3]
    numpy.testing.assert_array_equal(numpy.asarray(column), numpy.array(values))
    assert numpy.asarray(column, dtype=float).dtype == float
    numbers = StoredValues(numpy.arange(2, dtype="<u2"))
    assert [type(value) for value in numbers] == [numpy.uint16] * 2
    assert type(numbers[0]) is numpy.uint16


def test_pages_of_segments_go_wherever_pages_go():
    pages = [page_of({"x": [float(n), 1.0], "list": [[n, 2], [3, 4]], "any": [None, 1]}, 2) for n in range(3)]
    stored = [Segment(encode_segment([page])).page("d") for page in pages]
    assert spelled(concat_event_pages(stored)) == spelled(concat_event_pages(pages))
    for one, other in zip(rechunk_event_pages(stored, 4), rechunk_event_pages(pages, 4), strict=True):
        assert spelled(one) == spelled(other)
    merged = zip(interlace_event_pages(stored, stored), interlace_event_pages(pages, pages), strict=True)
    assert [spelled(one) for one, _ in merged] == [spelled(other) for other in interlace_event_pages(pages, pages)]
    assert [check_lengths(page) for page in stored] == [2, 2, 2]
    mixed = concat_event_pages([stored[0], pages[1]])
    assert spelled(mixed) == spelled(concat_event_pages(pages[:2]))


class _Stored:
    """The pages of a source as they are read from segments."""

    def __init__(self, source: RunSource) -> None:
        self.segments = {
            doc["uid"]: [
                encode_segment([page]).to_pybytes() for page in source.get_event_pages(doc["uid"]) if page_size(page)
            ]
            for doc in source.get_event_descriptors()
        }

    def pages(self, uid: str, skip: int = 0, limit: int | None = None) -> Any:
        return slice_pages([Segment(raw).page(uid) for raw in self.segments[uid]], skip, limit)


def _ragged(**metadata: Any) -> Any:
    run = samples._Recording(**metadata)
    key = {"source": "s", "dtype": "array", "shape": [None]}
    stream = run.stream("primary", {"ragged": key, "none": key, "wide": key, "wave": key})
    for n in range(4):
        run.event(
            stream,
            {"ragged": [1.5] * n, "none": None if n else 1, "wide": [n] * 20, "wave": numpy.arange(3) + n},
        )
    return run.stop()


@pytest.mark.parametrize("kind", [*samples.SAMPLES.values(), _ragged], ids=lambda f: f.__name__)
def test_a_run_whose_pages_are_segments_reads_as_it_does_without(kind):
    catalog = BlueskyInMemoryCatalog()
    for name, doc in kind(uid="abc"):
        catalog.v1.insert(name, doc)
    plain = catalog["abc"]
    source = plain._header.source
    stored = BlueskyRun.from_source(dataclasses.replace(source, get_event_pages=_Stored(source).pages))
    for fill in ("no", "yes"):
        assert [(name, letters_of(doc)) for name, doc in stored.documents(fill=fill)] == [
            (name, letters_of(doc)) for name, doc in plain.documents(fill=fill)
        ]
    for name in plain:
        for read in (lambda s: s.read(), lambda s: s.to_dask().compute(), lambda s: s.timestamps.read()):
            one, other = read(plain[name]), read(stored[name])
            assert list(one.variables) == list(other.variables)
            for key in one.variables:
                same_array(one[key], other[key])


def letters_of(doc: Any) -> Any:
    return letters({key: dict(value) if hasattr(value, "items") else value for key, value in dict(doc).items()})


def same_array(one: Any, other: Any) -> None:
    assert one.dims == other.dims
    assert one.dtype == other.dtype
    assert one.attrs == other.attrs
    assert one.shape == other.shape
    for a, b in zip(numpy.ravel(one.values), numpy.ravel(other.values), strict=True):
        numpy.testing.assert_array_equal(a, b)


def test_pages_with_other_keys_make_no_one_segment():
    with pytest.raises(InvalidDocument, match="differ in their keys"):
        encode_segment([page_of({"x": [1]}, 1), page_of({"y": [1]}, 1)])
    with pytest.raises(InvalidDocument, match="differ in their keys"):
        encode_segment([page_of({"x": [1], "y": [1]}, 1), page_of({"y": [1], "x": [1]}, 1)])
    with pytest.raises(InvalidDocument, match="differ in their keys"):
        encode_segment([page_of({}, 1), page_of({}, 1, descriptor="e")])


def test_what_makes_no_segment_is_refused_with_the_reason():
    with pytest.raises(InvalidDocument, match="without any event"):
        encode_segment([page_of({}, 0)])
    with pytest.raises(InvalidDocument, match=r"data\.x' has 1 values"):
        encode_segment([page_of({"x": [1]}, 2)])
    with pytest.raises(InvalidDocument, match="object cannot be written"):
        encode_segment([page_of({"x": [object()]}, 1)])
    with pytest.raises(InvalidDocument, match="no text that can be written"):
        encode_segment([page_of({"\ud800": [1]}, 1)])


def test_what_else_stands_in_a_page_comes_back():
    page = page_of({"x": [1]}, 1, more={"a": (1, 2.5)})
    assert Segment(encode_segment([page])).page("d")["more"] == {"a": (1, 2.5)}


@functools.cache
def _whole(compression: Any) -> bytes:
    columns = {
        "float": [1.5] * 7,
        "text": ["abc" * n for n in range(7)],
        "any": [1, None, "x", {"a": 1}, [1], 2.5, b"x"],
        "list": [[1, 2]] * 7,
        "flag": [True] * 7,
        "flags": [[True, False]] * 7,
        "image": numpy.arange(28.0).reshape(7, 2, 2),
        "raw": numpy.arange(14).astype("c16").reshape(7, 2),
    }
    page = page_of(columns, 7, uid=[str(uuid.UUID(int=n)) for n in range(7)])
    return encode_segment([page], compression=compression).to_pybytes()


def _read_all(raw: bytes) -> None:
    for _ in unpack_event_page(Segment(raw).page("d", 1)):
        pass


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_a_damaged_segment_is_told_of_and_harms_nothing(compression):
    whole = _whole(compression)
    _read_all(whole)
    rng, refused = random.Random(7), 0
    for _ in range(300):
        raw = bytearray(whole)
        for _ in range(rng.choice([1, 1, 3])):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        if rng.random() < 0.2:
            del raw[rng.randrange(len(raw)) :]
        try:
            _read_all(bytes(raw))
        except InvalidFile:
            refused += 1
    assert refused > 50


def test_bytes_that_are_no_segment_are_told_apart():
    table = pyarrow.table({"uid": ["a"]})
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_file(sink, table.schema) as file:
        file.write_table(table)
    for raw in (b"", b"no arrow file at all", sink.getvalue()):
        with pytest.raises(InvalidFile, match="no segment of events"):
            Segment(raw)


def test_a_segment_of_a_later_version_says_so(monkeypatch):
    monkeypatch.setattr(_segment, "_VERSION", 2)
    raw = encode_segment([page_of({}, 1)])
    monkeypatch.undo()
    with pytest.raises(InvalidFile, match="version 2, which a later databroker_like wrote"):
        Segment(raw)
