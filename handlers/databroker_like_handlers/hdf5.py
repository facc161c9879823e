"""HDF5 files of area detectors: frames of one file, a file for each frame, time stamps."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.assets.handlers_base import HandlerBase
from databroker_like.errors import InvalidFile
from databroker_like.files import ArrayInfo, HDF5Array, LazyArray, Sliced, slices, stack
from databroker_like_handlers._names import NumberedFiles

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "AreaDetectorHDF5Handler",
    "AreaDetectorHDF5SWMRHandler",
    "AreaDetectorHDF5SWMRTimestampHandler",
    "AreaDetectorHDF5SingleHandler",
    "AreaDetectorHDF5TimestampHandler",
    "HDF5DatasetSliceHandler",
    "HDF5SingleHandler",
]

#: Where the area detector's HDF5 plugin puts the frames.
FRAMES = "/entry/data/data"
#: Where it puts the time of each frame: seconds, and nanoseconds besides.
SECONDS = "/entry/instrument/NDAttributes/NDArrayEpicsTSSec"
NANOSECONDS = "/entry/instrument/NDAttributes/NDArrayEpicsTSnSec"


class _Frames(Sliced):
    """Some of the frames of a dataset, of which there must be one at least."""

    def _describe(self, handle: Any) -> ArrayInfo:
        whole = self.parent._look(handle)
        info = super()._describe(handle)
        if not info.shape[0]:
            raise InvalidFile(
                f"{self._where()} has {whole.shape[0]} frames, and none from number {self.key.start} on; was the file "
                "cut short, or is it still being written?"
            )
        return info


class HDF5DatasetSliceHandler(HandlerBase):
    """Frames that lie one after the other in a dataset of an HDF5 file.

    Parameters
    ----------
    filename : str
        The file.
    key : str
        The path of the dataset inside it.
    frame_per_point : int
        How many frames make one point, 1 by default.
    """

    _swmr = False

    def __init__(self, filename: str, key: str, frame_per_point: int = 1) -> None:
        self._filename = os.fspath(filename)
        self._key = key
        self._fpp = frame_per_point

    def __call__(self, point_number: int) -> LazyArray:
        """The frames of a point, unread.

        Parameters
        ----------
        point_number : int
            Counted from 0.

        Returns
        -------
        LazyArray
            Of shape (frame_per_point, y, x); fewer frames where the file ends.
        """
        # A new array each time: a file that is being written has more frames than the last look showed.
        frames = HDF5Array(self._filename, self._key, swmr=self._swmr)
        return _Frames(frames, slice(int(point_number * self._fpp), int((point_number + 1) * self._fpp)))

    def get_file_list(self, datum_kwargs_gen: Iterable[Mapping[str, Any]]) -> list[str]:
        """The file."""
        return [self._filename]


class AreaDetectorHDF5Handler(HDF5DatasetSliceHandler):
    """Spec ``AD_HDF5``: frames in ``/entry/data/data``.

    Parameters
    ----------
    filename : str
    frame_per_point : int
        1 by default.
    """

    specs = {"AD_HDF5"}

    def __init__(self, filename: str, frame_per_point: int = 1) -> None:
        super().__init__(filename, FRAMES, frame_per_point)


class AreaDetectorHDF5SWMRHandler(AreaDetectorHDF5Handler):
    """Spec ``AD_HDF5_SWMR``: the same in a file that may be being written.

    Parameters
    ----------
    filename : str
    frame_per_point : int
        1 by default.
    """

    specs = {"AD_HDF5_SWMR"}
    _swmr = True


class HDF5SingleHandler(NumberedFiles):
    """A dataset in each of many HDF5 files, one for each frame.

    Parameters
    ----------
    fpath, template, filename : str
        How the files are named; see `NumberedFiles`.
    key : str
        The path of the dataset inside each.
    frame_per_point : int
        1 by default.
    """

    def __init__(self, fpath: str, template: str, filename: str, key: str, frame_per_point: int = 1) -> None:
        super().__init__(fpath, template, filename, frame_per_point)
        self._key = key

    def __call__(self, point_number: int) -> LazyArray:
        """The datasets of a point, unread, along a new first axis."""
        return stack([HDF5Array(name, self._key) for name in self._names(point_number)])


class AreaDetectorHDF5SingleHandler(HDF5SingleHandler):
    """Spec ``AD_HDF5_SINGLE``: one HDF5 file for each frame, which lies in ``/entry/data/data``.

    Parameters
    ----------
    fpath, template, filename : str
    frame_per_point : int
        1 by default.
    """

    specs = {"AD_HDF5_SINGLE"}

    def __init__(self, fpath: str, template: str, filename: str, frame_per_point: int = 1) -> None:
        super().__init__(fpath, template, filename, FRAMES, frame_per_point)


class _Seconds(LazyArray):
    """Times as float64 seconds, from two datasets of whole numbers."""

    def __init__(self, seconds: LazyArray, nanoseconds: LazyArray) -> None:
        self.seconds = seconds
        self.nanoseconds = nanoseconds

    @property
    def identity(self) -> tuple[Any, ...]:
        """Those of the two."""
        return ("seconds", self.seconds.identity, self.nanoseconds.identity)

    @property
    def paths(self) -> tuple[str, ...]:
        """The file."""
        return self.seconds.paths

    def _where(self) -> str:
        return self.seconds._where()

    def _open(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def _describe(self, handle: Any) -> ArrayInfo:
        import numpy as np

        # One time is a number, not a list of one.
        shape = tuple(n for n in self.seconds.shape if n != 1)
        return ArrayInfo(shape, np.dtype("float64"), tuple(max(1, n) for n in shape))

    def _read(self, handle: Any, out: np.ndarray, box: tuple[range, ...]) -> None:
        whole = self.seconds[()] + self.nanoseconds[()] * 1e-9
        out[...] = whole.reshape(self.shape)[slices(box)]


class AreaDetectorHDF5TimestampHandler(HandlerBase):
    """Spec ``AD_HDF5_TS``: when the frames were taken, in seconds since the EPICS epoch.

    Parameters
    ----------
    filename : str
    frame_per_point : int
        1 by default.
    """

    specs = {"AD_HDF5_TS"}
    _swmr = False

    def __init__(self, filename: str, frame_per_point: int = 1) -> None:
        self._filename = os.fspath(filename)
        self._fpp = frame_per_point

    def __call__(self, point_number: int) -> LazyArray:
        """The times of a point: (frame_per_point,) float64, or a single number for one frame."""
        rows = slice(int(point_number * self._fpp), int((point_number + 1) * self._fpp))
        return _Seconds(*(_Frames(HDF5Array(self._filename, key, swmr=self._swmr), rows) for key in _TIMES))

    def get_file_list(self, datum_kwargs_gen: Iterable[Mapping[str, Any]]) -> list[str]:
        """The file."""
        return [self._filename]


_TIMES = (SECONDS, NANOSECONDS)


class AreaDetectorHDF5SWMRTimestampHandler(AreaDetectorHDF5TimestampHandler):
    """Spec ``AD_HDF5_SWMR_TS``: the same in a file that may be being written.

    Parameters
    ----------
    filename : str
    frame_per_point : int
        1 by default.
    """

    specs = {"AD_HDF5_SWMR_TS"}
    _swmr = True
