"""An ASGI application asked in this process, as if it were a server: no socket, no port."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterator, MutableMapping
from typing import Any, TypeVar
from urllib.parse import unquote

import httpx

from databroker_like.errors import DatabrokerError, ServiceFailed

__all__ = ["ASGIApp", "InProcess"]

Message = MutableMapping[str, Any]
ASGIApp = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
T = TypeVar("T")

#: For so many seconds the end of an application is waited for when nobody closes it and there is nobody to be told.
_PATIENCE = 5.0
_in_use: weakref.WeakSet[InProcess] = weakref.WeakSet()
_ending: set[threading.Thread] = set()


class InProcess(httpx.BaseTransport):
    """A transport of httpx to an ASGI application, which runs in an event loop and a thread of its own.

    Its lifespan begins with the first request and ends with `close`; at the end of the program, or when it is not used
    any more, without.

    Parameters
    ----------
    app : callable
        An ASGI application, as of Starlette or FastAPI.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lifespan: _Lifespan | None = None
        self._unused: weakref.finalize[..., InProcess] | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Ask the application, and wait for the whole of its reply.

        Parameters
        ----------
        request : httpx.Request

        Returns
        -------
        httpx.Response

        Raises
        ------
        ServiceFailed
            When the application raises or ends without a reply.
        """
        loop = self._started()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": unquote(request.url.raw_path.partition(b"?")[0].decode("ascii")),
            "raw_path": request.url.raw_path.partition(b"?")[0],
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": ("127.0.0.1", 0),
            "server": (request.url.host, request.url.port or {"http": 80, "https": 443}.get(request.url.scheme)),
            "state": dict(self._lifespan.state) if self._lifespan is not None else {},
        }
        return self._run(loop, _answer(self._app, scope, request.read()))

    def close(self) -> None:
        """End the lifespan of the application, and the thread."""
        with self._lock:
            loop, thread, lifespan = self._loop, self._thread, self._lifespan
            unused, self._unused = self._unused, None
            self._loop = self._thread = self._lifespan = None
        if unused is not None:
            unused.detach()
        if loop is None or thread is None:
            return
        try:
            if lifespan is not None:
                self._run(loop, lifespan.shut_down())
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_work, args=(loop,), name="app in process", daemon=True)
                thread.start()
                self._loop, self._thread, self._lifespan = loop, thread, _Lifespan(self._app)
                self._unused = weakref.finalize(self, _let_go, loop, thread, self._lifespan)
                self._unused.atexit = False
                _in_use.add(self)
                self._run(loop, self._lifespan.start_up())
            return self._loop

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result()


def _work(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()
        _ending.discard(threading.current_thread())


def _let_go(loop: asyncio.AbstractEventLoop, thread: threading.Thread, lifespan: _Lifespan) -> None:
    """End an application that nobody closed; this waits for nothing, for it may be called anywhere."""
    if loop.is_closed():
        return
    _ending.add(thread)
    asyncio.run_coroutine_threadsafe(_ended(loop, lifespan), loop)


async def _ended(loop: asyncio.AbstractEventLoop, lifespan: _Lifespan) -> None:
    # Of an application that does not end well there is nobody to be told.
    with contextlib.suppress(Exception):
        await asyncio.wait_for(lifespan.shut_down(), _PATIENCE)
    others = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    loop.stop()


@atexit.register
def _end_all() -> None:
    for transport in list(_in_use):
        loop, thread, lifespan = transport._loop, transport._thread, transport._lifespan
        if loop is not None and thread is not None and lifespan is not None:
            _let_go(loop, thread, lifespan)
    for thread in list(_ending):
        thread.join(_PATIENCE + 1)


async def _answer(app: ASGIApp, scope: Message, body: bytes) -> httpx.Response:
    messages: Iterator[Message] = iter([{"type": "http.request", "body": body, "more_body": False}])
    done = asyncio.Event()
    head: Message = {}
    parts: list[bytes] = []

    async def receive() -> Message:
        for message in messages:
            return message
        # The client is there until it has everything.
        await done.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            head.update(message)
        elif message["type"] == "http.response.body":
            parts.append(bytes(message.get("body", b"")))
            if not message.get("more_body"):
                done.set()

    try:
        await app(scope, receive, send)
    except DatabrokerError:
        raise
    except Exception as error:
        raise ServiceFailed(f"the application failed at {scope['method']} {scope['path']}: {error!r}") from error
    if not done.is_set():
        raise ServiceFailed(f"the application gave no whole reply to {scope['method']} {scope['path']}")
    return httpx.Response(head["status"], headers=list(head.get("headers", ())), stream=_Parts(parts))


class _Parts(httpx.SyncByteStream):
    """A body as the application sent it; nothing is joined."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)


class _Lifespan:
    """The beginning and the end of an application, which may know of neither."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._outgoing: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, Any] = {}

    async def start_up(self) -> None:
        """Until the application is ready, or says by an error that it has no lifespan."""
        self._task = asyncio.ensure_future(self._live())
        message = await self._said("lifespan.startup")
        if message is not None and message["type"] == "lifespan.startup.failed":
            raise ServiceFailed(f"the application did not start: {message.get('message', '')}")

    async def shut_down(self) -> None:
        """Until the application has ended."""
        if self._task is None or self._task.done():
            return
        message = await self._said("lifespan.shutdown")
        if message is not None and message["type"] == "lifespan.shutdown.failed":
            raise ServiceFailed(f"the application did not end well: {message.get('message', '')}")
        await self._task

    async def _live(self) -> None:
        # The protocol says: an application that raises at this scope supports none, and is served without.
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        with contextlib.suppress(Exception):
            await self._app(scope, self._incoming.get, self._outgoing.put)

    async def _said(self, kind: str) -> Message | None:
        assert self._task is not None
        await self._incoming.put({"type": kind})
        reply = asyncio.ensure_future(self._outgoing.get())
        await asyncio.wait([reply, self._task], return_when=asyncio.FIRST_COMPLETED)
        if reply.done():
            return reply.result()
        reply.cancel()
        return None
