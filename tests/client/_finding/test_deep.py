"""What is found at any depth, in a tree that our own service serves in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from databroker_like import errors
from databroker_like import queries as q
from databroker_like.client._finding._deep import DeepSearchResults
from databroker_like.nodes import MapNode

PATHS = [("a",), ("a", "one"), ("a", "two"), ("a", "two", "deep"), ("b", "one"), ("b", "x/y")]
RED = q.Key("color") == "red"


def tree() -> MapNode:
    red, blue = {"color": "red"}, {"color": "blue"}
    two = MapNode({"deep": MapNode({}, metadata=red), "not": MapNode({}, metadata=blue)}, metadata=red)
    a = MapNode({"one": MapNode({}, metadata=red), "two": two}, metadata=red)
    b = MapNode({"one": MapNode({}, metadata=red), "x/y": MapNode({}, metadata={**red, "n": 1})}, metadata=blue)
    return MapNode({"top": MapNode({"a": a, "b": b})})


@pytest.fixture
def top(served: Callable[..., Any]) -> Any:
    return served(tree(), "top")


def test_what_matches_is_found_by_its_path(top: Any) -> None:
    found = top.search_deep(RED)
    assert isinstance(found, DeepSearchResults)
    assert sorted(found) == sorted(PATHS)
    assert len(found) == len(PATHS)
    assert found["a", "two", "deep"].metadata["color"] == "red"
    assert found["a/two"].path_parts == ["top", "a", "two"]
    assert all(path in found for path in PATHS)
    assert dict(found.items())[("a", "one")].uri == top["a", "one"].uri
    assert found == top.search_deep(RED) != top.search_deep(RED, max_depth=2)
    assert repr(found).startswith("<DeepSearchResults {('a',), ")


def test_what_does_not_match_is_not_there(top: Any) -> None:
    found = top.search_deep(RED, max_depth=2)
    for key in [("b",), ("a", "two", "not"), ("nothing", "one"), (), ("a", "two", "deep")]:
        assert key not in found
        with pytest.raises(KeyError, match="there is no"):
            found[key]
    with pytest.raises(TypeError, match=r"\.values\(\)"):
        found[3]


@pytest.mark.parametrize(
    "part", [slice(1, 3), slice(-2, None), slice(None, None, -1), slice(None, None, 2), slice(9, 9)]
)
def test_parts_of_it_are_those_of_a_list(top: Any, part: slice) -> None:
    found = top.search_deep(RED)
    whole = list(found)
    assert found.keys()[part] == whole[part]
    assert [node.path_parts[1:] for node in found.values()[part]] == [list(path) for path in whole[part]]


def test_it_pages_by_itself_from_either_end(top: Any) -> None:
    found = top.search_deep(RED)
    whole = list(found)
    assert found.keys().page_size(2)[:] == whole
    assert (found.keys().first(), found.keys().last()) == (whole[0], whole[-1])
    assert found.keys().tail(2) == whole[-2:]
    assert list(reversed(found)) == whole[::-1]
    assert found.items().head(1)[0][0] == whole[0]


def test_several_queries_hold_together(top: Any) -> None:
    assert list(top.search_deep(RED, q.Key("n") == 1)) == [("b", "x/y")]
    assert list(top.search_deep(RED & q.KeyPresent("n"))) == [("b", "x/y")]
    assert list(top.search(RED).search_deep(q.KeyPresent("n"))) == [("b", "x/y")]


def test_what_cannot_be_meant_is_told(top: Any) -> None:
    with pytest.raises(errors.Invalid, match="needs a query"):
        top.search_deep()
    with pytest.raises(errors.Invalid, match="max_depth"):
        top.search_deep(RED, max_depth=0)
    del top.item["links"]["search_deep"]
    with pytest.raises(errors.NotOffered, match="search_deep"):
        top.search_deep(RED)
