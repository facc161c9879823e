"""The server that a client speaks with."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgpack
import orjson

from databroker_like.client._about import About
from databroker_like.client._addresses import node_of, without_key
from databroker_like.client._login._accounts import Accounts
from databroker_like.client._login._tokens import TokenFolder, Tokens
from databroker_like.errors import NotAuthenticated, NotFound, ServiceFailed, WrongType
from databroker_like.http import InProcess, Reply, Session, client_of
from databroker_like.utils._node_path import path_of
from databroker_like.utils._once import once

if TYPE_CHECKING:
    import httpx

    from databroker_like.client.cache import Cache

__all__ = ["About", "Context"]

_API = "/api/v1"
_UNDERSTOOD = "application/x-msgpack, application/json;q=0.9"


class Context(Accounts):
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
    cache : Cache, optional
        Where replies are kept: what has not changed is not sent again, and is there while the server is not.
    timeout : httpx.Timeout or float, optional
        Five seconds to connect, thirty to read, by default.
    verify : bool or ssl.SSLContext
        Whether, or by what, certificates are checked.
    app : ASGI application, optional
        Asked in this process in place of a server; `from_app` does so.
    auth : httpx.Auth, optional
        Credentials of another kind than API keys and tokens.
    max_connections : int
        At the same time; 16 by default.
    show_progress : bool, optional
        Whether long reads and writes show how far they are, on a terminal or in a notebook; when they take long, by
        default.
    trust_env : bool
        Whether proxies are taken from the environment; True by default.
    token_cache : path, optional
        The folder in which tokens are remembered; that of Tiled's clients by default.
    """

    def __init__(
        self,
        uri: str,
        *,
        headers: Mapping[str, str] | None = None,
        api_key: str | None = None,
        cache: Cache | None = None,
        timeout: httpx.Timeout | float | None = None,
        verify: Any = True,
        app: Any = None,
        auth: httpx.Auth | None = None,
        max_connections: int = 16,
        show_progress: bool | None = None,
        trust_env: bool = True,
        token_cache: str | os.PathLike[str] | None = None,
    ) -> None:
        if isinstance(cache, str | os.PathLike):
            raise WrongType(f"a cache is no path: write cache=Cache({os.fspath(cache)!r}), from databroker_like.client")
        # Kept to open the same again in another process.
        self._settings = {
            "headers": headers,
            "cache": cache,
            "timeout": timeout,
            "verify": verify,
            "auth": auth,
            "max_connections": max_connections,
            "show_progress": show_progress,
            "trust_env": trust_env,
            "token_cache": token_cache,
        }
        #: Whether long reads and writes show how far they are; None is when they take long.
        self.show_progress = show_progress
        bare, key_in_uri = without_key(uri)
        api_uri = bare.rstrip("/")
        self._app = app
        self._transport = None if app is None else InProcess(app)
        self._cache = cache
        session = Session(
            api_uri,
            headers=headers,
            timeout=timeout,
            verify=verify,
            max_connections=max_connections,
            trust_env=trust_env,
            transport=self._transport,
            auth=auth,
            cache=cache,
        )
        super().__init__(session, api_uri, TokenFolder(api_uri, token_cache))
        self._server_info: About | None = None
        key_of_environment = os.environ.get("TILED_API_KEY") if app is None and auth is None else None
        self.api_key = api_key or key_in_uri or key_of_environment or None

    @classmethod
    def from_any_uri(
        cls,
        uri: str,
        **settings: Any,
    ) -> tuple[Context, list[str]]:
        """The server of a URI in any of its forms, and the path of a node on it.

        Parameters
        ----------
        uri : str
            ``http://localhost:8000``, ``.../api``, ``.../api/v1`` or ``.../api/v1/metadata/a/b``; with
            ``?api_key=...`` or without.
        **settings
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
        api_uri, path_parts = node_of(uri)
        return cls(api_uri, **settings), path_parts

    @classmethod
    def from_app(
        cls,
        app: Any,
        *,
        api_key: str | None = None,
        uri: str | None = None,
        **settings: Any,
    ) -> Context:
        """An ASGI application in this process: no server, no port.

        Parameters
        ----------
        app : ASGI application
        api_key : str, optional
            Only this one; ``TILED_API_KEY`` is meant for another server.
        uri : str, optional
            What the application believes to be its own; ``http://local-app/api/v1`` by default.
        **settings
            As of `Context`.

        Returns
        -------
        Context
        """
        return cls(uri or f"http://local-app{_API}", api_key=api_key, app=app, **settings)

    def __repr__(self) -> str:
        return f"Context({self.api_uri!r})"

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._app is not None:
            raise TypeError("a context of an application in process cannot be pickled; serve the application")
        return _reopened, (self.api_uri, self.api_key, dict(self.tokens), self._remembered, self._settings)

    def close(self) -> None:
        """End all connections, and an application in process."""
        self.session.close()
        if self._transport is not None:
            self._transport.close()

    @property
    def app(self) -> Any:
        """The application in this process; None when it is a server."""
        return self._app

    @property
    def verify(self) -> Any:
        """Whether, or by what, certificates are checked."""
        return self._settings["verify"]

    @property
    def trust_env(self) -> bool:
        """Whether proxies are taken from the environment."""
        return bool(self._settings["trust_env"])

    @property
    def cache(self) -> Cache | None:
        """Where replies are kept; None when they are not."""
        return self._cache

    @once
    def http_client(self) -> httpx.Client:
        """A client of httpx for requests of one's own to this server: ``context.http_client.get(url)``.

        It sends what this context sends: its headers, and the API key or token, to this server alone. Unlike the
        methods here it repeats nothing, and a refusal is a response with the status.
        """
        return client_of(self.session)

    @property
    def server_info(self) -> About:
        """What the server says of itself; asked for once."""
        if self._server_info is None:
            url = f"{self.api_uri}/"
            try:
                # Anyone may ask that; a token may be too old just now.
                reply = self.session.fetch("GET", url, accept=_UNDERSTOOD, secret=True)
            except NotAuthenticated:
                self._server_info = About.from_json(self.get_json(url))
            else:
                self._server_info = About.from_json(_content(reply))
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
        return f"{self.api_uri}/metadata/{path_of(path_parts)}"

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
            raise self._unknown(error) from None
        return _content(reply)

    def send_json(self, method: str, url: str, value: Any = None, params: Sequence[tuple[str, str | int]] = ()) -> Any:
        """Send JSON, once: it changes something.

        Parameters
        ----------
        method : str
        url : str
        value : object, optional
            What is sent.
        params : sequence of (name, value)
            Added to the URL.

        Returns
        -------
        object
            The content of the reply; None when it has none.

        Raises
        ------
        DatabrokerError
            Of the class that stands for the refusal.
        """
        try:
            reply = self.session.fetch(method, url, params=params, accept=_UNDERSTOOD, json=value)
        except NotAuthenticated as error:
            raise self._unknown(error) from None
        return _content(reply) if reply.content else None

    def _unknown(self, error: NotAuthenticated) -> NotAuthenticated:
        """The error of a server that does not know who one is, with what to do."""
        if self.tokens or "is over" in str(error):
            return error
        wanted = "refuses this API key" if self.api_key else "wants an API key"
        return NotAuthenticated(
            f"the server at {self.api_uri} {wanted}: give from_uri(..., api_key=...), set TILED_API_KEY, or log in by "
            f".login() where the server has users; {error}"
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
            if not path_parts:
                raise NotFound(
                    f"there is no server of the Tiled protocol at {self.api_uri}: {error}; is the address right?"
                ) from None
            raise NotFound(f"there is no {'/'.join(path_parts)!r} at {self.api_uri}: {error}") from None
        except FileNotFoundError as error:
            raise NotFound(f"the data of {'/'.join(path_parts)!r} at {self.api_uri} is gone: {error}") from None


_reopening = threading.Lock()
_open: dict[tuple[Any, ...], Context] = {}
#: Of contexts that came from other processes, so many are kept for the next that comes.
_MOST_OPEN = 8


def _reopened(
    uri: str, api_key: str | None, tokens: dict[str, Any], remembered: bool, settings: dict[str, Any]
) -> Context:
    # Each task of a graph of dask brings its client along: they share one context, and so its connections.
    key = (uri, api_key, repr(sorted(tokens.items())), remembered, repr(sorted(settings.items())))
    with _reopening:
        context = _open.get(key)
        if context is None or context.session.is_closed:
            context = _open[key] = Context(uri, api_key=api_key, **settings)
            if tokens:
                context._use(Tokens(**tokens), remembered)
            while len(_open) > _MOST_OPEN:
                del _open[next(iter(_open))]
        return context


def _content(reply: Reply) -> Any:
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
