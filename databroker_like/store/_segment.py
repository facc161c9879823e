"""Segments: consecutive events of one descriptor as the columns of an Arrow IPC file, each read when it is touched."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from databroker_like.codecs import decode, encode
from databroker_like.core._columns import EVENT_COLUMNS, EVENT_GROUPS, LazyPage, check_lengths
from databroker_like.errors import InvalidDocument, InvalidFile, listed
from databroker_like.store._looks import Look
from databroker_like.store._segment_columns import About, from_arrow, join_stored, stored_look, to_arrow

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Segment", "SegmentPage", "encode_segment"]

Page = Mapping[str, Any]

#: A record batch has at most so many rows, and about so many bytes: what is read to see one of its rows.
BATCH_ROWS = 65_536
BATCH_BYTES = 4 << 20

_VERSION = 1
_ABOUT = b"databroker_like"


def encode_segment(pages: Sequence[Page], *, compression: Literal["lz4", "zstd"] | None = "zstd") -> pa.Buffer:
    """Event pages of one descriptor as one Arrow IPC file.

    Parameters
    ----------
    pages : sequence of event pages
        At least one, with at least one event in all; all with the same keys in the same order.
    compression : {"lz4", "zstd"}, optional
        Of each column of each record batch; none with None.

    Returns
    -------
    pyarrow.Buffer

    Raises
    ------
    InvalidDocument
        When the pages differ in their keys, a column has another length than the others, or a value cannot be stored.

    Examples
    --------
    >>> page = {"uid": ["a", "b"], "time": [0.0, 1.0], "seq_num": [1, 2], "descriptor": "d", "data": {"x": [5, 6]},
    ...         "timestamps": {"x": [0.0, 1.0]}, "filled": {}}
    >>> Segment(encode_segment([page])).page("d")["data"]["x"]
    array([5, 6])
    """
    import pyarrow as pa

    rows = sum(map(check_lengths, pages))
    if not rows:
        raise InvalidDocument("pages without any event make no segment")
    layout = _layout(pages[0])
    for page in pages[1:]:
        if _layout(page) != layout:
            raise InvalidDocument(
                f"event pages of descriptor {pages[0]['descriptor']!r} differ in their keys and make no one segment"
            )
    arrays: list[pa.Array] = []
    fields: list[pa.Field] = []
    for name, key in _columns(layout):
        parts = [page[name] if key is None else page[name][key] for page in pages]
        array, about = to_arrow(join_stored(parts))
        arrays.append(array)
        metadata = {_ABOUT: json.dumps(about)} if about else None
        try:
            fields.append(pa.field(name if key is None else f"{name}.{key}", array.type, metadata=metadata))
        except UnicodeEncodeError as error:
            raise InvalidDocument(f"the data key {key!r} is no text that can be written: {error}") from error
    step = max(1, min(BATCH_ROWS, rows * BATCH_BYTES // max(1, sum(array.get_total_buffer_size() for array in arrays))))
    note = encode({"version": _VERSION, "rows": rows, "step": step, "keys": layout["keys"], "more": layout["more"]})
    schema = pa.schema(fields, {_ABOUT: note})
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression, use_threads=False)
    with pa.ipc.new_file(sink, schema, options=options) as file:
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        for begin in range(0, rows, step):
            file.write_batch(batch.slice(begin, step))
    return sink.getvalue()


def _layout(page: Page) -> dict[str, Any]:
    """What makes two pages fit one below the other, and is needed to write them as they were."""
    known = {*EVENT_COLUMNS, *EVENT_GROUPS, "descriptor"}
    return {
        "keys": list(page),
        "groups": {group: list(page[group]) for group in EVENT_GROUPS if group in page},
        "more": {key: value for key, value in page.items() if key not in known},
        "descriptor": page["descriptor"],
    }


def _columns(layout: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    for name in EVENT_COLUMNS:
        yield name, None
    for group, keys in layout["groups"].items():
        for key in keys:
            yield group, key


class Segment:
    """The events in bytes that `encode_segment` made.

    Parameters
    ----------
    buffer : bytes-like or pyarrow.Buffer
        A file mapped into memory is read no further than columns and rows are wanted.
    where : str
        The file it is, or the run it is of, for errors; empty by default.

    Examples
    --------
    >>> page = {"uid": ["a", "b"], "time": [0.0, 1.0], "seq_num": [1, 2], "descriptor": "d", "data": {"x": [5, 6]},
    ...         "timestamps": {"x": [0.0, 1.0]}, "filled": {}}
    >>> Segment(encode_segment([page])).page("d", 1)["uid"]
    ['b']
    """

    def __init__(self, buffer: Any, where: str = "") -> None:
        import pyarrow as pa

        self._buffer = buffer if isinstance(buffer, pa.Buffer) else pa.py_buffer(buffer)
        self._where = where
        try:
            reader = pa.ipc.open_file(self._buffer)
            schema = reader.schema
            note = decode(schema.metadata[_ABOUT])
            if note["version"] != _VERSION:
                raise InvalidFile(f"a segment of version {note['version']}, which a later databroker_like wrote")
            self.rows: int = note["rows"]
            self.step: int = note["step"]
            self.keys: list[str] = note["keys"]
            self.more: dict[str, Any] = note["more"]
            self.groups: dict[str, dict[str, int]] = {group: {} for group in EVENT_GROUPS if group in self.keys}
            self.columns: dict[str, int] = {}
            self.about: list[About] = []
            for number, field in enumerate(schema):
                self.about.append(json.loads((field.metadata or {}).get(_ABOUT, b"{}")))
                group, dot, key = field.name.partition(".")
                if dot:
                    self.groups[group][key] = number
                else:
                    self.columns[field.name] = number
            known = {*self.columns, *self.groups, *self.more, "descriptor"}
            if not known.issuperset(self.keys) or not known.issuperset(EVENT_COLUMNS):
                raise InvalidFile(f"a segment of events without some of its columns; it has {listed(known)}")
            if self.step < 1 or -(-self.rows // self.step) != reader.num_record_batches:
                raise InvalidFile(f"a segment that is said to have {self.rows} events has others")
        except InvalidFile as error:
            raise self._damaged(error) from error
        except (KeyError, TypeError, ValueError, AttributeError, OSError, pa.ArrowException) as error:
            raise self._damaged(f"the bytes are no segment of events: {error}") from error
        self.schema = schema

    def __repr__(self) -> str:
        return f"Segment({self.rows} events, {self._buffer.size} bytes)"

    def __len__(self) -> int:
        return self.rows

    def __reduce__(self) -> tuple[Any, ...]:
        return Segment, (self._buffer.to_pybytes(), self._where)

    def _damaged(self, why: Any) -> InvalidFile:
        whole = f"{self._where} cannot be read: {why}; restore it from a backup"
        return InvalidFile(whole if self._where else str(why))

    def page(self, descriptor_uid: str, start: int = 0, stop: int | None = None) -> SegmentPage:
        """Rows ``start`` to ``stop`` as an event page.

        Parameters
        ----------
        descriptor_uid : str
            Whose events they are.
        start, stop : int
            The first row, and the one after the last; all rows by default.

        Returns
        -------
        SegmentPage
            Whose columns are read when they are touched.
        """
        begin, end, _ = slice(start, stop).indices(self.rows)
        return SegmentPage(self, descriptor_uid, begin, max(begin, end))

    def batches(self, numbers: Sequence[int], start: int, stop: int) -> Iterator[pa.RecordBatch]:
        """Rows ``start`` to ``stop`` of some columns as record batches; no others are read.

        Parameters
        ----------
        numbers : sequence of int
            Which columns, ascending.
        start, stop : int

        Yields
        ------
        pyarrow.RecordBatch
        """
        import pyarrow as pa

        if start >= stop:
            return
        try:
            options = pa.ipc.IpcReadOptions(included_fields=list(numbers), use_threads=False)
            reader = pa.ipc.open_file(self._buffer, options=options)
            for which in range(start // self.step, -(-stop // self.step)):
                begin = which * self.step
                batch = reader.get_batch(which)
                batch.validate()
                if batch.num_rows != min(self.step, self.rows - begin):
                    raise self._damaged(f"a segment is damaged: {batch.num_rows} rows are in its batch {which}")
                low, high = max(start - begin, 0), min(stop - begin, batch.num_rows)
                yield batch if high - low == batch.num_rows else batch.slice(low, high - low)
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(f"a segment of events is damaged: {error}") from error

    def column(self, number: int, start: int, stop: int) -> Any:
        """Rows ``start`` to ``stop`` of one column, as it came."""
        chunks = [batch.column(0) for batch in self.batches([number], start, stop)]
        try:
            return from_arrow(chunks, self.about[number])
        except InvalidFile as error:
            raise self._damaged(error) from error

    def look(self, number: int) -> Look:
        """What one column looks like; it is not read."""
        return stored_look(self.schema.field(number).type, self.about[number])


class SegmentPage(LazyPage):
    """Some rows of a segment as an event page; a column is read when it is first touched, and kept.

    Parameters
    ----------
    segment : Segment
    descriptor_uid : str
    start, stop : int
    """

    __slots__ = ("_descriptor", "_held", "_segment", "_start", "_stop")

    def __init__(self, segment: Segment, descriptor_uid: str, start: int, stop: int) -> None:
        self._segment = segment
        self._descriptor = descriptor_uid
        self._start, self._stop = start, stop
        self._held: dict[int, Any] = {}

    def __repr__(self) -> str:
        return f"SegmentPage({self._descriptor!r}, {self.rows} events)"

    def __reduce__(self) -> tuple[Any, ...]:
        return SegmentPage, (self._segment, self._descriptor, self._start, self._stop)

    @property
    def rows(self) -> int:
        return self._stop - self._start

    def cut(self, start: int, stop: int) -> SegmentPage:
        begin, end, _ = slice(start, stop).indices(self.rows)
        return SegmentPage(self._segment, self._descriptor, self._start + begin, self._start + max(begin, end))

    def read(self, number: int) -> Any:
        """One column, by its number in the file."""
        if number not in self._held:
            self._held[number] = self._segment.column(number, self._start, self._stop)
        return self._held[number]

    def look(self, group: str, key: str) -> Look | None:
        """What a column of a group looks like, not read; None when there is no such column."""
        number = self._segment.groups.get(group, {}).get(key)
        return None if number is None else self._segment.look(number)

    @property
    def step(self) -> int:
        """How many rows lie together in the file."""
        return self._segment.step

    def __len__(self) -> int:
        return len(self._segment.keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._segment.keys)

    def __contains__(self, key: object) -> bool:
        return key in self._segment.keys

    def __getitem__(self, key: str) -> Any:
        segment = self._segment
        if key in segment.groups:
            return _Group(self, segment.groups[key])
        if key in segment.columns:
            return self.read(segment.columns[key])
        if key == "descriptor":
            return self._descriptor
        return segment.more[key]


class _Group(Mapping[str, Any]):
    """The columns of a group, by key."""

    __slots__ = ("_numbers", "_page")

    def __init__(self, page: SegmentPage, numbers: Mapping[str, int]) -> None:
        self._page = page
        self._numbers = numbers

    def __repr__(self) -> str:
        return f"<columns {list(self._numbers)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _Group, (self._page, self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __contains__(self, key: object) -> bool:
        return key in self._numbers

    def __getitem__(self, key: str) -> Any:
        return self._page.read(self._numbers[key])
