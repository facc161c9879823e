"""Header: one run as version 1 shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from operator import getitem
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from databroker_like.core._document import same
from databroker_like.core._header import stream_name as name_of_stream
from databroker_like.core._pages import interlace_event_pages, scalars
from databroker_like.core._transforms import apply_transform
from databroker_like.errors import NotFound, listed, nearest
from databroker_like.show._problem import shown
from databroker_like.show._run import run_text
from databroker_like.utils import ALL, get_fields, wrap_in_deprecated_doct
from databroker_like.v1._documents import as_fields, documents, names_of, tell_unknown
from databroker_like.v1._html import documents_html
from databroker_like.v1._table import Times, one_after_another, table

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["Header"]

Doc = Mapping[str, Any]

_KEYS = ("start", "descriptors", "stop", "ext")


class Header:
    """One run: its documents, its tables, its configuration.

    Parameters
    ----------
    datasource : BlueskyRun
        The run.
    db : Broker, optional
        The Broker it comes from.

    Examples
    --------
    >>> from databroker_like.v1 import temp
    >>> db = temp()
    >>> db.insert("start", {"uid": "41fb8ca9", "time": 0.0, "plan_name": "scan"})
    >>> header = db[-1]
    >>> header.start["plan_name"], header.start.plan_name, header.stop, header.stream_names
    ('scan', 'scan', {}, [])
    """

    _open: Callable[[], Any]

    def __init__(self, datasource: Any, db: Any = None) -> None:
        self._source: Any = datasource
        self._start: Doc = datasource.metadata["start"]
        self._stop: Doc | None = datasource.metadata["stop"]
        self._ext: SimpleNamespace | None = None
        self.db = db

    @classmethod
    def of_head(cls, catalog: Any, uid: str, start: Doc, stop: Doc | None, db: Any = None) -> Header:
        """The header of a run that a search has found, which is not opened before more is asked than its start.

        Parameters
        ----------
        catalog : databroker_like.v2.Broker
        uid : str
        start, stop : mapping
            As they are kept.
        db : Broker, optional

        Returns
        -------
        Header
        """
        header = cls.__new__(cls)
        header._open = partial(getitem, catalog, uid)
        header._source = header._ext = None
        transforms = catalog._transforms
        header._start = apply_transform(transforms, "start", start)
        header._stop = None if stop is None else apply_transform(transforms, "stop", stop)
        header.db = db
        return header

    @property
    def _data_source(self) -> Any:
        """The run, opened."""
        if self._source is None:
            self._source = self._open()
        return self._source

    def _hook(self, name: str, doc: Doc) -> Any:
        hook = wrap_in_deprecated_doct if self.db is None else self.db.prepare_hook
        return hook(name, doc)

    # -- what it is

    @property
    def start(self) -> Any:
        """The start document."""
        return self._hook("start", self._start)

    @property
    def stop(self) -> Any:
        """The stop document; empty while the run goes on, or when it was cut off."""
        if self._stop is None:
            self._stop = self._data_source.metadata["stop"]
        return self._hook("stop", self._stop or {})

    @property
    def uid(self) -> str:
        """The uid of the run."""
        return str(self._start["uid"])

    @property
    def descriptors(self) -> list[Any]:
        """The descriptors, in the order they were recorded."""
        return [self._hook("descriptor", doc) for doc in self._data_source._descriptors]

    @property
    def stream_names(self) -> list[str]:
        """The streams, in the order in which their first descriptor came."""
        return list(self._data_source._header.stream_names)

    @property
    def ext(self) -> SimpleNamespace:
        """What the ``external_fetchers`` of the Broker give for this run."""
        if self._ext is None:
            fetched = {} if self.db is None else self.db.fetch_external(self._start, self._stop)
            self._ext = SimpleNamespace(**fetched)
        return self._ext

    def fields(self, stream_name: Any = ALL) -> set[str]:
        """The names of the data keys.

        Parameters
        ----------
        stream_name : str or ALL
            Of this stream only; of all by default.

        Returns
        -------
        set of str
        """
        return get_fields(self._data_source._header, None if stream_name is ALL else stream_name)

    def devices(self, stream_name: Any = ALL) -> set[str]:
        """The names of the devices.

        Parameters
        ----------
        stream_name : str or ALL
            Of this stream only; of all by default.

        Returns
        -------
        set of str
        """
        return {
            device
            for doc in self._data_source._descriptors
            if stream_name is ALL or name_of_stream(doc) == stream_name
            for device in doc.get("object_keys", {})
        }

    def config_data(self, device_name: str) -> dict[str, list[dict[str, Any]]]:
        """The configuration of a device.

        Parameters
        ----------
        device_name : str

        Returns
        -------
        dict
            Stream -> one dictionary of fields and values for each time the configuration was recorded. Empty when
            there is no such device.
        """
        found: dict[str, list[dict[str, Any]]] = {}
        for doc in self._data_source._descriptors:
            configured = doc.get("configuration", {}).get(device_name)
            if configured is not None:
                found.setdefault(name_of_stream(doc), []).append(configured["data"])
        return found

    # -- what was recorded

    def documents(self, stream_name: Any = ALL, fields: Any = None, fill: Any = False) -> Iterator[tuple[str, Any]]:
        """The documents, each after all those that it refers to.

        Parameters
        ----------
        stream_name : str or ALL
            Those of one stream; of all by default.
        fields : list of str, optional
            Only these in the events; all by default.
        fill : bool or list of str
            Whether external data stands in the events, or of which fields; False by default, which leaves the datum
            ids.

        Yields
        ------
        (name, document)
            Events and datums one by one.
        """
        hook = self._hook
        for name, doc in documents(self._data_source._header, stream_name, fields, fill):
            yield name, hook(name, doc)

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, Any]]:
        """The same as `documents`."""
        return self.documents(*args, **kwargs)

    def events(self, stream_name: Any = "primary", fields: Any = None, fill: Any = False) -> Iterator[Any]:
        """The events of a stream.

        Parameters
        ----------
        stream_name : str or ALL
            ``"primary"`` by default.
        fields : list of str, optional
            Only these; all by default.
        fill : bool or list of str
            Whether external data stands in them, or of which fields; False by default.

        Yields
        ------
        event document
        """
        for name, doc in documents(self._data_source._header, stream_name, fields, fill):
            if name == "event":
                yield self._hook(name, doc)

    def data(self, field: str, stream_name: Any = "primary", fill: Any = True) -> Iterator[Any]:
        """The values of one field, one for each event.

        Parameters
        ----------
        field : str
        stream_name : str or ALL
            ``"primary"`` by default.
        fill : bool
            Whether external data is read; True by default.

        Yields
        ------
        object
        """
        header = self._data_source._header
        tell_unknown(header, stream_name, frozenset([field]))
        names = set(names_of(header, stream_name))
        mine = [doc for doc in header.descriptors if name_of_stream(doc) in names and field in doc["data_keys"]]
        if fill and any(doc["data_keys"][field].get("external") for doc in mine):
            for event in self.events(stream_name, [field], fill):
                yield event["data"][field]
            return
        pages = interlace_event_pages(*(header.source.get_event_pages(doc["uid"]) for doc in mine))
        yield from chain.from_iterable(scalars(page["data"].get(field, ())) for page in pages)

    def table(
        self,
        stream_name: Any = "primary",
        fields: Any = None,
        fill: Any = False,
        timezone: str | None = None,
        convert_times: bool = True,
        localize_times: bool = True,
    ) -> pd.DataFrame:
        """A stream as a table.

        Parameters
        ----------
        stream_name : str or ALL
            ``"primary"`` by default.
        fields : list of str, optional
            Only these columns, beside ``time``; all by default.
        fill : bool or list of str
            Whether external data is read, or of which fields; False by default, which gives the datum ids.
        timezone : str, optional
            Such as ``"US/Eastern"``; that of this computer by default.
        convert_times : bool
            Make dates of the times; True by default.
        localize_times : bool
            Give the dates as the clocks of the time zone showed them, which implies that they are converted; True by
            default. False gives UTC.

        Returns
        -------
        pandas.DataFrame
            A row for each event, in the order of their times, with ``seq_num`` as the index. It is empty where there
            is no such stream, or it has none of the fields. A field that it does not have is told by a warning.
        """
        tell_unknown(self._data_source._header, stream_name, as_fields(fields), fill, more=["time"])
        run, times = self._data_source, Times(convert_times, timezone, localize_times)
        return one_after_another(table(run, name, fields, fill, times) for name in names_of(run._header, stream_name))

    def xarray(self, stream_name: str = "primary") -> xr.Dataset:
        """A stream as labelled arrays, in memory.

        Parameters
        ----------
        stream_name : str

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        NoSuchStream
        """
        return self._data_source[stream_name].read()

    def xarray_dask(self, stream_name: str = "primary") -> xr.Dataset:
        """A stream as labelled arrays that are read when they are computed.

        Parameters
        ----------
        stream_name : str

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        NoSuchStream
        """
        return self._data_source[stream_name].to_dask()

    # -- as a mapping

    def __getitem__(self, key: str) -> Any:
        if key not in _KEYS:
            near = listed(nearest(key, _KEYS) or _KEYS)
            raise NotFound(f"a Header has no {key!r}; it has {near}, and the fields of its documents are in those")
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(_KEYS)

    def keys(self) -> tuple[str, ...]:
        """What there is under a name: ``start``, ``descriptors``, ``stop``, ``ext``."""
        return _KEYS

    def values(self) -> Iterator[Any]:
        """What stands under these names."""
        return (self[key] for key in _KEYS)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Pairs of name and what stands under it."""
        return ((key, self[key]) for key in _KEYS)

    def get(self, key: str, default: Any = None) -> Any:
        """What stands under a name, or a default.

        Parameters
        ----------
        key : str
        default : object
            None by default.

        Returns
        -------
        object
        """
        return self[key] if key in _KEYS else default

    def __contains__(self, key: object) -> bool:
        return key in _KEYS

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Header) and same(self._start, other._start)

    def __hash__(self) -> int:
        return hash(("header", self.uid))

    # -- what people see

    def __repr__(self) -> str:
        return f"<Header uid={self.uid!r}>"

    def _repr_pretty_(self, p: Any, cycle: bool) -> None:
        p.text(shown(lambda: run_text(self._data_source._summary()).replace("BlueskyRun", "Header", 1), repr(self)))

    def _repr_html_(self) -> str:
        return shown(lambda: documents_html(self), repr(self), as_html=True)
