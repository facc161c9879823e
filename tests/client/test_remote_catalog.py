"""A catalog over HTTP is searched as it is here, whatever of a search a server can answer itself."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from databroker_like import queries as q
from databroker_like.client import Context
from databroker_like.client._runs import _collection as remote_runs
from databroker_like.client.remote import BlueskyRemoteCatalog
from databroker_like.core import RemoteBlueskyRun
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.errors import AmbiguousKey, Invalid, NotFound, NotOffered, OutOfRange, WrongType
from databroker_like.nodes import MapNode
from databroker_like.nodes.runs import RunsNode
from databroker_like.testing import _runs as samples
from databroker_like.tree import build_app
from tests.client.remote_runs import counting, served


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlueskyEmbeddedCatalog]:
    catalog = BlueskyEmbeddedCatalog(str(tmp_path_factory.mktemp("runs") / "store"))
    for number in range(12):
        more: dict[str, Any] = {"motors": ["th", "tth"][: 1 + number % 2], "sample": {"name": f"Si {number}"}}
        if number % 3:
            more["num_points"] = number
        plan = ("scan", "count")[number % 2]
        make = samples.no_stop if number == 7 else samples.scalars
        run = make(2, uid=f"r{number:02}-run", time=1000.0 + number, scan_id=number % 10, plan_name=plan, **more)
        for name, doc in run:
            catalog.insert(name, doc)
    yield catalog
    catalog.close()


@pytest.fixture(params=["ours", "of others"])
def there(
    request: pytest.FixtureRequest, here: BlueskyEmbeddedCatalog, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BlueskyRemoteCatalog]:
    """The same over a service that means by its filters what we mean, and over one that is not known to."""
    if request.param == "of others":
        monkeypatch.setattr(remote_runs.RemoteRuns, "_is_ours", False)
    with served(here) as catalog:
        yield catalog


SEARCHES: list[Any] = [
    {},
    {"plan_name": "scan"},
    {"scan_id": 1},
    {"scan_id": {"$gt": 3}, "plan_name": "count"},
    {"motors": "tth"},
    {"motors": ["th"]},
    {"motors": {"$all": ["th", "tth"]}},
    {"motors": {"$size": 2}},
    {"num_points": {"$exists": False}},
    {"num_points": None},
    {"num_points": {"$ne": 4}},
    {"num_points": {"$nin": [4, 5]}},
    {"num_points": {"$in": [4, 5, 99]}},
    {"$or": [{"scan_id": 1}, {"scan_id": 2}]},
    {"$or": [{"scan_id": 1}, {"plan_name": "count"}]},
    {"$nor": [{"plan_name": "scan"}]},
    {"sample.name": {"$regex": "^Si 1"}},
    {"stop.exit_status": "success"},
    {"stop": {"$exists": False}},
    {"stop.num_events.primary": 2, "plan_name": {"$in": ["scan"]}},
    {"time": {"$gte": 1003.0, "$lt": 1005.5}},
    q.TimeRange(since=1003.0, until=1006.0, timezone="UTC"),
    q.TextQuery("scan"),
    "Si",
    q.Key("sample.name") == "Si 4",
    q.Like("sample.name", "si 1%"),
    q.Gt("time", 1e300),
    q.Eq("num_points", float("nan")),
    q.Eq("num_points", 2**70),
    q.In("uid", [f"r{number:02}-run" for number in range(0, 3000, 3)]),
]


@pytest.mark.parametrize("search", SEARCHES, ids=repr)
def test_a_search_finds_what_it_finds_here(here: Any, there: Any, search: Any) -> None:
    expected, found = here.search(search), there.search(search)
    assert list(found) == list(expected)
    assert len(found) == len(expected)
    assert found.distinct("plan_name") == expected.distinct("plan_name")
    if len(expected):
        assert found[-1].metadata["start"]["uid"] == expected[-1].metadata["start"]["uid"]
    narrower = {"scan_id": {"$lt": 5}}
    assert list(found.search(narrower)) == list(expected.search(narrower))


@pytest.mark.parametrize("key", ["plan_name", "motors", "num_points", "stop.exit_status", "sample.name", "nothing"])
def test_different_values_are_counted_as_here(here: Any, there: Any, key: str) -> None:
    assert there.distinct(key) == here.distinct(key)
    assert there.search({"$or": [{"scan_id": 1}, {"motors": "tth"}]}).distinct(key) == here.search(
        {"$or": [{"scan_id": 1}, {"motors": "tth"}]}
    ).distinct(key)


@pytest.mark.parametrize("key", ["r03-run", "r03", "r11-", -1, "-2", 3, "3", 1, -12])
def test_a_run_is_looked_up_as_here(here: Any, there: Any, key: Any) -> None:
    try:
        expected = here[key].metadata["start"]["uid"]
    except NotFound as error:
        with pytest.raises(type(error)):
            there[key]
    else:
        run = there[key]
        assert isinstance(run, RemoteBlueskyRun)
        assert run.metadata["start"]["uid"] == expected
        assert run.url.endswith(f"/api/v1/metadata/{expected}")
        assert there[key] is run


@pytest.mark.parametrize(
    ("key", "error"), [("nothing", NotFound), (101, NotFound), ("102", NotFound), (-13, OutOfRange)]
)
def test_what_is_not_there_is_refused_in_the_same_words(here: Any, there: Any, key: Any, error: type) -> None:
    with pytest.raises(error) as expected:
        here[key]
    with pytest.raises(error) as found:
        there[key]
    assert str(found.value) == str(expected.value)
    assert (key in there) is (key in here) is False


def test_part_of_a_uid_that_many_have_is_refused(there: Any) -> None:
    with pytest.raises(AmbiguousKey, match="r10-run"):
        there["r1"]


def test_walks_show_all_runs_in_the_order_of_time(here: Any, there: Any) -> None:
    assert [uid for uid, _ in there.items()] == list(here)
    assert [run.metadata["start"]["scan_id"] for run in there.values()] == [
        run.metadata["start"]["scan_id"] for run in here.values()
    ]
    assert list(there.filter(lambda run: run.metadata["stop"] is None)) == ["r07-run"]
    assert "12 runs" in repr(there)


def test_the_newest_run_costs_one_request(here: Any) -> None:
    with served(here) as there, counting(there) as asked:
        run = there[-1]
        assert len(asked) == 1
        assert dict(run.metadata["start"])["uid"] == "r11-run"
        assert len(asked) == 2
        list(there.items())
        assert len(asked) == 3
        assert len(there) == 12
        assert len(asked) == 4


def test_opening_and_narrowing_asks_nothing(here: Any) -> None:
    with served(here) as there, counting(there) as asked:
        there.search({"plan_name": "scan"}).search(q.TimeRange(since="2020"))
        BlueskyRemoteCatalog("http://127.0.0.1:9", api_key="secret")
        assert asked == []


def test_it_only_reads(there: Any) -> None:
    with pytest.raises(NotOffered, match="only reads"):
        there.insert("start", {"uid": "a", "time": 0.0})
    with pytest.raises(NotOffered, match="amended"):
        there[-1].amend({"start": {"sample": "gold"}}, reason="it was forgotten")


def test_a_catalog_that_is_not_there_is_told(here: Any) -> None:
    with served(here) as there:
        nowhere = BlueskyRemoteCatalog("nothing/here", context=there._context)
        with pytest.raises(NotFound, match="nothing/here"):
            len(nowhere)
    with pytest.raises(WrongType, match="url"):
        BlueskyRemoteCatalog(5)  # type: ignore[arg-type]


def test_where_the_runs_are_is_said_when_there_are_none(here: Any) -> None:
    tree = MapNode({"raw": RunsNode(here), "empty": RunsNode(here.search({"plan_name": "nothing"}))})
    with Context.from_app(build_app(tree, api_key="secret"), api_key="secret") as context:
        with pytest.raises(Invalid, match="'raw'"):
            list(BlueskyRemoteCatalog("", context=context))
        with pytest.raises(Invalid, match="is a run itself"):
            list(BlueskyRemoteCatalog("raw/r03-run", context=context))
        assert list(BlueskyRemoteCatalog("empty", context=context)) == []
        assert len(list(BlueskyRemoteCatalog("raw", context=context))) == 12


def test_the_key_is_neither_shown_nor_saved(tmp_path: Path) -> None:
    catalog = BlueskyRemoteCatalog(
        "http://me:hush3@127.0.0.1:9/?api_key=hush1", api_key="hush2", name="far", headers={"Cookie": "hush4", "X": "y"}
    )
    written = catalog.serialize()
    assert "hush" not in written
    assert "X: y" in written
    assert "{{ env(TILED_API_KEY) }}" in written
    assert "http://127.0.0.1:9/" in written
    assert "hush" not in repr(catalog)
    again = pickle.loads(pickle.dumps(catalog))
    assert (again.url, again.name) == (catalog.url, "far")


def test_an_application_in_process_stays_in_its_process(here: Any) -> None:
    with served(here) as there:
        assert isinstance(there._context, Context)
        with pytest.raises(TypeError, match="in process"):
            pickle.dumps(there[-1]["primary"])
