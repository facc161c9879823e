"""The part of a start document that most searches ask about, small enough to keep for every run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Facets", "facets_of"]

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
