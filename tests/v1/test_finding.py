"""Keys, searches, filters and aliases lead to the headers that are meant, newest first."""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like import v1, v2
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.errors import (
    AmbiguousKey,
    Invalid,
    InvalidQuery,
    NoSuchRun,
    NotFound,
    NotOffered,
    OutOfRange,
    WrongType,
)
from databroker_like.testing import _runs as samples
from databroker_like.v1._slices import positions

from .conftest import put, three


def ids(found: Any) -> list[int]:
    return [header.start["scan_id"] for header in found]


@pytest.fixture
def full(db: Any) -> Any:
    put(db, *three())
    return db


def test_a_key_gives_one_header(full: Any) -> None:
    assert full[-1].uid == full["aaaa3333-1"].uid == full["a"].uid == full[1].uid == "aaaa3333-1"
    assert isinstance(full[-1], v1.Header)
    assert full[0].uid == "bbbb1111-1"
    assert full[-1] == full["aaaa"]
    assert full[-1] != full[-2]
    assert full[-1].db is full


def test_slices_and_lists_give_lists_newest_first(full: Any) -> None:
    assert ids(full[-2:]) == [1, 2]
    assert ids(full[-3:]) == [1, 2, 0]
    assert ids(full[-3:-1]) == [2, 0]
    assert full[-1:-2] == []
    assert ids(full[[0, "a", -1]]) == [0, 1, 1]
    assert ids(full[(2, 0)]) == [2, 0]
    assert [ids(each) for each in full[[[0], [1, 2]]]] == [[0], [1, 2]]


#: Key -> the error, and what it says.
NOWHERE: list[tuple[Any, type[Exception], str]] = [
    ("zz", NoSuchRun, "zz"),
    (7, NoSuchRun, "scan_id=7"),
    ("bbbb", AmbiguousKey, "bbbb1111-1"),
    (-4, OutOfRange, "only contains 3 runs"),
    (slice(-4, None), OutOfRange, "only contains 3 runs"),
    (slice(None), Invalid, "slice.start cannot be None"),
    (slice(1, 2), Invalid, "slice.start must be negative"),
    (slice(-2, 5), Invalid, "slice.stop must be <= 0"),
    (slice("a", "b"), WrongType, "'a' is no whole number; runs of several uids are db"),
    (slice(-5, "b"), WrongType, "'b' is no whole number"),
    (slice(-5.0, None), WrongType, "-5.0 is no whole number"),
    (None, WrongType, "NoneType"),
    (1.5, WrongType, "float"),
]


def test_a_key_that_leads_nowhere_says_why(full: Any) -> None:
    for key, error, said in NOWHERE:
        with pytest.raises(error, match=said):
            full[key]


@given(st.lists(st.integers(), max_size=30), st.integers(-40, -1), st.integers(-40, 0), st.integers(-5, 5))
def test_a_slice_is_that_of_the_list_of_all_runs(runs: list[int], start: int, stop: int, step: int) -> None:
    if not step:
        return
    found = [runs[n] for n in positions(slice(start, stop or None, step)) if -len(runs) <= n]
    forward = list(range(-len(runs), 0))
    expected = [runs[n] for n in reversed(forward) if n in range(start, stop, step)]
    assert found == expected


def test_a_search_is_repeatable_and_newest_first(full: Any) -> None:
    results = full(plan_name="scan")
    assert ids(results) == [1, 0]
    put(full, samples.scalars(uid="cccc", time=4000.0, scan_id=9, plan_name="scan"))
    assert ids(results) == [9, 1, 0]
    with pytest.raises(TypeError):
        len(results)
    assert "scan" in repr(results)


#: What is searched for, and the scan_ids that are found.
SEARCHES: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [1, 2, 0]),
    ({"plan_name": "nobody"}, []),
    ({"sample.name": "gold"}, [2]),
    ({"scan_id": {"$gt": 0}}, [1, 2]),
    ({"$or": [{"scan_id": 0}, {"plan_name": "count"}]}, [2, 0]),
    ({"since": 2000.0}, [1, 2]),
    ({"until": 2000.0}, [2, 0]),
    ({"since": 2000.0, "until": 2000.0, "plan_name": "count"}, [2]),
    ({"since": 3000.0, "until": 1000.0}, []),
    ({"start_time": 3000.0}, [1]),
    ({"stop_time": 1000.0}, [0]),
    ({"since": "1969"}, [1, 2, 0]),
    ({"until": "1969"}, []),
    ({"data_key": "image"}, [1]),
    ({"data_key": ["image", "sum"]}, [1]),
    ({"data_key": ["image", "motor"]}, []),
    ({"data_key": "nobody"}, []),
    ({"text_search": "gold"}, [2, 0]),
    ({"text_search": "gold", "plan_name": "scan"}, [0]),
    ({"time": {"$lt": 3000.0}, "since": 2000.0}, [2]),
]


def test_a_search_finds_what_holds(full: Any) -> None:
    assert [(query, ids(full(**query))) for query, _ in SEARCHES] == SEARCHES


def test_a_mistaken_search_says_so(full: Any) -> None:
    with pytest.raises(InvalidQuery, match="nonsense"):
        full(scan_id={"$nonsense": 1})
    with pytest.raises(Invalid, match="last tuesday"):
        full(since="last tuesday")


def test_filters_narrow_every_search_and_no_lookup(full: Any) -> None:
    full.add_filter(plan_name="scan")
    assert ids(full()) == [1, 0]
    assert ids(full(plan_name="count")) == []
    assert ids(full(text_search="gold")) == [0]
    full.add_filter(since=2500.0, data_key="image")
    assert full.filters == {"plan_name": "scan", "since": 2500.0, "data_key": "image"}
    assert ids(full()) == ids(full(until=3500.0)) == [1]
    assert ids(full[-3:]) == [1, 2, 0]
    full.clear_filters()
    assert full.filters == {}
    assert ids(full()) == [1, 2, 0]


def test_an_alias_is_a_search(full: Any) -> None:
    full.alias("counts", plan_name="count")
    assert ids(full.counts) == [2]
    full.alias("counts", plan_name="scan")
    assert ids(full.counts) == [1, 0]
    wanted = {"scan_id": 0}
    full.dynamic_alias("mine", lambda: wanted)
    assert ids(full.mine) == [0]
    wanted["scan_id"] = 1
    assert ids(full.mine) == [1]
    assert {"counts", "mine", "get_table"} <= set(dir(full))
    full.add_filter(scan_id=1)
    assert ids(full.counts) == [1]


@pytest.mark.parametrize("name", ["get_table", "filters", "name", "not one", "class", "None", "", 3])
def test_an_alias_takes_the_place_of_nothing(one: Any, name: Any) -> None:
    with pytest.raises(Invalid, match="not a legal alias"):
        one.alias(name, plan_name="count")
    with pytest.raises(Invalid, match="not a legal alias"):
        one.dynamic_alias(name, dict)
    with pytest.raises(WrongType, match="no function"):
        one.dynamic_alias("fine", {"plan_name": "count"})


def test_a_misspelt_attribute_names_the_nearest(one: Any) -> None:
    one.alias("calibrations", purpose="calibration")
    with pytest.raises(AttributeError, match="nearest: 'calibrations'"):
        one.calibration  # noqa: B018
    with pytest.raises(AttributeError, match="'get_table'"):
        one.get_tables  # noqa: B018


@pytest.mark.parametrize("name", ["mds", "es", "hs", "event_sources", "assets"])
def test_a_storage_of_version_0_is_answered_with_what_there_is_now(one: Any, name: str) -> None:
    assert not hasattr(one, name)
    with pytest.raises(AttributeError, match=r"db\.v2 is the catalog"):
        getattr(one, name)


def test_either_version_leads_to_the_other(one: Any) -> None:
    catalog = one.v2
    assert catalog.v1 is one
    assert one.v1 is one
    assert catalog.v1 is catalog.v1
    assert isinstance(catalog, v2.Broker)
    assert one.name == "kept"
    assert one.get_config() is None
    assert "kept" in repr(one)


def test_a_broker_is_made_of_a_catalog_of_runs() -> None:
    with pytest.raises(WrongType, match="not of the int 3"):
        v1.Broker(3)
    with pytest.raises(WrongType, match=r"Broker\.named"):
        v1.Broker("catalog")


def test_making_a_broker_reads_nothing() -> None:
    class Untouched(v2.Broker):
        def _make_collection(self) -> Any:
            raise AssertionError("the runs were asked for")

    assert Untouched().v1.filters == {}


def test_a_broker_pickles_with_its_runs() -> None:
    db = BlueskyInMemoryCatalog(name="kept").v1
    put(db, *three())
    db.add_filter(plan_name="scan")
    again = pickle.loads(pickle.dumps(db))
    assert ids(again()) == [1, 0]
    assert again.v2 == db.v2


def test_what_came_from_elsewhere_is_found_under_ext() -> None:
    def fetch(start: Mapping[str, Any], stop: Mapping[str, Any] | None) -> str:
        return f"{start['uid']} {stop is None}"

    catalog = BlueskyInMemoryCatalog()
    db = v1.Broker(catalog, external_fetchers={"weather": fetch})
    put(db, samples.nothing_but_start(uid="aaaa"), samples.scalars(uid="bbbb"))
    assert db["aaaa"].ext.weather == "aaaa True"
    assert db["bbbb"].ext.weather == "bbbb False"
    assert db["bbbb"]["ext"].weather == "bbbb False"
    assert vars(catalog.v1["bbbb"].ext) == {}


def test_what_is_not_offered_says_what_is(one: Any) -> None:
    for call in (one.fill_event, one.fill_events):
        with pytest.raises(NotOffered, match="fill=True"):
            call({})
    with pytest.raises(NotOffered, match=r"len\(db.v2\)"):
        one.stats()
    with pytest.raises(NotOffered, match=r"temp\(\)"):
        v1.temp_config()


def test_statistics_are_those_of_the_database() -> None:
    class Counted(v2.Broker):
        def stats(self) -> dict[str, int]:
            return {"runs": 5}

    assert Counted().v1.stats() == {"runs": 5}


def test_a_missing_name_of_a_header_is_answered_with_those_it_has(one: Any) -> None:
    put(one, samples.scalars(uid="aaaa"))
    with pytest.raises(NotFound, match="'start'"):
        one["aaaa"]["strat"]


def test_a_search_over_many_runs_opens_none_of_them() -> None:
    class Closed(BlueskyInMemoryCatalog):
        def _run(self, uid: str) -> Any:
            raise AssertionError(f"{uid} was opened")

    db = Closed().v1
    put(db, *three())
    assert ids(db()) == [1, 2, 0]
    assert [header.stop["exit_status"] for header in db()] == ["success"] * 3


def test_a_slice_of_many_runs_asks_once_and_opens_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Closed(BlueskyInMemoryCatalog):
        def _run(self, uid: str) -> Any:
            raise AssertionError(f"{uid} was opened")

    db = Closed().v1
    put(db, *three())
    heads = db.v2.collection.heads
    monkeypatch.setattr(db.v2.collection, "heads", lambda *a, **k: asked.append(k) or heads(*a, **k))
    assert ids(db[-3:]) == [1, 2, 0]
    assert ids(db[-3::2]) == [1, 0]
    assert ids(db[-3:-1]) == [2, 0]
    assert [(k["skip"], k["limit"]) for k in asked] == [(0, 3), (0, 3), (1, 2)]


def test_results_show_a_run_as_transforms_mend_it() -> None:
    catalog = BlueskyInMemoryCatalog(transforms={"start": lambda doc: {**doc, "scan_id": doc["scan_id"] + 100}})
    put(catalog.v1, *three())
    assert ids(catalog.v1()) == ids(catalog.v1[-3:]) == [101, 102, 100]


def test_a_header_of_a_search_knows_a_stop_that_came_later(one: Any) -> None:
    *begun, stop = samples.scalars(uid="aaaa", time=time.time())
    put(one, begun)
    (header,) = one()
    assert not header.stop
    one.insert(*stop)
    assert header.stop["exit_status"] == "success"
