"""The routes of arrays, dense and sparse: all of one, or a block."""

from __future__ import annotations

from databroker_like.nodes import ArrayNode, SparseNode
from databroker_like.slices import Slices, sliced_shape
from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._media import chosen
from databroker_like.tree.formats._array import ARRAY_FORMATS, as_described
from databroker_like.tree.formats._sparse import SPARSE_FORMATS
from databroker_like.tree.routes._portions import block_of, bytes_of, check_bytes, check_shape, sent, slices_of

__all__ = ["array_block", "array_full"]


def array_full(asked: Asked) -> Reply:
    """GET /array/full/{path}: an array, or the part that ``slice`` names.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    node: ArrayNode | SparseNode = asked.node_of(ArrayNode, SparseNode)
    slices = slices_of(asked)
    return _part(asked, node, None, slices, slices, "ask for blocks, or for slices")


def array_block(asked: Asked) -> Reply:
    """GET /array/block/{path}: one block of an array, or a part of it.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    node: ArrayNode | SparseNode = asked.node_of(ArrayNode, SparseNode)
    block, part = block_of(asked, node.structure())
    return _part(asked, node, block, slices_of(asked), part, "ask for a slice of the block")


def _part(
    asked: Asked,
    node: ArrayNode | SparseNode,
    block: tuple[int, ...] | None,
    slices: Slices,
    part: Slices,
    cure: str,
) -> Reply:
    """The part that slices name in a block, or in all; ``part`` is where that lies in the whole array."""
    form = chosen(asked, ARRAY_FORMATS if isinstance(node, ArrayNode) else SPARSE_FORMATS)
    structure = node.structure()
    shape = sliced_shape(part, structure.shape)
    check_shape(asked, shape)
    itemsize = structure.data_type.itemsize
    if isinstance(node, ArrayNode):
        check_bytes(asked, bytes_of(shape, itemsize), cure)
        array = node.read(slices) if block is None else node.read_block(block, slices)
        return sent(asked, form, as_described(array, node.structure()))
    # No more elements than there are, and no more than the part has room for.
    room, there = bytes_of(shape, 1), node.count_elements()
    bytes_each = itemsize + 8 * len(shape)
    if there is not None:
        check_bytes(asked, min(room, there) * bytes_each, cure)
    coordinates, elements = node.read(slices) if block is None else node.read_block(block, slices)
    check_bytes(asked, len(elements) * bytes_each, cure)
    return sent(asked, form, (coordinates, elements))
