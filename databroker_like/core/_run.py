"""BlueskyRun: one run as a catalog of its streams, and as its documents."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from databroker_like.core._collection import check_revision
from databroker_like.core._corrections import Corrections
from databroker_like.core._datums import DatumTable
from databroker_like.core._document import same
from databroker_like.core._documents import check_fill, run_documents
from databroker_like.core._filler import HandlerCache, opener_of
from databroker_like.core._header import Header
from databroker_like.core._intake import CatalogBase
from databroker_like.core._persistence import NotPersisted, run_as_saved
from databroker_like.core._revision import Revision
from databroker_like.core._run_members import Fillers, Streams
from databroker_like.core._source import GETTERS, RunSource
from databroker_like.core._stream import BlueskyEventStream
from databroker_like.core._transforms import parse_transforms
from databroker_like.errors import NoSuchStream, NotOffered, WrongType, listed
from databroker_like.show._problem import shown
from databroker_like.show._run import RunSummary, run_html, run_text

__all__ = ["BlueskyRun"]


class BlueskyRun(NotPersisted, CatalogBase):
    """One run: a catalog of its streams, which are read, and a source of its documents.

    Parameters
    ----------
    get_run_start, get_run_stop, get_event_descriptors, get_event_pages, get_event_count, get_resource, \
get_resources, lookup_resource_for_datum, get_datum_pages, get_filler : callable or str
        What `RunSource` says of each; those of pages with ``skip`` and ``limit`` or without. A string is the dotted
        path of a callable, as YAML has it.
    entry : object, optional
        Passed over; databroker handed in the intake entry here.
    transforms : dict, optional
        ``"start"``, ``"stop"``, ``"resource"``, ``"descriptor"`` -> function (or its dotted path) that takes such a
        document and returns it, mended.
    get_stream_resources, get_stream_datums : callable or str, optional
        For streams of external data.
    source : RunSource, optional
        All getters in one, in their place; `from_source` is the same.
    corrections : Corrections, optional
        Where its revisions are kept; a run without is neither amended nor was.
    **kwargs
        What every intake catalog takes: ``name``, ``description``, ``metadata``, ...

    Notes
    -----
    A run may be opened while it is being recorded: its metadata, its streams and its documents are what there is at
    the time of asking.

    Examples
    --------
    >>> run = BlueskyRun(
    ...     get_run_start=lambda: {"uid": "41fb8ca9-53b7", "time": 0.0},
    ...     get_run_stop=lambda: None,
    ...     get_event_descriptors=lambda: [],
    ... )
    >>> run.metadata["start"]["uid"], list(run)
    ('41fb8ca9-53b7', [])
    """

    container = "bluesky-run"
    version = "0.0.1"
    partition_access = True
    name = "bluesky-run"
    PARTITION_SIZE = 100

    def __init__(
        self,
        get_run_start: Any = None,
        get_run_stop: Any = None,
        get_event_descriptors: Any = None,
        get_event_pages: Any = None,
        get_event_count: Any = None,
        get_resource: Any = None,
        get_resources: Any = None,
        lookup_resource_for_datum: Any = None,
        get_datum_pages: Any = None,
        get_filler: Any = None,
        entry: Any = None,
        transforms: Mapping[str, Any] | None = None,
        *,
        get_stream_resources: Any = None,
        get_stream_datums: Any = None,
        source: RunSource | None = None,
        corrections: Corrections | None = None,
        **kwargs: Any,
    ) -> None:
        if source is None:
            given = locals()
            source = RunSource.from_getters(**{name: given[name] for name in GETTERS})
        self._header = Header(source, parse_transforms(transforms), corrections)
        self._streams = Streams(self)
        self._fillers: Fillers | None = None
        self._given: dict[str, Any] = {}
        super().__init__(**kwargs)

    @classmethod
    def from_source(
        cls,
        source: RunSource,
        *,
        transforms: Mapping[str, Any] | None = None,
        head: tuple[Mapping[str, Any], Mapping[str, Any] | None] | None = None,
        **kwargs: Any,
    ) -> BlueskyRun:
        """The run of a source.

        Parameters
        ----------
        source : RunSource
        transforms : dict, optional
        head : (start document, stop document or None), optional
            What the source is known to have just now, so that it is not asked for them.
        **kwargs
            What every intake catalog takes.

        Returns
        -------
        BlueskyRun
        """
        run = cls(source=source, transforms=transforms, **kwargs)
        if head is not None:
            run._header.remember(*head)
        return run

    def _make_entries_container(self) -> Mapping[str, Any]:
        return self._streams

    def _make_stream(self, name: str) -> BlueskyEventStream:
        return BlueskyEventStream(name, header=self._header)

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def source(self) -> RunSource:
        """The getters it reads through."""
        return self._header.source

    @property
    def metadata(self) -> dict[str, Any]:
        """``start``, ``stop`` (None without one) and what was given, as ``catalog_dir``; always current."""
        if "_entries" in self.__dict__:
            # While it is being made intake looks here, and constructing reads nothing.
            self._given.update(start=self._header.start, stop=self._header.stop)
        return self._given

    @metadata.setter
    def metadata(self, value: Mapping[str, Any] | None) -> None:
        given = dict(value or {})
        given.setdefault("catalog_dir", None)
        self._given = given

    @property
    def _descriptors(self) -> list[Any]:
        return self._header.descriptors

    @property
    def npartitions(self) -> int:
        """How many partitions its documents make, `PARTITION_SIZE` to each."""
        header = self._header
        with header.one_look():
            count = 1 + len(header.descriptors) + (header.stop is not None)
            count += sum(header.source.get_event_count(doc["uid"]) for doc in header.descriptors)
        return -(-count // self.PARTITION_SIZE)

    @npartitions.setter
    def npartitions(self, value: Any) -> None:
        # intake's base class sets what it thinks of a catalog.
        return

    @property
    def fillers(self) -> Mapping[str, Any]:
        """``"yes"``, ``"no"``, ``"delayed"`` -> a filler of event-model; made when asked for."""
        if self._fillers is None:
            self._fillers = Fillers(self.source.get_filler)
        return self._fillers

    def describe(self) -> dict[str, Any]:
        """What intake shows of a source: its name, container, driver, description and metadata."""
        return {
            "name": self.name,
            "container": self.container,
            "plugin": ["bluesky-run"],
            "driver": ["bluesky-run"],
            "description": self.description or "",
            "direct_access": "forbid",
            "user_parameters": [],
            "metadata": self.metadata,
            "args": {},
        }

    def _yaml(self) -> Any:
        return run_as_saved(self)

    # -- documents -----------------------------------------------------------------------------------------------

    def documents(
        self, *, fill: str, strict_order: bool = True, revision: int | None = None
    ) -> Iterator[tuple[str, Any]]:
        """The documents of the run, each after all those that it refers to.

        Parameters
        ----------
        fill : {"yes", "no", "delayed"}
            Whether external data stands in the event pages as arrays, as the datum ids that were recorded, or as
            dask arrays.
        strict_order : bool
            Give one event to a page, in the order of their times through all streams. False gives the pages as they
            are stored, in the order of their first times. True by default.
        revision : int, optional
            As they were after so many amendments, without the transforms of the catalog: 0 gives what was recorded.
            As they are now by default.

        Returns
        -------
        iterator of (name, document)
            ``start``; ``descriptor``, ``resource``, ``datum_page``, ``stream_resource``, ``stream_datum``;
            ``event_page``; ``stop``, when there is one.

        Raises
        ------
        Invalid
            When ``fill`` is anything else.
        OutOfRange
            When there is no such revision.
        """
        check_fill(fill)
        if revision is not None:
            return self.at_revision(revision).documents(fill=fill, strict_order=strict_order)
        return run_documents(self._header, fill, strict_order)

    def canonical(self, *, fill: str, strict_order: bool = True) -> Iterator[tuple[str, Any]]:
        """What `documents` was called before."""
        warnings.warn(
            "'canonical' has been renamed: use run.documents(fill=...)", UserWarning, stacklevel=2
        )  # fmt: skip
        return self.documents(fill=fill, strict_order=strict_order)

    def read_canonical(self) -> Iterator[tuple[str, Any]]:
        """What ``documents(fill="yes")`` was called before."""
        warnings.warn("'read_canonical' has been renamed: use run.documents(fill='yes')", UserWarning, stacklevel=2)
        return self.documents(fill="yes")

    def get_file_list(self, resource: Mapping[str, Any]) -> list[str]:
        """The files of a resource, as its handler knows them.

        Parameters
        ----------
        resource : mapping
            A resource document of this run.

        Returns
        -------
        list of str

        Raises
        ------
        NotOffered
            When the handler does not tell its files.
        WrongType
            When it is no document.
        """
        if not isinstance(resource, Mapping):
            raise WrongType(
                f"{resource!r} is no resource document; the run has them as: "
                "[doc for name, doc in run.documents(fill='no') if name == 'resource']"
            )
        opener = opener_of(self.source.get_filler)
        if opener is None:
            handler = self.source.get_filler().get_handler(resource)
            return list(self._files_of(handler, resource))
        with HandlerCache(opener) as handlers:
            return list(self._files_of(handlers.handler(resource), resource))

    def _files_of(self, handler: Any, resource: Mapping[str, Any]) -> list[str]:
        get_file_list = getattr(handler, "get_file_list", None)
        if get_file_list is None:
            raise NotOffered(
                f"the handler {type(handler).__qualname__} of spec {resource.get('spec')!r} has no method "
                "'get_file_list', by which a handler tells its files"
            )
        return list(get_file_list(iter(DatumTable(self.source, self._header.transforms).keywords(resource["uid"]))))

    # -- revisions -----------------------------------------------------------------------------------------------

    @property
    def revisions(self) -> list[Revision]:
        """Each time its metadata was amended, first to last; nothing when it is as it was recorded.

        ``run.revisions[0]`` has the number 1: revision 0 is what was recorded, which nobody amended.
        """
        return [] if self._header.corrections is None else self._header.corrections.revisions()

    def at_revision(self, revision: int) -> BlueskyRun:
        """The run as it was after so many amendments; revision 0 is exactly what was recorded.

        Parameters
        ----------
        revision : int

        Returns
        -------
        BlueskyRun
            Without the transforms of the catalog, which mend what is current.

        Raises
        ------
        OutOfRange
            When there is no such revision.
        """
        if self._header.corrections is None:
            check_revision(self._header.start["uid"], revision, 0)
            source, corrections = self.source, None
        else:
            source, corrections = self._header.corrections.at(revision)
        run = BlueskyRun.from_source(source, corrections=corrections, name=self.name)
        run.cat = run.catalog_object = self.cat
        return run

    def amend(self, changes: Mapping[str, Any], *, author: str | None = None, reason: str = "") -> Revision:
        """Correct the metadata of the run for good; what it was before stays readable as an earlier revision.

        Parameters
        ----------
        changes : dict
            ``{"start": {...}, "stop": {...}, "descriptor": {uid: {...}}, "resource": {uid: {...}}}``, or some of it.
            Each is merged into the current document; None takes a key away (RFC 7396).
        author : str, optional
            Who is logged in, by default.
        reason : str
            Why; it may not be empty.

        Returns
        -------
        Revision

        Raises
        ------
        Invalid
            When nothing would change, or a uid or reference would, or there is no reason.
        InvalidDocument
            When a document would not be valid any more.
        NoSuchDocument
            When the run has no such document.
        NotOffered
            When the run is kept where revisions cannot be.
        """
        if self._header.corrections is None:
            raise NotOffered(
                f"run {self._header.start['uid']} comes from getters, not from a catalog that keeps revisions; record "
                "it into an embedded store, and amend it there"
            )
        revision = self._header.corrections.amend(changes, author=author, reason=reason)
        self._header.forget()
        self._streams.forget()
        return revision

    # -- what a run does not do ----------------------------------------------------------------------------------

    def read(self) -> Any:
        """Not offered: the streams are what is read."""
        raise NotOffered(self._read_a_stream())

    def to_dask(self) -> Any:
        """Not offered: the streams are what is read."""
        raise NotOffered(self._read_a_stream())

    def read_partition(self, i: Any) -> Any:
        """Not offered: the streams have partitions."""
        raise NotOffered(
            "a run itself has no partitions to read; run['primary'].read_partition(...) has, and "
            "run.documents(fill=...) gives all documents"
        )

    def _read_a_stream(self) -> str:
        names = self._header.stream_names
        how = f"run[{names[0]!r}].read()" if names else "run['primary'].read(), once there is such a stream"
        return f"a run itself is not read; read one of its streams ({listed(names)}), as in {how}"

    def search(self, *args: Any, **kwargs: Any) -> Any:
        """Not offered: catalogs of runs are searched."""
        raise NotOffered("a run is not searched; search the catalog it comes from: catalog.search({...})")

    # -- members and showing -------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "_header" not in self.__dict__:
            raise AttributeError(name)
        try:
            return self._streams[name]
        except NoSuchStream as error:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}, and there is {error}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self._header.stream_names if name.isidentifier())]

    def _ipython_key_completions_(self) -> list[str]:
        return self._header.stream_names

    def __repr__(self) -> str:
        return shown(lambda: f"<{type(self).__name__} uid={self._header.start['uid']!r}>", self._title)

    def _summary(self) -> RunSummary:
        header = self._header
        with header.one_look():
            start, count = header.start, header.source.get_event_count
            stop: Mapping[str, Any] = header.stop or {}
            streams = [(name, sum(count(doc["uid"]) for doc in header.of_stream(name))) for name in header.stream_names]
        return RunSummary(
            uid=start["uid"],
            scan_id=start.get("scan_id"),
            plan_name=start.get("plan_name"),
            began=start.get("time"),
            ended=stop.get("time"),
            exit_status=stop.get("exit_status", "unknown") if stop else None,
            streams=streams,
        )

    def _repr_pretty_(self, p: Any, cycle: bool) -> None:
        p.text(shown(lambda: run_text(self._summary()), self._title))

    def _repr_html_(self) -> str:
        return shown(lambda: run_html(self._summary()), self._title, as_html=True)

    @property
    def _title(self) -> str:
        return f"{type(self).__name__} {self.name!r}"

    def __dask_tokenize__(self) -> Any:
        stop, revision = self._header.stop, self._header.revision
        token = ("bluesky-run", self._header.start["uid"], None if stop is None else stop["uid"])
        return (*token, revision) if revision else token

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, BlueskyRun) and same(self._header.start, other._header.start)

    def __hash__(self) -> int:
        return hash(("bluesky-run", self._header.start["uid"]))
