"""Warnings that point at the line of the user's own code that led to them."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

__all__ = ["tell"]


def tell(message: str) -> None:
    """Warn, and give as the place the nearest caller outside this package.

    Parameters
    ----------
    message : str
    """
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == "databroker_like":
        frame = frame.f_back
        level += 1
    warnings.warn(message, UserWarning, stacklevel=level)
