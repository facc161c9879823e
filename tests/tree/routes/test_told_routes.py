"""Metadata, listings, searches and different values, as a client asks for them."""

from itertools import chain
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.nodes import ArrayData, MapNode
from databroker_like.service import Settings
from tests.tree.conftest import API, caller


def numbered(number):
    return MapNode({f"k{i}": MapNode({}, metadata={"i": i, "half": i // 2}) for i in range(number)})


def filters(name, **fields):
    return [(f"filter[{name}][condition][{field}]", value) for field, value in fields.items()]


@pytest.fixture
def found(ask):
    """The keys that a search finds."""

    def keys(params=(), path="/search/"):
        reply = ask(path, list(params))
        assert reply.status_code == 200, reply.text
        body = reply.json()
        assert body["meta"]["count"] == len(body["data"])
        return [one["id"] for one in body["data"]]

    return keys


def test_an_array_is_told_with_its_structure_and_its_links(data):
    assert data("/metadata/grid") == {
        "id": "grid",
        "attributes": {
            "ancestors": [],
            "structure_family": "array",
            "specs": [{"name": "demo", "version": "1"}],
            "metadata": {"color": "red", "n": 9, "sample": {"label": "Gold leaf"}},
            "structure": {
                "data_type": {"endianness": "little", "kind": "f", "itemsize": 8, "dt_units": None},
                "chunks": [[3, 3, 1], [2, 2, 1]],
                "shape": [7, 5],
                "dims": None,
                "resizable": False,
            },
            "access_tags": None,
            "sorting": None,
            "data_sources": None,
        },
        "links": {
            "self": f"{API}/metadata/grid",
            "full": f"{API}/array/full/grid",
            "block": f"{API}/array/block/grid?block={{0}},{{1}}",
        },
        "meta": None,
    }


def test_an_array_without_axes_has_a_link_to_its_one_block(data):
    assert data("/metadata/scalar")["links"]["block"] == f"{API}/array/block/scalar?block="


def test_a_table_and_its_columns_are_told(data):
    table, column = data("/metadata/table"), data("/metadata/table/x")
    assert table["attributes"]["structure"]["columns"] == ["x", "y", "name"]
    assert table["links"] == {
        "self": f"{API}/metadata/table",
        "full": f"{API}/table/full/table",
        "partition": f"{API}/table/partition/table?partition={{index}}",
    }
    assert column["attributes"]["ancestors"] == ["table"]
    assert column["attributes"]["structure_family"] == "array"
    assert column["attributes"]["structure"]["shape"] == [3]


def test_a_container_is_told_with_the_number_of_what_is_in_it(data, ask):
    root, inner = data("/metadata/"), data("/metadata/inner/deep")
    assert (root["id"], root["attributes"]["ancestors"]) == ("", [])
    assert root["attributes"]["structure"] == {"contents": None, "count": 6}
    assert root["attributes"]["sorting"] == [{"key": "", "direction": 1}]
    assert root["links"] == {
        "self": f"{API}/metadata/",
        "search": f"{API}/search/",
        "search_deep": f"{API}/search-deep/",
        "full": f"{API}/container/full/",
    }
    assert inner["attributes"]["ancestors"] == ["inner"]
    assert ask("/metadata/").json().keys() == {"data", "error", "links", "meta"}


def test_only_the_fields_that_are_asked_for_are_told(data):
    told = data("/metadata/grid", [("fields", "specs"), ("fields", "structure_family")])["attributes"]
    assert {name for name, value in told.items() if value} == {"specs", "structure_family"}
    assert data("/metadata/inner", {"fields": "count"})["attributes"]["structure"] == {"contents": None, "count": 2}
    assert data("/metadata/grid", {"fields": ""})["links"] == {"self": f"{API}/metadata/grid"}
    assert data("/metadata/grid", {"omit_links": "true"})["links"] is None


def test_a_part_of_the_metadata_can_be_chosen(data):
    params = {"select_metadata": "{what: sample.label, n: n}", "fields": "metadata"}
    assert data("/metadata/grid", params)["attributes"]["metadata"] == {"selected": {"what": "Gold leaf", "n": 9}}
    listed = data("/search/", {"select_metadata": "color", "fields": "metadata"})
    assert [one["attributes"]["metadata"] for one in listed if one["id"] == "table"] == [{"selected": "blue"}]


def test_a_listing_of_keys_looks_at_no_node(data):
    keys = data("/search/", {"fields": ""})
    assert [one["id"] for one in keys] == ["grid", "scalar", "table", "inner", "run", "broken"]
    assert keys[0]["links"] == {"self": f"{API}/metadata/grid"}
    assert keys[0]["attributes"].pop("ancestors") == []
    assert set(keys[0]["attributes"].values()) == {None}
    assert data("/search/broken", {"fields": ""})[0]["id"] == "here"  # whose metadata cannot be read


def test_a_listing_tells_each_node_as_its_own_route_does(data):
    for one in data("/search/inner"):
        assert one == data(one["links"]["self"].removeprefix(API))


def test_only_the_number_is_asked_for(ask):
    body = ask("/search/", {"fields": "count"}).json()
    assert (body["data"], body["meta"]) == ([], {"count": 6})


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        (filters("eq", key="color", value='"red"'), ["grid", "scalar"]),
        (filters("noteq", key="color", value='"red"'), ["table"]),
        (filters("eq", key="sample.label", value='"Gold leaf"'), ["grid"]),
        (filters("comparison", operator="gt", key="n", value="9"), ["scalar", "table"]),
        (filters("comparison", operator="le", key="n", value="9.5"), ["grid"]),
        (filters("in", key="n", value="[9, 100]"), ["grid", "table"]),
        (filters("notin", key="color", value='["red"]') + filters("keypresent", key="n"), ["table"]),
        (filters("keypresent", key="color", exists="false"), ["inner", "run", "broken"]),
        (filters("like", key="sample.label", pattern='"gold%"'), ["grid"]),
        (filters("like", key="sample.label", pattern='"%%%%%%%%leaf"'), ["grid"]),
        (filters("fulltext", text="leaf"), ["grid"]),
        (filters("regex", key="sample.label", pattern="^Gold (l|L)"), ["grid"]),
        (filters("regex", key="sample.label", pattern="^gold", case_sensitive="false"), ["grid"]),
        (filters("regex", key="sample.label", pattern="^gold", case_sensitive="true"), []),
        (filters("lookup", key="table"), ["table"]),
        (filters("keys_filter", keys='["table", "grid", "nope"]'), ["grid", "table"]),
        (filters("specs", include='["demo"]', exclude="[]"), ["grid"]),
        (filters("specs", include="[]", exclude='["demo"]') + filters("structure_family", value="array"), ["scalar"]),
        (filters("structure_family", value="table"), ["table"]),
        (filters("eq", key="color", value='"red"') * 2, ["grid", "scalar"]),
        (filters("eq", key="color", value='"red"') + filters("eq", key="n", value="9"), ["grid"]),
        (filters("eq", key="color", value="null"), ["inner", "run", "broken"]),
    ],
)
def test_what_is_searched_for_is_found(found, query, keys):
    assert found(query) == keys


def test_every_query_that_is_offered_is_tried_here(ask):
    tried = {
        "eq", "noteq", "comparison", "in", "notin", "keypresent", "like", "fulltext", "lookup", "keys_filter", "specs",
        "structure_family", "contains", "regex",
    }  # fmt: skip
    assert set(ask("").json()["queries"]) == tried


def test_a_list_is_searched_for_a_member():
    tree = MapNode({"a": MapNode({}, metadata={"tags": ["x", "y"]}), "b": MapNode({}, metadata={"tags": "x"})})
    reply = caller(tree).get("/api/v1/search/", params=filters("contains", key="tags", value='"x"'))
    assert [one["id"] for one in reply.json()["data"]] == ["a"]


def test_numbers_are_sorted_as_numbers_and_what_has_none_comes_last(found):
    assert found([("sort", "n")])[:3] == ["grid", "scalar", "table"]
    assert found([("sort", "-n")])[:3] == ["table", "scalar", "grid"]
    assert found([("sort", "-color"), ("sort", "-n"), ("sort", "")])[:3] == ["scalar", "grid", "table"]
    assert found([("sort", "-")]) == found()[::-1]


def pages(client, params):
    """All pages of a listing, by the links from each to the next."""
    url, found = "/api/v1/search/", []
    while url:
        body = client.get(url, params=params).json()
        found.append([one["id"] for one in body["data"]])
        url, params = body["links"]["next"], None
    return found


@given(number=st.integers(0, 12), limit=st.integers(1, 15), descending=st.booleans())
def test_the_pages_of_a_listing_make_up_the_whole(number, limit, descending):
    client = caller(numbered(number))
    params = {"page[limit]": limit, "fields": "", "sort": "-i" if descending else "i"}
    keys = [f"k{i}" for i in range(number)]
    found = pages(client, params)
    assert list(chain(*found)) == (keys[::-1] if descending else keys)
    assert all(len(page) == limit for page in found[:-1])


def test_the_next_page_is_of_the_same_search():
    client = caller(numbered(9), api_key="secret")
    params = [*filters("comparison", operator="ge", key="i", value="4"), ("sort", "-i"), ("page[limit]", "2")]
    assert pages(client, [*params, ("api_key", "secret")]) == [["k8", "k7"], ["k6", "k5"], ["k4"]]
    body = client.get("/api/v1/search/", params=[*params, ("page[offset]", "2"), ("api_key", "secret")]).json()
    assert "page[offset]=4" in unquote(body["links"]["next"])
    assert "page[offset]" not in unquote(body["links"]["first"])
    assert not any("secret" in (link or "") for link in body["links"].values())
    assert body["meta"]["count"] == 5


def test_a_page_longer_than_pages_are_is_one_of_several():
    client = caller(numbered(7), settings=Settings(most_items=3, most_keys=5))
    assert [len(page) for page in pages(client, {"page[limit]": 1000})] == [3, 3, 1]
    assert [len(page) for page in pages(client, {})] == [3, 3, 1]


def test_a_page_of_keys_alone_is_as_long_as_such_pages_are_unless_less_is_asked_for():
    client = caller(numbered(7), settings=Settings(most_items=3, most_keys=5))
    assert [len(page) for page in pages(client, {"fields": ""})] == [5, 2]
    assert [len(page) for page in pages(client, {"fields": "", "page[limit]": 4})] == [4, 3]
    assert [len(page) for page in pages(client, {"fields": "", "page[limit]": 1000})] == [5, 2]


def test_a_page_is_found_again_by_what_its_link_says():
    client = caller(numbered(7))
    for params in ({"page[offset]": 3}, {"page[cursor]": 3}):
        body = client.get("/api/v1/search/", params={**params, "page[limit]": 2}).json()
        assert [one["id"] for one in body["data"]] == ["k3", "k4"]


def test_beyond_the_end_is_an_empty_page(ask):
    body = ask("/search/", {"page[offset]": 2**53 - 1}).json()
    assert (body["data"], body["links"]["next"], body["meta"]["count"]) == ([], None, 6)
    assert ask("/search/", {"page[limit]": 0}).json()["data"] == []


def test_a_listing_is_not_kept_unasked(ask):
    assert ask("/search/").headers["cache-control"] == "must-revalidate"


def test_different_values_are_counted(ask):
    params = [("metadata", "color"), ("metadata", "n"), ("structure_families", "true"), ("specs", "true")]
    body = ask("/distinct/", [*params, ("counts", "true")]).json()
    assert {one["value"]: one["count"] for one in body["metadata"]["color"]} == {"red": 2, "blue": 1, None: 3}
    assert {one["value"]: one["count"] for one in body["metadata"]["n"]} == {9: 1, 10: 1, 100: 1, None: 3}
    assert {one["value"]: one["count"] for one in body["structure_families"]} == {
        "array": 2,
        "table": 1,
        "container": 3,
    }
    assert body["specs"] == [
        {"value": [], "count": 5},
        {"value": [{"name": "demo", "version": "1"}], "count": 1},
    ]
    without = ask("/distinct/", params).json()
    assert {one["count"] for one in without["metadata"]["color"]} == {None}


def test_different_values_of_a_search_are_those_of_what_it_finds(ask):
    body = ask("/distinct/", [("metadata", "color"), *filters("keypresent", key="color")]).json()
    assert [one["value"] for one in body["metadata"]["color"]] == ["red", "blue"]
    assert (body["structure_families"], body["specs"]) == (None, None)


def test_more_filters_than_a_search_has_are_refused():
    client = caller(numbered(2), settings=Settings(most_filters=3))
    for number, status in ((3, 200), (4, 422)):
        reply = client.get("/api/v1/search/", params=filters("eq", key="i", value="1") * number)
        assert reply.status_code == status


def test_metadata_that_json_does_not_have_is_told_all_the_same():
    metadata = {
        "nan": float("nan"),
        "big": 2**70,
        "array": np.arange(3),
        "scalar": np.float32(0.5),
        "tuple": (1, 2),
        "bytes": b"\x00\xff",
        "half a pair": "\ud800",
        5: "number",
        "time": np.datetime64("2026-01-01T00:00:00"),
    }
    client = caller(MapNode({"a": ArrayData(np.arange(2), metadata=metadata)}))
    for accept in ("application/json", "application/x-msgpack"):
        assert client.get("/api/v1/metadata/a", headers={"Accept": accept}).status_code == 200
    told = client.get("/api/v1/metadata/a").json()["data"]["attributes"]["metadata"]
    assert (told["nan"], told["big"], told["array"], told["scalar"], told["tuple"]) == (
        None,
        2**70,
        [0, 1, 2],
        0.5,
        [1, 2],
    )
    assert (told["half a pair"], told["5"]) == ("\ud800", "number")


def test_a_key_whose_values_are_wanted_is_as_long_as_others_may_be(ask):
    assert ask("/distinct/", {"metadata": "k" * 1000}).status_code == 200
    reply = ask("/distinct/", {"metadata": "k" * 1001})
    assert (reply.status_code, "1001 characters; 1000 are the most" in reply.json()["detail"]) == (422, True)
