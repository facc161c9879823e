"""The real tiled client reads what ``databroker-like serve`` serves: a store, a catalog file, a folder of files."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.testing import _runs as samples
from tests.interop.tiled_server import tiled_python
from tests.support.serving import get, serving

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def peer() -> str:
    """The interpreter of the environment of the tiled client."""
    return str(tiled_python())


@pytest.fixture
def client_reads(peer: str, tmp_path: Path) -> Callable[[Path, str], Any]:
    """What the client reads of what is served."""

    def reads(path: Path, what: str) -> Any:
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("XDG_", "PYTHON", "VIRTUAL", "TILED"))
        }
        with serving(path, tmp_path) as server:
            # What takes long to open on a busy machine is shown as broken until it is open.
            key = {"Authorization": f"Apikey {server.key}"}
            while "takes long to open" in get(f"{server.url}/api/v1/search/", headers=key).text:
                time.sleep(0.1)
            done = subprocess.run(
                [peer, str(ROOT / "scripts" / "peers" / "ask_served.py"), server.url, server.key, what],
                env={**environment, "HOME": str(tmp_path)},
                capture_output=True,
                text=True,
                timeout=500,
            )
            assert done.returncode == 0, done.stderr[-3000:] + server.log[-3000:]
            assert server.stop() == 0
            assert server.key not in server.log
        return json.loads(done.stdout)

    return reads


def _insert(folder: Path) -> None:
    catalog = BlueskyEmbeddedCatalog(folder)
    for number in range(12):
        plan = ("scan", "count")[number % 2]
        for name, doc in samples.scalars(2, uid=f"run-{number}", time=1.6e9 + number, scan_id=number, plan_name=plan):
            catalog.insert(name, doc)
    catalog.close()


@pytest.mark.peer
def test_the_client_reads_a_store_that_documents_were_inserted_into(
    client_reads: Callable[[Path, str], Any], tmp_path: Path
) -> None:
    _insert(tmp_path / "store")
    found = client_reads(tmp_path / "store", "store")
    uids = [f"run-{number}" for number in range(12)]
    assert found["class"] == "CatalogOfBlueskyRuns"
    assert found["uids"] == uids
    assert found["newest"] == "run-11"
    assert found["by scan_id"] == uids[::-1]
    assert found["by plan"] == [*uids[11::-2], *uids[10::-2]]
    assert found["counts"] == uids[1::2]
    assert found["distinct"] == [{"value": "count", "count": 6}, {"value": "scan", "count": 6}]
    for run in found["runs"].values():
        assert run["class"] == "BlueskyRunV3"
        assert list(run["streams"]) == ["primary"]
        assert run["documents"][0] == "start"
        assert run["documents"][-1] == "stop"
        assert run["stop"] == "success"


@pytest.mark.peer
def test_the_client_reads_a_store_that_the_run_engine_recorded(
    client_reads: Callable[[Path, str], Any], tmp_path: Path, engine: Any
) -> None:
    from bluesky.plans import count, scan
    from ophyd.sim import det, motor

    catalog = BlueskyEmbeddedCatalog(tmp_path / "store")
    token = engine.subscribe(catalog.insert)
    (first,) = engine(scan([det], motor, -1, 1, 5), sample="gold")
    (second,) = engine(count([det], 3))
    engine.unsubscribe(token)
    expected = catalog[first].primary.read()["det"].values.tolist()
    catalog.close()
    found = client_reads(tmp_path / "store", "store")
    assert found["uids"] == [first, second]
    assert found["newest"] == second
    run = found["runs"][first]
    assert run["class"] == "BlueskyRunV3"
    assert run["stop"] == "success"
    assert run["streams"]["primary"]["det"] == expected
    assert len(found["runs"][second]["streams"]["primary"]["det"]) == 3


@pytest.mark.peer
def test_the_client_reads_a_catalog_file_with_a_source_that_fails(
    client_reads: Callable[[Path, str], Any], tmp_path: Path
) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    _insert(folder / "store")
    pd.DataFrame({"x": [1, 2], "name": ["a", "b"]}).to_csv(folder / "a.csv", index=False)
    np.save(folder / "m.npy", np.arange(6).reshape(2, 3))
    (folder / "d.json").write_text(json.dumps({"gain": 3}))
    (folder / "notes.txt").write_text("one\ntwo\n")
    (folder / "lab.yml").write_text(
        """
description: The laboratory
sources:
  runs: {driver: bluesky-embedded-catalog, args: {path: "{{ CATALOG_DIR }}/store"}}
  table: {driver: csv, args: {urlpath: "{{ CATALOG_DIR }}/a.csv"}}
  array: {driver: numpy, args: {path: "{{ CATALOG_DIR }}/m.npy"}}
  document: {driver: jsonfiles, args: {urlpath: "{{ CATALOG_DIR }}/d.json"}}
  notes: {driver: textfiles, args: {urlpath: "{{ CATALOG_DIR }}/notes.txt"}}
  gone: {driver: csv, args: {urlpath: "{{ CATALOG_DIR }}/gone.csv"}}
"""
    )
    found = client_reads(folder / "lab.yml", "catalog")
    assert found == {
        "metadata": {"description": "The laboratory"},
        "last": "gone",
        "sources": {
            "runs": ["runs", [f"run-{number}" for number in range(12)], "BlueskyRunV3"],
            "table": {"x": [1, 2], "name": ["a", "b"]},
            "array": [[0, 1, 2], [3, 4, 5]],
            "document": {"gain": 3},
            "notes": {"text": ["one", "two"]},
            "gone": ["broken", "there is no file 'gone.csv'"],
        },
    }


@pytest.mark.peer
def test_the_client_reads_a_folder_of_files(client_reads: Callable[[Path, str], Any], tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "inner").mkdir(parents=True)
    np.save(folder / "grid.npy", np.arange(6).reshape(2, 3))
    pd.DataFrame({"x": [1, 2]}).to_csv(folder / "inner" / "table.csv", index=False)
    assert client_reads(folder, "folder") == {
        "keys": ["grid", "inner"],
        "data": {"grid": [[0, 1, 2], [3, 4, 5]], "inner": {"table": {"x": [1, 2]}}},
    }
