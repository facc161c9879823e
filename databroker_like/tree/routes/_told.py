"""The routes that tell what there is: metadata, listings and searches, different values."""

from __future__ import annotations

from typing import Any

from databroker_like.errors import InvalidRequest
from databroker_like.nodes import ContainerNode
from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._envelopes import DEPTH, FIELDS, Told, enveloped, node_json
from databroker_like.tree._filters import narrowed, short_text
from databroker_like.tree._parameters import flag, text
from databroker_like.tree._tags import content_tag
from databroker_like.tree._words import JSON, MSGPACK, to_json, to_msgpack
from databroker_like.tree.routes._pages import Page, listing_links
from databroker_like.utils._node_path import path_of

__all__ = ["DISTINCT", "FORMAT", "TELLING", "distinct", "metadata", "search", "told"]

_MOST_KEYS = 20
_ACCEPTS_MSGPACK = (MSGPACK, "application/msgpack")

FORMAT = text("format", "As what it is sent: a media type, or a short name of one; else the header 'Accept' says it.")
#: Of a route that tells of one node.
TELLING = (*FIELDS, DEPTH, flag("root_path", "Whether the path of the service is told, too."), FORMAT)
#: Of the route of different values.
DISTINCT = (
    text("metadata", "A dotted key of the metadata, of which different values are wanted.", many=True),
    flag("structure_families", "Whether different structure families are wanted."),
    flag("specs", "Whether different specs are wanted."),
    flag("counts", "Whether it is told how many nodes have each."),
    FORMAT,
)


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
    return Reply(content, media_type, {"ETag": content_tag(content), "Vary": "Accept", **(headers or {})})


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
    meta = {"root_path": asked.root_path} if asked.params.flag("root_path") else None
    return told(asked, enveloped(node_json(asked.node, asked.segments, asked.base, how), None, meta))


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
    page = Page.of(asked, keys=how.fields is not None and not how.fields)
    container: ContainerNode = narrowed(asked.node_of(ContainerNode), params, asked.settings)
    data: list[Any] = []
    if how.fields == frozenset({"count"}):
        count = container.count()
    elif how.fields is not None and not how.fields:
        count = container.count()
        if page.limit and page.offset < count:
            keys = container.keys(page.offset, page.limit)
            data = _keys_json(asked, keys, how)
    else:
        count, found = container.page(page.offset, page.limit)
        data = [node_json(node, (*asked.segments, key), asked.base, how) for key, node in found]
    links = listing_links(asked, "search", page, count)
    return told(asked, enveloped(data, links, {"count": count}), {"Cache-Control": "must-revalidate"})


def _keys_json(asked: Asked, keys: Any, how: Told) -> list[dict[str, Any]]:
    """Nodes of which the keys alone are told; they are not looked at."""
    attributes = {
        "ancestors": list(asked.segments),
        **dict.fromkeys(
            ("structure_family", "specs", "metadata", "structure", "access_tags", "sorting", "data_sources")
        ),
    }
    where = f"{asked.base}/metadata/{path_of(asked.segments)}{'/' if asked.segments else ''}"
    return [
        {
            "id": key,
            "attributes": attributes,
            "links": {"self": f"{where}{path_of((key,))}"} if how.with_links else None,
            "meta": None,
        }
        for key in keys
    ]


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
    keys = [short_text(key, "a key of 'metadata'") for key in params.many("metadata")]
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
