"""Documents as bytes: what comes back is what went in, to the type, and nothing in a file can run or exhaust."""

from __future__ import annotations

import datetime
import enum
import math
import pickle
import struct
from collections import OrderedDict
from decimal import Decimal
from types import MappingProxyType

import msgpack
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like import codecs
from databroker_like.codecs import decode, decode_each, encode
from databroker_like.errors import InvalidDocument, InvalidFile

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(st.characters(exclude_categories=[])),
    st.binary(),
    st.complex_numbers(allow_nan=False),
    st.floats().map(numpy.float64),
    st.integers(0, 255).map(numpy.uint8),
    st.booleans().map(numpy.bool_),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


def same(one, other) -> bool:
    """Equal, of the same types, in the same order, NaN and the sign of zero included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, numpy.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, numpy.generic):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, float):
        return struct.pack("<d", one) == struct.pack("<d", other)
    return one == other


@given(st.dictionaries(st.text(), _VALUES, max_size=5))
def test_a_document_comes_back_as_it_was(doc):
    assert same(decode(encode(doc)), doc)


@pytest.mark.parametrize(
    "value",
    [
        2**63,
        2**64 - 1,
        2**64,
        -(2**63),
        -(2**63) - 1,
        10**400,
        -(10**400),
        -0.0,
        math.nan,
        -math.inf,
        struct.unpack("<d", b"\x01\0\0\0\0\0\xf4\x7f")[0],  # a NaN with a payload of its own
        "\ud800",
        "a\0",
        b"\0\xff",
        (),
        ((), [(1,)], {"a": (2.5, None)}),
        {1: {None: {2.5: "x"}}},
        complex(-0.0, math.inf),
        numpy.float32("nan"),
        numpy.datetime64("2026-01-02T03:04:05"),
        numpy.arange(6, dtype=">u2").reshape(2, 3),
        numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3)),
        numpy.arange(10.0)[::-3],
        numpy.zeros((0, 3), "<i4"),
        numpy.array("text"),
        numpy.array([(1, [2.5, 3.5])], dtype=[("x", "<i4"), ("y", "<f8", (2,))]),
        numpy.array([(1, (2,))], dtype=[("x", "<i4"), ("in", [("z", "|u1")])])[0],
        numpy.array(["2026", "NaT"], "<M8[ns]"),
    ],
    ids=repr,
)
def test_values_that_other_encodings_lose_come_back(value):
    found = decode(encode({"value": value, "after": 1}))
    assert found["after"] == 1
    if isinstance(value, numpy.ndarray):
        assert found["value"].dtype == value.dtype
        assert found["value"].tobytes() == value.tobytes()
    else:
        assert same(found["value"], value)


class _Number(enum.IntEnum):
    ONE = 1


class _Word(enum.StrEnum):
    YES = "yes"


class _Float(float):
    pass


class _Long(int):
    pass


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (_Number.ONE, 1),
        (_Word.YES, "yes"),
        (_Float(2.5), 2.5),
        (_Long(2**80), 2**80),
        (_Long(3), 3),
        (numpy.str_("a\0"), "a\0"),
        (numpy.bytes_(b"a\0"), b"a\0"),
        (bytearray(b"ab"), b"ab"),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (MappingProxyType({"b": 1}), {"b": 1}),
    ],
    ids=repr,
)
def test_what_is_derived_from_a_plain_type_comes_back_plain(value, plain):
    assert same(decode(encode([value])), [plain])


def _deep(levels: int, wrap):
    value = None
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(2026, 1, 1),
        {1, 2},
        Decimal(1),
        object(),
        numpy.array([{}, []], dtype=object),
        {b"nd": True},
        {"inner": [({b"complex": 1},)]},
        {"inner": ({b"tuple": [1]},)},
        _deep(2000, lambda v: [v]),
        _deep(5000, lambda v: (v,)),
    ],
    ids=lambda v: f"{type(v).__name__}",
)
def test_what_cannot_be_stored_is_refused_by_a_message_that_names_the_document(value):
    with pytest.raises(InvalidDocument):
        encode({"uid": "abc", "value": value})


def test_the_refusal_names_the_document_and_the_value():
    with pytest.raises(InvalidDocument, match=r"document 'abc' .* at 'value': a datetime cannot be written as msgpack"):
        encode({"uid": "abc", "value": datetime.datetime(2026, 1, 1)})
    with pytest.raises(InvalidDocument, match="document 'abc' cannot be stored"):
        encode({"uid": "abc", "value": _deep(2000, lambda v: [v])})


def test_bytes_that_look_like_the_mark_of_an_array_are_no_array():
    doc = {"note": b"\xc4\x02nd", "nd": 1, "complex": 2}
    assert decode(encode(doc)) == doc


def test_a_document_that_is_too_large_is_neither_written_nor_read(monkeypatch):
    monkeypatch.setattr(codecs, "MAX_DOCUMENT", 100)
    raw = encode({"text": "x" * 50})
    with pytest.raises(InvalidDocument, match="100 are the most"):
        encode({"text": "x" * 100})
    monkeypatch.setattr(codecs, "MAX_DOCUMENT", 50)
    with pytest.raises(InvalidFile, match="50 are the most"):
        decode(raw)


class _Bomb:
    def __reduce__(self):
        return (print, ("boom",))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xc1",
        b"\xa5ab",
        b"\x81\xa1a",
        b"\x01\x02",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xffx",
        b"\x91" * 100_000,
        b"\x81\x90\x01",  # a list as a key
        msgpack.packb({b"nd": True, b"kind": b"O", b"type": "|O", b"shape": [1], b"data": pickle.dumps(_Bomb())}),
        msgpack.packb({b"nd": True, b"type": "|O", b"shape": [0], b"data": b""}),
        msgpack.packb({b"nd": True, b"type": "<f8", b"shape": [2], b"data": b"12345678"}),
        msgpack.packb({b"nd": True, b"type": "<f8", b"shape": [2**60, 0], b"data": b""}),
        msgpack.packb({b"nd": True, b"type": "<U0", b"shape": [2**60], b"data": b""}),
        msgpack.packb({b"nd": True, b"type": "<f8", b"shape": [2**62, 2**62], b"data": b""}),
        msgpack.packb({b"nd": True, b"type": "<f8", b"shape": [-1], b"data": b""}),
        msgpack.packb({b"nd": False, b"type": "<f8", b"data": b"1"}),
        msgpack.packb({b"complex": True, b"data": "os.system('x')"}),
        msgpack.packb(msgpack.ExtType(99, b"")),
        msgpack.packb(msgpack.ExtType(2, b"\x01")),
        msgpack.packb({b"tuple": 5}),
        b"\x81\xc4\x05tuple\x91" * 100_000,
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_bytes_that_are_no_document_are_told_apart_and_run_nothing(raw, capsys):
    with pytest.raises(InvalidFile):
        decode(raw)
    assert "boom" not in capsys.readouterr().out


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused(raw):
    try:
        decode(raw)
    except InvalidFile:
        return


def test_parts_of_a_document_are_refused():
    raw = encode({"uid": "a", "data": {"x": [1.5, 2.5], "image": numpy.arange(6)}})
    for length in range(len(raw)):
        with pytest.raises(InvalidFile):
            decode(raw[:length])


@given(
    values=st.lists(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3)), max_size=4),
    cut=st.integers(1, 9),
)
def test_values_one_after_the_other_come_back_however_they_are_cut(values, cut):
    together = b"".join(map(encode, values))
    pieces = [together[at : at + cut] for at in range(0, len(together), cut)]
    assert list(decode_each(pieces)) == values


@pytest.mark.parametrize("raw", [encode([1, 2, 3])[:-1], b"\xc1", encode([b"nd"]) + b"\x81\xc4\x02nd\xc3"])
def test_values_that_are_cut_off_or_no_msgpack_are_refused(raw):
    with pytest.raises(InvalidFile):
        list(decode_each([raw]))
