"""Nodes that are told what is said of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from databroker_like.nodes._node import Node
from databroker_like.structures import Spec

__all__ = ["Described", "Doc"]

Doc = Mapping[str, Any]


class Described(Node):
    """A node that is told what is said of it.

    Parameters
    ----------
    metadata : mapping, optional
    specs : iterable of Spec
    """

    def __init__(self, metadata: Doc | None, specs: Iterable[Spec]) -> None:
        self._metadata: Doc = {} if metadata is None else metadata
        self._specs = tuple(specs)

    @property
    def metadata(self) -> Doc:
        return self._metadata

    @property
    def specs(self) -> tuple[Spec, ...]:
        return self._specs
