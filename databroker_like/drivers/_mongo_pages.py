"""Cursors of events and datums as pages of columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from databroker_like.core._rowwise import as_list
from databroker_like.drivers._mongo_bson import uniform_columns
from databroker_like.drivers._mongo_server import MongoServer
from databroker_like.drivers._runs import RunsBuilder

__all__ = ["BATCH", "pages"]

Doc = Mapping[str, Any]

#: Documents that are fetched at once.
BATCH = 5_000


def pages(
    server: MongoServer,
    name: str,
    owner: tuple[str, str],
    *,
    skip: int = 0,
    limit: int | None = None,
    find_kwargs: Mapping[str, Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """The events of a descriptor, or the datums of a resource, in the order they were recorded.

    Parameters
    ----------
    server : MongoServer
    name : str
        The collection: ``"event"`` or ``"datum"``.
    owner : (str, str)
        ``("descriptor", uid)`` or ``("resource", uid)``.
    skip, limit : int
        Which of them; all by default.
    find_kwargs : mapping, optional
        For ``find``.

    Yields
    ------
    dict
        Pages of at most `BATCH` rows.
    """
    if limit is not None and limit <= 0:
        return
    # By _id, which a writer makes one after the other: a seq_num comes again when a scan goes back and repeats.
    kwargs = {
        "filter": dict([owner]),
        "sort": [("_id", 1)],
        "batch_size": BATCH,
        "allow_disk_use": True,
        **(find_kwargs or {}),
        "skip": skip,
        "limit": limit or 0,
    }
    with server.translated():
        collection = server.collection(name)
        if server.is_mongomock:
            documents = iter(collection.find(**kwargs))
            while batch := list(islice(documents, BATCH)):
                yield from _gathered(batch, owner)
            return
        import bson

        for raw in collection.find_raw_batches(**kwargs):
            columns = uniform_columns(raw)
            if columns is None:
                yield from _gathered(bson.decode_all(raw, collection.codec_options), owner)
            else:
                yield _event_page(columns, owner[1]) if name == "event" else _datum_page(columns, owner[1])


def _event_page(columns: dict[str, Any], descriptor: str) -> dict[str, Any]:
    page = {
        "descriptor": descriptor,
        "uid": as_list(columns["uid"]),
        "time": columns["time"],
        "seq_num": columns["seq_num"],
        "data": columns["data"],
        "timestamps": columns["timestamps"],
    }
    if "filled" in columns:
        page["filled"] = columns["filled"]
    return page


def _datum_page(columns: dict[str, Any], resource: str) -> dict[str, Any]:
    return {
        "resource": resource,
        "datum_id": as_list(columns["datum_id"]),
        "datum_kwargs": columns["datum_kwargs"],
    }


def _gathered(documents: Iterable[Doc], owner: tuple[str, str]) -> list[dict[str, Any]]:
    """Documents that are not laid out alike, as columns."""
    kind, uid = owner
    builder = RunsBuilder()
    of_run = {"uid": uid, "run_start": uid}
    builder.feed([("start", of_run), (kind, of_run)])
    builder.feed(("event" if kind == "descriptor" else "datum", doc) for doc in documents)
    data = builder.run(uid)
    return data.event_pages[uid] if kind == "descriptor" else data.datum_pages.get(uid, [])
