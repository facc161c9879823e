"""The data of one node, read from one server and written to another, family by family."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from databroker_like.client._side_by_side import side_by_side
from databroker_like.client._writing._arrays import put_array, put_block
from databroker_like.client._writing._bodies import regular, schema_of
from databroker_like.client._writing._buffers import ZIP, awkward_parts, ragged_parts
from databroker_like.client._writing._others import put_ragged, put_sparse, put_sparse_block
from databroker_like.client._writing._sending import data_link, send
from databroker_like.client._writing._tables import add_rows, fitted, put_partition
from databroker_like.client.array import ArrayClient
from databroker_like.client.awkward import AwkwardClient
from databroker_like.client.container import Container
from databroker_like.client.dataframe import DataFrameClient
from databroker_like.client.ragged import RaggedClient
from databroker_like.client.sparse import SparseClient
from databroker_like.errors import NotOffered
from databroker_like.structures import Structure, TableStructure

__all__ = ["PLAIN", "Plan", "plan_of"]

#: The classes by family alone: what a spec makes of a container hides what lies in it.
PLAIN: Mapping[str, Any] = {
    "array": ArrayClient,
    "awkward": AwkwardClient,
    "container": Container,
    "ragged": RaggedClient,
    "sparse": SparseClient,
    "table": DataFrameClient,
}

_APPENDABLE = "application/x-tiled-sql-table"
_RAGGED = "application/x-ragged+sql"
#: What is not larger is read and written whole.
_AT_ONCE = 32 << 20
#: So much of one node is held at a time, and no fewer than one block.
_HELD = 128 << 20


@dataclass(frozen=True)
class Plan:
    """How a node is to be made, and how its data is written into it once it is.

    Parameters
    ----------
    structure : Structure
    mimetype : str or None
        In which it is to lie, where the server is told.
    write : callable
        Takes the client of the node that was made.
    """

    structure: Structure
    mimetype: str | None
    write: Callable[[Any], None]


def plan_of(source: Any) -> Plan:
    """How the data of a node is copied.

    Parameters
    ----------
    source : BaseClient
        Of one of the classes in `PLAIN`.

    Returns
    -------
    Plan

    Raises
    ------
    NotOffered
        When it is of a family that is not known here.
    """
    found = _PLANS.get(source.structure_family)
    if found is None:
        raise NotOffered(f"{source.uri} is of the family {source.structure_family!r}, which is not copied")
    return found(source)


def _array(source: ArrayClient) -> Plan:
    told = source.structure()
    structure = replace(told, chunks=regular(told.chunks, told.shape, told.data_type.itemsize))

    def write(made: Any) -> None:
        if not structure.nbytes:
            return
        if structure.nbytes <= _AT_ONCE:
            put_array(made.context, made.item, structure, source.read(), True)
            return

        def copy(block: tuple[int, ...]) -> None:
            put_block(made.context, made.item, structure, block, source.read(structure.block_box(block)))

        largest = structure.data_type.itemsize
        for lengths in structure.chunks:
            largest *= max(lengths)
        _by_blocks(made, copy, structure.chunks, largest)

    return Plan(structure, None, write)


def _by_blocks(
    made: Any, copy: Callable[[tuple[int, ...]], None], chunks: Iterable[Sequence[int]], largest: int
) -> None:
    numbers = list(itertools.product(*(range(len(lengths)) for lengths in chunks)))
    at_once = max(1, min(4, _HELD // max(1, largest)))
    side_by_side(made.context, copy, numbers, "copying", at_once=at_once)


def _table(source: DataFrameClient) -> Plan:
    told = source.structure()
    # Servers keep some names for themselves.
    schema_of(told.schema)
    partitions = max(1, told.npartitions)
    structure = TableStructure.from_schema(told.schema, partitions)
    appendable = any(found.get("mimetype") == _APPENDABLE for found in source.data_sources() or ())

    def write(made: Any) -> None:
        def copy(at: int) -> None:
            found = source._partition(at, None) if told.npartitions else told.schema.empty_table()
            # Some servers send an index besides, of their own making.
            names = [name for name in found.schema.names if name in told.columns]
            table = fitted(found.select(names), told, source.uri)
            if not appendable:
                put_partition(made.context, made.item, at, table)
            elif table.num_rows:
                add_rows(made.context, made.item, at, table)

        side_by_side(made.context, copy, range(partitions), "copying", at_once=4)

    return Plan(structure, _APPENDABLE if appendable else None, write)


def _awkward(source: AwkwardClient) -> Plan:
    # The buffers as they are sent hold what the array has, and that is what is written.
    structure, body = awkward_parts(source.read())

    def write(made: Any) -> None:
        send(made.context, "PUT", data_link(made.item, "full"), content=body, content_type=ZIP)

    return Plan(structure, None, write)


def _sparse(source: SparseClient) -> Plan:
    structure = source.structure()

    def write(made: Any) -> None:
        if all(len(lengths) == 1 for lengths in structure.chunks):
            found = source.read()
            put_sparse(made.context, made.item, found.coords, found.data, structure.shape)
            return

        def copy(block: tuple[int, ...]) -> None:
            found = source.read_block(block)
            put_sparse_block(made.context, made.item, found.coords, found.data, structure, block)

        _by_blocks(made, copy, structure.chunks, 0)

    return Plan(structure, None, write)


def _ragged(source: RaggedClient) -> Plan:
    told = source.structure()
    found = source.read()
    structure, body = ragged_parts(found, told.dims, told.data_type.to_numpy_dtype(), depth=len(told.shape))
    structure = replace(structure, chunks=(told.chunks[0], *structure.chunks[1:]))

    def write(made: Any) -> None:
        put_ragged(made.context, made.item, structure, found, body, True)

    return Plan(structure, _RAGGED, write)


_PLANS: Mapping[str, Callable[[Any], Plan]] = {
    "array": _array,
    "awkward": _awkward,
    "ragged": _ragged,
    "sparse": _sparse,
    "table": _table,
}
