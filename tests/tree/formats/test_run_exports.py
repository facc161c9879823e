"""Recorded runs are sent in every format, or refused with a sentence; and zarr sees them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import intake
import numpy as np
import pytest

from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.nodes import ArrayNode, ContainerNode, MapNode, Node, TableNode
from databroker_like.nodes.runs import RunsNode
from tests.tree.conftest import Caller, caller


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> MapNode:
    """Catalogs of runs that were recorded at beamlines."""
    found: dict[str, Node] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for pack in ("absorption-pack", "images-pack"):
            catalogs = intake.open_catalog(str(shared_data / pack / "catalog.yml"))
            found[pack] = RunsNode(catalogs[next(iter(catalogs))])
        for files in ("edge-scans-jsonl/*.jsonl", "beamline-json/*.json"):
            found[files.partition("/")[0]] = RunsNode(BlueskyJSONLCatalog(str(shared_data / files)))
    return MapNode(found)


@pytest.fixture(scope="module")
def client(recorded: MapNode) -> Caller:
    """Somebody who asks for them."""
    return caller(recorded)


def walked(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    yield path, node
    if isinstance(node, ContainerNode):
        for key, one in node.items(0, 3):
            yield from walked(one, f"{path}/{key}")


def test_every_leaf_of_recorded_runs_is_sent_in_every_format(recorded: MapNode, client: Caller) -> None:
    formats = client.get("/api/v1/").json()["formats"]
    counts: dict[int, int] = {}
    for path, node in walked(recorded, ""):
        if isinstance(node, ContainerNode):
            continue
        route = "table/full" if isinstance(node, TableNode) else "array/full"
        part = "&slice=:2" if isinstance(node, ArrayNode) else ""
        for media_type in formats[node.structure_family.value]:
            reply = client.get(f"/api/v1/{route}{path}?format={media_type}{part}")
            counts[reply.status_code] = counts.get(reply.status_code, 0) + 1
            assert reply.status_code < 500, (path, media_type)
            assert reply.status_code == 200 or reply.json()["detail"], (path, media_type)
    assert counts[200] > 100
    assert counts[200] > 4 * sum(count for status, count in counts.items() if status != 200), counts


def test_a_recorded_run_is_a_file_of_hdf5(recorded: MapNode, client: Caller) -> None:
    compared = 0
    for path, node in walked(recorded, ""):
        if path.count("/") != 2:
            continue
        reply = client.get(f"/api/v1/container/full{path}?format=h5")
        assert reply.status_code in (200, 410, 413, 422), reply.text
        if reply.status_code != 200:
            continue
        file = h5py.File(io.BytesIO(reply.content))
        assert '"uid"' in file.attrs["start"]
        assert isinstance(node, ContainerNode)
        for name, stream in node.items():
            table = stream.get("internal")
            if isinstance(table, TableNode):
                compared += 1
                times = table.read(["time"])["time"].to_numpy()
                np.testing.assert_array_equal(file[name]["internal"]["time"][:], times)
    assert compared > 5


def test_zarr_sees_recorded_runs(recorded: MapNode, client: Caller) -> None:
    seen: dict[str, int] = {}
    for path, node in walked(recorded, ""):
        said: Any = client.get(f"/zarr/v3{path}/zarr.json")
        assert said.status_code in (200, 400, 410, 422), said.text
        if said.status_code == 200:
            seen[said.json()["node_type"]] = seen.get(said.json()["node_type"], 0) + 1
        if isinstance(node, TableNode) and "seq_num" in node.structure().columns:
            chunk = client.get(f"/zarr/v3{path}/seq_num/c/0").content
            numbers = node.read(["seq_num"])["seq_num"].to_numpy()
            np.testing.assert_array_equal(np.frombuffer(chunk, numbers.dtype)[: len(numbers)], numbers)
    assert seen["group"] > 20
