"""When recorded files are forced to the disk, and what a RunEngine that goes back to a checkpoint records."""

from __future__ import annotations

import os
import pickle
import stat
import textwrap

import intake
import pytest

from databroker_like.core._pages import unpack_event_page
from databroker_like.core._sink import FSYNC, checked_fsync
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.errors import Invalid, NotWritable
from databroker_like.testing import _runs as samples

KINDS = {"jsonl": BlueskyJSONLCatalog, "msgpack": BlueskyMsgpackCatalog}


@pytest.fixture
def forced(monkeypatch):
    """What was forced to the disk: "folder", or how long the file was."""
    seen = []
    real = os.fsync

    def fsync(descriptor):
        status = os.fstat(descriptor)
        seen.append("folder" if stat.S_ISDIR(status.st_mode) else status.st_size)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fsync", FSYNC)
def test_what_is_recorded_is_forced_to_the_disk_when_it_is_said(kind, fsync, tmp_path, forced):
    catalog = KINDS[kind](f"{tmp_path}/deep/runs/*.{kind}", fsync=fsync)
    sizes = []
    run = samples.scalars(events=3, uid="a")
    for name, doc in run:
        catalog.insert(name, doc)
        sizes.append((tmp_path / "deep" / "runs" / f"a.{kind}").stat().st_size)
    catalog.close()
    # The new file, the two new folders above it, and the one they are in.
    expected = {"never": [], "stop": ["folder"] * 3 + sizes[-1:], "event": ["folder"] * 3 + sizes}
    assert forced == expected[fsync]


def test_a_stop_document_is_forced_by_default_and_a_folder_only_once_it_has_a_new_file(tmp_path, forced):
    catalog = BlueskyJSONLCatalog(f"{tmp_path}/*.jsonl")
    for uid in ("a", "b"):
        for name, doc in [*samples.scalars(uid=uid), samples.scalars(uid=uid)[0]][:-1]:
            catalog.insert(name, doc)
    catalog.close()
    assert [entry == "folder" for entry in forced] == [True, False, True, False]


def test_a_document_that_cannot_be_forced_is_not_recorded(tmp_path, monkeypatch):
    catalog = BlueskyJSONLCatalog(f"{tmp_path}/*.jsonl", fsync="event")
    run = samples.scalars(events=3, uid="a")
    for name, doc in run[:3]:
        catalog.insert(name, doc)

    def fails(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        with pytest.raises(NotWritable, match="make room"):
            catalog.insert(*run[3])
    assert len(catalog["a"].primary.read()["time"]) == 1
    for name, doc in run:
        catalog.insert(name, doc)
    assert len(catalog["a"].primary.read()["time"]) == 3
    catalog.close()


@pytest.mark.parametrize(
    ("value", "says"), [("stops", "did you mean .stop."), ("Event", "event"), (True, "never"), (None, "stop")]
)
def test_a_setting_that_is_none_is_told_when_the_catalog_is_made(value, says, tmp_path):
    with pytest.raises(Invalid, match=says):
        BlueskyJSONLCatalog(f"{tmp_path}/*.jsonl", fsync=value)
    with pytest.raises(Invalid, match="fsync"):
        checked_fsync(value)


def test_the_setting_goes_along_in_pickles_searches_and_yaml(tmp_path):
    catalog = BlueskyMsgpackCatalog(f"{tmp_path}/*.msgpack", fsync="event", name="mine")
    assert pickle.loads(pickle.dumps(catalog))._fsync == "event"
    assert catalog.search({"plan_name": "scan"})._fsync == "event"
    (tmp_path / "saved.yml").write_text(catalog.serialize())
    (name,) = intake.open_catalog(str(tmp_path / "saved.yml"))
    assert intake.open_catalog(str(tmp_path / "saved.yml"))[name]._fsync == "event"
    (tmp_path / "own.yml").write_text(
        textwrap.dedent(f"""
        sources:
          mine:
            driver: bluesky-jsonl-catalog
            args: {{paths: "{tmp_path}/*.jsonl", fsync: never}}
        """)
    )
    assert intake.open_catalog(str(tmp_path / "own.yml"))["mine"]._fsync == "never"


@pytest.mark.parametrize("kind", KINDS)
def test_events_of_a_run_engine_that_went_back_are_all_recorded(kind, tmp_path):
    bluesky = pytest.importorskip("bluesky", reason="bluesky is not installed")
    from bluesky import plan_stubs as bps
    from bluesky.utils import RunEngineInterrupted
    from ophyd.sim import det

    was_paused = []

    def plan():
        yield from bps.open_run()
        yield from bps.checkpoint()
        for _ in range(3):
            yield from bps.trigger_and_read([det])
        if not was_paused:
            was_paused.append(True)
            yield from bps.pause()
        yield from bps.trigger_and_read([det])
        yield from bps.close_run()

    catalog = KINDS[kind](f"{tmp_path}/*.{kind}")
    engine = bluesky.RunEngine({}, context_managers=[])
    emitted = []
    engine.subscribe(lambda name, doc: emitted.append((name, doc)))
    engine.subscribe(catalog.insert)
    with pytest.raises(RunEngineInterrupted):
        engine(plan())
    engine.resume()
    events = [doc for name, doc in emitted if name == "event"]
    assert [doc["seq_num"] for doc in events] == [1, 2, 3, 1, 2, 3, 4]
    for name, doc in emitted:  # and once more: none of them is new
        catalog.insert(name, doc)
    source = catalog[-1].source
    (descriptor,) = source.get_event_descriptors()
    found = [event["uid"] for page in source.get_event_pages(descriptor["uid"]) for event in unpack_event_page(page)]
    assert found == [doc["uid"] for doc in events]
    assert catalog[-1].metadata["stop"]["num_events"] == {"primary": 4}
    assert len(catalog[-1].primary.read()["time"]) == 7
    catalog.close()
