"""Listings that come page by page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from databroker_like.client._finding._filters import Condition, parameters
from databroker_like.errors import DatabrokerError, ServiceFailed, nearest
from databroker_like.utils._node_path import path_of

__all__ = ["LARGEST_PAGE", "nearest_keys", "pages"]

#: What a server of the protocol gives at once, at the most.
LARGEST_PAGE = 300

_Params = Sequence[tuple[str, str | int]]


class _Server(Protocol):
    def get_json(self, url: str, params: _Params = ()) -> Any: ...


def pages(server: _Server, url: str, params: _Params) -> Iterator[dict[str, Any]]:
    """The pages of a listing, each when it is taken.

    Parameters
    ----------
    server : Context
        Or anything else with its method ``get_json``.
    url : str
    params : sequence of (name, value)
        Of the first page. A server's link to the next one need not repeat what was asked for: it is asked for again.

    Yields
    ------
    dict

    Raises
    ------
    ServiceFailed
        When a page leads to itself.

    Examples
    --------
    >>> class Server:
    ...     def get_json(self, url, params=()):
    ...         print(url, params)
    ...         return {"links": {"next": None if "page[cursor]" in dict(params) else f"{url}?page[cursor]=7"}}
    >>> for page in pages(Server(), "http://h/search/a", [("filter", "x"), ("page[offset]", 3)]):
    ...     pass
    http://h/search/a [('filter', 'x'), ('page[offset]', 3)]
    http://h/search/a [('page[cursor]', '7'), ('filter', 'x')]
    """
    asked: list[tuple[str, str | int]] = list(params)
    while True:
        page = server.get_json(url, asked)
        yield page
        following = (page.get("links") or {}).get("next")
        if following is None:
            return
        parts = urlsplit(following)
        told: list[tuple[str, str | int]] = [*parse_qsl(parts.query, keep_blank_values=True)]
        names = {name for name, _ in told}
        kept = [(name, value) for name, value in asked if name not in names and not name.startswith("page[")]
        before = (url, asked)
        url, asked = following.partition("?")[0], [*told, *kept]
        if before == (url, asked):
            raise ServiceFailed(f"the page after {following} is that page again")


def nearest_keys(server: Any, above: Sequence[str], name: str, conditions: Sequence[Condition] = ()) -> list[str]:
    """The keys that look most like one that a container lacks; one page of them is asked for.

    Parameters
    ----------
    server : Context
    above : sequence of str
        The path of the container.
    name : str
    conditions : sequence of (name, fields)
        Which all hold of what they are the keys of; none by default.

    Returns
    -------
    list of str
        None where the container is missing too, or does not list.
    """
    try:
        asked = [*parameters(conditions), ("fields", ""), ("page[limit]", LARGEST_PAGE)]
        page = server.get_json(f"{server.api_uri}/search/{path_of(above)}", asked)
        keys = [str(item["id"]) for item in page["data"]]
    except (DatabrokerError, LookupError, TypeError):
        return []
    # It is listed, and cannot be had all the same.
    return [] if name in keys else nearest(name, keys)
