"""Ragged arrays: rows of different lengths, read whole or in part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from databroker_like import registry
from databroker_like.client._parts import part_of, slices_of
from databroker_like.client._shaped import Shaped
from databroker_like.client._writing._others import RaggedWriting
from databroker_like.errors import Invalid, OutOfRange, ServiceFailed
from databroker_like.slices import expand, format_slices, normalize
from databroker_like.structures import RaggedStructure

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import ragged

__all__ = ["RaggedClient"]

_ARROW, _JSON = "application/vnd.apache.arrow.file", "application/json"


class RaggedClient(RaggedWriting, Shaped):
    """A ragged array on a server, read into memory.

    ``array[...]`` asks for those rows that are wanted, and for no others.

    Examples
    --------
    >>> from databroker_like.client import Context, from_context
    >>> from databroker_like.nodes import MapNode, RaggedData
    >>> from databroker_like.tree import build_app
    >>> app = build_app(MapNode({"a": RaggedData([[1.0, 2.0], [3.0]])}), public=True)
    >>> with Context.from_app(app) as context:
    ...     array = from_context(context)["a"]
    ...     array.shape, array[:, ::-1].tolist()
    ((2, None), [[2.0, 1.0], [3.0]])
    """

    def structure(self) -> RaggedStructure:
        """The type of the elements, the shape, in which None stands for different lengths, and the chunks.

        Returns
        -------
        RaggedStructure
        """
        found = super().structure()
        if not isinstance(found, RaggedStructure):
            raise ServiceFailed(f"the server does not say what kind of ragged array {self.uri} is")
        return found

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements."""
        return self.structure().data_type.to_numpy_dtype()

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The length of each axis; None where rows differ."""
        return self.structure().shape

    @property
    def chunks(self) -> tuple[tuple[int, ...] | None, ...]:
        """The lengths of the blocks along each axis; None where rows differ."""
        return self.structure().chunks

    @property
    def size(self) -> int:
        """The number of elements in all rows together."""
        return self.structure().size

    def __len__(self) -> int:
        return self._rows

    def __repr__(self) -> str:
        where = "/".join(self.path_parts)
        return f"<{type(self).__name__} {where!r} shape={self.shape} size={self.size} dtype={self.dtype}>"

    def read(self, slice: Any = None) -> ragged.array:
        """All of the array, or a part.

        Parameters
        ----------
        slice : int, slice, Ellipsis, or tuple of these, optional

        Returns
        -------
        ragged.array
            Or an element, when each axis has a position.

        Raises
        ------
        Invalid
            When it is another kind of index.
        OutOfRange
            When it lies beyond the array, or beyond one of its rows.
        MissingExtra
            When the package ``ragged`` is not installed.
        """
        ragged = registry.require("ragged", "read ragged arrays")
        # Each row has its own end: the server is asked for rows, and what of them is wanted is taken here.
        first, *within = expand(() if slice is None else slice, self.ndim)
        part = part_of(first, (self._rows,))
        found = self._fetch(ragged, format_slices(slices_of(part.box))) if part.size else self._empty(ragged)
        taken = [_backward if part.flipped else _all, *within]
        if part.dropped:
            taken[0] = 0
        if all(isinstance(one, type(_all)) and one == _all for one in taken):
            return found
        try:
            return found[tuple(taken)]
        except IndexError as error:
            raise OutOfRange(f"{slice!r:.200} lies beyond a row of {self.uri}") from error

    def __getitem__(self, slice: Any) -> ragged.array:
        return self.read(normalize(slice))

    @property
    def _rows(self) -> int:
        shape = self.shape
        if not shape or shape[0] is None:
            raise Invalid(f"the server does not say how many rows {self.uri} has")
        return shape[0]

    def _empty(self, ragged: Any) -> Any:
        import numpy as np

        return ragged.array(np.empty((0,) * self.ndim, self.dtype))

    def _fetch(self, ragged: Any, rows: str) -> Any:
        import pyarrow as pa

        ak = registry.require("awkward", "read ragged arrays")
        params = [] if rows == f"0:{self._rows}" else [("slice", rows)]
        accept = f"{_ARROW}, {_JSON};q=0.5"
        reply = self.context.session.fetch("GET", self._link("full"), params=params, accept=accept)
        try:
            if reply.content_type == _JSON:
                return ragged.array(orjson.loads(reply.content), dtype=self.dtype)
            column = pa.ipc.open_file(reply.content).read_all().column(0).combine_chunks()
            return ragged.array(ak.Array(_layout(ak, column)), dtype=self.dtype)
        except (pa.ArrowInvalid, IndexError, OSError, TypeError, ValueError) as error:
            raise ServiceFailed(f"{reply.url} sent no rows of numbers: {error}") from error


def _layout(ak: Any, column: pa.Array) -> Any:
    """Lists of Arrow as awkward has them; nothing in a ragged array can be missing."""
    import numpy as np
    import pyarrow as pa

    if column.null_count:
        raise ValueError("some of them are missing")
    if isinstance(column, pa.ExtensionArray):
        # A type of awkward's own, which Arrow knows as such once awkward is imported.
        return _layout(ak, column.storage)
    if pa.types.is_fixed_size_list(column.type):
        inner = _layout(ak, column.flatten())
        return ak.contents.RegularArray(inner, column.type.list_size, zeros_length=len(column))
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        offsets = column.offsets.to_numpy().astype(np.int64)
        return ak.contents.ListOffsetArray(ak.index.Index64(offsets - offsets[0]), _layout(ak, column.flatten()))
    return ak.contents.NumpyArray(column.to_numpy(zero_copy_only=False))


_all, _backward = slice(None), slice(None, None, -1)
