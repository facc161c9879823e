"""Documents in the order they were recorded, gathered into runs of columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from databroker_like.core._growing import GrowingDatums, GrowingEvents
from databroker_like.core._pages import slice_pages
from databroker_like.core._rowwise import CHUNK
from databroker_like.core._source import RunSource
from databroker_like.errors import InvalidDocument, NoSuchDocument, listed, nearest

__all__ = ["DecodedRun", "RunData", "RunsBuilder"]

Doc = Mapping[str, Any]


@dataclass
class RunData:
    """One run, decoded: its documents, with events and datums as pages of columns.

    Parameters
    ----------
    start, stop : document
        ``stop`` is None while the run goes on, or when it was cut off.
    descriptors, resources, stream_resources : list of documents, in the order recorded
    event_pages : dict of descriptor uid -> list of event pages
    datum_pages : dict of resource uid -> list of datum pages
    stream_datums : dict of stream_resource uid -> list of documents
    """

    start: Doc
    stop: Doc | None = None
    descriptors: list[Doc] = field(default_factory=list)
    event_pages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    resources: list[Doc] = field(default_factory=list)
    datum_pages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    stream_resources: list[Doc] = field(default_factory=list)
    stream_datums: dict[str, list[Doc]] = field(default_factory=dict)
    _resource_of_datum: dict[str, str] | None = field(default=None, repr=False)

    def pages(self, descriptor_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        """Event pages of a descriptor, rows ``skip`` to ``skip + limit``."""
        self._check_descriptor(descriptor_uid)
        return _sliced(self.event_pages.get(descriptor_uid, ()), skip, limit)

    def count(self, descriptor_uid: str) -> int:
        """How many events a descriptor has."""
        self._check_descriptor(descriptor_uid)
        return sum(len(page["seq_num"]) for page in self.event_pages.get(descriptor_uid, ()))

    def resource(self, uid: str) -> Doc:
        """The resource document of a uid."""
        for doc in self.resources:
            if doc["uid"] == uid:
                return doc
        raise NoSuchDocument(
            f"run {self.start['uid']} has no resource {uid!r}; it has {listed(d['uid'] for d in self.resources)}"
        )

    def resource_of(self, datum_id: str) -> str:
        """The uid of the resource a datum belongs to."""
        if self._resource_of_datum is None:
            self._resource_of_datum = {
                str(datum): resource
                for resource, pages in self.datum_pages.items()
                for page in pages
                for datum in page["datum_id"]
            }
        try:
            return self._resource_of_datum[datum_id]
        except KeyError:
            close = nearest(datum_id, list(self._resource_of_datum)[:1000])
            raise NoSuchDocument(
                f"run {self.start['uid']} has no datum {datum_id!r}; the nearest of "
                f"{len(self._resource_of_datum)}: {listed(close)}"
            ) from None

    def datums(self, resource_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        """Datum pages of a resource, rows ``skip`` to ``skip + limit``."""
        return _sliced(self.datum_pages.get(resource_uid, ()), skip, limit)

    def stream_datums_of(self, stream_resource_uid: str) -> list[Doc]:
        """The stream_datum documents of a stream_resource, in the order recorded."""
        return self.stream_datums.get(stream_resource_uid, [])

    def _check_descriptor(self, uid: str) -> None:
        if uid not in self.event_pages and all(d["uid"] != uid for d in self.descriptors):
            raise NoSuchDocument(
                f"run {self.start['uid']} has no descriptor {uid!r}; it has "
                f"{listed(d['uid'] for d in self.descriptors)}"
            )


class DecodedRun(ABC):
    """One run of which all but start and stop comes from its `RunData`."""

    @abstractmethod
    def data(self) -> RunData:
        """The documents, as columns, as they are now."""

    @abstractmethod
    def get_run_start(self) -> Doc:
        """The start document."""

    @abstractmethod
    def get_run_stop(self) -> Doc | None:
        """The stop document, or None."""

    def source(self, get_filler: Any) -> RunSource:
        """The getters of this run."""
        return RunSource.of(self, get_filler)

    def get_event_descriptors(self) -> list[Doc]:
        return self.data().descriptors

    def get_event_pages(self, descriptor_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        return self.data().pages(descriptor_uid, skip, limit)

    def get_event_count(self, descriptor_uid: str) -> int:
        return self.data().count(descriptor_uid)

    def get_resource(self, uid: str) -> Doc:
        return self.data().resource(uid)

    def get_resources(self) -> list[Doc]:
        return self.data().resources

    def lookup_resource_for_datum(self, datum_id: str) -> str:
        return self.data().resource_of(datum_id)

    def get_datum_pages(self, resource_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        return self.data().datums(resource_uid, skip, limit)

    def get_stream_resources(self) -> list[Doc]:
        return self.data().stream_resources

    def get_stream_datums(self, stream_resource_uid: str) -> list[Doc]:
        return self.data().stream_datums_of(stream_resource_uid)


def _sliced(pages: Iterable[Doc], skip: int, limit: int | None) -> Iterable[Doc]:
    return iter(pages) if not skip and limit is None else slice_pages(pages, skip, limit)


class _Run:
    """One run as it grows."""

    __slots__ = ("datums", "descriptors", "events", "resources", "start", "stop", "stream_datums", "stream_resources")

    def __init__(self, start: Doc) -> None:
        self.start = start
        self.stop: Doc | None = None
        self.descriptors: list[Doc] = []
        self.events: dict[str, GrowingEvents] = {}
        self.resources: list[Doc] = []
        self.datums: dict[str, GrowingDatums] = {}
        self.stream_resources: list[Doc] = []
        self.stream_datums: dict[str, list[Doc]] = {}

    def data(self) -> RunData:
        return RunData(
            start=self.start,
            stop=self.stop,
            descriptors=self.descriptors[:],
            event_pages={uid: events.all_pages() for uid, events in self.events.items()},
            resources=self.resources[:],
            datum_pages={uid: datums.all_pages() for uid, datums in self.datums.items()},
            stream_resources=self.stream_resources[:],
            stream_datums={uid: docs[:] for uid, docs in self.stream_datums.items()},
        )


class RunsBuilder:
    """Takes documents in the order they were recorded and keeps what each run has so far.

    Documents of several runs may be mixed, as they are when runs are nested: a document finds its run by the
    uids in it, and by the last start document when it holds none.

    Examples
    --------
    >>> builder = RunsBuilder()
    >>> builder.feed([("start", {"uid": "a", "time": 0.0}), ("stop", {"uid": "b", "run_start": "a"})])
    >>> builder.run("a").stop["uid"]
    'b'
    """

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._events: dict[str, GrowingEvents] = {}
        self._datums: dict[str, GrowingDatums] = {}
        self._owner: dict[str, _Run] = {}
        self._last: _Run | None = None

    def uids(self) -> list[str]:
        """The uids of the runs so far, in the order they started."""
        return list(self._runs)

    def run(self, uid: str) -> RunData:
        """What a run has so far; documents that come later do not change what was returned."""
        return self._runs[uid].data()

    def feed(self, documents: Iterable[tuple[str, Doc]]) -> None:
        """Take documents.

        Parameters
        ----------
        documents : iterable of (name, document)

        Raises
        ------
        InvalidDocument
            When one is of no kind, or belongs to no run; those before it are kept.
        """
        events = self._events
        of = object()  # the descriptor that the names below belong to
        for name, doc in documents:
            try:
                if name != "event":
                    _TAKE[name](self, doc)
                    of = None
                    continue
                # Written out, not called: this is the one pass per document.
                data, timestamps, filled = doc["data"], doc["timestamps"], doc.get("filled")
                uid, time, seq_num = doc["uid"], doc["time"], doc["seq_num"]
                if doc["descriptor"] != of:
                    of = doc["descriptor"]
                    stream = events[of]
                    data_keys, timestamp_keys, filled_keys, uids, times, seq_nums, more_data, more_times = stream.open
                if (
                    list(data) != data_keys
                    or list(timestamps) != timestamp_keys
                    or (None if filled is None else list(filled)) != filled_keys
                    or len(uids) >= CHUNK
                ):
                    stream.reshape(doc)
                    data_keys, timestamp_keys, filled_keys, uids, times, seq_nums, more_data, more_times = stream.open
                more_data(data.values())
                more_times(timestamps.values())
                if filled:
                    stream.filled.extend(filled.values())
                uids.append(uid)
                times.append(time)
                seq_nums.append(seq_num)
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise _misfit(name, doc, error) from error

    def _of(self, doc: Doc, key: str = "run_start") -> _Run:
        run = self._runs.get(doc.get(key, ""), None if doc.get(key) else self._last)
        if run is None:
            raise KeyError(doc.get(key))
        return run

    def _start(self, doc: Doc) -> None:
        uid = doc["uid"]
        if uid in self._runs:
            raise ValueError("a second start document of the same uid")
        self._last = self._runs[uid] = _Run(doc)

    def _stop(self, doc: Doc) -> None:
        self._of(doc).stop = doc

    def _descriptor(self, doc: Doc) -> None:
        run, uid = self._of(doc), doc["uid"]
        run.descriptors.append(doc)
        if uid not in self._events:
            run.events[uid] = self._events[uid] = GrowingEvents(uid)

    def _event_page(self, doc: Doc) -> None:
        self._events[doc["descriptor"]].add_page(doc)

    def _resource(self, doc: Doc) -> None:
        run = self._of(doc)
        run.resources.append(doc)
        self._owner[doc["uid"]] = run

    def _datums_of(self, resource: str) -> GrowingDatums:
        datums = self._datums.get(resource)
        if datums is None:
            run = self._owner.get(resource, self._last)
            if run is None:
                raise KeyError(resource)
            datums = run.datums[resource] = self._datums[resource] = GrowingDatums(resource)
        return datums

    def _datum(self, doc: Doc) -> None:
        self._datums_of(doc["resource"]).add(doc)

    def _datum_page(self, doc: Doc) -> None:
        self._datums_of(doc["resource"]).add_page(doc)

    def _stream_resource(self, doc: Doc) -> None:
        run = self._of(doc)
        run.stream_resources.append(doc)
        self._owner[doc["uid"]] = run

    def _stream_datum(self, doc: Doc) -> None:
        uid = doc["stream_resource"]
        self._owner[uid].stream_datums.setdefault(uid, []).append(doc)


def _misfit(name: Any, doc: Any, error: Exception) -> InvalidDocument:
    uid = doc.get("uid", doc.get("datum_id", "?")) if isinstance(doc, Mapping) else "?"
    if not isinstance(name, str) or (name not in _TAKE and name != "event"):
        return InvalidDocument(f"{name!r} is no kind of document; there are {listed([*_TAKE, 'event'])}")
    missing = str(error) if not isinstance(error, KeyError) else f"nothing before it, or in it, is {error.args[0]!r}"
    return InvalidDocument(f"{name} {uid!r} does not fit into the run: {missing}")


_TAKE = {
    "start": RunsBuilder._start,
    "stop": RunsBuilder._stop,
    "descriptor": RunsBuilder._descriptor,
    "event_page": RunsBuilder._event_page,
    "resource": RunsBuilder._resource,
    "datum": RunsBuilder._datum,
    "datum_page": RunsBuilder._datum_page,
    "stream_resource": RunsBuilder._stream_resource,
    "stream_datum": RunsBuilder._stream_datum,
}
