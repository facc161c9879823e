"""The routes that tell what there is: metadata, listings and searches, different values."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlencode

from databroker_like.errors import InvalidRequest
from databroker_like.nodes import ContainerNode
from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._envelopes import Told, enveloped, node_json, quoted
from databroker_like.tree._filters import narrowed
from databroker_like.tree._words import JSON, MSGPACK, to_json, to_msgpack

__all__ = ["distinct", "metadata", "search", "told"]

#: As many positions as a listing can have.
_FARTHEST = 1 << 53
_MOST_KEYS = 20
_ACCEPTS_MSGPACK = (MSGPACK, "application/msgpack")


def told(asked: Asked, value: Any, headers: dict[str, str] | None = None) -> Reply:
    """An answer in JSON, or in msgpack where the caller prefers it; with a tag by which it is known again.

    Parameters
    ----------
    asked : Asked
    value : object
    headers : dict, optional

    Returns
    -------
    Reply
    """
    wanted = asked.params.one("format") or asked.accept
    # Which of the two comes first in the header is which the caller prefers; JSON for who takes anything.
    places = [wanted.find(name) for name in _ACCEPTS_MSGPACK if name in wanted]
    as_json = wanted.find(JSON) if JSON in wanted else len(wanted)
    if places and min(places) < as_json:
        content, media_type = to_msgpack(value), MSGPACK
    else:
        content, media_type = to_json(value), JSON
    tag = hashlib.blake2b(content, digest_size=16).hexdigest()
    return Reply(content, media_type, {"ETag": f'"{tag}"', "Vary": "Accept", **(headers or {})})


def metadata(asked: Asked) -> Reply:
    """GET /metadata/{path}: one node.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    how = Told.of(asked.params)
    asked.params.number("max_depth", 0, 0, 5)
    return told(asked, enveloped(node_json(asked.node, asked.segments, asked.base, how)))


def search(asked: Asked) -> Reply:
    """GET /search/{path}: the nodes in a container that match, page by page.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    params = asked.params
    how = Told.of(params)
    # A page that is asked for too long is not refused: the clients follow the link to the next.
    limit = min(params.number("page[limit]", 100, 0, _FARTHEST), asked.settings.most_items)
    if params.one("page[cursor]") is not None:
        raise InvalidRequest("pages are counted by 'page[offset]' here; follow the link 'next' of the page before")
    offset = params.number("page[offset]", 0, 0, _FARTHEST)
    container: ContainerNode = narrowed(asked.node_of(ContainerNode), params, asked.settings)
    count = container.count()
    data: list[Any] = []
    if how.fields == frozenset({"count"}) or not limit or offset >= count:
        pass  # Only the number is asked for, or nothing is on the page.
    elif how.fields is not None and not how.fields:
        data = [_key_json(asked, key, how) for key in container.keys(offset, limit)]
    else:
        for key, node in container.items(offset, limit):
            data.append(node_json(node, (*asked.segments, key), asked.base, how))
    links = {
        "self": _page(asked, offset, limit),
        "first": _page(asked, 0, limit),
        "next": _page(asked, offset + limit, limit) if limit and offset + limit < count else None,
    }
    return told(asked, enveloped(data, links, {"count": count}), {"Cache-Control": "must-revalidate"})


def _key_json(asked: Asked, key: str, how: Told) -> dict[str, Any]:
    """A node of which the key alone is told; it is not looked at."""
    nothing = dict.fromkeys(
        ("structure_family", "specs", "metadata", "structure", "access_tags", "sorting", "data_sources")
    )
    return {
        "id": key,
        "attributes": {"ancestors": list(asked.segments), **nothing},
        "links": {"self": f"{asked.base}/metadata/{quoted((*asked.segments, key))}"} if how.with_links else None,
        "meta": None,
    }


def _page(asked: Asked, offset: int, limit: int) -> str:
    """The URL of another page of the same listing."""
    pairs = [
        (name, value) for name in asked.params for value in asked.params.many(name) if not name.startswith("page[")
    ]
    pairs = [(name, value) for name, value in pairs if name != "api_key"]
    if offset:
        pairs.append(("page[offset]", str(offset)))
    pairs.append(("page[limit]", str(limit)))
    return f"{asked.base}/search/{quoted(asked.segments)}?{urlencode(pairs)}"


def distinct(asked: Asked) -> Reply:
    """GET /distinct/{path}: the different values that the nodes in a container have.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    params = asked.params
    keys = params.many("metadata")
    if len(keys) > _MOST_KEYS:
        raise InvalidRequest(f"'metadata' is given {len(keys)} times; {_MOST_KEYS} are the most")
    with_counts = params.flag("counts")
    container = narrowed(asked.node_of(ContainerNode), params, asked.settings)

    def pairs(counts: Any) -> list[dict[str, Any]]:
        return [{"value": value, "count": count if with_counts else None} for value, count in counts]

    found: dict[str, Any] = {
        "metadata": {key: pairs(container.distinct(key)) for key in keys} if keys else None,
        "structure_families": None,
        "specs": None,
    }
    if params.flag("structure_families"):
        found["structure_families"] = pairs((family.value, n) for family, n in container.distinct_families())
    if params.flag("specs"):
        found["specs"] = pairs(([spec.to_json() for spec in specs], n) for specs, n in container.distinct_specs())
    return told(asked, found)
