from __future__ import annotations

from typing import Any

import pytest

from databroker_like import errors
from databroker_like import queries as q
from databroker_like.client._finding._filters import filters_of, parameters


@pytest.mark.parametrize(
    ("query", "same"),
    [
        ({"plan_name": "scan"}, [q.Eq("plan_name", "scan")]),
        ({"a": 1, "b.c": {"$gte": 2, "$lt": 5}}, [q.Eq("a", 1), q.Comparison("ge", "b.c", 2), q.Key("b.c") < 5]),
        ({"$and": [{"a": {"$in": [1, 2]}}, {"b": {"$exists": False}}]}, [q.In("a", [1, 2]), q.KeyPresent("b", False)]),
        ({"name": {"$regex": "^gold", "$options": "i"}}, [q.Regex("name", "^gold", case_sensitive=False)]),
        ({"tags": {"$all": ["a", "b"]}}, [q.Contains("tags", "a"), q.Contains("tags", "b")]),
        ({"tags": {"$elemMatch": {"$eq": 3}}}, [q.Contains("tags", 3)]),
        (q.TimeRange(since=10.0, until=20.0), [q.Key("time") >= 10.0, q.Key("time") < 20.0]),
        (q.TextQuery("gold"), [q.FullText("gold")]),
        ({}, []),
    ],
)
def test_dictionaries_are_sent_as_what_they_mean(query: Any, same: list[Any]) -> None:
    assert filters_of(query) == tuple(condition for one in same for condition in filters_of(one))


@pytest.mark.parametrize(
    "query",
    [
        {"a": {"$ne": 1}},
        {"a": None},
        {"a": {"$nin": [1]}},
        {"$or": [{"a": 1}, {"b": 1}]},
        {"a": {"$size": 2}},
        {"a": {"$all": []}},
        q.TextQuery("gold -silver"),
        {"a": {"$unknown": 2}},
        q.Key("a"),
        3,
    ],
)
def test_what_the_protocol_cannot_say_is_told(query: Any) -> None:
    with pytest.raises(errors.InvalidQuery):
        filters_of(query)


def test_queries_are_put_together() -> None:
    together = q.FullText("gold") & (q.Key("n") > 3) & q.Specs(["a"]) & q.Eq("b", 1)
    assert [name for name, _ in filters_of(together)] == ["fulltext", "comparison", "specs", "eq"]
    assert filters_of(q.Eq("b", 1) & q.Lookup("k")) == (*filters_of(q.Eq("b", 1)), *filters_of(q.Lookup("k")))
    with pytest.raises(errors.InvalidQuery, match="'&'"):
        q.FullText("gold") and q.Key("n") > 3
    with pytest.raises(TypeError):
        q.FullText("gold") & 3


def test_values_of_numpy_are_numbers() -> None:
    import numpy as np

    assert parameters(filters_of(q.Key("n") == np.int64(3)))[1] == ("filter[eq][condition][value]", "3")
    assert parameters(filters_of(q.In("n", np.arange(2))))[1] == ("filter[in][condition][value]", "[0, 1]")
