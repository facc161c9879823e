"""Containers as JSON and HDF5, and those that are runs as their documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from databroker_like.errors import InvalidRequest, listed
from databroker_like.nodes import ContainerNode, Node
from databroker_like.tree._media import Format
from databroker_like.tree._words import JSON, to_json, to_json_line
from databroker_like.tree.formats._container_hdf5 import container_hdf5
from databroker_like.tree.formats._export import Export
from databroker_like.tree.formats._hdf5 import HDF5_TYPE

__all__ = ["CONTAINER_FORMATS", "JSON_SEQ", "RUN_FORMATS", "Documented", "written_documents"]

JSON_SEQ = "application/json-seq"


@runtime_checkable
class Documented(Protocol):
    """A node that is a run, and has documents."""

    def documents(self, *, fill: str) -> Iterator[tuple[str, Any]]:
        """Names and documents, in order; ``fill`` is ``"yes"`` or ``"no"``."""


def _json(export: Export) -> bytes:
    contents = {key: _taken(export, node, 1) for key, node in export.chosen().items()}
    return to_json({"contents": contents, "metadata": export.container.metadata})


def _taken(export: Export, node: Node, depth: int) -> dict[str, Any]:
    """A node with all that is in it."""
    left = export.enter(depth)
    contents: dict[str, Any] = {}
    if isinstance(node, ContainerNode):
        contents = {key: _taken(export, inside, depth + 1) for key, inside in node.items(0, left + 1)}
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
CONTAINER_FORMATS: tuple[Format, ...] = (
    Format(JSON, _json, ("json",)),
    Format(HDF5_TYPE, container_hdf5, ("h5", "hdf5"), needs=("h5py",)),
)
#: Of a container that is a run.
RUN_FORMATS: tuple[Format, ...] = (*CONTAINER_FORMATS, Format(JSON_SEQ, written_documents, ("json-seq",)))
