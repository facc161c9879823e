"""The routes that send data: arrays, tables, containers, the documents of runs."""

from __future__ import annotations

from databroker_like.nodes import BrokenNode, ContainerNode, TableNode
from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._media import Format, chosen
from databroker_like.tree.formats._container import JSON_SEQ, written_documents
from databroker_like.tree.formats._dataset import formats_of
from databroker_like.tree.formats._export import Export
from databroker_like.tree.routes._array import array_block, array_full
from databroker_like.tree.routes._awkward import awkward_buffers, awkward_full
from databroker_like.tree.routes._portions import columns_of, sent
from databroker_like.tree.routes._ragged import ragged_full
from databroker_like.tree.routes._run_parts import run_part
from databroker_like.tree.routes._table import table_full, table_partition

__all__ = [
    "array_block",
    "array_full",
    "awkward_buffers",
    "awkward_full",
    "container_full",
    "documents",
    "node_full",
    "ragged_full",
    "table_full",
    "table_partition",
]


def container_full(asked: Asked) -> Reply:
    """GET or POST /container/full/{path}: a container with all that is in it, or the documents of a run.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    container: ContainerNode = asked.node_of(ContainerNode)
    if isinstance(container, BrokenNode):
        # As a container of nothing it can be listed; there is no data to send.
        raise container.error
    form = chosen(asked, formats_of(container))
    return sent(
        asked, form, Export(container, columns_of(asked) or (), asked.settings, asked.params.one("fill") or "no")
    )


def documents(asked: Asked) -> Reply:
    """GET /documents/{path}: the documents of a run, one a line; or with ``part``, a part of the run.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    node = asked.node_of(ContainerNode)
    if asked.params.one("part") is not None:
        return run_part(asked, node)
    export = Export(node, (), asked.settings, asked.params.one("fill") or "no")
    return sent(asked, Format(JSON_SEQ, written_documents), export)


def node_full(asked: Asked) -> Reply:
    """GET /node/full/{path}: a table or a container, as older clients ask for it.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    return (
        table_full(asked) if isinstance(asked.node_of(TableNode, ContainerNode), TableNode) else container_full(asked)
    )
