"""Keys against a model of the reference's table: a list of (uid, time, scan_id)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.core._collection import NoRuns, RunCollection
from databroker_like.core._lookup import both, find_uid
from databroker_like.errors import AmbiguousKey, NoSuchRun, OutOfRange, WrongType
from databroker_like.queries import Eq, Everything, In


class Listed(RunCollection):
    """Start documents in a list, which is all the lookup needs."""

    def __init__(self, starts):
        self._starts = {s["uid"]: s for s in sorted(starts, key=lambda s: (s["time"], s["uid"]))}

    def starts(self):
        return self._starts

    def stop(self, uid):
        return None

    def source(self, uid, get_filler):
        raise AssertionError("looking a run up reads nothing of it")


def expected(starts, key):
    """The table, row by row."""
    newest_first = sorted(starts, key=lambda s: (s["time"], s["uid"]), reverse=True)
    if isinstance(key, str) and key in [s["uid"] for s in starts]:
        return key
    if isinstance(key, str) and key.removeprefix("-").isdigit():
        key = int(key)
    if isinstance(key, str):
        found = [s["uid"] for s in starts if s["uid"].startswith(key)]
        if len(found) == 1:
            return found[0]
        return AmbiguousKey if found else NoSuchRun
    if key < 0:
        return newest_first[-key - 1]["uid"] if -key <= len(starts) else OutOfRange
    found = [s["uid"] for s in newest_first if s.get("scan_id") == key]
    return found[0] if found else NoSuchRun


uids = st.text(alphabet="0123ab-", min_size=1, max_size=6).filter(lambda uid: not uid.startswith("-"))
runs = st.lists(
    st.fixed_dictionaries({"uid": uids, "time": st.integers(0, 5).map(float)}, optional={"scan_id": st.integers(0, 4)}),
    max_size=8,
    unique_by=lambda start: start["uid"],
)
keys = st.one_of(uids, st.integers(-10, 12), st.integers(-10, 12).map(str))


def answer(collection, key, query=Everything()):
    try:
        return find_uid(collection, query, key)
    except (AmbiguousKey, NoSuchRun, OutOfRange) as error:
        return type(error)


@given(runs, keys)
def test_a_key_stands_for_the_run_that_the_table_says(starts, key):
    assert answer(Listed(starts), key) == expected(starts, key)


@given(runs, st.data())
def test_every_uid_stands_for_itself_and_every_beginning_of_it_for_what_the_table_says(starts, data):
    for start in starts:
        assert find_uid(Listed(starts), Everything(), start["uid"]) == start["uid"]
        beginning = start["uid"][: data.draw(st.integers(1, 6))]
        assert answer(Listed(starts), beginning) == expected(starts, beginning)


@given(runs, keys, st.data())
def test_inside_a_search_only_its_runs_are_looked_at(starts, key, data):
    inside = [s for s in starts if data.draw(st.booleans())]
    query = In("uid", [s["uid"] for s in inside])
    assert answer(Listed(starts), key, query) == expected(inside, key)


THREE = Listed(
    [
        {"uid": "41fb8ca9-1111", "time": 1.0, "scan_id": 7},
        {"uid": "41fb0000-2222", "time": 2.0, "scan_id": 8},
        {"uid": "12345678-3333", "time": 3.0, "scan_id": 7},
    ]
)


def test_the_matches_of_an_ambiguous_beginning_are_listed():
    with pytest.raises(ValueError, match="Multiple matches") as caught:
        find_uid(THREE, Everything(), "41fb")
    assert "41fb8ca9-1111\n41fb0000-2222" in str(caught.value)


def test_a_long_list_of_matches_is_cut():
    many = Listed([{"uid": f"a{i:03}", "time": float(i)} for i in range(50)])
    with pytest.raises(AmbiguousKey) as caught:
        find_uid(many, Everything(), "a")
    assert str(caught.value).count("\n") == 11
    assert str(caught.value).endswith("...")


def test_a_misspelt_uid_is_answered_with_the_nearest():
    with pytest.raises(KeyError, match=r"nearest: '41fb8ca9-1111'"):
        find_uid(THREE, Everything(), "41fb8cb9-1111")
    with pytest.raises(KeyError, match=r"the newest are '12345678-3333'"):
        find_uid(THREE, Everything(), "zzzz")


def test_digits_that_begin_a_uid_are_a_scan_id_and_the_error_says_what_to_do():
    with pytest.raises(
        KeyError, match=r"No run with scan_id=1234; '12345678-3333' begins with '1234'.*a letter or a dash"
    ):
        find_uid(THREE, Everything(), "1234")


def test_an_unknown_scan_id_is_answered_with_those_of_the_newest():
    with pytest.raises(KeyError, match=r"No run with scan_id=9; the newest have 7, 8, 7"):
        find_uid(THREE, Everything(), 9)


def test_a_position_too_far_back_says_how_many_there_are():
    with pytest.raises(IndexError, match="Catalog only contains 3 runs"):
        find_uid(THREE, Everything(), -4)


@pytest.mark.parametrize("key", [-(2**70), str(-(2**70))])
def test_a_position_further_back_than_anything_counts_is_out_of_range(key):
    with pytest.raises(OutOfRange, match="only contains 3 runs"):
        find_uid(THREE, Everything(), key)


@pytest.mark.parametrize("key", ["abc", 5, "5"])
def test_a_catalog_without_runs_says_so(key):
    with pytest.raises(NoSuchRun, match="there are no runs"):
        find_uid(NoRuns(), Everything(), key)


@pytest.mark.parametrize("key", [slice(-3, None), [1, 2], ["41fb8ca9-1111"]])
def test_several_at_once_are_refused_with_the_way_to_do_it(key):
    with pytest.raises(TypeError, match="version 1 API"):
        find_uid(THREE, Everything(), key)


@pytest.mark.parametrize("key", [1.0, None, b"41fb", object(), {"scan_id": 7}])
def test_what_is_neither_text_nor_a_whole_number_is_refused(key):
    with pytest.raises(WrongType, match="a catalog takes a uid"):
        find_uid(THREE, Everything(), key)


def test_a_whole_number_of_numpy_counts_as_one():
    import numpy

    assert find_uid(THREE, Everything(), numpy.int64(-1)) == "12345678-3333"
    assert find_uid(THREE, Everything(), numpy.uint8(8)) == "41fb0000-2222"


def test_everything_adds_nothing_to_a_query():
    assert both(Everything(), Eq("a", 1)).to_mongo() == Eq("a", 1).to_mongo()
    assert both(Eq("a", 1), Everything()).to_mongo() == Eq("a", 1).to_mongo()
    assert isinstance(both(Everything(), Everything()), Everything)
    narrowed = both(Eq("a", 1), Eq("b", 2))
    assert narrowed.matches({"a": 1, "b": 2})
    assert not narrowed.matches({"a": 1, "b": 3})
