"""Searches of more runs than are read at once: in order, in pages, newest first, without reading all."""

import random

from sqlalchemy import event

from databroker_like.codecs import decode
from databroker_like.queries import In, NotIn, Prefix, Regex, TimeRange, parse
from databroker_like.store import _search, _search_plan, _searching
from databroker_like.store._search_sets import Bounds, Pieces
from tests.store.searching import Runs
from tests.store.test_search import road

__all__ = ["road"]

QUERIES = [
    {},
    {"scan_id": 5},
    {"scan_id": {"$gte": 20, "$lt": 90}},
    {"scan_id": {"$gte": 20}, "half": "odd"},
    {"half": "odd"},
    {"half": {"$ne": "odd"}},
    {"half": "odd", "third": 1},
    {"half": "odd", "third": {"$gt": 0}, "detectors": "a"},
    {"half": "odd", "grown": {"$lte": 11}},
    {"half": "odd", "third": 1, "grown": {"$gte": 4, "$lt": 17}},
    {"half": "odd", "grown": {"$gt": 100}},
    {"half": "odd", "grown": {"$lte": 7}, "scan_id": {"$gte": 20}, "third": {"$ne": 1}},
    {"$or": [{"half": "odd", "grown": {"$gte": 15}}, {"half": "even", "grown": {"$lt": 5}}]},
    {"half": "odd", "$nor": [{"third": 1, "grown": {"$lte": 11}}]},
    {"$or": [{"half": "odd"}, {"third": 1}]},
    {"detectors": {"$gte": "a", "$lte": "c"}},
    {"detectors": {"$all": ["a", "b"]}},
    {"detectors": {"$size": 2}},
    {"nested.list.b": {"$in": [1, 2, None]}},
    {"nested.list": {"$elemMatch": {"b": {"$gt": 1}}}},
    {"stop": {"$exists": False}},
    {"stop.exit_status": "abort"},
    {"stop.exit_status": {"$ne": "abort"}, "third": {"$lt": 2}},
    {"nothing": None},
    {"nothing": {"$exists": True}},
    {"$text": {"$search": "odd sample7"}},
    {"$text": {"$search": "odd -sample7"}},
    {"$text": {"$search": '"the sample7"'}},
    {"sample": {"$regex": "e1"}},
    {"sample": {"$regex": "^the sample1"}},
    {"time": {"$gt": 3.0, "$lt": 8.0}, "half": "odd"},
    {"time": {"$in": [2.0, 5, "x", None]}},
    TimeRange(since=4.0),
    TimeRange(since=4.0, until=9.0),
    Prefix("uid", "run00"),
    Prefix("uid", "run000") & ~Prefix("uid", "run0001"),
    In("uid", ["run0003", "run0017", "nobody", 5]),
    NotIn("scan_id", range(10, 110)),
    Regex("uid", "7$"),
]


def many(number=120, seed=7):
    chance = random.Random(seed)
    runs = Runs()
    for n in range(number):
        time = float(chance.randrange(12))  # many at the same time
        start = {
            "time": time,
            "grown": 2 * time,
            "scan_id": n,
            "half": "odd" if n % 2 else "even",
            "third": n % 3,
            "sample": f"the sample{n % 40}",
            "detectors": chance.sample("abcd", chance.randrange(4)),
            "nested": {"list": [{"b": chance.randrange(4)}, {"b": [7, n]}][: chance.randrange(3)]},
        }
        runs.add(start, {"exit_status": "abort" if n % 5 else "success"} if n % 7 else None)
    return runs


def test_every_page_is_that_of_a_loop(road):
    runs = many()
    pages = [
        {"newest_first": True, "limit": 20},
        {"newest_first": True},
        {"limit": 7, "skip": 3},
        {"limit": 30, "skip": 25, "newest_first": True},
        {"skip": 60},
        {"limit": 0},
    ]
    for query in QUERIES:
        runs.check(query)
        for options in pages:
            runs.check(query, **options)
        found = runs.expected(query, newest_first=True, limit=9)
        assert runs.the_heads(query, newest_first=True, limit=9) == [(uid, *runs.heads[uid]) for uid in found]


def test_distinct_values_of_every_search_are_those_of_a_loop(road):
    runs = many(40)
    for query in QUERIES:
        for key in ("half", "third", "detectors", "nested.list.b", "stop.exit_status", "uid", "detectors.0"):
            assert runs.distinct(key, query) == runs.expected_distinct(key, query)


def test_runs_that_come_and_go_are_seen_at_once(road):
    runs = many(30)
    for n in (3, 4, 29, 28, 0):
        runs.delete(f"run{n:04}")
        for query in QUERIES[:8]:
            runs.check(query)
    runs.add({"time": 99.0, "half": "odd", "detectors": "a", "third": 2, "scan_id": 77})
    for query in QUERIES:
        runs.check(query, newest_first=True)


def test_numbers_are_counted_as_they_were_written():
    runs = Runs()
    for exposure in (1, 1, 2.0, 2.0, 0.5, True, "1"):
        runs.add({"exposure": exposure})
    assert repr(runs.distinct("exposure")) == "[(1, 2), (2.0, 2), (0.5, 1), ('1', 1), (True, 1)]"


def test_more_values_than_a_database_takes_at_once(monkeypatch):
    monkeypatch.setattr(_search_plan, "LOT", 3)
    runs = many(40)
    for query in (In("scan_id", range(5, 25)), NotIn("sample", [f"the sample{n}" for n in range(10)])):
        runs.check(query)
        runs.check(query, newest_first=True, limit=5)
    monkeypatch.undo()
    runs.check(In("scan_id", range(50_000)))


def test_a_page_of_many_runs_reads_few_of_them(monkeypatch):
    runs = many(400)
    monkeypatch.setattr(_searching, "FEW", 10)
    read = []
    event.listen(runs.engine, "before_cursor_execute", lambda *about: read.append(about[2]))
    decoded = []

    def decode(body):
        decoded.append(body)
        return {}

    for query in ({"half": "odd"}, {"scan_id": {"$lt": 300}}, {"half": "odd", "third": 1}, {"stop": {"$exists": True}}):
        with runs.engine.connect() as connection:
            node = parse(query)
            found = list(_search.find(connection, node, decode=decode, limit=5, newest_first=True))
            assert found == runs.expected(query, limit=5, newest_first=True)
            assert _search.count(connection, node, decode=decode) == len(runs.expected(query))
    # Looking at the first ones is a guess, and the index decides.
    assert len(decoded) <= 4 * 2 * (_searching.FIRST + _searching.THEN)
    assert len(read) < 100


def test_of_what_lies_in_order_of_time_that_is_read_which_the_others_leave(monkeypatch):
    runs = Runs()
    for n in range(60):
        runs.add({"time": float(n), "scan_id": n, "half": "odd" if n % 2 else "even"})
    monkeypatch.setattr(_searching, "FEW", 10)
    query = {"half": "odd", "scan_id": {"$gte": 10, "$lte": 29}}
    with runs.engine.connect() as connection:
        search = _searching.Search(connection, parse(query), decode)
        assert search.count() == 10
        (read,) = (one for one in search._bits if isinstance(one, Pieces) and one.spans[0].is_point)
        assert read.spans[0].times == (Bounds(None, 10.0, 29.0),)
        assert search._bits[read].array.sum() == 10
        search = _searching.Search(connection, parse({"half": "odd", "scan_id": {"$gt": 99}}), decode)
        assert (search.count(), list(search.pages(True, 0, 5))) == (0, [])
    runs.check(query)
    for limit in (3, 15):
        runs.check(query, limit=limit, newest_first=True)
        runs.check(query, limit=limit)
