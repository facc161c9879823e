"""DriverContract: what a catalog of runs keeps, whatever it keeps them in."""

from __future__ import annotations

import pickle
import tempfile
from abc import abstractmethod
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from databroker_like.core._pages import unpack_event_page
from databroker_like.errors import AmbiguousKey, NoSuchRun, NotOffered, OutOfRange, WrongType
from databroker_like.queries import TextQuery, TimeRange
from databroker_like.testing import _runs as samples
from databroker_like.testing._alike import all_events, assert_alike
from databroker_like.testing._recording import RecordingContract
from databroker_like.testing._strategies import documents as any_documents
from databroker_like.v2 import Broker

__all__ = ["DriverContract"]

Documents = list[tuple[str, dict[str, Any]]]
_SETTINGS = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


def _tried(doc: dict[str, Any]) -> dict[str, Any]:
    return {**doc, "tried": True}


class DriverContract(RecordingContract):
    """Inherit from this in a test module, say how to make a catalog, and all of these tests run on it.

    ::

        class TestMyDriver(DriverContract):
            def make_catalog(self, folder, runs):
                write(runs, folder / "my.db")
                return MyCatalog(folder / "my.db")

            def add_run(self, catalog, folder, run):
                write([run], folder / "my.db")
    """

    @abstractmethod
    def add_run(self, catalog: Broker, folder: Path, run: Documents) -> None:
        """Put another run where the catalog finds it, without telling the catalog."""

    # -- helpers

    def _three(self) -> list[Documents]:
        """Three runs, handed over neither in order of time nor of uid."""
        return [
            samples.scalars(uid="bbbb2222-1", time=2000.0, scan_id=2, plan_name="count", sample={"name": "gold"}),
            samples.scalars(uid="aaaa3333-1", time=3000.0, scan_id=1, plan_name="scan", sample={"name": "iron"}),
            samples.scalars(uid="bbbb1111-1", time=1000.0, scan_id=0, plan_name="scan", detectors=["det", "gold leaf"]),
        ]

    # -- documents come out as they went in

    @pytest.mark.parametrize("kind", sorted(samples.SAMPLES))
    def test_documents_come_out_to_the_letter_and_in_order(self, kind: str, folder: Path) -> None:
        run = samples.SAMPLES[kind]()
        catalog = self.make_catalog(folder, [run])
        self._assert_holds(catalog, run)

    def test_resources_and_datums_come_out_to_the_letter(self, folder: Path, tmp_path: Path) -> None:
        run = samples.external(tmp_path)
        self._assert_holds(self.make_catalog(folder, [run]), run)

    def test_stream_resources_and_stream_datums_come_out_to_the_letter(self, folder: Path) -> None:
        run = samples.stream_external("/data")
        self._assert_holds(self.make_catalog(folder, [run]), run)

    @given(run=any_documents())
    @_SETTINGS
    def test_any_documents_come_out_to_the_letter(self, run: Documents) -> None:
        with tempfile.TemporaryDirectory() as folder:
            catalog = self.make_catalog(Path(folder), [run])
            self._assert_holds(catalog, run)
            catalog.close()

    @pytest.mark.parametrize("kind", sorted(samples.SAMPLES))
    def test_the_documents_of_a_run_are_those_that_were_put_in(self, kind: str, folder: Path) -> None:
        run = samples.SAMPLES[kind]()
        catalog = self.make_catalog(folder, [run])
        given_out = list(catalog[run[0][1]["uid"]].documents(fill="no"))
        assert given_out[0][0] == "start"
        assert ("stop" in [name for name, _ in given_out]) == (run[-1][0] == "stop")
        assert_alike([doc for _, doc in given_out[:1]], [self.as_kept(run[0][1])])
        events = sorted(all_events(run), key=lambda doc: doc["time"])
        got = [doc for name, page in given_out if name == "event_page" for doc in unpack_event_page(page)]
        assert_alike(got, [self.as_kept(doc) for doc in events])
        described: set[str] = set()
        for name, doc in given_out:
            if name == "descriptor":
                described.add(doc["uid"])
            if name == "event_page":
                assert doc["descriptor"] in described, "an event before its descriptor"

    @pytest.mark.parametrize(("skip", "limit"), [(0, 2), (1, None), (2, 2), (4, 5), (7, None), (0, 0)])
    def test_a_part_of_the_events_is_that_part_of_all(self, skip: int, limit: int | None, folder: Path) -> None:
        run = samples.scalars(events=6)
        source = self.make_catalog(folder, [run]).collection.source(run[0][1]["uid"], None)
        descriptor = run[1][1]["uid"]
        pages = source.get_event_pages(descriptor, skip, limit)
        got = [doc["seq_num"] for page in pages for doc in unpack_event_page(page)]
        assert got == list(range(1, 7))[skip : None if limit is None else skip + limit]

    def test_columns_of_one_kind_give_python_values(self, folder: Path) -> None:
        run = samples.scalars()
        source = self.make_catalog(folder, [run]).collection.source(run[0][1]["uid"], None)
        events = [doc for page in source.get_event_pages(run[1][1]["uid"]) for doc in unpack_event_page(page)]
        kinds = {key: {type(event["data"][key]) for event in events} for key in events[0]["data"]}
        assert kinds == {"motor": {float}, "count": {int}, "open": {bool}, "mixed": {int, float}}

    # -- reading

    def test_a_stream_reads_as_a_dataset(self, folder: Path) -> None:
        run = samples.scalars(events=4)
        dataset = self.make_catalog(folder, [run])[-1]["primary"].read()
        assert dataset["motor"].values.tolist() == [0.0, 0.1, 0.2, 0.3]
        assert dataset["count"].dtype == "int64"
        assert dataset["open"].dtype == "bool"
        assert dataset["time"].values.tolist() == [doc["time"] for doc in all_events(run)]

    def test_a_stream_of_zero_events_reads_empty(self, folder: Path) -> None:
        dataset = self.make_catalog(folder, [samples.zero_events()])[-1]["primary"].read()
        assert dict(dataset.sizes)["time"] == 0
        assert set(dataset) == {"motor", "count", "open", "mixed"}

    def test_a_run_without_stop_reads_as_far_as_it_goes(self, folder: Path) -> None:
        run = self.make_catalog(folder, [samples.no_stop(events=2)])[-1]
        assert run.metadata["stop"] is None
        assert len(run["primary"].read()["time"]) == 2

    def test_a_run_of_which_only_the_start_is_there_has_no_streams(self, folder: Path) -> None:
        assert list(self.make_catalog(folder, [samples.nothing_but_start()])[-1]) == []

    def test_streams_are_kept_apart(self, folder: Path) -> None:
        run = self.make_catalog(folder, [samples.several_streams(events=3)])[-1]
        assert sorted(run) == ["baseline", "monitor", "primary"]
        assert run["baseline"].read()["temperature"].values.tolist() == [20.0, 21.0]
        assert run["monitor"].read()["state"].values.tolist() == ["ok"] * 3

    # -- catalog[key]

    def test_an_empty_catalog_has_nothing(self, folder: Path) -> None:
        catalog = self.make_catalog(folder, [])
        assert list(catalog) == []
        assert len(catalog) == 0
        with pytest.raises(OutOfRange):
            catalog[-1]

    def test_listing_is_in_order_of_time(self, folder: Path) -> None:
        catalog = self.make_catalog(folder, self._three())
        assert list(catalog) == ["bbbb1111-1", "bbbb2222-1", "aaaa3333-1"]
        assert len(catalog) == 3

    @pytest.mark.parametrize(
        ("key", "uid"),
        [
            ("aaaa3333-1", "aaaa3333-1"),
            ("a", "aaaa3333-1"),
            ("bbbb1", "bbbb1111-1"),
            (-1, "aaaa3333-1"),
            ("-1", "aaaa3333-1"),
            (-3, "bbbb1111-1"),
            (0, "bbbb1111-1"),
            (2, "bbbb2222-1"),
            ("2", "bbbb2222-1"),
        ],
    )
    def test_a_key_gives_the_run_it_stands_for(self, key: Any, uid: str, folder: Path) -> None:
        catalog = self.make_catalog(folder, self._three())
        assert catalog[key].metadata["start"]["uid"] == uid
        assert key in catalog

    @pytest.mark.parametrize(
        ("key", "error"),
        [
            ("cccc", NoSuchRun),
            ("bbbb", AmbiguousKey),
            (-4, OutOfRange),
            (7, NoSuchRun),
            ("7", NoSuchRun),
            (slice(0, 1), WrongType),
        ],
    )
    def test_a_key_that_stands_for_no_run_says_why(self, key: Any, error: type[Exception], folder: Path) -> None:
        catalog = self.make_catalog(folder, self._three())
        with pytest.raises(error):
            catalog[key]
        assert key not in catalog

    def test_the_most_recent_of_one_scan_id(self, folder: Path) -> None:
        runs = [samples.scalars(uid=uid, time=time, scan_id=5) for uid, time in (("b", 2.0), ("c", 3.0), ("a", 1.0))]
        assert self.make_catalog(folder, runs)[5].metadata["start"]["uid"] == "c"

    def test_runs_of_one_time_are_in_order_of_uid(self, folder: Path) -> None:
        runs = [samples.scalars(uid=uid, time=1.0) for uid in ("b", "c", "a")]
        assert list(self.make_catalog(folder, runs)) == ["a", "b", "c"]

    # -- search

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({}, ["bbbb1111-1", "bbbb2222-1", "aaaa3333-1"]),
            ({"plan_name": "scan"}, ["bbbb1111-1", "aaaa3333-1"]),
            ({"sample.name": "gold"}, ["bbbb2222-1"]),
            ({"scan_id": {"$gte": 1}}, ["bbbb2222-1", "aaaa3333-1"]),
            ({"sample": {"$exists": False}}, ["bbbb1111-1"]),
            ({"detectors": "det"}, ["bbbb1111-1"]),
            ({"$or": [{"scan_id": 0}, {"sample.name": "iron"}]}, ["bbbb1111-1", "aaaa3333-1"]),
            ({"$and": [{"plan_name": "scan"}, {"scan_id": {"$in": [1, 2]}}]}, ["aaaa3333-1"]),
            ({"plan_name": {"$regex": "^co"}}, ["bbbb2222-1"]),
            ({"plan_name": {"$not": {"$eq": "scan"}}}, ["bbbb2222-1"]),
            ({"nothing": 1}, []),
            (TimeRange(since=1500.0, until=2500.0, timezone="UTC"), ["bbbb2222-1"]),
            (TextQuery("gold"), ["bbbb1111-1", "bbbb2222-1"]),
        ],
    )
    def test_search_finds_the_runs_that_match_in_order_of_time(
        self, query: Any, found: list[str], folder: Path
    ) -> None:
        results = self.make_catalog(folder, self._three()).search(query)
        assert list(results) == found
        assert len(results) == len(found)
        assert [run.metadata["start"]["uid"] for run in results.values()] == found

    def test_a_search_of_a_search_narrows(self, folder: Path) -> None:
        results = self.make_catalog(folder, self._three()).search({"plan_name": "scan"}).search({"scan_id": 1})
        assert list(results) == ["aaaa3333-1"]
        assert results[-1].metadata["start"]["uid"] == "aaaa3333-1"

    def _four(self) -> list[Documents]:
        """Three runs that ended, one of them badly, and one that goes on."""
        three = self._three()
        three[1][-1][1].update(exit_status="abort", reason="too gold")
        return [*three, samples.no_stop(uid="cccc0000-1", time=4000.0, scan_id=3, plan_name="scan")]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"stop.exit_status": "success"}, ["bbbb1111-1", "bbbb2222-1"]),
            ({"stop.exit_status": "abort"}, ["aaaa3333-1"]),
            ({"stop.exit_status": {"$ne": "success"}}, ["aaaa3333-1", "cccc0000-1"]),
            ({"stop": {"$exists": False}}, ["cccc0000-1"]),
            ({"stop": None, "plan_name": "scan"}, ["cccc0000-1"]),
            ({"stop.num_events.primary": {"$gte": 5}}, ["bbbb1111-1", "bbbb2222-1", "aaaa3333-1"]),
            ({"stop.time": {"$gt": 2500.0}}, ["aaaa3333-1"]),
            ({"plan_name": "scan", "stop.exit_status": {"$in": ["success"]}}, ["bbbb1111-1"]),
            ({"$or": [{"stop.exit_status": "abort"}, {"scan_id": 0}]}, ["bbbb1111-1", "aaaa3333-1"]),
            (TextQuery("gold"), ["bbbb1111-1", "bbbb2222-1"]),
        ],
    )
    def test_stop_documents_are_searched_under_stop(self, query: Any, found: list[str], folder: Path) -> None:
        catalog = self.make_catalog(folder, self._four())
        results = catalog.search(query)
        assert list(results) == found
        assert len(results) == len(found)
        assert [uid for uid in catalog if uid in results] == found

    def test_the_runs_of_a_catalog_know_their_start_and_stop(self, folder: Path) -> None:
        runs = self._four()
        catalog = self.make_catalog(folder, runs)
        expected = {run[0][1]["uid"]: run for run in runs}
        for uid, run in catalog.items():
            stop = expected[uid][-1][1] if expected[uid][-1][0] == "stop" else None
            assert_alike([run.metadata["start"]], [self.as_kept(expected[uid][0][1])])
            assert_alike(
                [] if run.metadata["stop"] is None else [run.metadata["stop"]],
                [] if stop is None else [self.as_kept(stop)],
            )
        heads = list(catalog.collection.heads(newest_first=True, skip=1, limit=2))
        assert [uid for uid, _, _ in heads] == ["aaaa3333-1", "bbbb2222-1"]
        assert [start["scan_id"] for _, start, _ in heads] == [1, 2]
        assert [stop["exit_status"] for _, _, stop in heads if stop is not None] == ["abort", "success"]

    def test_distinct_values_come_with_the_number_of_runs(self, folder: Path) -> None:
        catalog = self.make_catalog(folder, self._four())
        assert catalog.distinct("plan_name") == [("scan", 3), ("count", 1)]
        assert catalog.distinct("detectors") == [(None, 3), ("det", 1), ("gold leaf", 1)]
        assert catalog.distinct("sample.name") == [(None, 2), ("gold", 1), ("iron", 1)]
        assert catalog.distinct("stop.exit_status") == [("success", 2), (None, 1), ("abort", 1)]
        assert catalog.search({"plan_name": "scan"}).distinct("scan_id") == [(0, 1), (1, 1), (3, 1)]
        assert catalog.search({"plan_name": "nothing"}).distinct("scan_id") == []

    def test_results_hold_only_what_was_found(self, folder: Path) -> None:
        results = self.make_catalog(folder, self._three()).search({"plan_name": "count"})
        assert "aaaa3333-1" not in results
        with pytest.raises(NoSuchRun):
            results["aaaa3333-1"]

    # -- what happens meanwhile

    def test_a_new_run_is_seen_at_once(self, folder: Path) -> None:
        catalog = self.make_catalog(folder, self._three())
        results = catalog.search({"plan_name": "scan"})
        assert len(catalog) == 3
        assert catalog[-1].metadata["start"]["uid"] == "aaaa3333-1"
        self.add_run(catalog, folder, samples.scalars(uid="cccc4444-1", time=4000.0, plan_name="scan"))
        assert len(catalog) == 4
        assert catalog[-1].metadata["start"]["uid"] == "cccc4444-1"
        assert list(results)[-1] == "cccc4444-1"

    def test_the_same_run_is_the_same_object(self, folder: Path) -> None:
        catalog = self.make_catalog(folder, self._three())
        assert catalog[-1] is catalog["aaaa3333-1"]

    # -- revisions

    def test_revision_0_is_what_was_recorded(self, folder: Path) -> None:
        run = self.make_catalog(folder, self._three())[-1]
        assert run.revisions == []
        recorded = list(run.documents(fill="no"))
        assert list(run.documents(fill="no", revision=0)) == recorded
        assert run.at_revision(0)["primary"].read().identical(run["primary"].read())
        with pytest.raises(OutOfRange):
            run.documents(fill="no", revision=1)

    def test_a_run_is_amended_or_the_driver_says_what_to_do(self, folder: Path) -> None:
        catalog = self.make_catalog(folder, self._three())
        changes = {"start": {"plan_name": "rel_scan"}}
        amended, said = [], "bbbb1111-1"
        try:
            amended.append(catalog.amend("bbbb1", changes, author="ada", reason="it was a relative one"))
        except NotOffered as error:
            said = str(error)
        assert "bbbb1111-1" in said
        run = catalog["bbbb1111-1"]
        assert run.revisions == amended
        assert [len(catalog.search({"plan_name": name})) for name in ("scan", "rel_scan")] == (
            [1, 1] if amended else [2, 0]
        )
        assert run.metadata["start"]["plan_name"] == ("rel_scan" if amended else "scan")
        assert run.at_revision(0).metadata["start"]["plan_name"] == "scan"

    def test_transforms_are_tried_without_writing(self, folder: Path) -> None:
        catalog = self.make_catalog(folder, self._three())
        trial = catalog.search({"plan_name": "scan"}).with_transforms({"start": _tried})
        assert [run.metadata["start"]["tried"] for run in trial.values()] == [True, True]
        assert not any("tried" in run.metadata["start"] for run in catalog.values())
        report = trial.apply_transforms(dry_run=True)
        assert (report.runs, list(report.changed), report.failed) == (2, ["bbbb1111-1", "aaaa3333-1"], {})

    # -- pickling

    def test_catalogs_runs_and_streams_pickle(self, folder: Path) -> None:
        catalog = self.make_catalog(folder, self._three())
        expected = catalog[-1]["primary"].read()
        again = pickle.loads(pickle.dumps(catalog))  # noqa: S301 - made here
        assert list(again) == list(catalog)
        run = pickle.loads(pickle.dumps(catalog[-1]))  # noqa: S301
        assert run.metadata == catalog[-1].metadata
        stream = pickle.loads(pickle.dumps(catalog[-1]["primary"]))  # noqa: S301
        for read in (again[-1]["primary"].read(), run["primary"].read(), stream.read()):
            assert read.identical(expected)

    def test_results_of_a_search_pickle(self, folder: Path) -> None:
        results = self.make_catalog(folder, self._three()).search({"plan_name": "scan"})
        assert list(pickle.loads(pickle.dumps(results))) == list(results)  # noqa: S301
