import itertools

import pytest

from databroker_like.core._collection import NoRuns, RunCollection
from databroker_like.errors import InvalidQuery, NoSuchRun
from databroker_like.queries import Eq, Gt, parse


class Listed(RunCollection):
    def __init__(self, starts, mapping=dict):
        self._starts = mapping((s["uid"], s) for s in sorted(starts, key=lambda s: s["time"]))

    def starts(self):
        return self._starts

    def stop(self, uid):
        return None

    def source(self, uid, get_filler):
        raise AssertionError("finding runs reads nothing of them")


class NotReversible(dict):
    __reversed__ = None


@pytest.fixture(params=[dict, NotReversible])
def five(request):
    starts = [{"uid": f"u{i}", "time": float(i), "parity": i % 2} for i in (3, 1, 4, 0, 2)]
    return Listed(starts, request.param)


def test_find_gives_the_oldest_first_or_the_newest(five):
    assert list(five.find()) == ["u0", "u1", "u2", "u3", "u4"]
    assert list(five.find(newest_first=True)) == ["u4", "u3", "u2", "u1", "u0"]


def test_find_narrows_by_query(five):
    assert list(five.find(Eq("parity", 0), newest_first=True)) == ["u4", "u2", "u0"]


@pytest.mark.parametrize(("skip", "limit"), list(itertools.product([0, 1, 4, 9], [None, 0, 2, 9])))
def test_skip_and_limit_cut_as_a_slice_does(five, skip, limit):
    everything = list(five.find(Gt("time", 0.5)))
    end = None if limit is None else skip + limit
    assert list(five.find(Gt("time", 0.5), skip=skip, limit=limit)) == everything[skip:end]


def test_count_counts_what_find_finds(five):
    assert five.count() == 5
    assert five.count(Eq("parity", 1)) == len(list(five.find(Eq("parity", 1)))) == 2


def test_a_run_is_there_by_its_full_uid_alone(five):
    assert five.has("u1")
    assert not five.has("u")
    assert five.start("u1")["time"] == 1.0
    with pytest.raises(KeyError):
        five.start("u")


def test_the_collection_without_runs_has_none():
    nothing = NoRuns()
    assert list(nothing.find()) == []
    assert nothing.count() == 0
    assert not nothing.has("a")
    for ask in (nothing.start, nothing.stop, lambda uid: nothing.source(uid, None)):
        with pytest.raises(KeyError):
            ask("a")


class WithStops(Listed):
    def __init__(self, starts, stops):
        super().__init__(starts)
        self._stops = stops
        self.asked = []

    def stop(self, uid):
        self.asked.append(uid)
        return self._stops.get(uid)


class Forgotten(str):
    def get(self, uid):
        if uid == self:
            raise NoSuchRun(uid)


@pytest.fixture
def three():
    starts = [
        {"uid": "a", "time": 1.0, "plan_name": "scan", "detectors": ["det", "img"]},
        {"uid": "b", "time": 2.0, "plan_name": "count", "stop": {"exit_status": "fail"}, "detectors": ["det"]},
        {"uid": "c", "time": 3.0, "plan_name": "scan", "note": "never success"},
    ]
    stops = {
        "a": {"uid": "a1", "run_start": "a", "time": 9.0, "exit_status": "success"},
        "c": {"uid": "c1", "run_start": "c", "time": 9.5, "exit_status": "fail"},
    }
    return WithStops(starts, stops)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"stop.exit_status": "fail"}, ["c"]),
        ({"stop.exit_status": {"$in": ["success", "fail"]}}, ["a", "c"]),
        ({"stop": None}, ["b"]),
        ({"stop": {"$exists": True}}, ["a", "c"]),
        ({"plan_name": "scan", "stop.time": {"$lt": 9.2}}, ["a"]),
        ({"$text": {"$search": "success"}}, ["c"]),
        ({"$text": {"$search": "success"}, "stop.exit_status": "success"}, []),
    ],
)
def test_the_stop_document_is_searched_under_stop_and_words_in_the_start_alone(three, query, found):
    node = parse(query)
    assert list(three.find(node)) == found
    assert three.count(node) == len(found)
    assert [uid for uid in "abc" if three.matches(uid, node)] == found
    assert [(uid, start["uid"], stop) for uid, start, stop in three.heads(node)] == [
        (uid, uid, three.stop(uid)) for uid in found
    ]


def test_stop_documents_are_looked_at_only_when_they_are_asked_for(three):
    assert list(three.find(Eq("plan_name", "scan") & ~Eq("uid", "a"))) == ["c"]
    assert three.asked == []
    assert list(three.find(Eq("stop.exit_status", "success"), limit=1)) == ["a"]
    assert three.asked == ["a"]


def test_heads_leave_out_a_run_that_goes_meanwhile(three):
    heads = three.heads(newest_first=True)
    assert next(heads)[0] == "c"
    three._stops = Forgotten("b")
    assert [uid for uid, _, _ in heads] == ["a"]


def test_distinct_values_come_with_the_number_of_runs_that_a_search_for_them_finds(three):
    assert three.distinct("plan_name") == [("scan", 2), ("count", 1)]
    assert three.distinct("detectors") == [("det", 2), (None, 1), ("img", 1)]
    assert three.distinct("stop.exit_status") == [(None, 1), ("fail", 1), ("success", 1)]
    assert three.distinct("plan_name", Eq("stop.exit_status", "fail")) == [("scan", 1)]
    for key in ("plan_name", "detectors", "stop.exit_status", "nothing"):
        for value, count in three.distinct(key):
            assert three.count(Eq(key, value)) == count
    with pytest.raises(InvalidQuery):
        three.distinct("")
