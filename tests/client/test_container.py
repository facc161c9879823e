from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like import errors
from databroker_like import queries as q
from databroker_like.client import ASCENDING, DESCENDING
from databroker_like.client.array import ArrayClient
from databroker_like.client.base import BaseClient
from databroker_like.client.iterviews import KeysView
from databroker_like.nodes import MapNode
from tests.client.small_server import API

positions = st.none() | st.integers(-12, 12)


class Listed:
    """What a view asks of a container, of a list in memory."""

    def __init__(self, values: list[int]) -> None:
        self.values, self.counted = values, 0

    def __len__(self) -> int:
        self.counted += 1
        return len(self.values)

    def listed(
        self, kind: str, *, start: int = 0, most: Any = None, reverse: bool = False, page_size: Any = None
    ) -> Any:
        values = self.values[::-1] if reverse else self.values
        return iter(values[start : None if most is None else start + most])


@given(st.integers(0, 10), positions, positions, st.sampled_from([None, 1, 2, 3, -1, -2]))
def test_a_slice_of_a_view_is_that_of_a_list(length: int, start: Any, stop: Any, step: Any) -> None:
    values = list(range(length))
    assert KeysView(Listed(values))[start:stop:step] == values[start:stop:step]


@given(st.integers(1, 10), st.integers(-10, 9))
def test_a_position_of_a_view_is_that_of_a_list(length: int, at: int) -> None:
    view = KeysView(Listed(list(range(length))))
    if -length <= at < length:
        assert view[at] == range(length)[at]
    else:
        with pytest.raises(IndexError):
            view[at]


@pytest.mark.parametrize(
    "index", [slice(0, 3), slice(2, None), slice(-3, None), slice(-1, -4, -1), slice(None, None, -1)]
)
def test_what_is_at_either_end_is_had_without_counting(index: slice) -> None:
    listed = Listed(list(range(10)))
    assert KeysView(listed)[index] == list(range(10))[index]
    assert listed.counted == 0


def test_opening_takes_one_request(opened: Any, server: Any) -> None:
    opened("image")
    assert server.asked == [("GET", "/metadata/image", [])]


@pytest.mark.parametrize("form", ["msgpack", "json"])
def test_keys_come_page_by_page(opened: Any, server: Any, form: str) -> None:
    server.form = form
    container = opened()
    assert list(container) == list(container.keys()) == list(server.nodes)
    assert list(reversed(container.keys())) == list(server.nodes)[::-1]
    pages = [query for method, path, query in server.asked if ("fields", "") in query]
    assert len(pages) > 4


def test_the_last_node_is_one_request(opened: Any, server: Any) -> None:
    container = opened()
    server.asked.clear()
    assert container.keys()[-1] == "table"
    assert server.asked == [("GET", "/search/", [("fields", ""), ("sort", "-"), ("page[limit]", "1")])]


def test_positions_are_whole_numbers_of_any_kind(opened: Any) -> None:
    keys = opened().keys()
    assert keys[np.int64(1)] == keys[1]
    for wrong in ("a", 1.5, None):
        with pytest.raises(TypeError, match="a position or a slice"):
            keys[wrong]


def test_a_long_slice_is_paged(opened: Any, server: Any) -> None:
    server.nodes = {f"n{n}": {} for n in range(700)}
    container = opened()
    server.asked.clear()
    assert container.keys()[10:660] == list(server.nodes)[10:660]
    assert [dict(query)["page[limit]"] for _, _, query in server.asked] == ["300", "300", "300"]


def test_head_tail_first_last_and_page_size(opened: Any) -> None:
    keys = opened().keys()
    assert keys.head(2) == ["k00", "k01"]
    assert keys.tail(2) == ["rows", "table"]
    assert (keys.first(), keys.last(), keys.head(0)) == ("k00", "table", [])
    assert keys.page_size(3)[:] == list(keys)
    assert "k03" in keys
    assert repr(keys.page_size(2)).startswith("<KeysView ['k00', ")
    with pytest.raises(errors.Invalid):
        keys.page_size(0)
    for wrong in (keys.head, keys.tail):
        with pytest.raises(errors.WrongType, match="a whole number, not 'a'"):
            wrong("a")


def test_nodes_are_looked_up_by_name_and_by_path(opened: Any, server: Any) -> None:
    container = opened()
    assert isinstance(container["image"], ArrayClient)
    assert container["table/a"].path_parts == container["table", "a"].path_parts == ["table", "a"]
    assert container.get("nothing") is None
    with pytest.raises(KeyError, match="there is no 'nothing'"):
        container["nothing"]
    with pytest.raises(TypeError, match=r"\.values\(\)\[3\]"):
        container[3]


def test_a_key_that_is_missing_among_results_names_those_near_it_among_them(served: Any) -> None:
    tree = {name: MapNode({}, metadata={"color": color}) for name, color in (("image", "red"), ("images", "blue"))}
    red = served(MapNode({"zoo": MapNode(tree)}))["zoo"].search(q.Key("color") == "red")
    with pytest.raises(
        errors.NotFound, match=r"no 'imagse' among the results of this search in .*zoo; nearest: 'image'$"
    ):
        red["imagse"]
    with pytest.raises(errors.NotFound) as told:
        red["other"]
    assert "nearest" not in str(told.value)
    assert "imagse" not in red
    assert red.get("imagse") is None


def test_a_key_that_is_missing_names_those_near_it_for_one_request_more(served: Any, server: Any, opened: Any) -> None:
    root = served(MapNode({"zoo": MapNode({"image": MapNode({}), "table": MapNode({})}), "a": MapNode({})}))
    for look in (lambda: root["zoo"]["imgae"], lambda: root["zoo/imgae"], lambda: root["zoo", "imgae"]):
        with pytest.raises(errors.NotFound, match=r"there is no 'zoo/imgae' at .*; nearest: 'image'"):
            look()
    with pytest.raises(errors.NotFound) as told:
        root["zoo/other"]
    assert "nearest" not in str(told.value)
    with pytest.raises(errors.NotFound) as told:
        root["nowhere/imgae"]
    assert "nearest" not in str(told.value)
    container = opened()
    server.asked.clear()
    with pytest.raises(errors.NotFound, match="nearest: 'image'"):
        container["imgae"]
    assert [path for _, path, _ in server.asked] == ["/metadata/imgae", "/search/"]
    server.asked.clear()
    assert "imgae" not in container
    assert container.get("imgae", 5) == 5
    assert [path for _, path, _ in server.asked] == ["/metadata/imgae"] * 2


def test_what_was_sent_along_is_not_asked_for(opened: Any, server: Any) -> None:
    container = opened()
    container.item["attributes"]["structure"]["contents"] = {key: server.item(key) for key in ("k01", "image")}
    server.asked.clear()
    assert list(container) == ["k01", "image"]
    assert container.keys()[-1] == "image"
    assert len(container) == 2
    assert container["image"].shape == (5, 7)
    assert server.asked == []


def test_searches_narrow_one_another_and_look_up_among_their_results(opened: Any, server: Any) -> None:
    results = opened().search(q.Key("n") > 3).search(q.FullText("gold"))
    server.asked.clear()
    assert results["k05"].metadata["n"] == 5
    assert [name for name, _ in server.asked[0][2]] == [
        *(f"filter[comparison][condition][{name}]" for name in ("operator", "key", "value")),
        "filter[fulltext][condition][text]",
        "filter[lookup][condition][key]",
        "page[limit]",
    ]
    with pytest.raises(KeyError, match="among the results"):
        results["nothing"]


def test_sorting_is_sent_and_turned_for_what_is_at_the_end(opened: Any, server: Any) -> None:
    container = opened().sort(("n", DESCENDING), ("name", ASCENDING))
    assert container.sorting == [("n", -1), ("name", 1)]
    server.asked.clear()
    container.keys().first()
    container.keys().last()
    assert [[v for n, v in query if n == "sort"] for _, _, query in server.asked] == [["-n", "name"], ["n", "-name"]]


@pytest.mark.parametrize("by", ["n", ("n", 2), ("n",), (1, 1)])
def test_what_is_no_sorting_is_told(opened: Any, by: Any) -> None:
    with pytest.raises(errors.Invalid, match="ASCENDING"):
        opened().sort(by)


def test_distinct_asks_with_the_search(opened: Any) -> None:
    found = opened().search(q.Eq("a", 1)).distinct("color", counts=True)
    assert found["metadata"]["asked"] == [
        ["metadata", "color"],
        ["counts", "true"],
        ["filter[eq][condition][key]", "a"],
        ["filter[eq][condition][value]", "1"],
    ]


def test_it_is_counted_once_in_a_second(opened: Any, server: Any) -> None:
    container = opened()
    server.asked.clear()
    assert len(container) == len(container) == len(server.nodes)
    assert len(server.asked) == 1


def test_metadata_is_looked_at_and_copied_to_be_changed(opened: Any) -> None:
    node = opened("k03")
    assert dict(node.metadata) == {"n": 3, "tags": [3]}
    with pytest.raises(TypeError):
        node.metadata["n"] = 4
    with pytest.raises(AttributeError):
        node.metadata["tags"].append(4)
    copied = node.metadata_copy()
    copied["tags"].append(4)
    assert node.metadata["tags"] == [3]
    assert [spec.name for spec in node.specs] == ["demo"]
    assert (node.structure_family, node.path_parts) == ("container", ["k03"])
    assert node.parent.path_parts == []


def test_a_class_of_ones_own_is_chosen_by_spec(opened: Any) -> None:
    class Mine(ArrayClient):
        def read(self, slice: Any = None) -> np.ndarray:
            return super().read(slice) + 1

    found = opened("image", clients={"demo": Mine})
    assert isinstance(found, Mine)
    assert found.read()[0, 0] == 1
    with pytest.raises(errors.Invalid, match="'dask'"):
        opened(clients="daks")


def test_a_node_of_a_kind_that_is_not_read_is_shown_all_the_same(opened: Any, server: Any) -> None:
    item = server.item("k01")
    item["attributes"] |= {"structure_family": "a family of tomorrow", "structure": None}
    found = opened()._child(item)
    assert type(found) is BaseClient
    assert found.metadata["n"] == 1
    assert found.structure() is None


def test_pages_are_asked_for_with_the_search_where_links_do_not_repeat_it(
    opened: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = server.search

    def forgets(query: Any) -> Any:
        found = real(query)
        link = found["links"]["next"]
        if link is not None:
            start, pages = link.split("?")
            found["links"]["next"] = start + "?" + "&".join(p for p in pages.split("&") if p.startswith("page["))
        return found

    monkeypatch.setattr(server, "search", forgets)
    container = opened().search(q.Key("n") > 3)
    server.asked.clear()
    assert [*iter(container.keys().page_size(3))] == list(server.nodes)
    assert len(server.asked) > 2
    assert all("filter[comparison][condition][key]" in dict(query) for _, _, query in server.asked)
    assert all(("fields", "") in query for _, _, query in server.asked)


def test_keys_with_slashes_are_found_too(served: Any) -> None:
    root = served(MapNode({"a": MapNode({"x/y": MapNode({}, metadata={"n": 1})}), "b": MapNode({})}))
    assert root["a"]["x/y"].metadata["n"] == root["a", "x/y"].metadata["n"] == 1
    assert [node.metadata["n"] for node in root["a"].values()] == [1]
    with pytest.raises(KeyError, match="a/b/c"):
        root["a", "b/c"]


def test_a_page_that_leads_to_itself_is_told(opened: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        server, "search", lambda _: {"data": [], "links": {"next": f"{API}/search/?page[offset]=3"}, "meta": {}}
    )
    with pytest.raises(errors.ServiceFailed, match="again"):
        next(iter(opened()))


def test_keys_are_offered_to_choose_from(opened: Any, server: Any) -> None:
    assert opened()._ipython_key_completions_() == list(server.nodes)


def test_a_container_that_is_said_to_be_empty_is_looked_into(
    opened: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = server.search
    monkeypatch.setattr(server, "search", lambda query: {**real(query), "meta": {"count": 0}})
    container = opened()
    assert len(container) == len(server.nodes)
    assert container.keys()[1:-1] == list(server.nodes)[1:-1]
    server.nodes.clear()
    assert len(opened()) == 0
