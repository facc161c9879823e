"""Searches of a store give what a loop over all documents gives."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databroker_like.store import _searching
from tests.store.searching import Runs

KEYS = st.sampled_from(["a", "b", "a.b", "a.0", "b.a", "a.b.a", "stop.a", "stop", "a.1.b", "time", "uid"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([-0.5, -0.0, 1.0, "", "x", "xy", "X y", "1", math.nan, math.inf, 2**53 + 1, -(2**70), 10**400]),
    st.sampled_from(["\0", "x\0", "\ud800", "x" * 400, "x" * 401, "x" * 400 + "y", "\U0010ffff", "\ud7ff", "\ue000"]),
    st.sampled_from([b"x", b""]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab0"), inner, max_size=2),
    max_leaves=5,
)
STARTS = st.dictionaries(st.sampled_from(["a", "b", "stop", "a.b", "$text", ""]), VALUES, max_size=3)
STOPS = st.none() | st.dictionaries(st.sampled_from("ab"), VALUES, max_size=2)
TIMES = st.sampled_from([0.0, 0.5, 1, 2.0])

OPERANDS = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=1)
ORDERS = st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$eq", "$ne"])
PATTERNS = st.sampled_from(["x", "^x$", "y", ".", "^x", "^", "^x?", "^X\\ ", "^x|y", "^\\."])
WORDS = st.sampled_from(["x", "xy", "-x", '"x y"', "X", '-"x y" y', "1 y", "", '"x"', "x" * 401])


# As functions, of which the names are shown when something fails, and not all that is in them.
@st.composite
def conditions(draw):
    kind = draw(st.sampled_from(["equal", "order", "order", "list", "exists", "size", "regex", "range", "member"]))
    if kind == "equal":
        return draw(OPERANDS)
    if kind == "order":
        found = {draw(ORDERS): draw(OPERANDS)}
    elif kind == "list":
        found = {draw(st.sampled_from(["$in", "$nin", "$all"])): draw(st.lists(OPERANDS, max_size=3))}
    elif kind == "exists":
        found = {"$exists": draw(st.booleans())}
    elif kind == "size":
        found = {"$size": draw(st.integers(0, 3))}
    elif kind == "regex":
        found = {"$regex": draw(PATTERNS), "$options": draw(st.sampled_from(["", "i"]))}
    elif kind == "range":
        found = {"$gt": draw(SCALARS), "$lt": draw(SCALARS)}
    else:
        found = {"$elemMatch": draw(st.sampled_from([{"b": 1}, {"$gte": 0}, {"a": None}, {"$gt": "", "$lt": "xz"}]))}
    return {"$not": found} if draw(st.integers(0, 3)) == 0 else found


@st.composite
def queries(draw, depth=2):
    kind = draw(st.sampled_from(["fields", "fields", "fields", "text", "several", "several"]))
    if kind == "text":
        return {"$text": {"$search": draw(WORDS)}}
    if kind == "several" and depth:
        several = st.lists(queries(depth - 1), min_size=1, max_size=3)
        return {draw(st.sampled_from(["$and", "$or", "$nor"])): draw(several)}
    return draw(st.dictionaries(KEYS, conditions(), min_size=1, max_size=2))


@st.composite
def heads(draw):
    return draw(st.lists(st.tuples(STARTS, STOPS, TIMES), max_size=6))


def recorded(heads):
    runs = Runs()
    for number, (start, stop, time) in enumerate(heads):
        runs.add({**start, "time": time}, stop, at_once=number % 2 == 0)
    return runs


@pytest.fixture(params=["few are listed", "the first are looked at", "all are read as bits"])
def road(request, monkeypatch):
    """Every way to answer is taken, however few the runs are."""
    if request.param != "few are listed":
        monkeypatch.setattr(_searching, "FEW", 0)
        monkeypatch.setattr(_searching, "SORTED", 0)
        monkeypatch.setattr(_searching, "PAGE", 2)
        monkeypatch.setattr(_searching, "DOCUMENTS", 2)
        monkeypatch.setattr(_searching, "IDS", 3)
        monkeypatch.setattr(_searching, "FIRST", 2)
    if request.param == "all are read as bits":
        monkeypatch.setattr(_searching, "THEN", 0)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(heads(), st.lists(queries(), min_size=3, max_size=3))
def test_any_query_finds_what_a_loop_finds(road, heads, several):
    runs = recorded(heads)
    for query in several:
        runs.check(query)
        runs.check(query, newest_first=True, limit=2)
        runs.check(query, skip=1, limit=3)


@pytest.mark.parametrize("number", [0, 1, 7])
def test_what_every_uid_matches_is_counted(road, number):
    runs = recorded([({"uid": f"r{one}"}, None, float(one)) for one in range(number)])
    for condition in ({"$regex": "^"}, {"$not": {"$regex": "^"}}):
        runs.check({"uid": condition})


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(heads(), KEYS, queries())
def test_distinct_values_are_those_of_a_loop(road, heads, key, query):
    runs = recorded(heads)
    assert repr(sorted(map(repr, runs.distinct(key)))) == repr(sorted(map(repr, runs.expected_distinct(key))))
    assert [n for _, n in runs.distinct(key, query)] == [n for _, n in runs.expected_distinct(key, query)]
