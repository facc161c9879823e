"""Which of some nodes match a query, and in which order they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from databroker_like.errors import Invalid
from databroker_like.nodes._node import Node, Query, Sorting
from databroker_like.queries import AllOf, KeyLookup, KeysFilter, SpecsQuery, StructureFamilyQuery
from databroker_like.queries._order import in_order_of, rank_at, ranks
from databroker_like.queries._tiled import TiledQuery

__all__ = ["Asked", "Selector", "as_sorting", "in_order_of", "matcher", "positions", "ranks", "selector"]

Asked = Callable[[str, Node], bool]
Selector = Callable[[Sequence[str], Sequence[Node]], Iterable[bool]]

#: More than anybody sorts by.
_MOST_KEYS = 16


def matcher(query: Query) -> Asked:
    """A function of a key and a node.

    Parameters
    ----------
    query : queries.Node or TiledQuery

    Returns
    -------
    callable

    Raises
    ------
    InvalidQuery
        When the query asks for what only a server knows.
    """
    if isinstance(query, KeyLookup):
        wanted = query.key
        return lambda key, node: key == wanted
    if isinstance(query, KeysFilter):
        keys = frozenset(query.keys)
        return lambda key, node: key in keys
    if isinstance(query, StructureFamilyQuery):
        family = getattr(query.value, "value", query.value)
        return lambda key, node: node.structure_family == family
    if isinstance(query, SpecsQuery):
        return _has_specs(frozenset(query.include or ()), frozenset(query.exclude or ()))
    if isinstance(query, AllOf):
        tests = [matcher(one) for one in query.queries]
        return lambda key, node: all(test(key, node) for test in tests)
    matches = _compiled(query)
    return lambda key, node: matches(node.metadata)


def selector(query: Query) -> Selector:
    """A function of keys and nodes, many at once, that tells of each whether it matches.

    Parameters
    ----------
    query : queries.Node or TiledQuery

    Returns
    -------
    callable

    Raises
    ------
    InvalidQuery
        When the query asks for what only a server knows.

    Examples
    --------
    >>> list(selector(KeyLookup("b"))(["a", "b"], [None, None]))
    [False, True]
    """
    if isinstance(query, KeyLookup):
        wanted = query.key
        return lambda keys, nodes: [key == wanted for key in keys]
    if isinstance(query, KeysFilter | StructureFamilyQuery | SpecsQuery):
        test = matcher(query)
        return lambda keys, nodes: map(test, keys, nodes)
    matches = _compiled(query)
    return lambda keys, nodes: [matches(node.metadata) for node in nodes]


def _compiled(query: Query) -> Callable[[Mapping[str, Any]], bool]:
    """The function that a query becomes, with nothing around it."""
    tree = query.node() if isinstance(query, TiledQuery) else query
    tree.matches({})
    return tree.matches


def _has_specs(include: frozenset[str], exclude: frozenset[str]) -> Asked:
    def test(key: str, node: Node) -> bool:
        names = {spec.name for spec in node.specs}
        return include <= names and not exclude & names

    return test


def as_sorting(by: Sequence[tuple[str, int]]) -> Sorting:
    """What to sort by, if it can be meant.

    Parameters
    ----------
    by : sequence of (str, int)

    Returns
    -------
    tuple of (str, int)

    Raises
    ------
    Invalid
        When a direction is neither 1 nor -1, a key comes twice, or the empty key is not the last.

    Examples
    --------
    >>> as_sorting([("color", 1), ("", -1)])
    (('color', 1), ('', -1))
    """
    found = tuple((key, direction) for key, direction in by)
    keys = [key for key, _ in found]
    if len(keys) > _MOST_KEYS:
        raise Invalid(f"sorted by {len(keys)} keys; {_MOST_KEYS} are allowed")
    for key, direction in found:
        if not isinstance(key, str) or direction not in (1, -1):
            raise Invalid(f"nodes are sorted by a key and 1 or -1, not by {key!r:.80} and {direction!r:.80}")
        if keys.count(key) > 1:
            raise Invalid(f"sorted by {key!r:.80} more than once")
    if "" in keys[:-1]:
        raise Invalid("the order that a container has by itself leaves nothing to sort by; put the empty key last")
    return found


def positions(by: Sorting, documents: Sequence[Mapping[str, Any]]) -> list[int]:
    """In which order some documents stand.

    Parameters
    ----------
    by : tuple of (str, int)
        As `as_sorting` gives it.
    documents : sequence of mapping
        In the order of the empty key.

    Returns
    -------
    list of int
        The position of each, the first first.

    Examples
    --------
    >>> positions((("n", -1),), [{"n": 9}, {}, {"n": 10}])
    [2, 0, 1]
    """
    ordered = list(range(len(documents)))
    # The last key first: each sort leaves the order of equals as it was.
    for key, direction in reversed(by):
        if not key:
            ordered = ordered if direction > 0 else ordered[::-1]
            continue
        ranked = _comparable(documents, key.split("."))
        there = [at for at in ordered if ranked[at] is not None]
        there.sort(key=ranked.__getitem__, reverse=direction < 0)
        ordered = there if len(there) == len(ordered) else there + [at for at in ordered if ranked[at] is None]
    return ordered


def _comparable(documents: Sequence[Mapping[str, Any]], parts: list[str]) -> list[Any]:
    """What the documents are ordered by: the values themselves where they compare as they are, else their ranks."""
    if len(parts) == 1:
        (part,) = parts
        values = [document.get(part) for document in documents]
        kinds = set(map(type, values)) - {type(None)}
        # NaN alone is not equal to itself, and compares with nothing.
        if kinds <= {str} or (kinds <= {int, float} and all(value == value for value in values)):
            return values
    return [rank_at(document, parts) for document in documents]
