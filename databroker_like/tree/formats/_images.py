"""Arrays as images: PNG and TIFF."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from databroker_like.errors import Invalid
from databroker_like.registry import require
from databroker_like.tree.formats._spool import spooled

if TYPE_CHECKING:
    import numpy as np

__all__ = ["as_png", "as_tiff"]

#: As many elements are made doubles at once.
_AT_ONCE = 1 << 20
#: What TIFF has a sample format for.
_TIFF_KINDS = "biuf"


def as_png(array: np.ndarray) -> Iterator[bytes]:
    """An array as an image of 8 bits a channel: grey, or in colours where the last of three axes has 3 or 4 elements.

    Parameters
    ----------
    array : numpy.ndarray
        One row where it has one axis. Elements of ``uint8`` are taken as they are; others are spread out from the least
        to the greatest.

    Returns
    -------
    iterator of bytes

    Raises
    ------
    Invalid
        When it is no image.
    MissingExtra
        When Pillow is not installed.
    """
    _refuse_no_numbers(array, "biuf", "PNG")
    if array.ndim == 3 and array.shape[0] == 1 and array.shape[2] not in (3, 4):
        array = array[0]
    if array.ndim < 2:
        array = array.reshape(1, -1)
    if array.ndim > 3 or (array.ndim == 3 and array.shape[2] not in (3, 4)) or not array.size:
        raise Invalid(f"an array of shape {array.shape} is no image; ask for a slice of two axes")
    image: Any = require("PIL.Image", "write PNG images").fromarray(_eight_bits(array))
    return spooled(lambda file: image.save(file, format="PNG"))


def _eight_bits(array: np.ndarray) -> np.ndarray:
    import numpy as np

    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * 255
    rows = max(1, _AT_ONCE // max(1, array[:1].size))
    parts = [slice(at, at + rows) for at in range(0, len(array), rows)]
    found = [_finite(array[part]) for part in parts]
    low = min((part.min() for part in found if part.size), default=np.float64(0))
    high = max((part.max() for part in found if part.size), default=np.float64(0))
    image = np.empty(array.shape, np.uint8)
    for part in parts:
        image[part] = _spread(array[part].astype(np.float64), low, high)
    return image


def _finite(part: np.ndarray) -> np.ndarray:
    """The least and the greatest of the numbers that are finite."""
    import numpy as np

    numbers = part[np.isfinite(part)]
    return np.array([numbers.min(), numbers.max()] if numbers.size else [], np.float64)


def _spread(numbers: np.ndarray, low: np.float64, high: np.float64) -> np.ndarray:
    """Numbers from the least to the greatest as numbers from 0 to 255."""
    import numpy as np

    with np.errstate(all="ignore"):  # what is not finite stays so
        if not np.isfinite(high - low):  # halves of two numbers are never too far from one another
            numbers, low, high = numbers / 2, low / 2, high / 2
        width = high - low
        spread = (numbers - low) / width if width else np.zeros_like(numbers)
    return np.rint(np.clip(np.nan_to_num(spread, nan=0.0, posinf=1.0, neginf=0.0), 0, 1) * 255)


def as_tiff(array: np.ndarray) -> Iterator[bytes]:
    """An array as a TIFF, with its numbers as they are; axes before the last two are pages.

    Parameters
    ----------
    array : numpy.ndarray

    Returns
    -------
    iterator of bytes

    Raises
    ------
    Invalid
        When its elements are no numbers, or there are none.
    MissingExtra
        When tifffile is not installed.
    """
    _refuse_no_numbers(array, _TIFF_KINDS, "TIFF")
    if not array.size:
        raise Invalid(f"an array of shape {array.shape} is no image")
    import numpy as np

    tifffile: Any = require("tifffile", "write TIFF images")
    pages = array.reshape(1, -1) if array.ndim < 2 else array
    if pages.dtype.kind == "b":
        pages = pages.astype(np.uint8)
    if pages.dtype.kind == "f" and pages.dtype.itemsize > 8:
        pages = pages.astype(np.float64)

    def write(file: IO[bytes]) -> None:
        tifffile.imwrite(file, pages, photometric="minisblack", metadata=None if pages.ndim < 3 else {})

    return spooled(write)


def _refuse_no_numbers(array: np.ndarray, kinds: str, what: str) -> None:
    if array.dtype.kind not in kinds:
        raise Invalid(f"elements of type {array.dtype} are no {what} image: only real numbers are")
