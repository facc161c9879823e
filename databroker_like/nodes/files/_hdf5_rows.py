"""Datasets of rows of different lengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from databroker_like.errors import InvalidFile
from databroker_like.nodes._arrays import RaggedNode, RaggedRows
from databroker_like.nodes._ragged_data import RaggedData
from databroker_like.nodes._sources import DataSource
from databroker_like.slices import Slices, expand, sliced_shape
from databroker_like.structures import RaggedStructure, data_type_of

if TYPE_CHECKING:
    import numpy as np

__all__ = ["HDF5Rows", "element_type"]

#: So many rows are read at once to see how long they are.
_ROWS = 10_000
_MOST_ROWS = 10_000_000


def element_type(dataset: Any) -> np.dtype | None:
    """The type of the elements of the rows of a dataset, when it is a list of rows of different lengths; else None.

    Parameters
    ----------
    dataset : h5py.Dataset

    Returns
    -------
    numpy.dtype or None
    """
    import h5py
    import numpy as np

    inner = h5py.check_vlen_dtype(dataset.dtype)
    if inner is None or dataset.shape is None or len(dataset.shape) != 1:
        return None
    dtype = np.dtype(inner)
    return dtype if dtype.kind in "biufc" else None


class HDF5Rows(RaggedNode):
    """A dataset of rows of different lengths.

    To tell how many elements there are each row is looked at, once.

    Parameters
    ----------
    opened : callable
        Gives a context manager of the dataset.
    dataset : h5py.Dataset
        As it is open now.
    dtype : numpy.dtype
        Of the elements.
    metadata : mapping
    version : callable
        Gives what becomes another when the file is changed.
    source : DataSource
    """

    def __init__(
        self,
        opened: Callable[[], AbstractContextManager[Any]],
        dataset: Any,
        dtype: np.dtype,
        *,
        metadata: Mapping[str, Any],
        version: Callable[[], Any],
        source: DataSource,
    ) -> None:
        self._opened = opened
        self._dtype = dtype
        self._metadata = metadata
        self._version = version
        self._source = source
        count = dataset.shape[0]
        if count > _MOST_ROWS:
            raise InvalidFile(f"{dataset.name!r} has {count} rows of different lengths; {_MOST_ROWS} can be sent")
        starts = range(0, count, _ROWS)
        size = sum(len(row) for start in starts for row in dataset[start : start + _ROWS])
        self._structure = RaggedStructure(data_type_of(dtype), (count, None), size, ((count,), None))

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self._metadata

    @property
    def version(self) -> Any:
        return self._version()

    def data_source(self) -> DataSource:
        return self._source

    def structure(self) -> RaggedStructure:
        return self._structure

    def read(self, slices: Slices = ()) -> RaggedRows:
        import numpy as np

        count = self._structure.shape[0] or 0
        first, second = expand(slices, 2)
        sliced_shape((first,), (count,))
        some = range(count)[first] if isinstance(first, slice) else (range(count)[first],)
        low, high = (min(some), max(some) + 1) if some else (0, 0)
        with self._opened() as dataset:
            rows = [np.asarray(row, self._dtype) for row in dataset[low:high]]
        wanted = RaggedData([rows[at - low] for at in some])
        return wanted.read((slice(None) if isinstance(first, slice) else 0, second))
