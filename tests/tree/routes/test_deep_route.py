"""Searches through containers in containers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.nodes import ArrayData, MapNode
from databroker_like.service import Settings
from tests.tree.conftest import API, caller
from tests.tree.routes.test_told_routes import filters


def red(inside=None, **metadata):
    return MapNode(inside or {}, metadata={"color": "red", **metadata})


def blue(inside=None):
    return MapNode(inside or {}, metadata={"color": "blue"})


TREE = MapNode({
    "a": red({"b": blue({"c": red({"d": red()})})}),
    "e": blue({"f": ArrayData(np.arange(3), metadata={"color": "red"})}),
    "g": red(),
})  # fmt: skip
RED = filters("eq", key="color", value='"red"')


def found(client, params=(), path=""):
    reply = client.get(f"/api/v1/search-deep/{path}", params=list(params))
    assert reply.status_code == 200, reply.text
    body = reply.json()
    return ["/".join([*one["attributes"]["ancestors"], one["id"]]) for one in body["data"]], body["meta"]["count"]


def test_what_matches_is_found_at_every_level_with_where_it_is():
    client = caller(TREE)
    assert found(client, RED) == (["a", "a/b/c", "a/b/c/d", "e/f", "g"], 5)
    assert found(client, RED, "a/b") == (["a/b/c", "a/b/c/d"], 2)
    assert found(client, filters("lookup", key="c")) == (["a/b/c"], 1)
    assert found(client) == (["a", "a/b", "a/b/c", "a/b/c/d", "e", "e/f", "g"], 7)
    assert found(client, [*RED, *filters("structure_family", value="array")]) == (["e/f"], 1)


@pytest.mark.parametrize(("depth", "paths"), [(1, ["a", "g"]), (2, ["a", "e/f", "g"]), (3, ["a", "a/b/c", "e/f", "g"])])
def test_only_so_many_levels_are_searched(depth, paths):
    assert found(caller(TREE), [*RED, ("max_depth", str(depth))]) == (paths, len(paths))


@given(limit=st.integers(1, 6))
def test_the_pages_of_a_deep_search_make_up_the_whole(limit):
    client = caller(TREE)
    url, params, paths = "/api/v1/search-deep/", [*RED, ("page[limit]", str(limit))], []
    while url:
        body = client.get(url, params=params).json()
        assert body["meta"] == {"count": 5}
        paths += [one["links"]["self"].removeprefix(f"{API}/metadata/") for one in body["data"]]
        url, params = body["links"]["next"], None
    assert paths == ["a", "a/b/c", "a/b/c/d", "e/f", "g"]


def test_only_the_number_of_what_is_found_is_told():
    assert found(caller(TREE), [*RED, ("fields", "count")]) == ([], 5)


def test_a_search_through_more_than_can_be_looked_at_is_refused():
    client = caller(TREE, settings=Settings(most_nodes=6))
    reply = client.get("/api/v1/search-deep/", params=RED)
    assert reply.status_code == 413
    assert "max_depth" in reply.json()["detail"]
    assert found(client, [*RED, ("max_depth", "2")])[1] == 3


@pytest.mark.parametrize("params", ["max_depth=0", "max_depth=65", "max_depth=x", "sort=color", "page[limit]=-1"])
def test_a_deep_search_that_cannot_be_understood_is_refused(params):
    assert caller(TREE).get(f"/api/v1/search-deep/?{params}").status_code == 422


def test_only_containers_are_searched():
    assert caller(TREE).get("/api/v1/search-deep/e/f").status_code == 404
