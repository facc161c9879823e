"""What other servers fail at is answered here, or refused with a sentence: 4xx, for clients repeat what is 5xx."""

from __future__ import annotations

import json
import time
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from databroker_like.nodes import ArrayData, MapNode, SparseData, TableData
from databroker_like.tree.routes._all import ROUTES
from tests.tree.conftest import caller
from tests.tree.routes.test_told_routes import filters

GRID = np.arange(12.0).reshape(4, 3)
TREE = MapNode(
    {
        "grid": ArrayData(GRID, metadata={"color": "red", "n": 10}),
        "sparse": SparseData([[0, 3], [1, 2]], [1.5, 2.5], (4, 4)),
        "table": TableData(pd.DataFrame({"x": [1, 2], "name": ["a", None]})),
        "many": MapNode({f"k{i:03d}": MapNode({}, metadata={"i": i, "even": not i % 2}) for i in range(150)}),
    }
)
CLIENT = caller(TREE)


def get(path, params=None):
    return CLIENT.get(f"/api/v1/{path}", params=params)


def refused(reply):
    """A sentence about what is wrong, with a status that nobody asks again for."""
    assert 400 <= reply.status_code < 500, reply.text
    detail = reply.json()["detail"]
    assert len(detail.split()) > 3
    assert len(detail) < 2500
    return reply.status_code


# -- what the server of others fails at ------------------------------------------------------------------------------


def test_numbers_are_not_ordered_as_text():
    params = {"sort": "-i", "page[limit]": 12, "fields": "metadata"}
    found = [one["attributes"]["metadata"]["i"] for one in get("search/many", params).json()["data"]]
    assert found == list(range(149, 137, -1))


def test_the_number_of_what_a_search_finds_is_exact_however_large():
    params = [*filters("comparison", operator="ge", key="i", value="20"), ("page[limit]", "1")]
    assert get("search/many", params).json()["meta"]["count"] == 130
    assert get("search/many", {"page[limit]": 1}).json()["meta"]["count"] == 150


@pytest.mark.parametrize("form", ["csv", "html", "parquet", "xlsx", "text", "json", "arrow"])
def test_a_sparse_array_is_exported_or_the_format_is_refused(form):
    reply = get("array/full/sparse", {"format": form})
    assert reply.status_code == 200 or refused(reply) == 406


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("array/full/grid?slice=4", 400),
        ("array/full/grid?slice=0,0,0", 400),
        ("array/full/sparse?slice=9", 400),
        ("array/full/grid?expected_shape=1,1", 400),
        ("array/block/grid?block=0,0&expected_shape=9,9", 400),
        ("search/?filter[eq][condition][key]=color&filter[eq][condition][value]=red", 422),
        ("search/?filter[in][condition][key]=color&filter[in][condition][value]=red", 422),
        ("search/?filter[contains][condition][key]=color&filter[contains][condition][value]=", 422),
        ("search/?filter[comparison][condition][operator]=gt&filter[comparison][condition][key]=n", 422),
        ("distinct/?filter[eq][condition][key]=color&filter[eq][condition][value]={", 422),
        ("search-deep/?filter[eq][condition][key]=color&filter[eq][condition][value]=NaN", 422),
        ("table/partition/table?partition=0&column=zz", 404),
    ],
)
def test_what_fails_elsewhere_is_refused_here(path, status):
    assert refused(get(path)) == status


def test_a_column_of_texts_is_read_part_by_part():
    reply = get("table/partition/table", {"partition": 0, "format": "json"})
    assert reply.json()["name"] == ["a", None]


# -- what nobody means well with ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limit", ["301", "1000", str(2**53), "-1", "1e3", "٣", "0x10", "1_000", "+5", " 5", "9" * 5000, "NaN", ""]
)
def test_a_limit_of_a_page_is_a_number_and_no_page_is_longer_than_pages_are(limit):
    for route in ("search/many", "search-deep/many"):
        reply = get(route, {"page[limit]": limit})
        if reply.status_code == 200:
            assert len(reply.json()["data"]) == 150
        else:
            assert refused(reply) == 422


@pytest.mark.parametrize("depth", [33, 1000, 2_000])
@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}")])
def test_deeply_nested_values_are_refused(depth, begin, end):
    value = begin * depth + "1" + end * depth
    assert refused(get("search/", filters("eq", key="n", value=value))) == 422
    body = CLIENT.post("/api/v1/table/full/table", content=value, headers={"Content-Type": "application/json"})
    assert refused(body) in (413, 422)


@pytest.mark.parametrize(
    "path",
    [
        "%2e%2e", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%5c..%5c", "grid/%2e%2e/%2e%2e/etc", "%00", "grid%00",
        "%ed%a0%80", "%ff%fe", "%c0%ae%c0%ae", "a" * 5000, "/".join("a" * 300), "%252e%252e", "grid/%20", "~root",
        "C:%5C",
        "grid;x=1", "%0d%0aSet-Cookie:x=1", "grid%2F", "%f0%9f%92%a9",
    ],
)  # fmt: skip
@pytest.mark.parametrize("route", ["metadata", "array/full", "asset/bytes", "search"])
def test_no_path_leads_anywhere_but_into_the_tree(route, path):
    reply = CLIENT.get(f"/api/v1/{route}/{path}", params={"id": 1} if route == "asset/bytes" else None)
    assert refused(reply) in (404, 422)
    assert "root:" not in reply.text
    assert "set-cookie" not in reply.headers


def test_a_path_that_leads_out_of_the_api_by_its_dots_is_no_path_of_it():
    for path in ("/api/v1/metadata/../../../etc/passwd", "/api/v1/../../etc/passwd", "//etc/passwd"):
        assert refused(CLIENT.get(path)) in (404, 422)


@pytest.mark.parametrize(
    "name",
    [
        "filter", "filter[", "filter[eq]", "filter[eq][condition]", "filter[eq][condition][", "filter[][condition][]",
        "filter[eq][x][key]", "filter[eq][condition][key][x]", "filter[" + "a" * 9000 + "][condition][key]",
    ],
)  # fmt: skip
def test_what_looks_like_a_filter_is_one_or_is_refused(name):
    assert refused(get("search/", {name: "1"})) == 422


def test_more_filters_sort_keys_fields_and_columns_than_make_sense_are_refused():
    many = filters("eq", key="n", value="1") * 200
    assert refused(get("search/many", many)) == 422
    assert refused(get("search/many", [("sort", f"k{i}") for i in range(1000)])) in (400, 422)
    assert refused(get("metadata/grid", [("fields", "specs")] * 1000)) == 422
    assert refused(get("distinct/many", [("metadata", f"k{i}") for i in range(1000)])) == 422
    assert refused(CLIENT.post("/api/v1/table/full/table", json=[f"c{i}" for i in range(20_000)])) in (404, 422)


def test_no_regular_expression_keeps_the_service_busy():
    tree = caller(MapNode({"a": MapNode({}, metadata={"text": "a" * 5000 + "!"})}))
    began = time.perf_counter()
    for pattern in ("^(a+)+$", "(a|aa)*b", "(.*)*x", ".*.*.*.*.*x"):
        assert tree.get("/api/v1/search/", params=filters("regex", key="text", pattern=pattern)).json()["data"] == []
    for pattern in ('"%a%a%a%x"', '"%aaaaaaaaaaaaaaa%b%"'):
        assert tree.get("/api/v1/search/", params=filters("like", key="text", pattern=pattern)).json()["data"] == []
    assert time.perf_counter() - began < 100  # what takes exponential time takes longer


def test_a_select_that_makes_much_out_of_little_is_refused():
    for expression in ("[[@,@],[@,@]]" * 2, "@" * 600, "[" * 400, "map(&@, @)", "*.*.*.*.*.*.*.*.*.*.*"):
        reply = get("metadata/many", {"select_metadata": expression})
        assert reply.status_code == 200 or refused(reply) == 422


SOME = st.text(max_size=12) | st.sampled_from(
    ["0", "-1", "1:2", "null", "[]", "{}", '"', "\x00", "\ud800", "%", "9" * 30]
)


@pytest.mark.parametrize("name", ROUTES)
def test_whatever_stands_in_a_parameter_nothing_fails(name):
    @settings(max_examples=25)
    @given(data=st.data(), path=st.sampled_from(["grid", "table", "many", "sparse", ""]))
    def asked(data, path):
        names = [one.name for one in ROUTES[name].parameters] + ["nope", "api_key", "filter[x][condition][y]"]
        params = data.draw(st.lists(st.tuples(st.sampled_from(names), SOME), max_size=4))
        query = urlencode(params, errors="surrogatepass")
        method = data.draw(st.sampled_from(ROUTES[name].methods))
        reply = CLIENT.request(method, f"/api/v1/{name}/{path}?{query}")
        if reply.status_code >= 300:
            refused(reply)

    asked()


@given(
    body=st.binary(max_size=40)
    | st.recursive(st.none() | st.text(max_size=3), st.lists).map(lambda v: json.dumps(v).encode())
)
@example(body=b"\xff\xfe[")
@example(body=b"[" * 100_000)
@example(body=b'["\\ud800"]')
def test_whatever_is_sent_nothing_fails(body):
    for name in ("table/full", "table/partition", "container/full", "awkward/buffers"):
        reply = CLIENT.post(
            f"/api/v1/{name}/table?partition=0", content=body, headers={"Content-Type": "application/json"}
        )
        if reply.status_code >= 300:
            refused(reply)


@given(header=st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
@example(header="*/*;q=nan, ;;;,,,")
@example(header="," * 5000)
@example(header="bytes=5-1,-")
def test_whatever_stands_in_a_header_nothing_fails(header):
    names = ("Accept", "Accept-Encoding", "If-None-Match", "If-Range", "Range", "Authorization", "X-Forwarded-For")
    for name in names:
        reply = CLIENT.get("/api/v1/array/full/grid", headers={name: header})
        if reply.status_code >= 300:
            assert reply.status_code in (401, 406), reply.text


def test_what_is_said_of_a_wrong_request_is_short_however_long_it_is():
    long = "x" * 20_000
    for path in (
        f"metadata/{long}", f"metadata/grid?fields={long}", f"search/?sort={long}", f"array/full/grid?slice={long}",
        f"array/full/grid?format={long}", f"table/full/table?column={long}",
        f"search/?filter[eq][condition][key]={long}",
    ):  # fmt: skip
        refused(get(path))
