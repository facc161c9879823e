"""SPE files, as WinSpec and WinView of Princeton Instruments write them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.errors import InvalidFile
from databroker_like.files import ArrayInfo, LazyArray, reading, slices
from databroker_like_handlers._names import NumberedFiles
from databroker_like_handlers._single import Squeezed

if TYPE_CHECKING:
    import numpy as np

__all__ = ["AreaDetectorSPEHandler", "SPEArray"]

#: The header's length; the frames follow it, one after the other.
DATA_START = 4100
#: Where its numbers are, little-endian: pixels in a row, rows, frames, and the number of the element type.
_X_DIM, _Y_DIM, _FRAMES, _DATA_TYPE = 42, 656, 1446, 108
#: Element type by that number.
_DTYPES = ("<f4", "<i4", "<i2", "<u2")


class SPEArray(LazyArray):
    """The frames of an SPE file: (frames, y, x).

    Parameters
    ----------
    path : str or path-like
    frames : int, optional
        How many there must be; any number by default.

    Raises
    ------
    MissingFile, NotWritable, InvalidFile
        On reading: the file is absent, may not be read, is no SPE file, was cut short, or has another number of
        frames.
    """

    def __init__(self, path: str | os.PathLike[str], frames: int | None = None) -> None:
        self.path = os.fspath(path)
        self.frames = frames

    @property
    def identity(self) -> tuple[Any, ...]:
        """The path and how many frames are expected."""
        return ("spe", self.path, self.frames)

    @property
    def paths(self) -> tuple[str, ...]:
        """The file."""
        return (self.path,)

    def _where(self) -> str:
        return self.path

    @contextlib.contextmanager
    def _open(self) -> Iterator[np.ndarray]:
        import numpy as np

        with reading(self.path, "an SPE file", ValueError, IndexError), open(self.path, "rb") as file:
            header = file.read(DATA_START)
            shape, dtype = self._parse(header, os.fstat(file.fileno()).st_size)
            yield np.memmap(file, dtype, "r", DATA_START, shape)

    def _parse(self, header: bytes, size: int) -> tuple[tuple[int, int, int], np.dtype]:
        import numpy as np

        if len(header) < DATA_START:
            raise InvalidFile(
                f"{self.path!r} cannot be read as an SPE file: it has {len(header)} bytes and the header alone takes "
                f"{DATA_START}; was it cut short, or is it of another format?"
            )
        number = int.from_bytes(header[_DATA_TYPE : _DATA_TYPE + 2], "little", signed=True)
        x = int.from_bytes(header[_X_DIM : _X_DIM + 2], "little")
        y = int.from_bytes(header[_Y_DIM : _Y_DIM + 2], "little")
        frames = int.from_bytes(header[_FRAMES : _FRAMES + 4], "little")
        if not 0 <= number < len(_DTYPES) or not (x and y and frames):
            raise InvalidFile(
                f"{self.path!r} cannot be read as an SPE file: its header tells of {frames} frames of {y} x {x} "
                f"elements of type {number}, and the types are 0 to {len(_DTYPES) - 1}; is it of another format?"
            )
        dtype = np.dtype(_DTYPES[number])
        needed = DATA_START + frames * y * x * dtype.itemsize
        if size < needed:
            raise InvalidFile(
                f"{self.path!r} has {size} bytes and its header tells of {frames} frames of {y} x {x} {dtype}, which "
                f"take {needed}; it was cut short, or is still being written"
            )
        if self.frames is not None and frames != self.frames:
            raise InvalidFile(
                f"{self.path!r} has {frames} frames, and {self.frames} were announced as frame_per_point; "
                "read it with the number it has"
            )
        return (frames, y, x), dtype

    def _describe(self, handle: np.ndarray) -> ArrayInfo:
        return ArrayInfo(handle.shape, handle.dtype, (1, *handle.shape[1:]))

    def _read(self, handle: np.ndarray, out: np.ndarray, box: tuple[range, ...]) -> None:
        out[...] = handle[slices(box)]


class AreaDetectorSPEHandler(NumberedFiles):
    """Spec ``AD_SPE``: one SPE file for each point, with ``frame_per_point`` frames in it.

    Parameters
    ----------
    fpath, template, filename : str
        How the files are named; see `NumberedFiles`.
    frame_per_point : int
        How many frames each file has, 1 by default.
    """

    specs = {"AD_SPE"}

    def __call__(self, point_number: int) -> LazyArray:
        """The frames of a point, unread.

        Parameters
        ----------
        point_number : int
            Counted from 0.

        Returns
        -------
        LazyArray
            Of shape (frame_per_point, y, x), or (y, x) for one frame.
        """
        return Squeezed(SPEArray(self._name(point_number), self._fpp))

    def get_file_list(self, datum_kwargs_gen: Iterable[Mapping[str, Any]]) -> list[str]:
        """The files that these datum keywords stand for, in order, each once."""
        return list(dict.fromkeys(self._name(keywords["point_number"]) for keywords in datum_kwargs_gen))
