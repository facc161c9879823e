"""A node as it is told on the wire: what it is, and under which links its data is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from databroker_like.errors import InvalidRequest, listed, nearest
from databroker_like.nodes import ContainerNode, Node
from databroker_like.structures import StructureFamily
from databroker_like.tree._asked import Params
from databroker_like.tree._select import selected

__all__ = ["Told", "enveloped", "node_json", "node_links", "quoted"]

_FIELDS = ("metadata", "structure_family", "structure", "count", "sorting", "specs", "data_sources", "access_tags")
_MOST_FIELDS = 50


@dataclass(frozen=True)
class Told:
    """What of a node is told.

    Parameters
    ----------
    fields : frozenset of str or None
        Names of attributes; None is all.
    select : str or None
        Which part of the metadata, as JMESPath.
    with_links : bool
        True by default.
    """

    fields: frozenset[str] | None = None
    select: str | None = None
    with_links: bool = True

    @classmethod
    def of(cls, params: Params) -> Told:
        """As the parameters ``fields``, ``select_metadata`` and ``omit_links`` say.

        Parameters
        ----------
        params : Params

        Returns
        -------
        Told

        Raises
        ------
        InvalidRequest
            When there is no such field.
        """
        names = params.many("fields")
        if len(names) > _MOST_FIELDS:
            raise InvalidRequest(f"'fields' is given {len(names)} times; there are {len(_FIELDS)}")
        for name in names:
            if name and name not in _FIELDS:
                raise InvalidRequest(
                    f"there is no field {name!r:.60}; there is {listed(nearest(name, _FIELDS) or _FIELDS)}"
                )
        fields = frozenset(filter(None, names)) if names else None
        return cls(fields, params.one("select_metadata"), not params.flag("omit_links"))

    def tells(self, field: str) -> bool:
        """Whether an attribute is told."""
        return self.fields is None or field in self.fields


def enveloped(data: Any, links: Any = None, meta: Any = None) -> dict[str, Any]:
    """What every JSON answer of the protocol is in."""
    return {"data": data, "error": None, "links": links, "meta": {} if meta is None else meta}


def node_json(node: Node, path: Sequence[str], base: str, told: Told) -> dict[str, Any]:
    """A node on the wire.

    Parameters
    ----------
    node : Node
    path : sequence of str
        Where it is.
    base : str
        The URL under which the routes are.
    told : Told

    Returns
    -------
    dict
    """
    attributes: dict[str, Any] = {
        "ancestors": list(path[:-1]),
        "structure_family": node.structure_family.value if told.tells("structure_family") else None,
        "specs": [spec.to_json() for spec in node.specs] if told.tells("specs") else None,
        "metadata": _metadata(node, told) if told.tells("metadata") else None,
        "structure": None,
        "access_tags": None,
        "sorting": None,
        "data_sources": [] if told.fields is not None and "data_sources" in told.fields else None,
    }
    if told.tells("structure"):
        attributes["structure"] = node.structure().to_json()
    elif isinstance(node, ContainerNode) and told.tells("count"):
        attributes["structure"] = {"contents": None, "count": node.count()}
    if isinstance(node, ContainerNode) and told.tells("sorting"):
        attributes["sorting"] = [{"key": key, "direction": direction} for key, direction in node.sorting]
    with_all = told.fields is None or bool(told.fields)
    return {
        "id": path[-1] if path else "",
        "attributes": attributes,
        "links": node_links(node, path, base, with_all=with_all) if told.with_links else None,
        "meta": None,
    }


def _metadata(node: Node, told: Told) -> Any:
    metadata = node.metadata
    return metadata if told.select is None else {"selected": selected(metadata, told.select)}


def quoted(path: Sequence[str]) -> str:
    """A path as it stands in a URL.

    Parameters
    ----------
    path : sequence of str

    Returns
    -------
    str

    Examples
    --------
    >>> quoted(["a", "b/c d"])
    'a/b%2Fc%20d'
    """
    return "/".join(quote(key, safe="") for key in path)


def node_links(node: Node, path: Sequence[str], base: str, *, with_all: bool = True) -> dict[str, str]:
    """Under which URLs a node and its data are.

    Parameters
    ----------
    node : Node
    path : sequence of str
    base : str
    with_all : bool
        False gives the link of the node alone, for which its structure need not be known; True by default.

    Returns
    -------
    dict
    """
    where = quoted(path)
    links = {"self": f"{base}/metadata/{where}"}
    if not with_all:
        return links
    family = node.structure_family
    if family is StructureFamily.container:
        links["search"] = f"{base}/search/{where}"
        links["full"] = f"{base}/container/full/{where}"
    elif family is StructureFamily.table:
        links["full"] = f"{base}/table/full/{where}"
        links["partition"] = f"{base}/table/partition/{where}?partition={{index}}"
    elif family in (StructureFamily.array, StructureFamily.sparse):
        axes = ",".join(f"{{{axis}}}" for axis in range(len(node.structure().shape)))  # type: ignore[union-attr]
        links["full"] = f"{base}/array/full/{where}"
        links["block"] = f"{base}/array/block/{where}?block={axes}"
    elif family is StructureFamily.awkward:
        links["buffers"] = f"{base}/awkward/buffers/{where}"
        links["full"] = f"{base}/awkward/full/{where}"
    else:
        links["full"] = f"{base}/ragged/full/{where}"
    return links
