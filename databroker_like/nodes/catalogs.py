"""A catalog of sources, such as a YAML file, as a container: each source a node, opened when it is first asked for."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from intake.catalog import Catalog

from databroker_like.errors import DatabrokerError
from databroker_like.nodes._asking import as_sorting
from databroker_like.nodes._broken import BROKEN, BrokenNode
from databroker_like.nodes._catalog_file import ServedFile
from databroker_like.nodes._held_source import OURS, HeldSource, Memory
from databroker_like.nodes._node import DEFAULT_SORTING, ContainerNode, Node, Query, Sorting
from databroker_like.nodes.memory import MapNode

__all__ = ["BROKEN", "BrokenNode", "CatalogNode"]

_logger = logging.getLogger("databroker_like.nodes")

#: While one that takes long is waited for, so many others are opened.
_AHEAD = 8


class CatalogNode(ContainerNode):
    """A catalog of intake as a container: the names of its sources are its keys, in its order.

    A source that cannot be opened, or fails later, is a `BrokenNode`, and all others are there. What is changed in the
    YAML file, and in the files that its sources read, shows.

    Parameters
    ----------
    catalog : intake.catalog.Catalog
    metadata : mapping, optional
        What is said of it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.csv").write_text("x,y\\n1,2\\n")
    >>> _ = (folder / "lab.yml").write_text(
    ...     "sources: {a: {driver: csv, args: {urlpath: '{{ CATALOG_DIR }}/a.csv'}}}"
    ... )
    >>> with CatalogNode.of_file(folder / "lab.yml") as tree:
    ...     tree.get("a").read().to_pydict()
    {'x': [1], 'y': [2]}
    """

    def __init__(
        self, catalog: Catalog, *, metadata: Mapping[str, Any] | None = None, _memory: Memory | None = None
    ) -> None:
        self._catalog = catalog
        self._memory = Memory() if _memory is None else _memory
        self._metadata = {} if metadata is None else metadata
        self._lock = threading.RLock()
        self._held: dict[str, HeldSource] = {}
        self._problem = ""
        self._says_itself = False

    @classmethod
    def of_file(cls, path: str | os.PathLike[str]) -> CatalogNode:
        """The catalog in a YAML file.

        Parameters
        ----------
        path : str or path

        Returns
        -------
        CatalogNode
            Also a context manager, which closes it.

        Raises
        ------
        InvalidCatalog
            When there is a mistake in the file that is not in one of its sources alone.
        """
        found = cls(ServedFile(os.fspath(path)))
        found._says_itself = True
        return found

    def __enter__(self) -> CatalogNode:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release what is open."""
        with self._lock:
            for held in self._held.values():
                held.close()
            self._held.clear()

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What is said of it; and ``error``, when the file was changed and cannot be read any more."""
        self._names()
        said = self._said() if self._says_itself else self._metadata
        return {**said, "error": self._problem} if self._problem else said

    def _said(self) -> Mapping[str, Any]:
        """What the file says of itself, as it is now."""
        said = {key: value for key, value in (self._catalog.metadata or {}).items() if key not in OURS}
        if self._catalog.description:
            said["description"] = self._catalog.description
        return said

    # -- nodes

    def keys(self, offset: int = 0, limit: int | None = None) -> Iterator[str]:
        return islice(iter(self._names()), offset, None if limit is None else offset + limit)

    def items(self, offset: int = 0, limit: int | None = None) -> Iterator[tuple[str, Node]]:
        return self._opened(list(self.keys(offset, limit)))

    def count(self) -> int:
        return len(self._names())

    def get(self, key: str) -> Node | None:
        held = self._source(key)
        return held.node() if isinstance(held, HeldSource) else held

    def _source(self, key: str) -> HeldSource | BrokenNode | None:
        with self._lock:
            if key not in self._names():
                return None
            faulty = self._faulty().get(key)
            if faulty is not None:
                return BrokenNode(faulty)
            entry = self._catalog._entries[key]
            held = self._held.get(key)
            if held is None or held.entry is not entry:
                if held is not None:
                    held.close()
                held = self._held[key] = HeldSource(self._catalog, key, entry, self._inner, self._memory)
            return held

    def _opened(self, keys: Sequence[str]) -> Iterator[tuple[str, Node]]:
        """Those of the sources that are there, with their nodes.

        One after another, for several would import at the same time what some have in common; until one takes long.
        """
        for at, key in enumerate(keys):
            held = self._source(key)
            if isinstance(held, HeldSource) and held.takes_long():
                for other in map(self._source, keys[at + 1 : at + 1 + _AHEAD]):
                    if isinstance(other, HeldSource):
                        other.begin()
            node = held.node() if isinstance(held, HeldSource) else held
            if node is not None:
                yield key, node

    def _inner(self, catalog: Catalog, metadata: Mapping[str, Any]) -> CatalogNode:
        return CatalogNode(catalog, metadata=metadata, _memory=self._memory)

    def _names(self) -> Sequence[str]:
        with self._lock:
            try:
                names = list(self._catalog)
                self._problem = ""
            except (DatabrokerError, OSError) as error:
                # The file is being edited: what it said before goes on.
                problem = str(BrokenNode(str(error)).metadata["error"])
                if problem != self._problem:
                    _logger.warning("the catalog as it was goes on: %s", error)
                self._problem = problem
                names = list(self._catalog._entries)
            return list(self._catalog.order) if isinstance(self._catalog, ServedFile) else names

    def _faulty(self) -> Mapping[str, str]:
        return self._catalog.faulty if isinstance(self._catalog, ServedFile) else {}

    # -- other views of the same

    def search(self, query: Query) -> ContainerNode:
        return self._listed().search(query)

    def sorted(self, by: Sequence[tuple[str, int]]) -> ContainerNode:
        sorting = as_sorting(by)
        if sorting in (DEFAULT_SORTING, ()):
            return self
        return _Backwards(self) if sorting == (("", -1),) else self._listed().sorted(sorting)

    @property
    def sorting(self) -> Sorting:
        return DEFAULT_SORTING

    def _listed(self) -> MapNode:
        return MapNode(_Nodes(self), metadata=self.metadata)


class _Backwards(ContainerNode):
    """A catalog from its end; clients that want its last source ask for it so, and nothing else is opened."""

    def __init__(self, catalog: CatalogNode) -> None:
        self._catalog = catalog

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self._catalog.metadata

    def get(self, key: str) -> Node | None:
        return self._catalog.get(key)

    def keys(self, offset: int = 0, limit: int | None = None) -> Iterator[str]:
        names = reversed(list(self._catalog.keys()))
        return islice(names, offset, None if limit is None else offset + limit)

    def items(self, offset: int = 0, limit: int | None = None) -> Iterator[tuple[str, Node]]:
        return self._catalog._opened(list(self.keys(offset, limit)))

    def count(self) -> int:
        return self._catalog.count()

    def search(self, query: Query) -> ContainerNode:
        return self._catalog.search(query).sorted(self.sorting)

    def sorted(self, by: Sequence[tuple[str, int]]) -> ContainerNode:
        return self._catalog.sorted(by)

    @property
    def sorting(self) -> Sorting:
        return (("", -1),)


class _Nodes(Mapping[str, Node]):
    """The nodes of a catalog by name, each opened when it is asked for."""

    def __init__(self, catalog: CatalogNode) -> None:
        self._catalog = catalog

    def __getitem__(self, key: str) -> Node:
        node = self._catalog.get(key)
        if node is None:
            raise KeyError(key)
        return node

    def __iter__(self) -> Iterator[str]:
        return self._catalog.keys()

    def __len__(self) -> int:
        return self._catalog.count()
