"""The route of a search through containers in containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from databroker_like.errors import InvalidRequest, TooLarge
from databroker_like.nodes import ContainerNode, Node
from databroker_like.nodes._node import Query
from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._envelopes import Told, enveloped, node_json
from databroker_like.tree._filters import filters_of
from databroker_like.tree._parameters import whole
from databroker_like.tree.routes._pages import Page, listing_links
from databroker_like.tree.routes._told import told

__all__ = ["DEPTH", "search_deep"]

#: How many levels are searched.
DEPTH = whole("max_depth", "How many levels are searched; 1 is what is in the container itself.", 1, 64, 64)

Path = tuple[str, ...]


def search_deep(asked: Asked) -> Reply:
    """GET /search-deep/{path}: the nodes that match in a container and in those in it, page by page.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
        Each container comes before what is in it.
    """
    params = asked.params
    depth = params.number(DEPTH.name, DEPTH.schema["default"], 1, DEPTH.schema["maximum"])
    how, page = Told.of(params, but=(DEPTH.name,)), Page.of(asked)
    if params.many("sort"):
        raise InvalidRequest("what is found at several levels is not sorted; search one container with /search")
    container: ContainerNode = asked.node_of(ContainerNode)
    walk = _Walk(filters_of(params, asked.settings), asked.settings.most_nodes)
    count, found = 0, []
    first, last = page.offset, page.offset + page.limit
    for path, node in walk.through(container, asked.segments, depth):
        if first <= count < last:
            found.append((path, node))
        count += 1
    data: list[Any] = []
    if how.fields != frozenset({"count"}):
        data = [node_json(node, path, asked.base, how) for path, node in found]
    links = listing_links(asked, "search-deep", page, count)
    return told(asked, enveloped(data, links, {"count": count}), {"Cache-Control": "must-revalidate"})


class _Walk:
    """A way through containers that ends."""

    def __init__(self, queries: list[Query], most: int) -> None:
        self._queries = queries
        self._most = self._left = most

    def through(self, container: ContainerNode, path: Path, depth: int) -> Iterator[tuple[Path, Node]]:
        """What matches in a container, and in those in it."""
        matching = container
        for query in self._queries:
            matching = matching.search(query)
        if depth == 1:
            for key, node in matching.items(0, self._left + 1):
                self._step()
                yield (*path, key), node
            return
        # The container itself knows best what is in it that matches; the others are only walked through.
        keys = frozenset(matching.keys(0, self._left + 1)) if self._queries else None
        for key, node in container.items(0, self._left + 1):
            self._step()
            inside = (*path, key)
            if keys is None or key in keys:
                yield inside, node
            if isinstance(node, ContainerNode):
                yield from self.through(node, inside, depth - 1)

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise TooLarge(
                f"more than {self._most} nodes are in this container and in those in it; search one that is deeper, or "
                "fewer levels with 'max_depth'; /search does without looking at each"
            )
