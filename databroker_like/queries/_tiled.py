"""The query classes of Tiled, by their names and fields, compiled to the same tree as all others.

`Eq`, `In`, `NotIn` and `Regex` of this package take the arguments of Tiled's classes of these names and serve as both.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from databroker_like.errors import InvalidQuery, listed, nearest
from databroker_like.queries import _nodes as nodes
from databroker_like.queries import _tree as tree
from databroker_like.queries._linear import LinearRegex

__all__ = [
    "AccessTagsFilter",
    "AllOf",
    "Comparison",
    "Contains",
    "FullText",
    "Key",
    "KeyLookup",
    "KeyPresent",
    "KeysFilter",
    "Like",
    "NotEq",
    "Operator",
    "SpecQuery",
    "SpecsQuery",
    "StructureFamilyQuery",
    "TiledQuery",
    "run_query",
]

#: What a run is in Tiled's tree.
_SPEC = "BlueskyRun"
_FAMILY = "container"


class TiledQuery(ABC):
    """A query as Tiled's clients write it; several hold together as ``one & another``."""

    @abstractmethod
    def node(self) -> tree.Node:
        """The same condition as a tree; keys are as they were given."""

    def __and__(self, other: TiledQuery | tree.Node) -> AllOf:
        return AllOf(self, other) if isinstance(other, TiledQuery | tree.Node) else NotImplemented

    def __rand__(self, other: tree.Node) -> AllOf:
        return AllOf(other, self) if isinstance(other, tree.Node) else NotImplemented

    def __bool__(self) -> bool:
        raise InvalidQuery(f"{self!r} is neither true nor false: put queries together with '&', not with 'and'")


@dataclass(frozen=True, init=False)
class AllOf(TiledQuery):
    """All of several queries hold.

    Parameters
    ----------
    *queries : TiledQuery or Node

    Examples
    --------
    >>> FullText("gold") & (Key("num_points") > 5)
    AllOf(queries=(FullText(text='gold'), Comparison(operator=<Operator.gt: 'gt'>, key='num_points', value=5)))
    """

    queries: tuple[TiledQuery | tree.Node, ...]

    def __init__(self, *queries: TiledQuery | tree.Node) -> None:
        flat: list[TiledQuery | tree.Node] = []
        for query in queries:
            flat.extend(query.queries if isinstance(query, AllOf) else [query])
        object.__setattr__(self, "queries", tuple(flat))

    def node(self) -> tree.Node:
        return tree.And(*(q.node() if isinstance(q, TiledQuery) else q for q in self.queries))


class Operator(enum.StrEnum):
    """How `Comparison` compares."""

    lt = "lt"
    gt = "gt"
    le = "le"
    ge = "ge"


_COMPARED: dict[str, Callable[[str, Any], tree.Node]] = {
    "lt": nodes.Lt,
    "gt": nodes.Gt,
    "le": nodes.Lte,
    "ge": nodes.Gte,
}


@dataclass(frozen=True)
class FullText(TiledQuery):
    """Words are found in the metadata.

    Parameters
    ----------
    text : str
    """

    text: str

    def node(self) -> tree.Node:
        return tree.Text(self.text)


@dataclass(frozen=True)
class KeyLookup(TiledQuery):
    """The member of a key, which of a run is its uid.

    Parameters
    ----------
    key : str
    """

    key: str

    def node(self) -> tree.Node:
        return nodes.Eq("uid", self.key)


@dataclass(frozen=True)
class KeysFilter(TiledQuery):
    """The members of some keys, which of runs are their uids.

    Parameters
    ----------
    keys : list of str
    """

    keys: Sequence[str]

    def node(self) -> tree.Node:
        return nodes.In("uid", self.keys)


@dataclass(frozen=True)
class NotEq(TiledQuery):
    """There is a value, and it is another one.

    Parameters
    ----------
    key : str
        Dotted key.
    value : object

    Examples
    --------
    >>> NotEq("plan_name", "scan").node().matches({})
    False
    """

    key: str
    value: Any

    def node(self) -> tree.Node:
        return nodes.Exists(self.key) & nodes.Ne(self.key, self.value)


@dataclass(frozen=True)
class Comparison(TiledQuery):
    """The value is less or greater.

    Parameters
    ----------
    operator : {"lt", "gt", "le", "ge"} or Operator
    key : str
        Dotted key.
    value : object
    """

    operator: str
    key: str
    value: Any

    def __post_init__(self) -> None:
        name = self.operator.value if isinstance(self.operator, Operator) else self.operator
        if name not in _COMPARED:
            near = nearest(name, _COMPARED) or _COMPARED
            raise InvalidQuery(f"there is no operator {name!r}; there is {listed(near)}")
        object.__setattr__(self, "operator", Operator(name))

    def node(self) -> tree.Node:
        return _COMPARED[Operator(self.operator).value](self.key, self.value)


@dataclass(frozen=True)
class Contains(TiledQuery):
    """The value is a list with this member.

    Parameters
    ----------
    key : str
        Dotted key.
    value : object

    Examples
    --------
    >>> Contains("detectors", "img").node().matches({"detectors": ["det", "img"]})
    True
    """

    key: str
    value: Any

    def node(self) -> tree.Node:
        return nodes.ElemMatch(self.key, nodes.Eq("", self.value), of_values=True)


@dataclass(frozen=True)
class KeyPresent(TiledQuery):
    """The key is there; or, with False, it is not.

    Parameters
    ----------
    key : str
        Dotted key.
    exists : bool
        True by default.
    """

    key: str
    exists: bool = True

    def node(self) -> tree.Node:
        return nodes.Exists(self.key, self.exists)


@dataclass(frozen=True)
class Like(TiledQuery):
    """The whole value is like a pattern of SQL, in which ``%`` is any text and ``_`` any character; case is as one.

    Parameters
    ----------
    key : str
        Dotted key.
    pattern : str

    Examples
    --------
    >>> Like("sample", "gold%").node().matches({"sample": "Gold leaf"})
    True
    """

    key: str
    pattern: str

    def node(self) -> tree.Node:
        if not isinstance(self.pattern, str):
            raise InvalidQuery(f"a pattern is a string such as 'gold%', not {self.pattern!r}")
        pattern = re.sub("%+", "%", self.pattern)
        wild = {"%": ".*", "_": "."}
        if "%" in pattern.strip("%"):
            # Each text between two signs may be found at many places, and so may the next: not in a time without end.
            letters = (wild.get(c) or (c if c.isalnum() else f"\\x{{{ord(c):x}}}") for c in pattern)
            return LinearRegex(self.key, "(?s)^" + "".join(letters) + r"\z", case_sensitive=False)
        return nodes.Regex(self.key, "^" + "".join(wild.get(c) or re.escape(c) for c in pattern) + r"\Z", "is")


@dataclass(frozen=True)
class SpecsQuery(TiledQuery):
    """The member has these specs, and none of those; a run has the spec ``"BlueskyRun"``.

    Parameters
    ----------
    include : list of str
    exclude : list of str, optional
    """

    include: Sequence[str]
    exclude: Sequence[str] = ()

    def node(self) -> tree.Node:
        holds = all(name == _SPEC for name in self.include) and _SPEC not in (self.exclude or ())
        return tree.Everything() if holds else tree.Or()


def SpecQuery(spec: str) -> SpecsQuery:
    """A `SpecsQuery` of one spec."""
    return SpecsQuery((spec,))


@dataclass(frozen=True)
class StructureFamilyQuery(TiledQuery):
    """The member is of a structure family; a run is a ``"container"``.

    Parameters
    ----------
    value : str
    """

    value: str

    def node(self) -> tree.Node:
        return tree.Everything() if getattr(self.value, "value", self.value) == _FAMILY else tree.Or()


@dataclass(frozen=True)
class AccessTagsFilter(TiledQuery):
    """The member has one of some access tags, which is for a server to know and stands in no document.

    Parameters
    ----------
    tags : list of str
    """

    tags: Sequence[str]

    def node(self) -> tree.Node:
        raise InvalidQuery("access tags stand in no document of a run; only a server can filter by them")


class Key:
    """A key to be compared, as in ``Key("start.plan_name") == "scan"``.

    Parameters
    ----------
    key : str
        Dotted key.

    Examples
    --------
    >>> Key("num_points") > 5
    Comparison(operator=<Operator.gt: 'gt'>, key='num_points', value=5)
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, key: str) -> None:
        self.key = key

    def __eq__(self, other: object) -> nodes.Eq:  # type: ignore[override]
        return nodes.Eq(self.key, other)

    def __ne__(self, other: object) -> NotEq:  # type: ignore[override]
        return NotEq(self.key, other)

    def __lt__(self, other: object) -> Comparison:
        return Comparison("lt", self.key, other)

    def __gt__(self, other: object) -> Comparison:
        return Comparison("gt", self.key, other)

    def __le__(self, other: object) -> Comparison:
        return Comparison("le", self.key, other)

    def __ge__(self, other: object) -> Comparison:
        return Comparison("ge", self.key, other)


def run_query(query: TiledQuery | tree.Node) -> tree.Node:
    """A query on a run's metadata as Tiled has it, ``{"start": ..., "stop": ...}``, as one on the searched document.

    Parameters
    ----------
    query : TiledQuery or Node
        Its keys begin with ``start.`` or ``stop.``.

    Returns
    -------
    Node

    Raises
    ------
    InvalidQuery
        When a key begins otherwise.

    Examples
    --------
    >>> run_query(nodes.Eq("start.plan_name", "scan"))
    Eq(key='plan_name', value='scan')
    >>> run_query(Comparison("gt", "stop.num_events.primary", 5))
    Gt(key='stop.num_events.primary', value=5)
    """
    if isinstance(query, KeyLookup | KeysFilter):
        return query.node()
    if isinstance(query, AllOf):
        return tree.And(*map(run_query, query.queries))
    return _renamed(query.node() if isinstance(query, TiledQuery) else query)


def _renamed(node: tree.Node) -> tree.Node:
    if isinstance(node, tree.And | tree.Or):
        return type(node)(*map(_renamed, node.nodes))
    if isinstance(node, tree.Not):
        return tree.Not(_renamed(node.node))
    if isinstance(node, nodes.All):  # with conditions among its values, which have the key too
        values = [_renamed(v) if isinstance(v, tree.Node) else v for v in node.values]
        return nodes.All(_run_key(node.key), values)
    if isinstance(node, nodes.Field):
        return dataclasses.replace(node, key=_run_key(node.key))
    return node


def _run_key(key: str) -> str:
    head, _, rest = key.partition(".")
    if head == "stop":
        return key
    if head == "start" and rest and rest.partition(".")[0] != "stop":
        return rest
    raise InvalidQuery(
        f"{key!r} is no key in the metadata of a run, which has 'start' and 'stop'; write 'start.plan_name', "
        "or 'stop.exit_status'"
    )
