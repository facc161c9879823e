"""Columns whose values lie in external files, named in the events by datum ids."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.core._filler import HandlerCache, HandlerOpener
from databroker_like.core._pages import scalars
from databroker_like.core._rows import EventRows
from databroker_like.core._source import RunSource
from databroker_like.core._transforms import apply_transform
from databroker_like.errors import Invalid, InvalidFile, NoSuchDocument
from databroker_like.files._lazy import ArrayInfo, LazyArray, stack

if TYPE_CHECKING:
    import numpy as np

__all__ = ["DatumColumn", "DatumTable", "ExternalColumn", "RaggedFrames", "filled_flags"]

Doc = Mapping[str, Any]


class RaggedFrames(InvalidFile):
    """External values of one column that have different shapes, and so are no one array."""


class DatumTable:
    """Which resource, and which keywords for its handler, each datum id stands for; kept as columns.

    Parameters
    ----------
    source : RunSource
    transforms : dict
        Of documents, as `parse_transforms` gives them.
    """

    def __init__(self, source: RunSource, transforms: Mapping[str, Callable[..., Any]]) -> None:
        self.source = source
        self.transforms = transforms
        self._resources: dict[str, _Resource | None] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "transforms": self.transforms, "_resources": {}}

    def resource_uid(self, datum_id: str) -> str:
        """The uid of the resource that a datum belongs to.

        Parameters
        ----------
        datum_id : str

        Returns
        -------
        str

        Raises
        ------
        NoSuchDocument
            When there is no such datum.
        """
        return self._holder(datum_id).uid

    def look_up(self, datum_id: str) -> tuple[Doc, dict[str, Any]]:
        """The resource document and the keywords of a datum.

        Parameters
        ----------
        datum_id : str

        Returns
        -------
        (resource document, datum_kwargs)
        """
        holder = self._holder(datum_id)
        return holder.doc, holder.keywords(holder.rows[datum_id])

    def keywords(self, resource_uid: str) -> list[dict[str, Any]]:
        """The keywords of every datum of a resource, in order."""
        found = self._load(resource_uid)
        return [] if found is None else [found.keywords(row) for row in found.rows.values()]

    def resource(self, uid: str) -> Doc:
        """A resource document, transformed."""
        found = self._load(uid)
        if found is None:
            raise NoSuchDocument(f"the run has no resource {uid!r}; its documents are incomplete")
        return found.doc

    def _holder(self, datum_id: str) -> _Resource:
        # By custom the uid of the resource stands before a slash; it is no more than a custom.
        guess = datum_id.partition("/")[0] if isinstance(datum_id, str) and "/" in datum_id else None
        if guess is not None:
            found = self._load(guess)
            if found is not None and datum_id in found.rows:
                return found
        try:
            uid = self.source.lookup_resource_for_datum(datum_id)
        except (KeyError, ValueError) as error:
            raise NoSuchDocument(
                f"an event refers to the datum {datum_id!r}, which the run does not have; its documents are incomplete"
            ) from error
        found = self._load(uid)
        if found is None or datum_id not in found.rows:
            # A run being written: the datum may have come since the resource was looked at.
            self._resources.pop(uid, None)
            found = self._load(uid)
        if found is None or datum_id not in found.rows:
            raise NoSuchDocument(
                f"an event refers to the datum {datum_id!r} of resource {uid!r}, which the run does not have; "
                "its documents are incomplete"
            )
        return found

    def _load(self, uid: str) -> _Resource | None:
        if uid not in self._resources:
            try:
                doc = self.source.get_resource(uid)
            except (KeyError, ValueError):
                doc = None
            if doc is None:
                return None
            doc = apply_transform(self.transforms, "resource", doc)
            self._resources[uid] = _Resource(uid, doc, self.source.get_datum_pages(uid))
        return self._resources[uid]


class _Resource:
    """A resource document, and its datum pages joined."""

    def __init__(self, uid: str, doc: Doc, pages: Iterable[Doc]) -> None:
        self.uid = uid
        self.doc = doc
        self.rows: dict[str, tuple[Mapping[str, Any], int]] = {}
        for page in pages:
            columns = {key: scalars(column) for key, column in page["datum_kwargs"].items()}
            for i, datum_id in enumerate(scalars(page["datum_id"])):
                self.rows[datum_id] = (columns, i)

    def keywords(self, row: tuple[Mapping[str, Any], int]) -> dict[str, Any]:
        columns, i = row
        return {key: column[i] for key, column in columns.items()}


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

    def values(self) -> list[np.ndarray]:
        """Every value as an array of its own, whatever their shapes."""
        with self._open() as handle:
            return [_in_memory(value) for value in self._frames(handle, range(self._length))]


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

    @contextlib.contextmanager
    def _open(self) -> Iterator[HandlerCache]:
        with HandlerCache(self._opener) as handlers:
            yield handlers

    def _datum_ids(self) -> list[str]:
        if self._ids is None:
            pages = self._rows.source.get_event_pages(self._rows.descriptor_uid, skip=0, limit=self._length)
            ids: list[str] = []
            for page in pages:
                ids.extend(scalars(page["data"][self._key]))
            self._ids = ids
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


def filled_flags(page: Doc, key: str) -> list[Any]:
    """What a page says of each value of a column: False where it stands for external data."""
    filled = page.get("filled", {})
    return scalars(filled[key]) if key in filled else [False] * len(page["time"])
