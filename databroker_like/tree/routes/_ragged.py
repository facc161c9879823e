"""The route of ragged arrays."""

from __future__ import annotations

from databroker_like.nodes import RaggedNode
from databroker_like.slices import expand
from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._media import chosen
from databroker_like.tree.formats._ragged import RAGGED_FORMATS, Ragged
from databroker_like.tree.routes._portions import check_bytes, sent, slices_of

__all__ = ["ragged_full"]


def ragged_full(asked: Asked) -> Reply:
    """GET /ragged/full/{path}: a ragged array, or the part that ``slice`` names.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    node: RaggedNode = asked.node_of(RaggedNode)
    form, structure, slices = chosen(asked, RAGGED_FORMATS), node.structure(), slices_of(asked)
    parts = expand(slices, len(structure.shape))
    kept = [(length, part) for length, part in zip(structure.shape, parts, strict=True) if isinstance(part, slice)]
    itemsize = structure.data_type.itemsize
    if all(part == slice(None) for _, part in kept) and len(kept) == len(parts):
        check_bytes(asked, structure.size * itemsize + 8 * (structure.shape[0] or 0), "ask for slices")
    rows = node.read(slices)
    # The outermost axis of what is left has one length, whatever it was before.
    levels = sum(length is None for length, _ in kept[1:])
    inner = tuple(len(range(*part.indices(length))) for length, part in kept[1:] if length is not None)
    found = Ragged(rows, levels, structure.data_type.to_numpy_dtype(), inner)
    check_bytes(asked, found.nbytes, "ask for slices")
    return sent(asked, form, found)
