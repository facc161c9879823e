"""Queries as the parameters of a URL: ``filter[eq][condition][key]=color``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from databroker_like import queries as q
from databroker_like.errors import InvalidQuery

__all__ = ["Condition", "filters_of", "parameters"]

#: A name on the wire, and what stands in its fields.
Condition = tuple[str, tuple[tuple[str, str], ...]]

_Fields = dict[str, str]
#: What is found in the same way by any search for words.
_WORD = re.compile(r"\w+")


def filters_of(query: Any) -> tuple[Condition, ...]:
    """A query as conditions, all of which must hold.

    Parameters
    ----------
    query : object
        Of `databroker_like.queries`, or a dictionary as MongoDB has it.

    Returns
    -------
    tuple of (name, fields)

    Raises
    ------
    InvalidQuery
        When the protocol has no such query.

    Examples
    --------
    >>> filters_of(q.Key("color") == "red")
    (('eq', (('key', 'color'), ('value', '"red"'))),)
    >>> filters_of({"n": {"$gt": 5}, "tags": {"$all": ["a", "b"]}}) == filters_of(
    ...     (q.Key("n") > 5) & q.Contains("tags", "a") & q.Contains("tags", "b")
    ... )
    True
    """
    if isinstance(query, Mapping):
        # TimeRange, TextQuery and dictionaries mean what MongoDB means by them.
        return tuple(condition for node in _meant(q.parse(query)) for condition in filters_of(node))
    if isinstance(query, q.And | q.AllOf):
        several = query.nodes if isinstance(query, q.And) else query.queries
        return tuple(condition for node in several for condition in filters_of(node))
    if isinstance(query, q.Everything):
        return ()
    try:
        name, fields = _WRITTEN[type(query)]
    except KeyError:
        raise InvalidQuery(
            f"{query!r:.200} cannot be sent to a server: the protocol has {', '.join(sorted(_OFFERED))}, each of "
            "which further narrows a search"
        ) from None
    return ((name, tuple(fields(query).items())),)


def _meant(node: q.Node) -> Iterator[Any]:
    """What MongoDB means by a condition as queries of the protocol; what has no equal there is left as it is."""
    if isinstance(node, q.And):
        for inner in node.nodes:
            yield from _meant(inner)
    elif isinstance(node, q.Text) and _WORD.fullmatch(node.text):
        yield q.FullText(node.text)
    elif isinstance(node, q.All) and node.values and not any(isinstance(value, q.Node) for value in node.values):
        yield from (q.Contains(node.key, value) for value in node.values)
    elif isinstance(node, q.ElemMatch) and isinstance(node.node, q.Eq) and node.of_values:
        yield q.Contains(node.key, node.node.value)
    elif isinstance(node, q.NotIn | q.Ne) or (isinstance(node, q.Eq) and node.value is None):
        raise InvalidQuery(
            f"{node.to_mongo()!r:.200} holds as well where there is no {node.key!r}, which the protocol cannot say; "
            "databroker_like.queries has NotEq, NotIn and KeyPresent, which say what is meant"
        )
    else:
        yield node


def parameters(conditions: Sequence[Condition]) -> list[tuple[str, str]]:
    """Conditions as parameters of a URL, in their order.

    Parameters
    ----------
    conditions : sequence of (name, fields)

    Returns
    -------
    list of (name, value)

    Examples
    --------
    >>> parameters(filters_of(q.FullText("gold")))
    [('filter[fulltext][condition][text]', 'gold')]
    """
    return [(f"filter[{name}][condition][{field}]", text) for name, fields in conditions for field, text in fields]


def _json(value: Any) -> str:
    try:
        return json.dumps(value, default=_plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidQuery(f"{value!r:.100} cannot be searched for over HTTP: {error}") from error


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy as JSON has them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def _keyed(query: Any) -> _Fields:
    return {"key": query.key, "value": _json(query.value)}


def _listed(query: Any) -> _Fields:
    return {"key": query.key, "value": _json(list(query.values))}


def _compared(operator: str) -> Callable[[Any], _Fields]:
    return lambda query: {"operator": operator, "key": query.key, "value": _json(query.value)}


def _regex(query: q.Regex) -> _Fields:
    if set(query.options) - {"i"}:
        raise InvalidQuery(f"{query!r} cannot be sent to a server: the protocol has no options but case_sensitive")
    sensitive = "false" if "i" in query.options else "true"
    return {"key": query.key, "pattern": query.pattern, "case_sensitive": sensitive}


def _specs(query: q.SpecsQuery) -> _Fields:
    return {"include": _json(list(query.include)), "exclude": _json(list(query.exclude or ()))}


_WRITTEN: dict[type, tuple[str, Callable[[Any], _Fields]]] = {
    q.FullText: ("fulltext", lambda query: {"text": query.text}),
    q.KeyLookup: ("lookup", lambda query: {"key": query.key}),
    q.KeysFilter: ("keys_filter", lambda query: {"keys": _json(list(query.keys))}),
    q.Regex: ("regex", _regex),
    q.Eq: ("eq", _keyed),
    q.NotEq: ("noteq", _keyed),
    q.Comparison: ("comparison", lambda query: _compared(str(query.operator))(query)),
    q.Gt: ("comparison", _compared("gt")),
    q.Gte: ("comparison", _compared("ge")),
    q.Lt: ("comparison", _compared("lt")),
    q.Lte: ("comparison", _compared("le")),
    q.Contains: ("contains", _keyed),
    q.In: ("in", _listed),
    q.NotIn: ("notin", _listed),
    q.KeyPresent: ("keypresent", lambda query: {"key": query.key, "exists": _json(bool(query.exists))}),
    q.Exists: ("keypresent", lambda query: {"key": query.key, "exists": _json(bool(query.present))}),
    q.Like: ("like", lambda query: {"key": query.key, "pattern": _json(query.pattern)}),
    q.SpecsQuery: ("specs", _specs),
    q.StructureFamilyQuery: ("structure_family", lambda query: {"value": str(query.value)}),
    q.AccessTagsFilter: ("access_tags_filter", lambda query: {"tags": _json(list(query.tags))}),
}
_OFFERED = [kind.__name__ for kind in _WRITTEN if kind.__module__ == q.Like.__module__] + ["Eq", "In", "NotIn", "Regex"]
