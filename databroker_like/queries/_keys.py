"""Which parts of a document a query asks about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from databroker_like.queries._tree import Node

__all__ = ["top_level_keys"]

_LISTS = ("$and", "$or", "$nor")


def top_level_keys(query: Node) -> frozenset[str]:
    """The top-level keys of a document that decide whether a query matches it.

    Parameters
    ----------
    query : Node

    Returns
    -------
    frozenset of str
        ``"stop"`` is among them when the stop document is asked for, ``"$text"`` when words are, and the empty key
        when the document itself is.

    Examples
    --------
    >>> from databroker_like.queries import parse
    >>> sorted(top_level_keys(parse({"plan_name": "scan", "$or": [{"stop.time": 1}, {"c": 2}]})))
    ['c', 'plan_name', 'stop']
    """
    return frozenset(_keys(query.to_mongo(), set()))


def _keys(query: Mapping[str, Any], found: set[str]) -> set[str]:
    for key, value in query.items():
        if key in _LISTS:
            for part in value:
                _keys(part, found)
        else:
            found.add(key.partition(".")[0])
    return found
