"""What a search of a MongoDB finds is what the query says of each run, whoever judges it."""

from __future__ import annotations

import datetime
import itertools
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databroker_like.drivers._mongo_query import Dialect
from databroker_like.drivers._mongo_server import MongoServer
from databroker_like.drivers.mongo_embedded import BlueskyMongoCatalog as EmbeddedCatalog
from databroker_like.drivers.mongo_normalized import BlueskyMongoCatalog as NormalizedCatalog
from databroker_like.errors import AmbiguousKey, NotFound, OutOfRange
from databroker_like.queries import And, Everything, Tally, TextQuery, TimeRange, parse, searched
from databroker_like.queries._values import rank

#: What stands in start and stop documents: every kind of value, and the same key with different ones.
VALUES = [
    "scan",
    "Scan",
    "",
    "a.b",
    "état",
    "gold, on glass",
    "line\nscan",
    "scan\n",
    0,
    1,
    -1,
    1.0,
    0.5,
    2**40,
    2**62,
    float(2**53),
    float("inf"),
    float("nan"),
    -0.0,
    True,
    False,
    None,
    [],
    [1, 2],
    [[1, 2], 3],
    ["scan", "gold"],
    [None],
    [{"x": 1}, {"x": "scan"}, {}],
    [{"x": [1]}, 5],
    {},
    {"x": 1},
    {"x": None},
    {"x": "scan", "y": [1]},
    {"x": {"y": "gold"}},
    {"y": 1, "x": 2},
    {"0": "zero"},
]
MISSING = object()


def _runs():
    """Pairs of start and stop; a fixed choice of all pairs of values at the keys that are asked for."""
    runs = []
    spread = [*VALUES, MISSING]
    for number in range(2 * len(spread)):
        start = {"uid": f"{number:04x}-run", "time": float(number // 3)}
        one, other = spread[number % len(spread)], spread[(number * 7 + 3) % len(spread)]
        start |= {key: value for key, value in (("a", one), ("b", other)) if value is not MISSING}
        if number % 5 == 0:
            start["stop"] = "its own"
        stop = None
        if number % 4:
            stop = {"uid": f"{number}-stop", "run_start": start["uid"], "time": number + 0.5}
            stop |= {key: value for key, value in (("a", other), ("status", one)) if value is not MISSING}
        runs.append((start, stop))
    return runs


RUNS = _runs()


def expected(query):
    node = parse(query)
    return [
        start["uid"]
        for start, stop in sorted(RUNS, key=lambda r: (r[0]["time"], r[0]["uid"]))
        if node.matches(searched(start, stop))
    ]


@pytest.fixture(params=["normalized", "embedded"])
def layout(request):
    return request.param


@pytest.fixture
def catalog(mongo, layout):
    if layout == "normalized":
        made = NormalizedCatalog(mongo(), mongo())
        database = made.collection.server.database
        database["run_start"].insert_many([dict(start) for start, _ in RUNS])
        database["run_stop"].insert_many([dict(stop) for _, stop in RUNS if stop is not None])
        return made
    made = EmbeddedCatalog(mongo())
    made.collection.server.database["header"].insert_many(
        [{"run_id": start["uid"], "start": [start], **({"stop": [stop]} if stop else {})} for start, stop in RUNS]
    )
    return made


# -- one by one

OPERANDS = [*VALUES, 2**70, datetime.datetime(2020, 1, 1), re.compile("sc"), b"bytes", "\ud800"]
KEYS = ["a", "a.x", "a.x.y", "a.0", "a.1.x", "stop.a", "stop.status", "stop.status.x", "stop", "nothing", "a.nothing"]


def every_condition():
    for key, operand in itertools.product(KEYS, OPERANDS):
        for operator in ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte"):
            if isinstance(operand, re.Pattern) and operator not in ("$eq", "$ne"):
                continue
            yield {key: {operator: operand}}
        yield {key: {"$in": [operand, "scan"]}}
        yield {key: {"$nin": [operand, 1]}}
        yield {key: {"$all": [operand]}}
    for key in KEYS:
        yield from ({key: {"$exists": value}} for value in (True, False))
        yield from ({key: {"$size": size}} for size in (0, 1, 2))
        yield from ({key: {"$in": []}}, {key: {"$nin": []}}, {key: {"$all": []}})
        for pattern in (
            "^sc",
            "scan$",
            "",
            "^$",
            "s.an",
            "an.*",
            "\\.",
            "[Ss]can",
            "\\w+",
            "^a\\.b$",
            "é",
            "^line.scan",
        ):
            yield {key: {"$regex": pattern}}
        yield {key: {"$regex": "^SC", "$options": "i"}}
        yield {key: {"$not": {"$gt": 0}}}
        yield {key: {"$elemMatch": {"x": 1}}}
        yield {key: {"$elemMatch": {"$gt": 1}}}


def test_every_operator_on_every_kind_of_value(catalog):
    wrong = []
    # One in some of the queries, and fewer of mongomock, which is asked for little and slow at it.
    for query in itertools.islice(every_condition(), 0, None, 17 if catalog.collection.server.is_mongomock else 5):
        got = list(catalog.collection.find(parse(query)))
        if got != expected(query):
            wrong.append((query, sorted(set(got) ^ set(expected(query)))))
    assert not wrong, f"{len(wrong)} queries: {wrong[:5]}"


# -- put together

_LEAVES = st.builds(
    lambda key, operator, value: {key: {operator: [value] if operator in ("$in", "$nin", "$all") else value}},
    st.sampled_from(KEYS),
    st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$all"]),
    st.sampled_from(VALUES),
) | st.builds(lambda key, there: {key: {"$exists": there}}, st.sampled_from(KEYS), st.booleans())
_QUERIES = st.recursive(
    _LEAVES,
    lambda parts: st.builds(
        lambda operator, members: {operator: members},
        st.sampled_from(["$and", "$or", "$nor"]),
        st.lists(parts, min_size=1, max_size=3),
    ),
    max_leaves=5,
)


@given(data=st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_queries_put_together(catalog, data):
    query = data.draw(_QUERIES)
    uids = expected(query)
    node = parse(query)
    collection = catalog.collection
    assert list(collection.find(node)) == uids
    assert collection.count(node) == len(uids)
    skip, limit = data.draw(st.integers(0, 5)), data.draw(st.none() | st.integers(0, 5))
    newest = uids[::-1][skip : None if limit is None else skip + limit]
    assert list(collection.find(node, newest_first=True, skip=skip, limit=limit)) == newest
    heads = list(collection.heads(node, newest_first=True, skip=skip, limit=limit))
    assert [uid for uid, _, _ in heads] == newest
    known = {start["uid"]: (start, stop) for start, stop in RUNS}
    assert repr([(start, stop) for _, start, stop in heads]) == repr([known[uid] for uid in newest])
    assert all(collection.matches(uid, node) == (uid in uids) for uid in list(known)[:7])


@pytest.mark.parametrize("key", ["a", "a.x", "b", "stop.a", "stop.status", "stop.status.x", "stop", "nothing", "a.0"])
@pytest.mark.parametrize("query", [{}, {"a": {"$gte": 0}}, {"stop.a": {"$exists": True}}, {"a": {"$regex": "\\w"}}])
def test_distinct_values_are_those_counted_one_by_one(catalog, key, query):
    tally = Tally(key)
    node = parse(query)
    for start, stop in RUNS:
        if node.matches(searched(start, stop)):
            tally.add(searched(start, stop))
    got = catalog.collection.distinct(key, node)
    assert [(rank(value), count) for value, count in got] == [(rank(value), count) for value, count in tally.counts()]


@pytest.mark.parametrize("key", ["\ud800", "\0", 2**70, -(2**70), str(2**70), "no such run", "$where", "a.b", ""])
def test_keys_that_no_run_has_are_told_as_everywhere(catalog, key):
    assert key not in catalog
    with pytest.raises((NotFound, OutOfRange, AmbiguousKey)):
        catalog[key]
    with pytest.raises(NotFound):
        catalog.collection.start(str(key))
    with pytest.raises(NotFound):
        catalog.collection.stop(str(key))


def test_more_than_there_are_may_be_asked_for(catalog):
    assert len(list(catalog.collection.find(limit=2**70))) == len(RUNS)
    assert list(catalog.collection.find(skip=2**70)) == list(catalog.collection.heads(skip=2**70)) == []


# -- times, texts, words


def test_a_range_of_time_is_asked_of_the_server(catalog):
    node = parse(TimeRange(since=3.0, until=9.0, timezone="UTC"))
    assert list(catalog.collection.find(node)) == expected(node)


@pytest.mark.parametrize("words", ["gold", "GLASS", '"on glass"', "gold -glass", "the", "own", "scan gold", ""])
def test_words_are_found_in_the_start_document_alone(catalog, words):
    assert list(catalog.search(TextQuery(words))) == expected(TextQuery(words))
    catalog.create_indexes()
    assert list(catalog.search(TextQuery(words))) == expected(TextQuery(words))


def test_words_ask_the_text_index_of_a_server_that_cuts_text_as_mongodb_does(mongo_server, monkeypatch):
    catalog = NormalizedCatalog(mongo_server(), mongo_server())
    monkeypatch.setattr(MongoServer, "finds_words_as_mongodb", True)
    for number, sample in enumerate(["gold on glass", "silver", "Gold leaf"]):
        catalog.insert("start", {"uid": str(number), "time": float(number), "sample": sample})
    assert list(catalog.search("gold")) == ["0", "2"]
    assert list(catalog.search('"gold on" -silver')) == ["0"]
    asked = catalog.collection._asked(parse(TextQuery("gold -leaf")))
    assert asked.first.mongo == {"$text": {"$search": "gold"}}
    assert not asked.is_exact
    assert list(catalog.search("gold").search({"uid": "2"})) == ["2"]
    assert len(catalog.search("gold").search({"stop.exit_status": {"$exists": False}})) == 2


# -- what is sent


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ({}, {}),
        ({"plan_name": "scan"}, {"start.plan_name": {"$eq": "scan"}}),
        ({"stop.exit_status": "fail"}, {"stop.exit_status": {"$eq": "fail"}}),
        (
            {"$or": [{"a": 1}, {"$nor": [{"b.c": {"$gt": 2}}]}]},
            {"$or": [{"start.a": {"$eq": 1}}, {"$nor": [{"start.b.c": {"$gt": 2}}]}]},
        ),
        ({"a": {"$all": ["x", "y"]}}, {"$and": [{"start.a": {"$eq": "x"}}, {"start.a": {"$eq": "y"}}]}),
        ({"a": {"$in": [1, "x"]}}, {"start.a": {"$in": [1, "x"]}}),
        ({"a": {"$regex": "^sc"}}, {"start.a": {"$regex": "^sc"}}),
        ({"a": {"$ne": 1}}, {"$nor": [{"start.a": {"$eq": 1}}]}),
    ],
)
def test_keys_are_put_below_start_at_every_depth(query, sent):
    condition = Dialect(start="start.", stop="stop").condition(parse(query))
    assert condition.is_exact
    assert condition.mongo == sent


@pytest.mark.parametrize(
    "query",
    [
        {"a": {"x": 1}},
        {"a": {"$regex": "\\d"}},
        {"a.0": 1},
        {"a": float("nan")},
        {"a.b": None},
        {"$nor": [{"a": {"$regex": "[a-z]"}}]},
        {"$or": [{"a": 1}, {"a": [1]}]},
    ],
)
def test_what_servers_judge_otherwise_is_not_asked_of_them(query):
    condition = Dialect().condition(parse(query))
    assert not condition.is_exact
    assert condition.says_nothing


def test_the_rest_is_finished_on_what_the_server_leaves():
    condition = Dialect().condition(And([parse({"plan_name": "scan"}), parse({"a": {"$regex": "\\d"}})]))
    assert condition.mongo == {"plan_name": {"$eq": "scan"}}
    assert not condition.is_exact
    assert Dialect().condition(Everything()).is_exact
