"""The embedded store as a catalog: recorded into by the RunEngine, read while it grows, from other processes too."""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import sqlite3
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy
import pytest

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.errors import (
    Conflict,
    Invalid,
    InvalidDocument,
    InvalidFile,
    NoSuchRun,
    NotWritable,
    OutOfRange,
    WrongType,
)
from databroker_like.store import _growth as growth
from databroker_like.store._store import Store
from databroker_like.testing import _runs as samples

Documents = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[BlueskyEmbeddedCatalog]:
    found = BlueskyEmbeddedCatalog(tmp_path / "store")
    yield found
    found.close()


def record(catalog: BlueskyEmbeddedCatalog, run: Documents) -> None:
    for name, doc in run:
        catalog.insert(name, doc)


def _read_elsewhere(path: str, wanted: int, told: Any) -> None:
    catalog = BlueskyEmbeddedCatalog(path)
    begin = time.monotonic()
    while time.monotonic() - begin < 300:
        if len(catalog) and "primary" in list(catalog[-1]):
            rows = dict(catalog[-1]["primary"].read().sizes).get("time", 0)
            told.send(rows)
            if rows >= wanted:
                return


def test_a_reader_in_another_process_sees_each_event_when_it_is_recorded(catalog: BlueskyEmbeddedCatalog) -> None:
    run = samples.scalars(uid="41fb8ca9-1", events=5)
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    record(catalog, run[:2])
    process = multiprocessing.get_context("spawn").Process(target=_read_elsewhere, args=(catalog.store.path, 5, theirs))
    process.start()
    try:
        assert ours.poll(300)
        seen = [ours.recv()]  # it is up, and has read
        for number, (name, doc) in enumerate(run[2:-1], 1):
            catalog.insert(name, doc)
            while seen[-1] < number:
                assert ours.poll(300), f"event {number} is not seen"
                seen.append(ours.recv())
        assert sorted(set(seen)) == [0, 1, 2, 3, 4, 5]
        process.join(300)
        assert process.exitcode == 0
    finally:
        process.kill()
        process.join()


def test_the_run_engine_records_into_it(catalog: BlueskyEmbeddedCatalog) -> None:
    from bluesky import RunEngine
    from bluesky.plans import count, scan
    from ophyd.sim import SynAxis, SynGauss

    motor = SynAxis(name="motor")
    detector = SynGauss("det", motor, "motor", center=0, Imax=1, sigma=1)
    engine = RunEngine({})
    engine.subscribe(catalog.insert)
    (first,) = engine(scan([detector], motor, -1, 1, 5))
    (second,) = engine(count([detector], 3))
    assert list(catalog) == [first, second]
    assert catalog[first]["primary"].read()["motor"].values.tolist() == [-1, -0.5, 0, 0.5, 1]
    assert catalog[second].metadata["stop"]["num_events"] == {"primary": 3}


def test_many_events_become_segments_and_files_and_read_the_same(
    catalog: BlueskyEmbeddedCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "EVENTS_AT_MOST", 7)
    monkeypatch.setattr(growth, "ROWS_TO_A_FILE", 20)
    monkeypatch.setattr(growth, "SMALLEST_FILE", 100)
    run = samples.scalars(uid="41fb8ca9-1", events=50)
    record(catalog, run[:-1])
    seen = catalog[-1]["primary"].read()
    assert seen["motor"].size == 50
    record(catalog, run[-1:])
    assert catalog[-1]["primary"].read().identical(seen)
    assert list((Path(catalog.store.path) / "data").rglob("*.arrow"))
    stored = catalog.collection.source("41fb8ca9-1", None).get_run_start.__self__
    assert list(stored.recorded()) == run


def test_the_documents_come_back_just_as_they_were_recorded(catalog: BlueskyEmbeddedCatalog) -> None:
    for number, make in enumerate((samples.scalars, samples.strings, samples.several_streams, samples.paged)):
        run = make(uid=f"41fb8ca9-{number}")
        record(catalog, run)
        stored = catalog.collection.source(run[0][1]["uid"], None).get_run_start.__self__
        assert list(stored.recorded()) == run


def test_an_array_key_comes_back_as_arrays(catalog: BlueskyEmbeddedCatalog) -> None:
    run = samples.arrays(uid="41fb8ca9-1")
    record(catalog, run)
    kept = [doc for name, doc in run if name == "event"]
    for key, value in kept[0]["data"].items():
        if isinstance(value, numpy.ndarray):
            column = catalog[-1]["primary"].read()[key].values
            assert numpy.array_equal(column, numpy.stack([doc["data"][key] for doc in kept]))


def test_the_same_document_again_is_no_error_and_another_one_is_refused(catalog: BlueskyEmbeddedCatalog) -> None:
    run = samples.scalars(uid="41fb8ca9-1", events=3)
    for name, doc in run:
        catalog.insert(name, doc)
        catalog.insert(name, doc)
    record(catalog, run)
    stored = catalog.collection.source("41fb8ca9-1", None)
    assert stored.get_event_count(run[1][1]["uid"]) == 3
    for name, doc in run:
        other = {**doc, "time": doc["time"] - 1}
        with pytest.raises(Conflict, match="not recorded"):
            catalog.insert(name, other)


def test_what_another_recorder_began_goes_on(tmp_path: Path) -> None:
    run = samples.scalars(uid="41fb8ca9-1", events=6)
    for pair in run:
        catalog = BlueskyEmbeddedCatalog(tmp_path)
        catalog.insert(*pair)
        catalog.close()
    catalog = BlueskyEmbeddedCatalog(tmp_path)
    assert catalog[-1]["primary"].read()["motor"].size == 6
    catalog.close()


def test_two_recorders_of_one_run_take_turns(tmp_path: Path) -> None:
    run = samples.scalars(uid="41fb8ca9-1", events=9)
    both = [BlueskyEmbeddedCatalog(tmp_path), BlueskyEmbeddedCatalog(tmp_path)]
    for number, pair in enumerate(run):
        both[number % 2].insert(*pair)
    assert both[0][-1]["primary"].read()["motor"].size == 9
    for catalog in both:
        catalog.close()


def test_an_invalid_document_leaves_nothing(catalog: BlueskyEmbeddedCatalog) -> None:
    with pytest.raises(InvalidDocument):
        catalog.insert("start", {"uid": "41fb8ca9-1", "time": "noon"})
    assert len(catalog) == 0
    with pytest.raises(InvalidDocument, match="from its start"):
        catalog.insert("stop", {"uid": "s", "run_start": "nothing", "time": 0.0, "exit_status": "success"})


def test_nothing_comes_after_the_stop_document(catalog: BlueskyEmbeddedCatalog) -> None:
    run = samples.scalars(uid="41fb8ca9-1", events=2)
    record(catalog, run)
    late = {**run[2][1], "uid": "late", "seq_num": 99}
    with pytest.raises(InvalidDocument, match="after the stop"):
        catalog.insert("event", late)


def test_a_catalog_of_a_folder_without_store_is_empty_and_says_so(tmp_path: Path) -> None:
    catalog = BlueskyEmbeddedCatalog(tmp_path / "nothing")
    assert len(catalog) == 0
    assert "there is no store yet" in next(iter(catalog.problems.values()))
    assert not (tmp_path / "nothing").exists()


def test_it_pickles_and_the_copy_records_too(catalog: BlueskyEmbeddedCatalog) -> None:
    record(catalog, samples.scalars(uid="41fb8ca9-1"))
    copy = pickle.loads(pickle.dumps(catalog))
    record(copy, samples.scalars(uid="52ac9db0-1", time=2e9))
    assert len(catalog) == len(copy) == 2
    copy.close()


def test_a_store_opened_to_read_refuses_to_record(catalog: BlueskyEmbeddedCatalog) -> None:
    record(catalog, samples.scalars(uid="41fb8ca9-1"))
    reader = BlueskyEmbeddedCatalog(catalog.store.path, read_only=True)
    assert len(reader) == 1
    with pytest.raises(NotWritable, match="read only"):
        reader.insert("start", {"uid": "a", "time": 0.0})
    reader.close()


def test_a_misspelt_time_to_force_to_the_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="'stop'"):
        BlueskyEmbeddedCatalog(tmp_path, fsync="stopp")


@pytest.mark.parametrize("fsync", ["never", "stop", "event"])
def test_runs_are_recorded_with_each_time_to_force_to_the_disk(tmp_path: Path, fsync: str) -> None:
    catalog = BlueskyEmbeddedCatalog(tmp_path, fsync=fsync)
    record(catalog, samples.scalars(uid="41fb8ca9-1"))
    assert catalog[-1].metadata["stop"] is not None
    catalog.close()


def test_an_event_that_comes_first_of_all_belongs_to_no_run(catalog: BlueskyEmbeddedCatalog) -> None:
    event = next(doc for name, doc in samples.scalars() if name == "event")
    with pytest.raises(InvalidDocument, match=r"belongs to descriptor .* in no run that is being recorded"):
        catalog.insert("event", event)
    assert len(catalog) == 0


@pytest.mark.parametrize("as_page", [False, True])
def test_a_seq_num_that_no_database_has_room_for_is_refused(catalog: BlueskyEmbeddedCatalog, as_page: bool) -> None:
    run = samples.scalars()
    record(catalog, [pair for pair in run if pair[0] in ("start", "descriptor")])
    event = {**next(doc for name, doc in run if name == "event"), "seq_num": 2**70}
    page = {key: [value] for key, value in event.items() if key in ("uid", "seq_num", "time")}
    page |= {key: {k: [v] for k, v in event[key].items()} for key in ("data", "timestamps", "filled")}
    with pytest.raises(InvalidDocument, match="cannot be stored: "):
        catalog.insert(*(("event_page", page | {"descriptor": event["descriptor"]}) if as_page else ("event", event)))
    record(catalog, run)
    assert catalog[-1]["primary"].read().sizes["time"] == 5


def test_nothing_is_made_of_a_store_that_is_not_there_and_only_read(tmp_path: Path) -> None:
    catalog = BlueskyEmbeddedCatalog(tmp_path / "store", read_only=True)
    with pytest.raises(NotWritable, match="read only"):
        record(catalog, samples.scalars())
    assert len(catalog) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"path": "s3://bucket/runs"}, Invalid, "no folder on a local disk.*data='s3://"),
        ({"path": 5}, WrongType, "that of a folder, not 5"),
        ({"path": None}, WrongType, "that of a folder, not None"),
        ({"read_only": "no"}, WrongType, "read_only is true or false, not 'no'"),
        ({"database": "postgres://me:secret@host/runs"}, Invalid, r"me:\*\*\*@host.*'postgresql\+psycopg://"),
        ({"database": "mysql://host/runs"}, Invalid, r"mysql://host/runs'.*'postgresql\+psycopg://"),
        ({"database": "runs"}, Invalid, r"'runs'.*'postgresql\+psycopg://"),
    ],
)
def test_what_cannot_be_a_store_is_told_when_the_catalog_is_made(given: Any, error: Any, told: str, tmp_path) -> None:
    with pytest.raises(error, match=told) as raised:
        BlueskyEmbeddedCatalog(**{"path": tmp_path / "store", **given})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(("inside", "which"), [("", "it"), ("/runs/more", "'.*/notes'")])
def test_a_store_that_would_be_in_a_file_says_so(tmp_path: Path, inside: str, which: str) -> None:
    (tmp_path / "notes").write_text("no folder")
    catalog = BlueskyEmbeddedCatalog(f"{tmp_path}/notes{inside}")
    told = f"no store at '.*/notes{inside}': {which} is a file, and a store is a folder"
    with pytest.raises(InvalidFile, match=told):
        len(catalog)
    with pytest.raises(InvalidFile, match=told):
        record(catalog, samples.scalars())
    assert "is a file, and a store is a folder" in repr(catalog)
    with pytest.raises(InvalidFile, match=told):
        Store(tmp_path / "restored").restore(catalog.store.path)
    assert not (tmp_path / "restored").exists()
    assert (tmp_path / "notes").read_text() == "no folder"


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as other, other:
        other.execute("CREATE TABLE photos (name)")
    catalog = BlueskyEmbeddedCatalog(tmp_path)
    assert len(catalog) == 0
    with pytest.raises(InvalidFile, match=r"something else, with the tables 'photos'; choose another folder"):
        record(catalog, samples.scalars())
    catalog.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("photos",)]


def test_a_slip_in_deleting_is_told(catalog: BlueskyEmbeddedCatalog) -> None:
    record(catalog, samples.scalars(uid="one"))
    with pytest.raises(NoSuchRun, match=r"catalog.delete\(\*uids\)"):
        catalog.delete(["one"])  # type: ignore[arg-type]
    with pytest.raises(WrongType, match=r"timedelta\(days=365\), not 365"):
        catalog.delete_all(older_than=365)  # type: ignore[arg-type]
    with pytest.raises(Invalid, match=r"no uid is given, and nothing is deleted"):
        catalog.delete()
    assert list(catalog) == ["one"]


@pytest.mark.parametrize("age", [timedelta(days=-1), timedelta(0), timedelta(microseconds=-1)], ids=repr)
@pytest.mark.parametrize("dry_run", [True, False])
def test_an_age_that_every_run_has_deletes_none(catalog: BlueskyEmbeddedCatalog, age: timedelta, dry_run: bool) -> None:
    record(catalog, samples.scalars(uid="one"))
    for found in (catalog, catalog.search({"uid": "one"})):
        with pytest.raises(Invalid, match=r"is no age, and all runs are older; give one such as timedelta\(days=365\)"):
            found.delete_all(older_than=age, dry_run=dry_run)
    assert list(catalog) == ["one"]


#: Half a surrogate pair, which is no text in UTF-8.
HALF = "\ud800"


@pytest.mark.parametrize("name", ["start", "descriptor", "event", "stop"])
def test_a_uid_that_no_database_takes_is_refused(catalog: BlueskyEmbeddedCatalog, name: str) -> None:
    run = samples.scalars(uid="one")
    at = next(number for number, (kind, _) in enumerate(run) if kind == name)
    record(catalog, run[:at])
    doc = dict(run[at][1])
    doc["descriptor" if name == "event" else "uid"] = HALF
    with pytest.raises(InvalidDocument, match=f"^{name} .* cannot be stored: .*surrogates not allowed"):
        catalog.insert(name, doc)
    record(catalog, run[at:])
    assert catalog.store.check() == []


def test_a_key_that_no_database_takes_is_that_of_no_run(catalog: BlueskyEmbeddedCatalog) -> None:
    record(catalog, samples.scalars(uid="one"))
    assert HALF not in catalog
    with pytest.raises(NoSuchRun):
        catalog[HALF]
    with pytest.raises(NoSuchRun):
        catalog.delete(HALF)
    with pytest.raises(OutOfRange):
        catalog[-(2**70)]


def test_runs_that_are_walked_through_slowly_hold_nothing(catalog: BlueskyEmbeddedCatalog) -> None:
    for number in range(3):
        record(catalog, samples.scalars(uid=f"41fb8ca9-{number}", time=1e9 + number))
    pool = catalog.store.database.engine.pool
    before = pool.checkedout()  # that of the recorder
    walked = iter(catalog.items())
    uids = iter(catalog)
    next(walked), next(uids)
    assert pool.checkedout() == before
    assert len(list(walked)) == len(list(uids)) == 2


def test_a_saved_catalog_file_has_no_secret_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import databroker_like

    options = {"key": "reader", "secret": "hush-1", "client_kwargs": {"aws_session_token": "hush-2"}}
    url = "postgresql+psycopg://lab:hush-3@db.example/lab"
    catalog = BlueskyEmbeddedCatalog(database=url, data="s3://lab/runs", data_options=options, name="lab")
    saved = catalog.serialize()
    assert "hush" not in saved
    (tmp_path / "lab.yml").write_text(saved)
    for name, value in (("SECRET", "hush-1"), ("AWS_SESSION_TOKEN", "hush-2")):
        monkeypatch.setenv(f"DATA_{name}", value)
    monkeypatch.setenv("DATABASE_PASSWORD", "hush-3")
    again = databroker_like.open_catalog(tmp_path / "lab.yml")["lab"]
    assert again.store.database.url == url
    assert again.store.files._options == options
