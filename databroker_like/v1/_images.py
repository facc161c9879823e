"""Images: the frames of a detector as a sequence that is read when it is looked at."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid, NoSuchColumn, OutOfRange, WrongType, listed, nearest

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Images"]


class Images(Sequence[Any]):
    """What was recorded under one data key, one frame for each event.

    Parameters
    ----------
    columns : sequence of dask or numpy arrays
        Of shape (time, ...), one for each stream.
    name : str
        The data key.

    Examples
    --------
    >>> import numpy
    >>> images = Images([numpy.zeros((2, 3, 4)), numpy.ones((1, 3, 4))], "camera")
    >>> images
    <Images of 'camera': 3 frames of shape (3, 4), float64>
    >>> images[-1].sum(), len(images[::2])
    (np.float64(12.0), 2)
    """

    def __init__(self, columns: Sequence[Any], name: str, rows: Sequence[int] | None = None) -> None:
        self._columns = columns
        self._name = name
        self._edges = list(itertools.accumulate((len(column) for column in columns), initial=0))
        self._rows: Sequence[int] = range(self._edges[-1]) if rows is None else rows

    @classmethod
    def of(cls, runs: Sequence[Any], name: str, stream_name: str) -> Images:
        """The images of some runs.

        Parameters
        ----------
        runs : sequence of BlueskyRun
        name : str
            The data key.
        stream_name : str

        Returns
        -------
        Images
        """
        columns = []
        for run in runs:
            stream = run[stream_name]
            known = [key for descriptor in stream._descriptors for key in descriptor["data_keys"]]
            if name not in known:
                raise NoSuchColumn(
                    f"no data key {name!r} in {stream._where}; it has {listed(nearest(name, known) or known)}"
                )
            columns.append(stream.configure_new(include=[name]).to_dask()[name].data)
        return cls(columns, name)

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """The shape of a frame."""
        return tuple(self._columns[0].shape[1:]) if self._columns else ()

    @property
    def dtype(self) -> np.dtype:
        """The type of the pixels."""
        if not self._columns:
            raise Invalid(f"there are no runs, and so no frames of {self._name!r} that had a type")
        return self._columns[0].dtype

    @property
    def pixel_type(self) -> np.dtype:
        """The type of the pixels, under the name that pims has for it."""
        return self.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of frames, and the shape of one."""
        return (len(self), *self.frame_shape)

    def __len__(self) -> int:
        return len(self._rows)

    def get_frame(self, i: int) -> np.ndarray:
        """The frame of a number, as ``images[i]``."""
        return self._read(self._rows[i])

    def __getitem__(self, key: Any) -> Any:
        """A frame, for a number; for a slice, or a list of numbers or of truth values, these frames, still unread."""
        if isinstance(key, slice):
            return Images(self._columns, self._name, self._rows[key])
        if hasattr(key, "__len__"):
            return Images(self._columns, self._name, [self._rows[i] for i in self._chosen(list(key))])
        try:
            number = operator.index(key)
        except TypeError:
            raise WrongType(f"a frame has a number, not the {type(key).__name__} {key!r}") from None
        if not -len(self) <= number < len(self):
            raise OutOfRange(f"there is no frame {number} of {self._name!r}; there are {len(self)}")
        return self._read(self._rows[number])

    def _chosen(self, keys: list[Any]) -> list[int]:
        if keys and all(type(key).__name__ in ("bool", "bool_") for key in keys):
            if len(keys) != len(self):
                raise Invalid(f"{len(keys)} truth values do not choose among {len(self)} frames")
            return [i for i, key in enumerate(keys) if key]
        return [operator.index(key) for key in keys]

    def _read(self, row: int) -> np.ndarray:
        import numpy as np

        column = next(i for i, edge in enumerate(self._edges[1:]) if row < edge)
        return np.asarray(self._columns[column][row - self._edges[column]])

    def __iter__(self) -> Iterator[Any]:
        return map(self._read, self._rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        import numpy as np

        frames = np.stack(list(self)) if len(self) else np.empty(self.shape, self.dtype)
        return frames if dtype is None else frames.astype(dtype, copy=False)

    def __repr__(self) -> str:
        if not self._columns:
            return f"<Images of {self._name!r}: no frames>"
        return f"<Images of {self._name!r}: {len(self)} frames of shape {self.frame_shape}, {self.dtype}>"
