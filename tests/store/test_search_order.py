"""Runs sorted by what stands at keys of them, as a plain loop sorts them."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databroker_like.codecs import decode
from databroker_like.core._collection import RunCollection
from databroker_like.queries import parse
from databroker_like.store import _search, _search_order, _searching
from tests.store.searching import Runs
from tests.store.test_search import road

__all__ = ["road"]


class Plain(RunCollection):
    """The same runs, sorted as a storage without an index does."""

    def __init__(self, runs):
        self.heads_by_uid = dict(sorted(runs.heads.items(), key=lambda pair: (pair[1][0]["time"], pair[0])))

    def starts(self):
        return {uid: start for uid, (start, _) in self.heads_by_uid.items()}

    def stop(self, uid):
        return self.heads_by_uid[uid][1]

    def source(self, uid, get_filler):
        raise AssertionError("nothing is read")


def found(runs, by, query, **options):
    with runs.engine.connect() as connection:
        return list(_search.find_sorted(connection, parse(query), by, decode=decode, **options))


PAGES = [
    {},
    {"newest_first": True},
    {"limit": 7},
    {"skip": 5, "limit": 20},
    {"skip": 33, "limit": 20, "newest_first": True},
    {"skip": 1000},
]


def check(runs, by, query=None, pages=PAGES):
    plain, node = Plain(runs), parse(query)
    whole = {first: list(plain.find_sorted(by, node, newest_first=first)) for first in (False, True)}
    for options in pages:
        skip, limit = options.get("skip", 0), options.get("limit")
        expected = whole[options.get("newest_first", False)][skip : None if limit is None else skip + limit]
        assert found(runs, by, query, **options) == expected, (by, query, options)


VALUES = [
    *(0, 1, 2, 3, 1.0, 2.5, -1, -0.0, 10, 9, 1e300, float("inf"), float("-inf"), float("nan"), 2**53 + 1, 10**400),
    *(True, False, None, "", "a", "b", "aa", "10", "9", "é", "\U0001f600", "x" * 500, "x" * 401, "nul\0", "\ud800"),
    *([], [1], [2, 1], ["a"], [None], [[1]], {}, {"b": 1}, {"b": None}, [{"b": 2}, {"b": 1}], [{"b": None}, {"b": 3}]),
    *([{"b": 1}], [{"c": 1}], [{"c": 1}, {"b": 5}], b"bytes", "missing"),
]
KEYS = ["v", "v.b", "w", "scan_id", "half", "stop.exit_status", "stop", "uid", "v.0", "nothing", "k" * 401]


def mixed(number=150, seed=3, engine=None):
    chance = random.Random(seed)
    runs = Runs(engine)
    for n in range(number):
        start = {
            "uid": f"{chance.randrange(10**6):06}-{n}",
            "time": float(chance.randrange(9)),  # many at the same time
            "scan_id": n if chance.random() < 0.8 else float(n) / 2,
            "half": "odd" if n % 2 else "even",
            "w": chance.choice([1, 1.0, 2, "a", None]),
            "k" * 401: chance.randrange(5),
        }
        value = chance.choice(VALUES)
        if value != "missing":
            start["v"] = value
        if chance.random() < 0.3:
            del start["w"]
        stop = {"exit_status": chance.choice(["success", "fail"]), "num": n} if chance.random() < 0.8 else None
        runs.add(start, stop)
    return runs


@pytest.fixture(params=["as it is", "few", "one row at a time"])
def sizes(request, monkeypatch):
    """All ways are taken, by runs that are not many."""
    if request.param != "as it is":
        monkeypatch.setattr(_search_order, "FEW", 4)
        monkeypatch.setattr(_searching, "FEW", 4)
        monkeypatch.setattr(_search_order, "_FIRST", 3)
        monkeypatch.setattr(_search_order, "_ROWS", 16)
    if request.param == "one row at a time":
        monkeypatch.setattr(_search_order, "_FIRST", 1)
        monkeypatch.setattr(_search_order, "_ROWS", 1)
        monkeypatch.setattr(_search_order, "_MOST_UNTOLD", 10)


def test_every_page_by_one_key_is_that_of_a_loop(sizes):
    runs = mixed(80)
    for key in KEYS:
        for direction in (1, -1):
            check(runs, [(key, direction)])


def test_every_page_of_a_search_is_that_of_a_loop(road, sizes):
    runs = mixed(50)
    for query in ({"half": "odd"}, {"stop": {"$exists": False}}, {"half": "none"}):
        for key in ("v", "scan_id", "half", "uid"):
            check(runs, [(key, 1)], query, PAGES[1:4])
            check(runs, [(key, -1)], query, PAGES[3:4])


def test_several_keys_decide_one_after_the_other(sizes):
    runs = mixed(80)
    for by in (
        [("half", 1), ("scan_id", -1)],
        [("half", -1), ("w", 1), ("v", -1)],
        [("w", 1), ("half", 1), ("uid", -1)],
        [("stop.exit_status", 1), ("stop.num", -1)],
        [("nothing", 1), ("scan_id", 1)],
        [("v.b", -1), ("w", -1)],
    ):
        check(runs, by, None, PAGES[:5])
        check(runs, by, {"half": "odd"}, PAGES[3:5])


def test_documents_come_in_the_same_order_as_uids():
    runs = mixed(40)
    options = {"skip": 3, "limit": 30}
    uids = found(runs, [("half", -1), ("scan_id", 1)], None, **options)
    with runs.engine.connect() as connection:
        heads = list(
            _search.versions_and_heads_sorted(
                connection, parse(None), [("half", -1), ("scan_id", 1)], decode=decode, **options
            )
        )
    assert [head[2] for head in heads] == uids
    assert [head[0] for head in heads] == [runs.ids[uid] for uid in uids]
    # As text: NaN is not equal to itself.
    assert all(repr(decode(head[3])) == repr(runs.heads[head[2]][0]) for head in heads)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from(VALUES), st.sampled_from(VALUES), st.integers(0, 2)), max_size=14),
    st.lists(st.tuples(st.sampled_from(["a", "b", "a.b"]), st.sampled_from([1, -1])), min_size=1, max_size=2),
    st.integers(0, 6),
    st.none() | st.integers(0, 8),
    st.booleans(),
)
def test_whatever_the_values_are(values, by, skip, limit, newest_first):
    runs = Runs()
    for a, b, time in values:
        start = {"time": float(time), "a": a, "b": b}
        runs.add({key: value for key, value in start.items() if value != "missing"})
    check(runs, by, None, [{"skip": skip, "limit": limit, "newest_first": newest_first}])


def test_no_runs_are_in_any_order():
    check(Runs(), [("scan_id", 1)])
