"""What the two catalogs of runs in MongoDB share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from databroker_like.core._lookup import both
from databroker_like.drivers._mongo_address import MongoAddress
from databroker_like.drivers._mongo_collection import MongoCollection
from databroker_like.drivers._mongo_indexes import Index, create
from databroker_like.drivers._mongo_server import MongoServer, is_database
from databroker_like.errors import WrongType, listed, nearest
from databroker_like.queries import In, Text, parse
from databroker_like.v2 import Broker

__all__ = ["MongoCatalog"]

#: Keywords of pymongo's ``find`` that change how a server answers, not what.
_FIND_KWARGS = frozenset(
    {
        "allow_disk_use",
        "allow_partial_results",
        "batch_size",
        "collation",
        "comment",
        "hint",
        "max_time_ms",
        "no_cursor_timeout",
        "session",
    }
)


class MongoCatalog(Broker):
    """A catalog of runs in MongoDB; a subclass says in which layout."""

    _find_kwargs: dict[str, Any]
    _arguments: tuple[str, ...]

    def _servers(self, *given: Any) -> list[MongoServer]:
        """The databases, of which only addresses without passwords are shown anywhere."""
        servers = [MongoServer(value, name) for name, value in zip(self._arguments, given, strict=True)]
        captured = {name: server.captured for name, server in zip(self._arguments, servers, strict=True)}
        count = len(self._captured_init_args)
        self._captured_init_args = tuple(
            captured.get(name, value)
            for name, value in zip((*self._arguments, *range(count)), self._captured_init_args, strict=False)
        )
        self._captured_init_kwargs = {
            name: captured.get(name, value) for name, value in self._captured_init_kwargs.items()
        }
        return servers

    def _make_collection(self) -> MongoCollection:
        raise NotImplementedError

    @property
    def _mongo(self) -> MongoCollection:
        collection = self.collection
        assert isinstance(collection, MongoCollection)
        return collection

    def search(self, query: Any = None, depth: int | None = None, **find_kwargs: Any) -> Any:
        """The runs that match, as a catalog of the same kind.

        Parameters
        ----------
        query : dict, databroker_like.queries.Query or str
            As in every catalog: a query as MongoDB writes it, a `TimeRange` or `TextQuery`, or words.
        depth : int, optional
            Taken, and not used, because every intake catalog takes it.
        **find_kwargs
            Passed to pymongo's ``find``, such as ``max_time_ms`` or ``batch_size``, from now on. With ``limit`` and
            ``skip`` the result holds so many of the newest matches as there are now.

        Returns
        -------
        BlueskyMongoCatalog

        Raises
        ------
        InvalidQuery
            When the query cannot be understood.
        TypeError
            When a keyword is none of ``find``.
        """
        if not find_kwargs:
            return super().search(query, depth)
        part = {name: find_kwargs.pop(name) for name in ("skip", "limit") if name in find_kwargs}
        merged = {**self._find_kwargs, **checked_find_kwargs(find_kwargs, more=("skip", "limit"))}
        asked = both(self._query, Text(query) if isinstance(query, str) else parse({} if query is None else query))
        if part:
            newest = self._mongo.with_find_kwargs(merged).find(
                asked, newest_first=True, skip=part.get("skip") or 0, limit=part.get("limit") or None
            )
            asked = In("uid", list(newest))
        kwargs = {**self._captured_init_kwargs, "query": asked, "name": "search results", "find_kwargs": merged}
        kwargs["metadata"] = dict(self.metadata or {})
        found = type(self)(*self._captured_init_args, **kwargs)
        found._share(self)
        found._collection = self._mongo.with_find_kwargs(merged)
        return found

    def stats(self) -> dict[str, Any]:
        """How much the database of metadata holds, as its server says (``dbstats``).

        Returns
        -------
        dict
            With ``db``, ``collections``, ``objects``, and sizes in bytes.
        """
        server = self._mongo.server
        with server.translated():
            if server.is_mongomock:
                names = server.database.list_collection_names()
                objects = sum(server.collection(name).count_documents({}) for name in names)
                return {"db": server.database.name, "collections": len(names), "objects": objects, "ok": 1.0}
            return dict(server.database.command("dbstats"))

    def create_indexes(self) -> None:
        """Create the indexes that are not there; recording does so before the first document.

        Raises
        ------
        NotWritable
            When the server does not allow it.
        """
        for server, indexes in self._indexes():
            create(server, indexes)

    def _indexes(self) -> list[tuple[MongoServer, tuple[Index, ...]]]:
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        for server, _ in self._indexes():
            server.check_pickles()
        return super().__getstate__()

    def _yaml(self) -> Any:
        data = super()._yaml()
        for source in data["sources"].values():
            source["args"] = {name: _for_yaml(name, value) for name, value in source["args"].items()}
        return data

    def _identity(self) -> tuple[Any, ...]:
        args, kwargs, *rest = super()._identity()
        shown = {name: _of_object(value) for name, value in kwargs.items()}
        return (tuple(map(_of_object, args)), shown, *rest)


def checked_find_kwargs(find_kwargs: Mapping[str, Any] | None, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """Keywords for ``find``, if they are some.

    Parameters
    ----------
    find_kwargs : mapping or None
    more : tuple of str
        Others that may stand there too, for the error.

    Returns
    -------
    dict

    Raises
    ------
    WrongType
        With the name of one that is not.

    Examples
    --------
    >>> checked_find_kwargs({"max_time_ms": 500})
    {'max_time_ms': 500}
    >>> checked_find_kwargs({"max_time": 500})
    Traceback (most recent call last):
        ...
    databroker_like.errors.WrongType: find takes no keyword 'max_time' here (nearest: 'max_time_ms'); it takes ...
    """
    found = dict(find_kwargs or {})
    known = [*_FIND_KWARGS, *more]
    for name in found:
        if name in known:
            continue
        near = nearest(name, known)
        hint = f" (nearest: {listed(near)})" if near else ""
        if name in ("limit", "skip"):
            hint = f" (give it to search: catalog.search(query, {name}={found[name]!r}))"
        elif name in ("filter", "query"):
            hint = " (give it as query)"
        elif name == "sort":
            hint = " (runs are in order of time)"
        raise WrongType(f"find takes no keyword {name!r} here{hint}; it takes {listed(known, most=20)}")
    return found


def _for_yaml(name: str, value: Any) -> Any:
    if isinstance(value, MongoAddress):
        return value.for_yaml
    if is_database(value):
        raise WrongType(f"{name} is a Database object, which a catalog file cannot hold; make the catalog from a URI")
    return value


def _of_object(value: Any) -> Any:
    """What tells a Database object from another, and is itself no connection."""
    if is_database(value):
        return ("database", id(value.client), value.name)
    return value
