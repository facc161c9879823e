"""A run that a server has as nodes and nothing else: its documents are made of them, the same each time."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from databroker_like.client._runs._arrow import column_of
from databroker_like.client._runs._column import RemoteColumn
from databroker_like.client._runs._nodes import StreamNodes, listed_streams
from databroker_like.client._runs._server import Server
from databroker_like.client._runs._streamed import NAMES, streamed_documents
from databroker_like.core._pages import slice_pages
from databroker_like.errors import NoSuchDocument, NoSuchRun, NotFound, ServiceFailed
from databroker_like.files._lazy import Grouped, LazyArray
from databroker_like.structures import ArrayStructure

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["RunInLayout"]

Doc = Mapping[str, Any]

#: For so long the nodes that a stream was found among are those that it is read from.
_FRESH = 0.5
_ARROW = "application/vnd.apache.arrow.file"


@dataclass(frozen=True)
class _Stream:
    """A stream, with the documents that were made of it."""

    nodes: StreamNodes
    descriptors: list[Doc]
    pages: dict[str, list[Doc]] | None = None


class RunInLayout:
    """The getters of a run that lies on a server in the layout that TiledWriter gives it.

    Parameters
    ----------
    server : Server
    path : tuple of str
        Of the run's node.
    item : dict, optional
        What the server was just found to say of the node.
    """

    def __init__(self, server: Server, path: tuple[str, ...], item: dict[str, Any] | None = None) -> None:
        self._server = server
        self._path = path
        self._item = item
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._streams: dict[str, _Stream] | None = None
        #: When the node was first asked for, while that was told to nobody as what there is now.
        self._opened: float | None = None
        #: When the nodes were listed that nothing was read of yet.
        self._listed: float | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_server": self._server, "_path": self._path, "_item": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    # -- what is around the events -----------------------------------------------------------------------------------

    def look(self, *, anew: bool = False) -> dict[str, Any]:
        """The metadata of the run.

        Parameters
        ----------
        anew : bool
            Whether the server is asked again, unless the run has ended.

        Returns
        -------
        dict

        Raises
        ------
        NoSuchRun
            When there is no such node, or it is no run.
        """
        with self._lock:
            item = self._item
            # One who opens a run and reads it at once looks at it once.
            opened, self._opened = self._opened, None if anew else self._opened
            anew = anew and (opened is None or time.monotonic() - opened > _FRESH)
            if item is None or (anew and not _metadata(item).get("stop")):
                self._opened = time.monotonic() if item is None else None
                try:
                    item = self._server.context.get_item(self._path)
                except NotFound as error:
                    raise NoSuchRun(str(error)) from error
                self._item = item
                goes_on = not _metadata(item).get("stop")
                if not (goes_on and self._listed is not None and time.monotonic() - self._listed < _FRESH):
                    self._streams = None
                self._listed = None
            metadata = _metadata(item)
            if not isinstance(metadata.get("start"), Mapping):
                where = "/".join(self._path) or "the root"
                raise NoSuchRun(f"the node {where!r} at {self._server.api_uri} is no run: it has no start document")
            return metadata

    @property
    def has_documents(self) -> bool:
        """Whether the server tells the run in parts as well."""
        return self._item is not None and "documents" in (self._item.get("links") or {})

    def get_run_start(self) -> Doc:
        """The start document."""
        return self.look()["start"]

    def get_run_stop(self, *, anew: bool = True) -> Doc | None:
        """The stop document; None while the run goes on."""
        return self.look(anew=anew).get("stop") or None

    def get_event_descriptors(self) -> list[Doc]:
        """The descriptors, stream by stream in the order in which the server has them."""
        return [doc for stream in self._found().values() for doc in stream.descriptors]

    def _found(self) -> dict[str, _Stream]:
        with self._lock:
            start = self.look()["start"]
            if self._streams is None:
                assert self._item is not None
                self._listed = time.monotonic()
                nodes = listed_streams(self._server.context, self._item, self._path)
                self._streams = {
                    name: _Stream(stream, _descriptors(str(start["uid"]), stream)) for name, stream in nodes.items()
                }
            return self._streams

    def _stream_of(self, descriptor_uid: str) -> tuple[str, _Stream]:
        for name, stream in self._found().items():
            if any(doc["uid"] == descriptor_uid for doc in stream.descriptors):
                return name, stream
        raise NoSuchDocument(f"the run has no descriptor {descriptor_uid!r}")

    # -- events --------------------------------------------------------------------------------------------------------

    def get_event_pages(self, descriptor_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        """The events of a descriptor, of the columns of tables and of arrays that are no external data."""
        pages = self._pages(descriptor_uid)
        return slice_pages(pages, skip, limit) if skip or limit is not None else pages

    def get_event_count(self, descriptor_uid: str) -> int:
        """How many events a descriptor has."""
        return sum(len(page["time"]) for page in self._pages(descriptor_uid))

    def _pages(self, descriptor_uid: str) -> list[Doc]:
        with self._lock:
            name, stream = self._stream_of(descriptor_uid)
            self._listed = None
            if stream.pages is None:
                stream = _Stream(stream.nodes, stream.descriptors, self._read(stream))
                assert self._streams is not None
                self._streams[name] = stream
            assert stream.pages is not None
            return stream.pages[descriptor_uid]

    def _read(self, stream: _Stream) -> dict[str, list[Doc]]:
        """The events of a stream, those of each descriptor as one page."""
        import numpy as np

        tables = [self._table(path, item) for path, item in stream.nodes.tables]
        if not tables:
            return {doc["uid"]: [] for doc in stream.descriptors}
        columns = {field.name: (field, table.column(field.name)) for table in tables for field in table.schema}
        rows = min(table.num_rows for table in tables)
        if "time" not in columns or "seq_num" not in columns:
            raise ServiceFailed(f"the table of stream {stream.nodes.name!r} has no columns 'time' and 'seq_num'")
        times = np.asarray(column_of(*columns["time"]), dtype=float)[:rows]
        numbers = column_of(*columns["seq_num"])[:rows]
        inside = {key: self._client_array(path, item) for key, path, item in self._inside(stream)}
        pages: dict[str, list[Doc]] = {}
        # From its time on, what was changed in the configuration holds.
        edges = [0, *(int(np.searchsorted(times, float(doc["time"]))) for doc in stream.descriptors[1:]), rows]
        for doc, (low, high) in zip(stream.descriptors, pairwise(edges), strict=True):
            count = high - low
            if count <= 0:
                pages[doc["uid"]] = []
                continue
            data: dict[str, Any] = {}
            stamps: dict[str, Any] = {}
            for key in doc["data_keys"]:
                if key in columns and columns[key][1].slice(low, count).null_count < count:
                    data[key] = column_of(columns[key][0], columns[key][1].slice(low, count))
                elif key in inside:
                    data[key] = inside[key][low:high]
                if f"ts_{key}" in columns and key in data:
                    stamps[key] = column_of(columns[f"ts_{key}"][0], columns[f"ts_{key}"][1].slice(low, count))
                elif key in data:
                    stamps[key] = times[low:high]
            pages[doc["uid"]] = [
                {
                    "descriptor": doc["uid"],
                    "uid": _event_uids(doc["uid"], numbers[low:high]),
                    "time": times[low:high],
                    "seq_num": numbers[low:high],
                    "data": data,
                    "timestamps": stamps,
                    "filled": {},
                }
            ]
        return pages

    def _inside(self, stream: _Stream) -> list[tuple[str, tuple[str, ...], dict[str, Any]]]:
        """The arrays of a stream that are part of its events."""
        keys = stream.descriptors[0]["data_keys"]
        return [(key, *at) for key, at in stream.nodes.arrays.items() if not keys.get(key, {}).get("external")]

    def _client_array(self, path: tuple[str, ...], item: dict[str, Any]) -> np.ndarray:
        told = ArrayStructure.from_json(item["attributes"]["structure"])
        return RemoteColumn(self._server, path, told, 0, told.shape[0])[...]

    def _table(self, path: tuple[str, ...], item: dict[str, Any]) -> pa.Table:
        """All of a table, its partitions side by side."""
        import pyarrow as pa

        count = int(item["attributes"]["structure"]["npartitions"])
        url, session = self._server.url("table/partition", path), self._server.context.session

        def fetch(number: int) -> pa.Table:
            reply = session.fetch("GET", url, params=[("partition", number)], accept=_ARROW)
            try:
                return pa.ipc.open_file(reply.content).read_all()
            except (pa.ArrowInvalid, OSError) as error:
                raise ServiceFailed(f"{reply.url} sent no table of Arrow: {error}") from error

        if count <= 1:
            return fetch(0)
        with ThreadPoolExecutor(min(count, session.max_connections), thread_name_prefix="read") as pool:
            return pa.concat_tables(list(pool.map(fetch, range(count))), promote_options="permissive")

    # -- external data -----------------------------------------------------------------------------------------------

    def get_column(self, descriptor_uid: str, key: str) -> LazyArray | None:
        """The external values of the events of a descriptor, which the server reads."""
        _, stream = self._stream_of(descriptor_uid)
        self._listed = None
        at = stream.nodes.arrays.get(key)
        keys = next(doc["data_keys"] for doc in stream.descriptors if doc["uid"] == descriptor_uid)
        if at is None or not keys.get(key, {}).get("external"):
            return None
        told = ArrayStructure.from_json(at[1]["attributes"]["structure"])
        size = _frames_per_event(told.shape, keys[key].get("shape"))
        total = told.shape[0] // size
        start, stop = 0, total
        if len(stream.descriptors) > 1:
            counts = [self.get_event_count(doc["uid"]) for doc in stream.descriptors]
            position = [doc["uid"] for doc in stream.descriptors].index(descriptor_uid)
            start = min(sum(counts[:position]), total)
            stop = total if position + 1 == len(counts) else min(start + counts[position], total)
        column = RemoteColumn(self._server, at[0], told, start * size, (stop - start) * size)
        return Grouped(column, size) if _is_grouped(told.shape, keys[key].get("shape")) else column

    def get_stream_resources(self) -> list[Doc]:
        """The files of the external arrays, as far as the server tells them."""
        return [doc for doc, _ in self._streamed()]

    def get_stream_datums(self, stream_resource_uid: str) -> list[Doc]:
        """Which of the rows in a file are of which events."""
        return [datum for doc, datums in self._streamed() for datum in datums if doc["uid"] == stream_resource_uid]

    def _streamed(self) -> list[tuple[Doc, list[Doc]]]:
        run_uid = str(self.get_run_start()["uid"])
        return [
            pair
            for stream in self._found().values()
            for key, (_, item) in stream.nodes.arrays.items()
            if stream.descriptors[0]["data_keys"].get(key, {}).get("external")
            for pair in streamed_documents(run_uid, key, item, self._rows_of(stream, key))
        ]

    def _rows_of(self, stream: _Stream, key: str) -> list[tuple[str, int]]:
        """The descriptors of a stream, each with the number of the rows that it has of an external array."""
        columns = [(doc["uid"], self.get_column(doc["uid"], key)) for doc in stream.descriptors]
        return [(uid, len(column)) for uid, column in columns if column is not None]

    def get_resources(self) -> list[Doc]:
        """None: the layout keeps none."""
        return []

    def get_resource(self, uid: str) -> Doc:
        """Raises NoSuchDocument: the layout keeps none."""
        raise NoSuchDocument(f"the run has no resource {uid!r}")

    def lookup_resource_for_datum(self, datum_id: str) -> str:
        """Raises NoSuchDocument: the layout keeps none."""
        raise NoSuchDocument(f"the run has no datum {datum_id!r}")

    def get_datum_pages(self, resource_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        """None."""
        return []


def _metadata(item: Mapping[str, Any]) -> dict[str, Any]:
    return item["attributes"].get("metadata") or {}


def _descriptors(run_uid: str, stream: StreamNodes) -> list[Doc]:
    """The descriptors of a stream: its metadata, and what later ones changed in the configuration."""
    told = dict(stream.metadata)
    updates = told.pop("_config_updates", None) or []
    first: dict[str, Any] = {**told, "name": stream.name, "run_start": run_uid}
    first.setdefault("uid", str(uuid.uuid5(NAMES, f"{run_uid}/{stream.name}")))
    first.setdefault("time", 0.0)
    keys = {key: dict(data_key) for key, data_key in (told.get("data_keys") or stream.described()).items()}
    for key, data_key in keys.items():
        if data_key.get("external"):
            # Whatever it was, its values come as one array from now on.
            data_key["external"] = "STREAM:"
        elif key not in stream.columns and key not in stream.arrays:
            continue
    first["data_keys"] = keys
    objects: dict[str, list[str]] = {}
    for key, data_key in keys.items():
        if data_key.get("object_name"):
            objects.setdefault(str(data_key["object_name"]), []).append(key)
    first.setdefault("object_keys", objects)
    first.setdefault("configuration", {})
    first.setdefault("hints", {})
    found: list[Doc] = [first]
    for number, update in enumerate(sorted(updates, key=lambda one: float(one.get("time") or 0)), 1):
        uid = update.get("uid") or str(uuid.uuid5(NAMES, f"{run_uid}/{stream.name}/{number}"))
        changed = {"uid": uid, "time": update.get("time", first["time"])}
        configuration = {**first["configuration"], **(update.get("configuration") or {})}
        found.append({**first, **changed, "configuration": configuration})
    return found


def _event_uids(descriptor_uid: str, numbers: Any) -> list[str]:
    """A uid for each event, made of that of its descriptor and its number."""
    import numpy as np

    head = str(uuid.uuid5(NAMES, descriptor_uid))[:24]
    found: list[str] = np.char.add(head, np.char.mod("%012x", np.asarray(numbers, dtype="int64"))).tolist()
    return found


def _is_grouped(shape: tuple[int, ...], declared: Any) -> bool:
    """Whether frames lie one after the other that are more than one, or an axis more, to an event."""
    return isinstance(declared, list | tuple) and len(declared) == len(shape) > 1 and tuple(declared[1:]) == shape[1:]


def _frames_per_event(shape: tuple[int, ...], declared: Any) -> int:
    size = int(declared[0] or 1) if _is_grouped(shape, declared) else 1
    return size if size > 0 and shape[0] % size == 0 else 1
