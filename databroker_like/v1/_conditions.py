"""What a search of version 1 is asked for: conditions on the start document, dates, and data keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from databroker_like.queries import And, Node, TimeRange, parse

__all__ = ["query_of"]


def query_of(conditions: Mapping[str, Any], data_keys: list[str]) -> Node:
    """The query that some conditions are.

    Parameters
    ----------
    conditions : mapping
        On the start document, as MongoDB writes them; ``since``, ``until`` and ``data_key`` beside them.
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
    trees = [parse(left)]
    if since is not None or until is not None:
        trees.append(parse(TimeRange(since=since, until=until)))
    return And(trees)


def _either(conditions: dict[str, Any], name: str, old: str) -> Any:
    value, before = conditions.pop(name, None), conditions.pop(old, None)
    return before if value is None else value
