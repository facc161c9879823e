"""RecordingContract: what a catalog that records keeps to, whatever it records into."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from databroker_like.core._pages import (
    pack_datum_page,
    pack_event_page,
    slice_page,
    unpack_datum_page,
    unpack_event_page,
)
from databroker_like.errors import Conflict, Invalid, InvalidDocument
from databroker_like.testing import _runs as samples
from databroker_like.testing._alike import all_datums, all_events, assert_alike
from databroker_like.v2 import Broker

__all__ = ["RecordingContract"]

Documents = list[tuple[str, dict[str, Any]]]


class RecordingContract(ABC):
    """The part of `DriverContract` about ``catalog.insert``; it is skipped where ``records`` is False."""

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

    def as_kept(self, doc: Mapping[str, Any]) -> Mapping[str, Any]:
        """A document as it comes back; the document itself, unless the storage has no numpy arrays, say."""
        return doc

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Where the runs of one test are kept."""
        place = tmp_path / "runs"
        place.mkdir()
        return place

    def _assert_holds(self, catalog: Broker, documents: Documents) -> None:
        """Everything that was put in comes out, to the letter and in order."""
        uid = documents[0][1]["uid"]
        source = catalog.collection.source(uid, None)

        def kept(*names: str) -> list[Mapping[str, Any]]:
            return [self.as_kept(doc) for name, doc in documents if name in names]

        assert_alike([source.get_run_start()], kept("start"))
        assert_alike([] if (stop := source.get_run_stop()) is None else [stop], kept("stop"))
        assert_alike(source.get_event_descriptors(), kept("descriptor"))
        assert_alike(source.get_resources(), kept("resource"))
        assert_alike(source.get_stream_resources(), kept("stream_resource"))
        events = all_events(documents)
        for descriptor in kept("descriptor"):
            owner = descriptor["uid"]
            mine = [self.as_kept(doc) for doc in events if doc["descriptor"] == owner]
            assert source.get_event_count(owner) == len(mine)
            assert_alike([doc for page in source.get_event_pages(owner) for doc in unpack_event_page(page)], mine)
        datums = all_datums(documents)
        for resource in kept("resource"):
            owner = resource["uid"]
            assert_alike([source.get_resource(owner)], [resource])
            mine = [self.as_kept(doc) for doc in datums if doc["resource"] == owner]
            assert_alike([doc for page in source.get_datum_pages(owner) for doc in unpack_datum_page(page)], mine)
            for doc in mine:
                assert source.lookup_resource_for_datum(doc["datum_id"]) == owner
        for resource in kept("stream_resource"):
            owner = resource["uid"]
            mine = [doc for doc in kept("stream_datum") if doc["stream_resource"] == owner]
            assert_alike(source.get_stream_datums(owner), mine)

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

    # -- events are told by their descriptor and seq_num, datums by their datum_id, alone and in pages

    def test_events_that_come_again_in_pages_are_no_duplicates(self, folder: Path) -> None:
        catalog = self._recording(folder)
        run = samples.scalars(events=6)
        events = all_events(run)
        page = _event_page(events)
        for name, doc in run[:4]:  # two of the events
            catalog.insert(name, doc)
        catalog.insert("event_page", slice_page(page, 0, 2))
        catalog.insert("event_page", slice_page(page, 1, 4))  # one that is there, two that are new
        for name, doc in run:
            catalog.insert(name, doc)
        catalog.insert("event_page", page)
        self._assert_holds(catalog, run)
        catalog.close()
        for name, doc in [*run[:2], ("event_page", page)]:
            catalog.insert(name, doc)
        self._assert_holds(catalog, run)
        catalog.close()

    def test_events_that_came_in_a_page_may_come_again_one_by_one(self, folder: Path) -> None:
        catalog = self._recording(folder)
        for run in (samples.paged(), samples.arrays()):
            for name, doc in run:
                catalog.insert(name, doc)
            for event in all_events(run):
                catalog.insert("event", event)
            self._assert_holds(catalog, run)
        catalog.close()

    def test_a_page_with_one_event_that_differs_is_refused_whole(self, folder: Path) -> None:
        catalog = self._recording(folder)
        run = samples.scalars(events=4)
        events = all_events(run)
        for name, doc in run[:4]:
            catalog.insert(name, doc)
        odd = {**events[1], "data": {**events[1]["data"], "motor": 17.5}}
        with pytest.raises(Conflict):
            catalog.insert("event_page", _event_page([events[0], odd, *events[2:]]))
        self._assert_holds(catalog, run[:4])
        for name, doc in run[4:]:
            catalog.insert(name, doc)
        self._assert_holds(catalog, run)
        catalog.close()

    def test_an_event_of_the_same_seq_num_and_no_later_time_is_refused(self, folder: Path) -> None:
        catalog = self._recording(folder)
        run = samples.scalars(events=3)
        for name, doc in run:
            catalog.insert(name, doc)
        event = all_events(run)[1]
        for other in (
            {**event, "uid": "another"},
            {**event, "uid": "another", "time": event["time"] - 1},
            {**event, "time": event["time"] + 1},
        ):
            with pytest.raises(Conflict):
                catalog.insert("event", other)
            with pytest.raises(Conflict):
                catalog.insert("event_page", _event_page([other]))
        self._assert_holds(catalog, run)
        catalog.close()

    def test_an_event_that_was_taken_again_is_kept_beside_the_first(self, folder: Path) -> None:
        """As a RunEngine emits them that was paused, and went back to a checkpoint."""
        catalog = self._recording(folder)
        run = samples.scalars(events=3)
        later = [{**event, "uid": f"again {n}", "time": event["time"] + 50} for n, event in enumerate(all_events(run))]
        run[4:5] = [run[4], ("event", later[0]), ("event", later[1]), ("event", later[2])]
        for name, doc in [pair for pair in run for _ in range(2)]:
            catalog.insert(name, doc)
        for name, doc in run:
            catalog.insert(name, doc)
        catalog.insert("event_page", _event_page(all_events(run)))
        self._assert_holds(catalog, run)
        catalog.close()

    def test_datums_that_come_again_in_pages_are_no_duplicates(self, folder: Path, tmp_path: Path) -> None:
        catalog = self._recording(folder)
        run = samples.external(tmp_path)
        datums = all_datums(run)
        page = pack_datum_page(*datums)
        given = [pair for pair in run if pair[0] not in ("datum", "datum_page")]
        place = 1 + max(n for n, pair in enumerate(given) if pair[0] == "resource")
        for name, doc in given[:place]:
            catalog.insert(name, doc)
        catalog.insert("datum", datums[0])
        catalog.insert("datum_page", page)
        catalog.insert("datum_page", page)
        with pytest.raises(Conflict):
            catalog.insert("datum", {**datums[-1], "datum_kwargs": {"odd": 1}})
        for name, doc in [*run, *given]:
            catalog.insert(name, doc)
        self._assert_holds(catalog, [*given[:place], *(("datum", doc) for doc in datums), *given[place:]])
        catalog.close()

    def test_stream_datums_that_come_again_are_no_duplicates(self, folder: Path) -> None:
        catalog = self._recording(folder)
        run = samples.stream_external("/data")
        for name, doc in [*(pair for pair in run for _ in range(2)), *run]:
            catalog.insert(name, doc)
        odd = next(doc for name, doc in run if name == "stream_datum")
        with pytest.raises(Conflict):
            catalog.insert("stream_datum", {**odd, "indices": {"start": 70, "stop": 80}})
        self._assert_holds(catalog, run)
        catalog.close()

    def test_a_page_of_columns_of_different_length_is_refused(self, folder: Path) -> None:
        catalog = self._recording(folder)
        run = samples.scalars(events=3)
        for name, doc in run[:2]:
            catalog.insert(name, doc)
        page = _event_page(all_events(run))
        with pytest.raises(InvalidDocument, match="motor"):
            catalog.insert("event_page", {**page, "data": {**page["data"], "motor": [1.0]}})
        self._assert_holds(catalog, run[:2])
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


def _event_page(events: list[dict[str, Any]]) -> dict[str, Any]:
    return dict(pack_event_page(*events))
