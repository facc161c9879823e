"""What a node of the Tiled protocol says of its data: frozen dataclasses, written and read as on the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from databroker_like.errors import Invalid, listed
from databroker_like.structures._arrays import MOST_AXES, ArrayStructure, Chunks, SparseStructure, regular_chunks
from databroker_like.structures._dtypes import (
    BuiltinDtype,
    DataType,
    Field,
    StructuredDtype,
    data_type_from_json,
    data_type_of,
)
from databroker_like.structures._others import AwkwardStructure, ContainerStructure, RaggedStructure, TableStructure
from databroker_like.structures._spec import Spec, StructureFamily

__all__ = [
    "MOST_AXES",
    "ArrayStructure",
    "AwkwardStructure",
    "BuiltinDtype",
    "Chunks",
    "ContainerStructure",
    "DataType",
    "Field",
    "RaggedStructure",
    "SparseStructure",
    "Spec",
    "Structure",
    "StructureFamily",
    "StructuredDtype",
    "TableStructure",
    "data_type_from_json",
    "data_type_of",
    "regular_chunks",
    "structure_from_json",
]

Structure = ArrayStructure | AwkwardStructure | ContainerStructure | RaggedStructure | SparseStructure | TableStructure

_READ: Mapping[str, Callable[[Mapping[str, Any]], Structure]] = {
    StructureFamily.array: ArrayStructure.from_json,
    StructureFamily.awkward: AwkwardStructure.from_json,
    StructureFamily.container: ContainerStructure.from_json,
    StructureFamily.ragged: RaggedStructure.from_json,
    StructureFamily.sparse: SparseStructure.from_json,
    StructureFamily.table: TableStructure.from_json,
}


def structure_from_json(family: str, obj: Mapping[str, Any]) -> Structure:
    """The structure of a node of some family, from the wire.

    Parameters
    ----------
    family : str
        A `StructureFamily`.
    obj : mapping

    Returns
    -------
    Structure

    Raises
    ------
    Invalid
        When it is none, or there is no such family.

    Examples
    --------
    >>> structure_from_json("container", {"contents": None, "count": 2})
    ContainerStructure(count=2, contents=None)
    """
    read = _READ.get(family)
    if read is None:
        raise Invalid(f"there is no structure family {family!r}; there is {listed(_READ)}")
    return read(obj)
