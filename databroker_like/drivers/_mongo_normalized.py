"""The normalized layout: a collection for each kind of document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from databroker_like.core._source import RunSource
from databroker_like.drivers._mongo_collection import MongoCollection, Row
from databroker_like.drivers._mongo_indexes import has_text_index
from databroker_like.drivers._mongo_pages import pages
from databroker_like.drivers._mongo_query import Dialect, is_encodable
from databroker_like.drivers._mongo_run import MongoRun, plain
from databroker_like.drivers._mongo_server import MongoServer
from databroker_like.errors import NoSuchRun
from databroker_like.queries import Node, top_level_keys

__all__ = ["NormalizedCollection"]

Doc = Mapping[str, Any]
#: Where an aggregation puts the stop document.
_STOP = "_databroker_stop"


class NormalizedCollection(MongoCollection):
    """The runs of two databases: one of metadata and events, one of resources and datums.

    Parameters
    ----------
    server : MongoServer
        The collections ``run_start``, ``run_stop``, ``event_descriptor`` and ``event``.
    assets : MongoServer
        The collections ``resource``, ``datum``, ``stream_resource`` and ``stream_datum``.
    find_kwargs : mapping
        Passed to ``find``.
    """

    name = "run_start"
    prefix = ""

    def __init__(self, server: MongoServer, assets: MongoServer, find_kwargs: Mapping[str, Any]) -> None:
        super().__init__(server, find_kwargs)
        self.assets = assets

    def with_find_kwargs(self, find_kwargs: Mapping[str, Any]) -> NormalizedCollection:
        return NormalizedCollection(self.server, self.assets, find_kwargs)

    def stop(self, uid: str) -> Doc | None:
        if is_encodable(uid):
            with self.server.translated():
                for document in self.server.collection("run_stop").find({"run_start": uid}, limit=1):
                    return plain(document)
        if not self.has(uid):
            raise self.no_run(uid)
        return None

    def source(self, uid: str, get_filler: Any) -> RunSource:
        return NormalizedRun(uid, self).source(get_filler)

    def _stages(self) -> list[dict[str, Any]]:
        if self.server.is_mongomock:
            return []
        stop = {"from": "run_stop", "localField": "uid", "foreignField": "run_start", "as": _STOP}
        return [{"$lookup": stop}, {"$set": {_STOP: {"$arrayElemAt": [f"${_STOP}", 0]}}}]

    def _rows(self, documents: list[Doc], with_stop: bool) -> list[Row]:
        found = [({k: v for k, v in plain(doc).items() if k != _STOP}, doc.get(_STOP)) for doc in documents]
        missing = [start["uid"] for start, stop in found if stop is None] if with_stop else []
        stops = {}
        if missing:
            stops = {
                stop["run_start"]: stop
                for stop in self.server.collection("run_stop").find({"run_start": {"$in": missing}})
            }
        rows: list[Row] = []
        for start, stop in found:
            known = stops.get(start["uid"]) if stop is None else stop
            rows.append((start, None if known is None else plain(known)))
        return rows

    def _dialect(self, query: Node, with_stop: bool) -> Dialect:
        asks_words = "$text" in top_level_keys(query)
        return Dialect(
            stop=_STOP if with_stop and not self.server.is_mongomock else None,
            is_trusted=not self.server.is_mongomock,
            # Words stand at the top of the first condition, never in the one on what is looked up.
            has_words=asks_words and not with_stop and has_text_index(self.server, self.name),
        )


class NormalizedRun(MongoRun):
    """One run in the normalized layout.

    Parameters
    ----------
    uid : str
    collection : NormalizedCollection
    """

    def __init__(self, uid: str, collection: NormalizedCollection) -> None:
        super().__init__(uid)
        self._runs = collection

    def _find(self, server: MongoServer, name: str, query: Mapping[str, Any], limit: int = 0) -> list[dict[str, Any]]:
        with server.translated():
            cursor = server.collection(name).find(query, sort=[("_id", 1)], limit=limit, allow_disk_use=True)
            return [plain(document) for document in cursor]

    def get_run_start(self) -> Doc:
        return self._runs.start(self.uid)

    def get_run_stop(self) -> Doc | None:
        try:
            return self._runs.stop(self.uid)
        except NoSuchRun:  # deleted since
            return None

    def get_event_descriptors(self) -> list[Doc]:
        return list(self._find(self._runs.server, "event_descriptor", {"run_start": self.uid}))

    def get_event_pages(self, descriptor_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        is_empty = True
        for page in pages(self._runs.server, "event", ("descriptor", descriptor_uid), skip=skip, limit=limit):
            is_empty = False
            yield page
        if is_empty:
            self._check_descriptor(descriptor_uid)

    def get_event_count(self, descriptor_uid: str) -> int:
        with self._runs.server.translated():
            count = int(self._runs.server.collection("event").count_documents({"descriptor": descriptor_uid}))
        if not count:
            self._check_descriptor(descriptor_uid)
        return count

    def get_resource(self, uid: str) -> Doc:
        for document in self._find(self._runs.assets, "resource", {"uid": uid}, limit=1):
            return document
        raise self._no_resource(uid)

    def get_resources(self) -> list[Doc]:
        of_run = {"$or": [{"run_start": self.uid}, {"_run_start": self.uid}]}
        seen: dict[str, Doc] = {}
        for document in self._find(self._runs.assets, "resource", of_run):
            seen.setdefault(document["uid"], document)  # older databases hold some twice
        return list(seen.values())

    def lookup_resource_for_datum(self, datum_id: str) -> str:
        for document in self._find(self._runs.assets, "datum", {"datum_id": datum_id}, limit=1):
            return str(document["resource"])
        raise self._no_datum(datum_id)

    def get_datum_pages(self, resource_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        return pages(self._runs.assets, "datum", ("resource", resource_uid), skip=skip, limit=limit)

    def get_stream_resources(self) -> list[Doc]:
        return list(self._find(self._runs.assets, "stream_resource", {"run_start": self.uid}))

    def get_stream_datums(self, stream_resource_uid: str) -> list[Doc]:
        return list(self._find(self._runs.assets, "stream_datum", {"stream_resource": stream_resource_uid}))
