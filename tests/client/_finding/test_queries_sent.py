"""Random searches of random nodes find over HTTP what they mean."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from databroker_like import queries as q
from databroker_like.client import ASCENDING, DESCENDING, Context, from_context
from databroker_like.nodes import MapNode
from databroker_like.tree import build_app

plain = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, -1.5]) | st.sampled_from(["a", "Ab", "b c"])
)
keys = st.sampled_from(["x", "y", "deep.z"])
values = plain | st.lists(plain, max_size=2)
docs = st.fixed_dictionaries(
    {}, optional={"x": values, "y": values, "deep": st.fixed_dictionaries({}, optional={"z": plain})}
)
scalars = st.integers(-3, 3) | st.sampled_from(["a", "Ab", "b c"]) | st.booleans()
one = st.one_of(
    st.builds(q.Eq, keys, scalars),
    st.builds(q.NotEq, keys, scalars),
    st.builds(q.Comparison, st.sampled_from(["lt", "le", "gt", "ge"]), keys, st.integers(-3, 3)),
    st.builds(q.In, keys, st.lists(scalars, min_size=1, max_size=3)),
    st.builds(q.NotIn, keys, st.lists(scalars, min_size=1, max_size=3)),
    st.builds(q.Contains, keys, scalars),
    st.builds(q.KeyPresent, keys, st.booleans()),
    st.builds(q.Like, keys, st.sampled_from(["a%", "_b", "%c", "b c"])),
    st.builds(q.Regex, keys, st.sampled_from(["^a", "b$", "."]), case_sensitive=st.booleans()),
    st.builds(q.FullText, st.sampled_from(["a", "ab", "nothing"])),
)


def matches(query: Any, doc: dict[str, Any]) -> bool:
    return (query.node() if isinstance(query, q.TiledQuery) else query).matches(doc)


@given(st.lists(docs, max_size=8), st.lists(one, min_size=1, max_size=3), st.integers(1, 4))
@settings(max_examples=80)
def test_searches_find_what_they_mean(found: list[Any], queries: list[Any], page: int) -> None:
    tree = MapNode({f"k{n}": MapNode({}, metadata=doc) for n, doc in enumerate(found)})
    expected = [f"k{n}" for n, doc in enumerate(found) if all(matches(query, doc) for query in queries)]
    with Context.from_app(build_app(tree, public=True)) as context:
        results = from_context(context)
        for query in queries:
            results = results.search(query)
        assert list(results) == results.keys().page_size(page)[:] == expected
        assert len(results) == len(expected)
        assert results.keys()[::-1] == expected[::-1]
        if len(queries) > 1:
            together = queries[0]
            for query in queries[1:]:
                together = together & query
            assert from_context(context).search(together).keys()[:] == expected


@given(st.lists(st.integers(-3, 3) | st.sampled_from([0.5]), max_size=9), st.sampled_from([ASCENDING, DESCENDING]))
@settings(max_examples=30)
def test_numbers_are_sorted_as_numbers(numbers: list[float], direction: int) -> None:
    tree = MapNode({f"k{n}": MapNode({}, metadata={"n": value}) for n, value in enumerate(numbers)})
    with Context.from_app(build_app(tree, public=True)) as context:
        found = from_context(context).sort(("n", direction))
        order = [node.metadata["n"] for node in found.values()]
        assert order == sorted(numbers, reverse=direction < 0)
        assert [node.metadata["n"] for node in found.values()[::-1]] == order[::-1]
