"""Brokers of several kinds, to be filled with runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mongomock
import pytest
import tzlocal

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.mongo_normalized import BlueskyMongoCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.testing import _runs as samples


def _databases() -> tuple[Any, Any]:
    client = mongomock.MongoClient()
    return client["metadatastore"], client["assets"]


KINDS: dict[str, Callable[[Path], Any]] = {
    "in_memory": lambda folder: BlueskyInMemoryCatalog(name="kept"),
    "jsonl": lambda folder: BlueskyJSONLCatalog(str(folder / "*.jsonl"), name="kept"),
    "msgpack": lambda folder: BlueskyMsgpackCatalog(str(folder / "*.msgpack"), name="kept"),
    "embedded": lambda folder: BlueskyEmbeddedCatalog(str(folder), name="kept"),
    "mongo": lambda folder: BlueskyMongoCatalog(*_databases(), name="kept"),
}


@pytest.fixture(params=KINDS)
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A Broker without a run, of each kind that records."""
    folder = tmp_path / "runs"
    folder.mkdir()
    catalog = KINDS[request.param](folder)
    yield catalog.v1
    catalog.close()


@pytest.fixture
def one() -> Any:
    """A Broker without a run."""
    return BlueskyInMemoryCatalog(name="kept").v1


def put(db: Any, *runs: list[tuple[str, Any]]) -> None:
    """Record runs."""
    for run in runs:
        for name, doc in run:
            db.insert(name, doc)


def three() -> list[list[tuple[str, Any]]]:
    """Three runs, handed over neither in order of time nor of uid."""
    return [
        samples.scalars(uid="bbbb2222-1", time=2000.0, scan_id=2, plan_name="count", sample={"name": "gold"}),
        samples.arrays(uid="aaaa3333-1", time=3000.0, scan_id=1, plan_name="scan", sample={"name": "iron"}),
        samples.scalars(uid="bbbb1111-1", time=1000.0, scan_id=0, plan_name="scan", notes="gold leaf"),
    ]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the clock of this computer to a time zone."""

    def set_to(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        tzlocal.reload_localzone()

    yield set_to
    monkeypatch.undo()
    time.tzset()
    tzlocal.reload_localzone()
