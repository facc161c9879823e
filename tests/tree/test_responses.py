"""How answers go out: not at all to who has them, without a body to who asks for none, in fewer bytes where it pays."""

import asyncio

import numpy as np
import pyarrow as pa
import pytest

from databroker_like.nodes import ArrayData, MapNode, TableData
from databroker_like.service import Budget, Settings
from databroker_like.tree import _responses
from databroker_like.tree._responses import Delivery
from databroker_like.tree._tags import is_known
from tests.tree.conftest import caller


class Versioned(ArrayData):
    """An array that counts how often it is read."""

    def __init__(self, array):
        super().__init__(array)
        self.reads = 0
        self.number = 1

    @property
    def version(self):
        return ("array", self.number)

    def read(self, slices=()):
        self.reads += 1
        return super().read(slices)


FULL = "/api/v1/array/full/a"


@pytest.fixture
def node():
    return Versioned(np.zeros(5000))


@pytest.fixture
def client(node):
    return caller(MapNode({"a": node, "b": ArrayData(np.zeros(5000))}), settings=Settings(compression="always"))


def test_data_that_has_not_changed_is_neither_sent_nor_read_again(client, node):
    first = client.get(FULL, headers={"Accept-Encoding": "identity"})
    assert (first.status_code, node.reads) == (200, 1)
    tag = first.headers["etag"]
    for header in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = client.get(FULL, headers={"If-None-Match": header})
        assert (again.status_code, again.content, again.headers["etag"].removeprefix("W/")) == (
            304,
            b"",
            tag.removeprefix("W/"),
        )
    assert node.reads == 1
    node.number = 2
    changed = client.get(FULL, headers={"If-None-Match": tag})
    assert (changed.status_code, node.reads) == (200, 2)
    assert changed.headers["etag"] != tag


def test_a_tag_stands_for_one_part_in_one_format(client):
    replies = [
        client.get(FULL),
        client.get(FULL, params={"slice": "0:5"}),
        client.get(FULL, params={"format": "json"}),
        client.get(FULL, headers={"Accept": "application/json"}),
        client.get("/api/v1/array/block/a?block=0"),
    ]
    assert len({reply.headers["etag"] for reply in replies}) == len(replies)


def test_the_key_is_no_part_of_a_tag(node):
    client = caller(MapNode({"a": node}), api_key="secret")
    assert client.get(FULL).headers["etag"] == client.get(f"{FULL}?api_key=secret").headers["etag"]


def test_data_of_which_nobody_knows_whether_it_changed_has_no_tag(client):
    assert "etag" not in client.get("/api/v1/array/full/b").headers
    assert client.get("/api/v1/array/full/b", headers={"If-None-Match": "*"}).status_code == 200


def test_a_wrong_request_has_no_tag_and_stays_wrong(client):
    for path in (f"{FULL}?slice=x", "/api/v1/array/full/missing", "/api/v1/table/full/a"):
        reply = client.get(path)
        assert reply.status_code in (404, 422)
        assert "etag" not in reply.headers


@pytest.mark.parametrize(
    ("tag", "header", "known"),
    [
        ('"a"', '"a"', True),
        ('"a"', 'W/"a"', True),
        ('W/"a"', '"a"', True),
        ('"a"', '"b" , "a"', True),
        ('"a"', "*", True),
        ('"a"', '"ab"', False),
        ('"a"', "a", False),
        ('"a"', "", False),
        ('"a"', None, False),
        (None, "*", False),
    ],
)
def test_a_tag_is_compared_whole(tag, header, known):
    assert is_known(tag, header) is known


def test_what_is_made_smaller_says_so_and_is_the_same(client):
    plain = client.get(FULL, headers={"Accept-Encoding": "identity"})
    smaller = client.get(FULL, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert smaller.headers["content-encoding"] == "gzip"
    assert int(smaller.headers["content-length"]) < 1000
    assert smaller.content == plain.content == bytes(40_000)
    assert "Accept-Encoding" in plain.headers["vary"]
    assert "Accept" in plain.headers["vary"]
    # The same data, but not the same bytes.
    assert smaller.headers["etag"] == f"W/{plain.headers['etag']}"


@pytest.mark.parametrize(
    ("setting", "headers", "is_smaller"),
    [
        ("auto", {}, False),
        ("auto", {"X-Forwarded-For": "192.0.2.5"}, True),
        ("always", {}, True),
        ("never", {"X-Forwarded-For": "192.0.2.5"}, False),
    ],
)
def test_who_is_on_this_machine_gets_answers_as_they_are(node, setting, headers, is_smaller):
    client = caller(MapNode({"a": node}), settings=Settings(compression=setting))
    reply = client.get(FULL, headers={**headers, "Accept-Encoding": "gzip"})
    assert ("content-encoding" in reply.headers) is is_smaller
    assert reply.content == bytes(40_000)


def test_a_large_answer_is_made_smaller_in_another_thread_and_sent_in_pieces():
    array = np.random.default_rng(5).integers(0, 50, 3_000_000).astype("<i4")
    client = caller(MapNode({"a": ArrayData(array)}), settings=Settings(compression="always"))
    for encoding in ("gzip, deflate", "identity"):
        np.testing.assert_array_equal(
            np.frombuffer(client.get(FULL, headers={"Accept-Encoding": encoding}).content, "<i4"), array
        )


def test_who_asks_for_the_headers_alone_gets_no_body(client):
    for path in (FULL, "/api/v1/metadata/a", "/api/v1/", "/healthz", "/openapi.json", "/docs", "/"):
        full, head = client.get(path), client.request("HEAD", path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == full.headers["content-type"]
        assert head.headers["content-length"] == full.headers["content-length"]


def test_every_answer_says_how_long_it_took(client):
    for path in (FULL, "/api/v1/metadata/a", "/api/v1/metadata/missing"):
        assert client.get(path).headers["server-timing"].startswith("app;dur=")


def test_a_description_is_sent_in_fewer_bytes(client):
    reply = client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert reply.headers["content-encoding"] == "gzip"
    assert reply.json()["openapi"]


def test_what_is_sent_in_pieces_is_sent_in_fewer_bytes_too():
    table = pa.table({"x": np.arange(200_000)})
    client = caller(MapNode({"t": TableData(table)}), settings=Settings(compression="always"))
    plain = client.get("/api/v1/table/full/t", headers={"Accept-Encoding": "identity"})
    squeezed = client.get("/api/v1/table/full/t", headers={"Accept-Encoding": "gzip, zstd"})
    content = squeezed.content
    if squeezed.headers["content-encoding"] == "zstd" and content[:4] == b"\x28\xb5\x2f\xfd":  # httpx may unpack it
        content = pa.CompressedInputStream(pa.BufferReader(content), "zstd").read()
    assert content == plain.content
    assert pa.ipc.open_file(content).read_all() == table


def test_what_people_recorded_is_not_run_by_a_browser(client):
    reply = client.get(FULL, params={"format": "text/html"})
    assert reply.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert client.get(FULL).headers["x-content-type-options"] == "nosniff"


def test_a_large_answer_that_is_cut_off_gives_back_what_it_held(caplog):
    budget = Budget(10)
    hold = budget.hold()
    hold.reserve(10)

    async def cut_off():
        began = asyncio.Event()

        async def endless(scope, receive, send):
            began.set()
            await asyncio.sleep(60)

        task = asyncio.create_task(Delivery(endless, hold, 60)({}, None, None))
        await began.wait()
        task.cancel()
        await task

    asyncio.run(cut_off())
    budget.hold().reserve(10)
    (record,) = [one for one in caplog.records if one.name == "databroker_like.service"]
    assert (record.getMessage(), record.exc_info) == ("an answer was cut off, for the server stops", None)


@pytest.mark.parametrize(("seconds", "sizes"), [(0.01, [1, 2, 4, 4, 4]), (3.0, [1] * 15)])
def test_who_takes_answers_fast_gets_them_in_larger_pieces(monkeypatch, seconds, sizes):
    clock = iter(range(1000))
    monkeypatch.setattr(_responses, "monotonic", lambda: next(clock) * seconds)
    content = memoryview(bytes(range(250)) * ((15 << 20) // 250))

    async def taken():
        return [piece async for piece in _responses._pieces(content)]

    pieces = asyncio.run(taken())
    assert [-(-len(piece) >> 20) for piece in pieces] == sizes
    assert b"".join(pieces) == content
