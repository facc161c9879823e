"""The catalogs of MongoDB keep the contract, on mongomock and on a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import event_model
import pytest
from suitcase.mongo_embedded import Serializer as EmbeddedSerializer
from suitcase.mongo_normalized import Serializer as NormalizedSerializer

from databroker_like.core._pages import unpack_event_page
from databroker_like.drivers._mongo_server import MongoServer
from databroker_like.drivers.mongo_embedded import BlueskyMongoCatalog as EmbeddedCatalog
from databroker_like.drivers.mongo_normalized import BlueskyMongoCatalog as NormalizedCatalog
from databroker_like.testing import DriverContract
from databroker_like.testing import _runs as samples
from databroker_like.v2 import Broker

Documents = list[tuple[str, dict[str, Any]]]


class _Mongo(DriverContract):
    new_database: Callable[[], str]

    def uris(self) -> tuple[str, ...]:
        raise NotImplementedError

    def write(self, uris: tuple[str, ...], run: Documents) -> None:
        raise NotImplementedError

    def catalog(self, uris: tuple[str, ...]) -> Broker:
        raise NotImplementedError

    def make_catalog(self, folder: Path, runs: Iterable[Documents]) -> Broker:
        uris = self.uris()
        for run in runs:
            self.write(uris, run)
        catalog = self.catalog(uris)
        catalog.metadata["uris"] = uris
        return catalog

    def add_run(self, catalog: Broker, folder: Path, run: Documents) -> None:
        self.write(catalog.metadata["uris"], run)


class _Normalized(_Mongo):
    records = True

    def uris(self) -> tuple[str, ...]:
        return self.new_database(), self.new_database()

    def catalog(self, uris: tuple[str, ...]) -> Broker:
        return NormalizedCatalog(*uris)

    def write(self, uris: tuple[str, ...], run: Documents) -> None:
        metadata, assets = (MongoServer(uri).database for uri in uris)
        serializer = NormalizedSerializer(metadata, assets)
        for name, doc in run:
            if name.startswith("stream_"):  # which suitcase-mongo does not know
                assets[name].insert_one(dict(doc))
            else:
                serializer(name, doc)


class _Embedded(_Mongo):
    def uris(self) -> tuple[str, ...]:
        return (self.new_database(),)

    def catalog(self, uris: tuple[str, ...]) -> Broker:
        return EmbeddedCatalog(*uris)

    def write(self, uris: tuple[str, ...], run: Documents) -> None:
        embed(MongoServer(uris[0]).database, run)


class TestNormalizedOnMongomock(_Normalized):
    @pytest.fixture(autouse=True)
    def _on(self, mongo_mock: Callable[[], str]) -> None:
        self.new_database = mongo_mock


class TestNormalizedOnAServer(_Normalized):
    @pytest.fixture(autouse=True)
    def _on(self, mongo_server: Callable[[], str]) -> None:
        self.new_database = mongo_server


class TestEmbeddedOnMongomock(_Embedded):
    @pytest.fixture(autouse=True)
    def _on(self, mongo_mock: Callable[[], str]) -> None:
        self.new_database = mongo_mock


class TestEmbeddedOnAServer(_Embedded):
    @pytest.fixture(autouse=True)
    def _on(self, mongo_server: Callable[[], str]) -> None:
        self.new_database = mongo_server


# -- the embedded layout, written quickly; a test below compares it with what suitcase-mongo writes


def embed(database: Any, run: Documents, rows: int = 3) -> None:
    """One run in the embedded layout, in pages of a few rows."""
    fields = {"start": "start", "stop": "stop", "descriptor": "descriptors", "resource": "resources"}
    start = run[0][1]
    header: dict[str, Any] = {"run_id": start["uid"], "event_count": 0, "datum_count": 0}
    pages: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for name, doc in run:
        if name in fields:
            header.setdefault(fields[name], []).append(dict(doc))
        elif name.startswith("stream_"):
            database[name].insert_one(dict(doc))
        elif name in ("event", "event_page"):
            found = [doc] if name == "event" else list(unpack_event_page(doc))
            pages.setdefault(("event", "descriptor", doc["descriptor"]), []).extend(found)
        else:
            found = [doc] if name == "datum" else list(event_model.unpack_datum_page(doc))
            pages.setdefault(("datum", "resource", doc["resource"]), []).extend(found)
    for (kind, owner, uid), docs in pages.items():
        header[f"{kind}_count"] += len(docs)
        for begin in range(0, len(docs), rows):
            some = docs[begin : begin + rows]
            database[kind].insert_one(
                {owner: uid, **_page(some), "size": 1, "first_index": begin, "last_index": begin + len(some) - 1}
            )
    database["header"].insert_one(header)


def _page(docs: list[dict[str, Any]]) -> dict[str, Any]:
    page: dict[str, Any] = {}
    for key in ("uid", "time", "seq_num", "datum_id"):
        if key in docs[0]:
            page[key] = [doc[key] for doc in docs]
    for group in ("data", "timestamps", "filled", "datum_kwargs"):
        for key in sorted(docs[0].get(group, {})):  # as a server pushes them
            page.setdefault(group, {})[key] = [doc[group][key] for doc in docs]
    return page


@pytest.fixture
def embedded_serializer(mongo: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """suitcase-mongo's serializer; on mongomock without the indexes and the one argument that mongomock has not."""
    from mongomock.collection import BulkOperationBuilder

    add_update = BulkOperationBuilder.add_update

    def without_sort(self: Any, *args: Any, sort: Any = None, **kwargs: Any) -> Any:
        return add_update(self, *args, **kwargs)

    monkeypatch.setattr(BulkOperationBuilder, "add_update", without_sort)

    def make(server: MongoServer) -> Any:
        if server.is_mongomock:
            monkeypatch.setattr(EmbeddedSerializer, "_create_indexes", lambda self: None)
        return EmbeddedSerializer(server.database)

    return make


@pytest.mark.parametrize("kind", ["scalars", "several_streams", "external"])
def test_the_quick_writer_writes_what_suitcase_mongo_writes(kind, mongo, embedded_serializer, tmp_path):
    run = samples.external(tmp_path) if kind == "external" else samples.SAMPLES[kind]()
    theirs, ours = MongoServer(mongo()), MongoServer(mongo())
    serializer = embedded_serializer(theirs)
    for name, doc in run:
        serializer(name, doc)
    embed(ours.database, run, rows=1000)

    def content(server: MongoServer) -> dict[str, Any]:
        return {
            name: sorted(
                (
                    {k: v for k, v in doc.items() if k not in ("_id", "size") and not k.startswith("count_")}
                    for doc in server.collection(name).find()
                ),
                key=lambda doc: str(doc.get("descriptor", "")),
            )
            for name in ("header", "event", "datum")
        }

    assert content(theirs) == content(ours)


# -- recorded runs, written by suitcase-mongo


def _recorded(shared_data: Path) -> list[Documents]:
    import json

    found = []
    for file in sorted([*shared_data.glob("edge-scans-jsonl/*.jsonl"), *shared_data.glob("beamline-json/*.json")]):
        text = file.read_text()
        pairs = json.loads(text) if file.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
        found.append([(name, doc) for name, doc in pairs])
    return found


def test_recorded_runs_written_by_suitcase_mongo_come_out_to_the_letter(mongo, shared_data):
    contract = _Normalized()
    contract.new_database = mongo
    runs = _recorded(shared_data)
    catalog = contract.make_catalog(Path(), runs)
    assert len(catalog) == len(runs) > 5
    for run in runs:
        contract._assert_holds(catalog, run)


def test_recorded_runs_that_were_inserted_come_out_to_the_letter(mongo, shared_data):
    contract = _Normalized()
    contract.new_database = mongo
    catalog = contract.make_catalog(Path(), [])
    for run in _recorded(shared_data):
        for name, doc in run:
            catalog.insert(name, doc)
        contract._assert_holds(catalog, run)
    catalog.close()


def test_recorded_runs_in_the_embedded_layout_come_out_to_the_letter(mongo, shared_data, embedded_serializer):
    contract = _Embedded()
    contract.new_database = mongo
    catalog = contract.make_catalog(Path(), [])
    server = MongoServer(catalog.metadata["uris"][0])
    for run in _recorded(shared_data):
        serializer = embedded_serializer(server)
        for name, doc in run:
            serializer(name, doc)
        serializer.close()
        contract._assert_holds(catalog, _as_described(run))


def _as_described(run: Documents) -> Documents:
    """The keys of events in the order of their descriptors: a page is pushed by key, and that order is all there is."""
    keys = {doc["uid"]: list(doc["data_keys"]) for name, doc in run if name == "descriptor"}
    return [
        (
            name,
            {
                **doc,
                **{
                    group: {key: doc[group][key] for key in keys[doc["descriptor"]] if key in doc[group]}
                    for group in ("data", "timestamps", "filled")
                },
            }
            if name.startswith("event")
            else doc,
        )
        for name, doc in run
    ]
