"""A run as a container of its streams, and a stream as a container of tables and arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from databroker_like.core._documents import check_fill, run_documents
from databroker_like.core._header import Header
from databroker_like.nodes._node import ContainerNode, Node, Query
from databroker_like.nodes._run_leaves import EventArray, EventTable
from databroker_like.nodes._run_parts import RunParts
from databroker_like.nodes._run_revisions import RunRevisions, header_at, run_metadata
from databroker_like.nodes.memory import MapNode
from databroker_like.store._layout import STREAM_SPECS, run_specs, stream_layout, stream_metadata
from databroker_like.structures import Spec
from databroker_like.utils._once import once

__all__ = ["RunNode", "StreamNode"]


class _Few(ContainerNode):
    """A container of so few nodes that they are all at hand."""

    def _nodes(self) -> Mapping[str, Node]:
        raise NotImplementedError

    def get(self, key: str) -> Node | None:
        return self._nodes().get(key)

    def items(self, offset: int = 0, limit: int | None = None) -> Iterator[tuple[str, Node]]:
        return self._map().items(offset, limit)

    def count(self) -> int:
        return len(self._nodes())

    def search(self, query: Query) -> ContainerNode:
        return self._map().search(query)

    def sorted(self, by: Sequence[tuple[str, int]]) -> ContainerNode:
        return self._map().sorted(by)

    def _map(self) -> MapNode:
        return MapNode(self._nodes(), metadata=self.metadata, specs=self.specs)


class RunNode(_Few):
    """A run as a container of its streams, as it is whenever it is asked.

    Parameters
    ----------
    header : Header
    version : object, optional
        What becomes another when a finished run is changed.
    """

    def __init__(self, header: Header, version: Any = None) -> None:
        self._header = header
        self._version = version
        self._finished: Mapping[str, Node] | None = None
        self._earlier: tuple[int, RunNode] | None = None
        self._expected: int | None = None

    def expect(self, streams: int) -> None:
        """Say how many streams the run has, when it has ended, so that it need not be read to be counted.

        Parameters
        ----------
        streams : int
        """
        if self._header.stop is not None:
            self._expected = streams

    def count(self) -> int:
        if self._finished is None and self._expected is not None:
            return self._expected
        return super().count()

    @property
    def metadata(self) -> Mapping[str, Any]:
        """``start``, and ``stop`` when there is one."""
        return run_metadata(self._header)

    def revisions(self) -> RunRevisions:
        """What it was before its metadata was amended."""
        return RunRevisions(self._header)

    def at_revision(self, revision: int) -> RunNode:
        """The run as it was after so many amendments, mended by the transforms of the catalog as it is now.

        Parameters
        ----------
        revision : int

        Returns
        -------
        RunNode

        Raises
        ------
        OutOfRange
            When there is no such revision.
        """
        # Its blocks are asked for one after the other.
        earlier = self._earlier
        if earlier is None or earlier[0] != revision:
            earlier = self._earlier = (revision, RunNode(header_at(self._header, revision), self._version))
        return earlier[1]

    @once
    def _specs(self) -> tuple[Spec, ...]:
        return run_specs(self._header.start)

    @property
    def specs(self) -> tuple[Spec, ...]:
        """Those that the start document claims, and ``BlueskyRun``."""
        return self._specs

    @property
    def version(self) -> Any:
        """None while the run goes on."""
        is_known = self._version is not None and self._header.stop is not None
        return (self._header.start["uid"], self._version) if is_known else None

    def _nodes(self) -> Mapping[str, Node]:
        if self._finished is not None:
            return self._finished
        # Whether it has ended is asked before its streams are.
        finished = self._header.stop is not None
        version = self.version
        nodes = {name: StreamNode(self._header, name, version) for name in self._header.stream_names}
        if finished:
            self._finished = nodes
        return nodes

    def documents(self, *, fill: str = "no", strict_order: bool = True) -> Iterator[tuple[str, Any]]:
        """The documents of the run, as `BlueskyRun.documents` gives them.

        Parameters
        ----------
        fill : {"no", "yes", "delayed"}
        strict_order : bool
            One event to a page, in the order of their times; True by default.

        Returns
        -------
        iterator of (name, document)

        Raises
        ------
        Invalid
            When ``fill`` is anything else.
        """
        check_fill(fill)
        return run_documents(self._header, fill, strict_order)

    @property
    def parts(self) -> RunParts:
        """The run in parts, for a client that puts its documents and datasets together itself."""
        return RunParts(self._header, self._external_arrays)

    def _external_arrays(self, stream: str) -> Mapping[str, EventArray]:
        node = self.get(stream)
        nodes = {} if node is None else node._nodes()  # type: ignore[attr-defined]
        return {key: leaf for key, leaf in nodes.items() if isinstance(leaf, EventArray) and leaf.is_external}


class StreamNode(_Few):
    """A stream as a container of a table and arrays, as it was when it was first looked into.

    Parameters
    ----------
    header : Header
    name : str
    version : object, optional
        Of the run.
    """

    def __init__(self, header: Header, name: str, version: Any = None) -> None:
        self._header = header
        self._name = name
        self._version = version

    @once
    def _descriptors(self) -> list[Any]:
        return self._header.of_stream(self._name)

    @once
    def _metadata(self) -> Mapping[str, Any]:
        return stream_metadata(self._descriptors)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The first descriptor, with the data keys of all."""
        return self._metadata

    @property
    def specs(self) -> tuple[Spec, ...]:
        """``BlueskyEventStream``, and ``composite``."""
        return STREAM_SPECS

    @property
    def version(self) -> Any:
        return self._version

    @once
    def _inside(self) -> Mapping[str, Node]:
        layout = stream_layout(self._header, self._name, self._descriptors)
        events = self._header.source.get_event_count
        rows = sum(table.rows for table in list(layout.tables.values())[:1])
        rows = rows or sum(events(doc["uid"]) for doc in self._descriptors)
        nodes: dict[str, Node] = {name: EventTable(table, self._version) for name, table in layout.tables.items()}
        nodes.update((name, EventArray(leaf, rows, self._version)) for name, leaf in layout.arrays.items())
        return nodes

    def _nodes(self) -> Mapping[str, Node]:
        return self._inside
