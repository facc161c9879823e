"""The runs of a MongoDB, found by the server; what it cannot judge is finished here."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from databroker_like.core._collection import Head, RunCollection
from databroker_like.drivers._mongo_query import Condition, Dialect, is_encodable
from databroker_like.drivers._mongo_server import MongoServer
from databroker_like.errors import NoSuchRun, WrongType, listed, nearest
from databroker_like.queries import Everything, Node, Tally, searched, top_level_keys

__all__ = ["MongoCollection", "Row", "batched"]

Doc = Mapping[str, Any]
#: Start and stop document of a run, as one row of the collection they are looked up in.
Row = tuple[Doc, "Doc | None"]

#: How many runs are looked at in one go when their stop documents are in another collection.
_BATCH = 500
#: More than a server counts to, in some places.
_MOST = 2**31 - 1
_SEARCHED_FOR_NEAR = 1_000
_FIND_ONLY = frozenset({"allow_partial_results", "no_cursor_timeout", "return_key", "show_record_id"})
_AGGREGATE = {"max_time_ms": "maxTimeMS", "allow_disk_use": "allowDiskUse", "batch_size": "batchSize"}


@dataclass(frozen=True)
class _Asked:
    """A query as it is asked: a condition on the rows, another on what is looked up beside them, and what is left."""

    first: Condition
    then: Condition | None
    is_exact: bool


class MongoCollection(RunCollection):
    """What both layouts share: the order of time, conditions, and finishing what the server cannot judge.

    Parameters
    ----------
    server : MongoServer
    find_kwargs : mapping
        Passed to ``find``.
    """

    #: The collection that holds start documents, and what stands before their keys.
    name: str
    prefix: str

    def __init__(self, server: MongoServer, find_kwargs: Mapping[str, Any]) -> None:
        self.server = server
        self.find_kwargs = dict(find_kwargs)

    @abstractmethod
    def with_find_kwargs(self, find_kwargs: Mapping[str, Any]) -> MongoCollection:
        """The same runs, asked with other keywords."""

    @abstractmethod
    def _stages(self) -> list[dict[str, Any]]:
        """What puts a run's stop document under ``stop`` in an aggregation."""

    @abstractmethod
    def _rows(self, documents: list[Doc], with_stop: bool) -> list[Row]:
        """Start and stop of rows as they were found."""

    @abstractmethod
    def _dialect(self, query: Node, with_stop: bool) -> Dialect:
        """How the server is asked."""

    # -- what the Broker asks

    def find(
        self, query: Node = Everything(), *, newest_first: bool = False, skip: int = 0, limit: int | None = None
    ) -> Iterator[str]:
        asked = self._asked(query)
        if limit == 0 or skip > _MOST:
            return
        with self.server.translated():
            if not asked.is_exact:
                for start, _ in islice(
                    self._finished(query, asked, newest_first), skip, None if limit is None else skip + limit
                ):
                    yield start["uid"]
                return
            for document in self._cursor(asked, newest_first, skip, limit, [self.prefix + "uid"]):
                yield self._rows([document], False)[0][0]["uid"]

    def heads(
        self, query: Node = Everything(), *, newest_first: bool = False, skip: int = 0, limit: int | None = None
    ) -> Iterator[Head]:
        if limit == 0 or skip > _MOST:
            return
        asked = self._asked(query)
        with self.server.translated():
            if not asked.is_exact:
                uids = self.find(query, newest_first=newest_first, skip=skip, limit=limit)
                for some in batched(uids, _BATCH):
                    there = {start["uid"]: (start, stop) for start, stop in self._of_uids(some)}
                    yield from ((uid, *there[uid]) for uid in some if uid in there)
                return
            for documents in batched(self._cursor(asked, newest_first, skip, limit, None), _BATCH):
                for start, stop in self._rows(documents, True):
                    yield start["uid"], start, stop

    def count(self, query: Node = Everything()) -> int:
        asked = self._asked(query)
        with self.server.translated():
            if not asked.is_exact:
                return sum(1 for _ in self._finished(query, asked, False))
            if asked.then is None:
                kwargs = {k: v for k, v in self.find_kwargs.items() if k in ("hint", "collation", "session", "comment")}
                if "max_time_ms" in self.find_kwargs:
                    kwargs["maxTimeMS"] = self.find_kwargs["max_time_ms"]
                return int(self._collection.count_documents(asked.first.mongo, **kwargs))
            counted = list(self._aggregate(asked, [{"$count": "n"}]))
            return counted[0]["n"] if counted else 0

    def distinct(self, key: str, query: Node = Everything()) -> list[tuple[Any, int]]:
        asked = self._asked(query)
        top, _, below = key.partition(".")
        is_stop = top == "stop" and below != ""
        field = below.partition(".")[0] if is_stop else top
        dialect = self._dialect(query, True)
        place = dialect.place(f"stop.{field}" if is_stop else field)
        if not asked.is_exact or not dialect.is_trusted or place is None or (field == "stop" and not is_stop):
            return super().distinct(key, query)
        tally = Tally(key)
        value: Any = f"${place}"
        if self.prefix:  # embedded in lists of one
            value = {"$arrayElemAt": [value, 0]}
        stages = self._stages() if is_stop and asked.then is None else []
        # Whole values, as many as there are different ones, are counted there; what is inside them, here.
        with self.server.translated():
            for group in self._aggregate(asked, [*stages, {"$group": {"_id": value, "n": {"$sum": 1}}}]):
                found = {field: group.get("_id")}
                tally.add({"stop": found} if is_stop else found, group["n"])
        return tally.counts()

    def matches(self, uid: str, query: Node) -> bool:
        with self.server.translated():
            for start, stop in self._of_uids([uid]):
                return isinstance(query, Everything) or query.matches(searched(start, stop))
        return False

    def has(self, uid: str) -> bool:
        if not is_encodable(uid):
            return False
        with self.server.translated():
            return self._collection.find_one({self.prefix + "uid": uid}, {"_id": 1}) is not None

    def start(self, uid: str) -> Doc:
        if is_encodable(uid):
            with self.server.translated():
                for document in self._collection.find({self.prefix + "uid": uid}, limit=1):
                    return self._rows([document], False)[0][0]
        raise self.no_run(uid)

    def starts(self) -> Mapping[str, Doc]:
        with self.server.translated():
            cursor = self._cursor(self._asked(Everything()), False, 0, None, None)
            return {start["uid"]: start for start, _ in self._rows(list(cursor), False)}

    # -- how

    @property
    def _collection(self) -> Any:
        return self.server.collection(self.name)

    def no_run(self, uid: str) -> NoSuchRun:
        """That there is no run of a uid, with the nearest of the newest."""
        near = nearest(uid, self.find(newest_first=True, limit=_SEARCHED_FOR_NEAR))
        return NoSuchRun(f"no run {uid!r}" + (f"; nearest: {listed(near)}" if near else ""))

    def _asked(self, query: Node) -> _Asked:
        with self.server.translated():
            alone = self._dialect(query, False).condition(query)
            if alone.is_exact or "stop" not in top_level_keys(query) or not self._stages():
                return _Asked(alone, None, alone.is_exact)
            dialect = self._dialect(query, True)
            both = dialect.condition(query)
            if both.is_exact or (dialect.is_trusted and both.mongo != alone.mongo):
                return _Asked(alone, both, both.is_exact)
            return _Asked(alone, None, False)

    def _order(self, newest_first: bool) -> list[tuple[str, int]]:
        direction = -1 if newest_first else 1
        return [(self.prefix + "time", direction), (self.prefix + "uid", direction)]

    def _cursor(
        self, asked: _Asked, newest_first: bool, skip: int, limit: int | None, fields: Iterable[str] | None
    ) -> Iterable[Doc]:
        """The rows that fulfil the conditions, in order of time; of them only some fields, or all."""
        order = self._order(newest_first)
        limit = None if limit is None else min(limit, _MOST)
        projection = None if fields is None else dict.fromkeys(fields, 1)
        if asked.then is None:
            kwargs: dict[str, Any] = {"allow_disk_use": True, **self.find_kwargs}
            if limit is not None:
                kwargs["limit"] = limit
            found: Iterable[Doc] = self._collection.find(
                asked.first.mongo, projection=projection, sort=order, skip=skip, **kwargs
            )
            return found
        stages: list[dict[str, Any]] = [{"$skip": skip}] if skip else []
        if limit is not None:
            stages.append({"$limit": limit})
        if projection is not None:
            stages.append({"$project": projection})
        return self._aggregate(asked, stages, order)

    def _aggregate(
        self, asked: _Asked, stages: list[dict[str, Any]], order: list[tuple[str, int]] | None = None
    ) -> Iterable[Doc]:
        kwargs = {_AGGREGATE.get(k, k): v for k, v in self.find_kwargs.items() if k not in _FIND_ONLY}
        kwargs.setdefault("allowDiskUse", True)
        pipeline: list[dict[str, Any]] = []
        if asked.first.mongo:
            pipeline.append({"$match": asked.first.mongo})
        if order is not None:
            pipeline.append({"$sort": dict(order)})
        if asked.then is not None:
            pipeline += [*self._stages(), {"$match": asked.then.mongo}]
        found: Iterable[Doc] = self._collection.aggregate([*pipeline, *stages], **kwargs)
        return found

    def _finished(self, query: Node, asked: _Asked, newest_first: bool) -> Iterator[Row]:
        """The runs that match, judged here one by one; the server leaves out what it can."""
        matches = query.matches
        keys = top_level_keys(query)
        with_stop = bool(keys & {"stop", ""})
        fields: set[str] | None = None
        if not keys & {"", "$text"} and not any(key.startswith(("$", "_")) for key in keys):
            fields = {self.prefix + key for key in (keys | {"uid"}) - {"stop"}}
            if self.prefix and with_stop:
                fields.add("stop")
        for documents in batched(self._cursor(asked, newest_first, 0, None, fields), _BATCH):
            for start, stop in self._rows(documents, with_stop):
                if matches(searched(start, stop)):
                    yield start, stop

    def _of_uids(self, uids: list[str]) -> list[Row]:
        uids = list(filter(is_encodable, uids))
        kwargs = {k: v for k, v in self.find_kwargs.items() if k != "hint"}
        return self._rows(list(self._collection.find({self.prefix + "uid": {"$in": uids}}, **kwargs)), True)

    # -- pickling

    def __getstate__(self) -> dict[str, Any]:
        if "session" in self.find_kwargs:
            raise WrongType("a catalog with a session in its find_kwargs does not pickle; make it without")
        return self.__dict__


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Items in lists of ``size``, but for the last.

    Examples
    --------
    >>> list(batched("abc", 2))
    [['a', 'b'], ['c']]
    """
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some
