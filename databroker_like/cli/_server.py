"""The process that answers: its socket, its signals, its log."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from databroker_like.cli._log import log_settings
from databroker_like.errors import Invalid, NotPermitted, listed

__all__ = ["listen", "run", "url_of"]

#: How long requests that are being answered may take when the server is told to stop.
_LAST_WORDS = 5
#: After so many seconds what was read and sent is given back to the system.
_TIDIED_EVERY = 2
#: Connections that wait to be taken.
_BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound, so that what is wrong with the address shows at once.

    Parameters
    ----------
    host : str
        A name or an address.
    port : int
        Any free one when 0.

    Returns
    -------
    socket.socket

    Raises
    ------
    Invalid
        When this machine has no such address, or another program listens there.
    NotPermitted
        When this user may not listen there.

    Examples
    --------
    >>> with listen("127.0.0.1", 0) as listening:
    ...     url_of(listening)
    'http://127.0.0.1:...'
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise Invalid(f"there is no address {host!r} to listen at; this machine alone is 127.0.0.1") from error
    refused: OSError | None = None
    # A name may stand for several addresses, of which this machine need not have all.
    for family, *_, address in found:
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            if sys.platform != "win32":  # a port whose server has just ended is free; on Windows it would be shared
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
        except OSError as error:
            listening.close()
            refused = refused or error
        else:
            return listening
    assert refused is not None
    raise _refused(refused, host, port) from refused


def _refused(error: OSError, host: str, port: int) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return Invalid(f"another program listens at port {port} of {host}; take another with --port, or any with 0")
    if error.errno == errno.EADDRNOTAVAIL:
        return Invalid(f"this machine has no address {host!r} to listen at; all it has are 0.0.0.0")
    if error.errno in (errno.EACCES, errno.EPERM):
        return NotPermitted(f"you may not listen at port {port} of {host}; ports from 1024 on are for everybody")
    return Invalid(f"port {port} of {host} cannot be listened at: {error.strerror}")


def url_of(listening: socket.socket) -> str:
    """The URL of a server on this socket.

    Parameters
    ----------
    listening : socket.socket

    Returns
    -------
    str
    """
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: Any, listening: socket.socket, *, log_level: str = "info", ready: Callable[[], None]) -> None:
    """Answer on a socket until SIGINT or SIGTERM; requests that are being answered then are answered.

    Parameters
    ----------
    app : ASGI application
    listening : socket.socket
        It is closed at the end.
    log_level : str
        ``"debug"``, ``"info"``, ``"warning"`` or ``"error"``.
    ready : callable
        Called when the first request may come.

    Raises
    ------
    Invalid
        When there is no such level.
    """
    levels = ("debug", "info", "warning", "error")
    if log_level not in levels:
        raise Invalid(f"there is no log level {log_level!r}; there are {listed(levels)}")
    config = uvicorn.Config(
        app,
        log_config=log_settings(log_level),
        access_log=log_level in ("debug", "info"),
        lifespan="off",
        ws="none",
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_LAST_WORDS,
        callback_notify=_give_memory_back,
        timeout_notify=_TIDIED_EVERY,
    )
    # Each thread that decodes keeps memory for itself; more of them than there are processors decode no faster.
    for name in ("ZARR_THREADING__MAX_WORKERS", "ZARR_ASYNC__CONCURRENCY"):
        os.environ.setdefault(name, str(os.cpu_count() or 1))
    # What is there at the start stays; and a page of a listing is no reason to look at all that there is.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    server = _Server(config, ready)
    # A signal may come before the server minds signals; and that which ended it is raised once more when it has ended.
    kept = {number: signal.signal(number, server.stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with listening:
            server.run(sockets=[listening])
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    logging.getLogger("databroker_like.service").info("the server has ended")


async def _give_memory_back() -> None:
    """Give memory that is free back to the system, which allocators keep for themselves otherwise."""
    try:
        await asyncio.to_thread(_tidy)
    except Exception:
        # It would end the server, which needs none of it.
        logging.getLogger("databroker_like.service").exception("memory could not be given back")


def _tidy() -> None:
    if _TRIM is not None:
        _TRIM(0)
    # The allocator of pyarrow keeps what is free in places of its own. Another thread may be importing it just now.
    pool = getattr(sys.modules.get("pyarrow"), "default_memory_pool", None)
    if pool is not None:
        pool().release_unused()


def _trim() -> Any:
    """``malloc_trim`` of the C library; None where there is none, as outside of Linux."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


_TRIM = _trim()


class _Server(uvicorn.Server):
    """A server that says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # A loop that went wrong at the start says so itself.
        if not self.should_exit:
            await asyncio.to_thread(self._ready)

    def stop(self, number: int, frame: FrameType | None) -> None:
        """End when what is being done is done."""
        self.should_exit = True
