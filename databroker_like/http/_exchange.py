"""What is asked and what is answered, and who looks on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from databroker_like.http._urls import without_secrets

__all__ = ["Asked", "Params", "Reply", "observed", "watched"]

Params = Sequence[tuple[str, str | int]]
_log = logging.getLogger("databroker_like.http")


@dataclass(frozen=True)
class Reply:
    """A whole reply.

    Parameters
    ----------
    content : bytes
    content_type : str
        Without its parameters, as ``"application/json"``.
    url : str
        Where it came from, without secrets.
    """

    content: bytes
    content_type: str
    url: str


Watcher = Callable[[httpx.Request, httpx.Response | None], None]
_watchers: list[Watcher] = []


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Have something called with each request and None, and again with its response, of all sessions.

    Parameters
    ----------
    watcher : callable

    Yields
    ------
    None
    """
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


@dataclass(frozen=True)
class Asked:
    """A request, wherever redirects lead it."""

    method: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    #: Whether it may be done twice.
    repeatable: bool
    #: Whether its body is a password or a token, so that it goes nowhere else and with nothing else.
    secret: bool


def observed(request: httpx.Request, send: Callable[[], httpx.Response]) -> httpx.Response:
    """Send a request before the eyes of those who look on.

    Parameters
    ----------
    request : httpx.Request
    send : callable

    Returns
    -------
    httpx.Response
    """
    start = time.monotonic()
    for watcher in tuple(_watchers):
        watcher(request, None)
    response = send()
    if _log.isEnabledFor(logging.DEBUG):
        took = (time.monotonic() - start) * 1000
        _log.debug("%s %s -> %d in %.0f ms", request.method, without_secrets(request.url), response.status_code, took)
    for watcher in tuple(_watchers):
        watcher(request, response)
    return response
