"""Containers that are Datasets of xarray: as one table, and as files of netCDF."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid
from databroker_like.nodes import ArrayNode, Node
from databroker_like.tree._media import Format
from databroker_like.tree._words import JSON
from databroker_like.tree.formats._array import as_described
from databroker_like.tree.formats._container import CONTAINER_FORMATS, RUN_FORMATS, Documented
from databroker_like.tree.formats._container_hdf5 import array_into
from databroker_like.tree.formats._export import Export
from databroker_like.tree.formats._hdf5 import HDF5_TYPE, as_hdf5, hdf5_name, say
from databroker_like.tree.formats._table import ARROW_TYPE, TABLE_FORMATS, arrow_array

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from databroker_like.nodes import ContainerNode

__all__ = ["DATASET_FORMATS", "formats_of", "wide_table"]

#: What a container that is a Dataset promises to be.
_SPEC = "xarray_dataset"
NETCDF_TYPE = "application/netcdf"


def wide_table(export: Export) -> pa.Table:
    """The variables of a Dataset as columns beside one another.

    Parameters
    ----------
    export : Export
        Of a container of arrays; its fields are the variables that are wanted.

    Returns
    -------
    pyarrow.Table
        Variables of one axis and one length are columns as they are, and those without axes are repeated. Where there
        are others, a row stands for each combination of positions along all axes, as in ``Dataset.to_dataframe()``;
        the coordinates that belong to the axes come first.

    Raises
    ------
    NotFound
        When a variable is not there.
    Invalid
        When one is no array, or lengths do not fit together.
    TooLarge
    """
    import numpy as np
    import pyarrow as pa

    variables = _variables(export)
    shapes = [node.structure().shape for node in variables.values()]
    lengths = {shape[0] for shape in shapes if shape}
    is_wide = all(len(shape) <= 1 for shape in shapes) and len(lengths) <= 1
    if is_wide:
        rows = lengths.pop() if lengths else 1
        export.take(sum(rows * node.structure().data_type.itemsize for node in variables.values()))
        columns = {key: np.broadcast_to(_read(node), (rows,)) for key, node in variables.items()}
    else:
        columns = _long(export, variables)
    return pa.table({key: arrow_array(np.ascontiguousarray(column), key) for key, column in columns.items()})


def _variables(export: Export) -> dict[str, ArrayNode]:
    found = {}
    for key, node in export.chosen().items():
        if not isinstance(node, ArrayNode):
            raise Invalid(f"{key!r:.100} is no array, and a table is made of arrays: name others with 'field'")
        found[key] = node
    return found


def _read(node: ArrayNode) -> np.ndarray:
    return as_described(node.read(), node.structure())


def _long(export: Export, variables: Mapping[str, ArrayNode]) -> dict[str, np.ndarray]:
    """A row for each combination of positions along all axes."""
    import numpy as np

    sizes: dict[str, int] = {}
    for key, node in variables.items():
        structure = node.structure()
        dims = structure.dims or tuple(f"{key}_{axis}" for axis in range(structure.ndim))
        for dim, length in zip(dims, structure.shape, strict=True):
            if sizes.setdefault(dim, length) != length:
                raise Invalid(
                    f"the axis {dim!r:.100} has the lengths {sizes[dim]} and {length}: name some with 'field'"
                )
    coordinates = {dim: export.container.get(dim) for dim in sizes if dim not in variables}
    along = {dim: node for dim, node in coordinates.items() if isinstance(node, ArrayNode) and _is_along(node, dim)}
    named = {dim: variables[dim] for dim in sizes if dim in variables}
    columns = {**along, **named, **variables}
    rows = math.prod(sizes.values())
    export.take(sum(rows * node.structure().data_type.itemsize for node in columns.values()))
    axes = {dim: at for at, dim in enumerate(sizes)}
    found = {}
    for key, node in columns.items():
        array, dims = _read(node), node.structure().dims or tuple(f"{key}_{n}" for n in range(node.structure().ndim))
        places = [axes[dim] for dim in dims]
        placed = array.transpose(sorted(range(array.ndim), key=places.__getitem__))
        shape = [sizes[dim] if dim in dims else 1 for dim in sizes]
        found[key] = np.broadcast_to(placed.reshape(shape), tuple(sizes.values())).reshape(-1)
    return found


def _is_along(node: ArrayNode, dim: str) -> bool:
    return node.structure().dims == (dim,)


def _netcdf(export: Export) -> Iterator[bytes]:
    """A file of HDF5 as netCDF-4 has it: axes with names are dimensions that variables share."""
    variables = _variables(export)
    export.weigh(variables)

    def write(root: Any) -> None:
        _say_of(root, export.container)
        datasets = {key: array_into(root, hdf5_name(key), node) for key, node in variables.items()}
        for key, node in variables.items():
            _say_of(datasets[key], node)
        _share_axes(root, variables, datasets)
        others = [key for key, node in variables.items() if _is_coordinate(node) and not _is_along(node, key)]
        if others:
            root.attrs["coordinates"] = " ".join(others)

    return as_hdf5(write)


def _say_of(thing: Any, node: Node) -> None:
    """What xarray calls ``attrs`` as attributes, and the rest of the metadata too."""
    metadata = node.metadata
    attrs = metadata.get("attrs")
    said = {key: value for key, value in metadata.items() if key != "attrs"}
    say(thing, {**said, **(attrs if isinstance(attrs, Mapping) else {})})


def _is_coordinate(node: Node) -> bool:
    return any(spec.name == "xarray_coord" for spec in node.specs)


def _share_axes(root: Any, variables: Mapping[str, ArrayNode], datasets: Mapping[str, Any]) -> None:
    """Make the axes dimensions: the coordinate of the same name is its scale, or a scale that has nothing in it."""
    import numpy as np

    scales: dict[str, Any] = {}
    for key, node in variables.items():
        if _is_along(node, key):
            datasets[key].make_scale(key)
            scales[key] = datasets[key]
    for key, node in variables.items():
        structure = node.structure()
        dims = structure.dims or tuple(f"{key}_{axis}" for axis in range(structure.ndim))
        for axis, (dim, length) in enumerate(zip(dims, structure.shape, strict=True)):
            if dim == key and _is_along(node, key):
                continue
            if dim not in scales or scales[dim].shape[0] != length:
                name = hdf5_name(dim)
                while name in root:
                    name += "_"
                scale = root.create_dataset(name, shape=(length,), dtype=np.dtype(">f4"))
                scale.make_scale(f"This is a netCDF dimension but not a netCDF variable.{length:10d}")
                scales.setdefault(dim, scale)
            else:
                scale = scales[dim]
            datasets[key].dims[axis].attach_scale(scale)


def _of_table(write: Callable[[Any], Any]) -> Callable[[Export], Any]:
    return lambda export: write(wide_table(export))


_NAMED = {form.media_type: form for form in TABLE_FORMATS}
_CSV = _NAMED["text/csv"]


def _tabular(media_type: str) -> Format:
    return replace(_NAMED[media_type], write=_of_table(_NAMED[media_type].write))


#: The first is what the clients read; the others are exports.
DATASET_FORMATS: tuple[Format, ...] = (
    _tabular(ARROW_TYPE),
    _tabular("application/x-parquet"),
    _tabular("text/csv"),
    replace(_CSV, media_type="text/comma-separated-values", write=_of_table(_CSV.write), aliases=()),
    _tabular("text/plain"),
    _tabular("text/html"),
    _tabular("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    _tabular(JSON),
    Format(HDF5_TYPE, _netcdf, ("h5", "hdf5"), needs=("h5py",)),
    Format(NETCDF_TYPE, _netcdf, ("nc",), needs=("h5py",)),
)


def formats_of(container: ContainerNode) -> tuple[Format, ...]:
    """In which formats a container can be sent.

    Parameters
    ----------
    container : ContainerNode

    Returns
    -------
    tuple of Format
    """
    if any(spec.name == _SPEC for spec in container.specs):
        return DATASET_FORMATS
    return RUN_FORMATS if isinstance(container, Documented) else CONTAINER_FORMATS
