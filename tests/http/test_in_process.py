from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from databroker_like import errors
from databroker_like.http import InProcess, Session


async def echo(request: Request) -> Response:
    return JSONResponse(
        {
            "path": request.url.path,
            "query": list(request.query_params.multi_items()),
            "method": request.method,
            "body": (await request.body()).decode(),
            "key": request.headers.get("authorization"),
            "host": request.headers["host"],
            "ready": request.state.ready,
        }
    )


async def in_parts(request: Request) -> Response:
    async def parts() -> Any:
        for n in range(3):
            yield bytes([n]) * 1000

    return StreamingResponse(parts())


async def failing(request: Request) -> Response:
    raise LookupError("the drawer is empty")


class App:
    """An application with a lifespan, of which it keeps a record."""

    def __init__(self) -> None:
        import contextlib

        self.said: list[str] = []

        @contextlib.asynccontextmanager
        async def lifespan(app: Any) -> Any:
            self.said.append("up")
            yield {"ready": True}
            self.said.append("down")

        routes = [
            Route("/parts", in_parts),
            Route("/failing", failing),
            Route("/{path:path}", echo, methods=["GET", "POST"]),
        ]
        self.asgi = Starlette(routes=routes, lifespan=lifespan)


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def session(app: App) -> Iterator[Session]:
    transport = InProcess(app.asgi)
    made = Session("http://local-app", transport=transport)
    made.authorization = "Apikey secret"
    yield made
    made.close()
    transport.close()


def test_an_application_is_asked_as_a_server_is(session: Session) -> None:
    reply = httpx.Response(
        200, content=session.fetch("POST", "/a%20b/%C3%BC", params=[("n", 1), ("n", 2)], json=["x"]).content
    ).json()
    assert reply == {
        "path": "/a b/ü",
        "query": [["n", "1"], ["n", "2"]],
        "method": "POST",
        "body": '["x"]',
        "key": "Apikey secret",
        "host": "local-app",
        "ready": True,
    }


def test_its_lifespan_begins_with_the_first_request_and_ends_with_close(app: App) -> None:
    transport = InProcess(app.asgi)
    assert app.said == []
    session = Session("http://local-app", transport=transport)
    session.fetch("GET", "/a")
    session.fetch("GET", "/a")
    assert app.said == ["up"]
    thread = transport._thread
    assert thread is not None
    transport.close()
    transport.close()
    assert app.said == ["up", "down"]
    assert not thread.is_alive()
    session.close()


def test_a_reply_in_parts_is_whole(session: Session) -> None:
    assert session.fetch("GET", "/parts").content == b"\x00" * 1000 + b"\x01" * 1000 + b"\x02" * 1000


def test_what_the_application_raises_is_told(session: Session) -> None:
    with pytest.raises(errors.ServiceFailed, match=r"failed at GET /failing: LookupError\('the drawer is empty'\)"):
        session.fetch("GET", "/failing")
    assert session.fetch("GET", "/parts").content


def test_many_threads_ask_one_application(session: Session) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: session.fetch("GET", f"/{n}").content, range(40)))
    assert len(set(replies)) == 40


@pytest.mark.parametrize("kind", ["raises", "returns"])
def test_an_application_without_a_lifespan_is_served_without(kind: str) -> None:
    async def plain(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            if kind == "raises":
                raise ValueError("only http")
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"plain"})

    transport = InProcess(plain)
    session = Session("http://local-app", transport=transport)
    assert session.fetch("GET", "/").content == b"plain"
    session.close()
    transport.close()


def test_an_application_that_does_not_start_is_told() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no disk"})

    transport = InProcess(broken)
    session = Session("http://local-app", transport=transport)
    with pytest.raises(errors.ServiceFailed, match="did not start: no disk"):
        session.fetch("GET", "/")
    session.close()
    transport.close()


def test_an_application_that_gives_no_reply_is_told() -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})

    transport = InProcess(silent)
    session = Session("http://local-app", transport=transport)
    with pytest.raises(errors.ServiceFailed, match="no whole reply"):
        session.fetch("GET", "/")
    session.close()
    transport.close()


_NOT_CLOSED = """
import gc, os, sys
from tests.http.test_in_process import App
from databroker_like.http import InProcess, Session

class Told(App):
    def __init__(self):
        super().__init__()
        class Said(list):
            def append(self, word):
                os.write(1, word.encode() + b" ")  # at once: two of them end at the same time
        self.said = Said()

kept = [InProcess(Told().asgi) for _ in range(2)]
for transport in kept:
    Session("http://local-app", transport=transport).fetch("GET", "/a")
if sys.argv[1] == "dropped":
    del transport
    kept.clear()
    gc.collect()
"""


@pytest.mark.parametrize("how", ["kept", "dropped"])
def test_a_program_that_closes_nothing_ends_quietly(how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _NOT_CLOSED, how],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(__file__).parents[2],
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.split()) == ["down", "down", "up", "up"]


def test_an_application_that_nobody_has_any_more_ends(app: App) -> None:
    transport = InProcess(app.asgi)
    session = Session("http://local-app", transport=transport)
    session.fetch("GET", "/a")
    thread = transport._thread
    assert thread is not None
    session.close()
    transport = session = None  # type: ignore[assignment]
    gc.collect()
    thread.join(300)
    assert not thread.is_alive()
    assert app.said == ["up", "down"]
