"""A server of an application in a thread of its own, on a port of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

__all__ = ["listening"]


@contextmanager
def listening(app: Any, port: socket.socket | None = None, **settings: Any) -> Iterator[str]:
    """The URL of an application, without a slash at its end, as long as this goes on.

    An application that must know its port before gives the socket, which is closed in the end. Settings are uvicorn's.
    """
    port = port or socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, **{"log_level": "warning", "lifespan": "off", **settings}))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [port]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        assert server.started, "the server ended before it began to listen"
        yield f"http://127.0.0.1:{port.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        port.close()
