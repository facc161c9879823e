"""An array in memory in the clothes of a lazy one."""

from __future__ import annotations

import contextlib
import hashlib
import pickle
from typing import TYPE_CHECKING, Any

from databroker_like.files._array import ArrayInfo, LazyArray
from databroker_like.files._select import Box, slices

if TYPE_CHECKING:
    import numpy as np

__all__ = ["MemoryArray"]


class MemoryArray(LazyArray):
    """An array in memory in the clothes of a lazy one.

    Parameters
    ----------
    data : array_like

    Examples
    --------
    >>> MemoryArray([1, 2, 3])[::-1].tolist()
    [3, 2, 1]
    """

    def __init__(self, data: Any) -> None:
        import numpy as np

        self._data = np.asarray(data)

    @property
    def identity(self) -> tuple[Any, ...]:
        """The type, the shape and a digest of the bytes."""
        import numpy as np

        data = self._data
        raw = pickle.dumps(data) if data.dtype.hasobject else np.ascontiguousarray(data).tobytes()
        return ("memory", data.dtype.str, data.shape, hashlib.blake2b(raw, digest_size=16).hexdigest())

    def _open(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext(self._data)

    def _describe(self, handle: Any) -> ArrayInfo:
        return ArrayInfo(self._data.shape, self._data.dtype, self._data.shape)

    def _read(self, handle: Any, out: np.ndarray, box: Box) -> None:
        out[...] = self._data[slices(box)]
