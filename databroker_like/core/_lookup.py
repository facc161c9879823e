"""What ``catalog[key]`` means: from a key to the uid of one run."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from typing import Any

from databroker_like.core._collection import RunCollection
from databroker_like.errors import AmbiguousKey, NoSuchRun, OutOfRange, WrongType, nearest
from databroker_like.queries import And, Eq, Everything, Node, Prefix

__all__ = ["both", "find_uid"]

_NUMBER = re.compile(r"-?[0-9]+")
_SHOWN = 10
_SEARCHED_FOR_NEAR = 2_000
#: What can be counted no further: databases, iterators and servers take no larger numbers.
_RUNS_AT_MOST = 1 << 53


def both(first: Node, second: Node) -> Node:
    """The query that holds where both do; Everything adds nothing.

    Parameters
    ----------
    first, second : Node

    Returns
    -------
    Node
    """
    if isinstance(first, Everything):
        return second
    return first if isinstance(second, Everything) else And([first, second])


def find_uid(collection: RunCollection, query: Node, key: Any) -> str:
    """The uid of the one run, among those a query matches, that a key stands for.

    ================================  ==============================================================
    key                               run
    ================================  ==============================================================
    a full uid                        that run
    a negative number, or ``"-1"``    the most recent, the one before it, ... by ``start['time']``
    a number from 0, or its digits    the most recent one of that scan_id
    any other text                    the one run whose uid begins with it
    ================================  ==============================================================

    Parameters
    ----------
    collection : RunCollection
    query : Node
        The runs in question.
    key : str or int

    Returns
    -------
    str

    Raises
    ------
    NoSuchRun
        When there is none.
    AmbiguousKey
        When the uids of several begin with the text.
    OutOfRange
        When there are fewer runs than the negative number asks for.
    WrongType
        When the key is neither text nor a whole number.
    """
    if isinstance(key, str):
        if collection.matches(key, query):
            return key
        if _NUMBER.fullmatch(key):
            return _by_number(collection, query, int(key), key)
        return _by_prefix(collection, query, key)
    if isinstance(key, slice | list):
        what = "a slice" if isinstance(key, slice) else "a list"
        raise WrongType(
            f"a catalog takes one uid, scan_id or position, not {what}; several at once are what the version 1 API "
            "offers; here write [catalog[k] for k in ...] or catalog.search(...)"
        )
    try:
        number = operator.index(key)
    except TypeError:
        raise WrongType(
            "a catalog takes a uid (or how it begins), a scan_id or a negative position, "
            f"not the {type(key).__name__} {key!r}"
        ) from None
    return _by_number(collection, query, number, key)


def _by_number(collection: RunCollection, query: Node, number: int, key: Any) -> str:
    if number < 0:
        for uid in collection.find(query, newest_first=True, skip=min(-number - 1, _RUNS_AT_MOST), limit=1):
            return uid
        raise OutOfRange(f"Catalog only contains {collection.count(query)} runs; there is no position {number}")
    for uid in collection.find(both(query, Eq("scan_id", number)), newest_first=True, limit=1):
        return uid
    raise NoSuchRun(f"No run with scan_id={number}{_hint_for_number(collection, query, key)}")


def _hint_for_number(collection: RunCollection, query: Node, key: Any) -> str:
    text = str(key)
    begins = list(collection.find(both(query, Prefix("uid", text)), limit=2))
    if begins:
        return (
            f"; {_quoted(begins)} begins with {text!r}, but digits alone are always a scan_id: give more of the uid, "
            "up to a letter or a dash"
        )
    ids = [start.get("scan_id") for _, start, _ in collection.heads(query, newest_first=True, limit=3)]
    if not ids:
        return "; there are no runs"
    return f"; the newest have {', '.join(str(i) for i in ids)}"


def _by_prefix(collection: RunCollection, query: Node, text: str) -> str:
    matches = list(collection.find(both(query, Prefix("uid", text)), limit=_SHOWN + 1))
    if len(matches) == 1:
        return matches[0]
    if matches:
        lines = "\n".join(matches[:_SHOWN]) + ("\n..." if len(matches) > _SHOWN else "")
        raise AmbiguousKey(f"Multiple matches to partial uid {text!r}; give more of it:\n{lines}")
    raise NoSuchRun(f"no run whose uid is, or begins with, {text!r}{_near(collection, query, text)}")


def _near(collection: RunCollection, query: Node, text: str) -> str:
    uids = list(collection.find(query, newest_first=True, limit=_SEARCHED_FOR_NEAR))
    if not uids:
        return "; there are no runs"
    beginnings = {uid[: len(text)]: uid for uid in reversed(uids)}
    near = [beginnings[b] for b in nearest(text, beginnings)]
    if near:
        return f"; nearest: {_quoted(near)}"
    return f"; the newest are {_quoted(uids[:3])}"


def _quoted(uids: Iterable[str]) -> str:
    return ", ".join(repr(uid) for uid in uids)
