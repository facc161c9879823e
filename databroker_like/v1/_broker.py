"""Broker: a catalog of runs as version 1 shows it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.errors import NotOffered, WrongType
from databroker_like.utils import ALL, get_fields, wrap_in_deprecated_doct
from databroker_like.v1._finding import Finding
from databroker_like.v1._header import Header
from databroker_like.v1._images import Images
from databroker_like.v1._moving import export, export_size
from databroker_like.v1._named import from_config, named
from databroker_like.v1._registry import Registry
from databroker_like.v1._table import one_after_another

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Broker"]

Doc = Mapping[str, Any]


class Broker(Finding):
    """A catalog of runs, each of them a `Header`.

    =========================  ==================================================================
    ``db[key]``                gives
    =========================  ==================================================================
    ``"41fb"``                 the one run whose uid is, or begins, so
    ``-1``, ``-2``             the most recent run, the one before it
    ``5``                      the most recent run with the scan_id 5
    ``-5:``                    a list of the five most recent, the newest first
    ``[5, 6, "41fb"]``         a list of these
    =========================  ==================================================================

    Parameters
    ----------
    catalog : databroker_like.v2.Broker
        The runs.
    serializer : callable, optional
        ``serializer(name, doc)`` is what `insert` calls; by default the catalog records.
    external_fetchers : dict, optional
        Name -> ``func(start, stop)``, whose result is ``header.ext.name``.

    Examples
    --------
    >>> from databroker_like.v1 import temp
    >>> db = temp()
    >>> db.insert("start", {"uid": "41fb8ca9", "time": 0.0, "scan_id": 5, "plan_name": "scan"})
    >>> db[5], db[-1:], [header.uid for header in db(plan_name="scan")]
    (<Header uid='41fb8ca9'>, [<Header uid='41fb8ca9'>], ['41fb8ca9'])
    """

    def __init__(
        self,
        catalog: Any,
        *,
        serializer: Callable[[str, Doc], Any] | None = None,
        external_fetchers: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        if not hasattr(type(catalog), "collection"):
            raise WrongType(
                f"a Broker is made of a catalog of runs, not of the {type(catalog).__name__} {catalog!r}; "
                "Broker.named(name) looks one up"
            )
        super().__init__(catalog)
        self._serializer = serializer
        self._reg = Registry(catalog)
        self._config: dict[str, Any] | None = None
        self.external_fetchers: dict[str, Callable[..., Any]] = dict(external_fetchers or {})
        #: ``(name, doc)`` -> the document as it is handed out.
        self.prepare_hook: Callable[[str, Doc], Any] = wrap_in_deprecated_doct

    # -- where it comes from

    @classmethod
    def from_config(cls, config: Mapping[str, Any], auto_register: bool = True, name: str | None = None) -> Any:
        """The Broker of a configuration; see `databroker_like.v1.from_config`."""
        return from_config(config, auto_register, name)

    @classmethod
    def named(cls, name: str, auto_register: bool = True) -> Any:
        """The Broker of a name.

        Parameters
        ----------
        name : str
            That of a configuration file, which is looked for in ``~/.config/databroker``, in ``etc/databroker`` of
            the Python environment and in ``/etc/databroker``; or of a catalog in `databroker_like.catalog`.
            ``"temp"`` gives a new one in a temporary folder, which goes when it is no longer used.
        auto_register : bool
            Use the handlers that installed packages offer, beside those of the configuration; True by default.

        Returns
        -------
        Broker

        Raises
        ------
        NoSuchConfig
            When there is neither.
        InvalidConfig
            When there is a mistake in the configuration.
        """
        return named(name, auto_register)

    def get_config(self) -> dict[str, Any] | None:
        """The configuration this was made from, or None."""
        return self._config

    @property
    def name(self) -> str | None:
        """The name of the catalog."""
        return self._catalog.name

    @property
    def v1(self) -> Broker:
        """This Broker itself, so that either version of the API is reached from the other."""
        return self

    @property
    def v2(self) -> Any:
        """Version 2 of the API on the same runs: the catalog."""
        return self._catalog

    @property
    def reg(self) -> Registry:
        """The handlers, the root map and the external files."""
        return self._reg

    @property
    def fs(self) -> Registry:
        """What `reg` was called before."""
        return self._reg

    def stats(self) -> Any:
        """What the database tells of itself.

        Raises
        ------
        NotOffered
            When the runs lie in no database that does.
        """
        stats = getattr(type(self._catalog), "stats", None)
        if stats is None:
            raise NotOffered(f"a {type(self._catalog).__name__} has no statistics; len(db.v2) is how many runs it has")
        return stats(self._catalog)

    def fetch_external(self, start: Doc, stop: Doc | None) -> dict[str, Any]:
        """What the ``external_fetchers`` give for a run.

        Parameters
        ----------
        start, stop : mapping

        Returns
        -------
        dict
        """
        return {name: func(start, stop) for name, func in self.external_fetchers.items()}

    # -- reading

    @staticmethod
    def get_fields(header: Header, name: str | None = None) -> set[str]:
        """The names of the data keys of a run.

        Parameters
        ----------
        header : Header
        name : str, optional
            Of this stream only; of all by default.

        Returns
        -------
        set of str
        """
        return get_fields(header, name)

    def stream_names_given_header(self, header: Header) -> list[str]:
        """The streams of a run; ``header.stream_names`` is the same."""
        return header.stream_names

    def get_documents(
        self, headers: Any, stream_name: Any = ALL, fields: Any = None, fill: Any = False, handler_registry: Any = None
    ) -> Iterator[tuple[str, Any]]:
        """The documents of some runs, one after the other.

        Parameters
        ----------
        headers : Header or iterable of Header
        stream_name, fields, fill
            As for `Header.documents`.
        handler_registry : None
            Handlers are registered with the Broker.

        Yields
        ------
        (name, document)
        """
        _no_handlers(handler_registry)
        for header in _headers(headers):
            yield from header.documents(stream_name, fields, fill)

    def get_events(
        self,
        headers: Any,
        stream_name: Any = "primary",
        fields: Any = None,
        fill: Any = False,
        handler_registry: Any = None,
    ) -> Iterator[Any]:
        """The events of some runs, one after the other.

        Parameters
        ----------
        headers : Header or iterable of Header
        stream_name, fields, fill
            As for `Header.events`.
        handler_registry : None
            Handlers are registered with the Broker.

        Yields
        ------
        event document
        """
        _no_handlers(handler_registry)
        for header in _headers(headers):
            yield from header.events(stream_name, fields, fill)

    def get_table(
        self,
        headers: Any,
        stream_name: Any = "primary",
        fields: Any = None,
        fill: Any = False,
        handler_registry: Any = None,
        convert_times: bool = True,
        timezone: str | None = None,
        localize_times: bool = True,
    ) -> pd.DataFrame:
        """A stream of some runs as one table, one run after the other.

        Parameters
        ----------
        headers : Header or iterable of Header
        stream_name, fields, fill, convert_times, timezone, localize_times
            As for `Header.table`.
        handler_registry : None
            Handlers are registered with the Broker.

        Returns
        -------
        pandas.DataFrame
        """
        _no_handlers(handler_registry)
        return one_after_another(
            header.table(stream_name, fields, fill, timezone, convert_times, localize_times)
            for header in _headers(headers)
        )

    def get_images(self, headers: Any, name: str, stream_name: str = "primary", handler_registry: Any = None) -> Images:
        """The frames of a detector as a sequence that is read when it is looked at.

        Parameters
        ----------
        headers : Header or iterable of Header
        name : str
            The data key.
        stream_name : str
        handler_registry : None
            Handlers are registered with the Broker.

        Returns
        -------
        Images
        """
        _no_handlers(handler_registry)
        return Images.of([header._data_source for header in _headers(headers)], name, stream_name)

    def restream(self, headers: Any, fields: Any = None, fill: Any = False) -> Iterator[tuple[str, Any]]:
        """All documents of some runs, as the RunEngine gave them out.

        Parameters
        ----------
        headers : Header or iterable of Header
        fields : list of str, optional
        fill : bool or list of str

        Yields
        ------
        (name, document)
        """
        return self.get_documents(headers, fields=fields, fill=fill)

    stream = restream

    def process(self, headers: Any, func: Callable[[str, Any], Any], fields: Any = None, fill: Any = False) -> None:
        """Hand all documents of some runs to a function.

        Parameters
        ----------
        headers : Header or iterable of Header
        func : callable
            ``func(name, doc)``
        fields : list of str, optional
        fill : bool or list of str
        """
        for name, doc in self.restream(headers, fields, fill):
            func(name, doc)

    def fill_event(self, *args: Any, **kwargs: Any) -> Any:
        """Not offered: events come filled when they are asked for so."""
        raise NotOffered("fill_event is no longer supported; header.events(fill=True) gives events that are filled")

    def fill_events(self, *args: Any, **kwargs: Any) -> Any:
        """Not offered: events come filled when they are asked for so."""
        raise NotOffered("fill_events is no longer supported; header.events(fill=True) gives events that are filled")

    # -- recording and moving

    def insert(self, name: str, doc: Doc) -> None:
        """Record one document; ``RE.subscribe(db.insert)`` records every run.

        Parameters
        ----------
        name : str
            ``"start"``, ``"descriptor"``, ``"event"``, ... ``"stop"``.
        doc : mapping
        """
        if self._serializer is not None:
            self._serializer(name, doc)
        else:
            self._catalog.insert(name, doc)

    def export(
        self,
        headers: Any,
        db: Any,
        new_root: str | os.PathLike[str] | None = None,
        copy_kwargs: Mapping[str, Any] | None = None,
    ) -> list[tuple[str, str]]:
        """Record some runs in another Broker, with their files when there is a place for them.

        Parameters
        ----------
        headers : Header or iterable of Header
        db : Broker
            What records; anything that has ``insert(name, doc)``.
        new_root : str or path, optional
            Copy the external files here, and record it as their root.
        copy_kwargs : dict, optional
            More for `Registry.copy_files`.

        Returns
        -------
        list of (old path, new path)
            The files that were copied.

        Raises
        ------
        WrongType
            When nothing can be recorded in ``db``.
        """
        insert = getattr(db, "insert", None)
        if insert is None:
            raise WrongType(f"runs are exported into a Broker, or what has insert(name, doc); {db!r} is none")
        return export(self._reg, _headers(headers), insert, new_root, copy_kwargs)

    def export_size(self, headers: Any) -> float:
        """How large the external files of some runs are.

        Parameters
        ----------
        headers : Header or iterable of Header

        Returns
        -------
        float
            Gigabytes.
        """
        return export_size(_headers(headers))

    def __repr__(self) -> str:
        return f"<Broker {self._catalog!r}>"


def _headers(headers: Any) -> Iterable[Header]:
    return [headers] if isinstance(headers, Header) else headers


def _no_handlers(handler_registry: Any) -> None:
    if handler_registry is not None:
        raise NotOffered(
            "handlers are not given with each call; db.reg.register_handler(spec, handler) gives one to the Broker, "
            "and handler_registry= or a configuration file gives all of them"
        )
