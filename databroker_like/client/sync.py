"""Nodes copied from one server to another."""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from databroker_like.client._copying import PLAIN, plan_of
from databroker_like.client._progress import progress
from databroker_like.client._writing._sending import send, url_of
from databroker_like.client.base import BaseClient, client_of
from databroker_like.client.container import Container
from databroker_like.errors import Conflict, DatabrokerError, Invalid, NotFound, listed, nearest

__all__ = ["Copied", "copy"]

_ON_CONFLICT = ("error", "warn", "skip")
#: In the metadata of a node from when it is made until all of its data is there.
_UNFINISHED = "unfinished_copy"
#: Nodes whose data is copied at the same time, and those that wait for it.
_AT_ONCE, _WAITING = 4, 16


@dataclass(frozen=True)
class Copied:
    """What was copied.

    Parameters
    ----------
    written : int
        The nodes that were made.
    skipped : int
        Those that were there.
    """

    written: int
    skipped: int


def copy(source: Any, dest: Any, on_conflict: str = "error") -> Copied:
    """Copy nodes with all that is in them from one server to another, or to another place of one.

    Arrays, tables, awkward, sparse and ragged arrays and containers are copied with their metadata and specs; data that
    lies in files of somebody else is read and written like any other. Several nodes and blocks are copied side by side,
    and no large array is held as a whole. Who may see the copy is for the server to say: access tags are not copied.

    What is copied has ``unfinished_copy`` in its metadata until all of its data is there. A copy that was cut short is
    taken up by the same call with ``on_conflict="skip"``: what is complete is left alone, the rest is copied anew.

    Parameters
    ----------
    source : Container, or iterable of (key, BaseClient)
        What is in it is copied: all, a search, or such a part as ``container.items().head(10)``. A client of another
        node is copied itself, under its own key.
    dest : Container
        Into which it is copied.
    on_conflict : {"error", "warn", "skip"}
        What happens when there is a node of the same key already: an error, a warning, or nothing. In the last two
        cases it stays as it is, but what a container lacks is copied into it.

    Returns
    -------
    Copied
        How many nodes were written, and how many skipped.

    Raises
    ------
    Conflict
        When there is a node of the same key already, and it was not said what then.
    NotWritable
        When ``dest`` takes nothing.
    Invalid
        When ``dest`` is within ``source``, or no container.

    Examples
    --------
    >>> from databroker_like.client import Context, from_context
    >>> from databroker_like.nodes import MapNode
    >>> from databroker_like.tree import build_app
    >>> with Context.from_app(build_app(MapNode({}), public=True)) as a:
    ...     copy(from_context(a).items().head(), from_context(a))
    Copied(written=0, skipped=0)
    """
    if on_conflict not in _ON_CONFLICT:
        near = listed(nearest(on_conflict, _ON_CONFLICT) or _ON_CONFLICT)
        raise Invalid(f"on_conflict is {near}, not {on_conflict!r}")
    if not isinstance(dest, Container):
        raise Invalid(f"what is copied goes into a container, and {dest!r:.200} is none")
    pairs: Iterable[tuple[str, Any]]
    if isinstance(source, BaseClient) and not isinstance(source, Container):
        pairs, count = [(source.path_parts[-1], source)], 1
    elif isinstance(source, Container):
        _check_apart(source, dest)
        plain = _plain_container(source)
        pairs, count = plain.items(), len(plain)
    else:
        pairs = list(source)
        count = len(pairs)
        for pair in pairs:
            if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], BaseClient)):
                raise Invalid(f"what is copied is a container, or pairs of a key and a client, not {pair!r:.200}")
            _check_apart(pair[1], dest)
    with progress(dest.context, count, "copying") as advance, _Copying(on_conflict) as copying:
        copying.all(pairs, dest, advance)
    return Copied(copying.written, copying.skipped)


def _check_apart(source: Any, dest: Any) -> None:
    inside = dest.path_parts[: len(source.path_parts)] == source.path_parts
    if inside and source.context.api_uri == dest.context.api_uri and source.context.app is dest.context.app:
        raise Invalid(f"{dest.uri} lies within {source.uri}: a copy into it would have no end")


def _plain_container(source: Container) -> Container:
    """A container that lists what lies in it, whatever its spec makes of that."""
    return Container(
        source.context,
        item=source.item,
        structure_clients=PLAIN,
        include_data_sources=True,
        queries=source._queries,
        sorting=source.sorting if source._own_sorting else None,
    )


class _Copying:
    """One copy: nodes are made one after another, in their order, and their data follows side by side."""

    def __init__(self, on_conflict: str) -> None:
        self.written = self.skipped = 0
        self._on_conflict = on_conflict
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="copy")
        self._running: deque[Future[None]] = deque()
        self._lock = threading.Lock()

    def __enter__(self) -> _Copying:
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if error is not None:
            # The others are of no use any more.
            for future in self._running:
                future.cancel()
        self._pool.shutdown()

    def all(self, pairs: Iterable[tuple[str, Any]], dest: Any, advance: Callable[..., None]) -> None:
        """Copy nodes into a container, and wait for their data."""
        for key, client in pairs:
            self._node(key, client_of(client.context, client.item, PLAIN, include_data_sources=True), dest)
            advance()
        while self._running:
            self._running.popleft().result()

    def _node(self, key: str, source: Any, dest: Any) -> None:
        if isinstance(source, Container):
            inner = self._container(key, source, dest)
            for name, child in [] if inner is None else source.items():
                self._node(name, child, inner)
            return
        while len(self._running) >= _WAITING:
            self._running.popleft().result()
        with _said_of(source):
            self._leaf(key, source, dest)

    def _container(self, key: str, source: Container, dest: Any) -> Any:
        """The container that was made, or that is there already; None when that is something else."""
        try:
            made = dest.create_container(key, metadata=source.metadata, specs=list(source.specs))
        except Conflict as error:
            found = self._there(key, dest, error)
            if isinstance(found, Container):
                return _plain_container(found)
            return None
        with self._lock:
            self.written += 1
        return _plain_container(made)

    def _leaf(self, key: str, source: Any, dest: Any) -> None:
        plan = plan_of(source)
        metadata = {name: value for name, value in source.metadata_copy().items() if name != _UNFINISHED}
        family = source.structure_family
        told = {
            "key": key,
            "metadata": {**metadata, _UNFINISHED: True},
            "specs": list(source.specs),
        }
        sources = [{"structure": plan.structure, "mimetype": plan.mimetype}]
        try:
            made = dest.new(family, sources, **told)
        except Conflict as error:
            if not self._is_unfinished(key, dest):
                self._there(key, dest, error)
                return
            if self._on_conflict != "skip":
                raise Conflict(
                    f"{'/'.join([*dest.path_parts, key])!r} is a copy that was cut short: "
                    f"copy(..., on_conflict='skip') takes it up; {error}"
                ) from error
            dest.delete_contents(key, external_only=False)
            made = dest.new(family, sources, **told)

        def write() -> None:
            with _said_of(source):
                plan.write(made)
                body = {"metadata": metadata, "specs": None, "access_tags": None}
                url, params = url_of(made.context, "metadata", made.path_parts), [("drop_revision", "true")]
                send(made.context, "PUT", url, params=params, json=body)
            with self._lock:
                self.written += 1

        self._running.append(self._pool.submit(write))

    def _is_unfinished(self, key: str, dest: Any) -> bool:
        try:
            found = dest.context.get_item([*dest.path_parts, key])
        except NotFound:
            return False
        metadata: Mapping[str, Any] = found["attributes"].get("metadata") or {}
        return metadata.get(_UNFINISHED) is True

    def _there(self, key: str, dest: Any, error: Conflict) -> Any:
        """A node that was there before: passed over, unless that is an error."""
        if self._on_conflict == "error":
            raise error
        name = "/".join([*dest.path_parts, key])
        if self._on_conflict == "warn":
            warnings.warn(f"{name!r} is there already, and is not copied", UserWarning, stacklevel=2)
        self.skipped += 1
        return client_of(dest.context, dest.context.get_item([*dest.path_parts, key]), PLAIN)


@contextmanager
def _said_of(source: Any) -> Iterator[None]:
    """An error in it says of which node."""
    try:
        yield
    except DatabrokerError as error:
        error.add_note(f"This happened at the copy of {source.uri}.")
        raise
