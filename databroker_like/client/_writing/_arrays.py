"""What the clients of arrays write: all of an array, a block of it, or a part that makes it grow."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.client._parts import part_of
from databroker_like.client._progress import progress
from databroker_like.client._side_by_side import side_by_side
from databroker_like.client._writing._bodies import OCTETS, array_of, is_dask_array, memory_of
from databroker_like.client._writing._sending import data_link, send
from databroker_like.client.context import Context
from databroker_like.errors import Conflict, Invalid
from databroker_like.structures import ArrayStructure

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ArrayWriting", "put_array", "put_block"]

#: What is smaller is written by one request, however many blocks it has on the server.
_AT_ONCE = 32 << 20


def put_array(context: Context, item: Mapping[str, Any], structure: ArrayStructure, array: Any, persist: bool) -> None:
    """All elements of an array, into a node that has its structure.

    Parameters
    ----------
    context : Context
    item : dict
        What the server says of the node.
    structure : ArrayStructure
    array : numpy.ndarray or dask.array.Array
    persist : bool
        Whether they are kept, and not only sent to those who listen.
    """
    if is_dask_array(array) and structure.nbytes and any(len(lengths) > 1 for lengths in structure.chunks):
        _put_lazily(_Blocks(context, item, structure, persist), array)
    elif structure.nbytes <= _AT_ONCE or all(len(lengths) == 1 for lengths in structure.chunks):
        whole = array.compute() if is_dask_array(array) else array
        _put(context, data_link(item, "full"), [], _like(whole, structure), persist)
    else:
        blocks = _Blocks(context, item, structure, persist)
        numbers = list(itertools.product(*(range(len(lengths)) for lengths in structure.chunks)))
        side_by_side(context, lambda block: blocks.put(block, array[structure.block_box(block)]), numbers, "writing")


def _put_lazily(blocks: _Blocks, array: Any) -> None:
    import dask.array as da

    fitting = array.rechunk(blocks.structure.chunks)
    with progress(blocks.context, fitting.npartitions, "writing") as advance:
        blocks.advance = advance
        # Dask computes and writes side by side, here or on its workers, and lets go of what is written.
        da.store(fitting, blocks, lock=False)  # type: ignore[arg-type]


class _Blocks:
    """The blocks of an array on a server, as something that dask stores into."""

    def __init__(self, context: Context, item: Mapping[str, Any], structure: ArrayStructure, persist: bool) -> None:
        self.context = context
        self.structure = structure
        self.advance: Callable[..., None] | None = None
        self._item = item
        self._persist = persist
        self._starts = [list(itertools.accumulate(lengths, initial=0)) for lengths in structure.chunks]

    def __getstate__(self) -> dict[str, Any]:
        # A bar is shown in one process.
        return {**self.__dict__, "advance": None}

    def __setitem__(self, region: Any, block: np.ndarray) -> None:
        region = region if isinstance(region, tuple) else (region,)
        self.put([starts.index(s.start) for starts, s in zip(self._starts, region, strict=True)], block)
        if self.advance is not None:
            self.advance()

    def put(self, block: Sequence[int], array: np.ndarray) -> None:
        """Write one of them."""
        put_block(self.context, self._item, self.structure, block, array, self._persist)


def put_block(
    context: Context,
    item: Mapping[str, Any],
    structure: ArrayStructure,
    block: Sequence[int],
    array: np.ndarray,
    persist: bool = True,
) -> None:
    """The elements of one block of an array."""
    lengths = tuple(s.stop - s.start for s in structure.block_box(block))
    params = [("block", ",".join(map(str, block)))]
    _put(context, data_link(item, "block"), params, _of_type(array, structure, lengths), persist)


def _put(
    context: Context, link: str, params: Sequence[tuple[str, str]], array: np.ndarray, persist: bool = True
) -> None:
    asked = [*params] if persist else [*params, ("persist", "false")]
    send(context, "PUT", link, params=asked, content=memory_of(array), content_type=OCTETS)


def _like(array: np.ndarray, structure: ArrayStructure) -> np.ndarray:
    return _of_type(array, structure, structure.shape)


def _of_type(array: np.ndarray, structure: ArrayStructure, shape: tuple[int, ...]) -> np.ndarray:
    """An array with the elements that the server expects; its bytes alone are sent, so that it could not tell."""
    import numpy as np

    dtype = structure.data_type.to_numpy_dtype()
    if array.shape != shape:
        raise Invalid(f"an array of shape {array.shape} does not fit the shape {shape}")
    if array.dtype == dtype:
        return array
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        raise Invalid(f"elements of type {array.dtype} are not written as {dtype}: say so with .astype({str(dtype)!r})")
    return array.astype(dtype)


class ArrayWriting:
    """The part of the clients of arrays that writes."""

    if TYPE_CHECKING:
        context: Context
        _item: dict[str, Any]
        _structure: Any

        @property
        def item(self) -> dict[str, Any]: ...
        @property
        def uri(self) -> str: ...
        def structure(self) -> ArrayStructure: ...
        def refresh(self) -> Any: ...

    def write(self, array: Any, persist: bool = True) -> None:
        """Write all elements anew.

        Parameters
        ----------
        array : array-like
            Of the shape that there is; a dask array is computed and written block by block.
        persist : bool
            Whether they are kept; with False they only go to those who listen. True by default.

        Raises
        ------
        Invalid
            When it has another shape, or elements of another kind.
        NotWritable
            When the server takes no data here.
        """
        structure = self.structure()
        found = array_of(array)
        if tuple(found.shape) != structure.shape:
            # It may have grown since it was looked up.
            structure = self.refresh().structure()
        if tuple(found.shape) != structure.shape:
            raise Invalid(
                f"an array of shape {tuple(found.shape)} does not fit {self.uri}, of shape {structure.shape}; "
                "patch(..., extend=True) makes it grow"
            )
        put_array(self.context, self.item, structure, found, persist)

    def write_block(self, array: Any, block: Sequence[int], slice: Any = ..., persist: bool = True) -> None:
        """Write one of the blocks in which the array lies on the server, or a part of one.

        Parameters
        ----------
        array : array-like
        block : sequence of int
            Its number along each axis.
        slice : slice, Ellipsis, or tuple of these, optional
            A part of the block without gaps; all of it by default.
        persist : bool
            As of `write`.

        Raises
        ------
        Invalid
            When the array does not fit there, or the part has gaps.
        OutOfRange
            When there is no such block.
        NotWritable
            When the server takes no data here.
        """
        structure = self.structure()
        box = structure.block_box(block)
        found = _computed(array_of(array))
        part = part_of(None if slice is Ellipsis else slice, [s.stop - s.start for s in box])
        lengths = tuple(map(len, part.box))
        if lengths == tuple(s.stop - s.start for s in box) and not part.flipped:
            put_block(self.context, self.item, structure, block, found, persist)
            return
        if part.flipped or any(positions.step != 1 for positions in part.box):
            raise Invalid("a part of a block that is written goes forward and has no gaps")
        kept = tuple(length for axis, length in enumerate(lengths) if axis not in part.dropped)
        if found.shape not in (lengths, kept):
            raise Invalid(f"an array of shape {found.shape} does not fit a part of shape {kept}")
        # As a part of the whole: servers do not take one of a block.
        offset = [s.start + positions.start for s, positions in zip(box, part.box, strict=True)]
        self._patch(_of_type(found.reshape(lengths), structure, lengths), offset, extend=False, persist=persist)

    def patch(self, array: Any, offset: int | Sequence[int], extend: bool = False, persist: bool = True) -> None:
        """Write a part of the array, which may make it grow.

        Parameters
        ----------
        array : array-like
            Its elements.
        offset : int or sequence of int
            Where it begins: along the first axis, or along each.
        extend : bool
            Whether the array grows when the part does not lie within it; False by default.
        persist : bool
            As of `write`.

        Raises
        ------
        Conflict
            When the part does not lie within the array, and it was not said that this grows.
        Invalid
            When it has elements of another kind, or another number of axes.
        NotWritable
            When the server takes no data here.
        """
        structure = self.structure()
        found = _computed(array_of(array))
        starts = [offset] if isinstance(offset, int) else [int(start) for start in offset]
        starts += [0] * (structure.ndim - len(starts))
        if found.ndim != structure.ndim or len(starts) != structure.ndim:
            raise Invalid(
                f"a part of {self.uri} has {structure.ndim} axes, not shape {found.shape} at offset {offset!r}"
            )
        if any(start < 0 for start in starts):
            raise Invalid(f"offset {offset!r} counts from the beginning, and is not negative")
        self._patch(_of_type(found, structure, found.shape), starts, extend=extend, persist=persist)

    def _patch(self, array: np.ndarray, offset: Sequence[int], *, extend: bool, persist: bool) -> None:
        ends = [start + length for start, length in zip(offset, array.shape, strict=True)]
        params = [("offset", ",".join(map(str, offset))), ("shape", ",".join(map(str, array.shape)))]
        if extend:
            params.append(("extend", "true"))
        if not persist:
            params.append(("persist", "false"))
        link = data_link(self.item, "full")
        try:
            # The same elements at the same place: done twice, it is the same.
            told = send(self.context, "PATCH", link, params=params, content=memory_of(array), content_type=OCTETS)
        except Conflict as error:
            raise Conflict(
                f"this part, up to {tuple(ends)}, does not lie within {self.uri}, of shape {self.structure().shape}: "
                f"patch(..., extend=True) makes it grow; {error}"
            ) from error
        if persist and isinstance(told, Mapping):
            self._item = {**self._item, "attributes": {**self._item["attributes"], "structure": dict(told)}}
            self._structure = None


def _computed(array: Any) -> np.ndarray:
    return array.compute() if is_dask_array(array) else array
