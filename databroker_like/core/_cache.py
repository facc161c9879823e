"""Runs made of documents as they come: collected in memory, readable from the first one on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import event_model

from databroker_like.core._filler import filler_getter
from databroker_like.core._handlers import HandlerRegistry, HandlerRegistryView
from databroker_like.core._pages import pack_datum_page, pack_event_page, page_size, scalars, slice_page, slice_pages
from databroker_like.core._run import BlueskyRun
from databroker_like.core._source import RunSource
from databroker_like.core._transforms import parse_transforms
from databroker_like.errors import Conflict, InvalidDocument, NoSuchDocument

__all__ = ["BlueskyRunFromGenerator", "DocumentCache", "SingleRunCache"]

Doc = Mapping[str, Any]

_GROUPS = ("data", "timestamps", "filled")


class _Growing:
    """The events of one descriptor, or the datums of one resource, as columns that grow; some pages of them.

    A new page is begun where the keys of an event differ from those before it, as event-model allows for ``filled``.
    """

    def __init__(self, columns: tuple[str, ...], groups: tuple[str, ...]) -> None:
        self._columns = columns
        self._groups = groups
        self._pages: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.length = 0

    def add(self, page: Doc) -> None:
        """Append the rows of a page."""
        rows = page_size(page)
        if not rows:
            return
        shape = tuple(tuple(page.get(group, {})) for group in self._groups)
        if not self._pages or self._pages[-1][0] != shape:
            begun = {name: value for name, value in page.items() if name not in (*self._columns, *self._groups)}
            begun.update({name: [] for name in self._columns})
            begun.update({group: {key: [] for key in page.get(group, {})} for group in self._groups})
            self._pages.append((shape, begun))
        last = self._pages[-1][1]
        for name in self._columns:
            last[name].extend(scalars(page[name]))
        for group in self._groups:
            for key, column in last[group].items():
                column.extend(scalars(page[group][key]))
        self.length += rows

    def pages(self) -> Iterator[dict[str, Any]]:
        """What there is now; rows that come later do not show in these pages."""
        for _, page in list(self._pages):
            yield dict(slice_page(page, 0, page_size(page)))


class DocumentCache(event_model.DocumentRouter):
    """Collects the documents of one run, in columns, and gives them out as a `RunSource` does.

    Examples
    --------
    >>> cache = DocumentCache()
    >>> cache("start", {"uid": "a", "time": 0.0})[0]
    'start'
    >>> cache.start_doc["uid"]
    'a'
    """

    def __init__(self) -> None:
        super().__init__()
        self.start_doc: Doc | None = None
        self.stop_doc: Doc | None = None
        self.descriptors: dict[str, Doc] = {}
        self.resources: dict[str, Doc] = {}
        self.stream_resources: dict[str, Doc] = {}
        self.resource_uid_by_datum_id: dict[str, str] = {}
        self._events: dict[str, _Growing] = {}
        self._datums: dict[str, _Growing] = {}
        self._stream_datums: dict[str, dict[str, Doc]] = {}

    # -- documents in ------------------------------------------------------------------------------------------

    def start(self, doc: Doc) -> None:
        """Take the start document."""
        if self.start_doc is not None and self.start_doc["uid"] != doc["uid"]:
            raise InvalidDocument(
                f"the start document {doc['uid']!r} has come to the documents of run {self.start_doc['uid']!r}; "
                "one cache holds one run"
            )
        self.start_doc = doc

    def stop(self, doc: Doc) -> None:
        """Take the stop document."""
        self.stop_doc = doc

    def descriptor(self, doc: Doc) -> None:
        """Take a descriptor."""
        self.descriptors[doc["uid"]] = doc

    def resource(self, doc: Doc) -> None:
        """Take a resource."""
        self.resources[doc["uid"]] = doc

    def event(self, doc: Doc) -> None:  # type: ignore[override]
        """Take an event."""
        self.event_page(pack_event_page(doc))

    def event_page(self, doc: Doc) -> None:  # type: ignore[override]
        """Take a page of events."""
        if doc["descriptor"] not in self._events:
            self._events[doc["descriptor"]] = _Growing(("uid", "time", "seq_num"), _GROUPS)
        self._events[doc["descriptor"]].add(doc)

    def datum(self, doc: Doc) -> None:  # type: ignore[override]
        """Take a datum."""
        self.datum_page(pack_datum_page(doc))

    def datum_page(self, doc: Doc) -> None:
        """Take a page of datums."""
        resource = doc["resource"]
        if resource not in self._datums:
            self._datums[resource] = _Growing(("datum_id",), ("datum_kwargs",))
        self._datums[resource].add(doc)
        self.resource_uid_by_datum_id.update(dict.fromkeys(scalars(doc["datum_id"]), resource))

    def stream_resource(self, doc: Doc) -> None:
        """Take a resource of a stream of data."""
        self.stream_resources[doc["uid"]] = doc

    def stream_datum(self, doc: Doc) -> None:
        """Take a datum of a stream of data."""
        self._stream_datums.setdefault(doc["stream_resource"], {})[doc["uid"]] = doc

    # -- documents out -----------------------------------------------------------------------------------------

    @property
    def event_pages(self) -> dict[str, list[dict[str, Any]]]:
        """Descriptor uid -> its event pages."""
        return {uid: list(events.pages()) for uid, events in self._events.items()}

    @property
    def datum_pages_by_resource(self) -> dict[str, list[dict[str, Any]]]:
        """Resource uid -> its datum pages."""
        return {uid: list(datums.pages()) for uid, datums in self._datums.items()}

    def source(self, get_filler: Callable[..., Any]) -> RunSource:
        """The getters of the run, which show what comes later too.

        Parameters
        ----------
        get_filler : callable

        Returns
        -------
        RunSource
        """
        return RunSource(
            get_run_start=self._get_run_start,
            get_run_stop=self._get_run_stop,
            get_event_descriptors=self._get_event_descriptors,
            get_event_pages=self._get_event_pages,
            get_event_count=self._get_event_count,
            get_resource=self._get_resource,
            get_resources=self._get_resources,
            lookup_resource_for_datum=self._lookup_resource_for_datum,
            get_datum_pages=self._get_datum_pages,
            get_filler=get_filler,
            get_stream_resources=self._get_stream_resources,
            get_stream_datums=self._get_stream_datums,
        )

    def _get_run_start(self) -> Doc:
        if self.start_doc is None:
            raise NoSuchDocument("no start document has come; a run begins with one")
        return self.start_doc

    def _get_run_stop(self) -> Doc | None:
        return self.stop_doc

    def _get_event_descriptors(self) -> list[Doc]:
        return list(self.descriptors.values())

    def _get_event_pages(self, descriptor_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        events = self._events.get(descriptor_uid)
        return iter(()) if events is None else slice_pages(events.pages(), skip, limit)

    def _get_event_count(self, descriptor_uid: str) -> int:
        events = self._events.get(descriptor_uid)
        return 0 if events is None else events.length

    def _get_resource(self, uid: str) -> Doc:
        try:
            return self.resources[uid]
        except KeyError:
            raise NoSuchDocument(f"the run has no resource {uid!r}") from None

    def _get_resources(self) -> list[Doc]:
        return list(self.resources.values())

    def _lookup_resource_for_datum(self, datum_id: str) -> str:
        try:
            return self.resource_uid_by_datum_id[datum_id]
        except KeyError:
            raise NoSuchDocument(f"the run has no datum {datum_id!r}") from None

    def _get_datum_pages(self, resource_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        datums = self._datums.get(resource_uid)
        return iter(()) if datums is None else slice_pages(datums.pages(), skip, limit)

    def _get_stream_resources(self) -> list[Doc]:
        return list(self.stream_resources.values())

    def _get_stream_datums(self, stream_resource_uid: str) -> list[Doc]:
        return list(self._stream_datums.get(stream_resource_uid, {}).values())


class BlueskyRunFromGenerator(BlueskyRun):
    """The run whose documents a function yields.

    Parameters
    ----------
    gen_func : callable
        ``gen_func(*gen_args, **gen_kwargs)`` yields (name, document) of one run.
    gen_args : tuple
    gen_kwargs : dict
    get_filler : callable
    transforms : dict, optional
    **kwargs
        What every intake catalog takes.

    Raises
    ------
    InvalidDocument
        When there is no start document among them.
    """

    def __init__(
        self,
        gen_func: Callable[..., Iterable[tuple[str, Doc]]],
        gen_args: Iterable[Any],
        gen_kwargs: Mapping[str, Any],
        get_filler: Callable[..., Any],
        transforms: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        cache = DocumentCache()
        for name, doc in gen_func(*gen_args, **gen_kwargs):
            cache(name, dict(doc))
        if cache.start_doc is None:
            named = getattr(gen_func, "__qualname__", repr(gen_func))
            raise InvalidDocument(f"{named} yielded no start document; a run begins with one")
        super().__init__(source=cache.source(get_filler), transforms=transforms, **kwargs)

    def __reduce__(self) -> Any:
        # The function is most often a closure; its documents are at hand.
        kept = {k: v for k, v in self._captured_init_kwargs.items() if k in ("name", "description", "metadata")}
        return _from_source, (self.source, self._header.transforms, kept)


def _from_source(source: RunSource, transforms: Mapping[str, Any], kwargs: Mapping[str, Any]) -> BlueskyRun:
    return BlueskyRun.from_source(source, transforms=transforms, **kwargs)


class SingleRunCache:
    """Collects the documents of one run and gives them out as a `BlueskyRun`, from the first document on.

    Parameters
    ----------
    handler_registry : dict, optional
        spec -> handler class, or its dotted path; by default those that are installed.
    root_map : dict, optional
        Recorded root -> where the files are now.
    filler_class : type, callable or str
        ``event_model.Filler`` by default.
    transforms : dict, optional
        As for `BlueskyRun`.

    Examples
    --------
    >>> cache = SingleRunCache()
    >>> cache.retrieve() is None
    True
    >>> cache.callback("start", {"uid": "41fb8ca9", "time": 0.0})
    >>> cache.retrieve()
    <BlueskyRun uid='41fb8ca9'>

    In a plan::

        cache = SingleRunCache()

        @bluesky.preprocessors.subs_decorator(cache.callback)
        def scan_and_look():
            yield from bluesky.plans.rel_scan(...)
            table = cache.retrieve().primary.read()
    """

    def __init__(
        self,
        *,
        handler_registry: Mapping[str, Any] | None = None,
        root_map: Mapping[str, str] | None = None,
        filler_class: Any = event_model.Filler,
        transforms: Mapping[str, Any] | None = None,
    ) -> None:
        self._handlers = HandlerRegistry(handler_registry)
        self._root_map = root_map if root_map is not None else {}
        self._transforms = parse_transforms(transforms)
        self._get_filler = filler_getter(filler_class, self._handlers, self._root_map)
        self._cache = DocumentCache()
        self._run: BlueskyRun | None = None

    @property
    def handler_registry(self) -> HandlerRegistryView:
        """Spec -> handler class, as a view."""
        return self._handlers.view

    def callback(self, name: str, doc: Doc) -> None:
        """Take a document; what to subscribe.

        Parameters
        ----------
        name : str
        doc : mapping

        Raises
        ------
        Conflict
            When the run has ended: one of these holds one run.
        """
        if self._cache.stop_doc is not None:
            raise Conflict(
                "the 'stop' document has come already, and this holds one run only; make another SingleRunCache"
            )
        self._cache(name, dict(doc))

    def retrieve(self) -> BlueskyRun | None:
        """The run, complete or still going on; None before its first document.

        Returns
        -------
        BlueskyRun or None
            The same one each time; it shows what has come since.
        """
        if self._run is None and self._cache.start_doc is not None:
            source = self._cache.source(self._get_filler)
            uid = self._cache.start_doc["uid"]
            self._run = BlueskyRun.from_source(source, transforms=self._transforms, name=uid)
        return self._run

    def __repr__(self) -> str:
        if self._cache.stop_doc is None:
            return f"<{type(self).__name__} in progress>"
        return f"<{type(self).__name__} uid={self._cache.stop_doc['run_start']!r}>"
