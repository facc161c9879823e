"""Conditions on the value at a key, the leaves of the query tree, with MongoDB's semantics."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar

from databroker_like.errors import InvalidQuery
from databroker_like.queries import _values as values
from databroker_like.queries._tree import And, Node, never

__all__ = [
    "All",
    "ElemMatch",
    "Eq",
    "Exists",
    "Field",
    "Gt",
    "Gte",
    "In",
    "Lt",
    "Lte",
    "Ne",
    "NotIn",
    "Prefix",
    "Regex",
    "Size",
]

Test = Callable[[Any], bool]


@dataclass(frozen=True, eq=False)
class Field(Node):
    """A condition on what stands at a dotted key.

    Parameters
    ----------
    key : str
        Such as ``"motors"``, ``"plan_args.num"`` or ``"hints.dimensions.0"``. Where a list stands in between, any of
        its members will do, as in MongoDB. The empty key is the document itself.
    """

    key: str

    #: Whether one value out of a list will do.
    _any_of_list: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.key, str):
            raise InvalidQuery(f"a key is a string, such as 'plan_name' or 'plan_args.num', not {self.key!r}")

    @abstractmethod
    def _operator(self) -> dict[str, Any]: ...

    def to_mongo(self) -> dict[str, Any]:
        return {self.key: self._operator()}

    @abstractmethod
    def _judge(self) -> Test:
        """A function of one value, which may be ``values.MISSING``."""

    def _compile(self) -> Test:
        return values.at_key(self.key, self._judge(), any_of_list=self._any_of_list)


@dataclass(frozen=True, eq=False)
class _Valued(Field):
    """A condition with one operand.

    Parameters
    ----------
    key : str
        Dotted key.
    value : object
        What to compare with.
    """

    value: Any

    _name: ClassVar[str]

    def _operator(self) -> dict[str, Any]:
        return {self._name: self.value}


class Eq(_Valued):
    """The value is equal, or a list with an equal member; None is equal to a key that is not there.

    Examples
    --------
    >>> Eq("detectors", "img").matches({"detectors": ["img", "diode"]})
    True
    """

    _name = "$eq"

    def _judge(self) -> Test:
        return values.equal_to(self.value)

    def _compile(self) -> Test:
        if self.key and "." not in self.key:
            if type(self.value) is str:
                return _equal_string(self.key, self.value, super()._compile())
            if type(self.value) in (int, float) and self.value == self.value:
                return _equal_number(self.key, self.value, super()._compile())
        return super()._compile()


def _equal_string(key: str, text: str, general: Test) -> Test:
    """The most frequent of all conditions, on its shortest way."""

    def test(doc: Any) -> bool:
        try:
            found = doc[key]
        except (KeyError, TypeError):
            return False
        return found == text if type(found) is str else general(doc)

    return test


def _equal_number(key: str, number: float, general: Test) -> Test:
    def test(doc: Any) -> bool:
        try:
            found = doc[key]
        except (KeyError, TypeError):
            return general(doc)
        kind = type(found)
        return found == number if kind is int or kind is float else general(doc)

    return test


class Ne(_Valued):
    """The opposite of `Eq`; a key that is not there is not equal to anything but None."""

    _name = "$ne"

    def _judge(self) -> Test:
        return values.equal_to(self.value)

    def _compile(self) -> Test:
        test = super()._compile()
        return lambda doc: not test(doc)


class Gt(_Valued):
    """The value is greater; numbers are compared with numbers, strings with strings, other pairs never match."""

    _name = "$gt"

    def _judge(self) -> Test:
        return values.greater(self.value)


class Gte(_Valued):
    """The value is greater or equal; types as of `Gt`."""

    _name = "$gte"

    def _judge(self) -> Test:
        return values.greater_or_equal(self.value)


class Lt(_Valued):
    """The value is less; types as of `Gt`."""

    _name = "$lt"

    def _judge(self) -> Test:
        return values.less(self.value)


class Lte(_Valued):
    """The value is less or equal; types as of `Gt`."""

    _name = "$lte"

    def _judge(self) -> Test:
        return values.less_or_equal(self.value)


@dataclass(frozen=True, eq=False)
class _Listed(Field):
    """A condition with several operands.

    Parameters
    ----------
    key : str
        Dotted key.
    values : iterable
        What to compare with; in ``$in``, ``$nin`` and ``$all`` a compiled regular expression stands for the
        strings it is found in.
    """

    values: Sequence[Any]

    _name: ClassVar[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "values", tuple(self.values))

    def _operator(self) -> dict[str, Any]:
        return {self._name: list(self.values)}


class In(_Listed):
    """The value is equal to at least one of several.

    Examples
    --------
    >>> In("plan_name", ["scan", "count"]).matches({"plan_name": "count"})
    True
    """

    _name = "$in"

    def _judge(self) -> Test:
        return values.among(self.values)


class NotIn(_Listed):
    """The opposite of `In`."""

    _name = "$nin"

    def _judge(self) -> Test:
        return values.among(self.values)

    def _compile(self) -> Test:
        test = super()._compile()
        return lambda doc: not test(doc)


class All(_Listed):
    """Every one of several values is equal to the value, or to a member of it; of none, nothing matches.

    Members of ``values`` may be `ElemMatch` conditions.
    """

    _name = "$all"

    def _operator(self) -> dict[str, Any]:
        return {"$all": [v._operator() if isinstance(v, ElemMatch) else v for v in self.values]}

    def _judge(self) -> Test:  # pragma: no cover  _compile does not ask
        return never

    def _compile(self) -> Test:
        if not self.values:
            return never
        return And(
            ElemMatch(self.key, v.node, v.of_values) if isinstance(v, ElemMatch) else In(self.key, (v,))
            for v in self.values
        )._compile()


@dataclass(frozen=True, eq=False)
class Exists(Field):
    """The key is there, whatever its value; or, with False, it is not.

    Parameters
    ----------
    key : str
        Dotted key.
    present : bool
        True by default.
    """

    present: bool = True

    def _operator(self) -> dict[str, Any]:
        return {"$exists": self.present}

    def _judge(self) -> Test:
        return values.is_there

    def _compile(self) -> Test:
        # An empty list is a value too.
        test = values.at_key(self.key, self._judge(), any_of_list=False)
        return test if self.present else lambda doc: not test(doc)


@dataclass(frozen=True, eq=False)
class Regex(Field):
    """The value is a string, or a list with a string, in which a regular expression is found.

    Parameters
    ----------
    key : str
        Dotted key.
    pattern : str
        At most 1 000 characters.
    options : str
        Any of ``i`` (case does not matter), ``m``, ``s``, ``x``; none by default.
    case_sensitive : bool
        Another way to say whether ``i`` is among them; it may stand in the place of ``options``, too.

    Examples
    --------
    >>> Regex("sample", "^si", "i").matches({"sample": "SiO2"})
    True
    """

    pattern: str
    options: str = ""
    case_sensitive: InitVar[bool | None] = None

    def __post_init__(self, case_sensitive: bool | None) -> None:
        super().__post_init__()
        if isinstance(self.options, bool):
            case_sensitive = self.options
            object.__setattr__(self, "options", "")
        if case_sensitive is not None and isinstance(self.options, str):
            object.__setattr__(self, "options", ("" if case_sensitive else "i") + self.options.replace("i", ""))
        values.compiled_regex(self.pattern, self.options)

    def _operator(self) -> dict[str, Any]:
        return {"$regex": self.pattern, **({"$options": self.options} if self.options else {})}

    def _judge(self) -> Test:
        return values.found_by(values.compiled_regex(self.pattern, self.options))


@dataclass(frozen=True, eq=False)
class Prefix(Field):
    """The value is a string, or a list with a string, that begins with a text.

    Parameters
    ----------
    key : str
        Dotted key.
    text : str

    Examples
    --------
    >>> Prefix("uid", "41fb").matches({"uid": "41fb8ca9"})
    True
    """

    text: str

    def _operator(self) -> dict[str, Any]:
        return {"$regex": "^" + re.escape(self.text)}

    def _judge(self) -> Test:
        text = self.text
        return lambda value: isinstance(value, str) and value.startswith(text)


@dataclass(frozen=True, eq=False)
class Size(Field):
    """The value is a list of just so many members.

    Parameters
    ----------
    key : str
        Dotted key.
    size : int
    """

    size: int

    _any_of_list = False

    def _operator(self) -> dict[str, Any]:
        return {"$size": self.size}

    def _judge(self) -> Test:
        size = self.size
        return lambda value: isinstance(value, list | tuple) and len(value) == size


@dataclass(frozen=True, eq=False)
class ElemMatch(Field):
    """The value is a list of which one member fulfils all of a condition.

    Parameters
    ----------
    key : str
        Dotted key.
    node : Node
        A condition on the member as a document; or on the member itself, with the empty key.
    of_values : bool
        Whether ``node`` is a condition on the member itself; False by default.

    Examples
    --------
    >>> ElemMatch("scans", Eq("motor", "th") & Gt("points", 5)).matches({"scans": [{"motor": "th", "points": 7}]})
    True
    """

    node: Node
    of_values: bool = False

    _any_of_list = False

    def _operator(self) -> dict[str, Any]:
        return {"$elemMatch": self.node._operator() if self.of_values else self.node.to_mongo()}

    def _judge(self) -> Test:
        test = self.node._compile()
        wanted: Any = object if self.of_values else (Mapping, list, tuple)

        def judge(value: Any) -> bool:
            return isinstance(value, list | tuple) and any(isinstance(m, wanted) and test(m) for m in value)

        return judge
