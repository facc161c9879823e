"""TIFF files of area detectors, one for each frame."""

from __future__ import annotations

from databroker_like.files import LazyArray, TIFFArray, stack
from databroker_like_handlers._names import NumberedFiles
from databroker_like_handlers._single import Squeezed

__all__ = ["AreaDetectorTiffHandler"]


class AreaDetectorTiffHandler(NumberedFiles):
    """Spec ``AD_TIFF``: one TIFF file for each frame.

    Parameters
    ----------
    fpath, template, filename : str
        How the files are named; see `NumberedFiles`.
    frame_per_point : int
        1 by default.
    """

    specs = {"AD_TIFF"}

    def __call__(self, point_number: int) -> LazyArray:
        """The frames of a point, unread.

        Parameters
        ----------
        point_number : int
            Counted from 0.

        Returns
        -------
        LazyArray
            Of shape (frame_per_point, y, x); a file with several pages gives (frame_per_point, pages, y, x).
        """
        return stack([Squeezed(TIFFArray(name)) for name in self._names(point_number)])
