"""The tree that every query becomes, and how it judges a document, with MongoDB's semantics.

A node says what it means as a frozen, comparable object; its ``matches`` is compiled to nested functions when it is
first called, and stays behind when the node is pickled.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from databroker_like import _query_values as values
from databroker_like.errors import InvalidQuery

__all__ = [
    "All",
    "And",
    "ElemMatch",
    "Eq",
    "Everything",
    "Exists",
    "Gt",
    "Gte",
    "In",
    "Lt",
    "Lte",
    "Ne",
    "Node",
    "Not",
    "NotIn",
    "Or",
    "Prefix",
    "Regex",
    "Size",
    "Text",
]

Doc = Mapping[str, Any]
Test = Callable[[Any], bool]

#: The longest regular expression taken, in characters.
MAX_PATTERN = 1000


class Node:
    """One condition on a document; the base of the tree.

    Nodes combine with ``&``, ``|`` and ``~``, compare and hash by what they say, and pickle.

    Examples
    --------
    >>> query = Eq("plan_name", "scan") & ~Gt("num_points", 10)
    >>> query.matches({"plan_name": "scan", "num_points": 5})
    True
    >>> query.to_mongo()
    {'$and': [{'plan_name': {'$eq': 'scan'}}, {'$nor': [{'num_points': {'$gt': 10}}]}]}
    """

    def matches(self, doc: Doc) -> bool:
        """Whether a document fulfils the condition.

        Parameters
        ----------
        doc : mapping

        Returns
        -------
        bool
        """
        test = self._compile()
        # From now on the instance's own attribute answers: a plain function, without this frame.
        self.__dict__["matches"] = test
        return test(doc)

    @abstractmethod
    def to_mongo(self) -> dict[str, Any]:
        """The same condition as a MongoDB query."""

    @abstractmethod
    def _compile(self) -> Test:
        """A function of a document."""

    def _operator(self) -> dict[str, Any]:
        """The same condition without its key, as it stands inside ``$elemMatch`` and ``$not``."""
        raise InvalidQuery(f"{self!r} is no condition on one value")

    def __and__(self, other: Node) -> Node:
        return And(self, other)

    def __or__(self, other: Node) -> Node:
        return Or(self, other)

    def __invert__(self) -> Node:
        return Not(self)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "matches"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    # By what they say and not by ``==`` of the values: 1 and True are equal in Python and not in a query.
    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


# -- logic ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Everything(Node):
    """The condition that every document fulfils.

    Examples
    --------
    >>> Everything().to_mongo()
    {}
    """

    def to_mongo(self) -> dict[str, Any]:
        return {}

    def _operator(self) -> dict[str, Any]:
        return {}

    def _compile(self) -> Test:
        return _always


def _always(doc: Any) -> bool:
    return True


def _never(doc: Any) -> bool:
    return False


@dataclass(frozen=True, eq=False, init=False)
class _Several(Node):
    """Conditions put together."""

    nodes: tuple[Node, ...]

    def __init__(self, *nodes: Node | Iterable[Node]) -> None:
        flat: list[Node] = []
        for node in nodes:
            flat.extend([node] if isinstance(node, Node) else node)
        object.__setattr__(self, "nodes", tuple(flat))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.nodes))})"


class And(_Several):
    """All conditions hold; of none, everything matches.

    Parameters
    ----------
    *nodes : Node or iterable of Node
    """

    def to_mongo(self) -> dict[str, Any]:
        if len(self.nodes) < 2:
            return self.nodes[0].to_mongo() if self.nodes else {}
        return {"$and": [node.to_mongo() for node in self.nodes]}

    def _operator(self) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for node in self.nodes:
            part = node._operator()
            if merged.keys() & part.keys():
                raise InvalidQuery(f"{self!r} has one operator twice, which a condition on one value cannot say")
            merged.update(part)
        return merged

    def _compile(self) -> Test:
        tests = [node._compile() for node in self.nodes if not isinstance(node, Everything)]
        if not tests:
            return _always
        if len(tests) == 1:
            return tests[0]
        if len(tests) == 2:
            one, two = tests
            return lambda doc: one(doc) and two(doc)

        def test(doc: Any) -> bool:
            for each in tests:  # noqa: SIM110  a generator expression costs three times as much
                if not each(doc):
                    return False
            return True

        return test


class Or(_Several):
    """At least one of the conditions holds; of none, nothing matches.

    Parameters
    ----------
    *nodes : Node or iterable of Node
    """

    def to_mongo(self) -> dict[str, Any]:
        # MongoDB refuses an empty $or.
        return {"$or": [node.to_mongo() for node in self.nodes]} if self.nodes else {"$nor": [{}]}

    def _compile(self) -> Test:
        tests = [node._compile() for node in self.nodes]
        if not tests:
            return _never
        if len(tests) == 1:
            return tests[0]

        def test(doc: Any) -> bool:
            for each in tests:  # noqa: SIM110
                if each(doc):
                    return True
            return False

        return test


@dataclass(frozen=True, eq=False)
class Not(Node):
    """The condition does not hold.

    Parameters
    ----------
    node : Node
    """

    node: Node

    def to_mongo(self) -> dict[str, Any]:
        return {"$nor": [self.node.to_mongo()]}

    def _operator(self) -> dict[str, Any]:
        return {"$not": self.node._operator()}

    def _compile(self) -> Test:
        test = self.node._compile()
        return lambda doc: not test(doc)


# -- conditions on the value at a key ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Field(Node):
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
class _Valued(_Field):
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
        if type(self.value) is str and self.key and "." not in self.key:
            return _equal_string(self.key, self.value, super()._compile())
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
class _Listed(_Field):
    """A condition with several operands.

    Parameters
    ----------
    key : str
        Dotted key.
    values : iterable
        What to compare with; in ``$in``, ``$nin`` and ``$all`` a compiled regular expression stands for the
        strings it is found in.
    """

    values: tuple[Any, ...]

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
        return _never

    def _compile(self) -> Test:
        if not self.values:
            return _never
        return And(
            ElemMatch(self.key, v.node, v.of_values) if isinstance(v, ElemMatch) else In(self.key, [v])
            for v in self.values
        )._compile()


@dataclass(frozen=True, eq=False)
class Exists(_Field):
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
class Regex(_Field):
    """The value is a string, or a list with a string, in which a regular expression is found.

    Parameters
    ----------
    key : str
        Dotted key.
    pattern : str
        At most 1 000 characters.
    options : str
        Any of ``i`` (case does not matter), ``m``, ``s``, ``x``; none by default.

    Examples
    --------
    >>> Regex("sample", "^si", "i").matches({"sample": "SiO2"})
    True
    """

    pattern: str
    options: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        values.compiled_regex(self.pattern, self.options)

    def _operator(self) -> dict[str, Any]:
        return {"$regex": self.pattern, **({"$options": self.options} if self.options else {})}

    def _judge(self) -> Test:
        return values.found_by(values.compiled_regex(self.pattern, self.options))


@dataclass(frozen=True, eq=False)
class Prefix(_Field):
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
class Size(_Field):
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
class ElemMatch(_Field):
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


# -- text -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Text(Node):
    """Words are found among all the strings of a document, whole and without regard to case.

    Parameters
    ----------
    text : str
        Words, any of which will do; ``"phrases in quotes"``, all of which must be there; ``-words`` that must not.

    Examples
    --------
    >>> Text("gold nickel").matches({"sample": {"label": "Gold, on glass"}})
    True
    >>> Text("gold -glass").matches({"sample": {"label": "Gold, on glass"}})
    False
    """

    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise InvalidQuery(f"the text to search for is a string, not {self.text!r}")

    def to_mongo(self) -> dict[str, Any]:
        return {"$text": {"$search": self.text}}

    def _compile(self) -> Test:
        return values.text_search(self.text)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below a node."""
    if isinstance(node, _Several):
        return node.nodes
    if isinstance(node, Not | ElemMatch):
        return (node.node,)
    return tuple(
        v
        for f in fields(node)
        if isinstance(found := getattr(node, f.name), tuple)  # type: ignore[arg-type]
        for v in found
        if isinstance(v, Node)
    )
