"""The routes of awkward arrays: all of one, or some of its buffers."""

from __future__ import annotations

from databroker_like.errors import InvalidRequest
from databroker_like.nodes import AwkwardNode
from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._media import Format, chosen
from databroker_like.tree.formats._awkward import AWKWARD_FORMATS, Buffers
from databroker_like.tree.routes._portions import check_bytes, sent, texts_in

__all__ = ["awkward_buffers", "awkward_full"]

_MOST_KEYS = 10_000


def awkward_full(asked: Asked) -> Reply:
    """GET /awkward/full/{path}: an awkward array.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    return _buffers(asked, None, AWKWARD_FORMATS)


def awkward_buffers(asked: Asked) -> Reply:
    """GET or POST /awkward/buffers/{path}: the buffers that ``form_key`` names, or a list that was sent; all without.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    keys = asked.params.many("form_key") or None
    if asked.body is not None:
        listed = texts_in(asked.body, 'buffers are named in a list of texts, such as ["node1-offsets"]')
        keys = [*(keys or ()), *listed]
    if keys is not None and len(keys) > _MOST_KEYS:
        raise InvalidRequest(f"{len(keys)} buffers; {_MOST_KEYS} can be asked for at once")
    return _buffers(asked, None if keys is None else list(dict.fromkeys(keys)), AWKWARD_FORMATS[:1])


def _buffers(asked: Asked, keys: list[str] | None, formats: tuple[Format, ...]) -> Reply:
    node: AwkwardNode = asked.node_of(AwkwardNode)
    form, cure = chosen(asked, formats), "ask for some of its buffers"
    known = node.count_bytes(keys)
    if known is not None:
        check_bytes(asked, known, cure)
    buffers = node.read_buffers(keys)
    check_bytes(asked, sum(map(len, buffers.values())), cure)
    return sent(asked, form, Buffers(node.structure(), buffers))
