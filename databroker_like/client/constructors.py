"""Where a client begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.client.base import StructureClients, client_of
from databroker_like.client.context import Context

if TYPE_CHECKING:
    import httpx

__all__ = ["from_context", "from_uri"]


def from_uri(
    uri: str,
    structure_clients: StructureClients = "numpy",
    *,
    api_key: str | None = None,
    verify: Any = True,
    headers: Mapping[str, str] | None = None,
    timeout: httpx.Timeout | float | None = None,
    include_data_sources: bool = False,
    max_connections: int = 16,
    trust_env: bool = True,
) -> Any:
    """Open a server of the Tiled protocol, or one node on it, in one round trip.

    Parameters
    ----------
    uri : str
        ``http://localhost:8000``, or the ``uri`` of any node; with ``?api_key=...`` or without.
    structure_clients : {"numpy", "dask"} or mapping
        Whether data is read into memory, or into dask's objects, which read when they compute; or structure family,
        or name of a spec, to class.
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
    max_connections : int
        How many requests are made side by side; 16 by default.
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
        When the server wants another API key.
    Unreachable
        When there is no server.
    """
    context, path_parts = Context.from_any_uri(
        uri,
        api_key=api_key,
        verify=verify,
        headers=headers,
        timeout=timeout,
        max_connections=max_connections,
        trust_env=trust_env,
    )
    try:
        return from_context(
            context, structure_clients, node_path_parts=path_parts, include_data_sources=include_data_sources
        )
    except BaseException:
        context.close()
        raise


def from_context(
    context: Context,
    structure_clients: StructureClients = "numpy",
    node_path_parts: Sequence[str] = (),
    include_data_sources: bool = False,
) -> Any:
    """Open a node on a server that is open already.

    Parameters
    ----------
    context : Context
        As of `Context.from_app`.
    structure_clients : {"numpy", "dask"} or mapping
        As of `from_uri`.
    node_path_parts : sequence of str
        The names on the way from the root; the root itself by default.
    include_data_sources : bool
        Whether the server is asked where the data lies.

    Returns
    -------
    Container, ArrayClient, DataFrameClient or BaseClient
    """
    item = context.get_item(node_path_parts, include_data_sources=include_data_sources)
    return client_of(context, item, structure_clients, include_data_sources=include_data_sources)
