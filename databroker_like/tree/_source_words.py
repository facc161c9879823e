"""The files of which a node is read, as they are told on the wire: by names inside what is served, and by numbers."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from databroker_like.nodes import Asset, ContainerNode, Node

__all__ = ["source_json"]


def source_json(node: Node) -> list[dict[str, Any]]:
    """The data source of a node: the files that it is read from, or none where it has data without files.

    Parameters
    ----------
    node : Node

    Returns
    -------
    list of dict
        With nothing of where the files lie on this machine: a ``data_uri`` is a relative one.
    """
    source = node.data_source()
    if source is None and isinstance(node, ContainerNode):
        return []
    return [
        {
            "id": 1,
            "structure_family": node.structure_family.value,
            "structure": node.structure().to_json(),
            "mimetype": None if source is None else source.media_type,
            "parameters": {} if source is None else dict(source.parameters),
            "properties": {},
            "assets": [] if source is None else [_asset_json(n, asset) for n, asset in enumerate(source.assets, 1)],
            # Whoever copies a node without files to another server takes its data along.
            "management": "writable" if source is None else "external",
        }
    ]


def _asset_json(number: int, asset: Asset) -> dict[str, Any]:
    return {
        "id": number,
        "data_uri": quote(asset.name),
        "is_directory": asset.is_directory,
        "parameter": asset.parameter,
        "num": asset.num,
        "size": None if asset.is_directory else _size(asset),
    }


def _size(asset: Asset) -> int | None:
    try:
        return asset.path.stat().st_size
    except OSError:  # It is not there any more, which who asks for it is told.
        return None
