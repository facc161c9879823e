"""Arrays in files as nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.errors import InvalidFile
from databroker_like.files._array import LazyArray
from databroker_like.nodes._arrays import ArrayNode
from databroker_like.nodes._sources import DataSource
from databroker_like.nodes.files._place import Place
from databroker_like.slices import Slices, sliced_shape
from databroker_like.structures import ArrayStructure, Chunks, Spec, data_type_of

if TYPE_CHECKING:
    import numpy as np

__all__ = ["FileArray", "aligned_chunks"]

#: A block has no more bytes, unless one piece of the file has.
_BLOCK_BYTES = 16 << 20
#: A few bytes in a file can say a shape that nobody could list the blocks of.
_MOST_PIECES = 100_000


class FileArray(ArrayNode):
    """An array that lies in files; only the pieces that a slice or a block touches are read.

    Parameters
    ----------
    array : LazyArray
    place : Place
        The file, or the first of several.
    what : str
        What it is, with an article.
    version : callable
        Gives what becomes another when a file is changed.
    source : DataSource, or callable
        One that is not made before somebody asks for it.
    metadata : mapping
    dims : sequence of str, optional
        The names of the axes.
    most_rows : int, optional
        So many rows are a block at the most, however small they are.
    """

    def __init__(
        self,
        array: LazyArray,
        place: Place,
        what: str,
        *,
        version: Callable[[], Any],
        source: DataSource | Callable[[], DataSource],
        metadata: Mapping[str, Any],
        dims: Sequence[str] | None = None,
        most_rows: int | None = None,
    ) -> None:
        self._array = array
        self._place = place
        self._what = what
        self._version = version
        self._source = source
        self._metadata = metadata
        with place.border(what):
            info = array.info
            data_type = data_type_of(info.dtype)
        chunks = aligned_chunks(info.shape, info.chunks, data_type.itemsize)
        if most_rows is not None and chunks[0][0] > most_rows:
            chunks = (_cut(info.shape[0], most_rows), *chunks[1:])
        self._structure = ArrayStructure(data_type, chunks, info.shape, None if dims is None else tuple(dims))

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self._metadata

    @property
    def specs(self) -> tuple[Spec, ...]:
        return ()

    @property
    def version(self) -> Any:
        return self._version()

    def data_source(self) -> DataSource:
        return self._source() if callable(self._source) else self._source

    def structure(self) -> ArrayStructure:
        return self._structure

    def read(self, slices: Slices = ()) -> np.ndarray:
        import numpy as np

        structure = self._structure
        shape = sliced_shape(slices, structure.shape)
        with self._place.border(self._what):
            # An index for each axis gives a number, which is an array without axes.
            found = np.asarray(self._array[slices], structure.data_type.to_numpy_dtype())
        if found.shape != shape:
            raise InvalidFile(f"{self._place.name!r} has changed while it was read; ask for its metadata again")
        return found


def aligned_chunks(
    shape: Sequence[int], unit: Sequence[int], itemsize: int, *, most_bytes: int = _BLOCK_BYTES
) -> Chunks:
    """Pieces made of whole pieces of the file: as many of these as make up a block of a few megabytes.

    Parameters
    ----------
    shape : sequence of int
    unit : sequence of int
        The shape of the piece that the file itself reads at once.
    itemsize : int
        The bytes of an element.
    most_bytes : int
        Of a block; 16 MB by default.

    Returns
    -------
    tuple of tuple of int

    Examples
    --------
    >>> aligned_chunks((10, 6), (1, 4), 8, most_bytes=32)
    ((1, 1, 1, 1, 1, 1, 1, 1, 1, 1), (4, 2))
    >>> aligned_chunks((10, 6), (1, 4), 8, most_bytes=200)
    ((4, 4, 2), (6,))
    """
    steps = [max(1, min(length, piece)) for length, piece in zip(shape, unit, strict=True)]
    for axis in reversed(range(len(shape))):
        taken = max(1, itemsize)
        for step in steps:
            taken *= step
        times = min(most_bytes // taken, -(-shape[axis] // steps[axis]))
        if times > 1:
            steps[axis] = min(shape[axis], steps[axis] * times)
        if steps[axis] < shape[axis]:
            break
    fewest = [-(-length // _MOST_PIECES) for length in shape]
    return tuple(_cut(length, max(step, few)) for length, step, few in zip(shape, steps, fewest, strict=True))


def _cut(length: int, step: int) -> tuple[int, ...]:
    whole, rest = divmod(length, step)
    return (step,) * whole + ((rest,) if rest else ()) or (0,)
