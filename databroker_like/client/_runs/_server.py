"""The servers that remote runs are on, each reached by one session in this process, whoever asks."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from databroker_like.client.context import Context
from databroker_like.utils._node_path import path_of

__all__ = ["Server", "server_at"]


class Server:
    """A server on which runs are.

    It pickles with what is needed to reach it, and is the same one again in the process that it comes to. One that is
    an application in process does not pickle.

    Parameters
    ----------
    context : Context
    """

    def __init__(self, context: Context) -> None:
        self.context = context

    def __repr__(self) -> str:
        return f"Server({self.context.api_uri!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        reduced: Any = self.context.__reduce__()
        return _rejoined, (reduced[0], reduced[1])

    @property
    def tells_parts(self) -> bool | None:
        """Whether it tells runs in parts, as our own does; None until it was asked."""
        return _in_parts.get(self.context)

    @tells_parts.setter
    def tells_parts(self, value: bool) -> None:
        _in_parts[self.context] = value

    @property
    def api_uri(self) -> str:
        """Where its routes are."""
        return self.context.api_uri

    def url(self, route: str, path: tuple[str, ...]) -> str:
        """The URL of a node under a route.

        Parameters
        ----------
        route : str
            Such as ``"metadata"``.
        path : tuple of str
            The names on the way to the node.

        Returns
        -------
        str
        """
        return f"{self.api_uri}/{route}/{path_of(path)}"


_in_parts: WeakKeyDictionary[Context, bool] = WeakKeyDictionary()
_servers: dict[str, Server] = {}
_places: dict[str, tuple[Server, tuple[str, ...]]] = {}
_lock = threading.Lock()


@atexit.register
def _close() -> None:
    for server in _servers.values():
        server.context.close()


def server_at(
    url: str, *, headers: Mapping[str, str] | None = None, api_key: str | None = None, **options: Any
) -> tuple[Server, tuple[str, ...]]:
    """The server of a URL, and the path of the node that it names; nothing is asked.

    Parameters
    ----------
    url : str
        As `databroker_like.client.from_uri` takes it.
    headers : mapping, optional
        Sent to this server alone.
    api_key : str, optional
        The environment variable ``TILED_API_KEY`` by default.
    **options
        As `Context` takes them.

    Returns
    -------
    Server
    tuple of str
    """
    asked = repr((url, sorted((headers or {}).items()), api_key, sorted(options.items())))
    with _lock:
        if asked not in _places:
            context, path = Context.from_any_uri(url, headers=headers, api_key=api_key, **options)
            made = (context.api_uri, context.api_key, sorted((headers or {}).items()), sorted(options.items()))
            server = _servers.get(repr(made))
            if server is None:
                server = _servers[repr(made)] = Server(context)
            else:
                context.close()
            _places[asked] = (server, tuple(path))
        return _places[asked]


def _rejoined(make: Callable[..., Context], arguments: tuple[Any, ...]) -> Server:
    key = repr(arguments)
    with _lock:
        if key not in _servers:
            _servers[key] = Server(make(*arguments))
        return _servers[key]
