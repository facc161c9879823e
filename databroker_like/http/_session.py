"""A conversation with one server: credentials that go to it alone, requests that are repeated, errors of our own."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx

from databroker_like.errors import NotPermitted, ServiceFailed, Unreachable
from databroker_like.http._bodies import sent
from databroker_like.http._caching import STORED_AT, Caching, ResponseCache
from databroker_like.http._exchange import Asked, Params, Reply, observed
from databroker_like.http._passing import Passing, Patience, asked_to_wait, said_of
from databroker_like.http._status import detail_of, error_for, is_passing
from databroker_like.http._urls import in_words, origin, parsed, without_secrets

__all__ = ["Session"]

T = TypeVar("T")

#: What a refusal may say; the rest of it is not read.
_REFUSAL_BYTES = 1 << 16
_MOST_REDIRECTS = 5
#: Nothing was sent.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
#: The server says that it has not begun: no time to wait for all of the request, too early, too many.
_UNTOUCHED = (408, 425, 429)
#: For so many seconds a server that could not be reached is not asked for what is cached.
_AWAY_SECONDS = 30.0
#: So often it is asked all the same, at first.
_PATIENCE = 3


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
    auth : httpx.Auth, optional
        Adds credentials of its own kind to what goes to this server; nothing is cached then.
    cache : ResponseCache, optional
        Where replies of this server are kept.
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
        auth: httpx.Auth | None = None,
        cache: ResponseCache | None = None,
    ) -> None:
        self._own = parsed(url)
        self.headers = dict(headers or {})
        #: The value of the header Authorization, or None; never shown.
        self.authorization: str | None = None
        #: Takes the value of Authorization that was refused, and says whether there is another now.
        self.renew: Callable[[str | None], bool] | None = None
        self.auth = auth
        self.caching = None if cache is None else Caching(cache)
        self.max_connections = max_connections
        self._heard = False
        self._away_until, self._away_told = 0.0, False
        self._lock = threading.Lock()
        self._client = httpx.Client(
            timeout=httpx.Timeout(30.0, connect=5.0) if timeout is None else timeout,
            verify=verify,
            trust_env=trust_env,
            transport=transport,
            limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
            headers={"User-Agent": "databroker-like"},
            # Cookies know of no port, and credentials do not go by them.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    def __repr__(self) -> str:
        return f"Session({without_secrets(self._own)!r})"

    def close(self) -> None:
        """End all connections."""
        self._client.close()

    @property
    def timeout(self) -> httpx.Timeout:
        """How long it waits to connect, to send and to be answered."""
        return self._client.timeout

    @property
    def is_closed(self) -> bool:
        """Whether it has been closed."""
        return self._client.is_closed

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
        secret: bool = False,
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
        secret : bool
            Whether the body is a password or a token: it is sent without credentials, and to no other server.

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
            return Reply(response.read(), kind, in_words(response.request.url))

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
            secret=secret,
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
        headers: Mapping[str, str] | None = None,
        secret: bool = False,
    ) -> T:
        """A reply, as it comes in.

        Parameters
        ----------
        method, url, params, accept, json, content, content_type, repeat, doubted, secret
            As of `fetch`.
        into : callable
            Takes the open response and reads it. It is called again from the start when the connection breaks.
        headers : mapping, optional
            Sent with this request besides.

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
        body = {"json": json} if content is None else sent(content, content_type)
        more = {"Accept": accept, **(headers or {}), **body.pop("headers", {})}
        asked = Asked(method, more, body, repeat or method in ("GET", "HEAD"), secret)
        # What was waited for a moment ago, in vain, is asked for once.
        patience = Patience(1 if time.monotonic() < self._away_until else None)
        while True:
            try:
                return self._once(asked, target, into, patience.attempt < min(_PATIENCE, patience.most))
            except Passing as passing:
                if doubted is not None and not passing.untouched:
                    doubted()
                if not patience.wait(passing):
                    # It says what happened; the tracebacks of httpx and of what is below add nothing to it.
                    raise passing.error from None

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
        found = parsed(url, self._own)
        if self._own.scheme == "https" and found.scheme == "http" and found.host == self._own.host:
            found = found.copy_with(scheme="https", port=self._own.port)
        return found

    @property
    def is_secure(self) -> bool:
        """Whether this server is spoken with by https."""
        return self._own.scheme == "https"

    def is_own(self, url: httpx.URL) -> bool:
        """Whether a URL is on this server, to which alone credentials go."""
        return origin(url) == origin(self._own)

    def send(self, request: httpx.Request) -> httpx.Response:
        """A reply to a request as it is, which is to be closed: nothing is added to it, followed or repeated.

        Parameters
        ----------
        request : httpx.Request

        Returns
        -------
        httpx.Response
        """
        return self._send(request, None)

    def renewed(self, request: httpx.Request, response: httpx.Response) -> bool:
        """Whether the server refused the credentials of a request, and `authorization` is now another.

        Parameters
        ----------
        request : httpx.Request
        response : httpx.Response

        Returns
        -------
        bool
        """
        if not _is_unknown(response) or self.renew is None:
            return False
        return self.renew(request.headers.get("authorization"))

    def _once(self, asked: Asked, url: httpx.URL, into: Callable[[httpx.Response], T], patient: bool) -> T:
        """One attempt, along redirects; when it fails and is not to be repeated, what is held."""
        renewed = False
        for _ in range(_MOST_REDIRECTS + 2):
            request = self._request(asked, url)
            own = self.is_own(url)
            caching = self.caching if own and asked.method == "GET" and self.auth is None else None
            held = None if caching is None else caching.held(request)
            if held is not None and caching is not None:
                if caching.is_fresh(held) or time.monotonic() < self._away_until:
                    return into(held)
                if "etag" in held.headers:
                    request.headers["If-None-Match"] = held.headers["etag"]
            try:
                response = self._send(request, self.auth if own and not asked.secret else None)
                try:
                    if response.has_redirect_location:
                        url = self._redirected(asked, url, response)
                        continue
                    if own and not asked.secret and not renewed and self.renewed(request, response):
                        renewed = True
                        continue
                    if response.status_code >= 400:
                        self._refused(response, asked.repeatable)
                    if response.status_code >= 300 and (response.status_code != 304 or held is None):
                        raise ServiceFailed(f"{response.status_code} from {in_words(url)} leads nowhere")
                    if caching is not None:
                        return into(caching.reply(request, response, held))
                    if self.caching is not None and asked.method not in ("GET", "HEAD"):
                        self.caching.changed()
                    return into(response)
                finally:
                    response.close()
            except Passing as passing:
                if held is None or patient:
                    raise
                return into(self._while_away(held, passing.error))
            except (httpx.TransportError, httpx.DecodingError) as error:
                told = Unreachable(f"{said_of(error)} ({in_words(url)})")
                # A server that has never answered is not there; one that has, may be again.
                untouched = isinstance(error, _UNSENT)
                if held is not None and not (patient and self._heard):
                    return into(self._while_away(held, told))
                if (asked.repeatable or untouched) and self._heard:
                    raise Passing(told, None, untouched) from None
                raise told from None
        raise ServiceFailed(f"the server redirects again and again ({in_words(url)})")

    def _request(self, asked: Asked, url: httpx.URL) -> httpx.Request:
        own = self.is_own(url)
        headers = {**(self.headers if own else {}), **asked.headers}
        if own and self.authorization and not asked.secret:
            headers["Authorization"] = self.authorization
        return self._client.build_request(asked.method, url, headers=headers, **asked.body)

    def _send(self, request: httpx.Request, auth: httpx.Auth | None) -> httpx.Response:
        response = observed(request, lambda: self._client.send(request, stream=True, auth=auth, follow_redirects=False))
        self._heard = True
        if not is_passing(response.status_code):
            self._away_until, self._away_told = 0.0, False
        return response

    def _while_away(self, held: httpx.Response, error: Exception) -> httpx.Response:
        """What is held of a server that cannot be reached; it is said once that it is so."""
        self._away_until = time.monotonic() + _AWAY_SECONDS
        if not self._away_told:
            self._away_told = True
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(held.extensions.get(STORED_AT, 0.0)))
            warnings.warn(f"{error}: what is cached is given, this as of {when}", UserWarning, stacklevel=2)
        return held

    def _redirected(self, asked: Asked, url: httpx.URL, response: httpx.Response) -> httpx.URL:
        where, method = parsed(response.headers["location"], url), asked.method
        if url.scheme == "https" and where.scheme != "https":
            raise ServiceFailed(f"the server redirects from https to {without_secrets(where)}, which is not followed")
        to_https = where.host == url.host and url.scheme == "http" and where.scheme == "https"
        if asked.secret and origin(where) != origin(url) and not to_https:
            raise ServiceFailed(f"the server redirects a secret to {without_secrets(where)}, which is not followed")
        if method != "GET" and response.status_code not in (307, 308):
            raise ServiceFailed(f"the server redirects a {method} to {without_secrets(where)}, which is not followed")
        if self.is_own(url) and to_https:
            if self.authorization or asked.secret:
                warnings.warn(
                    f"the server at {without_secrets(url.copy_with(path='/', query=None))} is reached by https, and "
                    "what proves who you are went to it unencrypted once; write https://",
                    UserWarning,
                    stacklevel=2,
                )
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
        error = error_for(response.status_code, detail, in_words(response.request.url))
        if response.status_code == 401 and not _is_unknown(response):
            error = NotPermitted(*error.args)
        untouched = response.status_code in _UNTOUCHED
        if (repeatable or untouched) and is_passing(response.status_code):
            raise Passing(error, asked_to_wait(response), untouched)
        raise error


def _is_unknown(response: httpx.Response) -> bool:
    """Whether the server does not know who asks; not whether who asks may do too little, which Tiled says so, too."""
    if response.status_code != 401:
        return False
    names_scopes = "scope=" in response.headers.get("www-authenticate", "")
    return not (names_scopes and "authorization" in response.request.headers) or _is_too_old(response)


def _is_too_old(response: httpx.Response) -> bool:
    """Whether a refusal that names what one would have to be allowed is one of a token that is too old."""
    length = response.headers.get("content-length", "")
    if not length.isdigit() or int(length) > _REFUSAL_BYTES:
        return False
    return b"expired" in response.read()
