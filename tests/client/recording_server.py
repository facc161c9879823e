"""A server that takes whatever is written to it, and keeps the requests."""

from __future__ import annotations

import asyncio
import io
import math
import zipfile
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

import numpy as np
import orjson
import pyarrow as pa

API = "http://local-app/api/v1"
_ROUTES = {"array": "array", "sparse": "array", "table": "table", "awkward": "awkward", "ragged": "ragged"}


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    kind: str
    body: bytes
    status: int = 0

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def table(self) -> pa.Table:
        return pa.ipc.open_file(self.body).read_all()

    @property
    def zipped(self) -> dict[str, bytes]:
        with zipfile.ZipFile(io.BytesIO(self.body)) as made:
            return {name: made.read(name) for name in made.namelist()}

    def array(self, dtype: Any, shape: Any) -> np.ndarray:
        return np.frombuffer(self.body, dtype).reshape(shape)


class RecordingServer:
    """An ASGI application that makes any node; what was posted is read back as metadata and structure.

    Answers put into ``instead`` are given to the next requests that change something: a status, or "lost" for one that
    is done and whose answer never comes.
    """

    def __init__(self, api: str = API) -> None:
        self.api = api
        self.asked: list[Asked] = []
        self.nodes: dict[str, dict[str, Any]] = {"": _node(api, [], {"id": "", "structure_family": "container"})}
        self.instead: list[int | str] = []
        self.structure: dict[str, Any] | None = None
        #: When there are more changes than this, none is answered any more.
        self.held_after = math.inf
        self.under_way = 0
        #: Paths of routes that are refused.
        self.refused: set[str] = set()

    @property
    def changes(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.method != "GET"]

    def written(self, path: str) -> list[Asked]:
        """The requests that wrote the data of a node, since it was last made."""
        found: list[Asked] = []
        for asked in self.changes:
            route, _, at = asked.path.strip("/").partition("/")
            if (
                asked.method == "POST"
                and asked.status == 200
                and "/".join(filter(None, [at, asked.json["id"]])) == path
            ):
                found = []
            elif at.partition("/")[2] == path and route != "metadata":
                found.append(asked)
        return found

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":  # who was asking is gone before all was said
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
        kind = dict(scope["headers"]).get(b"content-type", b"").decode()
        # A slash in a key is told from one between keys.
        raw = scope["raw_path"].decode().replace("%2F", "%252F")
        path = unquote(raw.removeprefix("/api/v1"))
        asked = Asked(scope["method"], path, query, kind, body)
        self.under_way += 1
        self.asked.append(asked)
        while asked.method != "GET" and len(self.changes) > self.held_after:
            await asyncio.sleep(0.01)
        status, answer = self.answer(asked)
        asked.status = status
        self.under_way -= 1
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": orjson.dumps(answer)})

    def answer(self, asked: Asked) -> tuple[int, Any]:
        if asked.method == "GET":
            return self.read(asked)
        if asked.path in self.refused:
            return 400, {"detail": "told to refuse it"}
        instead = self.instead.pop(0) if self.instead else None
        if isinstance(instead, int):
            return instead, {"detail": f"told to answer {instead}"}
        status, answer = self.change(asked)
        # 503 is what a proxy says when it has not heard of the server any more.
        return (503, {"detail": "lost"}) if instead == "lost" else (status, answer)

    def read(self, asked: Asked) -> tuple[int, Any]:
        route, _, path = asked.path.strip("/").partition("/")
        if route == "metadata" and path in self.nodes:
            return 200, {"data": self.nodes[path]}
        if route == "search":
            inside = [node for at, node in self.nodes.items() if at and at.rpartition("/")[0] == path]
            return 200, {"data": inside, "links": {"next": None}, "meta": {"count": len(inside)}}
        if route == "":
            return 200, {"formats": {}}
        return 404, {"detail": f"No such entry: {path}"}

    def change(self, asked: Asked) -> tuple[int, Any]:
        route, _, path = asked.path.strip("/").partition("/")
        if asked.method == "POST" and route in ("metadata", "register"):
            body = asked.json
            at = "/".join(filter(None, [path, body["id"]]))
            if at in self.nodes:
                return 409, {"detail": f"/{at}"}
            self.nodes[at] = _node(self.api, [part for part in path.split("/") if part], body)
            return 200, {"id": body["id"], "links": self.nodes[at]["links"], "data_sources": body["data_sources"]}
        if route == "metadata" and path not in self.nodes:
            return 404, {"detail": f"No such entry: {path}"}
        if asked.method == "DELETE" and route == "metadata":
            del self.nodes[path]
            return 200, None
        if asked.method == "PUT" and route == "metadata":
            if asked.json["metadata"] is not None:
                self.nodes[path]["attributes"]["metadata"] = asked.json["metadata"]
            return 200, None
        if asked.method == "PATCH" and path.startswith("full/"):
            return 200, self.structure
        return 200, None


def _node(api: str, above: list[str], body: dict[str, Any]) -> dict[str, Any]:
    path, family = "/".join([*above, body["id"]]), body["structure_family"]
    sources = body.get("data_sources") or []
    links = {"self": f"{api}/metadata/{path}"}
    if family == "container":
        links |= {"search": f"{api}/search/{path}", "full": f"{api}/container/full/{path}"}
    else:
        route = _ROUTES[family]
        links["full"] = f"{api}/{route}/full/{path}"
        links["block"] = f"{api}/{route}/block/{path}?block={{0}}"
        links["partition"] = f"{api}/{route}/partition/{path}?partition={{index}}"
    structure = {"contents": None, "count": 0} if family == "container" else sources[0]["structure"]
    return {
        "id": body["id"],
        "attributes": {
            "ancestors": above,
            "structure_family": family,
            "specs": body.get("specs") or [],
            "metadata": body.get("metadata") or {},
            "structure": structure,
            "sorting": [{"key": "", "direction": 1}] if family == "container" else None,
            "data_sources": sources,
        },
        "links": links,
    }
