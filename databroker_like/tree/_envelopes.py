"""A node as it is told on the wire: what it is, and under which links its data is."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from databroker_like.errors import InvalidRequest, listed, nearest
from databroker_like.nodes import ContainerNode, Node
from databroker_like.structures import StructureFamily
from databroker_like.tree._asked import Params
from databroker_like.tree._parameters import choice, flag, text, whole
from databroker_like.tree._select import selected
from databroker_like.tree._source_words import source_json
from databroker_like.utils._node_path import path_of

__all__ = ["DEPTH", "FIELDS", "Told", "enveloped", "node_json", "node_links"]

_FIELDS = ("metadata", "structure_family", "structure", "count", "sorting", "specs", "data_sources", "access_tags")
_MOST_FIELDS = 50
#: Containers with more in them are told without.
_MOST_TOLD = 500
#: So many nodes are told with those that they are in, in one answer.
_MOST_TOLD_IN_ALL = 2000
#: Containers in one another that are told together.
_DEEPEST_TOLD = 5

#: What of a node may be asked for.
FIELDS = (
    choice("fields", "An attribute that is wanted; all by default, none when empty.", ("", *_FIELDS), many=True),
    text("select_metadata", "The part of the metadata that is wanted, as JMESPath without functions.", longest=500),
    flag("omit_links", "Whether links are left out."),
    flag("include_data_sources", "Whether it is told of which files a node is read."),
)
#: How deep containers are told whole.
DEPTH = whole("max_depth", "How deep what is in small containers is told with them.", 0, _DEEPEST_TOLD, _DEEPEST_TOLD)


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
    with_sources : bool
        Whether it is told of which files a node is read; False by default.
    depth : int
        How deep what is in small containers is told with them.
    room : list of int
        How many more nodes may be told so, in this answer.
    """

    fields: frozenset[str] | None = None
    select: str | None = None
    with_links: bool = True
    with_sources: bool = False
    depth: int = _DEEPEST_TOLD
    room: list[int] = field(default_factory=lambda: [_MOST_TOLD_IN_ALL])

    @classmethod
    def of(cls, params: Params, *, but: Container[str] = ()) -> Told:
        """As the parameters of `FIELDS` say.

        Parameters
        ----------
        params : Params
        but : container of str, optional
            Names of those that mean something else.

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
        most: int = DEPTH.schema["maximum"]
        return cls(
            fields,
            params.one("select_metadata"),
            not params.flag("omit_links"),
            params.flag("include_data_sources") or (fields is not None and "data_sources" in fields),
            most if DEPTH.name in but else params.number(DEPTH.name, most, DEPTH.schema["minimum"], most),
        )

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
    metadata = node.metadata if told.tells("metadata") else None
    attributes: dict[str, Any] = {
        "ancestors": list(path[:-1]),
        "structure_family": node.structure_family.value if told.tells("structure_family") else None,
        "specs": [spec.to_json() for spec in node.specs] if told.tells("specs") else None,
        "metadata": _selected(metadata, told),
        "structure": None,
        "access_tags": None,
        "sorting": None,
        "data_sources": source_json(node) if told.with_sources else None,
    }
    if told.tells("structure"):
        attributes["structure"] = structure = node.structure().to_json()
        if isinstance(node, ContainerNode) and told.depth and node.is_told_whole:
            structure["contents"] = _contents(node, path, base, told)
    elif isinstance(node, ContainerNode) and told.tells("count"):
        attributes["structure"] = {"contents": None, "count": node.count()}
    if isinstance(node, ContainerNode) and told.tells("sorting"):
        attributes["sorting"] = [{"key": key, "direction": direction} for key, direction in node.sorting]
    with_all = told.fields is None or bool(told.fields)
    return {
        "id": path[-1] if path else "",
        "attributes": attributes,
        "links": node_links(node, path, base, with_all=with_all) if told.with_links else None,
        "meta": _meta(node, metadata),
    }


def _contents(node: ContainerNode, path: Sequence[str], base: str, told: Told) -> dict[str, Any] | None:
    """What is in a container, when that is not much."""
    count = node.count()
    if count > min(_MOST_TOLD, told.room[0]):
        return None
    told.room[0] -= count
    _, inside = node.page(0, count)
    deeper = replace(told, depth=told.depth - 1)
    return {key: node_json(one, (*path, key), base, deeper) for key, one in inside}


def _selected(metadata: Mapping[str, Any] | None, told: Told) -> Any:
    return metadata if metadata is None or told.select is None else {"selected": selected(metadata, told.select)}


def _meta(node: Node, metadata: Mapping[str, Any] | None) -> dict[str, str] | None:
    """By what a client that keeps a finished run knows that it was changed: its start and stop may be as they were."""
    # Of a run that goes on nothing is told, and it need not be looked for.
    if not metadata or not metadata.get("stop") or not _is_run(node):
        return None
    version = node.version
    if version is None:
        return None
    return {"version": hashlib.blake2b(repr(version).encode(errors="surrogatepass"), digest_size=16).hexdigest()}


def _is_run(node: Node) -> bool:
    """Whether it is a run, of which more is told than the protocol has."""
    return isinstance(node, ContainerNode) and hasattr(type(node), "parts")


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
    where = path_of(path)
    links = {"self": f"{base}/metadata/{where}"}
    if not with_all:
        return links
    family = node.structure_family
    if family is StructureFamily.container:
        links["search"] = f"{base}/search/{where}"
        links["search_deep"] = f"{base}/search-deep/{where}"
        links["full"] = f"{base}/container/full/{where}"
        if _is_run(node):
            links["documents"] = f"{base}/documents/{where}"
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
