"""Whether the data of a node is what its structure says, for each structure family."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from databroker_like.errors import Invalid, NoSuchColumn, NotFound, OutOfRange
from databroker_like.nodes import ArrayNode, Node
from databroker_like.structures import StructureFamily

__all__ = ["CHECKS", "same_data"]

#: Of what is larger, one block or partition is read.
_MOST_BYTES = 8 << 20
_MOST_BLOCKS = 64
_SLICES = 25


def same_data(node: Node) -> Any:
    """The data of a node as something that can be compared; of what is large, a part.

    Parameters
    ----------
    node : Node

    Returns
    -------
    object
    """
    some: Any = node
    if node.structure_family is StructureFamily.array:
        structure = some.structure()
        small = structure.nbytes <= _MOST_BYTES
        data = some.read() if small else some.read_block((0,) * len(structure.shape))
        return (data.shape, str(data.dtype), np.ascontiguousarray(data).tobytes())
    if node.structure_family is StructureFamily.table:
        return repr(some.read_partition(0).slice(0, 1000).to_pydict())
    if node.structure_family is StructureFamily.sparse:
        return repr([part.tolist() for part in some.read()])
    if node.structure_family is StructureFamily.ragged:
        return repr([np.asarray(row).tolist() for row in some.read()])
    if node.structure_family is StructureFamily.awkward:
        return sorted(some.read_buffers().items())
    return list(itertools.islice(some.keys(), 1000))


def _check_array(node: Any, what: str) -> None:
    structure = node.structure()
    shape, dtype = structure.shape, structure.data_type.to_numpy_dtype()
    assert tuple(map(sum, structure.chunks)) == shape, f"the blocks of {what} do not make up its shape {shape}"
    first = node.read_block((0,) * len(shape))
    _assert_alike(first, _box_shape(structure, (0,) * len(shape)), dtype, f"the first block of {what}")
    with pytest.raises(OutOfRange):
        node.read_block(tuple(len(cuts) for cuts in structure.chunks) or (0,))
    with pytest.raises(OutOfRange):
        node.read((0,) * (len(shape) + 1) if all(shape) else (slice(None),) * (len(shape) + 1))
    if shape:
        with pytest.raises(OutOfRange):
            node.read((shape[0],))
    if structure.nbytes > _MOST_BYTES:
        return
    whole = node.read()
    _assert_alike(whole, shape, dtype, what)
    chooser = random.Random(len(shape))  # noqa: S311 - the same each time, and no secret
    for _ in range(_SLICES if shape else 1):
        key = tuple(_index(chooser, length) for length in shape[: chooser.randint(1, len(shape))]) if shape else ()
        found, expected = node.read(key), np.asarray(whole[key], dtype)
        _assert_alike(found, expected.shape, dtype, f"{key} of {what}")
        _assert_equal(found, expected, f"{key} of {what} is not what numpy gives")
    for number in itertools.islice(np.ndindex(*(len(cuts) for cuts in structure.chunks)), _MOST_BLOCKS):
        block = node.read_block(number)
        _assert_equal(block, whole[structure.block_box(number)], f"block {number} of {what} is not that part of it")


def _index(chooser: random.Random, length: int) -> int | slice:
    if length and chooser.random() < 0.3:
        return chooser.randrange(-length, length)
    step = chooser.choice([None, 1, 2, 3, -1, -2])
    ends = [None, *range(-length - 1, length + 2)]
    return slice(chooser.choice(ends), chooser.choice(ends), step)


def _box_shape(structure: Any, number: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(side.stop - side.start for side in structure.block_box(number))


def _assert_alike(data: Any, shape: tuple[int, ...], dtype: np.dtype, what: str) -> None:
    assert isinstance(data, np.ndarray | np.generic), f"{what} is {type(data).__name__}, and not an array of numpy"
    assert tuple(data.shape) == tuple(shape), f"{what} has the shape {data.shape}, and its structure says {shape}"
    assert data.dtype == dtype, f"{what} is of type {data.dtype}, and its structure says {dtype}"


def _assert_equal(found: Any, expected: Any, otherwise: str) -> None:
    same = np.ascontiguousarray(found).tobytes() == np.ascontiguousarray(expected).tobytes()
    assert same or np.array_equal(found, expected), otherwise


def _check_table(node: Any, what: str) -> None:
    structure = node.structure()
    assert structure.npartitions >= 1, f"{what} has no partition; a table without rows has one"
    assert structure.schema.names == list(structure.columns), f"the columns of {what} are not those of its schema"
    parts = [node.read_partition(number) for number in range(min(structure.npartitions, _MOST_BLOCKS))]
    for part in parts:
        assert part.schema.equals(structure.schema), f"a partition of {what} has another schema than its structure says"
    for number in (-1, structure.npartitions):
        with pytest.raises(OutOfRange):
            node.read_partition(number)
    with pytest.raises(NoSuchColumn):
        node.read_partition(0, ["no such column"])
    with pytest.raises(NoSuchColumn):
        node.read(["no such column"])
    assert node.get("no such column") is None, f"{what} has a node for a column that is not there"
    backwards = list(reversed(structure.columns))[:20]
    assert node.read_partition(0, backwards).column_names == backwards, f"columns of {what} are not as they were named"
    if structure.npartitions > _MOST_BLOCKS or sum(part.nbytes for part in parts) > _MOST_BYTES:
        return
    whole = node.read()
    rows = [row for part in parts for row in part.to_pylist()]
    assert repr(rows) == repr(whole.to_pylist()), f"the partitions of {what} do not make it up"
    some = node.read_rows(None, 1, 3)
    assert repr(some.to_pylist()) == repr(rows[1:3]), f"rows 1 to 3 of {what} are others than those of the whole"
    for name in structure.columns[:20]:
        column = node.get(name)
        assert isinstance(column, ArrayNode), f"column {name!r} of {what} is no array"
        try:
            column.structure()
        except Invalid:
            continue  # Records and lists of different lengths are no array.
        _check_array(column, f"column {name!r} of {what}")


def _check_sparse(node: Any, what: str) -> None:
    structure = node.structure()
    places, elements = node.read()
    assert places.shape == (len(structure.shape), len(elements)), f"{what} has {len(elements)} elements elsewhere"
    for axis, (along, length) in enumerate(zip(places, structure.shape, strict=True)):
        assert ((along >= 0) & (along < length)).all(), f"an element of {what} lies beyond axis {axis}"
    whole = _dense(places, elements, structure.shape)
    for number in itertools.islice(np.ndindex(*(len(cuts) for cuts in structure.chunks)), _MOST_BLOCKS):
        box = structure.block_box(number)
        here, found = node.read_block(number)
        block = _dense(here, found, _box_shape(structure, number))
        _assert_equal(block, whole[box], f"block {number} of {what} is not that part of it")


def _dense(places: Any, elements: Any, shape: tuple[int, ...]) -> Any:
    made = np.zeros(shape, elements.dtype)
    made[tuple(places)] = elements
    return made


def _check_ragged(node: Any, what: str) -> None:
    structure = node.structure()
    rows = node.read()
    assert len(rows) == structure.shape[0], f"{what} has {len(rows)} rows, and its structure says {structure.shape[0]}"
    if len(rows):
        first = node.read((0,))
        assert np.asarray(first).tolist() == np.asarray(rows[0]).tolist(), f"row 0 of {what} is another by itself"
    with pytest.raises(OutOfRange):
        node.read((len(rows),))


def _check_awkward(node: Any, what: str) -> None:
    buffers = node.read_buffers()
    for name, content in buffers.items():
        assert node.read_buffers([name]) == {name: content}, f"buffer {name!r} of {what} is another by itself"
    with pytest.raises(NotFound):
        node.read_buffers(["no such buffer"])


#: Structure family -> what checks the data of its nodes.
CHECKS: Mapping[StructureFamily, Callable[[Any, str], None]] = MappingProxyType(
    {
        StructureFamily.array: _check_array,
        StructureFamily.table: _check_table,
        StructureFamily.sparse: _check_sparse,
        StructureFamily.ragged: _check_ragged,
        StructureFamily.awkward: _check_awkward,
    }
)
