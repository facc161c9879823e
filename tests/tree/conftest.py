"""A tree of everything, and a caller of the service of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from databroker_like.nodes import ArrayData, ContainerNode, MapNode, TableData
from databroker_like.structures import Spec
from databroker_like.tree import build_app

API = "http://testserver/api/v1"


class DocumentedMap(MapNode):
    """Stands for a run: a container with documents."""

    def documents(self, *, fill: str) -> Iterator[tuple[str, Any]]:
        yield "start", {"uid": "a", "time": 1.0}
        yield "event_page", {"data": {"x": [float("nan"), 2**70, np.float64(0.5)]}, "filled": {"x": [fill == "yes"]}}
        yield "stop", {"run_start": "a", "note": None}


class BrokenMap(MapNode):
    """Fails in a way that nobody thought of."""

    @property
    def metadata(self) -> Any:
        raise RuntimeError("the password is hunter2")


def everything() -> MapNode:
    """Arrays, tables and containers, with metadata to search."""
    table = pd.DataFrame({"x": [1, 2, 3], "y": [0.5, np.nan, 2.5], "name": ["a", "b", "c"]})
    return MapNode(
        {
            "grid": ArrayData(
                np.arange(35.0).reshape(7, 5),
                chunks=((3, 3, 1), (2, 2, 1)),
                metadata={"color": "red", "n": 9, "sample": {"label": "Gold leaf"}},
                specs=[Spec("demo", "1")],
            ),
            "scalar": ArrayData(np.array(5, dtype="<i4"), metadata={"color": "red", "n": 10}),
            "table": TableData(table, metadata={"color": "blue", "n": 100}),
            "inner": MapNode(
                {
                    "deep": MapNode({"one": ArrayData(np.arange(3))}, metadata={"level": 2}),
                    "a/b c": ArrayData(np.arange(2)),
                },
                metadata={"level": 1},
            ),
            "run": DocumentedMap({}, metadata={"start": {"uid": "a"}}),
            "broken": MapNode({"here": BrokenMap({})}),
        },
        metadata={"title": "everything"},
    )


class Caller:
    """Asks a service of a tree, as it would be asked over HTTP."""

    def __init__(self, app: Any, base_url: str = "http://testserver") -> None:
        self.app = app
        self.base_url = base_url

    def request(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=self.base_url) as client:
                return await client.request(method, url, **kwargs)

        return asyncio.run(asked())

    def get(self, url: str, **kwargs: Any) -> httpx.Response:
        return self.request("GET", url, **kwargs)

    def post(self, url: str, **kwargs: Any) -> httpx.Response:
        return self.request("POST", url, **kwargs)


def caller(root: ContainerNode, *, base_url: str = "http://testserver", **kwargs: Any) -> Caller:
    """Somebody who asks a service of a tree; everybody may, unless it is said otherwise."""
    kwargs.setdefault("public", True)
    return Caller(build_app(root, **kwargs), base_url)


@pytest.fixture
def tree() -> MapNode:
    """The tree that is served."""
    return everything()


@pytest.fixture
def ask(tree: MapNode) -> Callable[..., httpx.Response]:
    """A GET of a route under the API."""
    client = caller(tree)

    def asked(path: str, params: Any = None, **kwargs: Any) -> httpx.Response:
        return client.get(f"/api/v1{path}", params=params, **kwargs)

    return asked


@pytest.fixture
def data(ask: Callable[..., httpx.Response]) -> Callable[..., Any]:
    """The ``data`` of an answer that is one."""

    def asked(path: str, params: Any = None, **kwargs: Any) -> Any:
        reply = ask(path, params, **kwargs)
        assert reply.status_code == 200, reply.text
        return reply.json()["data"]

    return asked
