"""A conversation with one server: credentials that go to it alone, requests that are repeated, errors of our own."""

from __future__ import annotations

import email.utils
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
import stamina

from databroker_like.errors import DatabrokerError, Invalid, ServiceFailed, Unreachable
from databroker_like.http._status import detail_of, error_for, is_passing

__all__ = ["Params", "Reply", "Session", "without_secrets"]

Params = Sequence[tuple[str, str | int]]
T = TypeVar("T")

#: What a refusal may say; the rest of it is not read.
_REFUSAL_BYTES = 1 << 16
_MOST_REDIRECTS = 5
_LONGEST_PAUSE = 30.0
_PART_BYTES = 1 << 20
#: Nothing was sent.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
#: The server says that it has not begun: no time to wait for all of the request, too early, too many.
_UNTOUCHED = (408, 425, 429)
_PORTS = {"http": 80, "https": 443}
#: Parameters that are no one else's business, in an error or a log.
_SECRETS = ("api_key", "access_token", "code", "state")


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


class _Passing(Exception):
    """A failure that may be over a little later."""

    def __init__(self, error: DatabrokerError, pause: float | None, untouched: bool) -> None:
        self.error = error
        self.pause = pause
        #: Whether the server has certainly done nothing.
        self.untouched = untouched


class Session:
    """A conversation with the server of one URL.

    Parameters
    ----------
    url : str
        Where the server is. Credentials go to its host, scheme and port alone, whatever a link or redirect says.
    headers : mapping, optional
        Sent with every request to this server.
    timeout : httpx.Timeout or float, optional
        Five seconds to connect, thirty to read or write, by default.
    verify : bool, str or ssl.SSLContext
        Whether, or by what, certificates are checked.
    max_connections : int
        At the same time; 16 by default.
    trust_env : bool
        Whether proxies are taken from the environment; True by default.
    transport : httpx.BaseTransport, optional
        In place of the network, as `InProcess`.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: httpx.Timeout | float | None = None,
        verify: Any = True,
        max_connections: int = 16,
        trust_env: bool = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._own = _parsed(url)
        self.headers = dict(headers or {})
        #: The value of the header Authorization, or None; never shown.
        self.authorization: str | None = None
        self.max_connections = max_connections
        self._heard = False
        self._lock = threading.Lock()
        self._client = httpx.Client(
            timeout=httpx.Timeout(30.0, connect=5.0) if timeout is None else timeout,
            verify=verify,
            trust_env=trust_env,
            transport=transport,
            limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
            headers={"User-Agent": "databroker-like"},
        )

    def __repr__(self) -> str:
        return f"Session({without_secrets(self._own)!r})"

    def close(self) -> None:
        """End all connections."""
        self._client.close()

    def fetch(
        self,
        method: str,
        url: str,
        *,
        params: Params = (),
        accept: str = "*/*",
        json: Any = None,
        content: bytes | memoryview | None = None,
        content_type: str = "application/octet-stream",
        repeat: bool = False,
        doubted: Callable[[], None] | None = None,
    ) -> Reply:
        """The whole of a reply.

        Parameters
        ----------
        method : str
        url : str
            Absolute, or from the root of the server.
        params : sequence of (name, value)
            Added to those that the URL has.
        accept : str
            The media types that are understood.
        json : object, optional
            The body.
        content : bytes or memoryview, optional
            The body, in place of ``json``; memory is sent as it is, in parts.
        content_type : str
            Of the content.
        repeat : bool
            Whether it may be done twice, and is repeated as a GET is when the connection breaks or the server is busy.
            What may not is repeated only when the server has certainly not begun with it.
        doubted : callable, optional
            Called when an attempt ends of which nobody knows whether the server did it, before it is repeated.

        Returns
        -------
        Reply

        Raises
        ------
        DatabrokerError
            Of the class that the status stands for; Unreachable when there is no answer.
        """

        def whole(response: httpx.Response) -> Reply:
            kind = response.headers.get("content-type", "").partition(";")[0].strip()
            return Reply(response.read(), kind, without_secrets(response.request.url))

        return self.receive(
            method,
            url,
            whole,
            params=params,
            accept=accept,
            json=json,
            content=content,
            content_type=content_type,
            repeat=repeat,
            doubted=doubted,
        )

    def receive(
        self,
        method: str,
        url: str,
        into: Callable[[httpx.Response], T],
        *,
        params: Params = (),
        accept: str = "*/*",
        json: Any = None,
        content: bytes | memoryview | None = None,
        content_type: str = "application/octet-stream",
        repeat: bool = False,
        doubted: Callable[[], None] | None = None,
    ) -> T:
        """A reply, as it comes in.

        Parameters
        ----------
        method, url, params, accept, json, content, content_type, repeat, doubted
            As of `fetch`.
        into : callable
            Takes the open response and reads it. It is called again from the start when the connection breaks.

        Returns
        -------
        object
            What ``into`` returns.

        Raises
        ------
        DatabrokerError
            As of `fetch`.
        """
        target = self.resolved(url)
        if params:
            query = urlencode(params)
            target = target.copy_with(query=b"&".join(filter(None, [target.query, query.encode()])))
        body = {"json": json} if content is None else _sent(content, content_type)
        repeat = repeat or method in ("GET", "HEAD")
        attempts = int(os.environ.get("TILED_RETRY_ATTEMPTS", 10))
        timeout = float(os.environ.get("TILED_RETRY_TIMEOUT", 45))
        try:
            for attempt in stamina.retry_context(on=_pause_after, attempts=attempts, timeout=timeout, wait_max=10.0):
                with attempt:
                    try:
                        return self._once(method, target, into, accept, body, repeat)
                    except _Passing as passing:
                        if doubted is not None and not passing.untouched:
                            doubted()
                        raise
        except _Passing as passing:
            raise passing.error from passing.__cause__
        raise AssertionError("a retry ends with a value or an error")  # pragma: no cover

    def resolved(self, url: str) -> httpx.URL:
        """A link as it is followed: relative ones from this server, and those to its host in no lesser scheme.

        Parameters
        ----------
        url : str
            As a server behind a proxy may write it, which does not know that it is reached by https.

        Returns
        -------
        httpx.URL
        """
        found = _parsed(url, self._own)
        if self._own.scheme == "https" and found.scheme == "http" and found.host == self._own.host:
            found = found.copy_with(scheme="https", port=self._own.port)
        return found

    def is_own(self, url: httpx.URL) -> bool:
        """Whether a URL is on this server, to which alone credentials go."""
        return _origin(url) == _origin(self._own)

    def _once(
        self,
        method: str,
        url: httpx.URL,
        into: Callable[[httpx.Response], T],
        accept: str,
        body: Mapping[str, Any],
        repeatable: bool,
    ) -> T:
        for _ in range(_MOST_REDIRECTS + 1):
            own = self.is_own(url)
            headers = {"Accept": accept, **(self.headers if own else {})}
            if own and self.authorization:
                headers["Authorization"] = self.authorization
            headers.update(body.get("headers", {}))
            request = self._client.build_request(method, url, **{**body, "headers": headers})
            try:
                response = self._client.send(request, stream=True, auth=None, follow_redirects=False)
                try:
                    self._heard = True
                    if response.is_redirect:
                        url = self._redirected(method, url, response)
                        continue
                    if response.status_code >= 400:
                        self._refused(response, repeatable)
                    return into(response)
                finally:
                    response.close()
            except (httpx.TransportError, httpx.DecodingError) as error:
                told = Unreachable(f"{_said_of(error)} ({without_secrets(url)})")
                # A server that has never answered is not there; one that has, may be again.
                untouched = isinstance(error, _UNSENT)
                if (repeatable or untouched) and self._heard:
                    raise _Passing(told, None, untouched) from error
                raise told from error
        raise ServiceFailed(f"the server redirects again and again ({without_secrets(url)})")

    def _redirected(self, method: str, url: httpx.URL, response: httpx.Response) -> httpx.URL:
        where = _parsed(response.headers["location"], url)
        if url.scheme == "https" and where.scheme != "https":
            raise ServiceFailed(f"the server redirects from https to {without_secrets(where)}, which is not followed")
        if method != "GET" and response.status_code not in (307, 308):
            raise ServiceFailed(f"the server redirects a {method} to {without_secrets(where)}, which is not followed")
        if self.is_own(url) and where.host == url.host and url.scheme == "http" and where.scheme == "https":
            # The server is reached by https from now on, and its credentials go there.
            with self._lock:
                self._own = self._own.copy_with(scheme="https", port=where.port)
        return where

    def _refused(self, response: httpx.Response, repeatable: bool) -> None:
        content = b""
        for part in response.iter_bytes():
            content += part
            if len(content) >= _REFUSAL_BYTES:
                break
        detail = detail_of(content[:_REFUSAL_BYTES], response.headers.get("content-type", ""))
        error = error_for(response.status_code, detail, without_secrets(response.request.url))
        untouched = response.status_code in _UNTOUCHED
        if (repeatable or untouched) and is_passing(response.status_code):
            raise _Passing(error, _asked_to_wait(response), untouched)
        raise error


def _sent(content: bytes | memoryview, content_type: str) -> dict[str, Any]:
    """The arguments of a request with a body."""
    headers = {"Content-Type": content_type}
    if isinstance(content, bytes) or content.nbytes <= _PART_BYTES:
        return {"content": bytes(content), "headers": headers}
    # The length is said, so that no server has to take it in chunks.
    return {"content": _InParts(content.cast("B")), "headers": {**headers, "Content-Length": str(content.nbytes)}}


class _InParts:
    """Memory to be sent, part by part, as often as it is asked for: a large array is not copied as a whole."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, self._memory.nbytes, _PART_BYTES):
            yield bytes(self._memory[at : at + _PART_BYTES])


def _pause_after(error: Exception) -> bool | float:
    if not isinstance(error, _Passing):
        return False
    return True if error.pause is None else error.pause


def _asked_to_wait(response: httpx.Response) -> float | None:
    """The seconds of Retry-After, a number or a date; no more than half a minute."""
    text = response.headers.get("retry-after", "").strip()
    if text.isdigit():
        return min(float(text), _LONGEST_PAUSE)
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
    return min(max(moment - time.time(), 0.0), _LONGEST_PAUSE)


def _said_of(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "the server does not answer in time"
    if isinstance(error, httpx.ConnectError):
        return f"there is no server: {error}"
    if isinstance(error, httpx.UnsupportedProtocol):
        return "only http:// and https:// are understood"
    return f"the connection to the server broke: {error or type(error).__name__}"


def _parsed(url: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        return httpx.URL(url) if base is None else base.join(url)
    except httpx.InvalidURL as error:
        raise Invalid(f"{url!r} is no URL: {error}") from error


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme)


def without_secrets(url: httpx.URL | str) -> str:
    """A URL as it may be shown: without user, password and keys.

    Parameters
    ----------
    url : httpx.URL or str

    Returns
    -------
    str

    Examples
    --------
    >>> without_secrets("http://me:pass@localhost:8000/api/v1/?api_key=secret&fields=count")
    'http://localhost:8000/api/v1/?api_key=...&fields=count'
    """
    parsed = httpx.URL(url)
    if parsed.userinfo:
        parsed = parsed.copy_with(username=None, password=None)
    parts = []
    for part in filter(None, parsed.query.decode("ascii").split("&")):
        name = part.partition("=")[0]
        parts.append(f"{name}=..." if name in _SECRETS else part)
    bare = str(parsed.copy_with(query=None))
    return f"{bare}?{'&'.join(parts)}" if parts else bare
