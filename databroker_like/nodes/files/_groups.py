"""Groups in files: containers in a file of one format, whose names are told when the group is looked into."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from databroker_like.nodes._node import Node
from databroker_like.nodes.files._listed import ListedNode

__all__ = ["FileGroup"]


class FileGroup(ListedNode):
    """A group in a file.

    Parameters
    ----------
    names : list of str
        Of what is in it.
    metadata : mapping
    """

    def __init__(self, names: list[str], metadata: Mapping[str, Any]) -> None:
        self._names = names
        self._metadata = metadata

    @abstractmethod
    def _inner(self, key: str) -> Node:
        """The node of a key that is among the names."""

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._names)

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self._metadata

    @property
    def is_told_whole(self) -> bool:
        return True

    def _all_keys(self) -> Sequence[str]:
        return self._names

    def _node(self, key: str) -> Node | None:
        return self._inner(key) if key in self._known else None
