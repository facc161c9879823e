"""A source of a catalog, and the node that it was opened as, as long as that is what it has."""

from __future__ import annotations

import copy
import inspect
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from typing import Any

from intake.catalog import Catalog

from databroker_like.errors import DatabrokerError, Invalid, MissingFile, listed
from databroker_like.nodes._broken import BrokenNode
from databroker_like.nodes._node import Node
from databroker_like.nodes._opened_sources import node_of_source
from databroker_like.nodes._read_sources import stamp_of
from databroker_like.nodes._remote_nodes import RemoteNode, remote_node
from databroker_like.nodes.memory import ArrayData, TableData
from databroker_like.store._store import Store
from databroker_like.v2 import Broker

__all__ = ["HeldSource", "Memory", "said_of"]

_logger = logging.getLogger("databroker_like.nodes")

#: For so many seconds a source that failed is not tried again, nor one looked at that was well.
FAILED_FOR, WELL_FOR = 5.0, 1.0
#: For so many seconds who asks waits for a source that takes long to open, once.
PATIENCE = 8.0
#: A source that takes longer is not the only one that is waited for.
SOON = 1.0
#: Who asks for a source that took longer to fail is not kept waiting while it is tried again.
SLOW = 2.0
#: After so many seconds data that lies elsewhere is read anew.
REMOTE_FOR = 60.0
#: So many bytes of what was read as a whole are kept, for all sources of a catalog together.
MOST_KEPT = 256 << 20

#: What intake puts into the metadata of a catalog, and what it reads there.
OURS = frozenset({"catalog_dir", "parameters", "version"})


class Memory:
    """Which sources keep what they read as a whole: those that were asked for last, as far as there is room.

    Parameters
    ----------
    most : int
        In bytes; one source is kept whatever its size.
    """

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._sizes: OrderedDict[HeldSource, int] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, held: HeldSource, size: int) -> None:
        """Note that a source keeps so many bytes, and let those forget that were not asked for longest.

        Parameters
        ----------
        held : HeldSource
        size : int
        """
        forgotten = []
        with self._lock:
            self._sizes.pop(held, None)
            if size:
                self._sizes[held] = size
            while sum(self._sizes.values()) > self._most and len(self._sizes) > 1:
                forgotten.append(self._sizes.popitem(last=False)[0])
        for other in forgotten:
            other.forget()


class HeldSource:
    """A source of a catalog, opened when it is first asked for.

    Parameters
    ----------
    catalog : intake.catalog.Catalog
    name : str
    entry : intake.catalog.entry.CatalogEntry
        Of this name in the catalog.
    nested : callable
        Makes a node of a catalog in the catalog, from it and what is said of it.
    memory : Memory
    """

    def __init__(
        self,
        catalog: Catalog,
        name: str,
        entry: Any,
        nested: Callable[[Catalog, Mapping[str, Any]], Node],
        memory: Memory,
    ) -> None:
        self.entry = entry
        self._catalog, self._name, self._nested, self._memory = catalog, name, nested, memory
        self._source: Any = None
        self._node: Node | None = None
        self._stamp: Any = None
        self._until = 0.0
        self._task: Future[Node] | None = None
        self._begun = 0.0
        self._was_waited_for = False
        self._fails_slowly = False
        self._lock = threading.Lock()

    def node(self) -> Node:
        """The node as it is now; a broken one when it fails, or takes very long.

        One that took long to fail is the broken one that it was, until it is found to be mended.
        """
        with self._lock:
            task = self._looked_at()
            if isinstance(task, Node):
                return task
            known, patience = self._node, self._patience()
        try:
            return task.result(patience)
        except TimeoutError:
            with self._lock:
                # It may have been found out meanwhile; the next time somebody waits again.
                self._was_waited_for = self._was_waited_for or self._task is task
            if isinstance(known, BrokenNode):
                return known
            return BrokenNode("it takes long to open; ask again in a while", metadata=said_of(self.entry))

    def begin(self) -> None:
        """Have it looked at, and wait for nothing."""
        with self._lock:
            self._looked_at()

    def takes_long(self) -> bool:
        """Whether who asks for the node has to wait; it is found out by waiting for a moment."""
        with self._lock:
            task = self._looked_at()
            if isinstance(task, Node) or not self._patience():
                return False
        return not wait_for([task], SOON).done

    def _looked_at(self) -> Future[Node] | Node:
        """The node, where it is known; otherwise where it will be, for it is being looked at."""
        if self._task is None:
            if self._node is not None and time.monotonic() < self._until:
                return self._node
            self._task, self._begun = Future(), time.monotonic()
            threading.Thread(target=self._look, args=(self._task,), daemon=True, name=self._name).start()
        return self._task

    def _patience(self) -> float:
        """For how long who asks waits."""
        if self._was_waited_for or self._fails_slowly:
            return 0.0
        return max(0.0, self._begun + PATIENCE - time.monotonic())

    def forget(self) -> None:
        """Let go of what was read; it is read again when it is asked for."""
        with self._lock:
            if self._task is None:
                self._node = self._stamp = None

    def close(self) -> None:
        """Release what is open."""
        self._memory.keep(self, 0)
        if isinstance(self._source, Broker | RemoteNode):
            self._source.close()
        elif self._node is not None and hasattr(self._node, "close"):
            self._node.close()

    def _look(self, task: Future[Node]) -> None:
        node, seconds = self._current()
        with self._lock:
            ended = time.monotonic()
            self._node, self._until = node, ended + seconds
            self._fails_slowly = isinstance(node, BrokenNode) and ended - self._begun > SLOW
            self._task, self._was_waited_for = None, False
        self._memory.keep(self, _size_of(node))
        task.set_result(node)

    def _current(self) -> tuple[Node, float]:
        said = said_of(self.entry)
        try:
            node = self._opened(said)
            node.structure()
        # Whatever a driver of somebody else's raises, all the other sources are served.
        except Exception as error:  # noqa: BLE001
            if not isinstance(self._node, BrokenNode):
                _logger.warning("source %r fails: %s: %s", self._name, type(error).__name__, error)
            self._stamp = None
            problem = error if isinstance(error, DatabrokerError) else f"{type(error).__name__}: {error}"
            return BrokenNode(problem, metadata=said), FAILED_FOR
        return node, WELL_FOR

    def _opened(self, said: Mapping[str, Any]) -> Node:
        if self._source is None:
            if _is_tiled(self.entry):
                arguments = _opened_with(self.entry)[1]
                self._source = remote_node(_server_in(arguments), arguments.get("path"))
            else:
                _refuse_missing_arguments(self.entry)
                self._source = self._catalog._get_entry(self._name)
        source = self._source
        if isinstance(source, Node):
            return source
        if isinstance(source, Broker):
            _refuse_missing_store(source)
        is_nested = isinstance(source, Catalog) and not _is_current(source)
        stamp: Any = "once" if is_nested or _is_current(source) else stamp_of(source)
        if stamp is None:
            stamp = int(time.monotonic() // REMOTE_FOR)
        if self._node is None or isinstance(self._node, BrokenNode) or stamp != self._stamp:
            self._stamp = stamp
            return self._nested(source, said) if is_nested else node_of_source(source, said)
        return self._node


def _is_current(source: Any) -> bool:
    """Whether a source always answers as it is now: runs do."""
    return str(getattr(source, "container", "")).startswith("bluesky") or isinstance(source, Broker)


def _is_tiled(entry: Any) -> bool:
    return [getattr(plugin, "name", "") for plugin in getattr(entry, "_plugin", None) or ()] == ["tiled_cat"]


def _server_in(arguments: Mapping[str, Any]) -> str:
    """The address of another server; Invalid when it is not there."""
    if not isinstance(arguments.get("server"), str):
        others = arguments.keys() - {"metadata"}
        instead = f"; it has {listed(others)}" if others else ""
        raise Invalid(
            f"'tiled_cat' needs 'server' below 'args', the address of a server such as http://localhost:8000{instead}"
        )
    return str(arguments["server"])


def _opened_with(entry: Any) -> tuple[Any, Mapping[str, Any]]:
    """The driver of an entry, and what it is given; Invalid where a template of that cannot be filled in."""
    try:
        driver, given = entry._create_open_args({})
    except DatabrokerError:
        raise
    # A template raises whatever what is written in it does.
    except Exception as error:
        arguments = entry._open_args
        failing = [name for name in arguments if not _is_made(entry, {name: arguments[name]})]
        if not failing or not _is_made(entry, {}):
            raise
        reason = f"{type(error).__name__}: {error}"
        raise Invalid(f"the template of {listed(failing)} below 'args' cannot be filled in: {reason}") from error
    return driver, given


def _is_made(entry: Any, arguments: Mapping[str, Any]) -> bool:
    """Whether nothing is wrong with these arguments of an entry, each by itself."""
    alone = copy.copy(entry)
    alone._open_args = arguments
    try:
        alone._create_open_args({})
    except Exception:  # noqa: BLE001
        return False
    return True


def _refuse_missing_arguments(entry: Any) -> None:
    """Say which arguments a driver needs that are not given, as Python would in words of its own."""
    if not hasattr(entry, "_create_open_args"):
        return
    driver, given = _opened_with(entry)
    try:
        parameters = inspect.signature(driver).parameters
    except (TypeError, ValueError):  # nothing tells what it takes
        return
    missing = [
        name
        for name, one in parameters.items()
        if name not in given and one.default is one.empty and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    ]
    if missing:
        name = getattr(entry, "_driver", None) or getattr(driver, "name", "the driver")
        raise Invalid(f"{name!r} needs {listed(missing)} below 'args'")


def _refuse_missing_store(catalog: Broker) -> None:
    """A store that nobody has begun would be taken for one without runs."""
    # An attribute that a catalog does not have is looked for among its runs.
    store = vars(catalog).get("store")
    if isinstance(store, Store) and store.path and store.database.is_sqlite and not os.path.isdir(store.path):
        raise MissingFile(f"there is no folder {store.path!r}, which should be that of a store")


def said_of(entry: Any) -> dict[str, Any]:
    """The metadata and the description that the author of a catalog gave a source.

    Parameters
    ----------
    entry : intake.catalog.entry.CatalogEntry

    Returns
    -------
    dict
    """
    said = {key: value for key, value in (getattr(entry, "_metadata", None) or {}).items() if key not in OURS}
    description = getattr(entry, "_description", None) or getattr(entry, "description", None)
    return {**said, "description": description} if description else said


def _size_of(node: Node) -> int:
    """How many bytes a node keeps in memory."""
    if isinstance(node, TableData):
        return int(node._table.nbytes)
    if isinstance(node, ArrayData) and type(node._array).__module__ == "numpy":
        return int(node._array.nbytes)
    return 0
