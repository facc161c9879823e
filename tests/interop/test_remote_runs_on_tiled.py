"""Runs that the real TiledWriter wrote into a real tiled server are the Datasets that they are here."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import orjson
import pytest

from databroker_like import queries as q
from databroker_like.client import Context, from_uri
from databroker_like.client._runs._server import server_at
from databroker_like.client.remote import BlueskyRemoteCatalog
from databroker_like.core import RemoteBlueskyRun
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.errors import NotOffered, OutOfRange
from databroker_like.nodes import MapNode
from databroker_like.nodes._remote_nodes import remote_node
from databroker_like.testing import _runs as samples
from databroker_like.tree import build_app
from tests.client.remote_runs import RECORDED, counting, read_quietly, recorded
from tests.interop.tiled_server import ROOT, clean_environment, tiled_python, tiled_server

pytestmark = [pytest.mark.peer, pytest.mark.slow]


def _plain(value: Any) -> Any:
    if hasattr(value, "items"):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


#: Runs that TiledWriter cannot write: columns whose names differ in case alone; a column of numbers of several kinds.
NOT_WRITTEN = {"befa48fc-3976-4812-8eee-688223770b46", "d77b2208-9d63-5cd8-91ff-baff81b8e7e7"}
#: Images of old resource documents that the server cannot read, or not as they are: TiledWriter says of them what the
#: descriptor declares, and not what the files hold.
NOT_READ = ["cam_image", "burst_image", "liar_image", "both_image", "area_image", "strange", "ns_image"]
#: And one that it reads as numbers of the type that is declared.
OTHER_DTYPE = ["img"]


@pytest.fixture(scope="module")
def here(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The catalogs of recorded runs; one with a stream of frames in a file; one of arrays and numbers."""
    found = {name: recorded(name, shared_data) for name in RECORDED}
    folder = tmp_path_factory.mktemp("frames")
    with h5py.File(folder / "images.h5", "w") as file:
        file["entry/data/data"] = np.arange(80, dtype="uint16").reshape(4, 4, 5)
    for name, documents in {
        "frames": samples.stream_external(str(folder), uid="frames"),
        "older": [*samples.arrays(uid="older-arrays", layout="older"), *samples.scalars(uid="older", layout="older")],
    }.items():
        found[name] = BlueskyInMemoryCatalog()
        for kind, doc in documents:
            found[name].v1.insert(kind, doc)
    return found


@pytest.fixture(scope="module")
def written(
    here: dict[str, Any], shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of the server, and the runs that TiledWriter could not write, with the reason."""
    place = tmp_path_factory.mktemp("tiled")
    data = place / "data"
    shutil.copytree(ROOT / "tests" / "data" / "external", data / "external")
    shutil.copytree(shared_data / "images-pack" / "external_files", data / "pack")
    with (place / "documents").open("w") as file:
        for catalog in here.values():
            for run in catalog.values():
                for name, doc in read_quietly(lambda run=run: list(run.documents(fill="no")))[0]:
                    file.write(json.dumps([name, _moved(name, _plain(doc), data)]) + "\n")
    with tiled_server(place, "catalog", "--temp", "--api-key", "secret", "--read", str(data)) as uri:
        script = [str(tiled_python()), str(ROOT / "scripts" / "peers" / "write_runs.py"), uri, "secret"]
        done = subprocess.run(
            [*script, str(place / "documents")],
            env={**clean_environment(), "TILED_RETRY_ATTEMPTS": "2"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        yield uri, json.loads(done.stdout.splitlines()[-1])


def _moved(name: str, doc: dict[str, Any], data: Path) -> dict[str, Any]:
    """A document whose files are where the server may read them."""
    if name == "stream_resource":
        target = data / "images.h5"
        shutil.copy(doc["uri"].removeprefix("file://localhost"), target)
        return {**doc, "uri": f"file://localhost{target}"}
    if name != "resource":
        return doc
    root = str(doc.get("root") or "")
    moved = data / "external" if root.startswith("/recorded/external") else data / "pack" / root
    return {**doc, "root": str(moved)}


@pytest.fixture
def there(written: tuple[str, dict[str, str]]) -> BlueskyRemoteCatalog:
    return BlueskyRemoteCatalog(f"{written[0]}/api/v1/metadata/runs", api_key="secret")


def test_what_the_writer_cannot_write_is_known(written: Any) -> None:
    assert set(written[1]) == NOT_WRITTEN


@pytest.mark.parametrize("name", [*RECORDED, "frames", "older"])
def test_the_datasets_are_those_that_they_are_here(name: str, here: Any, there: Any) -> None:
    compared = 0
    for uid, run in here[name].items():
        if uid in NOT_WRITTEN:
            continue
        assert sorted(there[uid]) == sorted(run)
        for stream in run:
            view = {"exclude": NOT_READ}
            expected, _ = read_quietly(run[stream].configure_new(**view).read)
            found, _ = read_quietly(there[uid][stream].configure_new(**view).read)
            assert set(found.variables) == set(expected.variables)
            for key, variable in expected.variables.items():
                other = found.variables[key]
                assert (other.dims, other.shape) == (variable.dims, variable.shape), key
                if key not in OTHER_DTYPE or name != "engine":
                    assert other.dtype == variable.dtype, key
                np.testing.assert_array_equal(other.values, variable.values)
                compared += 1
            lazy, _ = read_quietly(there[uid][stream].configure_new(**view).to_dask)
            assert lazy.compute().identical(found)
            for device in run[stream].config:
                expected, _ = read_quietly(run[stream].config[device].read)
                found, _ = read_quietly(there[uid][stream].config[device].read)
                assert set(found.variables) == set(expected.variables)
                assert all(np.array_equal(found[key].values, expected[key].values) for key in expected.variables)
    assert compared or name == "absorption"


@pytest.mark.parametrize(
    "search",
    [
        {},
        {"plan_name": "count"},
        {"scan_id": 1},
        {"detectors": "det"},
        {"$or": [{"plan_name": "scan"}, {"num_points": {"$gt": 3}}]},
        {"stop.exit_status": "success", "time": {"$gte": 1580000000.0}},
        {"num_points": {"$exists": False}},
        {"uid": {"$regex": "^26aac"}},
        q.TimeRange(since="2020-02-01", until="2025", timezone="UTC"),
        q.TextQuery("scan"),
    ],
    ids=repr,
)
def test_searches_find_what_they_find_here(search: Any, here: Any, there: Any) -> None:
    expected = {uid for catalog in here.values() for uid in catalog.search(search)} - NOT_WRITTEN
    found = there.search(search)
    assert set(found) - NOT_WRITTEN == expected
    assert len(found) == len(set(found))


def test_runs_are_looked_up_and_told_as_documents(there: Any, here: Any) -> None:
    everything = [run for catalog in here.values() for run in catalog.values()]
    newest = max(everything, key=lambda run: run.metadata["start"]["time"])
    assert there[-1].metadata["start"]["uid"] == newest.metadata["start"]["uid"]
    run = there["26aac"]
    assert run.metadata["stop"]["exit_status"] == "success"
    documents = list(run.documents(fill="no"))
    assert [name for name, _ in documents][:2] == ["start", "descriptor"]
    again = BlueskyRemoteCatalog(there.url, api_key="secret")[run.metadata["start"]["uid"]]
    assert [doc.get("uid") for _, doc in again.documents(fill="no")] == [doc.get("uid") for _, doc in documents]
    assert len(documents) == len(list(here["beamline"]["26aac"].documents(fill="no")))


@pytest.mark.parametrize(("name", "stream"), [("frames", "primary"), ("older", "primary"), ("beamline", "primary")])
def test_a_run_costs_two_requests_and_one_for_each_block(name: str, stream: str, here: Any, there: Any) -> None:
    for uid in here[name]:
        run = RemoteBlueskyRun(f"{there.collection.url(uid)}?api_key=secret")
        assert there.collection._server is server_at(there.url, api_key="secret")[0]
        with counting(there) as asked:
            read_quietly(run[stream].read)
        blocks = [url for url in asked if "/table/" in url or "/array/" in url]
        assert blocks
        assert len(asked) <= len(blocks) + 2, asked


def test_the_files_of_a_stream_are_told(here: Any, there: Any) -> None:
    documents = list(there["frames"].documents(fill="no"))
    recorded_ones = list(here["frames"]["frames"].documents(fill="no"))
    (resource,) = [doc for name, doc in documents if name == "stream_resource"]
    (other,) = [doc for name, doc in recorded_ones if name == "stream_resource"]
    assert Path(resource["uri"]).name == Path(other["uri"]).name
    assert (resource["mimetype"], resource["data_key"]) == (other["mimetype"], other["data_key"])
    counted = [doc["indices"]["stop"] for name, doc in documents if name == "stream_datum"]
    assert max(counted) == max(doc["indices"]["stop"] for name, doc in recorded_ones if name == "stream_datum")


def test_what_a_run_was_before_its_node_was_changed_is_not_offered(there: Any) -> None:
    run = there["older"]
    assert run.at_revision(0).metadata["start"] == run.metadata["start"]
    with pytest.raises(OutOfRange):
        run.at_revision(1)
    # Which says nothing of the start or the stop, so that other tests find them as they were.
    node = from_uri(there.collection.url("older"), api_key="secret")
    with node.context:
        node.update_metadata({"note": "looked at"})
        assert "note" not in node.metadata_revisions[0]["attributes"]["metadata"]
    with pytest.raises(NotOffered, match="metadata_revisions"):
        list(run.documents(fill="no", revision=0))
    assert run.revisions == []


def test_runs_that_are_handed_on_are_those_that_the_server_has(written: Any, there: Any) -> None:
    far = remote_node(f"{written[0]}/api/v1/metadata/runs?api_key=secret")
    with Context.from_app(build_app(MapNode({"far": far}), public=True)) as context:
        near = BlueskyRemoteCatalog("far", context=context)
        assert set(near) == set(there)
        for uid in ("frames", "older", there["26aac"].metadata["start"]["uid"]):
            made = list(there[uid].documents(fill="no"))
            sent = context.session.fetch("GET", f"{context.api_uri}/documents/far/{uid}").content.splitlines()
            assert [orjson.loads(line) for line in sent] == [
                {"name": name, "doc": orjson.loads(orjson.dumps(doc, option=orjson.OPT_SERIALIZE_NUMPY))}
                for name, doc in made
            ]
            for stream in there[uid]:
                assert near[uid][stream].read().identical(there[uid][stream].read())
    far.close()
