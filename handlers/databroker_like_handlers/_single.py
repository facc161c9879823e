"""Axes of length one, taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from databroker_like.files import ArrayInfo, LazyArray, View

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Squeezed"]


class Squeezed(View):
    """An array without its axes of length one.

    Parameters
    ----------
    parent : LazyArray

    Examples
    --------
    >>> from databroker_like.files import MemoryArray
    >>> Squeezed(MemoryArray([[[1, 2]], [[3, 4]]]))[1].tolist()
    [3, 4]
    """

    def __init__(self, parent: LazyArray) -> None:
        super().__init__(parent)

    @property
    def identity(self) -> tuple[Any, ...]:
        """The parent's, squeezed."""
        return ("squeezed", self.parent.identity)

    @property
    def rows(self) -> int | None:
        """Known once the file was looked at."""
        return self._known.shape[0] if self._known is not None and self._known.shape else None

    def _describe(self, handle: Any) -> ArrayInfo:
        info = self.parent._look(handle)
        kept = [i for i, n in enumerate(info.shape) if n != 1]
        return ArrayInfo(tuple(info.shape[i] for i in kept), info.dtype, tuple(info.chunks[i] for i in kept))

    def _read(self, handle: Any, out: np.ndarray, box: tuple[range, ...]) -> None:
        ours = iter(box)
        shape = self.parent._look(handle).shape
        theirs = tuple(range(1) if n == 1 else next(ours) for n in shape)
        self.parent._read_box(handle, out.reshape([len(r) for r in theirs]), theirs)
