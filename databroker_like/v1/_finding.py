"""Finding: from keys, conditions and aliases to headers."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
from typing import Any

from databroker_like.errors import Invalid, WrongType, listed, nearest
from databroker_like.queries import And, Text
from databroker_like.v1._conditions import query_of
from databroker_like.v1._header import Header
from databroker_like.v1._results import Results
from databroker_like.v1._slices import positions

__all__ = ["Finding"]

#: What the Broker of version 0 had in it.
_STORAGES = frozenset({"assets", "es", "event_sources", "event_sources_by_name", "hs", "mds"})


class Finding:
    """The part of a Broker that finds runs.

    Parameters
    ----------
    catalog : databroker_like.v2.Broker
    """

    def __init__(self, catalog: Any) -> None:
        self._catalog = catalog
        #: Conditions that every search is narrowed by.
        self.filters: dict[str, Any] = {}
        #: Name -> a query, or a function that returns one.
        self.aliases: dict[str, Any] = {}

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return self._headers_at(positions(key))
        if isinstance(key, list | tuple | set | frozenset | range):
            return [self[each] for each in key]
        return self._header(key)

    def _headers_at(self, wanted: list[int]) -> list[Header]:
        """The headers at some positions, newest first, asked for at once."""
        if not wanted:
            return []
        newest, oldest = wanted[0], wanted[-1]
        catalog = self._catalog
        heads = list(
            catalog.collection.heads(catalog._query, newest_first=True, skip=-newest - 1, limit=newest - oldest + 1)
        )
        if len(heads) <= newest - oldest:
            # It says how many there are.
            catalog[oldest]
        chosen = (heads[newest - position] for position in wanted)
        return [Header.of_head(catalog, uid, start, stop, self) for uid, start, stop in chosen]

    def _header(self, key: Any) -> Header:
        return Header(self._catalog[key], self)

    def __call__(self, text_search: str | None = None, **kwargs: Any) -> Results:
        """The runs that match.

        Parameters
        ----------
        text_search : str, optional
            Words to look for.
        **kwargs
            Conditions on the start document, as in ``plan_name="scan"``, ``num_points={"$gt": 5}`` or, where the key
            is no name in Python, ``**{"sample.name": "Ni"}``; ``since`` and ``until``, dates as people write them or
            seconds since the epoch; ``data_key``, something that was recorded.

        Returns
        -------
        Results
            To be gone through, newest first. What was given to `add_filter` holds as well.
        """
        data_keys: list[str] = []
        tree = And([query_of(self.filters, data_keys), query_of(kwargs, data_keys)])
        if text_search is not None:
            tree = And([tree, Text(text_search)])
        return Results(self, self._catalog.search(tree), data_keys)

    def __getattr__(self, key: str) -> Any:
        aliases = self.__dict__.get("aliases", {})
        if key in aliases:
            query = aliases[key]
            return self(**(query() if callable(query) else query))
        if key in _STORAGES:
            raise AttributeError(
                f"a Broker has no {key!r}, which was a storage of version 0; db.v2 is the catalog of the runs, and "
                "db.reg has the handlers and the files"
            )
        near = [] if key.startswith("_") else nearest(key, [*dir(type(self)), *aliases])
        said = f"; nearest: {listed(near)}" if near else ""
        raise AttributeError(f"{type(self).__name__} has no attribute {key!r}, nor an alias of that name{said}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.aliases})

    def alias(self, key: str, **query: Any) -> None:
        """Give a search a name: ``db.alias("cal", purpose="calibration")``, and ``db.cal`` searches.

        Parameters
        ----------
        key : str
            A name as Python has them, and none that a Broker has already.
        **query
            As for a search.

        Raises
        ------
        Invalid
            When the name cannot be used.
        """
        self._check_alias(key)
        self.aliases[key] = query

    def dynamic_alias(self, key: str, func: Callable[[], Mapping[str, Any]]) -> None:
        """Give a name to a search that is another each time, such as for the last 24 hours.

        Parameters
        ----------
        key : str
            A name as Python has them, and none that a Broker has already.
        func : callable
            Without arguments; returns the query, as a dictionary of what a search takes.

        Raises
        ------
        Invalid
            When the name cannot be used.
        """
        self._check_alias(key)
        if not callable(func):
            raise WrongType(f"{func!r} is no function that returns a query; alias() takes the query itself")
        self.aliases[key] = func

    def _check_alias(self, key: str) -> None:
        if not isinstance(key, str) or not key.isidentifier() or keyword.iskeyword(key):
            raise Invalid(f"{key!r} is not a legal alias; it is to be a name in Python, such as 'calibrations'")
        if hasattr(type(self), key) or key in self.__dict__:
            raise Invalid(f"{key!r} is not a legal alias; a Broker has something else of that name")

    def add_filter(self, **kwargs: Any) -> None:
        """Narrow every search from now on; ``db.filters`` shows by what.

        Parameters
        ----------
        **kwargs
            As for a search.
        """
        self.filters.update(kwargs)

    def clear_filters(self, **kwargs: Any) -> None:
        """Search among all runs again."""
        self.filters.clear()
