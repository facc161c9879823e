"""The part of a start document that most searches ask about, small enough to keep for every run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from databroker_like.queries import Node

__all__ = ["Facets", "facets_of", "top_level_fields"]

_LONGEST = 200


class Facets(NamedTuple):
    """The scalars at the top of a start document.

    Parameters
    ----------
    scalars : dict
    others : tuple of str
        The keys whose values are not scalars, or are long: a query that asks about one of them needs the document.
    """

    scalars: dict[str, Any]
    others: tuple[str, ...]


def facets_of(start: Mapping[str, Any]) -> Facets:
    """The facets of a start document.

    Parameters
    ----------
    start : mapping

    Returns
    -------
    Facets

    Examples
    --------
    >>> facets_of({"uid": "a", "detectors": ["det"]})
    Facets(scalars={'uid': 'a'}, others=('detectors',))
    """
    scalars: dict[str, Any] = {}
    others = []
    for key, value in start.items():
        kind = type(value)
        if (
            (kind is str and len(value) <= _LONGEST and _is_whole(value))
            or (kind is int and -(2**53) < value < 2**53)
            or kind is bool
            or (kind is float and math.isfinite(value))
            or value is None
        ):
            scalars[key] = value
        else:
            others.append(key)
    return Facets(scalars, tuple(others))


def _is_whole(text: str) -> bool:
    """Whether text can be encoded: it holds no half of a surrogate pair."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def top_level_fields(query: Node) -> frozenset[str] | None:
    """The top-level keys of a document that decide whether a query matches it.

    Parameters
    ----------
    query : Node

    Returns
    -------
    frozenset of str, or None when the whole document decides

    Examples
    --------
    >>> from databroker_like.queries import parse
    >>> sorted(top_level_fields(parse({"plan_name": "scan", "$or": [{"a.b": 1}, {"c": 2}]})))
    ['a', 'c', 'plan_name']
    """
    return _fields(query.to_mongo())


def _fields(query: Mapping[str, Any]) -> frozenset[str] | None:
    found: set[str] = set()
    for key, value in query.items():
        if not key.startswith("$"):
            found.add(key.partition(".")[0])
        elif key in ("$and", "$or", "$nor"):
            for part in value:
                inner = _fields(part)
                if inner is None:
                    return None
                found |= inner
        else:
            return None
    return frozenset(found)
