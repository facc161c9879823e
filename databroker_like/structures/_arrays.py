"""Arrays, dense and sparse: the type of their elements, their shape, and how they are cut into pieces."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from databroker_like.errors import Invalid, OutOfRange, WrongType
from databroker_like.structures._dtypes import BuiltinDtype, DataType, data_type_from_json, data_type_of
from databroker_like.structures._json import Json, as_resizable, counts, plain_resizable, taken, texts

__all__ = ["MOST_AXES", "ArrayStructure", "Chunks", "SparseStructure", "regular_chunks"]

Chunks = tuple[tuple[int, ...], ...]
Resizable = bool | tuple[bool, ...]

#: As many as numpy has.
MOST_AXES = 64
#: Data is cut into pieces of so many bytes where nothing else says how it lies.
_CHUNK_BYTES = 16 << 20


def regular_chunks(shape: Sequence[int], itemsize: int, *, most_bytes: int = _CHUNK_BYTES) -> Chunks:
    """Pieces of whole rows where rows are small, and of parts of one row where they are not.

    Parameters
    ----------
    shape : sequence of int
    itemsize : int
        The bytes of an element.
    most_bytes : int
        Of a piece; 16 MB by default.

    Returns
    -------
    tuple of tuple of int
        The lengths of the pieces along each axis.

    Examples
    --------
    >>> regular_chunks((5, 3), 8, most_bytes=48)
    ((2, 2, 1), (3,))
    >>> regular_chunks((2, 5), 8, most_bytes=16)
    ((1, 1), (2, 2, 1))
    """
    room = max(1, most_bytes // max(1, itemsize))
    steps: list[int] = []
    for length in reversed(shape):
        step = max(1, min(length, room))
        room = max(1, room // step) if step == length or not length else 1
        steps.append(step)
    return tuple(_cut(length, step) for length, step in zip(shape, reversed(steps), strict=True))


def _cut(length: int, step: int) -> tuple[int, ...]:
    whole, rest = divmod(length, step)
    return (step,) * whole + ((rest,) if rest else ()) or (0,)


@dataclass(frozen=True)
class ArrayStructure:
    """An array: the type of its elements, its shape, and how it is cut into pieces.

    Parameters
    ----------
    data_type : BuiltinDtype or StructuredDtype
    chunks : tuple of tuple of int
        The lengths of the pieces along each axis.
    shape : tuple of int
    dims : tuple of str, optional
        The names of the axes.
    resizable : bool or tuple of bool
        Whether it may grow; False by default.

    Examples
    --------
    >>> import numpy
    >>> described = ArrayStructure.from_array(numpy.ones((5, 3)))
    >>> described.shape, described.chunks, described.nbytes
    ((5, 3), ((5,), (3,)), 120)
    >>> ArrayStructure.from_json(described.to_json()) == described
    True
    """

    data_type: DataType
    chunks: Chunks
    shape: tuple[int, ...]
    dims: tuple[str, ...] | None = None
    resizable: Resizable = False

    @classmethod
    def from_array(
        cls, array: Any, *, chunks: Chunks | None = None, dims: Iterable[str] | None = None
    ) -> ArrayStructure:
        """Of anything with a ``shape`` and a ``dtype``.

        Parameters
        ----------
        array : array-like
        chunks : tuple of tuple of int, optional
            Those that a dask array says, or `regular_chunks`.
        dims : iterable of str, optional

        Returns
        -------
        ArrayStructure

        Raises
        ------
        Invalid
            When its elements are Python objects.
        """
        data_type = data_type_of(array.dtype)
        shape = tuple(map(int, array.shape))
        if chunks is None:
            chunks = _told(array) or regular_chunks(shape, data_type.itemsize)
        return cls(data_type, chunks, shape, None if dims is None else tuple(dims))

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self.size * self.data_type.itemsize

    def block_box(self, block: Sequence[int]) -> tuple[slice, ...]:
        """Where a piece lies in the array.

        Parameters
        ----------
        block : sequence of int
            Its number along each axis; negative ones are not taken.

        Returns
        -------
        tuple of slice

        Raises
        ------
        OutOfRange
            When there is no such piece.
        """
        return block_box(self.chunks, block)

    def to_json(self) -> dict[str, Any]:
        """As on the wire."""
        return {
            "data_type": self.data_type.to_json(),
            "chunks": list(map(list, self.chunks)),
            "shape": list(self.shape),
            "dims": None if self.dims is None else list(self.dims),
            "resizable": plain_resizable(self.resizable),
        }

    @classmethod
    def from_json(cls, obj: Json) -> ArrayStructure:
        """From the wire.

        Raises
        ------
        Invalid
            When it is none, or the pieces do not make up the shape.
        """
        data_type = data_type_from_json(taken(obj, "data_type", "array", Mapping))
        return cls(data_type, *laid_out(obj, "array"))


def _told(array: Any) -> Chunks | None:
    """The chunks that dask says; what h5py and zarr call so is something else."""
    told: Any = getattr(array, "chunks", None)
    is_told = isinstance(told, tuple) and len(told) == len(array.shape) and all(isinstance(c, tuple) for c in told)
    return tuple(tuple(map(int, cuts)) for cuts in told) if is_told else None


_INT64 = BuiltinDtype("little", "i", 8)


@dataclass(frozen=True)
class SparseStructure:
    """An array of which only some elements are there, each with its coordinates.

    Parameters
    ----------
    data_type : BuiltinDtype or StructuredDtype
    chunks, shape, dims, resizable
        As of `ArrayStructure`.
    coord_data_type : BuiltinDtype
        ``int64`` by default.
    layout : str
        ``"COO"``, a list of coordinates.
    """

    data_type: DataType
    chunks: Chunks
    shape: tuple[int, ...]
    dims: tuple[str, ...] | None = None
    resizable: Resizable = False
    coord_data_type: BuiltinDtype = _INT64
    layout: str = "COO"

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def block_box(self, block: Sequence[int]) -> tuple[slice, ...]:
        """Where a piece lies in the array; OutOfRange when there is no such piece."""
        return block_box(self.chunks, block)

    def to_json(self) -> dict[str, Any]:
        """As on the wire."""
        return {
            "chunks": list(map(list, self.chunks)),
            "shape": list(self.shape),
            "data_type": self.data_type.to_json(),
            "coord_data_type": self.coord_data_type.to_json(),
            "dims": None if self.dims is None else list(self.dims),
            "resizable": plain_resizable(self.resizable),
            "layout": self.layout,
        }

    @classmethod
    def from_json(cls, obj: Json) -> SparseStructure:
        """From the wire; Invalid when it is none."""
        data_type = data_type_from_json(taken(obj, "data_type", "sparse array", Mapping))
        coordinates = taken(obj, "coord_data_type", "sparse array", Mapping, None)
        layout = taken(obj, "layout", "sparse array", str, "COO")
        if layout != "COO":
            raise Invalid(f"a sparse array lies as 'COO', not as {layout!r}")
        coord_data_type = _INT64 if coordinates is None else BuiltinDtype.from_json(coordinates)
        return cls(data_type, *laid_out(obj, "sparse array"), coord_data_type, layout)


def block_box(chunks: Chunks, block: Sequence[int]) -> tuple[slice, ...]:
    """Where a piece lies in the array that pieces make up.

    Parameters
    ----------
    chunks : tuple of tuple of int
    block : sequence of int
        Its number along each axis.

    Returns
    -------
    tuple of slice

    Raises
    ------
    OutOfRange
        When there is no such piece.
    WrongType
        When it is something else.
    """
    try:
        block = [operator.index(number) for number in block]
    except TypeError:
        axes = len(chunks)
        shown = tuple([0] * axes)
        raise WrongType(
            f"a block is named by a number along each of {axes} axes, as {shown}, not {block!r:.100}"
        ) from None
    if len(block) != len(chunks) or any(not 0 <= n < len(cuts) for n, cuts in zip(block, chunks, strict=True)):
        there = ",".join(str(len(cuts)) for cuts in chunks)
        said = ",".join(map(str, block))
        raise OutOfRange(f"there is no block {said!r}; along the {len(chunks)} axes there are {there!r}, from 0")
    ends = [list(itertools.accumulate(cuts)) for cuts in chunks]
    return tuple(slice(end[n] - cuts[n], end[n]) for n, cuts, end in zip(block, chunks, ends, strict=True))


def laid_out(obj: Json, what: str) -> tuple[Chunks, tuple[int, ...], tuple[str, ...] | None, Resizable]:
    """Chunks, shape, names of axes and whether it may grow, from the wire; Invalid where they do not fit together."""
    shape = counts(taken(obj, "shape", what, list))
    if len(shape) > MOST_AXES:
        raise Invalid(f"an array of {len(shape)} axes; {MOST_AXES} are allowed")
    chunks = tuple(counts(cuts) for cuts in taken(obj, "chunks", what, list))
    if tuple(map(sum, chunks)) != shape:
        raise Invalid(f"chunks of lengths {[list(c) for c in chunks]!r:.200} do not make up the shape {list(shape)}")
    dims = texts(taken(obj, "dims", what, list, None), "dims")
    if dims is not None and len(dims) != len(shape):
        raise Invalid(f"{len(dims)} names for an array of {len(shape)} axes")
    return chunks, shape, dims, as_resizable(obj.get("resizable"))
