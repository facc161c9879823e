"""JPEG files, and the others that Pillow reads, as lazy arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from databroker_like.errors import InvalidFile
from databroker_like.files._array import ArrayInfo
from databroker_like.files._one_file import OneFile
from databroker_like.files._select import Box, slices
from databroker_like.files._sequence import FileNames, FileSequence
from databroker_like.files._translate import reading
from databroker_like.registry import require

if TYPE_CHECKING:
    import numpy as np

__all__ = ["JPEGArray", "jpeg_sequence"]

_WHAT = "an image file"

#: Pillow's modes: type, and the number of samples to a pixel.
_MODES = {
    "1": ("bool", 1),
    "L": ("uint8", 1),
    "P": ("uint8", 1),
    "LA": ("uint8", 2),
    "RGB": ("uint8", 3),
    "YCbCr": ("uint8", 3),
    "RGBA": ("uint8", 4),
    "CMYK": ("uint8", 4),
    "I;16": ("uint16", 1),
    "I": ("int32", 1),
    "F": ("float32", 1),
}


class JPEGArray(OneFile):
    """A picture: (y, x), or (y, x, samples) for colours, as the file has them.

    Shape and type come from the header alone.

    Parameters
    ----------
    path : str or path-like

    Raises
    ------
    MissingFile, NotWritable, InvalidFile
        On reading: the file is absent, may not be read, or is no picture.

    Examples
    --------
    >>> import os, tempfile
    >>> from PIL import Image
    >>> path = os.path.join(tempfile.mkdtemp(), "a.jpg")
    >>> Image.new("L", (4, 3), 128).save(path)
    >>> JPEGArray(path).shape
    (3, 4)
    """

    kind = "jpeg"
    #: Those of Pillow's that are tried; all by default.
    formats: ClassVar[tuple[str, ...] | None] = None

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        image = require("PIL.Image", "read JPEG files")
        with reading(self.path, _WHAT, ValueError, SyntaxError), image.open(self.path, formats=self.formats) as picture:
            yield picture

    def _describe(self, handle: Any) -> ArrayInfo:
        import numpy as np

        try:
            name, samples = _MODES[handle.mode]
        except KeyError:
            raise InvalidFile(f"{self.path!r} is a picture of mode {handle.mode!r}, which is not known here") from None
        shape = (handle.height, handle.width) + ((samples,) if samples > 1 else ())
        return ArrayInfo(shape, np.dtype(name), shape)

    def _read(self, handle: Any, out: np.ndarray, box: Box) -> None:
        import numpy as np

        out[...] = np.asarray(handle)[slices(box)]


def jpeg_sequence(names: FileNames, numbers: range) -> FileSequence:
    """Numbered JPEG files as one lazy array of pictures.

    Parameters
    ----------
    names : FileNames
    numbers : range

    Returns
    -------
    FileSequence
        Of shape (files, y, x) or (files, y, x, samples).
    """
    return FileSequence(JPEGArray, names, numbers)
