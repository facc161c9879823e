"""What a search of version 1 is asked for: conditions on the start document, dates, and data keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from databroker_like.queries import And, Gte, Lte, Node, parse
from databroker_like.queries._human_time import local_timezone, timestamp, timezone_named

__all__ = ["query_of"]


def query_of(conditions: Mapping[str, Any], data_keys: list[str]) -> Node:
    """The query that some conditions are.

    Parameters
    ----------
    conditions : mapping
        On the start document, as MongoDB writes them; ``since``, ``until``, both of which belong to the range, and
        ``data_key`` beside them.
    data_keys : list of str
        What was asked for as ``data_key`` is put in here.

    Returns
    -------
    Node

    Examples
    --------
    >>> keys = []
    >>> query_of({"plan_name": "scan", "since": 1600000000, "data_key": "det"}, keys).to_mongo(), keys
    ({'$and': [{'plan_name': {'$eq': 'scan'}}, {'time': {'$gte': 1600000000}}]}, ['det'])
    """
    left = dict(conditions)
    recorded = left.pop("data_key", None)
    if recorded is not None:
        data_keys += [recorded] if isinstance(recorded, str) else list(recorded)
    # What they were called in version 0.
    since = _either(left, "since", "start_time")
    until = _either(left, "until", "stop_time")
    within: list[Node] = []
    if since is not None:
        within.append(Gte("time", _seconds(since)))
    if until is not None:
        within.append(Lte("time", _seconds(until)))
    return And([parse(left), *within])


def _either(conditions: dict[str, Any], name: str, old: str) -> Any:
    value, before = conditions.pop(name, None), conditions.pop(old, None)
    return before if value is None else value


def _seconds(date: Any) -> float:
    return timestamp(date, timezone_named(local_timezone()))
