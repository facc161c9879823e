"""TIFF files as lazy arrays: one file with pages, or numbered files."""

from __future__ import annotations

import contextlib
import math
import os
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from databroker_like.errors import InvalidFile
from databroker_like.files._array import ArrayInfo
from databroker_like.files._one_file import OneFile
from databroker_like.files._raw import read_elements
from databroker_like.files._select import Box, slices
from databroker_like.files._sequence import FileNames, FileSequence
from databroker_like.files._translate import reading
from databroker_like.registry import require

if TYPE_CHECKING:
    import numpy as np

__all__ = ["TIFFArray", "tiff_sequence", "tiff_tags"]

_WHAT = "a TIFF file"


#: What tifffile and imagecodecs raise for a damaged file has no common base besides these.
_TROUBLES = (EOFError, ValueError, RuntimeError, IndexError, KeyError, struct.error, zlib.error)


class TIFFArray(OneFile):
    """The pages of a TIFF file: (pages, y, x), or (pages, y, x, samples) for colours.

    Shape and type come from the headers alone; of the pages only those asked for are read.

    Parameters
    ----------
    path : str or path-like

    Raises
    ------
    MissingFile, NotWritable, InvalidFile
        On reading: the file is absent, may not be read, or is no TIFF file.

    Examples
    --------
    >>> import numpy, os, tempfile, tifffile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.tif")
    >>> tifffile.imwrite(path, numpy.arange(6, dtype="uint16").reshape(2, 3))
    >>> TIFFArray(path)[0].tolist()
    [[0, 1, 2], [3, 4, 5]]
    """

    kind = "tiff"

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        tifffile = require("tifffile", "read TIFF files")
        with reading(self.path, _WHAT, tifffile.TiffFileError, *_TROUBLES), tifffile.TiffFile(self.path) as file:
            yield _frames(file, self.path)

    def _describe(self, handle: Any) -> ArrayInfo:
        first = handle[0][0]
        shape = _frame_shape(first)
        dtype = first.dtype.newbyteorder("=")
        return ArrayInfo((sum(count for _, count in handle), *shape), dtype, (1, *shape))

    def _read(self, handle: Any, out: np.ndarray, box: Box) -> None:
        rest = slices(box[1:])
        start = 0
        for series, count in handle:
            wanted = [(i, row - start) for i, row in enumerate(box[0]) if start <= row < start + count]
            start += count
            if not wanted:
                continue
            if series.dataoffset is None:
                with self._decoding():
                    for i, page in wanted:
                        out[i, ...] = _page(series, page, count)[rest]
                continue
            # Uncompressed and in one piece: only the elements that are wanted are read.
            dtype, shape = _raw_type(series), (count, *_frame_shape(series))
            with open(self.path, "rb", buffering=0) as file:
                for i, page in wanted:
                    read_elements(
                        file, series.dataoffset, dtype, shape, out[i : i + 1], (range(page, page + 1), *box[1:])
                    )

    @contextlib.contextmanager
    def _decoding(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, ImportError) as error:
            if isinstance(error, ImportError) or "imagecodecs" in str(error):
                # tifffile does without imagecodecs until a page is compressed in a way that needs it.
                require("imagecodecs", f"read {self.path!r}, whose pages are compressed")
            raise


def _frames(file: Any, path: str) -> list[tuple[Any, int]]:
    """The series that hold frames of the first one's shape, each with their number; thumbnails are left out."""
    series = [one for one in file.series if one.shape]
    if not series:
        raise InvalidFile(f"{path!r} is a TIFF file without an image in it")
    first = series[0]
    alike = [s for s in series if _frame_shape(s) == _frame_shape(first) and s.dtype == first.dtype]
    return [(one, _count(one)) for one in alike]


def _frame_axes(series: Any) -> int:
    """How many of the last axes make one frame: rows and columns, with samples beside them or before."""
    axes = series.axes
    return 3 if "S" in axes[-3:] and len(axes) >= 3 else min(2, len(axes))


def _frame_shape(series: Any) -> tuple[int, ...]:
    return tuple(series.shape[len(series.shape) - _frame_axes(series) :])


def _count(series: Any) -> int:
    return math.prod(series.shape[: len(series.shape) - _frame_axes(series)])


def _raw_type(series: Any) -> np.dtype:
    """The type of the elements as they lie in the file."""
    import numpy as np

    return np.dtype(series.parent.byteorder + series.dtype.char)


def _page(series: Any, page: int, count: int) -> np.ndarray:
    pages = series.pages
    if len(pages) == count:
        return _whole(pages[page]).asarray().reshape(_frame_shape(series))
    # One page holds several frames, or a frame is spread over several: only the whole series makes sense.
    return series.asarray().reshape((count, *_frame_shape(series)))[page]


def _whole(page: Any) -> Any:
    """A page of which all pieces are there; a header that says millions more would be gone through one by one."""
    said = math.prod(page.keyframe.chunked)
    if said > len(page.dataoffsets):
        raise ValueError(f"a page has {said} pieces and {len(page.dataoffsets)} of them are there")
    return page


def tiff_sequence(names: FileNames, numbers: range) -> FileSequence:
    """Numbered TIFF files as one lazy array of their frames.

    Parameters
    ----------
    names : FileNames
    numbers : range

    Returns
    -------
    FileSequence
        Of shape (files * pages, y, x).
    """
    return FileSequence(TIFFArray, names, numbers, paged=True)


def tiff_tags(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What is said of the first page of a TIFF file.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    dict
        The name of each tag and its value.

    Raises
    ------
    MissingFile, NotWritable, InvalidFile
    """
    tifffile = require("tifffile", "read TIFF files")
    path = os.fspath(path)
    with reading(path, _WHAT, tifffile.TiffFileError, *_TROUBLES), tifffile.TiffFile(path) as file:
        if not len(file.pages):
            raise InvalidFile(f"{path!r} is a TIFF file without an image in it")
        return {tag.name: tag.value for tag in file.pages.first.tags}
