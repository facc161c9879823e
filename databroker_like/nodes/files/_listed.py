"""Containers whose keys are known without a look at the nodes."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Self

from databroker_like.nodes._asking import Asked, as_sorting, in_order_of, matcher, ranks
from databroker_like.nodes._node import DEFAULT_SORTING, ContainerNode, Node, Query, Sorting
from databroker_like.queries import KeyLookup, KeysFilter

__all__ = ["ListedNode"]


class ListedNode(ContainerNode):
    """A container whose keys are quickly told, and whose nodes are looked at one by one.

    Queries for keys, and the number of nodes, need no look at any of them.
    """

    _tests: tuple[Asked, ...] = ()
    _only: frozenset[str] | None = None
    _sorting: Sorting = DEFAULT_SORTING

    @abstractmethod
    def _all_keys(self) -> Sequence[str]:
        """The keys of all that is in it, in its own order."""

    @abstractmethod
    def _node(self, key: str) -> Node | None:
        """The node of a key, or None when there is none."""

    def get(self, key: str) -> Node | None:
        if self._only is not None and key not in self._only:
            return None
        node = self._node(key)
        return node if node is not None and all(test(key, node) for test in self._tests) else None

    def keys(self, offset: int = 0, limit: int | None = None) -> Iterator[str]:
        if self._tests or any(key for key, _ in self._sorting):
            return (key for key, _ in self.items(offset, limit))
        return islice(self._keys_asked(), offset, None if limit is None else offset + limit)

    def items(self, offset: int = 0, limit: int | None = None) -> Iterator[tuple[str, Node]]:
        stop = None if limit is None else offset + limit
        if self._tests or any(key for key, _ in self._sorting):
            return islice(iter(self._matching()), offset, stop)
        # What vanishes between the listing and the look at it leaves a page one shorter.
        return self._looked_at(islice(self._keys_asked(), offset, stop))

    def count(self) -> int:
        return len(self._matching()) if self._tests else sum(1 for _ in self._keys_asked())

    def page(self, offset: int, limit: int) -> tuple[int, Sequence[tuple[str, Node]]]:
        if self._tests or any(key for key, _ in self._sorting):
            found = self._matching()
            return len(found), found[offset : offset + limit]
        keys = list(self._keys_asked())
        return len(keys), list(self._looked_at(keys[offset : offset + limit]))

    def search(self, query: Query) -> Self:
        other = copy.copy(self)
        if isinstance(query, KeyLookup | KeysFilter):
            wanted = frozenset([query.key] if isinstance(query, KeyLookup) else query.keys)
            other._only = wanted if self._only is None else self._only & wanted
        else:
            other._tests = (*self._tests, matcher(query))
        return other

    def sorted(self, by: Sequence[tuple[str, int]]) -> Self:
        other = copy.copy(self)
        other._sorting = as_sorting(by)
        return other

    @property
    def sorting(self) -> Sorting:
        return self._sorting

    def _keys_asked(self) -> Iterator[str]:
        keys: Iterable[str] = self._all_keys()
        if self._sorting == (("", -1),):
            keys = reversed(list(keys))
        return (key for key in keys if self._only is None or key in self._only)

    def _looked_at(self, keys: Iterable[str]) -> Iterator[tuple[str, Node]]:
        """Those of the keys that are there, with their nodes."""
        for key in keys:
            node = self._node(key)
            if node is not None:
                yield key, node

    def _matching(self) -> list[tuple[str, Node]]:
        found = [pair for pair in self._looked_at(self._keys_asked()) if all(test(*pair) for test in self._tests)]
        if not any(key for key, _ in self._sorting):
            return found
        return in_order_of(self._sorting, ((pair, ranks(pair[1].metadata, self._sorting)) for pair in found))
