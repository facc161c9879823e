"""Arrays: read whole, in part or by blocks, side by side, into memory or as dask arrays."""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.client._parts import part_of, pieces, slices_of
from databroker_like.client._progress import progress
from databroker_like.client._shaped import ShapedInBlocks
from databroker_like.client._side_by_side import side_by_side
from databroker_like.client._subscribing import ArraySubscribing
from databroker_like.client._writing._arrays import ArrayWriting
from databroker_like.errors import Invalid, OutOfRange, ServiceFailed, TooLarge
from databroker_like.slices import format_slices, normalize
from databroker_like.structures import ArrayStructure

if TYPE_CHECKING:
    import dask.array
    import httpx
    import numpy as np

__all__ = ["ArrayClient", "DaskArrayClient"]

#: What is larger is read in pieces, side by side; servers refuse what is larger still.
_WHOLE_BYTES = 100 << 20
_PIECE_BYTES = 32 << 20
#: Pieces are large: more of them at once keep a server that computes them from answering any in time.
_AT_ONCE = 4
#: What is smaller shows no progress.
_QUIET_BYTES = 1 << 20
_OCTETS = "application/octet-stream"
#: gzip is slower than most networks, and servers try it on what it makes no smaller.
_ENCODING = {"Accept-Encoding": "zstd" if importlib.util.find_spec("zstandard") else "identity"}


class _WrongLength(ServiceFailed):
    """A reply is not as long as the structure says."""


class _ArrayClient(ArraySubscribing, ArrayWriting, ShapedInBlocks):
    """What the two clients of arrays share."""

    def structure(self) -> ArrayStructure:
        """The type of the elements, the shape, the chunks and the names of the axes.

        Returns
        -------
        ArrayStructure
        """
        found = super().structure()
        if not isinstance(found, ArrayStructure):
            raise ServiceFailed(f"the server does not say what kind of array {self.uri} is")
        return found

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements."""
        return self.structure().data_type.to_numpy_dtype()

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self.size * self.dtype.itemsize

    def __repr__(self) -> str:
        named = f" dims={self.dims}" if self.dims else ""
        where = "/".join(self.path_parts)
        return f"<{type(self).__name__} {where!r} shape={self.shape} chunks={self.chunks} dtype={self.dtype}{named}>"

    def __len__(self) -> int:
        if not self.shape:
            raise Invalid("an array without axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        # Row by row would be a request for each.
        return iter(self.read())  # type: ignore[attr-defined]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        import numpy as np

        if copy is False:
            raise Invalid("what is read from a server is a copy; numpy.asarray(...) takes it")
        return np.asarray(self._read(None), dtype=dtype)

    def _read(self, slices: Any) -> np.ndarray:
        """A part, as a numpy array."""
        return self._as_it_is(lambda is_bounded: self._read_now(slices, is_bounded))

    def _read_rows(self, rows: int) -> np.ndarray:
        """So many of the first rows, of an array that may have more by now."""
        return self._as_it_is(lambda _: self._read_now(slice(0, rows), is_bounded=True))

    def _as_it_is(self, read: Callable[[bool], np.ndarray]) -> np.ndarray:
        """What is read; once more, when the array has become another since it was looked up.

        The second time it is asked for between bounds, for it may grow faster than it is looked up and read.
        """
        try:
            return read(False)
        except (_WrongLength, OutOfRange) as error:
            before = self.structure()
            self.refresh()
            if self.structure() == before:
                raise _in_public(error) from None
        try:
            return read(True)
        except _WrongLength as error:
            raise _in_public(error) from None

    def _read_now(self, slices: Any, is_bounded: bool = False) -> np.ndarray:
        """A part, of the array as it was looked up; all of it by saying so, or between its bounds."""
        import numpy as np

        part = part_of(slices, self.shape)
        dtype = self.dtype
        whole = self._room(tuple(map(len, part.box)), dtype)
        if not whole.nbytes:
            return part.finished(whole)
        wanted = _WHOLE_BYTES if whole.nbytes <= _WHOLE_BYTES else _PIECE_BYTES
        found = list(pieces(part.box, self.chunks, dtype.itemsize, wanted, _WHOLE_BYTES))
        full = self._link("full")

        def fetch(piece: tuple[slice, ...]) -> None:
            box = tuple(positions[within] for positions, within in zip(part.box, piece, strict=True))
            asked = slices_of(box)
            everything = all(s == slice(0, length) for s, length in zip(asked, self.shape, strict=True))
            params = [] if not asked or (everything and not is_bounded) else [("slice", format_slices(asked))]
            target = whole[piece] if piece else whole
            if target.flags.c_contiguous:
                self._fetch_into(full, params, target, advance)
            else:
                between = np.empty(target.shape, dtype)
                self._fetch_into(full, params, between, advance)
                target[...] = between

        # What is small is there before anybody could look.
        with progress(self.context, whole.nbytes if whole.nbytes > _QUIET_BYTES else 0, "reading") as advance:
            side_by_side(self.context, fetch, found, at_once=_AT_ONCE)
        return part.finished(whole)

    def _room(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        import numpy as np

        try:
            return np.empty(shape, dtype)
        except (MemoryError, ValueError) as error:
            size = math.prod(shape) * dtype.itemsize
            raise TooLarge(f"{self.uri} is {size} bytes, for which there is no room in memory; read a part") from error

    def _read_block(self, block: Sequence[int], slices: Any) -> np.ndarray:
        def read(is_bounded: bool) -> np.ndarray:
            return self._read_block_now(block, self.structure().block_box(block), slices, is_bounded)

        return self._as_it_is(read)

    def _read_box(self, block: Sequence[int], box: tuple[slice, ...]) -> np.ndarray:
        """What was a block when the array was looked up; in the bounds that it had, when it has become another."""
        try:
            return self._read_block_now(block, box, None)
        except (_WrongLength, OutOfRange):
            return self._as_it_is(lambda _: self._read_now(box, is_bounded=True))

    def _read_block_now(
        self, block: Sequence[int], wanted: Sequence[slice], slices: Any, is_bounded: bool = False
    ) -> np.ndarray:
        part = part_of(slices, [s.stop - s.start for s in wanted])
        found = self._room(tuple(map(len, part.box)), self.dtype)
        if found.nbytes:
            params = [("block", ",".join(map(str, block)))]
            if slices is not None or (is_bounded and block):
                params.append(("slice", format_slices(slices_of(part.box))))
            # The template of the link ends with block={0},{1}, which is what is sent.
            self._fetch_into(self._link("block").partition("?")[0], params, found)
        return part.finished(found)

    def _fetch_into(
        self,
        link: str,
        params: Sequence[tuple[str, str]],
        target: np.ndarray,
        advance: Callable[[int], None] | None = None,
    ) -> None:
        import numpy as np

        # A view of the memory itself, whatever its type: reshaping what is contiguous copies nothing.
        memory = target.reshape(-1).view(np.uint8).data

        at = 0

        def fill(response: httpx.Response) -> None:
            nonlocal at
            if advance is not None and at:
                # The connection broke, and it comes from the beginning again.
                advance(-at)
            at = 0
            for part in response.iter_bytes():
                after = at + len(part)
                if after > len(memory):
                    break
                memory[at:after] = part
                at = after
                if advance is not None:
                    advance(len(part))
            else:
                after = at
            if after != len(memory):
                raise _WrongLength(
                    f"{self.uri} did not send {len(memory)} bytes, as are in shape {target.shape} of {target.dtype}"
                )

        self.context.session.receive("GET", link, fill, params=params, accept=_OCTETS, headers=_ENCODING)


class ArrayClient(_ArrayClient):
    """An array on a server, read into memory.

    ``array[...]`` reads what is asked for and nothing else; `numpy.asarray` reads all of it.

    Examples
    --------
    >>> import numpy
    >>> from databroker_like.client import Context, from_context
    >>> from databroker_like.nodes import ArrayData, MapNode
    >>> from databroker_like.tree import build_app
    >>> app = build_app(MapNode({"a": ArrayData(numpy.arange(20).reshape(4, 5))}), public=True)
    >>> with Context.from_app(app) as context:
    ...     array = from_context(context)["a"]
    ...     array.shape, array[0, ::-2], array.read_block((0, 0), (slice(2), 0))
    ((4, 5), array([4, 2, 0]), array([0, 5]))
    """

    def read(self, slice: Any = None) -> np.ndarray:
        """All of the array, or a part.

        Parameters
        ----------
        slice : int, slice, Ellipsis, or tuple of these, optional

        Returns
        -------
        numpy.ndarray

        Raises
        ------
        Invalid
            When it is another kind of index.
        OutOfRange
            When it lies beyond the array.
        """
        return self._read(slice)

    def read_block(self, block: Sequence[int], slice: Any = None) -> np.ndarray:
        """One of the blocks in which the array lies on the server.

        Parameters
        ----------
        block : sequence of int
            Its number along each axis.
        slice : int, slice, Ellipsis, or tuple of these, optional
            A part of it.

        Returns
        -------
        numpy.ndarray

        Raises
        ------
        OutOfRange
            When there is no such block.
        """
        return self._read_block(block, slice)

    def __getitem__(self, slice: Any) -> np.ndarray:
        return self._read(normalize(slice))


class DaskArrayClient(_ArrayClient):
    """An array on a server, as a dask array that reads block by block when it is computed.

    Examples
    --------
    >>> import numpy
    >>> from databroker_like.client import Context, from_context
    >>> from databroker_like.nodes import ArrayData, MapNode
    >>> from databroker_like.tree import build_app
    >>> app = build_app(MapNode({"a": ArrayData(numpy.arange(20).reshape(4, 5))}), public=True)
    >>> with Context.from_app(app) as context:
    ...     lazy = from_context(context, "dask")["a"]
    ...     int(lazy[:, 1].sum().compute())
    34
    """

    def read(self, slice: Any = None) -> dask.array.Array:
        """All of the array, or a part; nothing is read yet.

        Parameters
        ----------
        slice : int, slice, Ellipsis, or tuple of these, optional

        Returns
        -------
        dask.array.Array
        """
        import dask.array as da
        from dask.base import tokenize

        name = f"remote-{tokenize(self.uri, self.structure().to_json())}"
        box_of = self.structure().block_box
        graph = {(name, *block): (self._read_box, block, box_of(block)) for block in _numbers(self.chunks)}
        whole = da.Array(graph, name, chunks=self.chunks, dtype=self.dtype, shape=self.shape)
        # Checked here, so that what cannot be meant is said in our words.
        part_of(slice, self.shape)
        return whole if slice is None else whole[slice]

    def read_block(self, block: Sequence[int], slice: Any = None) -> dask.array.Array:
        """One of the blocks in which the array lies on the server; nothing is read yet.

        Parameters
        ----------
        block : sequence of int
            Its number along each axis.
        slice : int, slice, Ellipsis, or tuple of these, optional
            A part of it.

        Returns
        -------
        dask.array.Array
        """
        found = self.read()[self.structure().block_box(block)]
        return found if slice is None else found[slice]

    def compute(self) -> np.ndarray:
        """All of the array, in memory."""
        return self._read(None)

    def __getitem__(self, slice: Any) -> dask.array.Array:
        return self.read(normalize(slice))


def _in_public(error: ServiceFailed | OutOfRange) -> ServiceFailed | OutOfRange:
    """An error as it is told: that it is known here as one of its kind is nobody else's concern."""
    if not isinstance(error, _WrongLength):
        return error
    return ServiceFailed(
        f"{error}; the array may have become another while it was read: read it again, or a part of it, such as "
        "array[:10]"
    )


def _numbers(chunks: Sequence[Sequence[int]]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*(range(len(lengths)) for lengths in chunks))
