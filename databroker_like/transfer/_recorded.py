"""A run exactly as it was recorded: no transform, no filling, in pages of a size that travels well."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from databroker_like.core._columns import each_value, page_size, slice_page
from databroker_like.core._documents import run_documents
from databroker_like.core._filler import filler_getter
from databroker_like.core._header import Header
from databroker_like.core._pages import concat_event_pages
from databroker_like.core._revision import DocumentKey, Revision
from databroker_like.core._run import BlueskyRun
from databroker_like.core._source import RunSource
from databroker_like.errors import Invalid, WrongType

if TYPE_CHECKING:
    from databroker_like.v2 import Broker

__all__ = ["Origin", "Recorded", "amendments", "origins", "recorded_in", "unreadable"]

Doc = Mapping[str, Any]
Pair = tuple[str, Any]

#: A page has at most so many events, and of large events so few that it has about so many bytes.
MOST_ROWS = 1000
MOST_BYTES = 1 << 23


def recorded_in(catalog: Broker, uid: str, revision: int | None = 0) -> RunSource:
    """The source of a run of a catalog as it was recorded, or at a later revision.

    Parameters
    ----------
    catalog : Broker
    uid : str
    revision : int or None
        0, what was recorded, by default; None is the current one.

    Returns
    -------
    RunSource
    """
    # What is moved is never filled through this; files are looked for through the run that the catalog opens.
    get_filler = filler_getter("event_model.Filler", {}, {})
    if revision is None:
        return catalog.collection.source(uid, get_filler)
    return catalog.collection.source_at(uid, get_filler, revision)


class Recorded:
    """The documents of one run, as they were recorded.

    Parameters
    ----------
    source : RunSource
    """

    def __init__(self, source: RunSource) -> None:
        self.source = source
        self._header = Header(source, {})

    @property
    def start(self) -> Doc:
        """The start document."""
        return self._header.start

    @property
    def stop(self) -> Doc | None:
        """The stop document; None while the run goes on, or when it was cut off."""
        return self._header.stop

    @property
    def descriptors(self) -> list[Any]:
        """The descriptors there are."""
        return self._header.descriptors

    @property
    def resources(self) -> list[Any]:
        """The resources that the run lists."""
        return list(self.source.get_resources())

    def external(self) -> list[Pair]:
        """The resources and stream resources, by which external files are found.

        Returns
        -------
        list of (name, document)
        """
        found = [("resource", doc) for doc in self.resources]
        if not found and any(_in_files(key) for doc in self.descriptors for key in doc.get("data_keys", {}).values()):
            # Old ones name no run, and no listing of the run has them: its events lead to them.
            found = [pair for pair in self.documents() if pair[0] == "resource"]
        return [*found, *(("stream_resource", doc) for doc in self.source.get_stream_resources())]

    def documents(self) -> Iterator[Pair]:
        """All documents, events and datums in pages.

        Yields
        ------
        (name, document)
        """
        pairs = run_documents(self._header, "no", False)
        for owner, group in groupby(pairs, key=lambda pair: pair[1]["descriptor"] if pair[0] == "event_page" else None):
            if owner is None:
                yield from group
            else:
                for page in well_sized(page for _, page in group):
                    yield "event_page", page


def _in_files(data_key: Mapping[str, Any]) -> bool:
    external = data_key.get("external")
    return bool(external) and not str(external).startswith("STREAM:")


def well_sized(pages: Iterable[Doc], most_rows: int = MOST_ROWS, most_bytes: int = MOST_BYTES) -> Iterator[Doc]:
    """The same events in pages neither too small nor too large.

    Parameters
    ----------
    pages : iterable of event pages
        Of one descriptor.
    most_rows, most_bytes : int

    Yields
    ------
    event page

    Examples
    --------
    >>> page = {"uid": ["a", "b", "c"], "time": [0.0, 1.0, 2.0], "seq_num": [1, 2, 3], "descriptor": "d",
    ...         "data": {"x": [1, 2, 3]}, "timestamps": {"x": [0.0, 1.0, 2.0]}, "filled": {}}
    >>> [page["uid"] for page in well_sized([page, page], most_rows=4)]
    [['a', 'b', 'c', 'a'], ['b', 'c']]
    """
    gathered: list[Doc] = []
    rows, most, shape = 0, most_rows, None
    for page in pages:
        size = page_size(page)
        if not size:
            continue
        per_row = max(1, _bytes_of_a_row(page))
        fit = max(1, min(most_rows, most_bytes // per_row))
        if gathered and (_shape(page) != shape or fit != most):
            yield _joined(gathered)
            gathered, rows = [], 0
        shape, most = _shape(page), fit
        begin = 0
        while begin < size:
            end = min(size, begin + most - rows)
            gathered.append(page if end - begin == size else slice_page(page, begin, end))
            rows += end - begin
            begin = end
            if rows == most:
                yield _joined(gathered)
                gathered, rows = [], 0
    if gathered:
        yield _joined(gathered)


def _joined(pages: list[Doc]) -> Doc:
    return pages[0] if len(pages) == 1 else concat_event_pages(pages)


def _shape(page: Doc) -> tuple[Any, ...]:
    return tuple((part, tuple(sorted(page.get(part) or {}))) for part in ("data", "timestamps", "filled"))


def _bytes_of_a_row(page: Doc) -> int:
    return sum(_bytes(next(iter(each_value(column)), None)) for column in page["data"].values()) // 64 * 64


def _bytes(value: Any) -> int:
    size = getattr(value, "nbytes", None)
    if isinstance(size, int):
        return size
    if isinstance(value, list | tuple):
        return len(value) * (_bytes(value[0]) if value else 0)
    return len(value) if isinstance(value, str | bytes) else 8


@dataclass(frozen=True)
class Origin:
    """A run to be moved: opened only when it is its turn.

    Parameters
    ----------
    uid : str
    recorded : callable
        ``() -> Recorded``.
    run : callable
        ``() -> BlueskyRun``, by which its external files are found.
    amended : callable
        ``() -> int``: how often its metadata was amended.
    history : callable
        ``() -> list of (Revision, dict)``: each time it was, with the documents that took the place of others.
    """

    uid: str
    recorded: Callable[[], Recorded]
    run: Callable[[], BlueskyRun]
    amended: Callable[[], int]
    history: Callable[[], list[tuple[Revision, Mapping[DocumentKey, Doc]]]] = list


def origins(source: Any, query: Any = None, revision: int | None = 0) -> list[Origin]:
    """The runs that are meant by what somebody hands in.

    Parameters
    ----------
    source : Broker, BlueskyRun, or iterable of BlueskyRun
    query : dict or query, optional
        Only those runs of a catalog that match.
    revision : int or None
        Which revision of each; 0, what was recorded, by default.

    Returns
    -------
    list of Origin
        Oldest first, of a catalog; of runs, in their order.

    Raises
    ------
    WrongType
        When it is none of these.
    Invalid
        When runs are handed in one by one, and a query.
    """
    if isinstance(source, BlueskyRun):
        source = [source]
    if isinstance(source, str | os.PathLike):
        raise WrongType(
            f"runs are taken from a catalog, and {source!r} is a path; open what is there first, such as a store with "
            f"BlueskyEmbeddedCatalog({os.fspath(source)!r})"
        )
    catalog = None if isinstance(source, list | tuple) else getattr(source, "v2", None)
    if catalog is not None:
        found = catalog if query is None else catalog.search(query)
        return [_of_catalog(found, uid, revision) for uid in found]
    if query is not None:
        raise Invalid("a query chooses among the runs of a catalog; hand in the catalog, or leave the query out")
    try:
        runs = list(source)
    except TypeError:
        runs = [source]
    for run in runs:
        if not isinstance(run, BlueskyRun):
            raise WrongType(f"a catalog, a run, or a list of runs can be moved; {run!r} is none of them")
    return [_of_run(run, revision) for run in runs]


def _of_catalog(catalog: Broker, uid: str, revision: int | None, run: BlueskyRun | None = None) -> Origin:
    return Origin(
        uid,
        lambda: Recorded(recorded_in(catalog, uid, revision)),
        lambda: catalog[uid] if run is None else run,
        lambda: len(catalog.collection.revisions(uid)),
        lambda: catalog.collection.history(uid),
    )


def _of_run(run: BlueskyRun, revision: int | None) -> Origin:
    uid = run.source.get_run_start()["uid"]
    catalog: Any = getattr(run, "catalog_object", None)
    if hasattr(catalog, "collection") and catalog.collection.has(uid):
        return _of_catalog(catalog, uid, revision, run)
    meant = run if revision is None else run.at_revision(revision)
    return Origin(uid, lambda: Recorded(meant.source), lambda: run, lambda: len(run.revisions))


def amendments(origin: Origin, revision: int | None) -> list[str]:
    """What of a run is not moved, because only what was recorded is."""
    if revision is None or not origin.amended():
        return []
    return [
        f"run {origin.uid} was amended {origin.amended()} times and is moved as revision {revision} of it; "
        "revision=None moves it as it is now"
    ]


def unreadable(source: Any) -> list[str]:
    """What of a catalog holds runs and cannot be read, and why.

    Parameters
    ----------
    source : Broker, BlueskyRun, or list of BlueskyRun

    Returns
    -------
    list of str
    """
    catalog = None if isinstance(source, list | tuple | BlueskyRun) else getattr(source, "v2", None)
    return [] if catalog is None else [f"{what} could not be read: {why}" for what, why in catalog.problems.items()]
