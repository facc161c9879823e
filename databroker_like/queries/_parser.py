"""A MongoDB query, which is a nested dictionary, into the tree of `databroker_like.queries._tree`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from databroker_like.errors import InvalidQuery, listed, nearest
from databroker_like.queries import _nodes as nodes
from databroker_like.queries import _tree as tree
from databroker_like.queries._values import regex_options

__all__ = ["MAX_DEPTH", "MAX_SIZE", "parse_mapping"]

#: How deep a query may be nested, and how many conditions and operands it may have.
MAX_DEPTH = 50
MAX_SIZE = 100_000

_COMPARISONS: Mapping[str, Callable[[str, Any], tree.Node]] = {
    "$eq": nodes.Eq,
    "$ne": nodes.Ne,
    "$gt": nodes.Gt,
    "$gte": nodes.Gte,
    "$lt": nodes.Lt,
    "$lte": nodes.Lte,
}
_LISTS: Mapping[str, Callable[[str, Any], tree.Node]] = {"$in": nodes.In, "$nin": nodes.NotIn, "$all": nodes.All}
_FIELD_OPERATORS = (
    *_COMPARISONS,
    *_LISTS,
    "$exists",
    "$regex",
    "$options",
    "$not",
    "$elemMatch",
    "$size",
)
_TOP_OPERATORS = ("$and", "$or", "$nor", "$text")


class _Parser:
    """One parse: where it is in the query, and how much it has seen."""

    def __init__(self) -> None:
        self.path: list[str] = []
        self.seen = 0

    # -- errors --

    def fail(self, what: str) -> InvalidQuery:
        where = "".join(part if part.startswith("[") else f".{part}" for part in self.path).lstrip(".")
        return InvalidQuery(f"query at {where!r}: {what}" if where else f"query: {what}")

    def unknown(self, operator: object, known: tuple[str, ...]) -> InvalidQuery:
        near = nearest(operator, known)
        hint = f"did you mean {listed(near)}?" if near else f"there are {listed(known, most=20)}"
        return self.fail(f"unknown operator {operator!r}; {hint}")

    def count(self, more: int = 1) -> None:
        self.seen += more
        if self.seen > MAX_SIZE:
            raise self.fail(f"more than {MAX_SIZE} conditions and values are too many for one query")

    def below(self, part: str, parse: Callable[..., Any], *args: Any) -> Any:
        self.path.append(part)
        if len(self.path) > 2 * MAX_DEPTH:
            raise InvalidQuery(f"a query is nested more than {MAX_DEPTH} deep")
        found = parse(*args)
        self.path.pop()
        return found

    # -- documents --

    def document(self, query: Any) -> tree.Node:
        if not isinstance(query, Mapping):
            raise self.fail(f"a query is a dictionary such as {{'plan_name': 'scan'}}, not {query!r}")
        found = [self.below(str(key), self.member, key, value) for key, value in query.items()]
        if not found:
            return tree.Everything()
        return found[0] if len(found) == 1 else tree.And(found)

    def member(self, key: Any, value: Any) -> tree.Node:
        self.count()
        if not isinstance(key, str):
            raise self.fail(f"a key is a string, not {key!r}")
        if not key.startswith("$"):
            if not key:
                raise self.fail("a key is a name, and this one is empty")
            return self.condition(key, value)
        if key == "$text":
            return self.text(value)
        if key not in _TOP_OPERATORS:
            if key in _FIELD_OPERATORS:
                raise self.fail(f"{key!r} stands under a key, as in {{'plan_name': {{{key!r}: ...}}}}")
            raise self.unknown(key, _TOP_OPERATORS)
        if not isinstance(value, list | tuple) or not value:
            raise self.fail(f"{key!r} takes a list of queries, of one at least, not {value!r}")
        parsed = [self.below(f"[{n}]", self.document, query) for n, query in enumerate(value)]
        if key == "$and":
            return tree.And(parsed)
        return tree.Or(parsed) if key == "$or" else tree.Not(tree.Or(parsed) if len(parsed) > 1 else parsed[0])

    def text(self, value: Any) -> tree.Node:
        if not isinstance(value, Mapping) or not isinstance(value.get("$search"), str):
            raise self.fail(f"'$text' takes {{'$search': 'some words'}}, not {value!r}")
        odd = [key for key in value if key not in ("$search", "$language")]
        if odd:
            raise self.unknown(odd[0], ("$search",))
        return tree.Text(value["$search"])

    # -- conditions on one key --

    def condition(self, key: str, value: Any) -> tree.Node:
        """What stands under a key: operators, a regular expression, or a value to equal."""
        if isinstance(value, re.Pattern):
            return self.pattern(key, value)
        if not isinstance(value, Mapping) or not _has_operators(value):
            self.check_value(value)
            return nodes.Eq(key, value)
        return self.operators(key, value)

    def operators(self, key: str, operators: Mapping[Any, Any]) -> tree.Node:
        found = []
        for operator, operand in operators.items():
            if operator == "$options":
                if "$regex" not in operators:
                    raise self.below(operator, self.fail, "'$options' belong to a '$regex' beside them")
                continue
            options = operators.get("$options") if operator == "$regex" else None
            found.append(self.below(str(operator), self.operator, key, operator, operand, options))
        return found[0] if len(found) == 1 else tree.And(found)

    def operator(self, key: str, operator: Any, operand: Any, options: Any) -> tree.Node:
        self.count()
        if operator in _COMPARISONS:
            if isinstance(operand, re.Pattern):
                if operator == "$ne":
                    return tree.Not(self.pattern(key, operand))
                if operator == "$eq":
                    return self.pattern(key, operand)
                raise self.fail(f"nothing is greater or less than a regular expression, {operand.pattern!r}")
            self.check_value(operand)
            return _COMPARISONS[operator](key, operand)
        if operator in _LISTS:
            return self.several(key, operator, operand)
        if operator == "$exists":
            return nodes.Exists(key, bool(operand))
        if operator == "$regex":
            return self.regex(key, operand, options)
        if operator == "$not":
            return self.negation(key, operand)
        if operator == "$elemMatch":
            return self.elem_match(key, operand)
        if operator == "$size":
            if type(operand) is not int or operand < 0:
                raise self.fail(f"'$size' takes a whole number, 0 or more, not {operand!r}")
            return nodes.Size(key, operand)
        if isinstance(operator, str) and operator.startswith("$"):
            if operator in _TOP_OPERATORS:
                raise self.fail(f"{operator!r} stands at the top of a query, not under the key {key!r}")
            raise self.unknown(operator, _FIELD_OPERATORS)
        raise self.fail(f"operators and plain keys are mixed: {operator!r} is no operator")

    def several(self, key: str, operator: str, operand: Any) -> tree.Node:
        operand = operand.tolist() if hasattr(operand, "tolist") else operand
        if not isinstance(operand, list | tuple | set | frozenset):
            raise self.fail(f"{operator!r} takes a list of values, not {operand!r}")
        self.count(len(operand))
        found: list[Any] = []
        for n, value in enumerate(operand):
            if isinstance(value, Mapping) and _has_operators(value):
                if operator != "$all" or list(value) != ["$elemMatch"]:
                    raise self.below(f"[{n}]", self.fail, f"{operator!r} takes values, not the operators of {value!r}")
                found.append(self.below(f"[{n}]", self.elem_match, key, value["$elemMatch"]))
            else:
                self.below(f"[{n}]", self.check_value, value)
                if isinstance(value, re.Pattern):
                    self.below(f"[{n}]", self.pattern, key, value)
                found.append(value)
        return _LISTS[operator](key, found)

    def regex(self, key: str, operand: Any, options: Any) -> tree.Node:
        if isinstance(operand, re.Pattern):
            if options:
                raise self.fail("a compiled regular expression has its options with it; leave '$options' out")
            return self.pattern(key, operand)
        return self.checked(lambda: nodes.Regex(key, operand, "" if options is None else options))

    def pattern(self, key: str, pattern: re.Pattern[Any]) -> tree.Node:
        return self.checked(lambda: nodes.Regex(key, pattern.pattern, regex_options(pattern)))

    def checked(self, make: Callable[[], tree.Node]) -> tree.Node:
        try:
            return make()
        except InvalidQuery as error:
            raise self.fail(str(error)) from error

    def negation(self, key: str, operand: Any) -> tree.Node:
        if isinstance(operand, re.Pattern):
            return tree.Not(self.pattern(key, operand))
        if not isinstance(operand, Mapping) or not _has_operators(operand):
            raise self.fail(f"'$not' takes operators, such as {{'$not': {{'$gt': 5}}}}, not {operand!r}")
        return tree.Not(self.operators(key, operand))

    def elem_match(self, key: str, operand: Any) -> tree.Node:
        if not isinstance(operand, Mapping):
            raise self.fail(f"'$elemMatch' takes a query or operators, not {operand!r}")
        if _has_operators(operand) and next(iter(operand)) not in _TOP_OPERATORS:
            return nodes.ElemMatch(key, self.operators("", operand), of_values=True)
        return nodes.ElemMatch(key, self.document(operand))

    def check_value(self, value: Any, depth: int = 0) -> None:
        """Values too are of a reasonable size."""
        if isinstance(value, Mapping | list | tuple):
            if depth > MAX_DEPTH:
                raise InvalidQuery(f"a query is nested more than {MAX_DEPTH} deep")
            self.count(len(value))
            for member in value.values() if isinstance(value, Mapping) else value:
                self.check_value(member, depth + 1)


def _has_operators(value: Mapping[Any, Any]) -> bool:
    return any(isinstance(key, str) and key.startswith("$") for key in value)


def parse_mapping(query: Mapping[str, Any]) -> tree.Node:
    """The tree of a MongoDB query.

    Raises
    ------
    InvalidQuery
        With the path to the mistake and the nearest operators.
    """
    return _Parser().document(query)
