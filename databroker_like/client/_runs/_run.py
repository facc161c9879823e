"""The getters of a run on any server of the Tiled protocol, by the way that the server offers."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from databroker_like.client._runs._layout import RunInLayout
from databroker_like.client._runs._parts import NotInParts, RunInParts
from databroker_like.client._runs._server import Server
from databroker_like.errors import NoSuchRun, NotFound, NotOffered
from databroker_like.files._lazy import LazyArray

__all__ = ["RemoteRun", "told_version"]

Doc = Mapping[str, Any]


def told_version(item: Mapping[str, Any] | None) -> str | None:
    """What becomes another when a finished run is changed, where the server tells it with the node.

    Parameters
    ----------
    item : mapping or None
        What the server says of the node.

    Returns
    -------
    str or None

    Examples
    --------
    >>> told_version({"id": "41fb8ca9", "meta": {"version": "5a"}}), told_version({"id": "41fb8ca9", "meta": None})
    ('5a', None)
    """
    meta = item.get("meta") if item is not None else None
    version = meta.get("version") if isinstance(meta, Mapping) else None
    return None if version is None else str(version)


class RemoteRun:
    """The getters of a run on a server; nothing is asked before one is called.

    Parameters
    ----------
    server : Server
    path : tuple of str
        Of the run's node.
    item : dict, optional
        What the server was just found to say of the node.
    revision : int, optional
        At which it is read, on a server that tells runs in parts; as it is now by default.
    """

    def __init__(
        self,
        server: Server,
        path: tuple[str, ...],
        item: dict[str, Any] | None = None,
        *,
        revision: int | None = None,
    ) -> None:
        self._server = server
        self._path = path
        self._item = item
        self._revision = revision
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._way: RunInParts | RunInLayout | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self._server, self._path, self._revision, told_version(self._item))

    @property
    def _told(self) -> RunInParts | RunInLayout:
        """The run as this server tells it: in parts, with its documents to the letter; or as nodes alone."""
        with self._lock:
            if self._way is None:
                self._way = self._found()
            return self._way

    def _found(self) -> RunInParts | RunInLayout:
        server = self._server
        if self._revision is not None:
            try:
                return self._in_parts()
            except NotInParts:
                raise NotOffered(
                    f"{server.api_uri} does not tell what run {'/'.join(self._path)!r} was at revision {self._revision}"
                ) from None
        layout = RunInLayout(server, self._path, self._item)
        if server.tells_parts is None:
            layout.look()
            if layout.has_documents:
                server.tells_parts = True
        if not server.tells_parts:
            # Of this run; others on this server may be told so.
            layout.look()
            return layout
        try:
            return self._in_parts()
        except NotInParts:
            layout.look()
            return layout

    def _in_parts(self) -> RunInParts:
        parts = RunInParts(self._server, self._path, self._revision)
        try:
            parts.around()
        except NotFound as error:
            raise NoSuchRun(str(error)) from error
        return parts

    def get_run_start(self) -> Doc:
        """As `RunSource` says of each of these."""
        return self._told.get_run_start()

    def get_run_stop(self) -> Doc | None:
        """The stop document, if there is one."""
        way = self._way
        told = self._told
        # What was asked for just now to see how the server tells runs holds the answer.
        is_new = way is None and isinstance(told, RunInParts)
        return told.get_run_stop(anew=not is_new)

    def get_event_descriptors(self) -> list[Doc]:
        """The descriptors."""
        return self._told.get_event_descriptors()

    def get_event_pages(self, descriptor_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        """The events of a descriptor."""
        return self._told.get_event_pages(descriptor_uid, skip, limit)

    def get_event_count(self, descriptor_uid: str) -> int:
        """How many there are."""
        return self._told.get_event_count(descriptor_uid)

    def get_resource(self, uid: str) -> Doc:
        """A resource."""
        return self._told.get_resource(uid)

    def get_resources(self) -> list[Doc]:
        """The resources that the run lists."""
        return self._told.get_resources()

    def lookup_resource_for_datum(self, datum_id: str) -> str:
        """The uid of the resource of a datum."""
        return self._told.lookup_resource_for_datum(datum_id)

    def get_datum_pages(self, resource_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        """The datums of a resource."""
        return self._told.get_datum_pages(resource_uid, skip, limit)

    def get_stream_resources(self) -> list[Doc]:
        """The stream resources."""
        return self._told.get_stream_resources()

    def get_stream_datums(self, stream_resource_uid: str) -> list[Doc]:
        """The stream datums of one of them."""
        return self._told.get_stream_datums(stream_resource_uid)

    def get_column(self, descriptor_uid: str, key: str) -> LazyArray | None:
        """External values, which the server reads."""
        return self._told.get_column(descriptor_uid, key)


#: Runs that came from other processes a moment ago: tasks of dask bring the same one again and again.
_KEPT, _KEPT_FOR = 16, 30.0
_kept: OrderedDict[tuple[int, tuple[str, ...], int | None, str | None], tuple[float, RemoteRun]] = OrderedDict()
_kept_lock = threading.Lock()


def _again(server: Server, path: tuple[str, ...], revision: int | None = None, version: str | None = None) -> RemoteRun:
    # Of a run that was changed meanwhile, what is kept here is what it was.
    key = (id(server), path, revision, version)
    with _kept_lock:
        when, run = _kept.pop(key, (0.0, None))
        if run is None or time.monotonic() - when > _KEPT_FOR:
            when, run = time.monotonic(), RemoteRun(server, path, revision=revision)
        _kept[key] = (when, run)
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
        return run
