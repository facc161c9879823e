"""A query as two sets of runs: those that match for certain, and those that may.

Where the two are one, the index alone answers. Where they are not, the documents of the runs in between are asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, text

from databroker_like import queries
from databroker_like.queries import Node
from databroker_like.queries import _values as values
from databroker_like.store import _search_wanted as wanted
from databroker_like.store import _terms as terms
from databroker_like.store._schema import key as key_table
from databroker_like.store._search_sets import ALL, NONE, Bounds, Pieces, Set, Span, both, either, without
from databroker_like.store._search_wanted import Wanted

__all__ = ["Plan", "Planner"]


class Plan(NamedTuple):
    """What the index says of a query.

    Parameters
    ----------
    certain, possible : Set
        The runs that match whatever their documents say, and those that may.
    """

    certain: Set
    possible: Set

    @property
    def is_exact(self) -> bool:
        """Whether the index alone answers."""
        return self.certain == self.possible


UNKNOWN = Plan(NONE, ALL)


#: How many values are handed to a database at once.
LOT = 10_000


def _in_lots(bounds: Bounds | None) -> list[Bounds | None]:
    points = bounds.points if bounds else None
    if points is None or len(points) <= LOT:
        return [bounds]
    return [Bounds.at(*points[first : first + LOT]) for first in range(0, len(points), LOT)]


@dataclass(frozen=True)
class Key:
    """A dotted key as the index knows it.

    Parameters
    ----------
    id : int or None
        None where no run has it.
    kinds : frozenset of int
        The kinds of rows there are.
    """

    id: int | None
    kinds: frozenset[int]

    def pieces(self, rows: Iterable[tuple[int, Bounds | None, Bounds | None]]) -> Pieces:
        """The runs with rows of certain kinds and values, as the only scalar or as one of several."""
        if self.id is None:
            return NONE
        spans = (
            Span(self.id, (kind, kind), *bounds)
            for one, num, txt in rows
            for kind in (one, one + terms.SEVERAL)
            if kind in self.kinds
            for bounds in product(_in_lots(num), _in_lots(txt))
        )
        return Pieces(tuple(dict.fromkeys(spans)))

    @property
    def present(self) -> Pieces:
        """The runs that have it."""
        if self.id is None or not self.kinds:
            return NONE
        return Pieces((Span(self.id, (0, terms.SEVERAL - 1)),))


_KINDS = text(
    "WITH RECURSIVE kinds(kind) AS (SELECT min(kind) FROM term WHERE key_id = :key UNION ALL "
    "SELECT (SELECT min(kind) FROM term WHERE key_id = :key AND kind > kinds.kind) FROM kinds "
    "WHERE kinds.kind IS NOT NULL) SELECT kind FROM kinds WHERE kind IS NOT NULL"
)
_TEXTS = text(
    "WITH RECURSIVE texts(txt) AS (SELECT min(txt) FROM term WHERE key_id = :key AND kind = :kind AND num = 0 "
    "AND txt >= :low UNION ALL SELECT (SELECT min(txt) FROM term WHERE key_id = :key AND kind = :kind AND num = 0 "
    "AND txt > texts.txt) FROM texts WHERE texts.txt IS NOT NULL) "
    "SELECT txt FROM texts WHERE txt IS NOT NULL LIMIT :most"
)

#: A regular expression is asked of the different strings at a key, when there are no more than these.
MOST_TEXTS = 1000


class Planner:
    """Makes plans from queries, and looks into the index for what is known of their keys.

    Parameters
    ----------
    connection : Connection
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._keys: dict[str, Key] = {}

    def key(self, name: str) -> Key:
        """What the index knows of a dotted key."""
        found = self._keys.get(name)
        if found is None:
            query = select(key_table.c.id).where(key_table.c.name == name)
            number = self._connection.execute(query).scalar() if terms.is_writable(name) else None
            kinds = () if number is None else self._connection.execute(_KINDS, {"key": number}).scalars()
            found = self._keys[name] = Key(number, frozenset(kinds))
        return found

    def plan(self, query: Node) -> Plan:
        """What the index says of a query.

        Parameters
        ----------
        query : Node

        Returns
        -------
        Plan
        """
        make = _PLANS.get(type(query))
        return UNKNOWN if make is None else make(self, query)

    # -- logic

    def _everything(self, query: Any) -> Plan:
        return Plan(ALL, ALL)

    def _and(self, query: Any) -> Plan:
        return _all_of(map(self.plan, query.nodes))

    def _or(self, query: Any) -> Plan:
        plans = list(map(self.plan, query.nodes))
        return Plan(either(plan.certain for plan in plans), either(plan.possible for plan in plans))

    def _not(self, query: Any) -> Plan:
        return _opposite(self.plan(query.node))

    # -- conditions on a key

    def _one(self, query: Any) -> Plan:
        return self._plan(query.key, _ONE[type(query)](query.value))

    def _ne(self, query: Any) -> Plan:
        return _opposite(self._plan(query.key, wanted.equal(query.value)))

    def _in(self, query: Any) -> Plan:
        return self._among(query.key, query.values)

    def _not_in(self, query: Any) -> Plan:
        return _opposite(self._among(query.key, query.values))

    def _among(self, key: str, operands: Iterable[Any]) -> Plan:
        patterns = [operand for operand in operands if isinstance(operand, re.Pattern)]
        others = (wanted.equal(operand) for operand in operands if not isinstance(operand, re.Pattern))
        plans = [self._plan(key, wanted.any_of(others))]
        plans += [self._found(key, values.checked_regex(pattern)) for pattern in patterns]
        return Plan(either(plan.certain for plan in plans), either(plan.possible for plan in plans))

    def _all(self, query: Any) -> Plan:
        if not query.values:
            return Plan(NONE, NONE)
        return _all_of(
            self._plan(query.key, wanted.member(value.of_values))
            if isinstance(value, queries.ElemMatch)
            else self._among(query.key, (value,))
            for value in query.values
        )

    def _exists(self, query: Any) -> Plan:
        plan = self._plan(query.key, wanted.anything())
        return plan if query.present else _opposite(plan)

    def _prefix(self, query: Any) -> Plan:
        return self._plan(query.key, wanted.prefix(query.text))

    def _size(self, query: Any) -> Plan:
        return self._plan(query.key, wanted.size(query.size))

    def _elem_match(self, query: Any) -> Plan:
        return self._plan(query.key, wanted.member(query.of_values))

    def _regex(self, query: Any) -> Plan:
        return self._found(query.key, values.compiled_regex(query.pattern, query.options))

    def _found(self, key: str, pattern: re.Pattern[str]) -> Plan:
        literal = wanted.beginning(pattern)
        if literal is not None and literal[1]:
            return self._plan(key, wanted.prefix(literal[0]))
        begin = literal[0] if literal else ""
        if key not in terms.OF_RUN and terms.is_indexed(key):
            texts = self._texts(key, begin)
            if texts is not None:
                points = tuple(filter(pattern.search, texts))
                return self._plan(key, wanted.texts(points, begin))
        return self._plan(key, wanted.perhaps(wanted.prefix(begin)))

    def _texts(self, name: str, begin: str) -> list[str] | None:
        """The different strings at a key that begin with a text; None when they are too many."""
        key = self.key(name)
        found: list[str] = []
        for kind in sorted({terms.TEXT, terms.TEXT + terms.SEVERAL} & key.kinds):
            parameters = {"key": key.id, "kind": kind, "low": begin, "most": MOST_TEXTS + 1}
            more = self._connection.execute(_TEXTS, parameters).scalars().all()
            inside = [each for each in more if each.startswith(begin)]
            # They come in order, so that the first one that begins otherwise is behind all of them.
            if len(more) > MOST_TEXTS and len(inside) == len(more):
                return None
            found += inside
        return found

    def _plan(self, name: str, what: Wanted) -> Plan:
        if not terms.is_indexed(name):
            return UNKNOWN
        key = self.key(name)
        certain: Set = key.pieces(what.certain)
        possible: Set = key.pieces((*what.certain, *what.possible))
        if what.anything:
            certain = possible = key.present
        if name in terms.OF_RUN:
            certain, possible = self._of_run(name, key, what, certain, possible)
        parts = name.split(".")
        indexed = [n for n, part in enumerate(parts) if n and part.isascii() and part.isdigit()]
        if indexed:
            # A number may also be the place in a list, which the index does not know.
            lists = [self._lists(parts[:n]) for n in indexed]
            return Plan(certain, ALL if what.missing else either([possible, *lists]))
        if not what.missing:
            return Plan(certain, possible)
        # A list on the way may have members with the key and without.
        lists = [self._lists(parts[:n]) for n in range(1, len(parts))]
        missing = without(key.present) if name not in terms.OF_RUN else NONE
        return Plan(
            either([certain, both([missing, without(either(lists))])]),
            either([possible, missing, *lists]),
        )

    def _lists(self, parts: list[str]) -> Pieces:
        return self.key(".".join(parts)).pieces([(terms.LIST, None, None)])

    @staticmethod
    def _of_run(name: str, key: Key, what: Wanted, certain: Set, possible: Set) -> tuple[Set, Set]:
        """The table of runs tells, but for runs that have something in the index."""
        kind = terms.TEXT if name == "uid" else terms.NUMBER
        spans = (
            Pieces(
                tuple(
                    Span(name, (0, 0), *bounds)
                    for one, num, txt in rows
                    if one == kind
                    for bounds in product(_in_lots(num), _in_lots(txt))
                )
            )
            for rows in (what.certain, what.certain + what.possible)
        )
        others = without(key.present)
        told, perhaps = (ALL if what.anything else rows for rows in spans)
        return either([certain, both([told, others])]), either([possible, both([perhaps, others])])

    # -- words

    def _text(self, query: Any) -> Plan:
        words, phrases, banned = _parts(query.text)
        if not words and not phrases:
            return Plan(NONE, NONE)
        found = [self._phrase(phrase) for phrase in phrases]
        if not found:
            found = [self._words(words)]
        return _all_of([*found, *(_opposite(self._phrase(phrase)) for phrase in banned)])

    def _words(self, words: Iterable[str]) -> Plan:
        key = self.key(terms.WORDS)
        short = tuple(dict.fromkeys(word for word in words if len(word) <= terms.MAX_TEXT))
        sure = key.pieces([(terms.TEXT, wanted.ZERO, Bounds.at(*short))] if short else ())
        return Plan(sure, either([sure, key.pieces([(terms.OTHER, None, None)])]))

    def _phrase(self, words: list[str]) -> Plan:
        plan = _all_of(self._words([word]) for word in words)
        return plan if len(words) == 1 else Plan(NONE, plan.possible)


def _opposite(plan: Plan) -> Plan:
    return Plan(without(plan.possible), without(plan.certain))


def _all_of(plans: Iterable[Plan]) -> Plan:
    found = list(plans)
    return Plan(both(plan.certain for plan in found), both(plan.possible for plan in found))


def _parts(search: str) -> tuple[list[str], list[list[str]], list[list[str]]]:
    """The words, the phrases and what must not be there, as `databroker_like.queries` reads them."""
    words: list[str] = []
    phrases: list[list[str]] = []
    banned: list[list[str]] = []
    for part in values._TERM.finditer(search.casefold()):
        found = values._WORD.findall(part["word"] if part["phrase"] is None else part["phrase"])
        if found and part["not"]:
            banned.append(found)
        elif found and part["phrase"] is not None:
            phrases.append(found)
        else:
            words += found
    return words, phrases, banned


_ONE: Mapping[type, Callable[[Any], Wanted]] = {
    queries.Eq: wanted.equal,
    queries.Gt: wanted.greater,
    queries.Gte: wanted.greater_or_equal,
    queries.Lt: wanted.less,
    queries.Lte: wanted.less_or_equal,
}

_PLANS: Mapping[type, Callable[[Planner, Any], Plan]] = {
    queries.Everything: Planner._everything,
    queries.And: Planner._and,
    queries.Or: Planner._or,
    queries.Not: Planner._not,
    queries.Text: Planner._text,
    **dict.fromkeys(_ONE, Planner._one),
    queries.Ne: Planner._ne,
    queries.In: Planner._in,
    queries.NotIn: Planner._not_in,
    queries.All: Planner._all,
    queries.Exists: Planner._exists,
    queries.Prefix: Planner._prefix,
    queries.Size: Planner._size,
    queries.ElemMatch: Planner._elem_match,
    queries.Regex: Planner._regex,
}
