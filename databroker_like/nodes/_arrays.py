"""Nodes whose data is an array: dense, sparse, ragged or awkward."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from databroker_like.errors import OutOfRange
from databroker_like.nodes._node import Node
from databroker_like.slices import Slices, expand
from databroker_like.structures import (
    ArrayStructure,
    AwkwardStructure,
    RaggedStructure,
    SparseStructure,
    StructureFamily,
)

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ArrayNode", "AwkwardNode", "RaggedNode", "RaggedRows", "SparseNode", "inside_of"]

#: An array, or rows that are arrays, or that have rows in turn.
RaggedRows: TypeAlias = "np.ndarray | Sequence[RaggedRows]"


class ArrayNode(Node):
    """A node whose data is an array."""

    structure_family = StructureFamily.array

    @abstractmethod
    def structure(self) -> ArrayStructure:
        """The type, the shape, and how the array is cut into blocks."""

    @abstractmethod
    def read(self, slices: Slices = ()) -> np.ndarray:
        """A part of the array.

        Parameters
        ----------
        slices : tuple of int, slice or Ellipsis
            Everything by default.

        Returns
        -------
        numpy.ndarray

        Raises
        ------
        OutOfRange
            When an index lies beyond its axis, or there are more indexes than axes.
        """

    def read_block(self, block: Sequence[int], slices: Slices = ()) -> np.ndarray:
        """One of the blocks that the structure counts, or a part of it.

        Parameters
        ----------
        block : sequence of int
            Its number along each axis.
        slices : tuple of int, slice or Ellipsis
            Counted from where the block begins; all of it by default.

        Returns
        -------
        numpy.ndarray

        Raises
        ------
        OutOfRange
            When there is no such block, or an index lies beyond it.
        """
        return self.read(inside_of(self.structure().block_box(block), slices))


def inside_of(box: Sequence[slice], slices: Slices) -> Slices:
    """The part of an array that is a part of a box in it.

    Parameters
    ----------
    box : sequence of slice
        From a start to a stop along each axis.
    slices : tuple of int, slice or Ellipsis
        Counted from where the box begins.

    Returns
    -------
    tuple of int or slice

    Raises
    ------
    OutOfRange
        When an index lies beyond the box.
    """
    found: list[int | slice] = []
    for axis, (side, part) in enumerate(zip(box, expand(slices, len(box)), strict=True)):
        whole = range(side.start, side.stop)
        if isinstance(part, slice):
            some = whole[part]
            # A step backwards that ends at the first element has no stop that could be written as a number.
            stop = None if some.step < 0 and some.stop < 0 else some.stop
            found.append(slice(some.start, stop, some.step) if len(some) else slice(0, 0))
        elif -len(whole) <= part < len(whole):
            found.append(whole[part])
        else:
            raise OutOfRange(f"index {part} lies beyond axis {axis} of the block, which has the length {len(whole)}")
    return tuple(found)


class SparseNode(Node):
    """A node whose data is an array of which only some elements are there."""

    structure_family = StructureFamily.sparse

    @abstractmethod
    def structure(self) -> SparseStructure:
        """The type, the shape, and how the array is cut into blocks."""

    @abstractmethod
    def read(self, slices: Slices = ()) -> tuple[np.ndarray, np.ndarray]:
        """Where the elements of a part of the array are, and which they are.

        Parameters
        ----------
        slices : tuple of int, slice or Ellipsis
            Everything by default.

        Returns
        -------
        coordinates : numpy.ndarray
            Of the shape (axes, elements), counted from where the part begins.
        elements : numpy.ndarray
        """

    def count_elements(self) -> int | None:
        """How many elements are there; None where that is not known before they are read."""
        return None

    def read_block(self, block: Sequence[int], slices: Slices = ()) -> tuple[np.ndarray, np.ndarray]:
        """The elements of one of the blocks, or of a part of it; coordinates are counted from where that begins."""
        return self.read(inside_of(self.structure().block_box(block), slices))


class RaggedNode(Node):
    """A node whose data is an array with rows of different lengths."""

    structure_family = StructureFamily.ragged

    @abstractmethod
    def structure(self) -> RaggedStructure:
        """The type, the shape as far as it is one, and how many elements there are."""

    @abstractmethod
    def read(self, slices: Slices = ()) -> RaggedRows:
        """Rows of the array, each an array by itself, or a sequence of arrays where it has rows of its own; the one
        row, where an index names it; and an array of all where none of the axes that are left has different lengths.

        Parameters
        ----------
        slices : tuple of int, slice or Ellipsis
            Everything by default.

        Returns
        -------
        numpy.ndarray, or sequence of these, or of such sequences

        Raises
        ------
        OutOfRange
            When an index lies beyond its axis, in any row.
        """


class AwkwardNode(Node):
    """A node whose data is an awkward array."""

    structure_family = StructureFamily.awkward

    @abstractmethod
    def structure(self) -> AwkwardStructure:
        """Its length and form."""

    @abstractmethod
    def read_buffers(self, keys: Iterable[str] | None = None) -> dict[str, bytes | memoryview]:
        """The buffers that the form names.

        Parameters
        ----------
        keys : iterable of str, optional
            Names such as ``"node1-offsets"``, or such as ``"node1"`` for all buffers of a part of the form; all by
            default.

        Returns
        -------
        dict of str to bytes or memoryview

        Raises
        ------
        NotFound
            When there is no such buffer.
        """

    def count_bytes(self, keys: Iterable[str] | None = None) -> int | None:
        """How many bytes buffers have together, or all; None where that is not known before they are read."""
        return None
