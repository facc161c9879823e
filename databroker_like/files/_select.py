"""Indexing as arithmetic: a key becomes one range per axis, and nothing here knows of files."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

from databroker_like.errors import OutOfRange, WrongType

__all__ = ["Box", "Selection", "forward", "lengths", "plain", "select", "slices"]

#: One range per axis of an array; a step may be negative until `forward` turns it around.
Box = tuple[range, ...]


@dataclass(frozen=True)
class Selection:
    """What a key means for an array of known shape.

    Parameters
    ----------
    box : tuple of range
        What to read, one range per axis of the array.
    view : tuple
        Index into an array of the box's lengths that gives the answer: drops the axes that an integer took and
        adds those that ``None`` asked for.
    inverse : tuple
        Index into an array of the answer's shape that gives a view of the box's lengths.
    """

    box: Box
    view: tuple[Any, ...]
    inverse: tuple[Any, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the answer."""
        sizes = iter(lengths(self.box))
        shape: list[int] = []
        for item in self.view:
            if item is None:
                shape.append(1)
                continue
            size = next(sizes)
            if isinstance(item, slice):
                shape.append(size)
        return tuple(shape)


def lengths(box: Box) -> tuple[int, ...]:
    """How many elements a box has along each axis.

    Examples
    --------
    >>> lengths((range(0, 10, 3), range(2)))
    (4, 2)
    """
    return tuple(len(r) for r in box)


def select(key: Any, shape: tuple[int, ...]) -> Selection:
    """What a numpy basic-indexing key means for a shape.

    Parameters
    ----------
    key : int, slice, Ellipsis, None or a tuple of them
    shape : tuple of int

    Returns
    -------
    Selection

    Raises
    ------
    OutOfRange
        For a position beyond the end, or more indices than axes.
    WrongType
        For anything else, such as an array of positions.

    Examples
    --------
    >>> select((-1, slice(None, None, 2)), (5, 4)).box
    (range(4, 5), range(0, 4, 2))
    """
    key = plain(key)
    items = key if isinstance(key, tuple) else (key,)
    taken = sum(1 for item in items if item is not None and item is not Ellipsis)
    if taken > len(shape):
        raise OutOfRange(f"too many indices: {taken} for an array of shape {shape}; give at most {len(shape)}")
    ellipses = sum(1 for item in items if item is Ellipsis)
    if ellipses > 1:
        raise OutOfRange("an index can have only one ellipsis ('...')")
    if not ellipses:
        items = (*items, Ellipsis)
    box: list[range] = []
    view: list[Any] = []
    inverse: list[Any] = []
    for item in items:
        if item is Ellipsis:
            for _ in range(len(shape) - taken):
                box.append(range(shape[len(box)]))
                view.append(slice(None))
                inverse.append(slice(None))
        elif item is None:
            view.append(None)
            inverse.append(0)
        elif isinstance(item, slice):
            box.append(range(shape[len(box)])[item])
            view.append(slice(None))
            inverse.append(slice(None))
        else:
            size = shape[len(box)]
            if not -size <= item < size:
                raise OutOfRange(f"index {item} is out of range for axis {len(box)} of size {size}")
            position = item % size
            box.append(range(position, position + 1))
            view.append(0)
            inverse.append(None)
    # The ellipsis makes it a view where there is no axis at all, too.
    return Selection(tuple(box), tuple(view), (*inverse, ...))


def plain(key: Any) -> Any:
    """A key in plain Python: integers of any make become ``int``; what is no basic index is refused.

    Examples
    --------
    >>> plain((1, slice(2), ...))
    (1, slice(None, 2, None), Ellipsis)
    """
    return tuple(_checked(item) for item in key) if isinstance(key, tuple) else _checked(key)


def _checked(item: Any) -> Any:
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    kind = getattr(getattr(item, "dtype", None), "kind", "")
    if isinstance(item, bool) or kind == "b" or (kind and item.ndim):
        raise WrongType(
            f"a lazy array takes integers, slices, '...' and None, not {type(item).__name__}; "
            "read it with numpy.asarray(array) and index that"
        )
    try:
        return operator.index(item)
    except TypeError:
        raise WrongType(
            f"a lazy array takes integers, slices, '...' and None, not {type(item).__name__}; "
            "read it with numpy.asarray(array) and index that"
        ) from None


def forward(out: Any, box: Box) -> tuple[Any, Box]:
    """The same reading with every step positive: ranges turned around, and the view of ``out`` with them.

    Parameters
    ----------
    out : ndarray
        Of the box's lengths.
    box : tuple of range

    Returns
    -------
    tuple of (ndarray, tuple of range)
        A view of ``out``, and the box with positive steps only.
    """
    if all(r.step > 0 for r in box):
        return out, box
    turn = tuple(slice(None, None, -1) if r.step < 0 else slice(None) for r in box)
    return out[turn], tuple(r[::-1] if r.step < 0 else r for r in box)


def slices(box: Box) -> tuple[slice, ...]:
    """A box with positive steps as the slices that numpy, h5py and zarr take.

    Examples
    --------
    >>> slices((range(1, 8, 3),))
    (slice(1, 8, 3),)
    """
    return tuple(slice(r.start, r[-1] + 1 if r else r.start, r.step) for r in box)
