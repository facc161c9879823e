"""msgpack files: numpy arrays as others encode them, and nothing that could run code or exhaust memory."""

from __future__ import annotations

import pickle
import struct
import warnings
from pathlib import Path

import msgpack
import numpy
import pytest

from databroker_like.drivers._msgpack import MsgpackFormat
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.errors import InvalidFile
from databroker_like.testing import _runs as samples

_FORMAT = MsgpackFormat()


class _Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def _with(value) -> bytes:
    run = samples.scalars(events=2, uid="a")
    run[2][1]["data"]["mixed"] = value
    return b"".join(msgpack.packb(pair) for pair in run)


def _array(array: numpy.ndarray, **changed) -> dict:
    encoded = {
        b"nd": True,
        b"type": array.dtype.str,
        b"kind": b"",
        b"shape": array.shape,
        b"data": array.tobytes(),
    }
    return {**encoded, **{key.encode(): value for key, value in changed.items()}}


@pytest.mark.parametrize(
    "array",
    [
        numpy.arange(6, dtype="<u2").reshape(2, 3),
        numpy.arange(6, dtype=">f8"),
        numpy.array(["a", "bcd"]),
        numpy.array([b"a", b"bc"]),
        numpy.zeros((0, 3)),
        numpy.array(5.0),
        numpy.array([True, False]),
        numpy.array([1 + 2j]),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_arrays_come_back_as_they_were_and_as_msgpack_numpy_has_them(array):
    _, doc = _FORMAT.decode(_FORMAT.encode("event", {"value": array}))
    assert doc["value"].dtype == array.dtype
    numpy.testing.assert_array_equal(doc["value"], array)
    other = pytest.importorskip("msgpack_numpy", reason="msgpack-numpy is not installed")
    theirs = msgpack.packb(["event", {"value": array}], default=other.encode)
    numpy.testing.assert_array_equal(_FORMAT.decode(theirs)[1]["value"], array)
    ours = msgpack.unpackb(_FORMAT.encode("event", {"value": array}), object_hook=other.decode)
    numpy.testing.assert_array_equal(ours[1]["value"], array)


@pytest.mark.parametrize("value", [numpy.float32(0.1), numpy.int64(5), numpy.bool_(True), numpy.uint8(7), 1 + 2j])
def test_numpy_scalars_and_complex_numbers_come_back(value):
    _, doc = _FORMAT.decode(_FORMAT.encode("event", {"value": value}))
    assert doc["value"] == value
    assert type(doc["value"]) is type(value)


def test_a_structured_array_of_msgpack_numpy_is_read():
    other = pytest.importorskip("msgpack_numpy", reason="msgpack-numpy is not installed")
    array = numpy.array([(1, 2.5), (3, 4.5)], dtype=[("x", "i4"), ("y", "f8")])
    raw = msgpack.packb(["event", {"value": array}], default=other.encode)
    numpy.testing.assert_array_equal(_FORMAT.decode(raw)[1]["value"], array)


def _bad_arrays():
    good = numpy.arange(4.0)
    yield "pickled", {b"nd": True, b"kind": b"O", b"type": "|O", b"shape": [1], b"data": pickle.dumps([_Bomb()])}
    yield "objects", _array(good, type="|O")
    yield "too short", _array(good, shape=[400])
    yield "too long", _array(good, shape=[1])
    yield "negative", _array(good, shape=[-4])
    yield "overflow", _array(good, shape=[2**62, 2**62, 4])
    yield "no dtype", _array(good, type="no dtype at all")
    yield "no data", {b"nd": True, b"type": "<f8", b"shape": [1]}
    yield "scalar of another size", {b"nd": False, b"type": "<f8", b"data": b"12"}
    yield "fields that are none", _array(good, type=[["x"]], kind=b"V")


@pytest.mark.parametrize("value", [pytest.param(v, id=n) for n, v in _bad_arrays()])
def test_an_array_that_is_none_ends_the_run_there_and_runs_nothing(tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.msgpack").write_bytes(_with(value))
    catalog = BlueskyMsgpackCatalog(str(tmp_path / "*.msgpack"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(catalog["a"]["primary"].read()["time"]) == 0
    assert any("document 3" in str(warning.message) for warning in caught)
    assert "document 3" in catalog.problems[str(tmp_path / "a.msgpack")]
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "tail",
    [
        b"\xdd" + struct.pack(">I", 2**32 - 1),  # an array of 4 billion items
        b"\xdf" + struct.pack(">I", 2**32 - 1),
        b"\xc6" + struct.pack(">I", 2**32 - 1) + b"x",
        b"\xdb" + struct.pack(">I", 2**31) + b"x",
        b"\x91" * 100_000,
        b"\xc1",
        b"\x92\xa5event\x05",
        b"\xa1\xff",
    ],
    ids=["array", "map", "bytes", "text", "deep", "no code", "no document", "no text"],
)
def test_what_claims_to_be_huge_or_is_no_msgpack_is_a_problem_of_that_file_alone(tmp_path, tail):
    whole = b"".join(msgpack.packb(pair) for pair in samples.scalars(uid="a"))
    (tmp_path / "a.msgpack").write_bytes(whole + tail)
    (tmp_path / "b.msgpack").write_bytes(tail)
    catalog = BlueskyMsgpackCatalog(str(tmp_path / "*.msgpack"))
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        assert list(catalog) == ["a"]
        assert len(catalog["a"]["primary"].read()["time"]) == 5
    assert str(tmp_path / "b.msgpack") in catalog.problems


def test_decoding_refuses_by_name():
    with pytest.raises(InvalidFile, match="never loaded"):
        _FORMAT.decode(msgpack.packb(["event", {"x": {b"nd": True, b"kind": b"O", b"data": pickle.dumps(1)}}]))


def test_the_stop_document_of_a_large_file_is_found_at_its_end(tmp_path, monkeypatch):
    run = samples.scalars(events=2500, uid="a")
    path = tmp_path / "a.msgpack"
    path.write_bytes(b"".join(_FORMAT.encode(*pair) for pair in run))
    monkeypatch.setattr(MsgpackFormat, "_outline_of_all", lambda self, path: pytest.fail("read as a whole"))
    catalog = BlueskyMsgpackCatalog(str(path))
    assert catalog["a"].metadata["stop"] == run[-1][1]
