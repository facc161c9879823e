"""The server that a client speaks with."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import msgpack
import orjson

from databroker_like.errors import Invalid, NotAuthenticated, NotFound, ServiceFailed
from databroker_like.http import InProcess, Session

if TYPE_CHECKING:
    import httpx

__all__ = ["About", "Context"]

_API = "/api/v1"
_UNDERSTOOD = "application/x-msgpack, application/json;q=0.9"
#: What an HTTP header can hold without being another header.
_KEY = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class About:
    """What a server says of itself.

    Parameters
    ----------
    api_version : int
    library_version : str
    formats : dict
        Structure family or spec -> the media types that it is exported as.
    aliases : dict
        Structure family or spec -> media type -> short names.
    queries : list of str
    authentication : dict
        Whether it is ``required``, and the ``providers``.
    links, meta : dict
    """

    api_version: int
    library_version: str
    formats: Mapping[str, Sequence[str]]
    aliases: Mapping[str, Mapping[str, Sequence[str]]]
    queries: Sequence[str]
    authentication: Mapping[str, Any]
    links: Mapping[str, Any]
    meta: Mapping[str, Any]

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> About:
        """From the wire; what else a server says is left out.

        Parameters
        ----------
        obj : mapping

        Returns
        -------
        About
        """
        return cls(
            obj.get("api_version", 0),
            str(obj.get("library_version", "")),
            obj.get("formats") or {},
            obj.get("aliases") or {},
            obj.get("queries") or [],
            obj.get("authentication") or {},
            obj.get("links") or {},
            obj.get("meta") or {},
        )


class Context:
    """A server of the Tiled protocol: where it is, how it is spoken with, and by whom.

    Nothing is asked until it is needed. The API key goes to this server alone, and is never shown.

    Parameters
    ----------
    uri : str
        Where the API is, as ``http://localhost:8000/api/v1``; `from_any_uri` takes any other form.
    headers : mapping, optional
        Sent with every request to this server.
    api_key : str, optional
        The environment variable ``TILED_API_KEY`` by default.
    timeout : httpx.Timeout or float, optional
        Five seconds to connect, thirty to read, by default.
    verify : bool or ssl.SSLContext
        Whether, or by what, certificates are checked.
    app : ASGI application, optional
        Asked in this process in place of a server; `from_app` does so.
    max_connections : int
        At the same time; 16 by default.
    show_progress : bool, optional
        Whether long reads and writes show how far they are, on a terminal or in a notebook; when they take long, by
        default.
    trust_env : bool
        Whether proxies are taken from the environment; True by default.
    """

    def __init__(
        self,
        uri: str,
        *,
        headers: Mapping[str, str] | None = None,
        api_key: str | None = None,
        timeout: httpx.Timeout | float | None = None,
        verify: Any = True,
        app: Any = None,
        max_connections: int = 16,
        show_progress: bool | None = None,
        trust_env: bool = True,
    ) -> None:
        # Kept to open the same again in another process.
        self._settings = {
            "headers": headers,
            "timeout": timeout,
            "verify": verify,
            "max_connections": max_connections,
            "show_progress": show_progress,
            "trust_env": trust_env,
        }
        #: Whether long reads and writes show how far they are; None is when they take long.
        self.show_progress = show_progress
        bare, key_in_uri = _without_key(uri)
        self.api_uri = bare.rstrip("/")
        self._app = app
        self._transport = None if app is None else InProcess(app)
        self.session = Session(
            self.api_uri,
            headers=headers,
            timeout=timeout,
            verify=verify,
            max_connections=max_connections,
            trust_env=trust_env,
            transport=self._transport,
        )
        self._server_info: About | None = None
        self._lock = threading.Lock()
        self._api_key: str | None = None
        self.api_key = api_key or key_in_uri or (os.environ.get("TILED_API_KEY") if app is None else None)

    @classmethod
    def from_any_uri(
        cls,
        uri: str,
        *,
        headers: Mapping[str, str] | None = None,
        api_key: str | None = None,
        timeout: httpx.Timeout | float | None = None,
        verify: Any = True,
        app: Any = None,
        max_connections: int = 16,
        trust_env: bool = True,
    ) -> tuple[Context, list[str]]:
        """The server of a URI in any of its forms, and the path of a node on it.

        Parameters
        ----------
        uri : str
            ``http://localhost:8000``, ``.../api``, ``.../api/v1`` or ``.../api/v1/metadata/a/b``; with
            ``?api_key=...`` or without.
        headers, api_key, timeout, verify, app, max_connections, trust_env
            As of `Context`.

        Returns
        -------
        Context
        list of str
            Empty for the root.

        Raises
        ------
        Invalid
            When it is no URI of http or https.

        Examples
        --------
        >>> context, path = Context.from_any_uri("http://localhost:8000/api/v1/metadata/a/b%20c?api_key=secret")
        >>> context
        Context('http://localhost:8000/api/v1')
        >>> path
        ['a', 'b c']
        """
        api_uri, path_parts = _split(uri)
        context = cls(
            api_uri,
            headers=headers,
            api_key=api_key,
            timeout=timeout,
            verify=verify,
            app=app,
            max_connections=max_connections,
            trust_env=trust_env,
        )
        return context, path_parts

    @classmethod
    def from_app(
        cls,
        app: Any,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: httpx.Timeout | float | None = None,
        api_key: str | None = None,
        uri: str | None = None,
        max_connections: int = 16,
    ) -> Context:
        """An ASGI application in this process: no server, no port.

        Parameters
        ----------
        app : ASGI application
        headers, timeout, max_connections
            As of `Context`.
        api_key : str, optional
            Only this one; ``TILED_API_KEY`` is meant for another server.
        uri : str, optional
            What the application believes to be its own; ``http://local-app/api/v1`` by default.

        Returns
        -------
        Context
        """
        return cls(
            uri or f"http://local-app{_API}",
            headers=headers,
            timeout=timeout,
            api_key=api_key,
            app=app,
            max_connections=max_connections,
        )

    def __repr__(self) -> str:
        return f"Context({self.api_uri!r})"

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._app is not None:
            raise TypeError("a context of an application in process cannot be pickled; serve the application")
        return _reopened, (self.api_uri, self._api_key, self._settings)

    def close(self) -> None:
        """End all connections, and an application in process."""
        self.session.close()
        if self._transport is not None:
            self._transport.close()

    @property
    def api_key(self) -> str | None:
        """The key that is sent to this server; None when none is."""
        return self._api_key

    @api_key.setter
    def api_key(self, value: str | None) -> None:
        if value is not None and not _KEY.fullmatch(value):
            raise Invalid("an API key has letters, digits and signs only, without spaces")
        self._api_key = value
        self.session.authorization = None if value is None else f"Apikey {value}"

    @property
    def server_info(self) -> About:
        """What the server says of itself; asked for once."""
        with self._lock:
            if self._server_info is None:
                self._server_info = About.from_json(self.get_json(f"{self.api_uri}/"))
            return self._server_info

    @property
    def max_connections(self) -> int:
        """How many requests are made side by side."""
        return self.session.max_connections

    def node_url(self, path_parts: Sequence[str]) -> str:
        """Where the metadata of a node is.

        Parameters
        ----------
        path_parts : sequence of str

        Returns
        -------
        str
        """
        return f"{self.api_uri}/metadata/{'/'.join(quote(part, safe='') for part in path_parts)}"

    def get_json(self, url: str, params: Sequence[tuple[str, str | int]] = ()) -> Any:
        """The content of a reply in msgpack or JSON.

        Parameters
        ----------
        url : str
        params : sequence of (name, value)
            Added to the URL.

        Returns
        -------
        object

        Raises
        ------
        DatabrokerError
            Of the class that stands for the refusal.
        """
        try:
            reply = self.session.fetch("GET", url, params=params, accept=_UNDERSTOOD)
        except NotAuthenticated as error:
            wanted = "refuses this API key" if self._api_key else "wants an API key"
            raise NotAuthenticated(
                f"the server at {self.api_uri} {wanted}: give from_uri(..., api_key=...) or set TILED_API_KEY; {error}"
            ) from error
        try:
            if reply.content_type == "application/x-msgpack":
                return msgpack.unpackb(reply.content, timestamp=3)
            if reply.content_type == "application/json":
                return orjson.loads(reply.content)
        except (ValueError, msgpack.UnpackException) as error:
            raise ServiceFailed(f"the reply of {reply.url} is broken: {error}") from error
        kind = reply.content_type or "no content type"
        raise ServiceFailed(
            f"{reply.url} answers with {kind}, as no server of the Tiled protocol does; is the address right?"
        )

    def get_item(self, path_parts: Sequence[str], *, include_data_sources: bool = False) -> dict[str, Any]:
        """What the server says of one node.

        Parameters
        ----------
        path_parts : sequence of str
        include_data_sources : bool

        Returns
        -------
        dict

        Raises
        ------
        NotFound
            When there is none, or its data is gone.
        """
        params = [("include_data_sources", "true")] if include_data_sources else []
        try:
            return self.get_json(self.node_url(path_parts), params)["data"]
        except NotFound as error:
            raise NotFound(f"there is no {'/'.join(path_parts)!r} at {self.api_uri}: {error}") from error
        except FileNotFoundError as error:
            raise NotFound(f"the data of {'/'.join(path_parts)!r} at {self.api_uri} is gone: {error}") from error


def _reopened(uri: str, api_key: str | None, settings: dict[str, Any]) -> Context:
    return Context(uri, api_key=api_key, **settings)


def _without_key(uri: str) -> tuple[str, str | None]:
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise Invalid(f"{parts.scheme or uri!r} is no address of a server: write http://localhost:8000, or https://...")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    key = next((value for name, value in pairs if name == "api_key"), None)
    rest = urlencode([(name, value) for name, value in pairs if name != "api_key"])
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, rest, "")), key or None


def _split(uri: str) -> tuple[str, list[str]]:
    parts = urlsplit(uri)
    before, found, after = f"{parts.path}/".partition(f"{_API}/")
    if not found:
        before = parts.path.rstrip("/").removesuffix("/api")
    segments = [unquote(segment) for segment in after.split("/") if segment]
    if segments and segments[0] != "metadata":
        raise Invalid(f"{parts.path!r} is no address of a node; one reads .../api/v1/metadata/name")
    return urlunsplit((parts.scheme, parts.netloc, f"{before}{_API}", parts.query, "")), segments[1:]
