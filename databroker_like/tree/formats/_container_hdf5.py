"""Containers with all that is in them as files of HDF5: groups, datasets, and what is said of them as attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.nodes import ArrayNode, AwkwardNode, ContainerNode, Node, RaggedNode, SparseNode, TableNode
from databroker_like.tree.formats._array import as_described
from databroker_like.tree.formats._export import Export
from databroker_like.tree.formats._hdf5 import as_hdf5, boxes_of, dataset_of, hdf5_name, say
from databroker_like.tree.formats._ragged import Ragged
from databroker_like.tree.formats._table import column_into

if TYPE_CHECKING:
    import numpy as np

__all__ = ["array_into", "container_hdf5"]


def container_hdf5(export: Export) -> Iterator[bytes]:
    """A container as a file of HDF5, read block by block.

    Parameters
    ----------
    export : Export

    Returns
    -------
    iterator of bytes

    Raises
    ------
    NotFound
        When a field is not there.
    TooLarge
        When it is more than may be sent at once.
    """
    chosen = export.chosen()
    export.weigh(chosen)

    def write(root: Any) -> None:
        say(root, export.container.metadata)
        for key, node in chosen.items():
            _into(root, hdf5_name(key), node, export)

    return as_hdf5(write)


def _into(group: Any, name: str, node: Node, export: Export) -> None:
    """A node in a group, as a dataset where it is a dense array, and else as a group."""
    if isinstance(node, ArrayNode):
        say(array_into(group, name, node), node.metadata)
        return
    inside = group.create_group(name, track_order=True)
    say(inside, node.metadata)
    if isinstance(node, ContainerNode):
        for key, one in node.items(0, export.settings.most_nodes):
            _into(inside, hdf5_name(key), one, export)
    elif isinstance(node, TableNode):
        is_weighed = node.count_bytes() is not None
        for column in node.structure().columns:
            table = node.read([column])
            if not is_weighed:
                export.take(table.nbytes)
            column_into(inside, hdf5_name(column), table.column(0), column)
    elif isinstance(node, SparseNode):
        coordinates, elements = node.read()
        export.take(coordinates.nbytes + elements.nbytes)
        inside.attrs["shape"] = node.structure().shape
        _arrays(inside, {"coordinates": coordinates, "data": elements})
    elif isinstance(node, RaggedNode):
        structure = node.structure()
        levels = sum(length is None for length in structure.shape)
        inner = tuple(length for length in structure.shape[1:] if length is not None)
        found = Ragged(node.read(), levels, structure.data_type.to_numpy_dtype(), inner)
        flat = found.flat()
        export.take(flat.data.nbytes)
        _arrays(inside, {**{f"offsets{level}": one for level, one in enumerate(flat.offsets)}, "data": flat.data})
    elif isinstance(node, AwkwardNode):
        _buffers(inside, node, export)


def _buffers(group: Any, node: AwkwardNode, export: Export) -> None:
    import numpy as np

    structure = node.structure()
    say(group, {"length": structure.length, "form": dict(structure.form)})
    buffers = node.read_buffers()
    export.take(sum(map(len, buffers.values())))
    _arrays(group, {name: np.frombuffer(buffer, np.uint8) for name, buffer in buffers.items()})


def _arrays(group: Any, arrays: Mapping[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        whole = ((slice(None),) * array.ndim, array)
        dataset_of(group, hdf5_name(name), array.shape, array.dtype, iter([whole]))


def array_into(group: Any, name: str, node: ArrayNode) -> Any:
    """An array as a dataset, read block by block.

    Parameters
    ----------
    group : h5py.Group
    name : str
    node : ArrayNode

    Returns
    -------
    h5py.Dataset
    """
    structure = node.structure()
    blocks = ((box, as_described(node.read_block(block), structure)) for block, box in boxes_of(structure.chunks))
    return dataset_of(group, name, structure.shape, structure.data_type.to_numpy_dtype(), blocks)
