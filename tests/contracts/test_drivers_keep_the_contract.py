"""The contract runs over every driver of our own, in every encoding it reads."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import event_model
import msgpack

from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.testing import DriverContract
from databroker_like.v2 import Broker

Documents = list[tuple[str, dict[str, Any]]]


def _as_json(doc: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(doc, cls=event_model.NumpyEncoder))


class _Files(DriverContract):
    catalog_class: type[Broker]
    suffix: str

    def encode(self, run: Documents) -> bytes:
        raise NotImplementedError

    def write(self, folder: Path, run: Documents) -> None:
        (folder / f"run-{run[0][1]['uid']}{self.suffix}").write_bytes(self.encode(run))

    def make_catalog(self, folder: Path, runs: Iterable[Documents]) -> Broker:
        for run in runs:
            self.write(folder, run)
        return self.catalog_class([str(folder / f"*{self.suffix}")])

    def add_run(self, catalog: Broker, folder: Path, run: Documents) -> None:
        self.write(folder, run)

    def as_kept(self, doc: Mapping[str, Any]) -> Any:
        return _as_json(doc)


class TestJSONLines(_Files):
    catalog_class = BlueskyJSONLCatalog
    suffix = ".jsonl"
    records = True

    def encode(self, run: Documents) -> bytes:
        return b"".join(json.dumps(pair, cls=event_model.NumpyEncoder).encode() + b"\n" for pair in run)


class TestGzippedJSONLines(TestJSONLines):
    suffix = ".jsonl.gz"
    records = False

    def encode(self, run: Documents) -> bytes:
        return gzip.compress(super().encode(run))


class TestJSONList(_Files):
    catalog_class = BlueskyJSONLCatalog
    suffix = ".json"

    def encode(self, run: Documents) -> bytes:
        return json.dumps(run, cls=event_model.NumpyEncoder, indent=2).encode()


class TestGzippedJSONList(TestJSONList):
    suffix = ".json.gz"

    def encode(self, run: Documents) -> bytes:
        return gzip.compress(super().encode(run))


class TestMsgpack(_Files):
    catalog_class = BlueskyMsgpackCatalog
    suffix = ".msgpack"
    records = True

    def encode(self, run: Documents) -> bytes:
        return b"".join(msgpack.packb(pair, default=_no_numpy) for pair in run)

    def as_kept(self, doc: Mapping[str, Any]) -> Any:
        return doc


def _no_numpy(value: Any) -> Any:
    raise TypeError(f"a document of the contract holds {value!r}")


class TestInMemory(DriverContract):
    records = True

    def make_catalog(self, folder: Path, runs: Iterable[Documents]) -> Broker:
        catalog = BlueskyInMemoryCatalog()
        for run in runs:
            self.add_run(catalog, folder, run)
        return catalog

    def add_run(self, catalog: Broker, folder: Path, run: Documents) -> None:
        assert isinstance(catalog, BlueskyInMemoryCatalog)
        stop = run[-1][1] if run[-1][0] == "stop" else None
        catalog.upsert(run[0][1], stop, iter, (run,), {})
