"""Numbered files that together are one lazy array: a frame, or a few, to a file."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid, InvalidFile
from databroker_like.files._array import ArrayInfo, LazyArray, file_stamp
from databroker_like.files._select import Box

if TYPE_CHECKING:
    import numpy as np

__all__ = ["FileNames", "FileSequence"]

_PERCENT = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[di]")
_BRACES = re.compile(r"\{(?:0|\w*(?=:)|)(?::([^{}!]*))?\}")


@dataclass(frozen=True)
class FileNames:
    """The names of numbered files in a folder.

    Parameters
    ----------
    folder : str
        Where they lie.
    template : str
        How a name is made from its number: ``"img_{:06d}.tif"``, or as an EPICS areaDetector writes it,
        ``"%s%s_%6.6d.tif"``, whose first ``%s`` stands for ``filename`` and whose others for nothing.
    filename : str
        Empty by default.

    Raises
    ------
    Invalid
        When the template has no place for a number, or leads out of the folder.

    Examples
    --------
    >>> FileNames("/data", "%s%s_%3.3d.tif", "scan").path(7)
    '/data/scan_007.tif'
    >>> FileNames("/data", "img_{:04d}.tif").path(12)
    '/data/img_0012.tif'
    """

    folder: str
    template: str
    filename: str = ""

    def __post_init__(self) -> None:
        if self.path(0) == self.path(1):
            raise Invalid(
                f"the template {self.template!r} has no place for the number of a file; "
                "write it like 'img_{:06d}.tif' or '%s%s_%6.6d.tif'"
            )

    def path(self, number: int) -> str:
        """The path of the file with this number."""
        name = self.template.replace("%s", self.filename, 1).replace("%s", "")
        name = _PERCENT.sub(lambda found: found.group() % number, name)
        try:
            name = _BRACES.sub(lambda found: format(number, found.group(1) or ""), name)
        except ValueError as error:
            raise Invalid(f"the template {self.template!r} cannot be filled in: {error}") from error
        if os.path.isabs(name) or ".." in name.split("/"):
            raise Invalid(f"the template {self.template!r} leads out of its folder {self.folder!r}; it must stay in it")
        return os.path.join(self.folder, name)


class FileSequence(LazyArray):
    """Numbered files one after the other; reading a frame opens the one file that has it.

    Parameters
    ----------
    reader : callable
        ``reader(path) -> LazyArray`` of one file; a class or a function at the top of a module, so that it pickles.
    names : FileNames
    numbers : range
        The numbers of the files, in order; at least one.
    paged : bool
        Whether the first axis of a file counts frames; if not, a file is one frame. False by default.

    Notes
    -----
    The shape is that of the first file, times their number; a file of another shape is an error when it is read.
    """

    #: The rows that there are follow from the number of files, so the files decide how many there are to an event.
    exact = True

    def __init__(
        self, reader: Callable[[str], LazyArray], names: FileNames, numbers: range, *, paged: bool = False
    ) -> None:
        if not numbers:
            raise Invalid(f"no files to read in {names.folder!r}: a sequence needs at least one to know its shape")
        self.reader = reader
        self.names = names
        self.numbers = numbers
        self.paged = paged

    @property
    def identity(self) -> tuple[Any, ...]:
        """The reader's name, how files are named, and their numbers."""
        reader = f"{self.reader.__module__}:{getattr(self.reader, '__qualname__', repr(self.reader))}"
        return ("sequence", reader, self.names.folder, self.names.template, self.names.filename, self.numbers)

    @property
    def paths(self) -> tuple[str, ...]:
        """All the files."""
        return tuple(self.names.path(number) for number in self.numbers)

    @property
    def state(self) -> tuple[Any, ...]:
        """The first and the last file's."""
        return tuple(file_stamp(self.names.path(number)) for number in (self.numbers[0], self.numbers[-1]))

    def _where(self) -> str:
        return f"{os.path.join(self.names.folder, self.names.template)}, {len(self.numbers)} files"

    def _open(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def _file(self, index: int) -> LazyArray:
        return self.reader(self.names.path(self.numbers[index]))

    def _describe(self, handle: Any) -> ArrayInfo:
        first = self._file(0).info
        if not self.paged:
            return ArrayInfo((len(self.numbers), *first.shape), first.dtype, (1, *first.chunks))
        return ArrayInfo(
            (len(self.numbers) * first.shape[0], *first.shape[1:]), first.dtype, (first.shape[0], *first.shape[1:])
        )

    def _read(self, handle: Any, out: np.ndarray, box: Box) -> None:
        info = self._look(handle)
        frames = info.shape[0] // len(self.numbers)
        shape = (frames, *info.shape[1:]) if self.paged else info.shape[1:]
        rows, rest = box[0], box[1:]
        done = 0
        while done < len(rows):
            index = rows[done] // frames
            count = len(range(rows[done], min((index + 1) * frames, rows.stop), rows.step))
            file = self._file(index)
            with file._open() as opened:
                self._check(file, file._look(opened), shape, info.dtype)
                if self.paged:
                    local = range(rows[done] - index * frames, rows[done + count - 1] - index * frames + 1, rows.step)
                    file._read_box(opened, out[done : done + count], (local, *rest))
                else:
                    file._read_box(opened, out[done, ...], rest)
            done += count

    def _check(self, file: LazyArray, found: ArrayInfo, shape: tuple[int, ...], dtype: Any) -> None:
        if found.shape != shape or found.dtype != dtype:
            raise InvalidFile(
                f"{file._where()} has shape {found.shape} and type {found.dtype}, the first file of its sequence "
                f"{shape} and {dtype}; files of different shapes cannot be one array: read them one by one"
            )
