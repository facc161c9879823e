"""How a run lies in a tree of nodes: containers of streams, tables of events, arrays beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from databroker_like.core._columns import page_size
from databroker_like.core._dataset import chosen_keys
from databroker_like.core._declared import declared_dtype, extract_shape, is_number
from databroker_like.core._header import Header, stream_name
from databroker_like.core._reading import StreamReading
from databroker_like.core._rows import EventRows, roomy
from databroker_like.core._source import RunSource
from databroker_like.files._lazy import LazyArray, MemoryArray, concatenate
from databroker_like.store._layout_columns import lies_in_array
from databroker_like.store._layout_nodes import ArrayLeaf, InternalTable, Missing, RecordedArray, TableColumn
from databroker_like.store._looks import Look, common_look, look_at
from databroker_like.store._segment import SegmentPage
from databroker_like.structures import Spec

__all__ = [
    "MOST_COLUMNS",
    "ROW_BYTES",
    "STREAM_SPECS",
    "RunLayout",
    "Spec",
    "StreamLayout",
    "run_layout",
    "run_specs",
    "stream_layout",
    "stream_metadata",
]

Doc = Mapping[str, Any]

#: What every stream promises to be.
STREAM_SPECS: tuple[Spec, ...] = (Spec("BlueskyEventStream", "3.0"), Spec("composite"))
#: What every run promises to be, and most promise nothing else.
_RUN = Spec("BlueskyRun", "3.0")
_ONLY_RUN = (_RUN,)
#: A table has no more columns; the rest go into another one.
MOST_COLUMNS = 1024
#: Rows of an array are read together up to so many bytes, where nothing says how they lie.
ROW_BYTES = 4 << 20


@dataclass(frozen=True)
class StreamLayout:
    """A stream as a container of tables and arrays.

    Parameters
    ----------
    name : str
    metadata : mapping
        The first descriptor without its name, its run and its object_keys, with the data keys of all; what the later
        ones changed in the configuration is listed under ``_config_updates``.
    tables : mapping of str to InternalTable
    arrays : mapping of str to ArrayLeaf
    """

    name: str
    metadata: Mapping[str, Any]
    tables: Mapping[str, InternalTable]
    arrays: Mapping[str, ArrayLeaf]
    specs: tuple[Spec, ...] = STREAM_SPECS

    @property
    def nodes(self) -> dict[str, InternalTable | ArrayLeaf]:
        """What is in it, by name: tables first."""
        return {**self.tables, **self.arrays}


@dataclass(frozen=True)
class RunLayout:
    """A run as a container of streams.

    Parameters
    ----------
    uid : str
    metadata : mapping
        ``start``, and ``stop`` when there is one.
    specs : tuple of Spec
    streams : mapping of str to StreamLayout
    """

    uid: str
    metadata: Mapping[str, Any]
    specs: tuple[Spec, ...]
    streams: Mapping[str, StreamLayout] = field(default_factory=dict)


def run_layout(source: RunSource, *, transforms: Mapping[str, Callable[..., Any]] | None = None) -> RunLayout:
    """How the run of any storage lies in a tree, as it is at the moment.

    Parameters
    ----------
    source : RunSource
    transforms : mapping, optional
        Of documents, as `parse_transforms` gives them.

    Returns
    -------
    RunLayout
        Columns are read when a table or an array is read, and not before.
    """
    header = Header(source, transforms or {})
    start, stop = header.start, header.stop
    metadata: dict[str, Any] = {"start": start}
    if stop is not None:
        metadata["stop"] = stop
    descriptors = header.descriptors
    streams: dict[str, list[Doc]] = {}
    for descriptor in descriptors:
        streams.setdefault(stream_name(descriptor), []).append(descriptor)
    return RunLayout(
        start["uid"],
        metadata,
        run_specs(start),
        {name: stream_layout(header, name, docs) for name, docs in streams.items()},
    )


def run_specs(start: Doc) -> tuple[Spec, ...]:
    """What a run promises to be.

    Parameters
    ----------
    start : mapping

    Returns
    -------
    tuple of Spec
        Those that the start document claims, and that of every run.
    """
    return (*_own_specs(start), _RUN) if "tiled_specs" in start else _ONLY_RUN


def _own_specs(start: Doc) -> Iterator[Spec]:
    """Those that the start document claims for the run."""
    claimed = start.get("tiled_specs")
    for one in claimed if isinstance(claimed, list | tuple) else ():
        if isinstance(one, str):
            yield Spec(one)
        elif isinstance(one, Mapping) and isinstance(one.get("name"), str):
            version = one.get("version")
            yield Spec(one["name"], None if version is None else str(version))


def stream_metadata(descriptors: Sequence[Doc]) -> dict[str, Any]:
    """The metadata of a stream, as `StreamLayout` has it.

    Parameters
    ----------
    descriptors : sequence of mappings
        All of the stream.

    Returns
    -------
    dict
    """
    first, *later = descriptors
    metadata = {key: value for key, value in first.items() if key not in ("name", "object_keys", "run_start")}
    metadata["data_keys"] = chosen_keys(descriptors)
    if later:
        metadata["_config_updates"] = [
            {"uid": doc["uid"], "time": doc["time"], "configuration": doc.get("configuration", {})} for doc in later
        ]
    return metadata


@dataclass(frozen=True)
class _Columns:
    """The pages of one descriptor, of which only the looks are asked."""

    descriptor: Doc
    pages: list[Doc]

    @property
    def rows(self) -> int:
        return sum(map(page_size, self.pages))

    def looks(self, group: str, key: str) -> list[Look | None]:
        return [_look(page, group, key) for page in self.pages]

    def step(self, look: Look) -> int:
        """How many rows of a column of arrays are read together."""
        told = [page.step for page in self.pages if isinstance(page, SegmentPage)]
        return max(told) if told else max(1, ROW_BYTES // max(1, _size(look)))


def _is_streamed(data_key: Doc) -> bool:
    return str(data_key.get("external", "")).startswith("STREAM:")


def _size(look: Look) -> int:
    size = max(1, look.dtype.itemsize)
    for length in look.shape:
        size *= length
    return size


def _look(page: Doc, group: str, key: str) -> Look | None:
    if isinstance(page, SegmentPage):
        return page.look(group, key)
    column = page.get(group, {}).get(key)
    return None if column is None else look_at(column)


def stream_layout(header: Header, name: str, descriptors: Sequence[Doc]) -> StreamLayout:
    """How one stream of a run lies in a tree.

    Parameters
    ----------
    header : Header
    name : str
    descriptors : sequence of mappings
        All of the stream.

    Returns
    -------
    StreamLayout
        Columns are read when a table or an array is read, and not before.
    """
    source = header.source
    parts = [
        _Columns(doc, [page for page in source.get_event_pages(doc["uid"]) if page_size(page)]) for doc in descriptors
    ]
    keys = chosen_keys(descriptors)
    where = f"stream {name!r} of run {header.start['uid']}"
    reading = StreamReading(source, list(descriptors), header.transforms, where, finished=header.stop is not None)
    inside: dict[str, Doc] = {}
    data: list[TableColumn] = []
    arrays: dict[str, ArrayLeaf] = {}
    for key, data_key in keys.items():
        look = _key_look(parts, key, data_key)
        external = data_key.get("external")
        if external and (_is_streamed(data_key) or look.is_text or not any(part.rows for part in parts)):
            arrays[key] = ArrayLeaf(key, data_key, _external(reading, parts, key, look), True)
        elif lies_in_array(look):
            arrays[key] = ArrayLeaf(key, data_key, _recorded(source, parts, key, look), False)
        else:
            inside[key] = data_key
            data.append(TableColumn(key, "data", key, look))
    with_events = [key for key in keys if not _is_streamed(keys[key])]
    if not with_events and not any(part.pages for part in parts):
        return StreamLayout(name, stream_metadata(descriptors), {}, arrays)
    columns = [
        TableColumn("seq_num", None, "seq_num", Look.of("<i8")),
        TableColumn("time", None, "time", Look.of("<f8")),
        *data,
        *(TableColumn(f"ts_{key}", "timestamps", key, _time_look(parts, key)) for key in with_events),
    ]
    counted = tuple((part.descriptor["uid"], part.rows) for part in parts)
    cuts = [columns[at : at + MOST_COLUMNS] for at in range(0, len(columns), MOST_COLUMNS)]
    tables = {}
    for number, some in enumerate(cuts):
        table = "internal" if len(cuts) == 1 else f"internal_{number}"
        described = {column.key: inside[column.key] for column in some if column.group == "data"}
        tables[table] = InternalTable(table, described, tuple(some), source, counted)
    return StreamLayout(name, stream_metadata(descriptors), tables, arrays)


def _key_look(parts: Sequence[_Columns], key: str, data_key: Doc) -> Look:
    """What a data key looks like in all events; as it is declared where there are none."""
    found = [look for part in parts for look in part.looks("data", key)]
    seen = [look for look in found if look is not None]
    if not seen:
        declared = next(part.descriptor for part in parts if key in part.descriptor.get("data_keys", {}))
        shape = () if is_number(data_key.get("shape") or (), data_key.get("dtype")) else extract_shape(declared, key)
        return Look.of(declared_dtype(data_key), (max(0, length) for length in shape))
    look = common_look(seen)
    if lies_in_array(look) and len(seen) < len(found):
        return Look.of(roomy(look.dtype), look.shape)
    return look


def _time_look(parts: Sequence[_Columns], key: str) -> Look:
    seen = [look for part in parts for look in part.looks("timestamps", key) if look is not None]
    return common_look(seen) if seen else Look.of("<f8")


def _recorded(source: RunSource, parts: Sequence[_Columns], key: str, look: Look) -> LazyArray:
    arrays: list[LazyArray] = []
    for part in parts:
        uid = part.descriptor["uid"]
        if not part.rows:
            continue
        if not any(part.looks("data", key)):
            arrays.append(Missing(part.rows, look.dtype, look.shape))
        else:
            arrays.append(RecordedArray(EventRows(source, uid), key, part.rows, look, part.step(look)))
    return _joined(arrays, look)


def _external(reading: StreamReading, parts: Sequence[_Columns], key: str, look: Look) -> LazyArray:
    arrays: list[LazyArray] = []
    for part in parts:
        data_key = part.descriptor.get("data_keys", {}).get(key)
        if data_key is None:
            continue
        if _is_streamed(data_key):
            arrays.append(reading.streamed(part.descriptor, key, data_key))
        elif part.rows:
            rows = EventRows(reading.source, part.descriptor["uid"])
            arrays.append(reading.external(part.descriptor, key, rows, part.rows))
    return _joined(arrays, look)


def _joined(arrays: list[LazyArray], look: Look) -> LazyArray:
    import numpy as np

    return concatenate(arrays) if arrays else MemoryArray(np.empty((0, *look.shape), look.dtype))
