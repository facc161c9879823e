"""What a tree is made of: nodes with metadata, and containers, in which others are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from databroker_like.errors import InvalidRequest, NotFound
from databroker_like.nodes._revised import Revised
from databroker_like.nodes._sources import DataSource
from databroker_like.queries import Node as Condition
from databroker_like.queries import Tally, in_order
from databroker_like.queries._tiled import TiledQuery
from databroker_like.structures import ContainerStructure, Spec, Structure, StructureFamily

__all__ = ["DEFAULT_SORTING", "ContainerNode", "Node", "Query", "Sorting", "find"]

#: A condition on metadata, with keys as they stand there, or a query of Tiled's, which may ask about the node itself.
Query = Condition | TiledQuery
#: Dotted keys of metadata, each with 1 or -1; the empty key is the order that a container has by itself.
Sorting = tuple[tuple[str, int], ...]

#: The order that a container has by itself.
DEFAULT_SORTING: Sorting = (("", 1),)


class Node(ABC):
    """One thing in a tree: what it is, and what is said of it. It is asked from many threads at once."""

    structure_family: ClassVar[StructureFamily]

    @property
    @abstractmethod
    def metadata(self) -> Mapping[str, Any]:
        """What is said of it."""

    @property
    def specs(self) -> tuple[Spec, ...]:
        """What it promises to be; the first is the one that decides who shows it."""
        return ()

    @abstractmethod
    def structure(self) -> Structure:
        """What the data looks like, as it is now."""

    @property
    def version(self) -> Any:
        """What becomes another when the node changes, metadata or data; None where that is not known.

        It is text, numbers, or tuples of these, and the same in another process.
        """
        return None

    def data_source(self) -> DataSource | None:
        """The files that it is read from; None when there are none that callers could ask for."""
        return None

    def revisions(self) -> Sequence[Revised]:
        """What was said of it before it was changed, the oldest first; what is said now is not among them."""
        return ()

    def at_revision(self, revision: int) -> Node | None:
        """It, and all that is in it, as it was after so many changes: 0 is what was there first.

        Parameters
        ----------
        revision : int

        Returns
        -------
        Node or None
            None where a change is none of the node with all that is in it.

        Raises
        ------
        OutOfRange
            When there is no such revision.
        """
        return None

    @property
    def at_hand(self) -> bool:
        """Whether what is said of it, and `get`, are told at once: without a look at a disk or a network."""
        return False

    def get(self, key: str) -> Node | None:
        """The node in it of this key, or None when there is none: nothing is in a node that is no container."""
        return None


class ContainerNode(Node):
    """A node that has others in it, by key.

    Nothing here lists all there is on its own: what is large answers page by page.
    """

    structure_family = StructureFamily.container

    @abstractmethod
    def get(self, key: str) -> Node | None:
        """The node of a key, or None when there is none."""

    @abstractmethod
    def items(self, offset: int = 0, limit: int | None = None) -> Iterator[tuple[str, Node]]:
        """Keys and nodes, in the order of `sorting`.

        Parameters
        ----------
        offset, limit : int
            Which of them; all by default.

        Returns
        -------
        iterator of (str, Node)
        """

    def keys(self, offset: int = 0, limit: int | None = None) -> Iterator[str]:
        """The keys, in the order of `sorting`; often much cheaper than `items`.

        Parameters
        ----------
        offset, limit : int
            Which of them; all by default.

        Returns
        -------
        iterator of str
        """
        return (key for key, _ in self.items(offset, limit))

    @abstractmethod
    def count(self) -> int:
        """How many nodes there are in it, exactly."""

    def page(self, offset: int, limit: int) -> tuple[int, Sequence[tuple[str, Node]]]:
        """How many nodes there are in it, and some of them; often cheaper than to ask for each.

        Parameters
        ----------
        offset, limit : int
            Which of them.

        Returns
        -------
        tuple of int and sequence of (str, Node)
        """
        count = self.count()
        return count, list(self.items(offset, limit)) if limit and offset < count else ()

    @property
    def is_told_whole(self) -> bool:
        """Whether the nodes in it, when they are few, are told together with it: those of one file, of one dataset."""
        return False

    @abstractmethod
    def search(self, query: Query) -> ContainerNode:
        """The nodes that match, as a container; searches follow one another.

        Parameters
        ----------
        query : queries.Node or TiledQuery
            A condition on the metadata of each, or a query that asks for its key, specs or structure family.

        Returns
        -------
        ContainerNode

        Raises
        ------
        InvalidQuery
            When this container cannot answer such a query.
        """

    @abstractmethod
    def sorted(self, by: Sequence[tuple[str, int]]) -> ContainerNode:
        """The same nodes in another order.

        Parameters
        ----------
        by : sequence of (str, int)
            Dotted keys of the metadata, each with 1 for ascending or -1 for descending; the empty key is the order that
            the container has by itself. Numbers are ordered as numbers and come before texts; nodes without such a
            key come last in either direction.

        Returns
        -------
        ContainerNode

        Raises
        ------
        Invalid
            When a direction is neither.
        InvalidQuery
            When the container knows that nothing in it can be sorted by such a key.
        """

    @property
    def sorting(self) -> Sorting:
        """By what it is sorted."""
        return DEFAULT_SORTING

    def distinct(self, key: str) -> list[tuple[Any, int]]:
        """The different values at a key of the metadata, each with how many nodes have it.

        Parameters
        ----------
        key : str
            Dotted key.

        Returns
        -------
        list of (value, int)
            The most frequent first, then by value. A list counts for each of its members; nodes that have no such key
            count as None.
        """
        tally = Tally(key)
        tally.add_all(node.metadata for _, node in self.items())
        return tally.counts()

    def distinct_families(self) -> list[tuple[StructureFamily, int]]:
        """The different structure families, each with how many nodes are of it, the most frequent first."""
        counts: dict[StructureFamily, int] = {}
        for _, node in self.items():
            counts[node.structure_family] = counts.get(node.structure_family, 0) + 1
        return in_order(counts.items())

    def distinct_specs(self) -> list[tuple[tuple[Spec, ...], int]]:
        """The different specs, all of a node together, each with how many nodes have them, the most frequent first."""
        counts: dict[tuple[Spec, ...], int] = {}
        for _, node in self.items():
            counts[node.specs] = counts.get(node.specs, 0) + 1
        return sorted(counts.items(), key=lambda pair: (-pair[1], repr(pair[0])))

    def structure(self) -> ContainerStructure:
        return ContainerStructure(self.count())


def find(root: Node, path: Iterable[str], revision: int | None = None) -> Node:
    """The node at a path.

    Parameters
    ----------
    root : Node
    path : iterable of str
        Keys, each in the node before; empty ones are passed over.
    revision : int, optional
        At which the run on the way is looked into; as it is now by default.

    Returns
    -------
    Node

    Raises
    ------
    NotFound
        When there is none.
    OutOfRange
        When the run has no such revision.
    InvalidRequest
        When a revision is asked for where there is no run on the way.

    Examples
    --------
    >>> from databroker_like.nodes import MapNode
    >>> find(MapNode({"a": MapNode({"b": MapNode({}, metadata={"color": "red"})})}), ["a", "b"]).metadata
    {'color': 'red'}
    """
    walked: list[str] = []
    node, revision = _at(root, revision)
    for key in filter(None, path):
        inside = node.get(key)
        walked.append(key)
        if inside is None:
            raise NotFound(f"No such entry: {walked!r:.1000}")
        node, revision = _at(inside, revision)
    if revision is not None:
        where = "/".join(walked) or "the root"
        raise InvalidRequest(f"a revision is that of a run, and {where!r:.300} is neither one nor in one")
    return node


def _at(node: Node, revision: int | None) -> tuple[Node, int | None]:
    """A node at a revision if it has such, and the revision if it has none."""
    earlier = None if revision is None else node.at_revision(revision)
    return (node, revision) if earlier is None else (earlier, None)
