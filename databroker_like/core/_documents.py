"""A run as its documents, in order: each after all those that it refers to, events by time."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from typing import Any

from databroker_like.core._columns import one_by_one
from databroker_like.core._datums import DatumTable, filled_flags
from databroker_like.core._document import Descriptor, Resource
from databroker_like.core._external import DatumColumn
from databroker_like.core._filled import PageFiller
from databroker_like.core._filler import HandlerCache, HandlerOpener, opener_of
from databroker_like.core._header import Header
from databroker_like.core._pages import interlace_single_event_pages, page_size, scalars
from databroker_like.core._rows import EventRows
from databroker_like.errors import Invalid
from databroker_like.files._lazy import LazyArray
from databroker_like.files._lazy import to_dask as lazy_to_dask

__all__ = ["FILLS", "Flow", "check_fill", "partitions", "run_documents"]

Doc = Mapping[str, Any]
Pair = tuple[str, Any]

FILLS = ("yes", "no", "delayed")


def check_fill(fill: Any) -> None:
    """Refuse what is no way to fill."""
    if not isinstance(fill, str) or fill not in FILLS:
        raise Invalid(f"fill={fill!r} is not a way to fill; it is one of 'yes', 'no' or 'delayed'")


class Flow:
    """The documents of a run, or of some of its streams, as they are at the moment.

    Parameters
    ----------
    header : Header
    fill : str or callable
        ``"yes"``, ``"no"``, ``"delayed"``, or a filler of the caller's own.
    descriptors : sequence of Descriptor, optional
        Those whose events are wanted; all by default.
    keys : container of str, optional
        The data keys to fill; all by default. A filler of the caller's own fills what it fills.
    """

    def __init__(
        self,
        header: Header,
        fill: Any,
        descriptors: Sequence[Descriptor] | None = None,
        keys: Container[str] | None = None,
    ) -> None:
        self.header = header
        self.source = header.source
        self.fill = fill
        self._keys = keys
        self.descriptors = list(header.descriptors if descriptors is None else descriptors)
        self._external = {
            descriptor["uid"]: [
                key
                for key, data_key in descriptor.get("data_keys", {}).items()
                if data_key.get("external") and not str(data_key["external"]).startswith("STREAM:")
            ]
            for descriptor in self.descriptors
        }
        self._table = DatumTable(self.source, header.transforms)
        self._told: set[str] = set()
        self._late: deque[Pair] = deque()

    def before_events(self) -> Iterator[Pair]:
        """Descriptors, resources, datum pages and the documents of external streams."""
        for descriptor in self.descriptors:
            yield "descriptor", descriptor
        resources = self.header.resources
        for resource in resources:
            if resource["uid"] not in self._told:
                self._told.add(resource["uid"])
                yield "resource", resource
        for uid in list(self._told):
            yield from self._datum_pages(uid)
        streams = list(self.source.get_stream_resources())
        for doc in streams:
            yield "stream_resource", doc
        wanted = set(self._external)
        for doc in streams:
            for datum in self.source.get_stream_datums(doc["uid"]):
                if datum["descriptor"] in wanted:
                    yield "stream_datum", datum

    def _datum_pages(self, resource_uid: str) -> Iterator[Pair]:
        for page in self.source.get_datum_pages(resource_uid):
            if page_size(page):
                yield "datum_page", _listed(page, ("datum_kwargs",))

    def events(self, *, strict_order: bool) -> Iterator[Pair]:
        """Event pages by time, preceded by such resources as no listing had.

        Parameters
        ----------
        strict_order : bool
            One event to a page, so that those of different streams stand in the order of their times.
        """
        with _Filling(self) as filling:
            streams = [self._pages(descriptor, filling) for descriptor in self.descriptors]
            pages: Iterator[Doc]
            if strict_order:
                pages = interlace_single_event_pages(*streams)
            else:
                listed = [map(_listed, stream) for stream in streams]
                pages = listed[0] if len(listed) == 1 else heapq.merge(*listed, key=_first_time)
            if not any(self._external.values()):
                for page in pages:
                    yield "event_page", page
                return
            for page in pages:
                while self._late:
                    yield self._late.popleft()
                yield "event_page", page

    def _pages(self, descriptor: Descriptor, filling: _Filling) -> Iterator[Doc]:
        keys = self._external[descriptor["uid"]]
        wanted = keys if self._keys is None else [key for key in keys if key in self._keys]
        done = 0
        for page in one_by_one(self.source.get_event_pages(descriptor["uid"])):
            rows = page_size(page)
            if not rows:
                continue
            if not keys:
                yield page
                continue
            for key in keys:
                if key in page["data"]:
                    self._announce(page, key)
            yield filling.fill(descriptor, page, wanted, done)
            done += rows

    def _announce(self, page: Doc, key: str) -> None:
        """Put forward the resources, and their datum pages, that the run does not list: old ones name no run."""
        for datum_id, filled in zip(scalars(page["data"][key]), filled_flags(page, key), strict=True):
            if filled is not False or not isinstance(datum_id, str):
                continue
            guess = datum_id.partition("/")[0]
            if guess in self._told:
                continue
            uid = self._table.resource_uid(datum_id)
            if uid not in self._told:
                self._told.add(uid)
                self._late.append(("resource", Resource(self._table.resource(uid))))
                self._late.extend(self._datum_pages(uid))

    @property
    def table(self) -> DatumTable:
        """Where datum ids are looked up."""
        return self._table


class _Filling:
    """Puts the external data of pages into them, as a run was asked to; lets go of its files at the end."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._columns: dict[tuple[str, str], Any] = {}
        self._opener: HandlerOpener | None = None
        self._handlers: HandlerCache | None = None
        self._own: PageFiller | None = None
        self._elsewhere: dict[tuple[str, str], Callable[[int], Any] | None] = {}
        if flow.fill == "no" or not any(flow._external.values()):
            return
        if not isinstance(flow.fill, str):
            self._own = PageFiller(flow.fill, flow.table, flow.descriptors)
            return
        self._opener = opener_of(flow.source.get_filler)
        if self._opener is None:
            coerce = "delayed" if flow.fill == "delayed" else "force_numpy"
            self._own = PageFiller(flow.source.get_filler(coerce=coerce), flow.table, flow.descriptors)
        elif flow.fill == "yes":
            self._handlers = HandlerCache(self._opener)

    def __enter__(self) -> _Filling:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._handlers is not None:
            self._handlers.close()

    def fill(self, descriptor: Descriptor, page: Doc, keys: list[str], done: int) -> Doc:
        if self._flow.fill == "no":
            return page
        elsewhere = isinstance(self._flow.fill, str) and any(self._served(descriptor, key) for key in keys)
        if self._own is not None and not elsewhere:
            return self._own.fill(page)
        if self._opener is None and not elsewhere:
            return page
        data, filled = dict(page["data"]), dict(page.get("filled", {}))
        for key in keys:
            if key not in data:
                continue
            column, flags = scalars(data[key]), filled_flags(page, key)
            data[key] = _Values(column, flags, self._reader(descriptor, key, done))
            filled[key] = [value if flag is False else flag for value, flag in zip(column, flags, strict=True)]
        return {**page, "data": data, "filled": filled}

    def _served(self, descriptor: Descriptor, key: str) -> Callable[[int], Any] | None:
        """What gives the value of a row that is read somewhere else; None when files are opened here."""
        at = (descriptor["uid"], key)
        if at not in self._elsewhere:
            column = self._flow.source.get_column(*at)
            if column is None:
                self._elsewhere[at] = None
            elif self._flow.fill == "delayed":
                cut = getattr(column, "blocks", None)
                self._elsewhere[at] = lazy_to_dask(column, column.chunks if cut is None else cut).__getitem__
            else:
                self._elsewhere[at] = _RowByRow(column)
        return self._elsewhere[at]

    def _reader(self, descriptor: Descriptor, key: str, done: int) -> Callable[[int, str], Any]:
        served = self._served(descriptor, key)
        if served is not None:
            return lambda row, datum_id: served(done + row)
        if self._handlers is not None:
            return lambda row, datum_id: self._read(datum_id)
        return lambda row, datum_id: self._column(descriptor, key)[done + row]

    def _read(self, datum_id: str) -> Any:
        import numpy as np

        assert self._handlers is not None
        assert self._opener is not None
        resource, keywords = self._flow.table.look_up(datum_id)
        value = self._handlers.read(resource, keywords)
        if not isinstance(value, LazyArray) and not hasattr(value, "dask"):
            return value
        return self._opener.attempt(lambda: np.asarray(value), resource, f"reading {keywords}")

    def _column(self, descriptor: Descriptor, key: str) -> Any:
        uid = descriptor["uid"]
        if (uid, key) not in self._columns:
            assert self._opener is not None
            rows = EventRows(self._flow.source, uid)
            count = self._flow.source.get_event_count(uid)
            column = DatumColumn(rows, key, count, self._flow.table, self._opener)
            self._columns[uid, key] = lazy_to_dask(column, column.chunks)
        return self._columns[uid, key]


class _RowByRow:
    """The rows of a column that is read elsewhere, of which as many are fetched at once as lie in one block."""

    def __init__(self, column: LazyArray) -> None:
        self._column = column
        self._rows = range(0)
        self._block: Any = None

    def __call__(self, row: int) -> Any:
        if row not in self._rows:
            step = max(1, self._column.chunks[0])
            cuts = getattr(self._column, "blocks", None)
            start, stop = (row // step * step, row // step * step + step) if cuts is None else _around(cuts[0], row)
            self._rows = range(start, min(stop, len(self._column)))
            self._block = self._column[start : self._rows.stop]
        return self._block[row - self._rows.start].copy()


def _around(cuts: Sequence[int], row: int) -> tuple[int, int]:
    """The first row of the piece in which a row lies, and the one after its last."""
    edges = list(accumulate(cuts, initial=0))
    after = bisect_right(edges, row)
    return edges[after - 1], edges[after]


class _Values:
    """The values of a column, each read when it is its turn."""

    def __init__(self, column: list[Any], flags: list[Any], read: Callable[[int, str], Any]) -> None:
        self._column = column
        self._flags = flags
        self._read = read

    def __len__(self) -> int:
        return len(self._column)

    def __iter__(self) -> Iterator[Any]:
        for row, (value, flag) in enumerate(zip(self._column, self._flags, strict=True)):
            yield self._read(row, value) if flag is False and isinstance(value, str) else value


def _listed(page: Doc, parts: Sequence[str] = ("data", "timestamps", "filled")) -> Doc:
    """A page whose columns are lists of its own, as pages are recorded: what people hand to json, or change."""
    plain = {name: value if isinstance(value, str | Mapping) else _own_list(value) for name, value in page.items()}
    for part in parts:
        if part in page:
            plain[part] = {key: _own_list(column) for key, column in page[part].items()}
    return plain


def _own_list(column: Any) -> list[Any]:
    # The columns of a source may be kept for the next reading.
    return list(column) if isinstance(column, list | _Values) else scalars(column)


def _first_time(page: Doc) -> float:
    return float(page["time"][0])


def run_documents(header: Header, fill: str, strict_order: bool) -> Iterator[Pair]:
    """All documents of a run.

    Parameters
    ----------
    header : Header
    fill : {"yes", "no", "delayed"}
    strict_order : bool

    Yields
    ------
    (name, document)
    """
    stop = header.stop
    yield "start", header.start
    flow = Flow(header, fill)
    yield from chain(flow.before_events(), flow.events(strict_order=strict_order))
    if stop is not None:
        yield "stop", stop


def partitions(header: Header, name: str, fill: Any, size: int) -> Iterator[list[Pair]]:
    """The documents of one stream, some at a time.

    Parameters
    ----------
    header : Header
    name : str
        The stream.
    fill : str or callable
    size : int
        Pages to a partition.

    Yields
    ------
    list of (name, document)
        First start, descriptors and resources; then datum pages; then event pages; the stop document in the last.
    """
    stop = header.stop
    flow = Flow(header, fill, header.of_stream(name))
    first: list[Pair] = [("start", header.start)]
    datums: list[Pair] = []
    for kind, doc in flow.before_events():
        (datums if kind in ("datum_page", "stream_datum") else first).append((kind, doc))
    yield first
    for i in range(0, len(datums), size):
        yield datums[i : i + size]
    gathered: list[Pair] = []
    for pair in flow.events(strict_order=False):
        gathered.append(pair)
        if len(gathered) == size:
            yield gathered
            gathered = []
    if stop is not None:
        gathered.append(("stop", stop))
    if gathered:
        yield gathered
