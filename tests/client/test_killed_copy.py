"""A copy whose process is killed is taken up, and nothing is taken to be there that is not."""

from __future__ import annotations

import math
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from databroker_like.client import Context, from_context, from_uri
from databroker_like.client.sync import copy
from databroker_like.nodes import ArrayData, MapNode
from databroker_like.tree import build_app
from tests.client.recording_server import RecordingServer
from tests.support.loopback import listening
from tests.support.serving import get

COUNT = 40
TREE = """
import numpy as np
from databroker_like.client import Context, from_context, from_uri
from databroker_like.client.sync import copy
from databroker_like.nodes import ArrayData, MapNode
from databroker_like.tree import build_app

inner = MapNode({f"i{n}": ArrayData(np.full(1000, n + 0.5)) for n in range(5)})
tree = MapNode({**{f"a{n:02}": ArrayData(np.full(1000, n)) for n in range(COUNT)}, "inner": inner})
"""
COPY = "copy(from_context(Context.from_app(build_app(tree, public=True))), from_uri(URI), 'skip')"


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    port = socket.create_server(("127.0.0.1", 0))
    app = RecordingServer(f"http://127.0.0.1:{port.getsockname()[1]}/api/v1")
    with listening(app, port):
        yield app


@pytest.mark.parametrize("requests", [7, 61])
def test_a_copy_whose_process_is_killed_is_taken_up(server: RecordingServer, requests: int) -> None:
    script = TREE.replace("COUNT", str(COUNT)) + COPY.replace("URI", repr(server.api))
    server.held_after = requests
    process = subprocess.Popen([sys.executable, "-c", script])
    while len(server.changes) <= requests and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    process.wait()
    # What it had sent is still answered: it was there before this is asked.
    server.held_after = math.inf
    for _ in range(2):
        assert get(server.api).status_code == 200
    while server.under_way:
        time.sleep(0.001)
    assert requests <= len(server.changes)
    half_done = [key for key, node in server.nodes.items() if "unfinished_copy" in node["attributes"]["metadata"]]
    made = len(server.nodes) - 1
    assert 0 < made < COUNT + 6

    inner = MapNode({f"i{n}": ArrayData(np.full(1000, n + 0.5)) for n in range(5)})
    arrays: dict[str, Any] = {f"a{n:02}": ArrayData(np.full(1000, n)) for n in range(COUNT)}
    tree = MapNode({**arrays, "inner": inner})
    dest = from_uri(server.api)
    with Context.from_app(build_app(tree, public=True)) as context, dest.context:
        done = copy(from_context(context), dest, "skip")
    assert (done.written, done.skipped) == (COUNT + 6 - made + len(half_done), made - len(half_done))
    for n in range(COUNT):
        assert server.nodes[f"a{n:02}"]["attributes"]["metadata"] == {}
        assert set(server.written(f"a{n:02}")[-1].array("i8", 1000)) == {n}
    for n in range(5):
        assert set(server.written(f"inner/i{n}")[-1].array("f8", 1000)) == {n + 0.5}
