"""BSON documents become columns at once where they are laid out alike, and say exactly what each of them says."""

from __future__ import annotations

import datetime

import bson
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.drivers._mongo_bson import uniform_columns
from databroker_like.drivers._mongo_pages import BATCH, pages
from databroker_like.drivers._mongo_server import MongoServer
from databroker_like.testing._alike import assert_alike


def encoded(*documents):
    return b"".join(bson.encode(document) for document in documents)


def rows(columns, count):
    """The documents that columns stand for."""
    found = []
    for number in range(count):
        found.append(
            {
                key: {name: _at(column, number) for name, column in value.items()}
                if isinstance(value, dict)
                else _at(value, number)
                for key, value in columns.items()
            }
        )
    return found


def _at(column, number):
    return column.tolist()[number] if isinstance(column, numpy.ndarray) else column[number]


_KEYS = st.text(st.sampled_from("abé 0.$"), min_size=1, max_size=3)
_SAME = {
    "float": st.floats(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(2**31, 2**63 - 1),
    "bool": st.booleans(),
    "string": st.text(st.characters(max_codepoint=127, min_codepoint=1), min_size=3, max_size=3),
    "empty": st.just(""),
    "none": st.none(),
    "list": st.lists(st.floats(), min_size=2, max_size=2),
    "nested": st.lists(st.lists(st.integers(-5, 5), min_size=3, max_size=3), min_size=2, max_size=2),
    "empty list": st.just([]),
}


@st.composite
def alike(draw):
    """Documents of one layout."""
    shape = draw(st.dictionaries(_KEYS, st.sampled_from(sorted(_SAME)), max_size=5))
    document = st.fixed_dictionaries(
        {
            "uid": _SAME["string"],
            "time": _SAME["float"],
            "seq_num": _SAME["int"],
            "data": st.fixed_dictionaries({key: _SAME[kind] for key, kind in shape.items()}),
            "filled": st.just({}),
        }
    )
    found = draw(st.lists(document, min_size=1, max_size=6))
    first = found[0]
    return [
        {**{key: each[key] for key in first}, "data": {k: each["data"][k] for k in first["data"]}} for each in found
    ]


@given(alike())
def test_documents_of_one_layout_become_columns_to_the_letter(documents):
    columns = uniform_columns(encoded(*({"_id": bson.ObjectId(), **document} for document in documents)))
    assert columns is not None
    assert_alike(rows(columns, len(documents)), documents)


_ANY = st.recursive(
    st.one_of(*_SAME.values(), st.text(max_size=3), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=2)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=2),
    max_leaves=4,
)


@given(st.lists(st.fixed_dictionaries({"n": _ANY, "data": st.dictionaries(_KEYS, _ANY, max_size=2)}), max_size=4))
def test_any_documents_become_the_columns_of_what_they_say_or_none(documents):
    columns = uniform_columns(encoded(*documents))
    if columns is not None:
        assert_alike(rows(columns, len(documents)), documents)


@pytest.mark.parametrize(
    "documents",
    [
        [{"x": 1}, {"x": 2**40}],
        [{"x": 1.0}, {"x": 2**40}],
        [{"x": "a"}, {"x": "ab"}],
        [{"x": "é"}],
        [{"x": "a\0"}],
        [{"x": 1.0}, {"y": 1.0}],
        [{"x": [1, 2.0]}],
        [{"x": [[1], [1, 2]]}],
        [{"x": [{"y": 1}]}],
        [{"x": [[], []]}],
        [{"x": {"y": 1}}],
        [{"data": {"x": {"y": 1}}}],
        [{"data": [1]}],
        [{"x": datetime.datetime(2020, 1, 1)}],
        [{"x": b"bytes"}],
        [{"x": [1, 2]}, {"x": [1, "2"]}],
        [],
    ],
)
def test_documents_that_are_not_alike_are_left_to_be_decoded(documents):
    assert uniform_columns(encoded(*documents)) is None


@pytest.mark.parametrize(
    "raw", [b"", b"\x00", b"\x05\x00\x00\x00\x00\x05", b"\xff\xff\xff\x7f\x00", b"\x06\x00\x00\x00\x01\x00"]
)
def test_what_is_no_bson_is_no_columns(raw):
    assert not uniform_columns(raw)


@pytest.mark.parametrize("count", [BATCH - 1, BATCH, BATCH + 1])
def test_pages_of_a_cursor_go_over_batches_and_layouts(mongo_server, count):
    server = MongoServer(mongo_server())
    documents = [
        {
            "uid": f"{number:06}",
            "descriptor": "d",
            "time": float(number),
            "seq_num": number,
            "data": {"x": number / 2, "text": "ab" if number != 7 else "abc"},
            "timestamps": {"x": 0.5, "text": 0.5},
            "filled": {},
        }
        for number in range(count)
    ]
    server.collection("event").insert_many([dict(document) for document in documents])
    found = list(pages(server, "event", ("descriptor", "d")))
    assert [uid for page in found for uid in page["uid"]] == [document["uid"] for document in documents]
    assert [text for page in found for text in page["data"]["text"]][5:9] == ["ab", "ab", "abc", "ab"]
    part = list(pages(server, "event", ("descriptor", "d"), skip=count - 3, limit=2))
    assert [number for page in part for number in page["seq_num"]] == [count - 3, count - 2]
