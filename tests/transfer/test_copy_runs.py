"""Copying runs between catalogs of every kind: whole, once, continued, and told when it fails."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databroker_like.core._packing import pack_event_page, unpack_event_page
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.errors import DatabrokerError, Invalid, NotOffered, NotWritable, WrongType
from databroker_like.testing import _runs
from databroker_like.transfer import TransferReport, copy, pack, unpack
from databroker_like.transfer._counts import Tally, digest
from databroker_like.transfer._recorded import well_sized
from databroker_like.v2 import Broker

KINDS = ("in_memory", "jsonl", "msgpack", "embedded", "mongo_normalized")
Documents = list[tuple[str, dict[str, Any]]]


def recorded(*runs: Documents) -> Any:
    catalog = BlueskyInMemoryCatalog(name="source")
    for documents in runs:
        for name, doc in documents:
            catalog.insert(name, doc)
    return catalog


# -- whole


@pytest.mark.parametrize("into", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_document_arrives_as_it_was_recorded(
    kind: str, into: str, make_catalog: Any, record: Any, samples: list[Documents], said: Any
) -> None:
    source, dest = record(make_catalog(kind), *samples), make_catalog(into)
    report = copy(source, dest, verify="documents")
    assert (report.ok, report.issues) == (True, ())
    assert set(report.copied) == {documents[0][1]["uid"] for documents in samples}
    assert said(dest) == said(source)
    assert report.documents == len(said(source))


@pytest.mark.parametrize("into", KINDS)
def test_what_is_read_from_a_copy_is_what_was_read_before(into: str, make_catalog: Any, samples: Any) -> None:
    source, dest = recorded(*samples[:-1]), make_catalog(into)  # the files of the last one are not there
    copy(source, dest)
    for uid in source:
        assert set(dest[uid]) == set(source[uid])
        for stream in source[uid]:
            assert dest[uid][stream].read().identical(source[uid][stream].read())


def test_recorded_runs_of_beamlines_arrive_whole(shared_data: Path, make_catalog: Any, said: Any) -> None:
    for source in (
        BlueskyMsgpackCatalog(str(shared_data / "absorption-pack" / "documents" / "*.msgpack")),
        BlueskyJSONLCatalog(str(shared_data / "edge-scans-jsonl" / "*.jsonl")),
        BlueskyJSONLCatalog(str(shared_data / "beamline-json" / "*.json")),
    ):
        dest = make_catalog("embedded")
        report = copy(source, dest, verify="documents")
        report.raise_if_failed()
        assert len(report.copied) == len(source)
        assert said(dest) == said(source)


def test_transforms_mend_what_is_read_and_not_what_is_copied(record: Any) -> None:
    catalog = BlueskyInMemoryCatalog(transforms={"start": lambda doc: {**doc, "sample": "gold"}})
    record(catalog, _runs.scalars(sample="lead"))
    dest = BlueskyInMemoryCatalog()
    copy(catalog, dest)
    assert catalog[-1].metadata["start"]["sample"] == "gold"
    assert dest[-1].metadata["start"]["sample"] == "lead"


def test_arrays_stay_arrays_where_the_storage_has_them(make_catalog: Any, record: Any) -> None:
    documents = _runs.arrays()
    for name, doc in documents:
        if name == "event":
            doc["data"]["image"] = np.array(doc["data"]["image"], dtype="uint16")
    source = record(make_catalog("msgpack"), documents)
    dest = make_catalog("msgpack")
    copy(source, dest, verify="documents").raise_if_failed()
    (page, *_) = dest[-1].source.get_event_pages(documents[1][1]["uid"])
    assert np.asarray(page["data"]["image"][0]).dtype == np.dtype("uint16")


# -- which


def test_a_query_chooses_and_runs_can_be_handed_in(samples: Any) -> None:
    source, dest = recorded(*samples), BlueskyInMemoryCatalog()
    assert len(copy(source, dest, query={"scan_id": {"$lt": 3}}).copied) == 2
    assert len(copy(source.search({"scan_id": 3}), dest).copied) == 1
    assert len(copy(source[4], dest).copied) == 1
    assert len(copy([source[4], source[5]], dest).copied) == 1
    assert [run.metadata["start"]["scan_id"] for run in dest.values()] == [1, 2, 3, 4, 5]


def test_what_cannot_be_meant_is_refused(samples: Any) -> None:
    source, dest = recorded(*samples), BlueskyInMemoryCatalog()
    with pytest.raises(Invalid, match="on_conflict"):
        copy(source, dest, on_conflict="overwrite")
    with pytest.raises(Invalid, match="verify"):
        copy(source, dest, verify="hash")
    with pytest.raises(Invalid, match="query"):
        copy([source[1]], dest, query={})
    with pytest.raises(WrongType, match="none of them"):
        copy([3], dest)  # type: ignore[list-item]
    for path in ("runs/store", "", Path("runs/store")):
        with pytest.raises(
            WrongType, match=r"is a path; open what is there first, such as .*BlueskyEmbeddedCatalog\('"
        ):
            copy(path, dest)  # type: ignore[arg-type]
    with pytest.raises(WrongType, match="copied into a catalog"):
        copy(source, "somewhere")  # type: ignore[arg-type]
    with pytest.raises(NotOffered, match="only reads"):
        copy(source, Broker())
    assert len(dest) == 0


# -- once, and continued


@pytest.mark.parametrize("into", KINDS)
def test_what_is_there_is_not_copied_again(into: str, make_catalog: Any, samples: Any, said: Any) -> None:
    source, dest = recorded(*samples), make_catalog(into)
    copy(source, dest)
    before = said(dest)
    report = copy(source, dest)
    assert (report.copied, report.documents, len(report.skipped)) == ((), 0, len(samples))
    assert said(dest) == before


@pytest.mark.parametrize("into", KINDS)
@pytest.mark.parametrize("sample", ["scalars", "several_streams", "paged", "arrays"])
def test_a_part_that_is_there_is_continued(sample: str, into: str, make_catalog: Any, record: Any, said: Any) -> None:
    documents = _runs.SAMPLES[sample]()
    source = recorded(documents)
    for cut in range(1, len(documents)):
        dest = record(make_catalog(into), documents[:cut])
        report = copy(source, dest, verify="documents")
        report.raise_if_failed()
        assert report.continued == report.copied == tuple(source)
        assert said(dest) == said(source)
        assert len(dest[-1].source.get_event_descriptors()) == len(source[-1].source.get_event_descriptors())


def test_a_page_of_which_a_part_is_there_is_continued(said: Any) -> None:
    documents = _runs.scalars(events=10)
    source = recorded(documents)
    events = [pair for pair in documents if pair[0] == "event"]
    dest = recorded([*documents[:2], events[0], events[4], events[5], events[9]])
    report = copy(source, dest)
    assert said(dest) == said(source)
    assert report.documents == 6 + 3  # its start and its descriptor are sent again, and the stop


def test_a_run_that_goes_on_is_copied_as_far_as_it_is_and_later_to_its_end(said: Any) -> None:
    documents = _runs.scalars(events=6)
    source, dest = BlueskyInMemoryCatalog(), BlueskyInMemoryCatalog()
    for number, (name, doc) in enumerate(documents):
        source.insert(name, doc)
        if number:
            report = copy(source, dest)
            report.raise_if_failed()
            assert said(dest) == said(source)
    assert dest[-1].metadata["stop"] is not None
    assert copy(source, dest).skipped == tuple(source)


def test_without_resume_a_part_is_a_conflict() -> None:
    documents = _runs.scalars()
    source, dest = recorded(documents), recorded(documents[:3])
    report = copy(source, dest, resume=False)
    assert "with resume=True it is continued" in report.failed[source[-1].metadata["start"]["uid"]]


# -- told when it fails


def test_another_version_of_a_run_is_left_alone_and_the_rest_is_copied(said: Any) -> None:
    documents = _runs.scalars(uid="a")
    other = [(name, {**doc, "sample": "lead"} if name == "start" else doc) for name, doc in documents]
    source = recorded(documents, _runs.scalars(uid="b"), _runs.scalars(uid="c", time=1.8e9))
    for there in (recorded(other), recorded(documents[:3] + documents[-1:])):
        before = said(there)
        report = copy(source, there)
        assert list(report.failed) == ["a"]
        assert set(report.copied) == {"b", "c"}
        assert before.items() <= said(there).items()
        with pytest.raises(DatabrokerError, match="1 runs were not copied:\n  a: "):
            report.raise_if_failed()
        report = copy(source, there, on_conflict="skip")
        assert report.ok
        assert set(report.skipped) == {"a", "b", "c"}
        assert "run a is skipped" in report.issues[0]


def test_an_event_that_differs_is_a_conflict_when_continued() -> None:
    documents = _runs.scalars(uid="a")
    changed = [(name, {**doc, "time": 0.5} if name == "event" else doc) for name, doc in documents[:4]]
    report = copy(recorded(documents), recorded(changed))
    assert "another event" in report.failed["a"]


def test_comparing_documents_finds_what_counting_does_not() -> None:
    documents = _runs.scalars(uid="a")
    changed = [(name, {**doc, "time": 0.5} if name == "event" else doc) for name, doc in documents]
    source, dest = recorded(documents), recorded(changed)
    assert copy(source, dest).skipped == ("a",)
    assert "is not what was recorded" in copy(source, dest, verify="documents").failed["a"]


class Forgetful(BlueskyInMemoryCatalog):
    """Loses the second page of events."""

    def insert(self, name: str, doc: Any) -> None:
        if name != "event_page" or 1 not in doc["seq_num"]:
            super().insert(name, doc)


def test_what_did_not_arrive_is_found_by_counting() -> None:
    source = recorded(_runs.scalars(uid="a"))
    report = copy(source, Forgetful())
    assert "there is 0 of 5 events of descriptor" in report.failed["a"]
    assert copy(source, Forgetful(), verify=False).ok


class Broken(BlueskyInMemoryCatalog):
    """A plugin with a mistake in it, that shows in one run."""

    def insert(self, name: str, doc: Any) -> None:
        if doc.get("scan_id") == 2:
            raise ZeroDivisionError("a mistake")
        super().insert(name, doc)


def test_a_run_that_fails_does_not_keep_the_others(samples: Any) -> None:
    source, dest = recorded(*samples), Broken()
    report = copy(source, dest)
    assert list(report.failed.values()) == ["ZeroDivisionError('a mistake')"]
    assert len(dest) == len(report.copied) == len(samples) - 1


class Full(BlueskyInMemoryCatalog):
    """A disk that is full after some documents."""

    left = 12

    def insert(self, name: str, doc: Any) -> None:
        self.left -= 1
        if self.left < 0:
            raise NotWritable("/data/store cannot be written: No space left on device; make room")
        super().insert(name, doc)


def test_a_full_disk_ends_the_copy_and_another_call_goes_on(samples: Any, said: Any) -> None:
    source, dest = recorded(*samples), Full()
    with pytest.raises(NotWritable, match=r"No space left.*so far: \d runs? copied"):
        copy(source, dest)
    assert 0 < len(dest) < len(samples)
    dest.left = 10_000
    copy(source, dest).raise_if_failed()
    assert said(dest) == said(source)


@pytest.mark.parametrize("catalog", [BlueskyJSONLCatalog, BlueskyMsgpackCatalog])
def test_a_folder_that_cannot_be_made_is_told(catalog: Any, tmp_path: Path, samples: Any) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NotWritable):
        copy(recorded(*samples), catalog(f"{tmp_path}/file/runs/*{catalog._format.suffix}"))


def test_files_of_the_source_that_cannot_be_read_are_issues(make_catalog: Any, record: Any, tmp_path: Path) -> None:
    source = record(make_catalog("jsonl"), _runs.scalars())
    folder = Path(source.paths[0]).parent
    (folder / "broken.jsonl").write_text("no JSON")
    with pytest.warns(UserWarning, match="truncated"):
        report = copy(source, make_catalog("in_memory"))
    assert len(report.copied) == 1
    assert "broken.jsonl could not be read" in report.issues[0]


# -- the report


def test_a_report_is_short_frozen_and_travels() -> None:
    report = TransferReport("copied", "db", ("a",), failed={str(n): "why <b>" for n in range(30)}, issues=("hm",))
    assert "and 20 more" in str(report)
    assert "1 run copied to db, 30 FAILED" in repr(report)
    assert "why &lt;b&gt;" in report._repr_html_()
    with pytest.raises(AttributeError):
        report.copied = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        report.failed["x"] = "y"  # type: ignore[index]
    assert pickle.loads(pickle.dumps(report)) == report


def test_progress_is_silent_where_there_is_no_terminal(samples: Any, capfd: Any) -> None:
    copy(recorded(*samples), BlueskyInMemoryCatalog())
    assert capfd.readouterr() == ("", "")


def test_progress_can_be_asked_for(samples: Any, capfd: Any) -> None:
    copy(recorded(*samples), BlueskyInMemoryCatalog(), progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "copying runs" in err


# -- its parts


@given(
    sizes=st.lists(st.integers(0, 30), max_size=6),
    most=st.integers(1, 20),
    bytes_=st.integers(8, 400),
    wide=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pages_are_cut_and_joined_without_losing_an_event(sizes: list[int], most: int, bytes_: int, wide: bool) -> None:
    def event(number: int) -> dict[str, Any]:
        data = {"x": np.zeros(8) + number if wide else number}
        stamps = {"x": float(number)}
        return {
            "uid": str(number),
            "time": float(number),
            "seq_num": number + 1,
            "descriptor": "d",
            "data": data,
            "timestamps": stamps,
            "filled": {},
        }

    pages, count = [], 0
    for size in sizes:
        events = [event(count + n) for n in range(size)]
        count += size
        pages.append(
            pack_event_page(*events)
            if events
            else {"descriptor": "d", "uid": [], "time": [], "seq_num": [], "data": {}, "timestamps": {}, "filled": {}}
        )
    found = list(well_sized(pages, most, bytes_))
    assert [digest(doc) for page in found for doc in unpack_event_page(page)] == [
        digest(event(number)) for number in range(count)
    ]
    assert all(0 < len(page["uid"]) <= most for page in found)
    if wide:
        assert all(len(page["uid"]) <= max(1, bytes_ // 64) for page in found)


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 3), max_size=3), st.booleans())
def test_a_tally_differs_from_itself_in_nothing(counts: dict[str, int], stop: bool) -> None:
    tally = Tally(stop, counts, dict(counts), dict(counts))
    assert tally.difference(tally) == ""
    more = Tally(not stop, {**counts, "another": 1}, counts, counts)
    assert "descriptor 'another'" in tally.difference(more)
    assert "stop document" in tally.difference(more)


def test_a_digest_is_of_what_is_said() -> None:
    assert digest({"a": np.array([1, 2])}) == digest({"a": [1, 2]})
    assert digest({"a": float("nan")}) == digest({"a": float("nan")})
    assert digest({"a": 1}) != digest({"a": 2})
    assert digest({"a": b"x"}) != digest({"a": "x"})


# -- revisions


def test_what_was_recorded_is_copied_of_an_amended_run_unless_asked(make_catalog: Any, record: Any) -> None:
    source = record(make_catalog("embedded"), _runs.scalars(uid="a", sample="lead"))
    source["a"].amend({"start": {"sample": "gold"}}, author="somebody", reason="a mix-up")
    assert source["a"].metadata["start"]["sample"] == "gold"
    dest, current = make_catalog("in_memory"), make_catalog("in_memory")
    report = copy(source, dest, verify="documents")
    assert dest["a"].metadata["start"]["sample"] == "lead"
    assert "amended 1 times" in report.issues[0]
    assert copy([source["a"]], make_catalog("in_memory")).issues == report.issues
    report = copy(source, current, revision=None, verify="documents")
    assert current["a"].metadata["start"]["sample"] == "gold"
    assert (report.ok, report.issues) == (True, ())


def test_a_copy_that_was_amended_is_still_the_same_run(make_catalog: Any, record: Any) -> None:
    source = record(make_catalog("jsonl"), _runs.scalars(uid="a", sample="lead"))
    dest = make_catalog("embedded")
    copy(source, dest)
    dest["a"].amend({"start": {"sample": "gold"}}, author="somebody", reason="a mix-up")
    assert copy(source, dest).skipped == ("a",)
    assert dest["a"].metadata["start"]["sample"] == "gold"


def test_amendments_travel_from_store_to_store(make_catalog: Any, record: Any) -> None:
    source = record(make_catalog("embedded"), _runs.scalars(uid="a", sample="lead"))
    dest = make_catalog("embedded")
    source["a"].amend({"start": {"sample": "gold"}}, author="somebody", reason="a mix-up")
    report = copy(source, dest, verify="documents")
    assert (report.copied, report.issues) == (("a",), ())
    assert dest["a"].revisions == source["a"].revisions
    assert dest["a"].metadata["start"]["sample"] == "gold"
    source["a"].amend({"start": {"sample": "silver"}}, author="somebody", reason="a mix-up")
    assert copy(source, dest).skipped == ("a",)
    assert list(dest.search({"sample": "silver"})) == ["a"]
    dest["a"].amend({"start": {"sample": "tin"}}, author="somebody", reason="another")
    source["a"].amend({"start": {"sample": "iron"}}, author="somebody", reason="a third")
    (issue,) = copy(source, dest).issues
    assert "has another revision 3 by somebody: another" in issue
    assert dest["a"].metadata["start"]["sample"] == "tin"


def test_amendments_of_a_run_do_not_reach_another_of_its_uid(make_catalog: Any, record: Any) -> None:
    source = record(make_catalog("embedded"), _runs.scalars(uid="a", sample="lead"))
    dest = record(make_catalog("embedded"), _runs.scalars(uid="a", sample="tin"))
    source["a"].amend({"start": {"sample": "gold"}}, author="somebody", reason="a mix-up")
    assert copy(source, dest, on_conflict="skip").skipped == ("a",)
    assert list(copy(source, dest).failed) == ["a"]
    assert dest["a"].revisions == []


# -- old runs


def test_documents_that_are_not_valid_any_more_are_kept_by_a_store_and_told_by_others(
    tmp_path: Path, make_catalog: Any, said: Any
) -> None:
    documents = _runs.scalars(uid="a")
    documents[0][1]["sample"] = None  # as old sessions recorded it
    (tmp_path / "old.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in documents))
    source, store = BlueskyJSONLCatalog(str(tmp_path / "old.jsonl")), make_catalog("embedded")
    copy(source, store, verify="documents").raise_if_failed()
    assert said(store) == said(source)
    assert copy(source, store).skipped == ("a",)
    report = copy(source, make_catalog("msgpack"))
    assert "is not valid at 'sample'" in report.failed["a"]
    pack(source, tmp_path / "pack").raise_if_failed()
    unpack(tmp_path / "pack", into=make_catalog("embedded"), verify="documents").raise_if_failed()
