"""DriverContract: what a catalog of runs keeps, whatever it keeps them in."""

from __future__ import annotations

import pickle
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from databroker_like.core._pages import unpack_datum_page, unpack_event_page
from databroker_like.errors import AmbiguousKey, Conflict, Invalid, InvalidDocument, NoSuchRun, OutOfRange, WrongType
from databroker_like.queries import TextQuery, TimeRange
from databroker_like.testing import _runs as samples
from databroker_like.testing._strategies import documents as any_documents
from databroker_like.v2 import Broker

__all__ = ["DriverContract"]

Documents = list[tuple[str, dict[str, Any]]]
_SETTINGS = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


class DriverContract(ABC):
    """Inherit from this in a test module, say how to make a catalog, and all of these tests run on it.

    ::

        class TestMyDriver(DriverContract):
            def make_catalog(self, folder, runs):
                write(runs, folder / "my.db")
                return MyCatalog(folder / "my.db")

            def add_run(self, catalog, folder, run):
                write([run], folder / "my.db")
    """

    #: Whether ``catalog.insert(name, doc)`` records.
    records = False

    @abstractmethod
    def make_catalog(self, folder: Path, runs: Iterable[Documents]) -> Broker:
        """A catalog that holds these runs and no others.

        Parameters
        ----------
        folder : Path
            An empty folder to keep them in.
        runs : iterable of list of (name, document)
        """

    @abstractmethod
    def add_run(self, catalog: Broker, folder: Path, run: Documents) -> None:
        """Put another run where the catalog finds it, without telling the catalog."""

    def as_kept(self, doc: Mapping[str, Any]) -> Mapping[str, Any]:
        """A document as it comes back; the document itself, unless the storage has no numpy arrays, say."""
        return doc

    # -- helpers

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Where the runs of one test are kept."""
        place = tmp_path / "runs"
        place.mkdir()
        return place

    def _three(self) -> list[Documents]:
        """Three runs, handed over neither in order of time nor of uid."""
        return [
            samples.scalars(uid="bbbb2222-1", time=2000.0, scan_id=2, plan_name="count", sample={"name": "gold"}),
            samples.scalars(uid="aaaa3333-1", time=3000.0, scan_id=1, plan_name="scan", sample={"name": "iron"}),
            samples.scalars(uid="bbbb1111-1", time=1000.0, scan_id=0, plan_name="scan", detectors=["det", "gold leaf"]),
        ]

    def _assert_holds(self, catalog: Broker, documents: Documents) -> None:
        """Everything that was put in comes out, to the letter and in order."""
        uid = documents[0][1]["uid"]
        source = catalog.collection.source(uid, None)

        def kept(*names: str) -> list[Mapping[str, Any]]:
            return [self.as_kept(doc) for name, doc in documents if name in names]

        _same([source.get_run_start()], kept("start"))
        _same([] if (stop := source.get_run_stop()) is None else [stop], kept("stop"))
        _same(source.get_event_descriptors(), kept("descriptor"))
        _same(source.get_resources(), kept("resource"))
        _same(source.get_stream_resources(), kept("stream_resource"))
        events = _events(documents)
        for descriptor in kept("descriptor"):
            owner = descriptor["uid"]
            mine = [self.as_kept(doc) for doc in events if doc["descriptor"] == owner]
            assert source.get_event_count(owner) == len(mine)
            _same([doc for page in source.get_event_pages(owner) for doc in unpack_event_page(page)], mine)
        datums = _datums(documents)
        for resource in kept("resource"):
            owner = resource["uid"]
            _same([source.get_resource(owner)], [resource])
            mine = [self.as_kept(doc) for doc in datums if doc["resource"] == owner]
            _same([doc for page in source.get_datum_pages(owner) for doc in unpack_datum_page(page)], mine)
            for doc in mine:
                assert source.lookup_resource_for_datum(doc["datum_id"]) == owner
        for resource in kept("stream_resource"):
            owner = resource["uid"]
            mine = [doc for doc in kept("stream_datum") if doc["stream_resource"] == owner]
            _same(source.get_stream_datums(owner), mine)

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
        _same([doc for _, doc in given_out[:1]], [self.as_kept(run[0][1])])
        events = sorted(_events(run), key=lambda doc: doc["time"])
        got = [doc for name, page in given_out if name == "event_page" for doc in unpack_event_page(page)]
        _same(got, [self.as_kept(doc) for doc in events])
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
        assert dataset["time"].values.tolist() == [doc["time"] for doc in _events(run)]

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

    # -- recording

    @pytest.mark.parametrize("kind", sorted(samples.SAMPLES))
    def test_what_is_inserted_comes_out(self, kind: str, folder: Path) -> None:
        catalog = self._recording(folder)
        run = samples.SAMPLES[kind]()
        for name, doc in run:
            catalog.insert(name, doc)
        self._assert_holds(catalog, run)
        catalog.close()

    def test_a_run_shows_as_it_is_recorded(self, folder: Path) -> None:
        catalog = self._recording(folder)
        run = samples.scalars(events=3)
        catalog.insert(*run[0])
        assert list(catalog) == [run[0][1]["uid"]]
        recorded = catalog[-1]
        for number, (name, doc) in enumerate(run[1:-1]):
            catalog.insert(name, doc)
            assert len(recorded["primary"].read()["time"]) == number
        assert catalog[-1].metadata["stop"] is None
        catalog.insert(*run[-1])
        stop = catalog[-1].metadata["stop"]
        assert stop is not None
        assert stop["uid"] == run[-1][1]["uid"]
        catalog.close()

    def test_runs_may_be_recorded_at_the_same_time(self, folder: Path) -> None:
        catalog = self._recording(folder)
        one, other = samples.several_streams(scan_id=1), samples.scalars(scan_id=2)
        longest = max(len(one), len(other))
        for number in range(longest):
            for run in (one, other):
                if number < len(run):
                    catalog.insert(*run[number])
        self._assert_holds(catalog, one)
        self._assert_holds(catalog, other)
        catalog.close()

    def test_the_same_document_again_is_no_duplicate(self, folder: Path) -> None:
        catalog = self._recording(folder)
        run = samples.several_streams()
        for name, doc in [pair for pair in run for _ in range(2)]:
            catalog.insert(name, doc)
        for name, doc in run:
            catalog.insert(name, doc)
        self._assert_holds(catalog, run)
        catalog.close()

    def test_another_document_of_the_same_uid_is_refused(self, folder: Path) -> None:
        catalog = self._recording(folder)
        run = samples.scalars()
        for name, doc in run:
            catalog.insert(name, doc)
        for name, doc in (run[0], run[1], run[3], run[-1]):
            with pytest.raises(Conflict):
                catalog.insert(name, {**doc, "time": doc["time"] + 1})
        self._assert_holds(catalog, run)
        catalog.close()

    def test_a_document_of_no_run_is_refused(self, folder: Path) -> None:
        catalog = self._recording(folder)
        for name, doc in samples.several_streams()[1:]:
            with pytest.raises(InvalidDocument):
                catalog.insert(name, doc)
        assert list(catalog) == []
        catalog.close()

    def test_an_invalid_document_is_refused_and_nothing_is_written(self, folder: Path) -> None:
        catalog = self._recording(folder)
        run = samples.scalars()
        with pytest.raises(InvalidDocument):
            catalog.insert("start", {"uid": "only-a-uid"})
        assert list(catalog) == []
        for name, doc in run[:3]:
            catalog.insert(name, doc)
        with pytest.raises(InvalidDocument):
            catalog.insert("event", {**run[3][1], "data": "none"})
        with pytest.raises(Invalid):
            catalog.insert("evnt", run[3][1])
        for name, doc in run[3:]:
            catalog.insert(name, doc)
        self._assert_holds(catalog, run)
        catalog.close()

    def test_a_run_goes_on_after_the_recorder_was_closed(self, folder: Path) -> None:
        catalog = self._recording(folder)
        run = samples.several_streams()
        for name, doc in run:
            catalog.insert(name, doc)
            catalog.close()
        self._assert_holds(catalog, run)
        catalog.close()

    def _recording(self, folder: Path) -> Broker:
        if not self.records:
            pytest.skip(f"{type(self).__name__}: this driver only reads (records = False)")
        return self.make_catalog(folder, [])


def _events(documents: Documents) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, doc in documents:
        if name == "event":
            found.append(doc)
        elif name == "event_page":
            found.extend(unpack_event_page(doc))
    return found


def _datums(documents: Documents) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, doc in documents:
        if name == "datum":
            found.append(doc)
        elif name == "datum_page":
            found.extend(unpack_datum_page(doc))
    return found


def _same(got: Iterable[Mapping[str, Any]], expected: Iterable[Mapping[str, Any]]) -> None:
    """Equal to the letter: values, their types, and the order of keys."""
    got, expected = list(got), list(expected)
    assert len(got) == len(expected), f"{len(got)} documents instead of {len(expected)}"
    for one, other in zip(got, expected, strict=True):
        _same_value(one, other, "")


def _same_value(one: Any, other: Any, path: str) -> None:
    if isinstance(other, Mapping):
        assert isinstance(one, Mapping), f"{path}: {one!r} instead of {other!r}"
        assert set(one) == set(other), f"{path}: keys {sorted(one)} instead of {sorted(other)}"
        if path:  # the fields of a document have no order; the keys of its data have
            assert list(one) == list(other), f"{path}: keys in another order"
        for key in other:
            _same_value(one[key], other[key], f"{path}.{key}")
    elif isinstance(other, list | tuple):
        assert isinstance(one, list | tuple), f"{path}: {one!r} instead of {other!r}"
        assert len(one) == len(other), f"{path}: {one!r} instead of {other!r}"
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            _same_value(a, b, f"{path}[{number}]")
    elif hasattr(other, "dtype"):
        assert getattr(one, "dtype", None) == other.dtype, f"{path}: {one!r} instead of {other!r}"
        assert one.tolist() == other.tolist(), f"{path}: {one!r} instead of {other!r}"
    else:
        assert type(one) is type(other), f"{path}: {one!r} instead of {other!r}"
        assert one == other or (one != one and other != other), f"{path}: {one!r} instead of {other!r}"
