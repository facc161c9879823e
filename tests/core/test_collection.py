import itertools

import pytest

from databroker_like.core._collection import NoRuns, RunCollection
from databroker_like.queries import Eq, Gt


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
