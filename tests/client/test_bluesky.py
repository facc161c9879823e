"""Runs and catalogs of runs among the nodes of a service."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import h5py
import pytest
from event_model import compose_run

from databroker_like import queries as q
from databroker_like.client import Context, from_context
from databroker_like.client.array import ArrayClient
from databroker_like.client.bluesky import BlueskyEventStream, BlueskyRun, CatalogOfBlueskyRuns
from databroker_like.client.container import Container
from databroker_like.client.remote import BlueskyRemoteCatalog
from databroker_like.core import RemoteBlueskyRun
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.errors import AmbiguousKey, Invalid, NoSuchRun, NotFound, WrongType
from databroker_like.nodes import MapNode
from databroker_like.nodes.runs import RunsNode
from databroker_like.testing import _runs as samples
from databroker_like.tree import build_app
from tests.client.remote_runs import assert_same


@pytest.fixture(scope="module")
def here() -> BlueskyInMemoryCatalog:
    catalog = BlueskyInMemoryCatalog()
    for number in range(4):
        documents = samples.scalars(2, uid=f"abc{number}", time=1000.0 + number, scan_id=number % 3)
        for name, doc in documents:
            catalog.v1.insert(name, doc)
    return catalog


@pytest.fixture(scope="module")
def runs(here: BlueskyInMemoryCatalog) -> Iterator[Any]:
    with Context.from_app(build_app(MapNode({"raw": RunsNode(here)}), api_key="secret"), api_key="secret") as context:
        yield from_context(context)["raw"]


def test_they_are_opened_as_what_they_are(runs: Any) -> None:
    assert type(runs) is CatalogOfBlueskyRuns
    assert isinstance(runs, Container)
    assert type(runs["abc1"]) is type(runs.values().first()) is BlueskyRun
    assert list(runs) == ["abc0", "abc1", "abc2", "abc3"]
    assert runs["abc1", "primary", "internal"].columns[:2] == ["seq_num", "time"]
    assert runs["abc1/primary/internal"].uri.endswith("/raw/abc1/primary/internal")


@pytest.mark.parametrize(("key", "uid"), [(-1, "abc3"), (-4, "abc0"), (0, "abc3"), (2, "abc2"), ("abc2", "abc2")])
def test_runs_are_looked_up_as_in_a_catalog(runs: Any, here: Any, key: Any, uid: str) -> None:
    assert runs[key].start["uid"] == here[key].metadata["start"]["uid"] == uid


def test_part_of_a_uid_will_do_where_it_is_enough(runs: Any) -> None:
    found = runs.search(q.Key("start.scan_id") == 1)
    assert found["ab"].start["uid"] == "abc1"
    with pytest.raises(AmbiguousKey, match="abc0"):
        runs["ab"]
    for nothing in ("x", "%", "abc0/nothing"):
        with pytest.raises(NotFound):
            runs[nothing]
    with pytest.raises(NoSuchRun, match="99"):
        runs[99]
    with pytest.raises(WrongType):
        runs[2.5]


def test_a_run_has_its_documents_and_its_datasets(runs: Any, here: Any) -> None:
    run, expected = runs["abc1"], here["abc1"]
    assert_same(
        [(name, dict(doc)) for name, doc in run.documents()], [(n, dict(d)) for n, d in expected.documents(fill="no")]
    )
    assert (dict(run.start), dict(run.stop)) == (expected.metadata["start"], expected.metadata["stop"])
    assert run.streams == list(run) == ["primary"]
    assert isinstance(run.run, RemoteBlueskyRun)
    assert run.run["primary"].read().identical(expected["primary"].read())


def test_a_stream_is_read_along_the_times_of_its_events(runs: Any, here: Any) -> None:
    stream, expected = runs["abc1", "primary"], here["abc1"]["primary"].read()
    assert type(stream) is BlueskyEventStream
    found = stream.read()
    assert {found[name].dims for name in found} == {("time",)}
    assert list(found.coords) == ["time"]
    for name in expected.variables:
        assert found[name].values.tolist() == expected[name].values.tolist()


def test_a_container_of_runs_is_a_catalog(runs: Any, here: Any) -> None:
    catalog = runs.runs
    assert isinstance(catalog, BlueskyRemoteCatalog)
    assert list(catalog.search({"scan_id": 0})) == list(here.search({"scan_id": 0}))
    with pytest.raises(Invalid, match="results of a search"):
        assert runs.search(q.FullText("scan")).runs


def test_a_stream_that_grows_with_every_request_is_read_as_it_was_at_one_moment() -> None:
    here, run = BlueskyInMemoryCatalog(), compose_run()
    keys = {
        "x": {"source": "s", "dtype": "number", "shape": []},
        "image": {"source": "s", "dtype": "array", "shape": [4, 5]},
    }
    here.insert("start", run.start_doc)
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    here.insert("descriptor", stream.descriptor_doc)
    count = 0

    def record() -> None:
        nonlocal count
        data = {"x": count, "image": [[count] * 5] * 4}
        here.insert("event", stream.compose_event(data=data, timestamps=dict.fromkeys(data, 0.0)))
        count += 1

    record()
    with Context.from_app(build_app(RunsNode(here), public=True)) as context:
        primary = from_context(context)[run.start_doc["uid"], "primary"]
        ask = context.session._once

        def once(*args: Any) -> Any:
            record()
            return ask(*args)

        context.session._once = once
        for _ in range(2):
            before = count
            found = primary.read()
            assert before < len(found["x"]) <= count
            assert type(primary["image"]) is ArrayClient
            assert found["x"].dims == ("time",)
            assert found["image"].dims[0] == "time"
            assert found["x"].values.tolist() == found["image"].values[:, 0, 0].tolist() == list(range(len(found["x"])))
        context.session._once = ask
        here.insert("stop", run.compose_stop())
        assert len(primary.read()["image"]) == count


def test_columns_of_a_stream_are_exported_by_their_names(runs: Any) -> None:
    primary = runs["abc1", "primary"]
    assert "motor" in list(primary)
    into = io.BytesIO()
    primary.export(into, ["motor", "time"], format="h5")
    with h5py.File(into) as file:
        assert sorted(file) == ["motor", "time"]
        assert file["motor"][:].tolist() == primary["motor"].read().tolist()
    with pytest.raises(NotFound, match="'moto'"):
        primary.export(io.BytesIO(), ["moto"], format="h5")
    with pytest.raises(NotFound, match="'motor'"):
        runs["abc1"].export(io.BytesIO(), ["motor"], format="h5")
