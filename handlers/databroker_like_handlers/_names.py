"""How area detectors name numbered files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from databroker_like.assets.handlers_base import HandlerBase
from databroker_like.errors import Invalid

__all__ = ["NumberedFiles"]


class NumberedFiles(HandlerBase):
    """A handler for files named by a template, ``frame_per_point`` of them to a point.

    Parameters
    ----------
    fpath : str
        The folder.
    template : str
        Filled in with the folder (which ends in a separator), ``filename`` and the number of the file, such as
        ``"%s%s_%6.6d.tiff"``.
    filename : str
        The part of the name that all files share.
    frame_per_point : int
        How many files make one point, 1 by default.
    """

    def __init__(self, fpath: str, template: str, filename: str, frame_per_point: int = 1) -> None:
        self._path = os.path.join(fpath, "")
        self._template = template
        self._filename = filename
        self._fpp = frame_per_point

    def _name(self, number: int) -> str:
        try:
            return str(self._template % (self._path, self._filename, number))
        except (TypeError, ValueError) as error:
            raise Invalid(
                f"the template {self._template!r} cannot be filled in with a folder, a name and a number ({error}); "
                "write it like '%s%s_%6.6d.tiff'"
            ) from error

    def _names(self, point_number: int) -> Iterator[str]:
        for number in range(int(point_number * self._fpp), int((point_number + 1) * self._fpp)):
            yield self._name(number)

    def get_file_list(self, datum_kwargs_gen: Iterable[Mapping[str, Any]]) -> list[str]:
        """The files that these datum keywords stand for.

        Parameters
        ----------
        datum_kwargs_gen : iterable of mapping

        Returns
        -------
        list of str
            In order, each once.
        """
        return list(dict.fromkeys(name for keywords in datum_kwargs_gen for name in self._names(**keywords)))
