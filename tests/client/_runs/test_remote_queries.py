"""What is asked of a server leaves all the runs that a search means, and no others where it says so."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like import queries as q
from databroker_like.client._runs._queries import meant_by, narrowed
from databroker_like.queries import Node, searched
from databroker_like.service import Settings
from databroker_like.tree._asked import Params
from databroker_like.tree._filters import filters_of

KEYS = st.sampled_from(["a", "b", "a.c", "stop.x", "stop", "uid", "time", "scan_id"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**70, 0.5, float("nan"), float("inf")]),
    st.sampled_from(["", "a", "ab", "A", "a%", "a_", "é"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("c"), inner), max_leaves=3
)
LEAVES: st.SearchStrategy[Node] = st.one_of(
    st.builds(q.Eq, KEYS, VALUES),
    st.builds(q.Ne, KEYS, VALUES),
    st.builds(q.Gt, KEYS, SCALARS),
    st.builds(q.Gte, KEYS, SCALARS),
    st.builds(q.Lt, KEYS, SCALARS),
    st.builds(q.Lte, KEYS, SCALARS),
    st.builds(q.In, KEYS, st.lists(VALUES, max_size=3)),
    st.builds(q.NotIn, KEYS, st.lists(VALUES, max_size=3)),
    st.builds(q.All, KEYS, st.lists(SCALARS, max_size=2)),
    st.builds(q.Exists, KEYS, st.booleans()),
    st.builds(q.Prefix, KEYS, st.sampled_from(["", "a", "a%", "A"])),
    st.builds(q.Regex, KEYS, st.sampled_from(["^a", "b$"])),
    st.builds(q.Size, KEYS, st.integers(0, 2)),
    st.builds(q.Text, st.sampled_from(["a", "ab -a", '"a"'])),
)
QUERIES = st.recursive(
    LEAVES,
    lambda inner: st.builds(q.And, inner, inner) | st.builds(q.Or, inner, inner) | st.builds(q.Not, inner),
    max_leaves=4,
)
STARTS = st.fixed_dictionaries(
    {"uid": st.sampled_from(["a", "ab", "b"]), "time": st.floats(-3, 3)},
    optional={"a": VALUES, "b": VALUES, "scan_id": st.integers(-3, 3)},
)
STOPS = st.none() | st.fixed_dictionaries({}, optional={"x": VALUES})


def _leaves(asked: Any, start: dict[str, Any], stop: dict[str, Any] | None) -> bool:
    """Whether our service finds a run by these parameters of a URL."""
    conditions = [q.run_query(found) for found in filters_of(Params(asked), Settings())]
    return all(meant_by(condition)(start, stop) for condition in conditions)


@given(query=QUERIES, start=STARTS, stop=STOPS)
def test_our_service_leaves_all_that_are_meant(query: Node, start: dict[str, Any], stop: dict[str, Any] | None) -> None:
    means = meant_by(query)(start, stop)
    found = narrowed(query, is_ours=True)
    left = _leaves(found.parameters, start, stop)
    assert left if means else True
    if found.is_all:
        assert left is means


@given(query=QUERIES, start=STARTS, stop=STOPS)
def test_servers_of_others_are_asked_for_what_is_one_value(
    query: Node, start: dict[str, Any], stop: dict[str, Any] | None
) -> None:
    found = narrowed(query, is_ours=False)
    asked = dict(found.parameters)
    keys = {value for name, value in asked.items() if name.endswith("[key]")}
    assert keys <= {"start.time", "start.scan_id", "start.uid"}
    if meant_by(query)(start, stop):
        assert _leaves(found.parameters, start, stop)


def test_what_a_url_cannot_hold_is_looked_at_here() -> None:
    long = q.In("uid", [f"{number:036}" for number in range(1000)])
    assert narrowed(long, is_ours=True).is_all is False
    found = narrowed(long & q.Eq("a", 1), is_ours=True)
    assert [value for _, value in found.parameters] == ["start.a", "1"]
    assert found.is_all is False
    many = q.And([q.Eq(f"k{number}", number) for number in range(40)])
    assert narrowed(many, is_ours=True).is_all is False
    assert narrowed(q.Everything(), is_ours=True).is_all is True


@pytest.mark.parametrize("value", [re.compile("a"), {1, 2}, b"a", (1, 2**60)])
def test_what_json_cannot_hold_is_looked_at_here(value: Any) -> None:
    found = narrowed(q.Eq("a", value), is_ours=True)
    assert (found.parameters, found.is_all) == ([], False)


def test_a_search_of_the_stop_document_looks_at_it() -> None:
    start, stop = {"uid": "a"}, {"exit_status": "fail"}
    assert meant_by(q.Eq("stop.exit_status", "fail"))(start, stop)
    assert not meant_by(q.Eq("stop.exit_status", "fail"))(start, None)
    assert meant_by(q.Eq("uid", "a"))(start, None)
    assert searched(start, stop)["stop"] == stop
