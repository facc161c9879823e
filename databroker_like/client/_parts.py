"""Parts of arrays as they are asked for: forward, piece by piece, and put in order when they are there."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from databroker_like.errors import OutOfRange
from databroker_like.slices import expand

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Part", "part_of", "pieces", "slices_of"]

#: Positions along each axis, ascending.
Box = tuple[range, ...]


@dataclass(frozen=True)
class Part:
    """A part of an array.

    Parameters
    ----------
    box : tuple of range
        The positions along each axis, ascending: servers need not know of steps backwards.
    flipped : tuple of int
        The axes that were asked for in the other direction.
    dropped : tuple of int
        The axes of which one position was asked for, which are not part of the result.
    """

    box: Box
    flipped: tuple[int, ...]
    dropped: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(map(len, self.box))

    def finished(self, array: np.ndarray) -> np.ndarray:
        """What was asked for, of an array with the elements of the box.

        Parameters
        ----------
        array : numpy.ndarray
            With all axes.

        Returns
        -------
        numpy.ndarray
        """
        forward, backward = slice(None), slice(None, None, -1)
        turned: list[Any] = [backward if axis in self.flipped else forward for axis in range(array.ndim)]
        for axis in self.dropped:
            turned[axis] = 0
        return array[tuple(turned)] if self.flipped or self.dropped else array


def part_of(slices: Any, shape: Sequence[int]) -> Part:
    """The part of an array that an index means.

    Parameters
    ----------
    slices : int, slice, Ellipsis, a tuple of these, or None
        None is all of it.
    shape : sequence of int
        Of the array.

    Returns
    -------
    Part

    Raises
    ------
    Invalid
        When it is something else, or has more axes than the array.
    OutOfRange
        When a position lies beyond its axis.

    Examples
    --------
    >>> part_of((slice(None, None, -1), 0), (5, 3))
    Part(box=(range(0, 5), range(0, 1)), flipped=(0,), dropped=(1,))
    """
    box: list[range] = []
    flipped, dropped = [], []
    indexes = expand(() if slices is None else slices, len(shape))
    for axis, (index, length) in enumerate(zip(indexes, shape, strict=True)):
        if isinstance(index, slice):
            positions = range(length)[index]
            if positions.step < 0:
                flipped.append(axis)
                positions = positions[::-1]
        else:
            if not -length <= index < length:
                raise OutOfRange(f"index {index} lies beyond axis {axis}, which has the length {length}")
            dropped.append(axis)
            positions = range(index % length, index % length + 1)
        box.append(positions)
    return Part(tuple(box), tuple(flipped), tuple(dropped))


def slices_of(box: Box) -> tuple[slice, ...]:
    """Positions as slices; what is one position stays an axis."""
    return tuple(slice(p.start, p[-1] + 1 if p else p.start, None if p.step == 1 else p.step) for p in box)


def pieces(
    box: Box, chunks: Sequence[Sequence[int]], itemsize: int, wanted_bytes: int, most_bytes: int
) -> Iterator[tuple[slice, ...]]:
    """A box cut into pieces that are not too large, where the array is cut as well.

    Parameters
    ----------
    box : tuple of range
    chunks : sequence of sequence of int
        The lengths of the array's own pieces along each axis.
    itemsize : int
        The bytes of an element.
    wanted_bytes : int
        Of a piece. One that lies in one of the array's own is larger, because a server reads all of that for any part.
    most_bytes : int
        Of any piece.

    Returns
    -------
    iterator of tuple of slice
        Where each piece stands among the positions of the box.

    Examples
    --------
    >>> list(pieces((range(6), range(2)), ((2, 2, 2), (2,)), 1, 8, 100))
    [(slice(0, 4, None), slice(0, 2, None)), (slice(4, 6, None), slice(0, 2, None))]
    >>> list(pieces((range(6),), ((6,),), 1, 2, 4))
    [(slice(0, 3, None),), (slice(3, 6, None),)]
    """
    edges = [_edges(positions, cuts) for positions, cuts in zip(box, chunks, strict=True)]
    waiting = [tuple(slice(0, len(positions)) for positions in box)]
    while waiting:
        piece = waiting.pop()
        size = math.prod(s.stop - s.start for s in piece) * itemsize
        axis, cut = _cut(piece, edges) if size > wanted_bytes else (None, 0)
        if axis is None and size > most_bytes:
            # It lies in one piece of the array's own, which is too large as well.
            axis = next((axis for axis, s in enumerate(piece) if s.stop - s.start > 1), None)
            cut = 0 if axis is None else (piece[axis].start + piece[axis].stop + 1) // 2
        if axis is None:
            yield piece
            continue
        # The first half is looked at first, so that the pieces come in order.
        for half in (slice(cut, piece[axis].stop), slice(piece[axis].start, cut)):
            waiting.append((*piece[:axis], half, *piece[axis + 1 :]))


def _edges(positions: range, cuts: Sequence[int]) -> list[int]:
    """Where the array's own pieces end, among the positions."""
    return sorted({bisect_left(positions, edge) for edge in accumulate(cuts)})


def _cut(piece: tuple[slice, ...], edges: Sequence[Sequence[int]]) -> tuple[int | None, int]:
    """The first axis along which the array is cut inside of a piece, and where that is nearest to the middle."""
    for axis, (taken, there) in enumerate(zip(piece, edges, strict=True)):
        inside = there[bisect_right(there, taken.start) : bisect_left(there, taken.stop)]
        if inside:
            middle = (taken.start + taken.stop + 1) // 2
            return axis, min(inside, key=lambda edge: (abs(edge - middle), -edge))
    return None, 0
