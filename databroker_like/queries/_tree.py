"""The tree that every query becomes: its base, and how conditions are put together.

A node says what it means as a frozen, comparable object; its ``matches`` is compiled to nested functions when it is
first called, and stays behind when the node is pickled.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from databroker_like.errors import InvalidQuery
from databroker_like.queries import _values as values

__all__ = ["And", "Everything", "Node", "Not", "Or", "Text", "never"]

Doc = Mapping[str, Any]
Test = Callable[[Any], bool]


class Node:
    """One condition on a document; the base of the tree.

    Nodes combine with ``&``, ``|`` and ``~``, compare and hash by what they say, and pickle.

    Examples
    --------
    >>> from databroker_like.queries import Eq, Gt
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
        test: Test | None = self.__dict__.get("matches")
        if test is None:
            # From now on the instance's own attribute answers: a plain function, without this frame. Whoever took
            # this method before gets here again, and must not compile again.
            test = self.__dict__["matches"] = self._compile()
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
        # A query of Tiled's is no node, and knows what to make of both.
        return And(self, other) if isinstance(other, Node) else NotImplemented

    def __or__(self, other: Node) -> Node:
        return Or(self, other) if isinstance(other, Node) else NotImplemented

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


def never(doc: Any) -> bool:
    """False: what no document answers."""
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
            return never
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
