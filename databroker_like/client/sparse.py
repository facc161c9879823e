"""Sparse arrays: the elements that are there, with their places; read whole, in part or by blocks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like import registry
from databroker_like.client._parts import Part, part_of, slices_of
from databroker_like.client._shaped import ShapedInBlocks
from databroker_like.client._side_by_side import side_by_side
from databroker_like.client._writing._others import SparseWriting
from databroker_like.errors import ServiceFailed, TooLarge
from databroker_like.slices import format_slices, normalize
from databroker_like.structures import SparseStructure

if TYPE_CHECKING:
    import numpy as np
    import sparse

__all__ = ["SparseClient"]

_ARROW = "application/vnd.apache.arrow.file"
#: Where elements are (axes, elements), and what they are.
_Found = tuple["np.ndarray", "np.ndarray"]


class SparseClient(SparseWriting, ShapedInBlocks):
    """A sparse array on a server, read into memory.

    ``array[...]`` reads the elements of what is asked for and nothing else.

    Examples
    --------
    >>> from databroker_like.client import Context, from_context
    >>> from databroker_like.nodes import MapNode, SparseData
    >>> from databroker_like.tree import build_app
    >>> app = build_app(MapNode({"a": SparseData([[0, 2], [1, 0]], [1.5, 2.5], (3, 2))}), public=True)
    >>> with Context.from_app(app) as context:
    ...     array = from_context(context)["a"]
    ...     array.read(), array[::-1].todense().tolist()
    (<COO: shape=(3, 2), dtype=float64, nnz=2, fill_value=0.0>, [[2.5, 0.0], [0.0, 0.0], [0.0, 1.5]])
    """

    def structure(self) -> SparseStructure:
        """The types of elements and of their places, the shape, the chunks and the names of the axes.

        Returns
        -------
        SparseStructure
        """
        found = super().structure()
        if not isinstance(found, SparseStructure):
            raise ServiceFailed(f"the server does not say what kind of sparse array {self.uri} is")
        return found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'/'.join(self.path_parts)!r} shape={self.shape} chunks={self.chunks}>"

    def read(self, slice: Any = None) -> sparse.COO:
        """All of the array, or a part.

        Parameters
        ----------
        slice : int, slice, Ellipsis, or tuple of these, optional

        Returns
        -------
        sparse.COO
            Or an element, when each axis has a position.

        Raises
        ------
        Invalid
            When it is another kind of index.
        OutOfRange
            When it lies beyond the array.
        MissingExtra
            When the package ``sparse`` is not installed.
        """
        part = part_of(slice, self.shape)
        if not part.size:
            return self._made(part, self._nothing(part))
        asked = slices_of(part.box)
        everything = all(s == _whole(length) for s, length in zip(asked, self.shape, strict=True))
        params = [] if everything or not asked else [("slice", format_slices(asked))]
        try:
            found = self._fetch(self._link("full"), params)
        except TooLarge:
            if not everything or math.prod(map(len, self.chunks)) < 2:
                raise
            # All of it is more than the server sends at once, and its blocks may not be.
            found = self._by_blocks()
        return self._made(part, found)

    def read_block(self, block: Sequence[int], slice: Any = None) -> sparse.COO:
        """One of the blocks in which the array lies on the server; places are counted from where it begins.

        Parameters
        ----------
        block : sequence of int
            Its number along each axis.
        slice : int, slice, Ellipsis, or tuple of these, optional
            A part of it.

        Returns
        -------
        sparse.COO

        Raises
        ------
        OutOfRange
            When there is no such block.
        MissingExtra
            When the package ``sparse`` is not installed.
        """
        box = self.structure().block_box(block)
        part = part_of(slice, [s.stop - s.start for s in box])
        if not part.size:
            return self._made(part, self._nothing(part))
        params = [("block", ",".join(map(str, block)))]
        if slice is not None:
            params.append(("slice", format_slices(slices_of(part.box))))
        return self._made(part, self._fetch(self._block_link(), params))

    def todense(self) -> np.ndarray:
        """All of the array, with what is not there as 0.

        Returns
        -------
        numpy.ndarray
        """
        return self.read().todense()

    def __getitem__(self, slice: Any) -> sparse.COO:
        return self.read(normalize(slice))

    def _nothing(self, part: Part) -> _Found:
        import numpy as np

        return np.empty((len(part.box), 0), "<i8"), np.empty(0, self.structure().data_type.to_numpy_dtype())

    def _block_link(self) -> str:
        # The template of the link ends with block={0},{1}, which is what is sent.
        return self._link("block").partition("?")[0]

    def _by_blocks(self) -> _Found:
        import numpy as np

        chunks = self.chunks
        starts = [list(itertools.accumulate(lengths, initial=0)) for lengths in chunks]

        def fetch(block: tuple[int, ...]) -> _Found:
            places, data = self._fetch(self._block_link(), [("block", ",".join(map(str, block)))])
            corner = [starts[axis][number] for axis, number in enumerate(block)]
            return places + np.asarray(corner, "<i8").reshape(-1, 1), data

        numbers = list(itertools.product(*(range(len(lengths)) for lengths in chunks)))
        found = side_by_side(self.context, fetch, numbers)
        return np.concatenate([p for p, _ in found], axis=1), np.concatenate([d for _, d in found])

    def _fetch(self, link: str, params: Iterable[tuple[str, str]]) -> _Found:
        import numpy as np
        import pyarrow as pa

        reply = self.context.session.fetch("GET", link, params=list(params), accept=_ARROW)
        try:
            table = pa.ipc.open_file(reply.content).read_all()
            places = [table[f"dim{axis}"].to_numpy() for axis in range(self.ndim)]
            data = table["data"].to_numpy()
        except (pa.ArrowInvalid, KeyError, OSError) as error:
            raise ServiceFailed(f"{reply.url} sent no elements with their places: {error}") from error
        coordinates = np.array(places, "<i8").reshape(self.ndim, -1)
        return coordinates, data.astype(self.structure().data_type.to_numpy_dtype(), copy=False)

    def _made(self, part: Part, found: _Found) -> sparse.COO:
        sparse = registry.require("sparse", "read sparse arrays")
        places, data = found
        lengths = tuple(map(len, part.box))
        for axis in part.flipped:
            places[axis] = lengths[axis] - 1 - places[axis]
        kept = [axis for axis in range(len(lengths)) if axis not in part.dropped]
        if not kept:
            return data[0] if data.size else data.dtype.type(0)
        return sparse.COO(places[kept], data, shape=tuple(lengths[axis] for axis in kept))


def _whole(length: int) -> slice:
    return slice(0, length)
