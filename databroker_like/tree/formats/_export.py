"""What of a container is sent as one, and how much of that is too much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from databroker_like.errors import NotFound, TooLarge, listed, nearest
from databroker_like.nodes import ArrayNode, ContainerNode, Node, TableNode
from databroker_like.service import Settings

__all__ = ["Export"]

_COMPOSITE = "composite"


@dataclass
class Export:
    """What of a container is sent as one.

    Parameters
    ----------
    container : ContainerNode
    fields : sequence of str
        The keys that are wanted; all when empty.
    settings : Settings
    fill : str
        Of the documents of a run: ``"yes"`` or ``"no"``.
    """

    container: ContainerNode
    fields: Sequence[str]
    settings: Settings
    fill: str = "no"
    _nodes: int = field(default=0, init=False)
    _bytes: int = field(default=0, init=False)

    def chosen(self) -> Mapping[str, Node]:
        """The nodes that are wanted; NotFound when one is not there, TooLarge when there are too many."""
        if not self.fields:
            found = dict(self.container.items(0, self.settings.most_nodes + 1))
            if len(found) > self.settings.most_nodes:
                raise TooLarge(self._too_many())
            return found
        chosen = {}
        for key in self.fields:
            node = self.container.get(key)
            if node is None:
                node = self._column(key)
            if node is None:
                near = nearest(key, list(self.container.keys(0, 1000)))
                hint = f"; did you mean {listed(near)}?" if near else ""
                raise NotFound(f"no node {key!r:.100} is in the container to be sent{hint}")
            chosen[key] = node
        return chosen

    def _column(self, key: str) -> Node | None:
        """A column of a table in a composite container, whose columns stand beside the arrays in it."""
        if not any(spec.name == _COMPOSITE for spec in self.container.specs):
            return None
        tables = (node for _, node in self.container.items(0, self.settings.most_nodes) if isinstance(node, TableNode))
        return next((node.get(key) for node in tables if key in node.structure().columns), None)

    def enter(self, depth: int) -> int:
        """Count one more node; how many more there may be. TooLarge when there are too many, or it lies too deep."""
        self._nodes += 1
        if self._nodes > self.settings.most_nodes:
            raise TooLarge(self._too_many())
        if depth > self.settings.deepest:
            raise TooLarge(
                f"containers are more than {self.settings.deepest} in one another; ask for one that is deeper"
            )
        return self.settings.most_nodes - self._nodes

    def _too_many(self) -> str:
        return f"the container has more than {self.settings.most_nodes} nodes in it; ask for some with 'field'"

    def take(self, nbytes: int) -> None:
        """Count some bytes more; TooLarge when they are too many."""
        self._bytes += nbytes
        if self._bytes > self.settings.most_reply_bytes:
            raise TooLarge(
                f"the container has more than {self.settings.most_reply_bytes} bytes in it, which are sent at once; "
                "ask for some with 'field', or for the nodes in it one by one"
            )

    def weigh(self, nodes: Mapping[str, Node], depth: int = 1) -> None:
        """Refuse nodes that are too many or too large, as far as they say so before they are read.

        Parameters
        ----------
        nodes : mapping of str to Node
        depth : int
            How deep they lie; 1 by default.

        Raises
        ------
        TooLarge
        """
        for node in nodes.values():
            left = self.enter(depth)
            if isinstance(node, ContainerNode):
                self.weigh(dict(node.items(0, left + 1)), depth + 1)
            elif isinstance(node, ArrayNode):
                self.take(node.structure().nbytes)
            elif isinstance(node, TableNode):
                self.take(node.count_bytes() or 0)
