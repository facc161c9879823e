"""A server on loopback that knows users: passwords, codes that are entered elsewhere, sessions, API keys."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """What was asked."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


@dataclass
class UsersServer:
    """What the server knows; tests change it as they go."""

    uri: str = ""
    providers: list[dict[str, Any]] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=lambda: {"ann": "ann's"})
    access: set[str] = field(default_factory=set)
    refresh: set[str] = field(default_factory=set)
    keys: dict[str, str] = field(default_factory=dict)
    #: The answers to those who wait for a code to be entered, before the tokens.
    waiting: list[tuple[int, Any]] = field(default_factory=list)
    public: bool = False
    asked: list[Asked] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    made: int = 0

    def paths(self) -> list[str]:
        return [f"{asked.method} {asked.path.removeprefix('/api/v1')}" for asked in self.asked]

    def tokens(self) -> dict[str, Any]:
        self.made += 1
        self.access, access = {f"access{self.made}"}, f"access{self.made}"
        self.refresh.add(f"refresh{self.made}")
        return {"access_token": access, "refresh_token": f"refresh{self.made}", "identity": {"id": "ann"}}

    def knows(self, asked: Asked) -> bool:
        scheme, _, credentials = asked.headers.get("authorization", "").partition(" ")
        if scheme == "Apikey":
            return credentials in self.keys.values()
        return credentials in self.access if scheme else self.public

    def answer(self, asked: Asked) -> tuple[int, Any]:
        route = f"{asked.method} {asked.path.removeprefix('/api/v1')}"
        if route == "GET /":
            return 200, {"authentication": {"required": True, "providers": self.providers, "links": self.links}}
        if route == "POST /auth/provider/toy/token":
            right = self.passwords.get(asked.form["username"]) == asked.form["password"]
            return (200, self.tokens()) if right else (401, {"detail": "Incorrect username or password"})
        if route == "POST /auth/session/refresh":
            known = json.loads(asked.body)["refresh_token"] in self.refresh
            return (200, self.tokens()) if known else (401, {"detail": "Session has expired"})
        if route == "POST /auth/session/revoke":
            self.refresh.discard(json.loads(asked.body)["refresh_token"])
            return 204, None
        if route in ("POST /auth/provider/far/authorize", "POST /idp/device"):
            enter, poll = f"{self.uri}/enter", f"{self.uri}/api/v1/auth/provider/far/token"
            ours = {"authorization_uri": enter, "verification_uri": poll}
            theirs = {"verification_uri": enter, "verification_uri_complete": f"{enter}?code=AB-CD"}
            told = ours if "far" in asked.path else theirs
            return 200, {**told, "device_code": "dc", "user_code": "AB-CD", "interval": 0.01, "expires_in": 60}
        if route in ("POST /auth/provider/far/token", "POST /idp/token"):
            if self.waiting:
                return self.waiting.pop(0)
            return 200, self.tokens()
        if not self.knows(asked):
            return 401, {"detail": "Could not validate credentials"}
        if route == "GET /auth/whoami":
            return 200, {"uuid": "1", "identities": [{"id": "ann"}], "sessions": [{"uuid": "12-ab"}]}
        if route == "GET /auth/apikey":
            return 200, {"first_eight": "made1mad"}
        if route == "POST /auth/apikey":
            self.keys["made1mad"] = "made1madekey"
            return 200, {"first_eight": "made1mad", "secret": "made1madekey", **json.loads(asked.body)}
        if route == "DELETE /auth/apikey":
            gone = self.keys.pop(asked.query["first_eight"][0], None)
            return (204, None) if gone else (404, {"detail": "no such key"})
        if asked.path.startswith("/api/v1/auth/principal"):
            return self.principals(route, asked)
        if route.startswith("DELETE /auth/session/revoke/"):
            return 204, None
        if route == "GET /metadata/":
            return 200, {"data": self.root()}
        return 404, {"detail": "Not Found"}

    def principals(self, route: str, asked: Asked) -> tuple[int, Any]:
        ann = {"uuid": "12-ab", "type": "user", "identities": [{"id": "ann"}]}
        if route == "GET /auth/principal":
            first = int(asked.query["page[offset]"][0])
            return 200, [ann][first : first + int(asked.query["page[limit]"][0])]
        if route == "POST /auth/principal":
            return 200, {"uuid": "34-cd", "type": "service", "roles": [{"name": asked.query["role"][0]}]}
        if not route.partition(" ")[2].startswith("/auth/principal/12-ab"):
            return 404, {"detail": "No such Principal 56-ef"}
        if route == "GET /auth/principal/12-ab":
            return 200, ann
        if route == "POST /auth/principal/12-ab/apikey":
            self.keys["their8le"] = "their8letters"
            return 200, {"first_eight": "their8le", "secret": "their8letters", **json.loads(asked.body)}
        gone = self.keys.pop(asked.query["first_eight"][0], None)
        return (204, None) if gone else (404, {"detail": "no such key"})

    def root(self) -> dict[str, Any]:
        return {
            "id": "",
            "attributes": {
                "ancestors": [],
                "structure_family": "container",
                "specs": [],
                "metadata": {},
                "structure": {"contents": {}, "count": 0},
                "sorting": None,
            },
            "links": {"self": f"{self.uri}/api/v1/metadata/", "search": f"{self.uri}/api/v1/search/"},
        }


class _Server(ThreadingHTTPServer):
    """One at which many may wait at once to be let in."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever goes away without a goodbye is no error; what else fails is said."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def users_server() -> Iterator[UsersServer]:
    """A server of its own, which ends with the block."""
    told = UsersServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            """It is quiet."""

        def answer(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            asked = Asked(self.command, parts.path, parse_qs(parts.query), headers, body)
            with told.lock:
                told.asked.append(asked)
                status, content = told.answer(asked)
            packed = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(packed)))
            self.end_headers()
            self.wfile.write(packed)

        do_GET = do_POST = do_DELETE = answer

    with _Server(("127.0.0.1", 0), Handler) as server:
        told.uri = f"http://127.0.0.1:{server.server_address[1]}"
        auth = f"{told.uri}/api/v1/auth"
        told.providers = [
            {"provider": "toy", "mode": "internal", "links": {"auth_endpoint": f"{auth}/provider/toy/token"}}
        ]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()
