"""Notebooks of version 1: the real RunEngine records through ``db.insert``, and what was recorded is worked with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bluesky.plans as bp
import intake
import numpy as np
import pandas as pd
import pytest
from bluesky.callbacks import CallbackCounter
from bluesky.preprocessors import baseline_wrapper
from event_model import RunRouter, unpack_event_page
from ophyd.sim import SynAxis, SynGauss

from databroker_like import ALL, Broker, Header, temp
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like_handlers.npy import NumpySeqHandler

BROKERS = {
    "temp": lambda folder: temp(),
    "named": lambda folder: Broker.named("temp"),
    "jsonl": lambda folder: BlueskyJSONLCatalog(str(folder / "*.jsonl")).v1,
    "in_memory": lambda folder: BlueskyInMemoryCatalog().v1,
    "embedded": lambda folder: BlueskyEmbeddedCatalog(str(folder / "store")).v1,
}


@pytest.fixture(params=BROKERS)
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made = BROKERS[request.param](tmp_path)
    yield made
    made.v2.close()


def scan(npts: int = 5, **md: Any) -> Any:
    motor = SynAxis(name="motor", labels={"motors"})
    det = SynGauss("det", motor, "motor", center=0, Imax=1, sigma=1)
    return baseline_wrapper(bp.scan([det], motor, -1, 1, npts, md=md), [motor])


def test_a_notebook_of_old(engine: Any, documents: Any, db: Any) -> None:
    engine.subscribe(db.insert)
    (uid,) = engine(scan(purpose="alignment"))
    header = db[-1]
    assert isinstance(header, Header)
    assert header.uid == header.start["uid"] == header.start.uid == uid
    assert header.stop["exit_status"] == "success"
    table = header.table()
    assert list(table.index) == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(table["motor"], np.linspace(-1, 1, 5))
    emitted = [doc for name, page in documents if name == "event_page" for doc in unpack_event_page(page)]
    emitted += [doc for name, doc in documents if name == "event"]
    primary = next(doc["uid"] for name, doc in documents if name == "descriptor" and doc["name"] == "primary")
    assert list(table["det"]) == [doc["data"]["det"] for doc in emitted if doc["descriptor"] == primary]
    assert set(header.stream_names) == {"primary", "baseline"}
    assert len(header.table("baseline")) == 2
    assert header.devices() == {"det", "motor"}
    assert header.config_data("det")["primary"][0]["det_sigma"] == 1
    assert len(header.table(ALL)) == 7
    assert [h.uid for h in db(purpose="alignment", since=header.start["time"])] == [uid]
    assert [h.uid for h in db(data_key="det")] == [uid]


def test_documents_run_through_callbacks_as_they_did_live(engine: Any, db: Any) -> None:
    live, again = CallbackCounter(), CallbackCounter()
    engine.subscribe(db.insert)
    engine.subscribe(live)
    engine(scan(3))
    db.process(db[-1], again)
    assert again.value == live.value
    routed: list[str] = []
    router = RunRouter([lambda name, doc: ([lambda name, doc: routed.append(name)], [])])
    for name, doc in db.restream(db[-1:]):
        router(name, doc)
    assert routed[0] == "start"
    assert routed[-1] == "stop"
    assert len(routed) == live.value


def test_a_run_that_goes_on_is_seen_at_once(engine: Any, db: Any) -> None:
    seen: list[Any] = []

    def look(name: str, doc: Any) -> None:
        if name in ("event", "event_page"):
            seen.append((len(db[-1].table("primary")), bool(db[-1].stop)))

    engine.subscribe(db.insert)
    engine.subscribe(look)
    engine(bp.count([SynGauss("det", SynAxis(name="motor"), "motor", center=0, Imax=1)], num=3))
    assert seen == [(1, False), (2, False), (3, False)]
    assert len(db[-1].table()) == 3
    assert db[-1].stop["num_events"] == {"primary": 3}


def test_images_are_recorded_exported_and_read(engine: Any, img: Any, tmp_path: Path) -> None:
    here = BlueskyInMemoryCatalog(handler_registry={"NPY_SEQ": NumpySeqHandler}).v1
    there = BlueskyJSONLCatalog(str(tmp_path / "*.jsonl"), handler_registry={"NPY_SEQ": NumpySeqHandler}).v1
    engine.subscribe(here.insert)
    (uid,) = engine(bp.count([img], num=3))
    frames = here.get_images(here[-1], "img")
    assert [frame.tolist() for frame in frames] == [value.tolist() for value in here[uid].data("img")]
    assert here.export_size(here()) > 0
    pairs = here.export(here(), there, new_root=tmp_path / "new")
    assert len(pairs) == 3
    there.v2.close()
    assert [frame.tolist() for frame in there.get_images(there[-1], "img")] == [frame.tolist() for frame in frames]
    assert there[-1].table(fill=True)["img"].iloc[2].shape == (2, 3)


def test_a_serializer_of_ones_own_is_called(engine: Any) -> None:
    told: list[str] = []
    db = Broker(BlueskyInMemoryCatalog(), serializer=lambda name, doc: told.append(name))
    engine.subscribe(db.insert)
    engine(scan(2))
    assert told[0] == "start"
    assert told[-1] == "stop"
    assert len(db.v2) == 0


@pytest.mark.parametrize("stream", ["primary", "baseline"])
def test_a_table_is_what_the_persons_own_export_of_it_says(shared_data: Path, stream: str) -> None:
    folder = shared_data / "absorption-pack"
    catalogs = intake.open_catalog(str(folder / "catalog.yml"))
    table = catalogs[next(iter(catalogs))].v1[-1].table(stream, convert_times=False, localize_times=False)
    exported = pd.read_csv(folder / "export" / f"scan_1049_{stream}.csv")
    numbers = [name for name in table if table[name].dtype.kind in "fi"]
    shared = [name for name in numbers if name in exported and exported[name].dtype.kind in "fi"]
    assert len(shared) > 5
    assert "time" in shared
    assert list(table.index) == list(exported["seq_num"])
    for name in shared:
        np.testing.assert_allclose(table[name].astype(float), exported[name], rtol=1e-9)


def test_runs_of_real_beamlines_have_as_many_rows_as_events(shared_data: Path) -> None:
    db = BlueskyJSONLCatalog(str(shared_data / "edge-scans-jsonl" / "*.jsonl")).v1
    headers = list(db())
    assert [header.uid for header in headers] == [header.uid for header in db[-len(headers) :]]
    assert len(headers) == 9
    for header in headers:
        assert header.stream_names
        for stream in header.stream_names:
            table, events = header.table(stream), list(header.events(stream))
            assert len(table) == len(events) == header.stop["num_events"][stream]
            for key in header.fields(stream) & set(table):
                expected = [event["data"][key] for event in sorted(events, key=lambda event: event["time"])]
                np.testing.assert_equal(list(table[key]), expected)
