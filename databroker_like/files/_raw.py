"""Elements that lie in a file one after the other, read where they are and nowhere else.

A memory map would do it in one line; but a file that is cut short while it is mapped takes the process with it.
"""

from __future__ import annotations

import math
from typing import IO, TYPE_CHECKING

from databroker_like.files._select import Box, lengths

if TYPE_CHECKING:
    import numpy as np

__all__ = ["read_elements"]

#: What lies between elements that are wanted is read along with them, up to so many bytes at once.
_SPAN_BYTES = 4 << 20


def read_elements(
    file: IO[bytes], offset: int, dtype: np.dtype, shape: tuple[int, ...], out: np.ndarray, box: Box
) -> None:
    """Read a box of an array that lies in a file in one piece, in the order of C.

    Parameters
    ----------
    file : file object
        Open for reading bytes, without a buffer best.
    offset : int
        Where the array begins.
    dtype : numpy.dtype
        Of the elements in the file.
    shape : tuple of int
        Of the whole array.
    out : ndarray
        Of the lengths of the box.
    box : tuple of range
        With steps that are positive, and lengths that are not zero.

    Raises
    ------
    EOFError
        When the file ends before.

    Examples
    --------
    >>> import io, numpy
    >>> out = numpy.empty((2, 2), "u1")
    >>> read_elements(io.BytesIO(bytes(range(12))), 0, numpy.dtype("u1"), (3, 4), out, (range(0, 3, 2), range(1, 3)))
    >>> out.tolist()
    [[1, 2], [9, 10]]
    """
    if not dtype.itemsize:
        return  # Texts of no length.
    strides = [dtype.itemsize] * len(shape)
    for axis in reversed(range(len(shape) - 1)):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    _read(file, offset, dtype, tuple(strides), out, box)


def _read(file: IO[bytes], offset: int, dtype: np.dtype, strides: tuple[int, ...], out: np.ndarray, box: Box) -> None:
    import numpy as np

    first = offset + sum(r.start * stride for r, stride in zip(box, strides, strict=True))
    span = sum((r[-1] - r.start) * stride for r, stride in zip(box, strides, strict=True)) + dtype.itemsize
    wanted = math.prod(lengths(box)) * dtype.itemsize
    if span == wanted and out.flags.c_contiguous and out.dtype == dtype and out.ndim:
        # Elements of some types have no buffer of their own kind; bytes have.
        _fill(file, first, out.reshape(-1).view(np.uint8).data)
        return
    if span <= _SPAN_BYTES or span == wanted == dtype.itemsize:
        held = np.empty(span, np.uint8)
        _fill(file, first, held.data)
        steps = tuple(r.step * stride for r, stride in zip(box, strides, strict=True))
        out[...] = np.ndarray(lengths(box), dtype, held.data, 0, steps)
        return
    axis = next(axis for axis, r in enumerate(box) if len(r) > 1)
    half = len(box[axis]) // 2
    for part, low, high in ((box[axis][:half], 0, half), (box[axis][half:], half, len(box[axis]))):
        index = (slice(None),) * axis + (slice(low, high),)
        _read(file, offset, dtype, strides, out[index], (*box[:axis], part, *box[axis + 1 :]))


def _fill(file: IO[bytes], at: int, buffer: memoryview) -> None:
    file.seek(at)
    done = 0
    while done < len(buffer):
        count = file.readinto(buffer[done:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError(f"it ends {len(buffer) - done} bytes too early")
        done += count
