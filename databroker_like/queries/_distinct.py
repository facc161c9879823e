"""The different values at a key, with how many documents have each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from databroker_like.errors import InvalidQuery
from databroker_like.queries._values import MISSING, found_at, rank

__all__ = ["Tally", "as_lists", "in_order"]

Counts = list[tuple[Any, int]]

#: Of these Python's own equality counts as a query would, but that True is not 1.
_HASHED = frozenset({str, int, float, type(None)})


class Tally:
    """Counts documents by what they have at a key.

    A list counts for each of its members, once for each document, and a document without the key counts as None. So
    the number beside a value is how many documents ``{key: value}`` finds.

    Parameters
    ----------
    key : str
        Dotted key.

    Examples
    --------
    >>> tally = Tally("detectors")
    >>> for doc in ({"detectors": ["img", "det"]}, {"detectors": "det"}, {}):
    ...     tally.add(doc)
    >>> tally.counts()
    [('det', 2), (None, 1), ('img', 1)]
    """

    def __init__(self, key: str) -> None:
        if not isinstance(key, str) or not key:
            raise InvalidQuery(f"a key is a string, such as 'plan_name' or 'plan_args.num', not {key!r}")
        self._parts = key.split(".")
        self._counts: dict[Any, int] = {}
        self._values: dict[Any, Any] = {}

    def add(self, doc: Mapping[str, Any], times: int = 1) -> None:
        """Count a document.

        Parameters
        ----------
        doc : mapping
        times : int
            As this many; 1 by default.
        """
        seen: dict[Any, Any] = {}
        for value in found_at(doc, self._parts):
            for member in value if type(value) is list else (value,):
                plain = None if member is MISSING else member
                seen.setdefault(rank(plain), plain)
        for ranked, value in seen.items():
            self._values.setdefault(ranked, value)
            self._counts[ranked] = self._counts.get(ranked, 0) + times

    def add_all(self, docs: Iterable[Mapping[str, Any]]) -> None:
        """Count many documents.

        Parameters
        ----------
        docs : iterable of mapping
        """
        parts, plain = self._parts, []
        for doc in docs:
            value: Any = doc
            for part in parts:
                if type(value) is not dict:
                    break
                value = value.get(part)
            else:
                if type(value) in _HASHED:
                    plain.append(value)
                    continue
            self.add(doc)
        for value, count in Counter(plain).items():
            ranked = rank(value)
            self._values.setdefault(ranked, value)
            self._counts[ranked] = self._counts.get(ranked, 0) + count

    def counts(self) -> Counts:
        """Pairs of value and number, the most frequent first, then by value."""
        return in_order((self._values[ranked], count) for ranked, count in self._counts.items())


def in_order(counts: Iterable[tuple[Any, int]]) -> Counts:
    """Pairs of value and number, the most frequent first, then by value as a query compares them.

    Parameters
    ----------
    counts : iterable of (value, int)

    Returns
    -------
    list of (value, int)

    Examples
    --------
    >>> in_order([("scan", 1), (None, 1), ("count", 2)])
    [('count', 2), (None, 1), ('scan', 1)]
    """
    return sorted(counts, key=lambda pair: (-pair[1], rank(pair[0])))


def as_lists(value: Any) -> Any:
    """A value with lists in the place of tuples, as it is when it has been written down and read.

    Parameters
    ----------
    value : object

    Returns
    -------
    object

    Examples
    --------
    >>> as_lists((("motor",), {"a": (1, 2)}))
    [['motor'], {'a': [1, 2]}]
    """
    if isinstance(value, list | tuple):
        return [as_lists(one) for one in value]
    return {key: as_lists(one) for key, one in value.items()} if isinstance(value, dict) else value
