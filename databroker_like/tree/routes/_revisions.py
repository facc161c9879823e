"""The route that tells what a node was before it was changed."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from databroker_like.nodes import Revised
from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._envelopes import enveloped
from databroker_like.tree.routes._pages import Page, listing_links
from databroker_like.tree.routes._told import told

__all__ = ["revisions"]


def revisions(asked: Asked) -> Reply:
    """GET /revisions/{path}: what a node was before it was changed, page by page; what it is now is not among them.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    page = Page.of(asked)
    found = asked.node.revisions()
    data = [_revision_json(one) for one in found[page.offset : page.offset + page.limit]]
    links = listing_links(asked, "revisions", page, len(found))
    return told(asked, enveloped(data, links, {"count": len(found)}), {"Cache-Control": "must-revalidate"})


def _revision_json(revised: Revised) -> dict[str, Any]:
    when, amendment = revised.time, revised.amendment
    attributes: dict[str, Any] = {
        "metadata": revised.metadata,
        "specs": [spec.to_json() for spec in revised.specs],
        # In UTC and without a zone, as the clients of the protocol take it.
        "time_updated": None if when is None else when.astimezone(UTC).replace(tzinfo=None).isoformat(),
    }
    if amendment is not None:
        # Which other clients pass over.
        attributes["amendment"] = {
            "time": amendment.time,
            "author": amendment.author,
            "reason": amendment.reason,
            "changed": [list(key) for key in amendment.changed],
        }
    return {"revision_number": revised.number, "attributes": attributes}
