"""NPY files, one for each point."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from databroker_like.assets.handlers_base import HandlerBase
from databroker_like.files import LazyArray, NPYArray

__all__ = ["NumpySeqHandler"]


class NumpySeqHandler(HandlerBase):
    """Spec ``NPY_SEQ``: files ``NAME_0.npy``, ``NAME_1.npy``, ..., as ophyd's simulated detectors write them.

    Parameters
    ----------
    filename : str
        The path without the number and what follows it.
    root : str
        The folder that ``filename`` is relative to; empty by default.
    """

    specs = {"NPY_SEQ"}

    def __init__(self, filename: str, root: str = "") -> None:
        self._name = os.path.join(root, filename)

    def __call__(self, index: int) -> LazyArray:
        """The array of a point, unread.

        Parameters
        ----------
        index : int
            Counted from 0.

        Returns
        -------
        LazyArray
            Of the shape that the file has.
        """
        return NPYArray(f"{self._name}_{index}.npy")

    def get_file_list(self, datum_kwargs_gen: Iterable[Mapping[str, Any]]) -> list[str]:
        """The files that these datum keywords stand for, in order, each once."""
        return list(dict.fromkeys(f"{self._name}_{keywords['index']}.npy" for keywords in datum_kwargs_gen))
