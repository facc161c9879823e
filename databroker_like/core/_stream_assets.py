"""A column of a stream that detectors wrote to files of their own: stream resources and datums as one lazy array."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from databroker_like.core._asset_paths import (
    AssetPath,
    explaining,
    file_uri_to_path,
    missing_file,
    resolve_path,
    resolve_uri,
)
from databroker_like.core._declared import declared_dtype, fits, is_number
from databroker_like.core._stream_readers import READERS, Reader, StreamAsset, find_reader
from databroker_like.errors import InvalidDocument, InvalidFile
from databroker_like.files._lazy import Grouped, LazyArray, MemoryArray, View, Window, concatenate

__all__ = [
    "READERS",
    "StreamColumn",
    "count_events",
    "file_uri_to_path",
    "missing_file",
    "resolve_path",
    "resolve_uri",
    "stream_column",
    "warn_declared_shape",
]

Doc = Mapping[str, Any]


@dataclass(frozen=True)
class _Resource:
    """One stream resource, as far as it concerns reading."""

    uid: str
    reader: Reader
    where: AssetPath
    parameters: Mapping[str, Any]
    stop: int


@dataclass(frozen=True)
class _Stretch:
    """Consecutive indices of one resource that are consecutive events."""

    resource: str
    start: int
    stop: int


def stream_column(
    data_key_name: str,
    data_key: Doc,
    stream_resources: Iterable[Doc],
    stream_datums: Iterable[Doc],
    *,
    root_map: Mapping[str, str] | None = None,
    readers: Mapping[str, Any] | None = None,
) -> LazyArray:
    """The column of a data key that is external with ``STREAM:``, one row to an event.

    Parameters
    ----------
    data_key_name : str
    data_key : mapping
        The descriptor's entry; its ``shape`` says what one event holds where the file leaves that open.
    stream_resources : iterable of stream_resource documents
        Those of other data keys are passed over.
    stream_datums : iterable of stream_datum documents
        Those of other resources are passed over; the order is that of ``seq_nums``, and one that comes twice counts
        once.
    root_map : mapping, optional
        Path to path, on whole folder names.
    readers : mapping, optional
        Mimetype to ``reader(asset) -> LazyArray``, or its dotted path; they come before those that are known.

    Returns
    -------
    LazyArray
        Of shape (events, \\*shape of one event). The declared shape holds when it fits the file: a dataset
        (n * k, y, x) declared (k, y, x) gives (n, k, y, x), declared (y, x) with k = 1 gives (n, y, x), and a number
        declared (1,) gives (n,). When it does not fit, the file is right and a warning, one to a column, says so when
        the shape is first looked at. Nothing is opened before.

    Raises
    ------
    NoSuchHandler
        At once, when nothing reads the mimetype.
    MissingFile, InvalidFile
        At once for a URI that is no file here; else on reading. A file that holds less than the stream_datum
        documents announced is an error with both numbers.

    Examples
    --------
    >>> import h5py, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.h5")
    >>> with h5py.File(path, "w") as file:
    ...     file["sum"] = [3, 4, 5]
    >>> resource = {"uid": "r", "data_key": "total", "mimetype": "application/x-hdf5", "uri": f"file://localhost{path}",
    ...             "parameters": {"dataset": "sum"}}
    >>> datum = {"uid": "r/0", "stream_resource": "r", "descriptor": "d",
    ...          "seq_nums": {"start": 1, "stop": 3}, "indices": {"start": 0, "stop": 2}}
    >>> stream_column("total", {"dtype": "number", "shape": [1]}, [resource], [datum])[:].tolist()
    [3, 4]
    """
    mine = {doc["uid"]: doc for doc in stream_resources if doc["data_key"] == data_key_name}
    stretches = _stretches(stream_datums, mine)
    used: dict[str, _Resource] = {}
    for uid, stop in _stops(stretches).items():
        doc = mine[uid]
        used[uid] = _Resource(
            uid,
            find_reader(doc["mimetype"], uid, readers),
            resolve_uri(doc["uri"], root_map),
            dict(doc.get("parameters") or {}),
            stop,
        )
    shape = tuple(None if n is None else int(n) for n in data_key.get("shape") or ())
    if not stretches:
        return _empty(data_key, shape)
    return StreamColumn(data_key_name, shape, data_key.get("dtype"), used, stretches)


def count_events(data_key_name: str, stream_resources: Iterable[Doc], stream_datums: Iterable[Doc]) -> int:
    """How many events of a data key the documents announce; no file is looked at.

    Parameters
    ----------
    data_key_name : str
    stream_resources, stream_datums : iterables of documents
        As for `stream_column`.

    Returns
    -------
    int
    """
    mine = {doc["uid"]: doc for doc in stream_resources if doc["data_key"] == data_key_name}
    return sum(stretch.stop - stretch.start for stretch in _stretches(stream_datums, mine))


def _stretches(stream_datums: Iterable[Doc], mine: Mapping[str, Doc]) -> list[_Stretch]:
    """The indices to read in the order of their events, neighbours joined."""
    found: dict[str, tuple[int, int, int, int, str]] = {}
    for doc in stream_datums:
        if doc["stream_resource"] in mine:
            indices, seq_nums = doc["indices"], doc.get("seq_nums") or {"start": 0, "stop": 0}
            if not 0 <= indices["start"] <= indices["stop"]:
                raise InvalidDocument(
                    f"stream_datum {doc['uid']!r}: indices {indices['start']} to {indices['stop']} are no range"
                )
            found[doc["uid"]] = (
                seq_nums["start"],
                seq_nums["stop"] - seq_nums["start"],
                indices["start"],
                indices["stop"],
                doc["stream_resource"],
            )
    numbered = any(count for _, count, *_ in found.values())
    stretches: list[_Stretch] = []
    for _, count, start, stop, uid in (
        sorted(found.values(), key=lambda one: (one[0], one[2])) if numbered else [*found.values()]
    ):
        if numbered:
            # Frames beyond the events they were announced for belong to none.
            stop = min(stop, start + count)
        if stop <= start:
            continue
        last = stretches[-1] if stretches else None
        if last is not None and last.resource == uid and last.stop == start:
            stretches[-1] = _Stretch(uid, last.start, stop)
        else:
            stretches.append(_Stretch(uid, start, stop))
    return stretches


def _stops(stretches: Iterable[_Stretch]) -> dict[str, int]:
    stops: dict[str, int] = {}
    for stretch in stretches:
        stops[stretch.resource] = max(stops.get(stretch.resource, 0), stretch.stop)
    return stops


def _empty(data_key: Doc, shape: tuple[int | None, ...]) -> LazyArray:
    """The column of a data key that nothing was announced for yet."""
    import numpy as np

    frame = () if is_number(shape, data_key.get("dtype")) else tuple(n or 0 for n in shape)
    return MemoryArray(np.empty((0, *frame), declared_dtype(data_key)))


class StreamColumn(View):
    """What `stream_column` returns; it finds out how its files lie when it is first looked at.

    Parameters
    ----------
    name : str
    declared : tuple of int or None
        The shape of one event, as the descriptor has it.
    dtype : str or None
        The kind of one event's value, as the descriptor has it.
    resources : mapping of str to _Resource
    stretches : list of _Stretch
    """

    _laid_out: LazyArray | None = None

    def __init__(
        self,
        name: str,
        declared: tuple[int | None, ...],
        dtype: str | None,
        resources: dict[str, _Resource],
        stretches: list[_Stretch],
    ) -> None:
        self.name = name
        self.declared = declared
        self.kind = dtype
        self.resources = resources
        self.stretches = stretches

    @property
    def parent(self) -> LazyArray:  # type: ignore[override]
        """The files laid out by events."""
        if self._laid_out is None:
            self._laid_out = self._lay_out()
        return self._laid_out

    @property
    def rows(self) -> int:
        """The number of events; nothing is opened for it."""
        return sum(stretch.stop - stretch.start for stretch in self.stretches)

    def _where(self) -> str:
        return f"{self.name!r}" if self._laid_out is None else self._laid_out._where()

    def _lay_out(self) -> LazyArray:
        opened = {uid: self._frames(resource) for uid, resource in self.resources.items()}
        first = self.stretches[0].resource
        size, dropped = self._frames_per_event(opened[first], self.resources[first])
        parts: list[LazyArray] = []
        for stretch in self.stretches:
            window = Window(opened[stretch.resource], stretch.start * size, stretch.stop * size)
            parts.append(window if dropped else Grouped(window, size))
        column = concatenate(parts)
        found = column.shape[1:]
        if not fits(self.declared, found, self.kind):
            warn_declared_shape(self.name, self.declared, found)
        return column

    def _frames(self, resource: _Resource) -> LazyArray:
        where = resource.where
        asset = StreamAsset(self.name, where.path, resource.parameters, self.declared, resource.stop)
        with explaining(where.root, where.touched):
            return _Located(resource.reader(asset), where.root, where.touched)

    def _frames_per_event(self, frames: LazyArray, resource: _Resource) -> tuple[int, bool]:
        """How many of the file's rows make an event, and whether that is one row without an axis of its own."""
        if not frames.shape:
            raise InvalidFile(f"{frames._where()} is a single value; a stream needs a first axis that counts frames")
        there, frame = frames.shape[0], frames.shape[1:]
        wide = len(self.declared) == len(frame) + 1
        as_declared = fits(self.declared, frame, self.kind)
        if getattr(frames.parent, "exact", False):  # type: ignore[attr-defined]
            size = max(1, there // resource.stop)
            return size, size == 1 and (as_declared or not wide)
        if as_declared:
            return 1, True
        size = int(resource.parameters.get("multiplier") or (self.declared[0] if wide else 1) or 1)
        if size > 1 and there < resource.stop * size and there and there % resource.stop == 0:
            # The file holds a whole number of rows for every event, though another than was declared.
            size = there // resource.stop
        return max(1, size), size <= 1 and not wide


class _Located(View):
    """Frames of a stream resource; a file that is missing says what root_map did to its path."""

    def __init__(self, parent: LazyArray, root: str, touched: bool) -> None:
        super().__init__(parent)
        self.root = root
        self.touched = touched

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        with explaining(self.root, self.touched), self.parent._open() as handle:
            yield handle


def warn_declared_shape(key: str, declared: Iterable[int | None], found: Iterable[int]) -> None:
    """Warn that a descriptor declares another shape than the data has; the data is right.

    Parameters
    ----------
    key : str
        The data key.
    declared : iterable of int
        The shape of one event as the descriptor has it.
    found : iterable of int
        The shape that one event's data has.
    """
    warnings.warn(
        f"the descriptor declares shape {tuple(declared)} for {key!r}, the data has {tuple(found)}; "
        "the data is taken as it is",
        UserWarning,
        stacklevel=3,
    )
