"""What the clients of arrays with axes share: dense, sparse and ragged ones."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Any

from databroker_like.client.base import BaseClient
from databroker_like.slices import expand, format_slices

if TYPE_CHECKING:
    from databroker_like.structures import ArrayStructure, RaggedStructure, SparseStructure

__all__ = ["Shaped", "ShapedInBlocks"]


class Shaped(BaseClient):
    """A client of an array that has axes."""

    if TYPE_CHECKING:

        def structure(self) -> ArrayStructure | SparseStructure | RaggedStructure: ...
        @property
        def shape(self) -> tuple[int | None, ...]: ...

    @property
    def dims(self) -> tuple[str, ...] | None:
        """The names of the axes, where they have any."""
        return self.structure().dims

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def export(
        self, filepath: str | os.PathLike[str] | IO[bytes], *, format: str | None = None, slice: Any = None
    ) -> None:
        """Have the server write the array in some format, and save that.

        Parameters
        ----------
        filepath : path or binary file
            A file is there whole or not at all.
        format : str, optional
            A media type or short name, such as ``"csv"``, ``"tiff"`` of a dense array or ``"parquet"`` of a ragged one;
            by default, that of the file's name.
        slice : int, slice, Ellipsis, or tuple of these, optional
            A part of the array.
        """
        asked = [] if slice is None else [("slice", format_slices(expand(slice, self.ndim)))]
        self._export(filepath, asked, format)


class ShapedInBlocks(Shaped):
    """A client of an array each of whose axes has one length, and is divided into blocks."""

    if TYPE_CHECKING:

        def structure(self) -> ArrayStructure | SparseStructure: ...

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.structure().shape

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """The lengths of the blocks along each axis."""
        return self.structure().chunks
