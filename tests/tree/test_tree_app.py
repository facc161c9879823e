"""What holds of every route: who may ask, what a wrong request is answered, what there is."""

import asyncio
import threading
from pathlib import Path

import httpx
import msgpack
import numpy as np
import pytest

from databroker_like.doors import open_root
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.errors import Invalid, InvalidFile, MissingFile, WrongType
from databroker_like.nodes import ArrayData, BrokenNode, MapNode
from databroker_like.service import Settings
from databroker_like.tree import build_app
from databroker_like.tree._app import ROUTES
from tests.tree.conftest import API, caller


def test_the_service_says_that_it_runs(tree):
    assert caller(tree, api_key="secret", public=False).get("/healthz").json() == {"status": "ready"}


def test_the_service_says_what_it_is_to_everybody(tree):
    for client, required in ((caller(tree), False), (caller(tree, api_key="secret", public=False), True)):
        for path in ("/api/v1", "/api/v1/"):
            about = client.get(path).json()
            assert about["authentication"] == {"required": required, "providers": [], "links": None}
            assert about["library_version"].startswith("0.2.20+")
            assert about["links"]["self"] == API
            assert about["meta"] == {"root_path": "/api"}
            assert set(about["formats"]) >= {
                "array",
                "awkward",
                "container",
                "ragged",
                "sparse",
                "table",
                "xarray_dataset",
            }
            assert "eq" in about["queries"]
            assert "regex" in about["queries"]


@pytest.mark.parametrize("route", ROUTES)
def test_no_route_answers_without_the_key(tree, route):
    client = caller(tree, api_key="secret", public=False)
    for path in ("", "/", "/grid", "/missing"):
        for headers in ({}, {"Authorization": "Apikey wrong"}):
            reply = client.get(f"/api/v1/{route}{path}", headers=headers)
            assert reply.status_code == 401, reply.text
            assert "key" in reply.json()["detail"]
            assert "secret" not in reply.text


def test_the_key_is_taken_from_the_header_and_from_the_url(tree):
    client = caller(tree, api_key="secret", public=False)
    assert client.get("/api/v1/metadata/", headers={"Authorization": "Apikey secret"}).status_code == 200
    reply = client.get("/api/v1/search/", params={"api_key": "secret", "page[limit]": 1})
    assert reply.status_code == 200
    assert "secret" not in reply.text


def test_a_service_that_nobody_could_read_is_not_made(tree):
    with pytest.raises(Invalid):
        build_app(tree)


@pytest.mark.parametrize(
    ("root", "kind"),
    [
        ("runs", "str"),
        (Path("runs"), "PosixPath"),
        ({}, "dict"),
        (BlueskyInMemoryCatalog(), "BlueskyInMemoryCatalog"),
        (open_root("runs"), "_GeneratorContextManager"),
        (ArrayData(np.zeros(1)), "ArrayData"),
        (MapNode, "ABCMeta"),
        (None, "NoneType"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_tree_is_not_served_and_is_told_how_it_becomes_one(root, kind):
    with pytest.raises(WrongType, match=rf"no {kind}; .*open_root\(path\).*RunsNode\(catalog\).*MapNode\("):
        build_app(root, public=True)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nope", 404),
        ("/metadata/missing", 404),
        ("/metadata/grid/0", 404),
        ("/metadata/..%2F..%2Fetc%2Fpasswd", 404),
        ("/metadata/%00", 404),
        ("/metadata/%ff", 422),
        ("/metadata/" + "a/" * 300, 422),
        ("/metadata/grid?fields=colour", 422),
        ("/metadata/grid?select_metadata=%5B", 422),
        ("/metadata/grid?omit_links=perhaps", 422),
        ("/metadata/grid?max_depth=99", 422),
        ("/search/grid", 404),
        ("/search/?page[limit]=-1", 422),
        ("/search/?page[limit]=many", 422),
        ("/search/?page[offset]=-5", 422),
        ("/search/?page[offset]=1e9", 422),
        ("/search/?page[cursor]=grid", 422),
        ("/search/?page[cursor]=5&page[offset]=5", 422),
        ("/search/?sort=n&sort=n", 422),
        ("/search/?sort=n&sort=-n", 422),
        ("/search/?sort=&sort=n", 422),
        ("/search/?filter[eq][condition][key]=color&filter[eq][condition][value]=red", 422),
        ("/search/?filter[eq][condition][key]=color", 422),
        ("/search/?filter[eq][condition][value]=5", 422),
        ("/search/?filter[nope][condition][key]=color", 422),
        ("/search/?filter[eq]=color", 422),
        ("/search/?filter[regex][condition][key]=color&filter[regex][condition][pattern]=(", 400),
        ("/search/?filter[regex][condition][key]=color&filter[regex][condition][pattern]=(?=a)b", 400),
        ("/search/?filter[regex][condition][key]=color&filter[regex][condition][pattern]=((a{1000}){1000}){9}", 400),
        ("/search/?filter[access_tags_filter][condition][tags]=[]", 422),
        (
            "/search/?filter[comparison][condition][operator]=near&filter[comparison][condition][key]=n"
            "&filter[comparison][condition][value]=5",
            400,
        ),
        ("/search/?filter[in][condition][key]=n&filter[in][condition][value]=5", 422),
        ("/search/?filter[keypresent][condition][key]=n&filter[keypresent][condition][exists]=perhaps", 422),
        ("/search/?filter[like][condition][key]=n&filter[like][condition][pattern]=5", 422),
        ("/search/?filter[like][condition][key]=n&filter[like][condition][pattern]=%22%25a%25b%25c%25d%25e%22", 422),
        ("/search/?filter[specs][condition][include]=[1]", 422),
        ("/search/?filter[eq][condition][key]=n&filter[eq][condition][value]=" + "[" * 100 + "]" * 100, 422),
        ("/search/?filter[eq][condition][key]=n&filter[eq][condition][value]=" + "[" * 5000 + "]" * 5000, 422),
        ("/distinct/grid", 404),
        ("/distinct/?counts=some", 422),
        ("/distinct/?metadata=", 400),
        ("/array/full/table", 404),
        ("/array/full/grid?slice=x", 422),
        ("/array/full/grid?slice=::0", 422),
        ("/array/full/grid?slice=99999999999999999999", 422),
        ("/array/full/grid?slice=7", 400),
        ("/array/full/grid?slice=-8", 400),
        ("/array/full/grid?slice=0,0,0", 400),
        ("/array/full/grid?expected_shape=1,1", 400),
        ("/array/full/grid?expected_shape=x", 422),
        ("/array/full/grid?format=nope", 406),
        ("/array/full/grid?filename=../../etc/passwd", 422),
        ("/array/full/grid?filename=a%0D%0ASet-Cookie:x", 422),
        ("/array/block/grid", 422),
        ("/array/block/grid?block=9,9", 422),
        ("/array/block/grid?block=0", 422),
        ("/array/block/grid?block=-1,0", 422),
        ("/array/block/grid?block=x", 422),
        ("/array/block/grid?block=0,0&slice=3", 400),
        ("/array/block/grid?block=0,0&block=1,0", 422),
        ("/table/partition/table", 422),
        ("/table/partition/table?partition=7", 400),
        ("/table/partition/table?partition=-1", 422),
        ("/table/partition/table?partition=0&column=zz", 404),
        ("/table/full/table?column=zz&format=csv", 404),
        ("/table/full/grid", 404),
        ("/table/full/table?format=nope", 406),
        ("/container/full/grid", 404),
        ("/container/full/inner?field=zz", 404),
        ("/container/full/inner?format=application/json-seq", 406),
        ("/container/full/run?format=json-seq&fill=perhaps", 422),
        ("/container/full/run?format=json-seq&field=primary", 422),
        ("/node/full/grid", 404),
        ("/documents/inner", 422),
        ("/documents/run?fill=delayed", 422),
    ],
)
def test_a_wrong_request_is_answered_with_a_sentence_and_never_as_a_failure(ask, path, status):
    reply = ask(path)
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    detail = reply.json()["detail"]
    assert isinstance(detail, str)
    assert len(detail.split()) > 3
    assert len(detail) < 2000


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_writes_is_refused(tree, method):
    reply = caller(tree).request(method, "/api/v1/metadata/grid")
    assert reply.status_code == 405
    assert "GET" in reply.headers["allow"]
    assert "reading" in reply.json()["detail"]


def test_what_is_sent_is_json_of_a_small_size(tree):
    client = caller(tree, settings=Settings(most_body_bytes=100))
    url = "/api/v1/table/full/table"
    assert client.post(url, json=["x"]).status_code == 200
    assert client.post(url).status_code == 200
    assert client.post(url, json=["x" * 200]).status_code == 413
    for body in (b"{", b"\xff", b"[" * 90, b'{"a": 1}', b"[1]", b"5"):
        assert client.post(url, content=body, headers={"Content-Type": "application/json"}).status_code == 422
    assert client.post(url, content=b"<x/>", headers={"Content-Type": "text/xml"}).status_code == 422


def test_an_error_that_nobody_thought_of_tells_nothing(ask, caplog):
    reply = ask("/metadata/broken/here")
    assert reply.status_code == 500
    assert reply.json() == {"detail": "the service failed; its log says why"}
    assert "hunter2" in caplog.text


@pytest.mark.parametrize(
    ("error", "status"), [(MissingFile("it is gone"), 410), (InvalidFile("it is cut short"), 400), ("it is odd", 400)]
)
def test_what_is_broken_is_answered_as_the_error_that_was_met(error, status):
    client = caller(MapNode({"b": BrokenNode(error)}))
    for route in ("array/full", "table/full", "container/full"):
        reply = client.get(f"/api/v1/{route}/b")
        assert (reply.status_code, reply.json()["detail"]) == (status, str(error))


class _SlowMap(MapNode):
    """Takes as long to be told as it is let."""

    def __init__(self):
        super().__init__({})
        self.asked, self.let = threading.Event(), threading.Event()

    @property
    def metadata(self):
        self.asked.set()
        assert self.let.wait(300)
        return {}


def test_a_request_that_is_cut_off_when_the_server_stops_is_told_so(caplog):
    node = _SlowMap()
    app = build_app(MapNode({"slow": node}), public=True)

    async def cut_off():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as client:
            task = asyncio.create_task(client.get("/api/v1/search/", params={"sort": "x"}))
            assert await asyncio.to_thread(node.asked.wait, 300)
            task.cancel()
            reply = await task
            node.let.set()
            return reply

    reply = asyncio.run(cut_off())
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
    assert "was stopped before this was answered" in reply.json()["detail"]
    (record,) = [one for one in caplog.records if one.name == "databroker_like.service"]
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert record.getMessage() == "GET /api/v1/search was cut off, for the server stops"


def test_empty_keys_in_a_path_are_passed_over(ask):
    for path in ("/metadata/inner/deep", "/metadata//inner//deep", "/metadata/inner/deep/"):
        assert ask(path).json()["data"]["id"] == "deep"
    assert ask("/metadata").json() == ask("/metadata/").json()


def test_a_key_may_have_a_slash_and_a_space_in_it(ask, data):
    (found,) = [one for one in data("/search/inner") if one["id"] != "deep"]
    assert found["id"] == "a/b c"
    assert found["links"]["self"] == f"{API}/metadata/inner/a%2Fb%20c"
    assert data("/metadata/inner/a%2Fb%20c") == found
    assert ask("/metadata/inner/a/b c").status_code == 404


def test_the_path_of_a_route_may_be_encoded(data):
    assert data("/met%61data/inner/deep")["id"] == "deep"


def test_what_has_not_changed_is_not_sent_again(ask):
    first = ask("/metadata/grid")
    again = ask("/metadata/grid", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert ask("/metadata/table", headers={"If-None-Match": first.headers["etag"]}).status_code == 200


def test_who_prefers_msgpack_gets_it(ask):
    for accept in ("application/x-msgpack", "application/x-msgpack, application/json;q=0.9"):
        reply = ask("/metadata/grid", headers={"Accept": accept})
        assert reply.headers["content-type"] == "application/x-msgpack"
        assert msgpack.unpackb(reply.content) == ask("/metadata/grid").json()
    assert ask("/metadata/grid", headers={"Accept": "application/json"}).headers["content-type"] == "application/json"


def test_links_have_the_place_at_which_the_service_was_reached(tree):
    client = caller(tree, base_url="https://data.example:8443")
    assert client.get("/api/v1/metadata/grid").json()["data"]["links"]["self"] == (
        "https://data.example:8443/api/v1/metadata/grid"
    )


def test_large_data_comes_in_pieces_and_whole():
    array = np.arange(400_000)
    client = caller(MapNode({"large": ArrayData(array)}))
    reply = client.get("/api/v1/array/full/large")
    assert reply.headers["content-length"] == str(array.nbytes)
    np.testing.assert_array_equal(np.frombuffer(reply.content, array.dtype), array)
