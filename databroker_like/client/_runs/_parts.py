"""A run on a server that tells it in parts, as ours does: its documents to the letter."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from databroker_like import errors
from databroker_like.client._runs._column import RemoteColumn
from databroker_like.client._runs._server import Server
from databroker_like.codecs import decode_each
from databroker_like.core._columns import one_by_one, page_size
from databroker_like.core._pages import slice_pages
from databroker_like.errors import (
    DatabrokerError,
    Invalid,
    InvalidFile,
    NoSuchDocument,
    NoSuchFormat,
    NotFound,
    ServiceFailed,
)
from databroker_like.files._lazy import LazyArray
from databroker_like.registry import import_path
from databroker_like.structures import ArrayStructure

if TYPE_CHECKING:
    import httpx
    import numpy as np

__all__ = ["NotInParts", "RunInParts"]

Doc = Mapping[str, Any]
Pairs = list[tuple[str, Any]]

_SEQUENCE = "application/vnd.databroker-like.documents"
#: Descriptors in one request: URLs have an end.
_AT_ONCE = 100
_NO_HANDLER = "databroker_like.core._handler_errors:UndefinedAssetSpecification"
#: For so long what was told of a run that goes on is taken to be what it is, by those who ask one thing after another.
_FRESH = 1.0
#: Events of finished runs are kept for the next reading, as long as their replies are not larger together.
_KEPT_BYTES = 256 << 20
#: Of a stream that has more the events are not kept, and come in replies of so many bytes.
_MORE_BYTES = 64 << 20


class NotInParts(Exception):
    """The server does not tell runs in parts."""


@dataclass(frozen=True)
class _Around:
    """What is around the events of a run, as it was at a time."""

    start: Doc
    stop: Doc | None
    descriptors: list[Doc]
    resources: list[Doc]
    stream_resources: list[Doc]
    stream_datums: list[Doc]
    counts: Mapping[str, int]
    when: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, pairs: Pairs) -> _Around:
        found: dict[str, list[Any]] = {}
        for name, doc in pairs:
            found.setdefault(name, []).append(doc)
        stop = found.get("stop")
        return cls(
            found["start"][0],
            stop[0] if stop else None,
            found.get("descriptor", []),
            found.get("resource", []),
            found.get("stream_resource", []),
            found.get("stream_datum", []),
            (found.get("event_counts") or [{}])[0],
        )

    @property
    def holds(self) -> bool:
        """Whether it is still so."""
        return self.stop is not None or time.monotonic() - self.when < _FRESH


@dataclass(frozen=True)
class _Events:
    """The events of a stream: pages for each descriptor, and how the external columns lie."""

    pages: Mapping[str, list[Doc]]
    columns: Mapping[str, Doc]
    size: int
    #: What was around them before they were asked for; when the run had ended by then, these are all there will be.
    around: _Around
    #: Whether they are more than are kept, so that these are only the first.
    is_cut: bool = False
    #: The descriptors whose events were given to one who asked.
    given: set[str] = field(default_factory=set)

    @property
    def are_all(self) -> bool:
        """Whether there will be no more of them."""
        return self.around.stop is not None


class RunInParts:
    """The getters of a run on a server that tells it in parts.

    Parameters
    ----------
    server : Server
    path : tuple of str
        Of the run's node.
    revision : int, optional
        At which it is read; as it is now by default.
    """

    def __init__(self, server: Server, path: tuple[str, ...], revision: int | None = None) -> None:
        self._server = server
        self._path = path
        self._revision = revision
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._last: _Around | None = None
        self._events: OrderedDict[str, _Events] = OrderedDict()
        self._datums: tuple[float, dict[str, list[Doc]]] | None = None
        self._found: dict[str, Doc] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"_server": self._server, "_path": self._path, "_revision": self._revision}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    # -- what is asked ---------------------------------------------------------------------------------------------

    def _ask(self, part: str, *more: tuple[str, str | int]) -> tuple[Pairs, int]:
        """A part of the run, and how many bytes it was."""

        def read(response: httpx.Response) -> tuple[Pairs, int]:
            kind = response.headers.get("content-type", "").partition(";")[0].strip()
            if kind != _SEQUENCE:
                raise NotInParts
            size = 0

            def pieces() -> Iterable[bytes]:
                nonlocal size
                for piece in response.iter_bytes():
                    size += len(piece)
                    yield piece

            try:
                return [(name, doc) for name, doc in decode_each(pieces())], size
            except InvalidFile as error:
                raise ServiceFailed(f"the reply of {self._server.api_uri} is broken: {error}") from error

        url = self._server.url("documents", self._path)
        asked = [("part", part), *more, *([] if self._revision is None else [("revision", self._revision)])]
        try:
            return self._server.context.session.receive("GET", url, read, params=asked, accept=_SEQUENCE)
        except NoSuchFormat:
            # Of a run that is on yet another server, and handed on as nodes.
            raise NotInParts from None

    def around(self, *, anew: bool = False) -> _Around:
        """What is around the events; asked for again while the run goes on.

        Parameters
        ----------
        anew : bool
            Whether what was told a moment ago does not do, unless the run has ended.

        Returns
        -------
        _Around

        Raises
        ------
        NotInParts
            When the server does not tell runs so.
        """
        with self._lock:
            last = self._last
            if last is not None and (last.stop is not None or (last.holds and not anew)):
                return last
            self._last = _Around.of(self._ask("around")[0])
            return self._last

    # -- the getters -----------------------------------------------------------------------------------------------

    def get_run_start(self) -> Doc:
        """The start document."""
        last = self._last
        return self.around().start if last is None else last.start

    def get_run_stop(self, *, anew: bool = True) -> Doc | None:
        """The stop document; None while the run goes on."""
        return self.around(anew=anew).stop

    def get_event_descriptors(self) -> list[Doc]:
        """The descriptors, in the order they were recorded."""
        return self.around().descriptors

    def get_event_count(self, descriptor_uid: str) -> int:
        """How many events a descriptor has."""
        return self.around().counts.get(descriptor_uid, 0)

    def get_resources(self) -> list[Doc]:
        """The resources that name the run."""
        return self.around().resources

    def get_stream_resources(self) -> list[Doc]:
        """The stream resources."""
        return self.around().stream_resources

    def get_stream_datums(self, stream_resource_uid: str) -> list[Doc]:
        """The stream datums of one of them."""
        return [doc for doc in self.around().stream_datums if doc["stream_resource"] == stream_resource_uid]

    def get_event_pages(self, descriptor_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        """The events of a descriptor; those of its whole stream are asked for together."""
        stream = self._stream_of(descriptor_uid)
        with self._lock:
            kept = self._kept(stream, descriptor_uid)
        whole = not skip and limit is None
        if (kept is None or kept.is_cut) and not whole:
            more = [("limit", limit)] if limit is not None else []
            pairs, _ = self._ask("events", ("descriptor", descriptor_uid), ("skip", skip), *more)
            return [doc for name, doc in pairs if name == "event_page"]
        if kept is None:
            kept = self._fetched(stream)
        if kept.is_cut:
            return self._all_of(kept, descriptor_uid)
        if whole:
            kept.given.add(descriptor_uid)
        pages = kept.pages.get(descriptor_uid, [])
        return pages if whole else slice_pages(pages, skip, limit)

    def _all_of(self, first: _Events, descriptor_uid: str) -> Iterator[Doc]:
        """The events of a descriptor of a long stream, of which only some are in memory."""
        count, told = first.around.counts.get(descriptor_uid, 0), 0
        pages = one_by_one(first.pages.get(descriptor_uid, []))
        del first
        is_more = True
        while is_more:
            for page in pages:
                told += page_size(page)
                yield page
            is_more = False
            if told < count:
                more: list[tuple[str, str | int]] = [("skip", told), ("most", _MORE_BYTES)]
                pairs, _ = self._ask("events", ("descriptor", descriptor_uid), *more)
                # None, where somebody has deleted them meanwhile.
                is_more = bool(pairs)
                pages = one_by_one([doc for name, doc in pairs if name == "event_page"])
                del pairs

    def _stream_of(self, descriptor_uid: str) -> str:
        for doc in self.get_event_descriptors():
            if doc["uid"] == descriptor_uid:
                return str(doc.get("name", "primary"))
        raise NoSuchDocument(f"the run has no descriptor {descriptor_uid!r}")

    def _kept(self, stream: str, descriptor_uid: str) -> _Events | None:
        """The events of a stream that are all there will be, or of which those of other descriptors were wanted."""
        found = self._events.get(stream)
        if found is None or not (found.are_all or self._is_of_now(found, descriptor_uid)):
            return None
        self._events.move_to_end(stream)
        return found

    def _is_of_now(self, events: _Events, descriptor_uid: str) -> bool:
        # One who reads a stream asks for one descriptor after the other, and for each of them once.
        fresh = events.around is self._last and events.around.holds
        return fresh and descriptor_uid in events.pages and descriptor_uid not in events.given

    def _fetched(self, stream: str) -> _Events:
        with self._lock:
            # Whether the run has ended is known before its events are asked for.
            around = self.around()
            uids = [doc["uid"] for doc in around.descriptors if str(doc.get("name", "primary")) == stream]
            pairs: Pairs = []
            size, is_cut = 0, False
            for at in range(0, max(1, len(uids)), _AT_ONCE):
                some = [("descriptor", uid) for uid in uids[at : at + _AT_ONCE]]
                # How the columns lie is told after all events, so that no row is missing in them.
                last = at + _AT_ONCE >= len(uids)
                more: list[tuple[str, str | int]] = [("columns", "true" if last else "false")]
                if around.stop is not None:
                    more += [("most", max(1, _KEPT_BYTES - size)), *([("limit", 0)] if is_cut else [])]
                found_here, bytes_here = self._ask("events", *some, *more)
                pairs += found_here
                size += bytes_here
                is_cut = is_cut or (around.stop is not None and size >= _KEPT_BYTES)
            pages: dict[str, list[Doc]] = {uid: [] for uid in uids}
            columns: dict[str, Doc] = {}
            for name, doc in pairs:
                if name == "event_page":
                    pages[doc["descriptor"]].append(doc)
                elif name == "column":
                    columns[doc["key"]] = doc
            # What is larger may be whole all the same, from a service that tells all at once.
            is_cut = is_cut and any(sum(map(page_size, pages[uid])) < around.counts.get(uid, 0) for uid in uids)
            found = _Events(pages, columns, size, around, is_cut)
            # The first of many are for who asks now; who asks again is told them anew.
            self._events[stream] = _Events({}, columns, 0, around, True) if is_cut else found
            self._events.move_to_end(stream)
            while len(self._events) > 1 and sum(one.size for one in self._events.values()) > _KEPT_BYTES:
                self._events.popitem(last=False)
            return found

    # -- what lies in files ------------------------------------------------------------------------------------------

    def get_column(self, descriptor_uid: str, key: str) -> LazyArray | None:
        """The external values of the events of a descriptor, which the server reads."""
        stream = self._stream_of(descriptor_uid)
        with self._lock:
            # While the run goes on, those that were read a moment ago are those that a column is wanted for.
            events = self._events.get(stream)
            if events is None or (not events.are_all and self.around().stop is not None):
                events = self._fetched(stream)
        told = events.columns.get(key)
        if told is None or descriptor_uid not in told["rows"]:
            return None
        start = 0
        for uid, rows in told["rows"].items():
            if uid == descriptor_uid:
                break
            start += rows
        count = told["rows"][descriptor_uid]
        each = None
        if not told["streamed"]:
            # More may have come between the events and what was told of the column.
            if not events.is_cut:
                count = min(count, sum(map(page_size, events.pages[descriptor_uid])))
            each = _Each(self, descriptor_uid, key)
        path = (*self._path, stream, key)
        return RemoteColumn(self._server, path, _structure(told), start, count, each, self._revision)

    def values(self, descriptor_uid: str, key: str) -> list[np.ndarray]:
        """The external values of the events of a descriptor, one by one."""
        pairs, _ = self._ask("values", ("descriptor", descriptor_uid), ("key", key))
        return [value for _, value in pairs]

    # -- datums ----------------------------------------------------------------------------------------------------

    def get_datum_pages(self, resource_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        """The datums of a resource; those of all that the run lists are asked for together."""
        with self._lock:
            known = self._all_datums()
            if resource_uid not in known:
                known[resource_uid] = self._looked_up(("resource", resource_uid))
            pages = known[resource_uid]
        return slice_pages(pages, skip, limit) if skip or limit is not None else pages

    def _all_datums(self) -> dict[str, list[Doc]]:
        around = self.around()
        if self._datums is None or time.monotonic() - self._datums[0] > (_FRESH if around.stop is None else 0):
            known: dict[str, list[Doc]] = {}
            if around.resources:
                for name, doc in self._ask("datums")[0]:
                    if name == "resource":
                        known[doc["uid"]] = []
                    else:
                        known[doc["resource"]].append(doc)
            # What was told before the run ended may lack what came after.
            self._datums = (time.monotonic() if around.stop is None else float("inf"), known)
        return self._datums[1]

    def _looked_up(self, asked: tuple[str, str]) -> list[Doc]:
        """The datum pages of a resource that the run does not list."""
        try:
            pairs, _ = self._ask("datums", asked)
        except NotFound as error:
            raise NoSuchDocument(str(error)) from error
        for name, doc in pairs:
            if name == "resource":
                self._found[doc["uid"]] = doc
        return [doc for name, doc in pairs if name == "datum_page"]

    def get_resource(self, uid: str) -> Doc:
        """A resource, one that the run does not list as well."""
        for doc in self.get_resources():
            if doc["uid"] == uid:
                return doc
        with self._lock:
            if uid not in self._found:
                pages = self._looked_up(("resource", uid))
                self._all_datums().setdefault(uid, pages)
            return self._found[uid]

    def lookup_resource_for_datum(self, datum_id: str) -> str:
        """The uid of the resource that a datum belongs to."""
        with self._lock:
            known = self._all_datums()
            for uid, pages in known.items():
                if any(datum_id in page["datum_id"] for page in pages):
                    return uid
            pages = self._looked_up(("datum", datum_id))
            if not pages:
                raise NoSuchDocument(f"the run has no datum {datum_id!r}")
            uid = str(pages[0]["resource"])
            known.setdefault(uid, pages)
            return uid


@dataclass(frozen=True)
class _Each:
    """Asks for values one by one; it pickles."""

    run: RunInParts
    descriptor_uid: str
    key: str

    def __call__(self) -> list[np.ndarray]:
        return self.run.values(self.descriptor_uid, self.key)


def _structure(told: Doc) -> ArrayStructure | DatabrokerError:
    if told["structure"] is not None:
        return ArrayStructure.from_json(told["structure"])
    name, message = told["error"]
    # What is raised here when a handler is missing is also the error of event-model that people catch.
    kind = import_path(_NO_HANDLER) if name == "NoSuchHandler" else getattr(errors, name, None)
    known = isinstance(kind, type) and issubclass(kind, DatabrokerError)
    return kind(message) if known and kind is not None else Invalid(message)
