"""What the service says of itself."""

from __future__ import annotations

from typing import Any

import databroker_like
from databroker_like.service import Access
from databroker_like.tree._filters import QUERIES
from databroker_like.tree.formats._by_family import formats_offered

__all__ = ["PROTOCOL", "about"]

#: Whose protocol this is; clients look at the number to see what they may ask for.
PROTOCOL = "0.2.20"


def about(access: Access, base: str, root_path: str) -> dict[str, Any]:
    """What the service says of itself.

    Parameters
    ----------
    access : Access
    base : str
        The URL under which the routes are.
    root_path : str
        Its path.

    Returns
    -------
    dict
    """
    formats = formats_offered()
    return {
        "api_version": 0,
        # The part after the plus is ours, and no client compares it.
        "library_version": f"{PROTOCOL}+databroker.like.{databroker_like.__version__}",
        "formats": {family: [one.media_type for one in there] for family, there in formats.items()},
        "aliases": {
            family: {one.media_type: list(one.aliases) for one in there if one.aliases}
            for family, there in formats.items()
        },
        "queries": list(QUERIES),
        "authentication": {"required": not access.public, "providers": [], "links": None},
        "links": {"self": base, "documentation": f"{base}/"},
        "meta": {"root_path": root_path},
    }
