"""The query tree as a condition for the server: what it can be trusted with, and what is left to finish here."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from databroker_like.queries import (
    All,
    And,
    Eq,
    Everything,
    Exists,
    Gt,
    Gte,
    In,
    Lt,
    Lte,
    Ne,
    Node,
    Not,
    NotIn,
    Or,
    Prefix,
    Regex,
    Size,
    Text,
)

__all__ = ["Condition", "Dialect", "is_encodable"]

#: Expressions that Python and PCRE understand the same: letters, digits, a few signs, ``.``, ``.*``, anchors.
_SAFE_REGEX = re.compile(r"\^?(?:[A-Za-z0-9 _@%,:;=~/-]|\.\*?|\\[.+*?()/\[\]{}|^$-])*\$?")
_WORDS = re.compile(r"[^\W_]+")
_LONGEST = 2**63


@dataclass(frozen=True)
class Condition:
    """A MongoDB query that every run fulfils that is sought; an exact one is fulfilled by no other.

    Parameters
    ----------
    mongo : dict
    is_exact : bool
    """

    mongo: dict[str, Any]
    is_exact: bool

    @property
    def says_nothing(self) -> bool:
        """Whether every document fulfils it."""
        return not self.mongo


_ANY = Condition({}, False)
_ALL = Condition({}, True)
_NONE = Condition({"$nor": [{}]}, True)


@dataclass(frozen=True)
class Dialect:
    """How one collection of one server is asked.

    Parameters
    ----------
    start : str
        What stands before a key of the start document, such as ``"start."``.
    stop : str or None
        What stands in place of ``stop`` in a key of the stop document; None when the stop is not at hand.
    is_trusted : bool
        Whether the server judges as MongoDB does. One that does not (mongomock) is only asked for strings to be equal.
    has_words : bool
        Whether there is a text index that finds every document with one of the words.
    """

    start: str = ""
    stop: str | None = None
    is_trusted: bool = True
    has_words: bool = False

    def condition(self, node: Node) -> Condition:
        """The condition that a query becomes.

        Parameters
        ----------
        node : Node

        Returns
        -------
        Condition
        """
        text = self._words(node) if self.has_words else None
        found = self._of(node)
        return found if text is None else _and([Condition({"$text": {"$search": text}}, False), found])

    def place(self, key: str) -> str | None:
        """Where the value at a key stands in the collection; None when it cannot be said."""
        parts = key.split(".")
        # Digits may be an index or a key; what MongoDB does with both at once is not what anybody means.
        if not all(parts) or any(p.startswith("$") or "\0" in p or (p.isascii() and p.isdigit()) for p in parts):
            return None
        if parts[0] == "stop":
            return None if self.stop is None else self.stop + key.removeprefix("stop")
        return None if parts[0].startswith("_") else self.start + key

    def _words(self, node: Node) -> str | None:
        """Words of which every match has one, for a text index; which stands alone at the top of a query."""
        nodes = node.nodes if isinstance(node, And) else (node,)
        for part in nodes:
            if isinstance(part, Text):
                # The signs of phrases and negations go: what is left asks for more, and the rest is finished here.
                kept = re.sub(r'(?<!\S)-(?:"[^"]*"?|\S+)', " ", part.text)
                words = _WORDS.findall(kept)
                if words and kept.isascii() and "_" not in kept:
                    return " ".join(words)
        return None

    def _of(self, node: Node) -> Condition:
        make = _MAKE.get(type(node))
        return _ANY if make is None else make(self, node)

    # -- logic

    def _and(self, node: And) -> Condition:
        return _and([self._of(part) for part in node.nodes])

    def _or(self, node: Or) -> Condition:
        if not node.nodes:
            return _NONE
        parts = [self._of(part) for part in node.nodes]
        exact = all(part.is_exact for part in parts)
        if any(part.says_nothing for part in parts):
            return Condition({}, exact)
        return Condition({"$or": [part.mongo for part in parts]}, exact)

    def _not(self, node: Not) -> Condition:
        part = self._of(node.node)
        return Condition({"$nor": [part.mongo]}, True) if part.is_exact else _ANY

    # -- leaves

    def _eq(self, node: Eq) -> Condition:
        return self._equal(node.key, [node.value])

    def _in(self, node: In) -> Condition:
        return self._equal(node.key, list(node.values))

    def _ne(self, node: Ne) -> Condition:
        return _opposite(self._equal(node.key, [node.value]))

    def _not_in(self, node: NotIn) -> Condition:
        return _opposite(self._equal(node.key, list(node.values)))

    def _equal(self, key: str, values: list[Any]) -> Condition:
        place = self.place(key)
        if place is None:
            return _ANY
        if not values:
            return _NONE
        if not all(self._is_plain(value, key) for value in values):
            return _ANY
        return Condition({place: {"$eq": values[0]} if len(values) == 1 else {"$in": values}}, self.is_trusted)

    def _is_plain(self, value: Any, key: str) -> bool:
        """Whether the server compares with this value as `databroker_like.queries` does."""
        if type(value) is str:
            return is_encodable(value)
        if not self.is_trusted:
            return False
        if value is None:
            return "." not in key
        if type(value) is int:
            return -_LONGEST <= value < _LONGEST
        return type(value) is bool or (type(value) is float and not math.isnan(value))

    def _all(self, node: All) -> Condition:
        return _and([self._equal(node.key, [value]) for value in node.values]) if node.values else _NONE

    def _ordered(self, node: Gt | Gte | Lt | Lte) -> Condition:
        place = self.place(node.key)
        if place is None or not self.is_trusted or node.value is None or not self._is_plain(node.value, node.key):
            return _ANY
        return Condition({place: {node._name: node.value}}, True)

    def _exists(self, node: Exists) -> Condition:
        place = self.place(node.key)
        if place is None or not self.is_trusted or "." in node.key.removeprefix("stop."):
            return _ANY
        return Condition({place: {"$exists": node.present}}, True)

    def _size(self, node: Size) -> Condition:
        place = self.place(node.key)
        if place is None or not self.is_trusted or node.key == "stop" or node.size >= _LONGEST:
            return _ANY
        return Condition({place: {"$size": node.size}}, "." not in node.key)

    def _regex(self, node: Regex) -> Condition:
        place = self.place(node.key)
        if place is None or not self.is_trusted or node.options or not _SAFE_REGEX.fullmatch(node.pattern):
            return _ANY
        return Condition({place: {"$regex": node.pattern}}, True)

    def _prefix(self, node: Prefix) -> Condition:
        place, text = self.place(node.key), node.text
        if place is None or not is_encodable(text) or "\0" in text:
            return _ANY
        if not text:
            return Condition({place: {"$regex": ""}}, self.is_trusted)
        if not (text.isascii() and text.isprintable()):
            return _ANY
        return Condition({place: {"$regex": "^" + re.escape(text)}}, self.is_trusted)


def is_encodable(text: str) -> bool:
    """Whether a text can be sent; what cannot is in no MongoDB."""
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def _and(parts: list[Condition]) -> Condition:
    said = [part.mongo for part in parts if not part.says_nothing]
    exact = all(part.is_exact for part in parts)
    if len(said) < 2:
        return Condition(said[0] if said else {}, exact)
    return Condition({"$and": said}, exact)


def _opposite(part: Condition) -> Condition:
    return Condition({"$nor": [part.mongo]}, True) if part.is_exact else _ANY


_MAKE: dict[type, Callable[[Dialect, Any], Condition]] = {
    Everything: lambda dialect, node: _ALL,
    And: Dialect._and,
    Or: Dialect._or,
    Not: Dialect._not,
    Eq: Dialect._eq,
    Ne: Dialect._ne,
    In: Dialect._in,
    NotIn: Dialect._not_in,
    All: Dialect._all,
    Gt: Dialect._ordered,
    Gte: Dialect._ordered,
    Lt: Dialect._ordered,
    Lte: Dialect._ordered,
    Exists: Dialect._exists,
    Size: Dialect._size,
    Regex: Dialect._regex,
    Prefix: Dialect._prefix,
}
