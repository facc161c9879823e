"""Ragged arrays in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid
from databroker_like.nodes._arrays import RaggedNode, RaggedRows
from databroker_like.nodes._described import Described, Doc
from databroker_like.slices import Slices, expand, sliced_shape
from databroker_like.structures import RaggedStructure, Spec, data_type_of

if TYPE_CHECKING:
    import numpy as np

__all__ = ["RaggedData"]


class RaggedData(Described, RaggedNode):
    """Rows of different lengths.

    Parameters
    ----------
    rows : sequence of arrays, or of sequences of arrays
        The arrays have the same axes after their first.
    metadata : mapping, optional
    specs : iterable of Spec
        None by default.
    dims : iterable of str, optional
        The names of the axes.

    Examples
    --------
    >>> RaggedData([[1.0, 2.0], [3.0]]).read((slice(None), slice(0, 1)))
    [array([1.]), array([3.])]
    >>> RaggedData([[1.0, 2.0], [3.0]]).read((slice(None), 0))
    array([1., 3.])
    """

    def __init__(
        self,
        rows: Sequence[Any],
        *,
        metadata: Doc | None = None,
        specs: Iterable[Spec] = (),
        dims: Iterable[str] | None = None,
    ) -> None:
        import numpy as np

        super().__init__(metadata, specs)
        self._levels = _levels(rows)
        arrays = list(_arrays(rows, self._levels))
        # Those with nothing in them say little.
        filled = [array for array in arrays if array.size]
        inner = {array.shape[1:] for array in filled} or {array.shape[1:] for array in arrays} or {()}
        if len(inner) > 1:
            raise Invalid(f"the rows of a ragged array have the same axes after the first, not {sorted(inner)}")
        self._inner = inner.pop()
        self._dtype = np.result_type(*filled) if filled else np.dtype("<f8")
        if self._dtype.kind not in "biufcmMSU":
            raise Invalid(f"elements of type {self._dtype} are not those of a ragged array")
        self._rows = self._typed(rows, self._levels)
        count, size = len(rows), sum(array.size for array in arrays)
        shape = (count, *(None,) * self._levels, *self._inner)
        chunks = ((count,), *(None,) * self._levels, *((length,) for length in self._inner))
        names = None if dims is None else tuple(dims)
        self._structure = RaggedStructure(data_type_of(self._dtype), shape, size, chunks, names)

    def _typed(self, rows: Any, levels: int) -> Any:
        import numpy as np

        if levels:
            return [self._typed(row, levels - 1) for row in rows]
        array = np.asarray(rows, self._dtype)
        return array if array.size or array.ndim > 1 else array.reshape(0, *self._inner)

    def structure(self) -> RaggedStructure:
        return self._structure

    def read(self, slices: Slices = ()) -> RaggedRows:
        return self._part(self._rows, expand(slices, 1 + self._levels + len(self._inner)), self._levels)

    def _part(self, rows: Any, parts: tuple[int | slice, ...], levels: int) -> RaggedRows:
        """The part of rows that the indexes of their axes name."""
        import numpy as np

        if not levels:
            sliced_shape(parts, rows.shape)
            return np.asarray(rows[parts])
        first, *rest = parts
        sliced_shape((first,), (len(rows),))
        if not isinstance(first, slice):
            return self._part(rows[first], tuple(rest), levels - 1)
        found = [self._part(row, tuple(rest), levels - 1) for row in rows[first]]
        # An index on each axis of different lengths leaves an array.
        indexed = all(not isinstance(part, slice) for part in rest[:levels])
        if not indexed:
            return found
        lengths = sliced_shape(tuple(rest[levels:]), self._inner)
        return np.array(found, self._dtype).reshape(len(found), *lengths)


def _levels(rows: Any) -> int:
    """How many axes after the first have different lengths."""
    deepest = 1
    for row in rows:
        if isinstance(row, list | tuple) and any(
            hasattr(one, "__len__") and not isinstance(one, str | bytes) for one in row
        ):
            deepest = max(deepest, 1 + _levels(row))
    return deepest


def _arrays(rows: Any, levels: int) -> Iterator[np.ndarray]:
    import numpy as np

    for row in rows:
        if levels > 1:
            yield from _arrays(row, levels - 1)
            continue
        try:
            array = np.asarray(row)
        except ValueError as error:
            raise Invalid("the rows of a ragged array are of one depth") from error
        if not array.ndim:
            raise Invalid("the rows of a ragged array have one axis at least")
        yield array
