"""A search for runs as the filters of a server, and what of it is left to be looked at here."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from databroker_like import queries as q
from databroker_like.client._finding._filters import filters_of, parameters
from databroker_like.queries import Node, searched, top_level_keys

__all__ = ["Narrowed", "meant_by", "narrowed"]

Doc = Mapping[str, Any]
#: Filters that a search sends at the most, and how long they may be together: URLs have an end.
_MOST_FILTERS = 16
_LONGEST = 4000
_LONGEST_KEY = 500


@dataclasses.dataclass(frozen=True)
class Narrowed:
    """What a server is asked for.

    Parameters
    ----------
    parameters : sequence of (name, value)
        Of the URL. All runs that the search means are among those that they leave.
    is_all : bool
        Whether no others are.
    """

    parameters: Sequence[tuple[str, str]]
    is_all: bool


def narrowed(query: Node, *, is_ours: bool) -> Narrowed:
    """What a server is asked for, for a search.

    Parameters
    ----------
    query : Node
        On the searched document of a run.
    is_ours : bool
        Whether the server means by its filters what we mean. A server of others compares a list as a whole, where
        here any of its members will do; it is asked for what lies in one value only.

    Returns
    -------
    Narrowed

    Examples
    --------
    >>> narrowed(q.Eq("plan_name", "scan"), is_ours=True).parameters
    [('filter[eq][condition][key]', 'start.plan_name'), ('filter[eq][condition][value]', '"scan"')]
    >>> narrowed(q.Or(q.Eq("a", 1), q.Eq("b", 2)), is_ours=True)
    Narrowed(parameters=[], is_all=False)
    """
    asked: list[tuple[str, str]] = []
    is_all, count = True, 0
    for condition in _conditions(query):
        sent = _sent(condition, is_ours)
        found = [] if sent is None else parameters(filters_of(sent))
        if sent is None or count >= _MOST_FILTERS or len(urlencode([*asked, *found])) > _LONGEST:
            is_all = False
            continue
        asked += found
        count += 1
        is_all = is_all and not isinstance(condition, q.Prefix)
    return Narrowed(asked, is_all)


def meant_by(query: Node) -> Callable[[Doc, Doc | None], bool]:
    """A function of the start and stop documents of a run: whether a search means it.

    Parameters
    ----------
    query : Node

    Returns
    -------
    callable
    """
    keys = top_level_keys(query)
    if "stop" in keys or "" in keys:
        return lambda start, stop: query.matches(searched(start, stop))
    return lambda start, stop: query.matches(start)


def _conditions(query: Node) -> list[Node]:
    """Conditions all of which hold."""
    if isinstance(query, q.Everything):
        return []
    if isinstance(query, q.And):
        return [condition for node in query.nodes for condition in _conditions(node)]
    if isinstance(query, q.All) and query.values and not any(isinstance(v, Node) for v in query.values):
        return [q.In(query.key, (value,)) for value in query.values]
    return [query]


def _sent(node: Node, is_ours: bool) -> Any:
    """A condition as a server of the protocol has it, with the keys of a run's metadata; None when it has none."""
    if not is_ours:
        return _sent_to_others(node)
    if isinstance(node, q.Text):
        return q.FullText(node.text)
    if isinstance(node, q.Not):
        node = _opposite(node.node) or node
    if isinstance(node, q.Or):
        node = _one_of(node.nodes) or node
    if isinstance(node, q.Ne):
        node = q.NotIn(node.key, (node.value,))
    if isinstance(node, q.Prefix):
        # Whatever the case, and any character in the place of '_': some runs more than are meant.
        key = _key(node.key)
        return q.Like(key, f"{node.text}%") if key and node.text and _is_plain(node.text) else None
    if not isinstance(node, q.Eq | q.In | q.NotIn | q.Gt | q.Gte | q.Lt | q.Lte | q.Exists):
        return None
    values = node.values if isinstance(node, q.In | q.NotIn) else [getattr(node, "value", None)]
    key = _key(node.key)
    return dataclasses.replace(node, key=key) if key and all(map(_is_plain, values)) else None


def _sent_to_others(node: Node) -> Any:
    """What holds there whenever it holds here: of keys that have one number or one text in every run."""
    if isinstance(node, q.Gt | q.Gte | q.Lt | q.Lte) and node.key == "time" and _is_number(node.value):
        return dataclasses.replace(node, key="start.time")
    if isinstance(node, q.Eq) and node.key == "scan_id" and type(node.value) is int:
        return q.Eq("start.scan_id", node.value)
    if isinstance(node, q.Eq) and node.key == "uid" and isinstance(node.value, str):
        return q.Eq("start.uid", node.value)
    if isinstance(node, q.Prefix) and node.key == "uid" and node.text and not set(node.text) & set("%_\\"):
        return q.Like("start.uid", f"{node.text}%")
    return None


def _opposite(node: Node) -> Node | None:
    if isinstance(node, q.Eq):
        return q.NotIn(node.key, (node.value,))
    if isinstance(node, q.In):
        return q.NotIn(node.key, node.values)
    if isinstance(node, q.Exists):
        return q.Exists(node.key, not node.present)
    return None


def _one_of(nodes: Sequence[Node]) -> Node | None:
    """One of several values of one key."""
    values: list[Any] = []
    keys = set()
    for node in nodes:
        if isinstance(node, q.Eq):
            values.append(node.value)
        elif isinstance(node, q.In):
            values.extend(node.values)
        else:
            return None
        keys.add(node.key)
    return q.In(keys.pop(), values) if len(keys) == 1 else None


def _key(key: str) -> str | None:
    """A key of the searched document in the metadata of a run's node."""
    if not key or len(key) > _LONGEST_KEY or not _is_plain(key):
        return None
    return key if key.partition(".")[0] == "stop" else f"start.{key}"


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_plain(value: Any) -> bool:
    """Whether a value is the same after it was sent as JSON."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(map(_is_plain, value)) and all(map(_is_plain, value.values()))
    if type(value) is int:
        return -(2**53) <= value <= 2**53
    if type(value) is float:
        return math.isfinite(value)
    if type(value) is str:
        return json.dumps(value, ensure_ascii=False).isprintable() or _encodes(value)
    return value is None or type(value) is bool


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
