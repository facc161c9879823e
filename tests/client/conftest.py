"""A small server with something to read, and clients of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from databroker_like.client import Context, composite, container, from_context
from databroker_like.client._finding import _deep
from databroker_like.client._runs import _collection, _layout, _parts
from databroker_like.tree import build_app
from tests.client.recording_server import RecordingServer
from tests.client.small_server import SmallServer


@pytest.fixture(autouse=True)
def _a_moment_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known for a second is known for the whole of a test, however busy the machine is."""
    monkeypatch.setattr(container, "_COUNTED_FOR", 3600.0)
    monkeypatch.setattr(_deep, "_COUNTED_FOR", 3600.0)
    monkeypatch.setattr(composite, "_KNOWN_FOR", 3600.0)
    for module in (_collection, _layout, _parts):
        monkeypatch.setattr(module, "_FRESH", 3600.0)


@pytest.fixture
def server() -> SmallServer:
    nodes: dict[str, Any] = {f"k{n:02}": {"n": n, "tags": [n]} for n in range(10)}
    nodes["image"] = np.arange(35, dtype=">i4").reshape(5, 7)
    nodes["moments"] = np.array(["2026-01-01", "2026-01-02"], "M8[s]")
    nodes["point"] = np.array(4.5)
    nodes["empty"] = np.empty((0, 3))
    nodes["rows"] = np.array([(1, 2.5), (2, 3.5)], [("n", "<i2"), ("x", "<f8")])
    nodes["table"] = pa.table({"a": [1, 2, 3, 4, 5], "s": list("vwxyz")})
    return SmallServer(nodes)


@pytest.fixture
def opened(server: SmallServer) -> Iterator[Callable[..., Any]]:
    """Opens the root, or what is below it; what was opened is closed."""
    contexts = []

    def open_(*path: str, clients: Any = "numpy") -> Any:
        contexts.append(Context.from_app(server))
        return from_context(contexts[-1], clients, path)

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture
def recording() -> RecordingServer:
    return RecordingServer()


@pytest.fixture
def writable(recording: RecordingServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The root of a server that takes whatever is written to it."""
    monkeypatch.setattr("databroker_like.http._passing.sleep", lambda seconds: None)
    monkeypatch.setenv("TILED_RETRY_ATTEMPTS", "3")
    with Context.from_app(recording) as context:
        # A server that has never answered is taken to be absent.
        assert context.server_info is not None
        yield from_context(context)


@pytest.fixture
def served() -> Iterator[Callable[..., Any]]:
    """Opens a node of a tree that our own service serves in this process; what was opened is closed."""
    contexts = []

    def open_(root: Any, *path: str, clients: Any = "numpy") -> Any:
        contexts.append(Context.from_app(build_app(root, public=True)))
        return from_context(contexts[-1], clients, path)

    yield open_
    for context in contexts:
        context.close()
