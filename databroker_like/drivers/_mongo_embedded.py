"""The embedded layout: one header document a run, and pages of events and datums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from databroker_like.core._pages import slice_pages
from databroker_like.core._rowwise import column
from databroker_like.core._source import RunSource
from databroker_like.drivers._mongo_collection import MongoCollection, Row
from databroker_like.drivers._mongo_indexes import has_text_index
from databroker_like.drivers._mongo_query import Dialect, is_encodable
from databroker_like.drivers._mongo_run import MongoRun, plain
from databroker_like.errors import InvalidDocument
from databroker_like.queries import Node, top_level_keys

__all__ = ["EmbeddedCollection"]

Doc = Mapping[str, Any]


class EmbeddedCollection(MongoCollection):
    """The runs of one database: the collections ``header``, ``event`` and ``datum``."""

    name = "header"
    prefix = "start."

    def with_find_kwargs(self, find_kwargs: Mapping[str, Any]) -> EmbeddedCollection:
        return EmbeddedCollection(self.server, find_kwargs)

    def stop(self, uid: str) -> Doc | None:
        stops = self.header(uid, "stop").get("stop")
        return stops[0] if stops else None

    def source(self, uid: str, get_filler: Any) -> RunSource:
        return EmbeddedRun(uid, self).source(get_filler)

    def header(self, uid: str, *fields: str) -> Doc:
        """The header document of a run, or some fields of it."""
        if is_encodable(uid):
            with self.server.translated():
                projection = dict.fromkeys(fields, 1) if fields else None
                for document in self._collection.find({"start.uid": uid}, projection=projection, limit=1):
                    found: Doc = document
                    return found
        raise self.no_run(uid)

    def _stages(self) -> list[dict[str, Any]]:
        return []

    def _rows(self, documents: list[Doc], with_stop: bool) -> list[Row]:
        return [
            (document["start"][0], document["stop"][0] if document.get("stop") else None)
            for document in documents
            if document.get("start")
        ]

    def _dialect(self, query: Node, with_stop: bool) -> Dialect:
        return Dialect(
            start=self.prefix,
            stop="stop",
            is_trusted=not self.server.is_mongomock,
            has_words="$text" in top_level_keys(query) and has_text_index(self.server, self.name),
        )


class EmbeddedRun(MongoRun):
    """One run in the embedded layout.

    Parameters
    ----------
    uid : str
    collection : EmbeddedCollection
    """

    def __init__(self, uid: str, collection: EmbeddedCollection) -> None:
        super().__init__(uid)
        self._runs = collection

    def get_run_start(self) -> Doc:
        return self._runs.start(self.uid)

    def get_run_stop(self) -> Doc | None:
        return self._runs.stop(self.uid)

    def get_event_descriptors(self) -> list[Doc]:
        return list(self._runs.header(self.uid, "descriptors").get("descriptors", []))

    def get_event_pages(self, descriptor_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        descriptor = next((d for d in self.get_event_descriptors() if d["uid"] == descriptor_uid), None)
        if descriptor is None:
            self._check_descriptor(descriptor_uid)
        assert descriptor is not None
        keys = list(descriptor["data_keys"])
        return (
            {
                "descriptor": descriptor_uid,
                "uid": page["uid"],
                "time": column(page["time"]),
                "seq_num": column(page["seq_num"]),
                "data": _columns(page, "data", keys, "uid"),
                "timestamps": _columns(page, "timestamps", keys, "uid"),
                "filled": _columns(page, "filled", keys, "uid"),
            }
            for page in self._pages("event", {"descriptor": descriptor_uid}, skip, limit)
        )

    def get_event_count(self, descriptor_uid: str) -> int:
        count = self._count("event", {"descriptor": descriptor_uid})
        if not count:
            self._check_descriptor(descriptor_uid)
        return count

    def get_resource(self, uid: str) -> Doc:
        with self._runs.server.translated():
            for header in self._runs.server.collection("header").find({"resources.uid": uid}, limit=1):
                for resource in header["resources"]:
                    if resource["uid"] == uid:
                        found: Doc = resource
                        return found
        raise self._no_resource(uid)

    def get_resources(self) -> list[Doc]:
        return list(self._runs.header(self.uid, "resources").get("resources", []))

    def lookup_resource_for_datum(self, datum_id: str) -> str:
        with self._runs.server.translated():
            found = self._runs.server.collection("datum").find_one({"datum_id": datum_id}, {"resource": 1})
        if found is None:
            raise self._no_datum(datum_id)
        return str(found["resource"])

    def get_datum_pages(self, resource_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        return (
            {
                "resource": resource_uid,
                "datum_id": page["datum_id"],
                "datum_kwargs": _columns(page, "datum_kwargs", [], "datum_id"),
            }
            for page in self._pages("datum", {"resource": resource_uid}, skip, limit)
        )

    def get_stream_resources(self) -> list[Doc]:
        return self._find("stream_resource", {"run_start": self.uid})

    def get_stream_datums(self, stream_resource_uid: str) -> list[Doc]:
        return self._find("stream_datum", {"stream_resource": stream_resource_uid})

    def _find(self, name: str, query: Mapping[str, Any]) -> list[Doc]:
        with self._runs.server.translated():
            return [plain(document) for document in self._runs.server.collection(name).find(query, sort=[("_id", 1)])]

    def _pages(self, name: str, owner: Mapping[str, Any], skip: int, limit: int | None) -> Iterator[Doc]:
        """The pages that hold rows ``skip`` to ``skip + limit``, cut to those."""
        query: dict[str, Any] = dict(owner)
        if skip:
            query["last_index"] = {"$gte": skip}
        if limit is not None:
            query["first_index"] = {"$lt": skip + limit}
        with self._runs.server.translated():
            cursor = self._runs.server.collection(name).find(query, sort=[("first_index", 1)], allow_disk_use=True)
            for document in cursor:
                first, rows = document["first_index"], document["last_index"] - document["first_index"] + 1
                page = {key: value for key, value in plain(document).items() if key not in _COUNTS}
                begin = max(0, skip - first)
                end = rows if limit is None else min(rows, skip + limit - first)
                if begin >= end:
                    continue
                if (begin, end) == (0, rows):
                    yield page
                else:
                    yield from slice_pages([_complete(page)], begin, end - begin)

    def _count(self, name: str, owner: Mapping[str, Any]) -> int:
        with self._runs.server.translated():
            last = self._runs.server.collection(name).find(
                owner, projection={"last_index": 1}, sort=[("last_index", -1)], limit=1
            )
            return next((int(document["last_index"]) + 1 for document in last), 0)


_COUNTS = frozenset({"size", "first_index", "last_index"})


def _complete(page: Doc) -> dict[str, Any]:
    """A page with the groups that are not written when they are empty."""
    groups = ("data", "timestamps", "filled") if "descriptor" in page else ("datum_kwargs",)
    return {**page, **{group: page.get(group, {}) for group in groups}}


def _columns(page: Doc, group: str, keys: list[str], rows: str) -> dict[str, Any]:
    """The columns of a page, in the order of the descriptor: MongoDB pushes them in the order of their names."""
    there = page.get(group, {})
    ordered = [*(key for key in keys if key in there), *(key for key in there if key not in keys)]
    odd = [key for key in ordered if len(there[key]) != len(page[rows])]
    if odd:
        raise InvalidDocument(
            f"a page of {page.get('descriptor', page.get('resource'))!r} has {len(page[rows])} rows and "
            f"{len(there[odd[0]])} values of {odd[0]!r}: its rows do not have the same keys, which this layout cannot "
            "hold; copy the run from where it was recorded first"
        )
    return {key: column(there[key]) for key in ordered}
