"""The real RunEngine records into our catalogs, and every document comes back as it went in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bluesky.plans as bp
import numpy as np
import pytest
from bluesky.preprocessors import baseline_wrapper
from event_model import NumpyEncoder, unpack_datum_page, unpack_event_page
from ophyd.sim import SynAxis, SynGauss

from databroker_like import v2
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog

CATALOGS = {
    "jsonl": lambda folder: BlueskyJSONLCatalog(str(folder / "*.jsonl")),
    "msgpack": lambda folder: BlueskyMsgpackCatalog(str(folder / "*.msgpack")),
    "temp": lambda folder: v2.temp(),
}


@pytest.fixture(params=CATALOGS)
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    folder = tmp_path / "recorded"
    folder.mkdir()
    return CATALOGS[request.param](folder)


def one_by_one(documents: Any) -> dict[str, list[dict[str, Any]]]:
    """Documents by kind, pages taken apart, as JSON has them; in the order of time where they have one."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, doc in documents:
        plain = json.loads(json.dumps(dict(doc), cls=NumpyEncoder))
        singles = [plain]
        if name == "event_page":
            name, singles = "event", list(unpack_event_page(plain))
        elif name == "datum_page":
            name, singles = "datum", list(unpack_datum_page(plain))
        found.setdefault(name, []).extend(singles)
    for name, docs in found.items():
        docs.sort(key=lambda d: str(d.get("time", d.get("datum_id"))))
        found[name] = docs
    return found


def scan(npts: int = 5) -> Any:
    motor = SynAxis(name="motor", labels={"motors"})
    det = SynGauss("det", motor, "motor", center=0, Imax=1, sigma=1)
    return baseline_wrapper(bp.scan([det], motor, -1, 1, npts, md={"purpose": "alignment"}), [motor])


def test_a_scan_comes_back_document_by_document(engine: Any, documents: Any, catalog: Any) -> None:
    engine.subscribe(catalog.insert)
    (uid,) = engine(scan())
    run = catalog[uid]
    assert list(run) == ["baseline", "primary"]
    assert one_by_one(run.documents(fill="no")) == one_by_one(documents)


def test_a_scan_comes_back_as_a_table(engine: Any, documents: Any, catalog: Any) -> None:
    engine.subscribe(catalog.insert)
    engine(scan())
    data = catalog[-1].primary.read()
    primary = next(d["uid"] for n, d in documents if n == "descriptor" and d["name"] == "primary")
    events = [doc for name, doc in documents if name == "event" and doc["descriptor"] == primary]
    assert data["motor"].values.tolist() == [event["data"]["motor"] for event in events]
    assert data["det"].values.tolist() == [event["data"]["det"] for event in events]
    assert data["time"].values.tolist() == [event["time"] for event in events]
    assert data["det"].attrs["object"] == "det"


def test_images_come_back_filled(engine: Any, documents: Any, catalog: Any, img: Any) -> None:
    engine.subscribe(catalog.insert)
    (uid,) = engine(bp.count([img], num=3))
    expected = np.array([np.arange(6).reshape(2, 3) + 10 * i for i in range(3)])
    frames = catalog[uid].primary.read()["img"]
    offset = int(frames.values[0, 0, 0])  # what the device measured before the run, to describe itself
    np.testing.assert_array_equal(frames.values, expected + offset)
    pages = [doc for name, doc in catalog[uid].documents(fill="yes") if name == "event_page"]
    np.testing.assert_array_equal(np.array([page["data"]["img"][0] for page in pages]), frames.values)
    assert one_by_one(catalog[uid].documents(fill="no")) == one_by_one(documents)


def test_a_run_is_read_while_it_goes_on(engine: Any, catalog: Any) -> None:
    seen: list[int] = []

    def look(name: str, doc: Any) -> None:
        catalog.insert(name, doc)
        if name == "event":
            seen.append(catalog[-1].primary.read().sizes["time"])

    engine.subscribe(look)
    motor = SynAxis(name="motor")
    engine(bp.scan([motor], motor, 0, 1, 4))
    assert seen == [1, 2, 3, 4]


def test_runs_of_one_engine_are_found_by_what_they_are(engine: Any, catalog: Any) -> None:
    engine.subscribe(catalog.insert)
    (first,) = engine(scan(2))
    motor = SynAxis(name="motor")
    (second,) = engine(bp.count([motor], num=1))
    assert catalog[1].metadata["start"]["uid"] == first
    assert catalog[-1].metadata["start"]["uid"] == second
    assert list(catalog.search({"plan_name": "count"})) == [second]
    assert list(catalog.search({"purpose": "alignment"})) == [first]
