"""What every kind of catalog refuses to record, in the same words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mongomock
import numpy as np
import pytest

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.mongo_normalized import BlueskyMongoCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.errors import InvalidDocument, InvalidQuery
from databroker_like.testing import _runs as samples

KINDS = ["in_memory", "jsonl", "msgpack", "store", "mongo"]


def _make(kind: str, folder: Path) -> Any:
    if kind == "mongo":
        client: Any = mongomock.MongoClient()
        return BlueskyMongoCatalog(client["metadatastore"], client["assets"])
    if kind == "in_memory":
        return BlueskyInMemoryCatalog()
    if kind == "store":
        return BlueskyEmbeddedCatalog(folder / "store")
    return {"jsonl": BlueskyJSONLCatalog, "msgpack": BlueskyMsgpackCatalog}[kind](str(folder / f"*.{kind}"))


@pytest.fixture(params=KINDS)
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    made = _make(request.param, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("time", [float("nan"), float("inf"), np.float64("nan"), np.float32("-inf"), 10**400], ids=repr)
def test_a_run_that_begins_at_no_time(catalog: Any, time: Any) -> None:
    with pytest.raises(InvalidDocument, match=r"the start document 'a' is not valid at 'time': .* no time of a run"):
        catalog.insert("start", {"uid": "a", "time": time})
    assert list(catalog) == []


@pytest.mark.parametrize("doc", [None, [], "event", 5], ids=repr)
@pytest.mark.parametrize("name", ["start", "event"])
def test_what_is_no_document(catalog: Any, name: str, doc: Any) -> None:
    with pytest.raises(InvalidDocument, match=rf"the {name} document .* is no dictionary"):
        catalog.insert(name, doc)


@pytest.mark.parametrize("runs", [0, 2])
def test_a_resource_that_may_be_of_any_run(catalog: Any, runs: int) -> None:
    for number in range(runs):
        catalog.insert("start", {"uid": f"run{number}", "time": 1.0})
    resource = {"uid": "r", "spec": "X", "root": "/", "resource_path": "a", "resource_kwargs": {}}
    with pytest.raises(InvalidDocument, match=r"resource 'r' does not say its run \('run_start'\)"):
        catalog.insert("resource", resource)


def test_a_key_that_a_mongodb_has_of_its_own(tmp_path: Path) -> None:
    catalog = _make("mongo", tmp_path)
    with pytest.raises(InvalidDocument, match="cannot be kept in a MongoDB, which has a key '_id' of its own"):
        catalog.insert("start", {"uid": "a", "time": 1.0, "_id": 5})
    assert len(catalog) == 0


def test_a_data_key_called_time_leaves_the_others_readable(catalog: Any) -> None:
    """It is recorded, and cannot be a column beside the times of the events."""
    for name, doc in samples.scalars(uid="a"):
        if name == "descriptor":
            doc = {**doc, "data_keys": {**doc["data_keys"], "time": {"dtype": "number", "shape": [], "source": "s"}}}
        elif name == "event":
            doc = {**doc, "data": {**doc["data"], "time": 0.5}, "timestamps": {**doc["timestamps"], "time": 1.0}}
        catalog.insert(name, doc)
    stream = catalog["a"]["primary"]
    for read in (stream.read, lambda: stream.to_dask().compute()):
        with pytest.warns(UserWarning, match="the data key 'time' is left out"):
            data = read()
        assert len(set(data["time"].values.tolist())) == 5
        assert data["motor"].dims == ("time",)


@pytest.mark.parametrize("key", [5, "", None, ["plan_name"]], ids=repr)
def test_a_key_to_count_by_that_is_no_text(catalog: Any, key: Any) -> None:
    with pytest.raises(InvalidQuery, match="a key is a string, such as 'plan_name'"):
        catalog.distinct(key)
