"""Columns whose values lie in external files, named in the events by datum ids."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from databroker_like.core._datums import DatumTable
from databroker_like.core._filler import HandlerCache, HandlerOpener
from databroker_like.core._names import external_name
from databroker_like.core._pages import scalars
from databroker_like.core._rows import EventRows
from databroker_like.errors import Invalid, InvalidFile
from databroker_like.files._lazy import ArrayInfo, LazyArray, file_stamp, named, stack

if TYPE_CHECKING:
    import numpy as np

__all__ = ["DatumColumn", "ExternalColumn", "RaggedFrames"]


class RaggedFrames(InvalidFile):
    """External values of one column that have different shapes, and so are no one array."""


class ExternalColumn(LazyArray):
    """What the columns of external values have in common; a subclass says how rows are read.

    Parameters
    ----------
    rows : EventRows
    key : str
        The data key.
    length : int
        The number of events.
    """

    def __init__(self, rows: EventRows, key: str, length: int) -> None:
        self._rows = rows
        self._key = key
        self._length = length

    @property
    def identity(self) -> tuple[Any, ...]:
        """The descriptor and the key, and how many rows there were."""
        return (type(self).__name__, self._rows.descriptor_uid, self._key, self._length)

    @property
    def descriptor_uid(self) -> str:
        """Whose events these are."""
        return self._rows.descriptor_uid

    @property
    def rows(self) -> int:
        """The number of events; nothing is opened for it."""
        return self._length

    def _frames(self, handle: Any, rows: range) -> Iterator[Any]:
        """One value for each row: an ndarray, a LazyArray, a dask array or a number."""
        raise NotImplementedError

    def _describe(self, handle: Any) -> ArrayInfo:
        first = next(iter(self._frames(handle, range(1))))
        if not isinstance(first, LazyArray) and not hasattr(first, "dtype"):
            first = _in_memory(first)
        shape = tuple(int(n) for n in first.shape)
        chunks = first.chunks if isinstance(first, LazyArray) else shape
        return ArrayInfo((self._length, *shape), first.dtype, (1, *chunks))

    def _read(self, handle: Any, out: np.ndarray, box: tuple[range, ...]) -> None:
        """Values that are lazy arrays are read together, neighbours in one file at once."""
        rows, rest = box[0], tuple(slice(r.start, r.stop, r.step) for r in box[1:])
        frame = self.shape[1:]
        waiting: list[LazyArray] = []
        done = 0
        for i, value in enumerate(self._frames(handle, rows)):
            if isinstance(value, LazyArray):
                waiting.append(value)
                continue
            if waiting:
                self._read_lazy(waiting, out[done:i], rest, frame, rows[done])
                waiting = []
            array = _in_memory(value)
            self._check(array.shape, frame, rows[i])
            out[i] = array[rest]
            done = i + 1
        if waiting:
            self._read_lazy(waiting, out[done : done + len(waiting)], rest, frame, rows[done])

    def _read_lazy(
        self, values: list[LazyArray], out: np.ndarray, rest: tuple[slice, ...], frame: tuple[int, ...], first: int
    ) -> None:
        try:
            if len(values) == 1:
                # One value is read in one opening of its file; a stack looks at it first.
                values[0].read_into(out[0, ...], rest)
            else:
                stack(values).read_into(out, (slice(None), *rest))
        except Invalid:
            # Whether it is the shapes that differ is looked at only now: it costs opening every file.
            for i, value in enumerate(values):
                self._check(value.shape, frame, first + i)
            raise

    def _check(self, shape: tuple[int, ...], frame: tuple[int, ...], row: int) -> None:
        if tuple(shape) != frame:
            raise RaggedFrames(
                f"the external data of {self._key!r} has shape {tuple(shape)} in event {row} and {frame} in the first; "
                "values of different shapes are no one array: read() gives them as a column of arrays"
            )

    def _recorded(self) -> list[Any]:
        """What stands in the events: datum ids."""
        pages = self._rows.source.get_event_pages(self._rows.descriptor_uid, skip=0, limit=self._length)
        return [value for page in pages for value in scalars(page["data"][self._key])]

    def values(self) -> list[np.ndarray]:
        """Every value as an array of its own, whatever their shapes."""
        return list(self.each_value())

    def each_value(self) -> Iterator[np.ndarray]:
        """The same, one after the other."""
        with self._open() as handle:
            for value in self._frames(handle, range(self._length)):
                yield _in_memory(value)


def _in_memory(value: Any) -> np.ndarray:
    import numpy as np

    return np.asarray(value[()] if isinstance(value, LazyArray) and value.ndim else value)


class DatumColumn(ExternalColumn):
    """A column of datum ids as the array that handlers read for them.

    Parameters
    ----------
    rows : EventRows
    key : str
        The data key.
    length : int
        The number of events.
    table : DatumTable
    opener : HandlerOpener
    datum_ids : list of str, optional
        Of all rows, where they are at hand; they are not pickled, and read again when they are missed.
    """

    def __init__(
        self,
        rows: EventRows,
        key: str,
        length: int,
        table: DatumTable,
        opener: HandlerOpener,
        datum_ids: list[str] | None = None,
    ) -> None:
        super().__init__(rows, key, length)
        self._table = table
        self._opener = opener
        self._ids = datum_ids

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ids": None}

    @property
    def token(self) -> str:
        """Made of the datums, their resources, the root map, the handlers and the files as they are now."""
        return named(self.identity, external_name(self._datum_ids(), self._table, self._opener))

    @property
    def state(self) -> tuple[Any, ...]:
        """The handler and the file of the first event, which decide the shape of all."""
        if not self._length:
            return ()
        resource, _ = self._table.look_up(self._datum_ids()[0])
        path, _ = self._opener.locate(resource)
        return (self._opener.handler_class(resource), path, file_stamp(path))

    @contextlib.contextmanager
    def _open(self) -> Iterator[HandlerCache]:
        with HandlerCache(self._opener) as handlers:
            yield handlers

    def _datum_ids(self) -> list[str]:
        if self._ids is None:
            self._ids = self._recorded()
        return self._ids

    def _frames(self, handle: HandlerCache, rows: range) -> Iterator[Any]:
        ids = self._datum_ids()
        for row in rows:
            resource, keywords = self._table.look_up(ids[row])
            yield handle.read(resource, keywords)

    def _read_lazy(
        self, values: list[LazyArray], out: np.ndarray, rest: tuple[slice, ...], frame: tuple[int, ...], first: int
    ) -> None:
        try:
            super()._read_lazy(values, out, rest, frame, first)
        except FileNotFoundError as error:
            raise self._missing(error, first, len(values)) from error

    def _describe(self, handle: HandlerCache) -> ArrayInfo:
        try:
            return super()._describe(handle)
        except FileNotFoundError as error:
            raise self._missing(error, 0, 1) from error

    def _missing(self, error: FileNotFoundError, first: int, count: int) -> Exception:
        """A file found missing while it is read: which resource it belongs to, and what root_map did about it."""
        resources = {}
        for datum_id in self._datum_ids()[first : first + count]:
            resource, _ = self._table.look_up(datum_id)
            resources[resource["uid"]] = resource
        if len(resources) == 1:
            (resource,) = resources.values()
            return self._opener.missing(resource, error)
        for resource in resources.values():
            path, _ = self._opener.locate(resource)
            if path in str(error):
                return self._opener.missing(resource, error)
        return error
