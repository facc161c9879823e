"""BlueskyEventStream: one stream of one run as labelled arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from intake.source.base import DataSource

from databroker_like.core._blocks import Blocks, PartitionIndexError
from databroker_like.core._dataset import chosen_keys
from databroker_like.core._devices import Devices
from databroker_like.core._documents import check_fill, partitions
from databroker_like.core._header import Header
from databroker_like.core._intake import CatalogBase
from databroker_like.core._persistence import NotPersisted
from databroker_like.core._reading import StreamReading
from databroker_like.core._source import RunSource
from databroker_like.core._stream_getters import MORE_GETTERS, source_of
from databroker_like.core._transforms import parse_transforms
from databroker_like.errors import Invalid, WrongType, listed
from databroker_like.show._problem import shown
from databroker_like.show._run import ColumnRow, StreamSummary, stream_html, stream_text

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["BlueskyEventStream", "PartitionIndexError"]

_AUTO_PAGES = 5


class BlueskyEventStream(NotPersisted, DataSource):
    """One event stream of one run.

    Parameters
    ----------
    stream_name : str
        Such as ``"primary"``.
    get_run_stop, get_event_descriptors, get_event_pages, get_event_count, get_resources, get_resource, \
lookup_resource_for_datum, get_datum_pages : callable
        As for `BlueskyRun`.
    fillers : dict, optional
        ``"yes"``, ``"no"``, ``"delayed"`` -> filler; ``get_filler`` in their place does as well.
    transforms : dict, optional
        ``"start"``, ``"stop"``, ``"resource"``, ``"descriptor"`` -> function (or its dotted path) from document to
        document.
    metadata : dict, optional
        More metadata; ``start``, ``stop`` and ``descriptors`` are always the run's own.
    include, exclude : list of str, optional
        Data keys to read, or not to read; one or the other.
    sub_dict : {"data", "timestamps"}
        Whether to read the values or the times they were taken at.
    configuration_for : str, optional
        Read the configuration of this device.
    source : RunSource, optional
        All getters in one, in their place.
    **kwargs
        Getters that the reference does not name (``get_run_start``, ``get_filler``, ``get_stream_resources``,
        ``get_stream_datums``); anything else is passed over.

    Notes
    -----
    A column whose external files, or whose handler, are missing is left out with one warning that names it; asked for
    by name with ``include=``, it is an error. A file that is not there is looked for once, and not again after a while
    as event-model's own Filler does: hand in ``filler_class`` with ``retry_intervals`` where files come late. Values
    whose shape changes from event to event make a column of dtype ``object`` along ``time`` alone, each value an
    array. The stream may be read while its run goes on, and again: every reading shows what there is by then. A stream
    of external data only (``stream_resource`` and ``stream_datum`` documents, no events) has as many rows as were
    announced for all its keys, and no ``time`` coordinate, for nothing recorded when they were taken.
    """

    container = _container = "bluesky-event-stream"
    version = "0.0.1"
    partition_access = True
    name = "bluesky-event-stream"
    _ipython_display_ = None

    def __init__(
        self,
        stream_name: str,
        get_run_stop: Any = None,
        get_event_descriptors: Any = None,
        get_event_pages: Any = None,
        get_event_count: Any = None,
        get_resources: Any = None,
        get_resource: Any = None,
        lookup_resource_for_datum: Any = None,
        get_datum_pages: Any = None,
        fillers: Mapping[str, Any] | None = None,
        transforms: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        entry: Any = None,
        include: list[str] | None = None,
        exclude: list[str] | None = None,
        sub_dict: str = "data",
        configuration_for: str | None = None,
        *,
        source: RunSource | None = None,
        header: Header | None = None,
        **kwargs: Any,
    ) -> None:
        if sub_dict not in ("data", "timestamps"):
            raise Invalid(
                f"sub_dict={sub_dict!r} is neither 'data' (the values) nor 'timestamps' (when they were taken)"
            )
        if include and exclude:
            raise Invalid("the parameters 'include' and 'exclude' are mutually exclusive; give one of them")
        # intake's own __init__ looks at the metadata, and with it at the documents: constructing reads nothing.
        self._given = dict(metadata or {})
        self.storage_options: dict[str, Any] = {}
        if header is None:
            if source is None:
                source = source_of(
                    self._given,
                    fillers,
                    get_run_stop=get_run_stop,
                    get_event_descriptors=get_event_descriptors,
                    get_event_pages=get_event_pages,
                    get_event_count=get_event_count,
                    get_resources=get_resources,
                    get_resource=get_resource,
                    lookup_resource_for_datum=lookup_resource_for_datum,
                    get_datum_pages=get_datum_pages,
                    **{name: kwargs.get(name) for name in MORE_GETTERS},
                )
            header = Header(source, parse_transforms(transforms))
        self._header = header
        self._stream_name = stream_name
        self.name = str(kwargs.get("name") or stream_name)
        self.description = kwargs.get("description") or f"the stream {stream_name!r} of a run"
        self.include = include
        self.exclude = exclude
        self._sub_dict = sub_dict
        self._configuration_for = configuration_for
        self._blocks: tuple[Any, Blocks] | None = None

    # -- what it is --------------------------------------------------------------------------------------------

    @property
    def metadata(self) -> dict[str, Any]:
        """``start``, ``stop`` (None without one) and ``descriptors`` of the stream, as they are now."""
        with self._header.one_look():
            self._given.update(
                start=self._header.start, stop=self._header.stop, descriptors=self._header.of_stream(self._stream_name)
            )
        return self._given

    @metadata.setter
    def metadata(self, value: Mapping[str, Any]) -> None:
        self._given = value if isinstance(value, dict) else dict(value or {})

    @property
    def _descriptors(self) -> list[Any]:
        return self._header.of_stream(self._stream_name)

    @property
    def npartitions(self) -> int:
        """How many partitions of the usual size `read_partition` gives."""
        return sum(1 for _ in partitions(self._header, self._stream_name, "no", _AUTO_PAGES))

    @property
    def _where(self) -> str:
        return f"stream {self._stream_name!r} of run {self._header.start['uid'][:8]}"

    def describe(self) -> dict[str, Any]:
        """What intake shows of a source: its name, container, driver, description and metadata."""
        return {
            "name": self.name,
            "container": self.container,
            "plugin": ["bluesky-event-stream"],
            "driver": ["bluesky-event-stream"],
            "description": self.description,
            "direct_access": "forbid",
            "user_parameters": [],
            "metadata": self.metadata,
            "args": {},
        }

    def discover(self) -> dict[str, Any]:
        """What intake asks of a source before it reads it.

        Returns
        -------
        dict
            ``dtype`` and ``shape`` are None, for the columns have their own; ``npartitions``; and ``metadata``, with
            ``dims`` (name -> length), ``data_vars`` (name -> dimensions) and ``coords`` of the Dataset beside the
            documents.
        """
        dataset = self.to_dask()
        layout = {
            "dims": dict(dataset.sizes),
            "data_vars": {name: list(variable.dims) for name, variable in dataset.data_vars.items()},
            "coords": tuple(dataset.coords),
        }
        return {"dtype": None, "shape": None, "npartitions": self.npartitions, "metadata": {**self.metadata, **layout}}

    # -- reading -------------------------------------------------------------------------------------------------

    def _dataset(self, *, lazy: bool) -> xr.Dataset:
        with self._header.one_look():
            reading = self._reading()
            if self._configuration_for is not None:
                return reading.configuration(self._configuration_for)
            return reading.dataset(lazy=lazy)

    def _reading(self) -> StreamReading:
        return StreamReading(
            source=self._header.source,
            descriptors=self._descriptors,
            transforms=self._header.transforms,
            where=self._where,
            include=tuple(self.include) if self.include else None,
            exclude=tuple(self.exclude) if self.exclude else None,
            field=self._sub_dict,
            finished=self._header.stop is not None,
        )

    def read(self) -> xr.Dataset:
        """The stream in memory.

        Returns
        -------
        xarray.Dataset
            One variable for each data key, along ``time`` (seconds since the epoch) and ``dim_0``, ``dim_1``, ...;
            a new one each time, the caller's own.
        """
        return self._dataset(lazy=False)

    def to_dask(self) -> xr.Dataset:
        """The stream as dask arrays, read chunk by chunk when they are computed.

        Returns
        -------
        xarray.Dataset
            Of the dtypes and shapes that the data has; chunks are 10 000 events or more of scalars, and the files'
            own of images. It pickles, and so computes on ``dask.distributed``.
        """
        dataset = self._dataset(lazy=True)
        return dataset.chunk() if self._configuration_for is not None else dataset

    def read_chunked(self) -> Iterator[list[tuple[str, Any]]]:
        """The partitions, one after the other."""
        return partitions(self._header, self._stream_name, "yes", _AUTO_PAGES)

    def read_partition(self, partition: Any) -> Any:
        """Some of the documents, or one chunk of one column.

        Parameters
        ----------
        partition : dict, or tuple
            ``{"index": 0, "fill": "yes", "partition_size": "auto"}`` gives a list of (name, document), empty beyond
            the end; the size is a number of pages, or ``"auto"`` for 5. ``("img", 0, 0, 0)`` gives that dask chunk of
            that column as an array.

        Returns
        -------
        list of (name, document), or ndarray
            The chunk of a run that has ended is read without looking at its documents again, only at whether the file
            changed.

        Raises
        ------
        PartitionIndexError
            When the column has no such chunk.
        WrongType
            When it is neither a dict nor a tuple.
        """
        if isinstance(partition, tuple | list):
            return self._block(*partition)
        if not isinstance(partition, Mapping):
            raise WrongType(
                f"{partition!r} is no partition; it is a dict of index, fill and partition_size, or a tuple of a data "
                "key and the numbers of a chunk"
            )
        fill = partition["fill"]
        if isinstance(fill, str):
            check_fill(fill)
        size = partition["partition_size"]
        if size == "auto":
            size = _AUTO_PAGES
        if not isinstance(size, int) or size < 1:
            raise Invalid(f"partition_size={size!r} is neither 'auto' nor a positive number of pages")
        index = partition["index"]
        return next(islice(partitions(self._header, self._stream_name, fill, size), index, None), [])

    def _block(self, key: str, *numbers: int) -> Any:
        # A run that is complete has the columns it had; what may change is the files, and how they are found.
        view = (tuple(self.include or ()), tuple(self.exclude or ()), self._roots())
        if self._blocks is None or self._blocks[0] != view or not self._blocks[1].are_current(key):
            if self._configuration_for is not None:
                blocks = Blocks(self.to_dask(), {}, self._where)
            else:
                reading = self._reading()
                blocks = Blocks(reading.dataset(lazy=True), reading.lazy_columns, self._where)
            self._blocks = (view, blocks) if self._header.stop is not None else None
        else:
            blocks = self._blocks[1]
        return blocks.read(key, numbers)

    def _roots(self) -> tuple[tuple[str, str], ...]:
        root_map = getattr(self._header.source.get_filler, "root_map", None)
        return tuple(root_map.items()) if root_map else ()

    def _close(self) -> None:
        # Nothing is held open between readings.
        return

    # -- other views -------------------------------------------------------------------------------------------

    @property
    def config(self) -> CatalogBase:
        """The configuration of each device: ``stream.config["det"].read()``.

        What it holds are fields of devices and no data keys, so ``include`` and ``exclude`` have no part in it. A
        field is repeated for each event: of a stream without events it is a column of length 0, of the dtype that
        the value in the descriptor has; the value itself is in ``stream.metadata["descriptors"]``.
        """
        return Devices(stream=self, sub_dict="data", name=f"configuration of {self._stream_name}")

    @property
    def config_timestamps(self) -> CatalogBase:
        """When the configuration of each device was read."""
        return Devices(stream=self, sub_dict="timestamps", name=f"configuration times of {self._stream_name}")

    @property
    def timestamps(self) -> BlueskyEventStream:
        """This stream with the times at which each value was taken in place of the values."""
        return self.configure_new(sub_dict="timestamps")

    def configure_new(self, **kwargs: Any) -> Any:
        """This stream; or, with arguments, another one of it.

        Parameters
        ----------
        **kwargs
            ``include``, ``exclude``, ``sub_dict``, ``configuration_for``; what is not given stays as it is.

        Returns
        -------
        BlueskyEventStream
        """
        if not kwargs:
            return self
        unknown = set(kwargs) - {"include", "exclude", "sub_dict", "configuration_for"}
        if unknown & {"header", "source", "stream_name"} or not unknown <= _accepted():
            raise WrongType(
                f"a stream cannot be made anew with {listed(unknown)}; it takes 'include', 'exclude', 'sub_dict' and "
                "'configuration_for'"
            )
        return type(self)(*self._captured_init_args, **{**self._captured_init_kwargs, **kwargs})

    __call__ = get = configure_new

    # -- showing -----------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        title = self._title
        return shown(lambda: f"<{title} from Run {self._header.start['uid'][:8]}...>", title)

    def _summary(self) -> StreamSummary:
        descriptors = self._descriptors
        device = {key: name for doc in descriptors for name, keys in doc.get("object_keys", {}).items() for key in keys}
        return StreamSummary(
            name=self._stream_name,
            run_uid=self._header.start["uid"],
            events=sum(self._header.source.get_event_count(doc["uid"]) for doc in descriptors),
            columns=[
                ColumnRow(
                    key,
                    str(data_key.get("dtype", "?")),
                    tuple(data_key.get("shape") or ()),
                    device.get(key, ""),
                    bool(data_key.get("external")),
                )
                for key, data_key in chosen_keys(descriptors, self.include, self.exclude).items()
            ],
        )

    def _repr_pretty_(self, p: Any, cycle: bool) -> None:
        p.text(shown(lambda: stream_text(self._summary()), self._title))

    def _repr_html_(self) -> str:
        return shown(lambda: stream_html(self._summary()), self._title, as_html=True)

    @property
    def _title(self) -> str:
        return f"{type(self).__name__} {self._stream_name!r}"

    # intake tells objects apart by their repr, which two views of one stream share.
    def _identity(self) -> tuple[Any, ...]:
        return (
            type(self),
            self._header.start["uid"],
            self._stream_name,
            tuple(self.include or ()),
            tuple(self.exclude or ()),
            self._sub_dict,
            self._configuration_for,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BlueskyEventStream) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __dask_tokenize__(self) -> Any:
        token, revision = tuple(map(str, self._identity())), self._header.revision
        return (*token, revision) if revision else token


def _accepted() -> set[str]:
    return {"include", "exclude", "sub_dict", "configuration_for", "metadata", "transforms", "name", "description"}
