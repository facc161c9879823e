"""Queries over runs: MongoDB's dictionaries, `TimeRange`, `TextQuery`, and the tree all of them become."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any

from databroker_like.errors import Invalid, InvalidQuery
from databroker_like.queries._distinct import Tally, in_order
from databroker_like.queries._human_time import local_timezone, timestamp, timezone_named
from databroker_like.queries._keys import top_level_keys
from databroker_like.queries._linear import LinearRegex
from databroker_like.queries._nodes import (
    All,
    ElemMatch,
    Eq,
    Exists,
    Gt,
    Gte,
    In,
    Lt,
    Lte,
    Ne,
    NotIn,
    Prefix,
    Regex,
    Size,
)
from databroker_like.queries._order import in_order_of, ranks
from databroker_like.queries._parser import parse_mapping
from databroker_like.queries._searched import searched
from databroker_like.queries._tiled import (
    AccessTagsFilter,
    AllOf,
    Comparison,
    Contains,
    FullText,
    Key,
    KeyLookup,
    KeyPresent,
    KeysFilter,
    Like,
    NotEq,
    Operator,
    SpecQuery,
    SpecsQuery,
    StructureFamilyQuery,
    TiledQuery,
    run_query,
)
from databroker_like.queries._tree import And, Everything, Node, Not, Or, Text

__all__ = [
    "AccessTagsFilter",
    "All",
    "AllOf",
    "And",
    "Comparison",
    "Contains",
    "ElemMatch",
    "Eq",
    "Everything",
    "Exists",
    "FullText",
    "Gt",
    "Gte",
    "In",
    "Key",
    "KeyLookup",
    "KeyPresent",
    "KeysFilter",
    "Like",
    "LinearRegex",
    "Lookup",
    "Lt",
    "Lte",
    "Ne",
    "Node",
    "Not",
    "NotEq",
    "NotIn",
    "Operator",
    "Or",
    "Prefix",
    "Query",
    "Regex",
    "Size",
    "SpecQuery",
    "Specs",
    "SpecsQuery",
    "StructureFamilyQuery",
    "Tally",
    "Text",
    "TextQuery",
    "TimeRange",
    "in_order",
    "in_order_of",
    "parse",
    "ranks",
    "run_query",
    "searched",
    "top_level_keys",
]

#: The same classes, by the names of what they ask on the wire.
Lookup, Specs = KeyLookup, SpecsQuery


def parse(query: Any) -> Node:
    """The tree of a query, however it is written.

    Parameters
    ----------
    query : mapping, Query, Node, one of Tiled's queries, or None
        A MongoDB query such as ``{"plan_name": "scan", "num_points": {"$gt": 5}}``; None is everything.

    Returns
    -------
    Node

    Raises
    ------
    InvalidQuery
        When it cannot be understood; with the path to the mistake and the nearest operators.

    Examples
    --------
    >>> parse({"plan_name": "scan"})
    Eq(key='plan_name', value='scan')
    >>> parse({"num_points": {"$gtt": 5}})
    Traceback (most recent call last):
        ...
    databroker_like.errors.InvalidQuery: query at 'num_points.$gtt': unknown operator '$gtt'; did you mean '$gt', ...
    """
    if isinstance(query, Node):
        return query
    if query is None:
        return Everything()
    if isinstance(query, TiledQuery):
        return query.node()
    if isinstance(query, Query):
        return parse(query.query)
    if not isinstance(query, Mapping):
        raise InvalidQuery(f"a query is a dictionary such as {{'plan_name': 'scan'}}, not {query!r}")
    return parse_mapping(query)


class Query(Mapping[str, Any]):
    """A MongoDB query with parameters of its own, which reads as the dictionary it stands for.

    A subclass has the properties ``query``, the dictionary, and ``kwargs``, what it was made with.
    """

    @property
    @abc.abstractmethod
    def query(self) -> Mapping[str, Any]:
        """The MongoDB query."""

    @property
    @abc.abstractmethod
    def kwargs(self) -> Mapping[str, Any]:
        """The parameters this was made with."""

    def __getitem__(self, key: str) -> Any:
        return self.query[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.query)

    def __len__(self) -> int:
        return len(self.query)

    def replace(self, **kwargs: Any) -> Query:
        """A copy with some of the parameters changed.

        Parameters
        ----------
        **kwargs
            Those to change.

        Returns
        -------
        Query
        """
        return type(self)(**{**self.kwargs, **kwargs})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in self.kwargs.items())})"


class TimeRange(Query):
    """Runs that started in a range of time.

    Parameters
    ----------
    since, until : str, number of seconds since the epoch, datetime, or numpy.datetime64, optional
        The beginning, which belongs to the range, and the end, which does not; open by default. A string is a
        date as people write it, to any granularity: ``"2014"``, ``"2014-07"``, ``"2014-07-04"``,
        ``"2014-07-04 05"``, ``"2014-07-04 05:00"``, ``"2014-07-04 05:00:30"``.
    timezone : str, optional
        Such as ``"US/Eastern"``; that of this computer by default. Dates without a zone of their own are in it.

    Raises
    ------
    ValueError
        When a date or zone cannot be understood, or the end is before the beginning.

    Examples
    --------
    >>> TimeRange(since="2014", timezone="US/Eastern").query
    {'time': {'$gte': 1388552400.0}}
    >>> dict(TimeRange(since="2014", timezone="UTC").replace(until="2015"))
    {'time': {'$gte': 1388534400.0, '$lt': 1420070400.0}}
    """

    def __init__(
        self,
        since: str | float | datetime | None = None,
        until: str | float | datetime | None = None,
        timezone: str | tzinfo | None = None,
    ) -> None:
        self.timezone = local_timezone() if timezone is None else str(timezone)
        zone = timezone_named(self.timezone)
        self._since_raw, self._until_raw = since, until
        self._since = None if since is None else timestamp(since, zone)
        self._until = None if until is None else timestamp(until, zone)
        if self._since is not None and self._until is not None and self._since > self._until:
            raise Invalid(f"since must not be after until, and {since!r} is after {until!r}")

    @property
    def kwargs(self) -> dict[str, Any]:
        return {"since": self._since_raw, "until": self._until_raw, "timezone": self.timezone}

    @property
    def query(self) -> dict[str, Any]:
        limits = {}
        if self._since is not None:
            limits["$gte"] = self._since
        if self._until is not None:
            limits["$lt"] = self._until
        return {"time": limits} if limits else {}


class TextQuery(Query):
    """Runs with certain words anywhere in the strings of their start document.

    Parameters
    ----------
    text_search : str
        Words, any of which will do; ``"phrases in quotes"``, all of which must be there; ``-words`` that must not
        be. Case does not matter.

    Examples
    --------
    >>> TextQuery("gold").query
    {'$text': {'$search': 'gold'}}
    """

    def __init__(self, text_search: str) -> None:
        self.text = text_search

    @property
    def kwargs(self) -> dict[str, Any]:
        return {"text_search": self.text}

    @property
    def query(self) -> dict[str, Any]:
        return {"$text": {"$search": self.text}}
