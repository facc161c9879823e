"""The contract runs over the embedded store: in one folder, and however its runs came into it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.store._recording import StoreSink
from databroker_like.testing import DriverContract
from databroker_like.v2 import Broker

Documents = list[tuple[str, dict[str, Any]]]


def record(catalog: BlueskyEmbeddedCatalog, run: Documents) -> None:
    """Whatever the documents are: the contract has some that no schema allows."""
    with contextlib.closing(StoreSink(catalog.store, checked=False)) as sink:
        for name, doc in run:
            sink.insert(name, doc)


class TestEmbedded(DriverContract):
    records = True

    def make_catalog(self, folder: Path, runs: Iterable[Documents]) -> Broker:
        catalog = BlueskyEmbeddedCatalog(folder)
        for run in runs:
            record(catalog, run)
        return catalog

    def add_run(self, catalog: Broker, folder: Path, run: Documents) -> None:
        another = BlueskyEmbeddedCatalog(folder)
        record(another, run)
        another.close()


class TestEmbeddedInPages(TestEmbedded):
    """The same runs, with their events and datums handed over as pages of one document each."""

    def make_catalog(self, folder: Path, runs: Iterable[Documents]) -> Broker:
        return super().make_catalog(folder, [list(map(_as_page, run)) for run in runs])


def _as_page(pair: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    name, doc = pair
    if name == "event":
        page = {"descriptor": doc["descriptor"], **{key: [doc[key]] for key in ("uid", "time", "seq_num")}}
        for key in ("data", "timestamps", "filled"):
            if key in doc:
                page[key] = {column: [value] for column, value in doc[key].items()}
        return "event_page", page
    if name == "datum":
        kwargs = {key: [value] for key, value in doc["datum_kwargs"].items()}
        return "datum_page", {"resource": doc["resource"], "datum_id": [doc["datum_id"]], "datum_kwargs": kwargs}
    return pair


def test_a_store_in_a_catalog_file_opens_with_open_catalog(tmp_path: Path) -> None:
    import databroker_like
    from databroker_like.testing import _runs as samples

    folder = tmp_path / "store"
    catalog = BlueskyEmbeddedCatalog(folder)
    record(catalog, samples.scalars(uid="41fb8ca9-1"))
    catalog.close()
    source = {"driver": "bluesky-embedded-catalog", "args": {"path": "{{ CATALOG_DIR }}/store"}}
    (tmp_path / "catalog.yml").write_text(json.dumps({"sources": {"lab": source}}))
    found = databroker_like.open_catalog(tmp_path / "catalog.yml").lab
    assert list(found) == ["41fb8ca9-1"]
    found.close()
