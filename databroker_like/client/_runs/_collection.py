"""The runs in a container on a server, found by its filters and finished here."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from databroker_like import queries as q
from databroker_like.client._finding._filters import filters_of, parameters
from databroker_like.client._finding._paging import pages
from databroker_like.client._runs._queries import meant_by, narrowed
from databroker_like.client._runs._run import RemoteRun, told_version
from databroker_like.client._runs._server import Server, server_at
from databroker_like.core._collection import Head, RunCollection, check_revision
from databroker_like.core._corrections import Corrections
from databroker_like.core._filler import filler_getter
from databroker_like.core._revision import Revision
from databroker_like.core._source import RunSource
from databroker_like.errors import Invalid, NoSuchRun, NotFound, NotOffered, ServiceFailed, listed
from databroker_like.queries import Everything, Node

__all__ = ["RemoteRuns", "remote_source", "source_and_revisions"]

Doc = Mapping[str, Any]
Item = dict[str, Any]

_PAGE = 300
#: What a listing told a moment ago is not asked again, by the one who looked it up there.
_FRESH = 1.0
_SEEN = 1000
_RUNS = parameters(filters_of(q.SpecsQuery(("BlueskyRun",))))
_CATALOGS = parameters(filters_of(q.SpecsQuery(("CatalogOfBlueskyRuns",))))
_FIELDS = [("fields", "metadata"), ("fields", "specs"), ("fields", "structure_family")]


class RemoteRuns(RunCollection):
    """The runs in a container on a server of the Tiled protocol.

    Parameters
    ----------
    server : Server
    path : tuple of str
        Of the container.
    """

    def __init__(self, server: Server, path: tuple[str, ...]) -> None:
        self._server = server
        self._path = path
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, tuple[float, Item]] = OrderedDict()
        self._last: tuple[str, Item] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_server": self._server, "_path": self._path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def url(self, uid: str) -> str:
        """The address of a run's node."""
        return self._server.url("metadata", (*self._path, uid))

    # -- what is asked -----------------------------------------------------------------------------------------------

    @property
    def _is_ours(self) -> bool:
        """Whether the server means by its filters what we mean."""
        return "+databroker.like" in self._server.context.server_info.library_version

    def _asked(self, query: Node) -> tuple[list[tuple[str, str]], bool]:
        """Filters, and whether what they leave is all and nothing but what a query means."""
        if isinstance(query, Everything):
            return [*_RUNS], True
        found = narrowed(query, is_ours=self._is_ours)
        return [*_RUNS, *found.parameters], found.is_all

    def _items(
        self, query: Node, newest_first: bool, skip: int, limit: int | None
    ) -> Iterator[tuple[str, Doc, Doc | None]]:
        asked, is_all = self._asked(query)
        matches = None if is_all else meant_by(query)
        found = self._pages(asked, newest_first, skip if is_all else 0, limit if is_all else None)
        heads = ((item["id"], *_documents(item)) for item in found)
        if matches is not None:
            return islice(
                (head for head in heads if matches(head[1], head[2])), skip, None if limit is None else skip + limit
            )
        return islice(heads, limit)

    def _pages(self, asked: list[tuple[str, str]], newest_first: bool, skip: int, limit: int | None) -> Iterator[Item]:
        """The nodes that filters leave, by time, page by page as they are taken."""
        if limit is not None and limit <= 0:
            return
        sign = "-" if newest_first else ""
        size = _PAGE if limit is None else min(limit, _PAGE)
        params: list[tuple[str, str | int]] = [*asked, *_FIELDS, ("sort", f"{sign}start.time"), ("page[limit]", size)]
        if skip:
            params.append(("page[offset]", skip))
        url: str | None = self._server.url("search", self._path)
        while url is not None:
            page = self._get(url, params)
            if not page["data"] and asked == _RUNS and not skip:
                self._look_elsewhere()
            for item in page["data"]:
                self._remember(item)
                yield item
            following = (page.get("links") or {}).get("next")
            if following == url:
                raise ServiceFailed(f"the page after {url} is that page again")
            url, params = following, []

    def _look_elsewhere(self) -> None:
        """Say where the runs are when there are none here."""
        server, path = self._server, self._path
        where = f"the node {'/'.join(path)!r}" if path else "the root"
        if path and _is_run(server.context.get_item(path)):
            raise Invalid(f"{where} at {server.api_uri} is a run itself: open it with RemoteBlueskyRun(url)")
        params = [*_CATALOGS, *_FIELDS, ("page[limit]", 10)]
        found = [item["id"] for item in self._get(server.url("search", path), params)["data"]]
        if found:
            raise Invalid(
                f"{where} at {server.api_uri} has no runs, but catalogs of runs: {listed(found)}; the url of one is "
                f"{server.url('metadata', (*path, found[0]))}"
            )

    def _get(self, url: str, params: Any) -> Any:
        try:
            return self._server.context.get_json(url, params)
        except NotFound as error:
            where = "/".join(self._path) or "the root"
            raise NotFound(f"there is no container {where!r} at {self._server.api_uri}: {error}") from error

    def _remember(self, item: Item, when: float | None = None) -> None:
        with self._lock:
            self._seen[item["id"]] = (time.monotonic() if when is None else when, item)
            if self._last is not None and self._last[0] == item["id"]:
                self._last = (item["id"], item)
            self._seen.move_to_end(item["id"])
            while len(self._seen) > _SEEN:
                self._seen.popitem(last=False)

    def _item(self, uid: str) -> Item:
        """What the server says of a run."""
        return self._told(uid)[1]

    def _told(self, uid: str) -> tuple[float, Item]:
        """What the server says of a run, and when it said so."""
        with self._lock:
            seen = self._seen.pop(uid, None)
        if seen is not None and time.monotonic() - seen[0] < _FRESH:
            when, item = seen
        else:
            when = time.monotonic()
            if not isinstance(uid, str) or not uid.strip():
                raise NoSuchRun(f"no run has the uid {uid!r}")
            try:
                item = self._server.context.get_item((*self._path, uid))
            except NotFound as error:
                raise NoSuchRun(str(error)) from error
            if not _is_run(item):
                raise NoSuchRun(f"{uid!r} at {self._server.api_uri} is a node, and no run")
        self._last = (uid, item)
        return when, item

    # -- what a catalog asks -------------------------------------------------------------------------------------------

    def starts(self) -> Mapping[str, Doc]:
        """The start documents of all runs, oldest first."""
        return {uid: start for uid, start, _ in self.heads()}

    def find(
        self, query: Node = Everything(), *, newest_first: bool = False, skip: int = 0, limit: int | None = None
    ) -> Iterator[str]:
        """The uids of the runs that match, by time."""
        return (uid for uid, _, _ in self._items(query, newest_first, skip, limit))

    def heads(
        self, query: Node = Everything(), *, newest_first: bool = False, skip: int = 0, limit: int | None = None
    ) -> Iterator[Head]:
        """The uid, start and stop documents of the runs that match, by time; 300 to a request."""
        return self._items(query, newest_first, skip, limit)

    def count(self, query: Node = Everything()) -> int:
        """How many runs match; counted by the server where it can tell."""
        asked, is_all = self._asked(query)
        if not is_all:
            return sum(1 for _ in self._items(query, False, 0, None))
        page = self._get(self._server.url("search", self._path), [*asked, ("fields", "count"), ("page[limit]", 1)])
        return int(page["meta"]["count"])

    def distinct(self, key: str, query: Node = Everything()) -> list[tuple[Any, int]]:
        """The different values at a key, each with how many runs have it."""
        if not isinstance(key, str) or not self._is_ours:
            return super().distinct(key, query)
        asked, is_all = self._asked(query)
        if not is_all or not key or (key.partition(".")[0] == "stop" and "." not in key):
            return super().distinct(key, query)
        name = key if key.partition(".")[0] == "stop" else f"start.{key}"
        url = self._server.url("distinct", self._path)
        told = self._get(url, [("metadata", name), ("counts", "true"), *asked])
        return [(one["value"], one["count"]) for one in told["metadata"][name]]

    def matches(self, uid: str, query: Node) -> bool:
        """Whether there is a run of this full uid, and it matches."""
        try:
            when, item = self._told(uid)
        except NotFound:
            return False
        # It grows old as before, or who asks again and again would never be told anything else.
        self._remember(item, when)
        return isinstance(query, Everything) or meant_by(query)(*_documents(item))

    def has(self, uid: str) -> bool:
        """Whether there is a run of this full uid."""
        return self.matches(uid, Everything())

    def start(self, uid: str) -> Doc:
        """The start document of a run."""
        return _documents(self._item(uid))[0]

    def stop(self, uid: str) -> Doc | None:
        """The stop document of a run, or None."""
        return _documents(self._item(uid))[1]

    def version(self, uid: str) -> Any:
        """The stop document as text, and what the server tells of its version; None without a stop document.

        It is what was found with the start document a moment ago.
        """
        item = self._known(uid)
        stop = None if item is None else _documents(item)[1]
        return None if stop is None else (repr(stop), told_version(item))

    def source(self, uid: str, get_filler: Any) -> RunSource:
        """The source of a run; nothing is asked yet."""
        return RunSource.of(RemoteRun(self._server, (*self._path, uid), self._known(uid)), get_filler)

    def revisions(self, uid: str) -> list[Revision]:
        """Each time the run was amended, first to last; nothing where the server does not keep that."""
        if not self._is_ours:
            return []
        url = self._server.url("revisions", (*self._path, uid))
        told = pages(self._server.context, url, [("page[limit]", _PAGE)])
        return [_revision(one) for page in told for one in page["data"] if "amendment" in one["attributes"]]

    def source_at(self, uid: str, get_filler: Any, revision: int) -> RunSource:
        """The source of a run as it was, where the server keeps that; elsewhere, of one that was never changed.

        Parameters
        ----------
        uid : str
        get_filler : callable
        revision : int

        Returns
        -------
        RunSource

        Raises
        ------
        NotOffered
            When the run was changed on a server that has the nodes of runs, and not their documents: of what was
            before, it keeps metadata alone.
        OutOfRange
            When there is no such revision.
        """
        url = self._server.url("revisions", (*self._path, uid))
        page = self._get(url, [("page[limit]", 1)])
        if self._is_ours:
            number = check_revision(uid, revision, int(page["meta"]["count"]))
            return RunSource.of(RemoteRun(self._server, (*self._path, uid), revision=number), get_filler)
        if page["data"]:
            raise NotOffered(
                f"the node of run {uid} was changed, and {self._server.api_uri} keeps of what it was before its "
                "metadata alone, and no documents: from_uri(...)[...].metadata_revisions lists that"
            )
        return super().source_at(uid, get_filler, revision)

    def _known(self, uid: str) -> Item | None:
        """What a run was just found to be."""
        last = self._last
        if last is not None and last[0] == uid:
            return last[1]
        with self._lock:
            return self._seen[uid][1] if uid in self._seen else None


def remote_source(
    url: str, *, headers: Mapping[str, str] | None = None, api_key: str | None = None
) -> tuple[RunSource, Corrections | None]:
    """The source of the run at a URL, and what knows of its revisions; nothing is asked yet.

    Parameters
    ----------
    url : str
        Of the run's node on a server of the Tiled protocol.
    headers : mapping, optional
        Sent to this server alone.
    api_key : str, optional
        In the place of the one in the URL or in the environment.

    Returns
    -------
    RunSource
    Corrections or None
        None when the run is the root, which is in no container.
    """
    return source_and_revisions(*server_at(url, headers=headers, api_key=api_key))


def source_and_revisions(
    server: Server, path: tuple[str, ...], item: Item | None = None
) -> tuple[RunSource, Corrections | None]:
    """The source of the run at a path, and what knows of its revisions.

    Parameters
    ----------
    server : Server
    path : tuple of str
    item : dict, optional
        What the server was just found to say of the node.

    Returns
    -------
    RunSource
    Corrections or None
    """
    get_filler = filler_getter("event_model.Filler", {}, {})
    corrections = Corrections(RemoteRuns(server, path[:-1]), path[-1], get_filler) if path else None
    return RunSource.of(RemoteRun(server, path, item), get_filler), corrections


def _is_run(item: Item) -> bool:
    start = ((item["attributes"].get("metadata") or {}).get("start")) or {}
    return isinstance(start, Mapping) and "uid" in start


def _revision(told: Item) -> Revision:
    amendment = told["attributes"]["amendment"]
    changed = tuple((str(kind), str(uid)) for kind, uid in amendment["changed"])
    return Revision(told["revision_number"], amendment["time"], amendment["author"], amendment["reason"], changed)


def _documents(item: Item) -> tuple[Doc, Doc | None]:
    """The start and stop documents in the metadata of a node."""
    metadata = item["attributes"].get("metadata") or {}
    if not _is_run(item):
        raise Invalid(f"the node {item['id']!r} is no run: its metadata has no start document")
    return metadata["start"], metadata.get("stop") or None
