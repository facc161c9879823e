"""One chunk of one column at a time, without laying out the stream anew for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from databroker_like.errors import DatabrokerError, NoSuchColumn, OutOfRange, listed, nearest
from databroker_like.files._lazy import LazyArray

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

__all__ = ["Blocks", "PartitionIndexError"]


class PartitionIndexError(OutOfRange):
    """A partition beyond the end."""


class Blocks:
    """The chunks of the columns of a stream.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of dask arrays.
    columns : mapping
        Key -> the lazy arrays its dask array was made of, one for each descriptor.
    where : str
        The stream, in words.
    """

    def __init__(self, dataset: xr.Dataset, columns: Mapping[str, Sequence[LazyArray]], where: str) -> None:
        self._dataset = dataset
        self._where = where
        self._columns = columns
        self._states = {key: _state(arrays) for key, arrays in columns.items()}
        self._edges: dict[str, list[list[int]]] = {}

    def are_current(self, key: str) -> bool:
        """Whether what is known of a column still holds: its handler, the place of its file, and the file itself."""
        if key not in self._dataset.variables:
            return False
        return key not in self._columns or self._states[key] == _state(self._columns[key])

    def read(self, key: str, numbers: Sequence[Any]) -> np.ndarray:
        """A chunk.

        Parameters
        ----------
        key : str
            The column.
        numbers : sequence of int
            Which chunk along each axis, as dask's ``blocks`` takes them.

        Returns
        -------
        ndarray

        Raises
        ------
        NoSuchColumn, PartitionIndexError
        """
        if key not in self._dataset.variables:
            near = listed(nearest(key, self._dataset.variables) or self._dataset.variables)
            raise NoSuchColumn(f"no column {key!r} in {self._where}; it has {near}")
        data = self._dataset.variables[key].data
        if not hasattr(data, "dask"):
            return data
        arrays = self._columns.get(key, ())
        whole = len(numbers) == data.ndim and all(type(number) is int for number in numbers)
        try:
            if len(arrays) == 1 and whole and data.ndim == arrays[0].ndim:
                # One chunk of one array: a scheduler has nothing to order here, and costs more than reading.
                return arrays[0][self._slices(key, data, numbers)]
            return data.blocks[tuple(numbers)].compute()
        except IndexError as error:
            raise PartitionIndexError(
                f"column {key!r} of {self._where} has no chunk {tuple(numbers)}; it has {data.numblocks} of them"
            ) from error

    def _slices(self, key: str, data: Any, numbers: Sequence[int]) -> tuple[slice, ...]:
        edges = self._edges.get(key)
        if edges is None:
            edges = self._edges[key] = [list(accumulate(chunks, initial=0)) for chunks in data.chunks]
        found = []
        for number, along in zip(numbers, edges, strict=True):
            number = number + len(along) - 1 if number < 0 else number
            if not 0 <= number < len(along) - 1:
                raise IndexError(number)
            found.append(slice(along[number], along[number + 1]))
        return tuple(found)


def _state(arrays: Sequence[LazyArray]) -> Any:
    try:
        return [array.state for array in arrays]
    except DatabrokerError as error:
        # Reading it again says so to whoever asks.
        return [type(error).__name__]
