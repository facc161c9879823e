"""A tree as zarr sees it: its containers and tables are groups, its arrays and columns are arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from databroker_like.errors import DatabrokerError, NotFound
from databroker_like.nodes import ArrayNode, ContainerNode, Node, TableNode
from databroker_like.structures import ArrayStructure
from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._tags import content_tag, data_tag, is_known
from databroker_like.tree._words import JSON, to_json
from databroker_like.tree.formats._array import array_octets, as_described
from databroker_like.tree.formats._zarr import array_v2, array_v3, boxed, chunk_shape, group_v3, padded, type_in_v3
from databroker_like.tree.routes._portions import bytes_of, check_bytes
from databroker_like.tree.routes._ranges import partly

__all__ = ["zarr_v2", "zarr_v3"]

Group = ContainerNode | TableNode

#: A group tells of all that is in it when that is no more; a wire has no other way to list it.
_MOST_INSIDE = 100
_OCTETS = "application/octet-stream"


def zarr_v2(asked: Asked) -> Reply:
    """GET /zarr/v2/{path}: what the second format has at this path of a store.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    node, key = _located(asked)
    match node, key:
        case ((ArrayNode() | ContainerNode() | TableNode()), [".zattrs"]):
            return _json(asked, _attributes_v2(node))
        case ArrayNode(), [".zarray"]:
            return _json(asked, array_v2(node.structure()))
        case ArrayNode(), [chunk]:
            return _chunk(asked, node, _numbers(chunk.split(".")), None)
        case ((ContainerNode() | TableNode()), [".zgroup"]):
            return _json(asked, {"zarr_format": 2})
        case ((ContainerNode() | TableNode()), [".zmetadata"]):
            inside = _inside(node)
            if inside is not None:
                return _json(asked, _consolidated_v2(node, inside))
    raise _nothing(asked)


def zarr_v3(asked: Asked) -> Reply:
    """GET /zarr/v3/{path}: what the third format has at this path of a store.

    Parameters
    ----------
    asked : Asked

    Returns
    -------
    Reply
    """
    node, key = _located(asked)
    match node, key:
        case ArrayNode(), ["zarr.json"]:
            return _json(asked, _said_v3(node))
        case ArrayNode(), ["c", *chunk]:
            structure = node.structure()
            return _chunk(asked, node, _numbers(chunk), type_in_v3(structure.data_type.to_numpy_dtype())[2])
        case ((ContainerNode() | TableNode()), ["zarr.json"]):
            inside = _inside(node)
            said = None if inside is None else {path: _said_v3(one) for path, one in inside.items()}
            return _json(asked, group_v3(_attributes(node), said))
    raise _nothing(asked)


def _located(asked: Asked) -> tuple[Node, list[str]]:
    """The node that a path begins with, as far as nodes are in one another, and what follows."""
    node: Node = asked.root
    segments = asked.segments
    for at, key in enumerate(segments):
        inside = node.get(key) if isinstance(node, ContainerNode | TableNode) else None
        if inside is None:
            return node, list(segments[at:])
        node = inside
    return node, []


def _nothing(asked: Asked) -> NotFound:
    return NotFound(
        f"zarr has nothing at {'/'.join(asked.segments)!r:.300}: it sees containers and tables as groups, and arrays"
    )


def _numbers(texts: list[str]) -> tuple[int, ...] | None:
    if all(text.isascii() and text.isdigit() and len(text) < 20 for text in texts):
        return tuple(map(int, texts))
    return None


def _chunk(asked: Asked, node: ArrayNode, chunk: tuple[int, ...] | None, dtype: Any) -> Reply:
    structure = node.structure()
    if chunk == (0,) and not structure.shape:
        chunk = ()  # as the second format writes it
    box = None if chunk is None else boxed(structure, chunk)
    if box is None:
        raise _nothing(asked)
    # Told before the chunk is read: who has it is sent nothing.
    tag = data_tag(asked, "zarr", node)
    if is_known(tag, asked.has):
        return Reply(b"", _OCTETS, {"ETag": tag or ""}, 304)
    lengths = chunk_shape(structure)
    check_bytes(asked, bytes_of(lengths, structure.data_type.itemsize), "read it by slices over the API")
    part = as_described(node.read(box), structure)
    if dtype is not None and part.dtype != dtype:
        part = part.astype(dtype)
    return partly(asked, array_octets(padded(part, lengths)), _OCTETS, tag)


def _json(asked: Asked, said: Any) -> Reply:
    content = to_json(said)
    return partly(asked, content, JSON, content_tag(content))


# -- what is said of nodes --------------------------------------------------------------------------------------------


def _attributes(node: Node) -> dict[str, Any]:
    """What is said of a node; for what xarray wrote, as xarray says it."""
    attrs = node.metadata.get("attrs")
    is_of_xarray = any(spec.name.startswith("xarray_") for spec in node.specs)
    said = dict(attrs if is_of_xarray and isinstance(attrs, Mapping) else node.metadata)
    if is_of_xarray and isinstance(node, ContainerNode):
        others = [
            key
            for key, one in node.items(0, _MOST_INSIDE)
            if any(spec.name == "xarray_coord" for spec in one.specs)
            and isinstance(one, ArrayNode)
            and one.structure().dims != (key,)
        ]
        if others:
            said.setdefault("coordinates", " ".join(others))
    return said


def _attributes_v2(node: Node) -> dict[str, Any]:
    said = _attributes(node)
    structure = node.structure()
    if isinstance(structure, ArrayStructure) and structure.dims is not None:
        said["_ARRAY_DIMENSIONS"] = list(structure.dims)
    return said


def _said_v3(node: Node) -> dict[str, Any]:
    if isinstance(node, ArrayNode):
        return array_v3(node.structure(), _attributes(node))
    return group_v3(_attributes(node), {})


def _consolidated_v2(node: Group, inside: Mapping[str, Node]) -> dict[str, Any]:
    found: dict[str, Any] = {".zgroup": {"zarr_format": 2}, ".zattrs": _attributes_v2(node)}
    for path, one in inside.items():
        is_array = isinstance(one, ArrayNode)
        found[f"{path}/{'.zarray' if is_array else '.zgroup'}"] = (
            array_v2(one.structure()) if isinstance(one, ArrayNode) else {"zarr_format": 2}
        )
        found[f"{path}/.zattrs"] = _attributes_v2(one)
    return {"zarr_consolidated_format": 1, "metadata": found}


class _TooMany(Exception):
    """There is more in a group than it tells of."""


def _inside(node: Group) -> dict[str, Node] | None:
    """Path -> array or group of all that is in a group; None when that is much, or some of it cannot be looked at."""
    found: dict[str, Node] = {}
    try:
        for path, one in _walked(node, ""):
            found[path] = one
            if len(found) > _MOST_INSIDE:
                return None
    except (_TooMany, DatabrokerError):
        return None
    return found


def _walked(node: Group, above: str) -> Iterator[tuple[str, Node]]:
    if isinstance(node, ContainerNode):
        if node.count() > _MOST_INSIDE:
            raise _TooMany
        inside: Any = node.items(0, _MOST_INSIDE)
    else:
        structure = node.structure()
        # The type of a column is known when it is read.
        if len(structure.columns) > _MOST_INSIDE or structure.npartitions > 1:
            raise _TooMany
        inside = ((name, node.get(name)) for name in structure.columns)
    for key, one in inside:
        if not key or "/" in key or key in (".", ".."):  # zarr takes it for another path
            continue
        if isinstance(one, ArrayNode):
            if _has_word(one):
                yield f"{above}{key}", one
        elif isinstance(one, ContainerNode | TableNode):
            yield f"{above}{key}", one
            yield from _walked(one, f"{above}{key}/")


def _has_word(node: ArrayNode) -> bool:
    """Whether zarr has a word for the elements of an array, and the array can be looked at."""
    try:
        type_in_v3(node.structure().data_type.to_numpy_dtype())
    except DatabrokerError:
        return False
    return True
