"""The real tiled client, in an environment of its own, reads from our service over loopback."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from event_model import compose_run

from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.nodes import ArrayData, ContainerNode, MapNode, TableData
from databroker_like.nodes.runs import RunsNode
from databroker_like.service import Settings
from databroker_like.structures import Spec
from databroker_like.tree import build_app
from tests.interop.tiled_server import tiled_python
from tests.support.loopback import listening

ROOT = Path(__file__).parents[2]
GRID = np.arange(35.0).reshape(7, 5)


@pytest.fixture(scope="module")
def peer() -> str:
    """The interpreter of the environment of the tiled client."""
    return str(tiled_python())


@contextmanager
def served(root: ContainerNode, settings: Settings | None = None) -> Iterator[str]:
    """The URL of a service of a tree, on a port of its own."""
    with listening(build_app(root, api_key="secret", settings=settings)) as url:
        yield url


@pytest.fixture
def client_reads(peer: str, tmp_path: Path) -> Callable[[ContainerNode, str], Any]:
    """What the client reads of a tree."""

    def reads(root: ContainerNode, what: str) -> Any:
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("XDG_", "PYTHON", "VIRTUAL", "TILED"))
        }
        with served(root) as url:
            done = subprocess.run(
                [peer, str(ROOT / "scripts" / "peers" / "ask_service.py"), url, "secret", what],
                env={**environment, "HOME": str(tmp_path)},
                capture_output=True,
                text=True,
                timeout=500,
            )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    return reads


@pytest.mark.peer
def test_the_client_lists_searches_slices_and_exports(client_reads: Callable[[ContainerNode, str], Any]) -> None:
    root = MapNode(
        {
            "grid": ArrayData(GRID, chunks=((3, 3, 1), (2, 2, 1)), metadata={"color": "red"}, specs=[Spec("demo")]),
            "table": TableData(pd.DataFrame({"x": [1, 2, 3], "name": ["a", "b", "c"]})),
            "inner": MapNode({"one": ArrayData(np.arange(3))}, metadata={"level": 1}),
            "many": MapNode({f"k{i}": MapNode({}, metadata={"i": i, "half": i // 2}) for i in range(700)}),
        }
    )
    assert client_reads(root, "tree") == {
        "keys": ["grid", "table", "inner", "many"],
        "metadata": {"color": "red"},
        "specs": ["demo"],
        "whole": GRID.tolist(),
        "part": GRID[1, ::2].tolist(),
        "block": GRID[3:6, :2].tolist(),
        "table": {"x": [1, 2, 3], "name": ["a", "b", "c"]},
        "columns": {"name": ["a", "b", "c"]},
        "column": [1, 2, 3],
        "found": ["k699", "k698"],
        "none": 0,
        "count": 700,
        "last": "k699",
        "long": 650,
        "distinct": [{"value": 0, "count": 2}, {"value": 1, "count": 2}],
        "array as csv": "".join(",".join(map(str, row)) + "\n" for row in GRID.tolist()),
        "table as csv": "x,name\n1,a\n2,b\n3,c\n",
        "container as json": {"contents": {"one": {"contents": {}, "metadata": {}}}, "metadata": {"level": 1}},
        "refusals": ["KeyError", "IndexError", "ClientError"],
    }


@pytest.mark.peer
def test_the_client_opens_runs_as_bluesky_runs(client_reads: Callable[[ContainerNode, str], Any]) -> None:
    catalog = BlueskyInMemoryCatalog()
    bundle = compose_run(metadata={"scan_id": 7, "plan_name": "scan"})
    docs: list[tuple[str, Any]] = [("start", bundle.start_doc)]
    described = bundle.compose_descriptor(
        name="primary", data_keys={"x": {"dtype": "number", "shape": [], "source": "sim"}}
    )
    docs.append(("descriptor", described.descriptor_doc))
    docs += [("event", described.compose_event(data={"x": 0.5 * i}, timestamps={"x": 1.0 * i})) for i in range(3)]
    docs.append(("stop", bundle.compose_stop()))
    for name, doc in docs:
        catalog.v1.insert(name, doc)
    uid = bundle.start_doc["uid"]
    found = client_reads(RunsNode(catalog), "runs")
    assert found == {
        "class": "CatalogOfBlueskyRuns",
        "uids": [uid],
        "last": uid,
        "by scan_id": {uid: uid},
        "runs": {
            uid: {
                "class": "BlueskyRunV3",
                "streams": {
                    "primary": {
                        "class": "BlueskyEventStreamV3",
                        "columns": {"seq_num": [1, 2, 3], "x": [0.0, 0.5, 1.0]},
                    }
                },
                "documents": ["start", "descriptor", "event_page", "event_page", "event_page", "stop"],
            }
        },
    }
