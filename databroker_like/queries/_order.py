"""In which order documents stand when they are sorted by what is at keys of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from databroker_like.queries._values import MISSING, found_at, rank

__all__ = ["in_order_of", "rank_at", "ranks"]

T = TypeVar("T")
#: Dotted keys, each with 1 or -1; the empty key is the order that there is.
Sorting = Sequence[tuple[str, int]]


def rank_at(document: Mapping[str, Any], parts: list[str]) -> Any:
    """What a document is ordered by: something that compares, from the first value at a key.

    Parameters
    ----------
    document : mapping
    parts : list of str
        Of a dotted key.

    Returns
    -------
    tuple, or None
        None where there is no value.

    Examples
    --------
    >>> rank_at({"a": {"b": 2}}, ["a", "b"]) < rank_at({"a": {"b": "x"}}, ["a", "b"]), rank_at({}, ["a"])
    (True, None)
    """
    for value in found_at(document, parts):
        if value is not MISSING and value is not None:
            return rank(value)
    return None


def ranks(document: Mapping[str, Any], by: Sorting) -> list[Any]:
    """What a document is ordered by: for each key something that compares, or None where it has no value.

    Parameters
    ----------
    document : mapping
    by : sequence of (str, int)

    Returns
    -------
    list
    """
    return [rank_at(document, key.split(".")) if key else None for key, _ in by]


def in_order_of(by: Sorting, ranked: Iterable[tuple[T, list[Any]]]) -> list[T]:
    """Some things in the order of what is said of them.

    Numbers are before texts, and what has no value is last in either direction; equals stay as they are.

    Parameters
    ----------
    by : sequence of (str, int)
    ranked : iterable of (object, list)
        Each thing with its `ranks`, in the order of the empty key.

    Returns
    -------
    list

    Examples
    --------
    >>> by = (("n", -1),)
    >>> in_order_of(by, [(doc, ranks(doc, by)) for doc in ({"n": 9}, {}, {"n": 10})])
    [{'n': 10}, {'n': 9}, {}]
    """
    ordered = list(ranked)
    # The last key first: each sort leaves the order of equals as it was.
    for at, (key, direction) in reversed(list(enumerate(by))):
        if not key:
            ordered = ordered if direction > 0 else ordered[::-1]
            continue
        there = [pair for pair in ordered if pair[1][at] is not None]
        there.sort(key=lambda pair: pair[1][at], reverse=direction < 0)
        ordered = there + [pair for pair in ordered if pair[1][at] is None]
    return [thing for thing, _ in ordered]
