"""Containers as JSON, and those that are runs as their documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from databroker_like.errors import InvalidRequest, NotFound, TooLarge, listed
from databroker_like.nodes import ContainerNode, Node
from databroker_like.service import Settings
from databroker_like.tree._media import Format
from databroker_like.tree._words import JSON, to_json, to_json_line

__all__ = ["CONTAINER_FORMATS", "JSON_SEQ", "RUN_FORMATS", "Documented", "Export", "formats_of", "written_documents"]

JSON_SEQ = "application/json-seq"


@runtime_checkable
class Documented(Protocol):
    """A node that is a run, and has documents."""

    def documents(self, *, fill: str) -> Iterator[tuple[str, Any]]:
        """Names and documents, in order; ``fill`` is ``"yes"`` or ``"no"``."""


@dataclass(frozen=True)
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


def _json(export: Export) -> bytes:
    budget = _Budget(export.settings)
    if not export.fields:
        return to_json(budget.taken(export.container, 0))
    contents = {}
    for key in export.fields:
        node = export.container.get(key)
        if node is None:
            raise NotFound(f"no node {key!r:.100} is in the container to be sent")
        contents[key] = budget.taken(node, 1)
    return to_json({"contents": contents, "metadata": export.container.metadata})


@dataclass
class _Budget:
    """How much may still be taken together."""

    settings: Settings
    used: int = 0

    def taken(self, node: Node, depth: int) -> dict[str, Any]:
        """A node with all that is in it."""
        self.used += 1
        if self.used > self.settings.most_nodes:
            raise TooLarge(
                f"the container has more than {self.settings.most_nodes} nodes in it; ask for some with 'field'"
            )
        if depth > self.settings.deepest:
            raise TooLarge(
                f"containers are more than {self.settings.deepest} in one another; ask for one that is deeper"
            )
        contents: dict[str, Any] = {}
        if isinstance(node, ContainerNode):
            left = self.settings.most_nodes - self.used
            contents = {key: self.taken(inside, depth + 1) for key, inside in node.items(0, left + 1)}
        return {"contents": contents, "metadata": node.metadata}


def written_documents(export: Export) -> Iterator[bytes]:
    """The documents of a run, one ``{"name": ..., "doc": ...}`` a line.

    Parameters
    ----------
    export : Export

    Returns
    -------
    iterator of bytes
        Some lines together.

    Raises
    ------
    InvalidRequest
        When there is no such way to fill, or the container is no run, or only some of its nodes are wanted.
    """
    run = export.container
    if not isinstance(run, Documented):
        raise InvalidRequest("only a run has documents, and this container is none")
    if export.fill not in ("yes", "no"):
        raise InvalidRequest(f"'fill' is {listed(('yes', 'no'))}, not {export.fill!r:.60}")
    if export.fields:
        raise InvalidRequest("the documents of a run are sent all together, and not of some fields")
    lines: list[bytes] = []
    size = 0
    for name, doc in run.documents(fill=export.fill):
        lines.append(to_json_line({"name": name, "doc": doc}))
        size += len(lines[-1])
        if size > 1 << 16:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)


#: The first is what is sent when nothing is said.
CONTAINER_FORMATS: tuple[Format, ...] = (Format(JSON, _json, ("json",)),)
#: Of a container that is a run.
RUN_FORMATS: tuple[Format, ...] = (*CONTAINER_FORMATS, Format(JSON_SEQ, written_documents, ("json-seq",)))


def formats_of(container: ContainerNode) -> tuple[Format, ...]:
    """In which formats a container can be sent.

    Parameters
    ----------
    container : ContainerNode

    Returns
    -------
    tuple of Format
    """
    return RUN_FORMATS if isinstance(container, Documented) else CONTAINER_FORMATS
