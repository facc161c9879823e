"""Where a client begins."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like import registry
from databroker_like.client._login._ways import can_prompt
from databroker_like.client.base import StructureClients, client_of
from databroker_like.client.context import Context
from databroker_like.client.profiles import profile_of
from databroker_like.errors import NotAuthenticated

if TYPE_CHECKING:
    import httpx

    from databroker_like.client.cache import Cache

__all__ = ["from_context", "from_profile", "from_uri"]


def from_uri(
    uri: str,
    structure_clients: StructureClients = "numpy",
    *,
    cache: Cache | None = None,
    remember_me: bool = True,
    api_key: str | None = None,
    verify: Any = True,
    headers: Mapping[str, str] | None = None,
    timeout: httpx.Timeout | float | None = None,
    include_data_sources: bool = False,
    auth: httpx.Auth | None = None,
    max_connections: int = 16,
    show_progress: bool | None = None,
    trust_env: bool = True,
) -> Any:
    """Open a server of the Tiled protocol, or one node on it, in one round trip.

    Where there is no API key, the session is used that was remembered of this server; where there is none, and the
    server wants to know who one is, it is asked for at the terminal or in the notebook.

    Parameters
    ----------
    uri : str
        ``http://localhost:8000``, or the ``uri`` of any node; with ``?api_key=...`` or without.
    structure_clients : {"numpy", "dask"} or mapping
        Whether data is read into memory, or into dask's objects, which read when they compute; or structure family,
        or name of a spec, to class.
    cache : Cache, optional
        Where replies are kept: what has not changed is not sent again, and is there while the server is not.
    remember_me : bool
        Whether a session that was remembered is used, and this one is remembered.
    api_key : str, optional
        The environment variable ``TILED_API_KEY`` by default. It goes to this server alone.
    verify : bool or ssl.SSLContext
        Whether, or by what, certificates are checked.
    headers : mapping, optional
        Sent with every request to this server.
    timeout : httpx.Timeout or float, optional
        Five seconds to connect, thirty to read, by default.
    include_data_sources : bool
        Whether the server is asked where the data lies.
    auth : httpx.Auth, optional
        Credentials of another kind than API keys and tokens.
    max_connections : int
        How many requests are made side by side; 16 by default.
    show_progress : bool, optional
        Whether long reads and writes show how far they are, on a terminal or in a notebook; when they take long, by
        default.
    trust_env : bool
        Whether proxies are taken from the environment; True by default.

    Returns
    -------
    Container, ArrayClient, DataFrameClient or BaseClient
        By what the node is.

    Raises
    ------
    NotFound
        When there is no such node.
    NotAuthenticated
        When the server does not know who one is.
    Unreachable
        When there is no server.
    """
    context, path_parts = Context.from_any_uri(
        uri,
        cache=cache,
        api_key=api_key,
        verify=verify,
        headers=headers,
        timeout=timeout,
        auth=auth,
        max_connections=max_connections,
        show_progress=show_progress,
        trust_env=trust_env,
    )
    return _opened(context, structure_clients, path_parts, include_data_sources, remember_me)


def from_profile(name: str | None = None, structure_clients: StructureClients | None = None, **settings: Any) -> Any:
    """Open what a profile says: a server with its settings, under a name.

    Profiles are YAML files in the folders that Tiled's clients have for them; `list_profiles` tells them.

    Parameters
    ----------
    name : str, optional
        The default profile, when there is one, by default.
    structure_clients : {"numpy", "dask"} or mapping, optional
        In place of that of the profile.
    **settings
        As of `from_uri`, in place of those of the profile.

    Returns
    -------
    Container, ArrayClient, DataFrameClient or BaseClient

    Raises
    ------
    NoSuchProfile
        When no file has a profile of this name.
    InvalidConfig
        When the profile cannot be meant.
    """
    profile = profile_of(name)
    clients = structure_clients if structure_clients is not None else profile.structure_clients()
    include_data_sources = settings.pop("include_data_sources", False)
    remember_me = settings.pop("remember_me", True)
    chosen = {**profile.settings(), **settings}
    if profile.direct is not None:
        app = registry.load("app_from_config")(profile.direct)
        chosen.pop("token_cache", None)
        return _opened(Context.from_app(app, **chosen), clients, [], include_data_sources, remember_me=False)
    context, path_parts = Context.from_any_uri(profile.uri, **chosen)
    return _opened(context, clients, path_parts, include_data_sources, remember_me)


def from_context(
    context: Context,
    structure_clients: StructureClients = "numpy",
    node_path_parts: Sequence[str] | None = None,
    include_data_sources: bool = False,
    remember_me: bool = True,
) -> Any:
    """Open a node on a server that is open already.

    Parameters
    ----------
    context : Context
        As of `Context.from_app`.
    structure_clients : {"numpy", "dask"} or mapping
        As of `from_uri`.
    node_path_parts : sequence of str, optional
        The names on the way from the root; the root itself by default.
    include_data_sources : bool
        Whether the server is asked where the data lies.
    remember_me : bool
        Whether a session that was remembered is used, and this one is remembered.

    Returns
    -------
    Container, ArrayClient, DataFrameClient or BaseClient
    """
    path = list(node_path_parts or ())
    remembered = remember_me and context.app is None and not context.authenticated and context.adopt_tokens()

    def open_it() -> Any:
        item = context.get_item(path, include_data_sources=include_data_sources)
        return client_of(context, item, structure_clients, include_data_sources=include_data_sources)

    try:
        return open_it()
    except NotAuthenticated as error:
        if remembered:
            # That session is over. Perhaps anyone may read; the error is the better one, if not.
            context.api_key = None
            with contextlib.suppress(NotAuthenticated):
                return open_it()
        if context.authenticated or not context.server_info.authentication.providers:
            raise
        if not can_prompt():
            raise NotAuthenticated(f"{context.how_to_log_in()} ({error})") from error
    context.login(remember_me=remember_me)
    return open_it()


def _opened(
    context: Context,
    structure_clients: StructureClients,
    path_parts: Sequence[str],
    include_data_sources: bool,
    remember_me: bool,
) -> Any:
    try:
        return from_context(context, structure_clients, path_parts, include_data_sources, remember_me)
    except BaseException:
        context.close()
        raise
