"""Which replies are kept, how long they are as good as new, and what is asked when they are not."""

from __future__ import annotations

import email.utils
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Protocol, TypeVar

import httpx

from databroker_like.errors import DatabrokerError

__all__ = ["STORED_AT", "Caching", "ResponseCache"]

T = TypeVar("T")

#: Where a cached response says when it was stored: among its extensions, in seconds of the epoch.
STORED_AT = "stored_at"
#: What is said of one conversation, not of the content.
_OF_THE_MOMENT = ("content-encoding", "content-length", "transfer-encoding", "connection", "set-cookie", "keep-alive")


class ResponseCache(Protocol):
    """Where replies are kept, as `databroker_like.client.cache.Cache`."""

    @property
    def max_item_size(self) -> float:
        """The most bytes of one."""

    def get(self, request: httpx.Request) -> httpx.Response | None:
        """What was answered to such a request, to one with such credentials."""

    def set(self, *, request: httpx.Request, response: httpx.Response, content: bytes | None = None) -> object:
        """Keep it."""

    def delete(self, request: httpx.Request) -> object:
        """Keep it no longer."""


class Caching:
    """The rules of a private cache of HTTP, over some place where replies are kept.

    Parameters
    ----------
    kept : ResponseCache
    """

    def __init__(self, kept: ResponseCache) -> None:
        self.kept = kept
        # What was kept before this session changed something is asked for again, however fresh.
        self._changed_at = 0.0
        self._failed = False

    def changed(self) -> None:
        """Something was written: nothing older is as good as new."""
        self._changed_at = time.time()

    def held(self, request: httpx.Request) -> httpx.Response | None:
        """The reply that is kept for a request.

        Parameters
        ----------
        request : httpx.Request

        Returns
        -------
        httpx.Response or None
        """
        found = self._tried(lambda: self.kept.get(request))
        if found is not None:
            found.request = request
        return found

    def is_fresh(self, held: httpx.Response) -> bool:
        """Whether the server said that it would still answer the same.

        Parameters
        ----------
        held : httpx.Response

        Returns
        -------
        bool
        """
        stored = held.extensions.get(STORED_AT, 0.0)
        age = time.time() - stored
        if stored <= self._changed_at or age < 0:
            return False
        return age + _number(held.headers.get("age")) < _lifetime(held.headers)

    def reply(self, request: httpx.Request, response: httpx.Response, held: httpx.Response | None) -> httpx.Response:
        """What is read in place of an open response: kept, taken from what was kept, or as it comes.

        Parameters
        ----------
        request : httpx.Request
        response : httpx.Response
            Open; with status 200 or 304, or another, of which nothing is kept.
        held : httpx.Response, optional
            What was kept before.

        Returns
        -------
        httpx.Response
        """
        if response.status_code == 304 and held is not None:
            return self._confirmed(request, response, held)
        said = _directives(response.headers)
        if response.status_code != 200 or "no-store" in said or response.headers.get("vary", "").strip() == "*":
            if held is not None:
                self._tried(lambda: self.kept.delete(request))
            return response
        most = self.kept.max_item_size
        if _number(response.headers.get("content-length")) > most:
            return response
        content = b""
        parts = response.iter_bytes()
        for part in parts:
            content += part
            if len(content) > most:
                return _made(response, request, stream=_Chained(chain([content], parts)))
        whole = _made(response, request, content=content)
        self._tried(lambda: self.kept.set(request=request, response=whole, content=content))
        return whole

    def _tried(self, work: Callable[[], T]) -> T | None:
        """What the cache does; when it fails, data comes without it."""
        try:
            return work()
        except DatabrokerError as error:
            if not self._failed:
                self._failed = True
                warnings.warn(f"nothing is cached: {error}", UserWarning, stacklevel=2)
            return None

    def _confirmed(self, request: httpx.Request, response: httpx.Response, held: httpx.Response) -> httpx.Response:
        told = {name: value for name, value in response.headers.items() if name not in _OF_THE_MOMENT}
        held.headers.update(told)
        if "no-store" in _directives(held.headers):
            self._tried(lambda: self.kept.delete(request))
        else:
            self._tried(lambda: self.kept.set(request=request, response=held, content=held.content))
        return held


def _made(
    response: httpx.Response,
    request: httpx.Request,
    content: bytes | None = None,
    stream: httpx.SyncByteStream | None = None,
) -> httpx.Response:
    """The same reply with its content decoded."""
    headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in _OF_THE_MOMENT]
    return httpx.Response(response.status_code, headers=headers, content=content, stream=stream, request=request)


class _Chained(httpx.SyncByteStream):
    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return self._parts


def _directives(headers: httpx.Headers) -> dict[str, str]:
    found = {}
    for directive in headers.get("cache-control", "").lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name:
            found[name] = value.strip('" ')
    return found


def _lifetime(headers: httpx.Headers) -> float:
    """For how many seconds a reply is as good as new."""
    said = _directives(headers)
    if "no-cache" in said or "no-store" in said:
        return 0.0
    if "max-age" in said:
        return _number(said["max-age"])
    try:
        until = email.utils.parsedate_to_datetime(headers["expires"]).timestamp()
        # By the clock of the server, which may not be ours.
        since = email.utils.parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError):
        return 0.0
    return until - since


def _number(text: str | None) -> float:
    return float(text) if text is not None and text.isdecimal() else 0.0
