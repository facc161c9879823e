"""Catalogs of every kind to copy from and into, and runs of every kind to move."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mongomock
import pytest

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.mongo_normalized import BlueskyMongoCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.testing import _runs

Documents = list[tuple[str, dict[str, Any]]]


def catalog_of(kind: str, folder: Path, **kwargs: Any) -> Any:
    """An empty catalog of a kind, or the one that is in the folder."""
    if kind == "in_memory":
        return BlueskyInMemoryCatalog(**kwargs)
    if kind == "embedded":
        return BlueskyEmbeddedCatalog(folder, **kwargs)
    if kind == "mongo_normalized":
        client = mongomock.MongoClient()
        return BlueskyMongoCatalog(client["metadatastore"], client["assets"], **kwargs)
    suffix, cls = {
        "jsonl": (".jsonl", BlueskyJSONLCatalog),
        "msgpack": (".msgpack", BlueskyMsgpackCatalog),
    }[kind]
    return cls(str(folder / f"*{suffix}"), **kwargs)


@pytest.fixture
def make_catalog(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes empty catalogs, each in a folder of its own; closes them in the end."""
    numbers = itertools.count()
    made: list[Any] = []

    def make(kind: str = "in_memory", **kwargs: Any) -> Any:
        made.append(catalog_of(kind, tmp_path / f"catalog_{next(numbers)}", **kwargs))
        return made[-1]

    yield make
    for catalog in made:
        catalog.close()


@pytest.fixture
def record() -> Callable[..., Any]:
    """Records documents into a catalog, and returns it."""

    def record(catalog: Any, *runs: Documents) -> Any:
        for documents in runs:
            for name, doc in documents:
                catalog.insert(name, doc)
        return catalog

    return record


@pytest.fixture
def samples() -> list[Documents]:
    """One run of each kind, of a time of its own."""
    made = [make(time=1.7e9 + 1000 * i, scan_id=i + 1) for i, make in enumerate(_runs.SAMPLES.values())]
    return [*made, _runs.stream_external("/data/camera", time=1.8e9, scan_id=99)]


@pytest.fixture
def said() -> Callable[[Any], dict[str, Any]]:
    """What each document of a catalog says, as it was recorded: (run, kind, uid) -> digest."""
    from databroker_like.transfer._counts import digests
    from databroker_like.transfer._recorded import Recorded, recorded_in

    def said(catalog: Any) -> dict[str, Any]:
        found = {}
        for uid in catalog:
            for (kind, identity), digest in digests(Recorded(recorded_in(catalog, uid)).documents()):
                found[f"{uid} {kind} {identity}"] = digest
        return found

    return said
