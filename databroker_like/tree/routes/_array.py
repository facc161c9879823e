"""The routes of arrays, dense and sparse: all of one, or a block."""

from __future__ import annotations

from collections.abc import Sequence

from databroker_like.nodes import ArrayNode, SparseNode
from databroker_like.nodes._arrays import inside_of
from databroker_like.nodes._run_leaves import EventArray
from databroker_like.slices import Slices, sliced_shape
from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._media import chosen
from databroker_like.tree.formats._array import ARRAY_FORMATS, as_described
from databroker_like.tree.formats._sparse import SPARSE_FORMATS
from databroker_like.tree.routes._portions import (
    block_of,
    bytes_of,
    check_bytes,
    check_shape,
    sent,
    shape_expected,
    slices_of,
)

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
    slices = slices_of(asked) or _rows_expected(asked, node, node.structure().shape)
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
    structure = node.structure()
    block, part = block_of(asked, structure)
    slices = slices_of(asked)
    if not slices and (slices := _rows_expected(asked, node, sliced_shape(part, structure.shape))):
        part = inside_of(structure.block_box(block), slices)
    return _part(asked, node, block, slices, part, "ask for a slice of the block")


def _rows_expected(asked: Asked, node: ArrayNode | SparseNode, shape: Sequence[int]) -> Slices:
    """The first rows of an array of events, as many as a caller expects of a run that has gone on meanwhile."""
    if not isinstance(node, EventArray) or node.version is not None:
        return ()
    wanted = shape_expected(asked)
    is_more = wanted is not None and len(wanted) == len(shape) > 0 and wanted[0] < shape[0]
    return (slice(0, wanted[0]),) if wanted is not None and is_more and wanted[1:] == tuple(shape[1:]) else ()


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
