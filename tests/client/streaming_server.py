"""A server of sockets that says what it is told to say, and keeps who asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgpack
from websockets.sync.server import Server, ServerConnection, serve

Script = Callable[["StreamingServer", ServerConnection], None]


class StreamingServer:
    """Each connection is answered by the next of its scripts, the last one for ever."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.asked: list[tuple[str, dict[str, str], str | None]] = []
        self.uri = ""
        self.go = threading.Event()

    def __call__(self, connection: ServerConnection) -> None:
        parts = urlsplit(connection.request.path)
        key = connection.request.headers.get("Authorization")
        self.asked.append((parts.path, dict(parse_qsl(parts.query)), key))
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        script(self, connection)

    @contextmanager
    def running(self, **settings: Any) -> Iterator[StreamingServer]:
        server: Server = serve(self, "127.0.0.1", 0, **settings)
        self.uri = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self.go.set()
            server.shutdown()
            thread.join()


def says(*messages: dict[str, Any], code: int | None = 1000, wait: bool = False) -> Script:
    """Sends messages, and closes: with a code, or by breaking off."""

    def script(server: StreamingServer, connection: ServerConnection) -> None:
        for message in messages:
            connection.send(message if isinstance(message, bytes) else msgpack.packb(message))
        if wait:
            server.go.wait(300)
        if code is None:
            connection.socket.close()
        else:
            connection.close(code)

    return script
