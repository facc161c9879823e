"""From the descriptors of a stream to its columns, in memory or lazy; what cannot be read is left out and told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Any

from databroker_like.core._dataset import Part, arrange, chosen_keys, configuration, empty_column
from databroker_like.core._datums import DatumTable, filled_flags
from databroker_like.core._document import register_dask_tokens
from databroker_like.core._external import DatumColumn, ExternalColumn, RaggedFrames
from databroker_like.core._filled import FilledColumn
from databroker_like.core._filler import HandlerOpener, opener_of
from databroker_like.core._pages import page_size, scalars
from databroker_like.core._rows import EventColumn, EventRows, gapped_column, join_column, ragged
from databroker_like.core._source import RunSource
from databroker_like.core._stream_assets import stream_column
from databroker_like.core._tell import tell
from databroker_like.errors import MissingFile, NoSuchColumn, NoSuchHandler
from databroker_like.files._lazy import LazyArray, view
from databroker_like.files._lazy import to_dask as lazy_to_dask

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

__all__ = ["StreamReading"]

Doc = Mapping[str, Any]

#: Events to a chunk of a lazy column of numbers, at least; and not more chunks than this in all.
EVENTS_AT_ONCE = 10_000
CHUNKS_AT_MOST = 64


@dataclass(frozen=True)
class StreamReading:
    """One reading of a stream: which part of which documents, and how.

    Parameters
    ----------
    source : RunSource
    descriptors : list of mapping
        Of the stream, transformed, in order.
    transforms : mapping
    where : str
        The stream and its run, in words, for warnings and errors.
    include, exclude : tuple of str, or None
    field : {"data", "timestamps"}
    finished : bool
        Whether the run has its stop document.
    """

    source: RunSource
    descriptors: list[Doc]
    transforms: Mapping[str, Callable[..., Any]]
    where: str
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] | None = None
    field: str = "data"
    finished: bool = True
    _kept: dict[str, Any] = dataclass_field(default_factory=dict)

    def dataset(self, *, lazy: bool) -> xr.Dataset:
        """The stream as a Dataset of numpy arrays, or of dask arrays.

        Parameters
        ----------
        lazy : bool
            Make dask arrays.

        Returns
        -------
        xarray.Dataset
        """
        if lazy:
            register_dask_tokens()
        keys = chosen_keys(self.descriptors, self.include, self.exclude)
        failed: dict[str, Exception] = {}
        parts = [self._part(descriptor, keys, lazy, failed) for descriptor in self.descriptors]
        for key, error in failed.items():
            self._tell(key, error)
        left = {key: data_key for key, data_key in keys.items() if key not in failed}
        return arrange(parts, left, field=self.field, where=self.where)

    def configuration(self, device: str) -> xr.Dataset:
        """The configuration of a device, repeated along the events."""
        return configuration(device, self.descriptors, self._times, field=self.field)

    # -- columns ----------------------------------------------------------------------------------------------

    def _times(self, descriptor: Doc) -> np.ndarray:
        import numpy as np

        pages = list(self.source.get_event_pages(descriptor["uid"]))
        return join_column([page["time"] for page in pages]) if pages else np.empty(0)

    def _part(self, descriptor: Doc, keys: Mapping[str, Doc], lazy: bool, failed: dict[str, Exception]) -> Part:
        import numpy as np

        rows = EventRows(self.source, descriptor["uid"])
        pages = [page for page in self.source.get_event_pages(descriptor["uid"]) if page_size(page)]
        count = sum(map(page_size, pages))
        times: np.ndarray | None = join_column([page["time"] for page in pages]) if pages else np.empty(0)
        columns: dict[str, Any] = {}
        streamed: dict[str, LazyArray] = {}
        for key, data_key in descriptor.get("data_keys", {}).items():
            if key not in keys or key in failed:
                continue
            try:
                if str(data_key.get("external", "")).startswith("STREAM:"):
                    if self.field == "data":
                        streamed[key] = self.streamed(descriptor, key, data_key)
                elif not pages:
                    columns[key] = _dask(empty_column(descriptor, key, self.field), lazy)
                else:
                    columns[key] = self._column(descriptor, key, data_key, rows, pages, count, lazy)
            except (MissingFile, NoSuchHandler, NoSuchColumn) as error:
                failed[key] = error
        if streamed:
            _, times = self._with_streamed(streamed, count, times, columns, failed, lazy)
        return Part(descriptor, times, columns)

    def _with_streamed(
        self,
        streamed: dict[str, LazyArray],
        count: int,
        times: np.ndarray | None,
        columns: dict[str, Any],
        failed: dict[str, Exception],
        lazy: bool,
    ) -> tuple[int, np.ndarray | None]:
        """Bring streams of external data and events to one number of rows."""
        lengths = {key: array.rows if array.rows is not None else len(array) for key, array in streamed.items()}
        rows = {"events": count, **lengths} if count else lengths
        if any(rows.values()):
            # Nothing was announced of these yet, which is no reason to show nothing of the others.
            for key in [key for key, length in lengths.items() if not length]:
                failed[key] = NoSuchColumn(f"no stream_datum document has announced any data of {key!r}")
                del streamed[key], rows[key]
        if not count and any(rows.values()):
            times = None
            for key in columns:
                failed[key] = NoSuchColumn(f"there are no events, in which the values of {key!r} would be")
            columns.clear()
        if len(set(rows.values())) > 1 and self.finished:
            said = ", ".join(f"{key!r} {n}" for key, n in rows.items())
            tell(
                f"{self.where}: columns have different numbers of rows ({said}); only the rows that all have are given"
            )
        count = min(rows.values(), default=0)
        for key, array in streamed.items():
            part = array if lengths[key] == count else view(array, slice(0, count))
            try:
                columns[key] = self._materialized(key, part, lazy)
            except (MissingFile, NoSuchHandler) as error:
                failed[key] = error
        for key in columns:
            columns[key] = columns[key][:count]
        return count, times if times is None else times[:count]

    def _column(
        self, descriptor: Doc, key: str, data_key: Doc, rows: EventRows, pages: list[Doc], count: int, lazy: bool
    ) -> Any:
        parts = [page[self.field].get(key) for page in pages]
        if all(part is None for part in parts):
            raise NoSuchColumn(f"the events of descriptor {descriptor['uid']!r} have no {key!r}, which it declares")
        if self.field == "data" and data_key.get("external") and _stands_outside(pages, key):
            if any(part is None for part in parts):
                raise NoSuchColumn(
                    f"some events of descriptor {descriptor['uid']!r} have no {key!r}, which it declares"
                )
            datum_ids = [datum_id for part in parts for datum_id in scalars(part)]
            return self._materialized(key, self.external(descriptor, key, rows, count, datum_ids), lazy)
        lengths = [page_size(page) for page in pages]
        lacking = sum(length for part, length in zip(parts, lengths, strict=True) if part is None)
        if lacking:
            tell(f"{self.where}: {lacking} of {count} events have no {key!r}; NaN stands in its place")
        array = gapped_column(parts, lengths)
        if not lazy:
            return array
        column = EventColumn(rows, self.field, key, count, array.dtype, array.shape[1:], _digest(array))
        chunk = max(EVENTS_AT_ONCE, -(-count // CHUNKS_AT_MOST))
        return self._lazily(key, column, (min(chunk, count), *array.shape[1:]))

    def external(
        self, descriptor: Doc, key: str, rows: EventRows, count: int, datum_ids: list[str] | None = None
    ) -> LazyArray:
        """The column of a data key whose values lie in external files."""
        elsewhere = self.source.get_column(descriptor["uid"], key)
        if elsewhere is not None:
            return elsewhere
        opener = self.opener
        if opener is None:
            return FilledColumn(rows, key, count, self.table, self.source.get_filler, descriptor)
        return DatumColumn(rows, key, count, self.table, opener, datum_ids)

    @property
    def table(self) -> DatumTable:
        """Where the datum ids of this reading are looked up."""
        if "table" not in self._kept:
            self._kept["table"] = DatumTable(self.source, self.transforms)
        return self._kept["table"]

    @property
    def opener(self) -> HandlerOpener | None:
        """What opens external files; None when a filler of the user's own fills."""
        if "opener" not in self._kept:
            self._kept["opener"] = opener_of(self.source.get_filler)
        return self._kept["opener"]

    @property
    def lazy_columns(self) -> dict[str, list[LazyArray]]:
        """Key -> what `dataset` made its dask array of, one for each descriptor."""
        found: dict[str, list[LazyArray]] = self._kept.setdefault("lazy", {})
        return found

    def _lazily(self, key: str, column: LazyArray, chunks: tuple[Any, ...] | None) -> Any:
        self.lazy_columns.setdefault(key, []).append(column)
        # What refers to the events may carry a whole run and goes into the graph once; a file's name, with each task.
        return lazy_to_dask(column, chunks, inline=not isinstance(column, EventColumn | ExternalColumn))

    def _materialized(self, key: str, column: LazyArray, lazy: bool) -> Any:
        import numpy as np

        if lazy:
            cut = getattr(column, "blocks", None)
            return self._lazily(
                key, column, column.chunks if cut is None and isinstance(column, ExternalColumn) else cut
            )
        try:
            return column.read_into(np.empty(column.shape, column.dtype))
        except RaggedFrames:
            values = getattr(column, "values", None)
            if values is None:
                raise
            return ragged(values())

    # -- streams of external data ---------------------------------------------------------------------------------

    def streamed(self, descriptor: Doc, key: str, data_key: Doc) -> LazyArray:
        """The column of a data key that stream_resource and stream_datum documents describe."""
        elsewhere = self.source.get_column(descriptor["uid"], key)
        if elsewhere is not None:
            return elsewhere
        resources = [doc for doc in self.source.get_stream_resources() if doc.get("data_key") == key]
        datums = [
            datum
            for resource in resources
            for datum in self.source.get_stream_datums(resource["uid"])
            if datum["descriptor"] == descriptor["uid"]
        ]
        root_map = getattr(self.opener, "root_map", None) or getattr(self.source.get_filler, "root_map", None) or {}
        return stream_column(key, data_key, resources, datums, root_map=root_map)

    def _tell(self, key: str, error: Exception) -> None:
        if self.include is not None and key in self.include:
            raise error
        tell(
            f"{self.where}: {key!r} is left out; {error}. (exclude={[key]!r} reads without this warning, "
            f"include={[key]!r} raises it as an error)",
        )


def _stands_outside(pages: list[Doc], key: str) -> bool:
    """Whether datum ids stand in the events, and not the values themselves, filled in before they were recorded.

    What is no text is no datum id, whatever the documents say of it.
    """
    found: set[bool] = set()
    for page in pages:
        if key not in page["data"]:
            continue
        column = page["data"][key]
        if getattr(column, "ndim", 1) > 1 or getattr(getattr(column, "dtype", None), "kind", "U") not in "UTO":
            found.add(False)
            continue
        flags = filled_flags(page, key)
        found.update(isinstance(v, str) and not flag for v, flag in zip(scalars(column), flags, strict=True))
    if len(found) > 1:
        raise NoSuchColumn(f"some events have {key!r} filled in and some do not, and so it is no one column")
    return found == {True}


def _dask(array: np.ndarray, lazy: bool) -> Any:
    if not lazy:
        return array
    import dask.array as da

    return da.from_array(array, chunks=array.shape)


def _digest(array: np.ndarray) -> str:
    from dask.tokenize import tokenize

    return str(tokenize(array))
