"""Answers are made smaller where that pays, and are the same when they are unpacked."""

import gzip
import random
import zlib

import blosc2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.tree import _compression
from databroker_like.tree._compression import compressed, compressed_pieces, encodings

NUMBERS = np.arange(50_000, dtype="<f8")
UNPACKED = {
    "zstd": lambda data, size: pa.Codec("zstd").decompress(data, size, asbytes=True),
    "lz4": lambda data, size: pa.Codec("lz4").decompress(data, size, asbytes=True),
    "gzip": lambda data, size: gzip.decompress(data),
    "blosc2": lambda data, size: blosc2.decompress2(data),
}


@pytest.mark.parametrize("encoding", UNPACKED)
def test_what_is_made_smaller_is_the_same_when_it_is_unpacked(encoding):
    content = memoryview(NUMBERS).cast("B")
    smaller, said = compressed(content, "application/octet-stream", encoding, 8)
    assert said == encoding
    assert len(smaller) * 1.11 < len(content)
    assert UNPACKED[encoding](smaller, len(content)) == content


@given(st.binary(min_size=900, max_size=3000), st.sampled_from(sorted(UNPACKED)), st.integers(1, 300))
def test_whatever_is_sent_is_the_same_when_it_is_unpacked(content, encoding, itemsize):
    content = content * 2
    found = compressed(content, "application/octet-stream", encoding, itemsize)
    if found is not None:
        assert UNPACKED[encoding](found[0], len(content)) == content
        assert len(found[0]) * 1.11 < len(content)


def test_what_gains_nothing_is_sent_as_it_is():
    noise = random.Random(5).randbytes(1 << 20)
    assert compressed(noise, "application/octet-stream", "zstd, gzip, blosc2") is None
    assert compressed(b"x" * 999, "application/json", "zstd") is None
    assert compressed(b"x" * 1000, "application/json", "zstd") is not None
    assert compressed(b"x" * 5000, "image/png", "zstd") is None
    assert compressed(b"x" * 5000, "application/zip", "zstd") is None


def test_of_what_is_large_only_the_beginning_is_tried(monkeypatch):
    tried = []
    real = _compression._arrow

    def write(encoding, content, itemsize):
        tried.append(len(content))
        return real(encoding, content, itemsize)

    monkeypatch.setattr(_compression, "_arrow", write)
    assert compressed(random.Random(5).randbytes(1 << 20), "application/octet-stream", "zstd") is None
    assert tried == [1 << 16]


def test_gzip_is_not_waited_for():
    assert compressed(b"x" * (9 << 20), "application/json", "gzip") is None
    assert compressed(b"x" * (1 << 20), "application/json", "gzip")[1] == "gzip"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br, blosc2, zstd", "blosc2"),
        ("gzip, zstd;q=0.5", "gzip"),
        ("zstd;q=0, gzip", "gzip"),
        ("*", "blosc2"),
        ("*;q=0, gzip;q=0.1", "gzip"),
        ("br, deflate", None),
        ("identity", None),
        ("gzip;q=x", None),
        ("gzip;q=nan", None),
        ("", None),
        (",;=,q", None),
    ],
)
def test_the_caller_says_which_encodings_there_may_be(accepted, encoding):
    found = compressed(b"x" * 5000, "application/octet-stream", accepted)
    assert (found and found[1]) == encoding


def test_without_the_package_of_blosc_there_are_others(monkeypatch):
    monkeypatch.setattr(_compression, "find_spec", lambda name: None)
    encodings.cache_clear()
    try:
        assert encodings("application/octet-stream") == ("zstd", "lz4", "gzip")
        assert compressed(b"x" * 5000, "application/octet-stream", "blosc2") is None
    finally:
        encodings.cache_clear()


def test_one_stream_comes_out_for_those_who_read_no_more_than_one():
    content = bytes(range(256)) * 4096
    smaller, _ = compressed(content, "application/json", "gzip")
    unpacker = zlib.decompressobj(31)
    assert unpacker.decompress(smaller) == content
    assert unpacker.eof


@given(st.lists(st.binary(max_size=3000).map(lambda piece: piece * 3), max_size=8))
def test_what_comes_in_pieces_is_the_same_when_it_is_unpacked(pieces):
    found, encoding = compressed_pieces(iter([memoryview(piece) for piece in pieces]), "text/csv", "zstd")
    whole = b"".join(pieces)
    sent = b"".join(found)
    if encoding:
        assert pa.CompressedInputStream(pa.BufferReader(sent), "zstd").read() == whole
        assert UNPACKED["zstd"](sent, len(whole)) == whole
    else:
        assert sent == whole


@pytest.mark.parametrize(
    ("piece", "media_type", "accepted"),
    [
        (b"x" * 2000, "text/csv", "gzip, deflate"),
        (b"x" * 2000, "image/png", "zstd"),
        (b"x", "text/csv", "zstd"),
        (random.Random(5).randbytes(2000), "text/csv", "zstd"),
    ],
)
def test_pieces_that_gain_nothing_come_as_they_are(piece, media_type, accepted):
    found, encoding = compressed_pieces(iter([piece, b"end"]), media_type, accepted)
    assert (list(found), encoding) == ([piece, b"end"], "")


def test_pieces_are_taken_one_after_another_and_not_all_at_once():
    taken = []

    def pieces():
        for number in range(50):
            taken.append(number)
            yield random.Random(number).randbytes(50_000) + bytes(50_000)

    found, encoding = compressed_pieces(pieces(), "text/csv", "zstd")
    assert (encoding, len(taken)) == ("zstd", 1)
    next(found)
    assert len(taken) < 10
