"""Version 2 of the Broker API: a catalog of runs."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any, cast

from databroker_like import registry
from databroker_like.core._amending import Amending
from databroker_like.core._collection import Head, NoRuns, RunCollection
from databroker_like.core._corrections import Corrections
from databroker_like.core._filler import filler_getter
from databroker_like.core._handlers import HandlerRegistry
from databroker_like.core._held import RunsHeld
from databroker_like.core._intake import CatalogBase, refuse_shell
from databroker_like.core._lookup import both, find_uid
from databroker_like.core._root_map import absolute_root_map
from databroker_like.core._run import BlueskyRun
from databroker_like.core._shown_catalog import ShownCatalog
from databroker_like.core._sink import RunSink
from databroker_like.core._source import RunSource
from databroker_like.core._transforms import parse_transforms
from databroker_like.errors import (
    AmbiguousKey,
    Invalid,
    InvalidQuery,
    NotFound,
    NotOffered,
    OutOfRange,
    WrongType,
    listed,
    nearest,
)
from databroker_like.queries import In, Node, Text, parse
from databroker_like.queries._distinct import as_lists

__all__ = ["Broker", "temp"]

# As text, so that opening a catalog does not import it.
_FILLER = "event_model.Filler"


class Broker(Amending, ShownCatalog, CatalogBase):
    """A catalog of runs, looked up by uid, by scan_id and by how recent they are.

    A driver is a subclass that says where the runs are, by ``_make_collection()``, and, where it also records,
    by ``_make_sink()``. What there is, is asked anew each time: a run recorded a moment ago by anybody shows.

    ============================  ======================================================================
    ``catalog[key]``              gives
    ============================  ======================================================================
    ``"41fb8ca9-..."``            the run of this uid
    ``"41fb"``                    the one run whose uid begins so
    ``-1``, ``-2``, ``"-1"``      the most recent run, the one before it
    ``5``, ``"5"``                the most recent run with the scan_id 5
    ============================  ======================================================================

    Parameters
    ----------
    handler_registry : dict, optional
        Spec -> handler class, or the dotted path of one; a handler class is called
        ``handler_class(resource_path, **resource_kwargs)`` and gives a handler that is called
        ``handler(**datum_kwargs)``. By default those that installed packages offer as entry points of the
        group ``databroker.handlers``.
    root_map : dict, optional
        The ``root`` of external files as recorded -> where they are now. Values may be relative only in a
        catalog that comes from a YAML file, and then they are relative to that file.
    filler_class : type or str, optional
        ``event_model.Filler`` by default; a class, a ``functools.partial`` of one, a dotted path, or anything
        shaped like ``event_model.DocumentRouter``.
    transforms : dict, optional
        ``"start"``, ``"stop"``, ``"resource"``, ``"descriptor"`` -> a function (or its dotted path) that takes
        such a document and returns it, mended. Applied when a run is read, not when runs are searched.
    query : dict or databroker_like.queries.Query, optional
        Only the runs whose start document matches; all by default.
    **kwargs
        What every intake catalog takes: ``name``, ``description``, ``metadata``, ...

    Examples
    --------
    >>> from databroker_like.v2 import Broker
    >>> list(Broker())
    []
    """

    name = "bluesky-run-catalog"
    cat: Any

    def __init__(
        self,
        *,
        handler_registry: Mapping[str, Any] | None = None,
        root_map: Mapping[str, str] | None = None,
        filler_class: Any = _FILLER,
        transforms: Mapping[str, Any] | None = None,
        query: Any = None,
        **kwargs: Any,
    ) -> None:
        metadata = kwargs.get("metadata") or {}
        if kwargs.get("getshell"):
            raise Invalid("'getshell' cannot be true: nothing in a catalog runs a shell; write the value itself")
        for argument, value in self._captured_init_kwargs.items():
            refuse_shell(argument, value)
        self._root_map = absolute_root_map(root_map, metadata.get("catalog_dir"))
        self._handlers = HandlerRegistry(handler_registry)
        self._transforms = parse_transforms(transforms)
        if isinstance(filler_class, str) and filler_class != _FILLER:
            filler_class = registry.import_path(filler_class)
        self._filler_class = filler_class
        self._query: Node = parse(query if query is not None else {})
        self._runs: RunsHeld[BlueskyRun] = RunsHeld()
        self._collection: RunCollection | None = None
        self._sink: RunSink | None = None
        self._v1: Any = None
        super().__init__(**kwargs)

    def _make_collection(self) -> RunCollection:
        """The runs there are; a driver overrides this. Called once, when the first one is asked for."""
        return NoRuns()

    def _make_sink(self) -> RunSink:
        """What records; a driver that can overrides this. Called once, when the first document is inserted."""
        raise NotOffered(
            f"{type(self).__name__} {self.name!r} only reads; to record, use a catalog of JSON lines or msgpack files, "
            "or databroker_like.v2.temp()"
        )

    @property
    def collection(self) -> RunCollection:
        """The `RunCollection` this catalog asks."""
        if self._collection is None:
            self._collection = self._make_collection()
        return self._collection

    @property
    def problems(self) -> dict[str, str]:
        """What holds runs and cannot be read, such as the path of a file -> why, now.

        A file is empty, truncated, malformed, or not there at all. One whose start document can be read is a run as
        far as the file can be read; the others are not in the catalog. Neither keeps any other from being read. Each
        is also warned of once.
        """
        return self.collection.problems()

    # -- what it is made of

    @property
    def root_map(self) -> dict[str, str]:
        """Recorded root -> where the files are now; change it in place."""
        return self._root_map

    @property
    def handler_registry(self) -> Mapping[str, Any]:
        """Spec -> handler class, as a view that follows `register_handler`."""
        return self._handlers.view

    def register_handler(self, spec: str, handler: Any, overwrite: bool = False) -> None:
        """Use a handler for a spec from now on.

        Parameters
        ----------
        spec : str
            Such as ``"AD_HDF5"``.
        handler : type or str
            The handler class, or the dotted path of one.
        overwrite : bool
            Put it in the place of another one; False by default.

        Raises
        ------
        DuplicateHandler
            When another handler is registered for this spec and ``overwrite`` is False.
        """
        self._handlers.register(spec, handler, overwrite=overwrite)

    def deregister_handler(self, spec: str) -> None:
        """Forget the handler of a spec; nothing happens when there is none.

        Parameters
        ----------
        spec : str
        """
        self._handlers.deregister(spec)

    @property
    def v1(self) -> Any:
        """Version 1 of the API on the same runs; the same object each time, with its filters and aliases."""
        if self._v1 is None:
            self._v1 = registry.load("v1.Broker")(self)
        return self._v1

    @property
    def v2(self) -> Broker:
        """This catalog itself, so that either version of the API is reached from the other."""
        return self

    # -- finding runs

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            return super().__getitem__(key)
        uid = find_uid(self.collection, self._query, key)
        return self._run(uid)

    def _run(self, uid: str) -> BlueskyRun:
        return self._run_of(uid, self.collection.start(uid))

    def _run_of(self, uid: str, start: Mapping[str, Any], head: Head | None = None) -> BlueskyRun:
        """The run of a start document that was found just now; the one handed out before, if there is one."""
        version = self.collection.version(uid)
        run = self._runs.get(uid, start, version)
        if run is None:
            get_filler = filler_getter(self._filler_class, self._handlers, self._root_map)
            source = self.collection.source(uid, get_filler)
            kept = Corrections(self.collection, uid, get_filler)
            run = self._opened(source, transforms=self._transforms, head=head and head[1:], corrections=kept, name=uid)
            run.cat = run.catalog_object = self
            self._runs.keep(uid, start, run, version)
        return run

    def _opened(self, source: RunSource, **settings: Any) -> BlueskyRun:
        """The run of a source; a driver whose runs are of a class of their own overrides this."""
        return BlueskyRun.from_source(source, **settings)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except (AmbiguousKey, OutOfRange) as error:
            raise AttributeError(str(error)) from error
        except AttributeError:
            near = [] if name.startswith("_") else nearest(name, object.__dir__(self))
            said = f"; nearest: {listed(near)}" if near else ", nor a run whose uid begins so"
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{said}") from None

    def __contains__(self, key: object) -> bool:
        try:
            if isinstance(key, tuple) and key:
                self[key]
            else:
                find_uid(self.collection, self._query, key)
        except (KeyError, NotFound, OutOfRange, AmbiguousKey, WrongType):
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        """The uids, oldest run first."""
        return iter(self.collection.find(self._query))

    def __len__(self) -> int:
        return self.collection.count(self._query)

    def keys(self) -> Iterator[str]:
        """The uids, oldest run first."""
        return iter(self)

    def values(self) -> Iterator[BlueskyRun]:
        """The runs, oldest first."""
        return (run for _, run in self.items())

    def items(self) -> Iterator[tuple[str, BlueskyRun]]:
        """Pairs of uid and run, oldest first."""
        for head in self.collection.heads(self._query):
            yield head[0], self._run_of(head[0], head[1], head)

    def search(self, query: Any = None, depth: int | None = None) -> Broker:
        """The runs that match, as a catalog of the same kind.

        Searches follow one another: a search of the result narrows it further.

        Parameters
        ----------
        query : dict, databroker_like.queries.Query or str
            A query as MongoDB writes it, on the start document, such as ``{"plan_name": "scan"}`` or
            ``{"num_points": {"$gt": 10}}``, and on the stop document under ``stop``, such as
            ``{"stop.exit_status": "fail"}``; a `TimeRange` or `TextQuery`; or the words of a text search.
        depth : int, optional
            Taken, and not used, because every intake catalog takes it.

        Returns
        -------
        Broker
            Its name is ``"search results"``.

        Raises
        ------
        InvalidQuery
            When the query cannot be understood.

        Examples
        --------
        >>> len(Broker().search({"plan_name": "scan"}))
        0
        """
        asked = Text(query) if isinstance(query, str) else parse({} if query is None else query)
        return self._narrowed(both(self._query, asked), "search results")

    def distinct(self, key: str) -> list[tuple[Any, int]]:
        """The different values that runs have at a key, each with how many runs have it.

        Parameters
        ----------
        key : str
            As in a query: of the start document, dotted, or of the stop document as ``"stop.exit_status"``.

        Returns
        -------
        list of (value, int)
            The most frequent first. A list counts for each of its members; runs that have no such key count as None.
            What was recorded as a tuple is a list, as it is of a catalog on a server.

        Raises
        ------
        InvalidQuery
            When the key is no text.

        Examples
        --------
        >>> Broker().distinct("plan_name")
        []
        """
        if not isinstance(key, str) or not key:
            raise InvalidQuery(f"a key is a string, such as 'plan_name' or 'plan_args.num', not {key!r}")
        return [(as_lists(value), count) for value, count in self.collection.distinct(key, self._query)]

    def filter(self, func: Callable[[BlueskyRun], bool]) -> Broker:
        """The runs for which a function of the run is true, as a catalog of the same kind.

        Parameters
        ----------
        func : callable
            ``(run) -> bool``; called once for every run, now.

        Returns
        -------
        Broker
        """
        return self._narrowed(both(self._query, In("uid", [uid for uid, run in self.items() if func(run)])), "filtered")

    def _narrowed(self, query: Node, name: str, **kwargs: Any) -> Broker:
        given = {"query": query, "name": name, "metadata": dict(self.metadata or {}), **kwargs}
        kwargs = {**self._captured_init_kwargs, **given}
        found = type(self)(*self._captured_init_args, **kwargs)
        found._share(self)
        return found

    def _share(self, other: Broker) -> None:
        """Ask the same collection, with the same handlers and root map, as the catalog this is a part of."""
        self._collection = other.collection
        self._root_map = other._root_map
        self._handlers = other._handlers
        self._runs = other._runs
        self.cat = other.cat

    def serialize(self) -> str:
        """A catalog file with this catalog in it, as ``save(path)`` writes it: it opens again with intake.

        Returns
        -------
        str
            YAML. A catalog without a name is called ``catalog`` in it.
        """
        return str(self.yaml())

    def _yaml(self) -> dict[str, Any]:
        data: dict[str, Any] = super()._yaml()
        # Names in a catalog file are text; that of a catalog of nobody's is None.
        data["sources"] = {
            name or "catalog": {**source, "args": _as_written(source["args"])}
            for name, source in data["sources"].items()
        }
        return data

    # -- recording

    def insert(self, name: str, doc: Mapping[str, Any]) -> None:
        """Record one document; ``RE.subscribe(catalog.insert)`` records every run.

        Parameters
        ----------
        name : str
            ``"start"``, ``"descriptor"``, ``"event"``, ... ``"stop"``.
        doc : mapping
            The document.

        Raises
        ------
        NotOffered
            When this kind of catalog only reads.
        InvalidDocument
            When the document is not valid or out of place.
        """
        if self._sink is None:
            self._sink = self._make_sink()
        self._sink.insert(name, doc)

    def close(self) -> None:
        """Release what recording holds open."""
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    _close = close

    # -- what intake, pickle and dask ask

    def _make_entries_container(self) -> Mapping[str, Any]:
        return _Entries(cast("Broker", weakref.proxy(self)))

    def _identity(self) -> tuple[Any, ...]:
        kwargs = dict(self._captured_init_kwargs)
        kwargs.pop("query", None)
        kwargs["name"] = self.name
        return (tuple(self._captured_init_args), kwargs, self._query.to_mongo())

    def __getstate__(self) -> dict[str, Any]:
        return {
            "args": self._captured_init_args,
            "kwargs": dict(self._captured_init_kwargs),
            "collection": self._collection,
            "root_map": self._root_map,
            "handlers": self._handlers,
            "named": (self.name, self.description),
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self._captured_init_args = state["args"]
        self._captured_init_kwargs = state["kwargs"]
        self.__init__(*state["args"], **state["kwargs"])  # type: ignore[misc]
        self._collection = state["collection"]
        self._root_map = state["root_map"]
        self._handlers = state["handlers"]
        self.name, self.description = state["named"]


class _Entries(Mapping[str, Any]):
    """The runs as intake looks at the entries of a catalog."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def __getitem__(self, key: str) -> BlueskyRun:
        return self._broker[key]

    def __contains__(self, key: object) -> bool:
        return key in self._broker

    def __iter__(self) -> Iterator[str]:
        return self._broker.keys()

    def __len__(self) -> int:
        return self._broker.__len__()


def _as_written(value: Any) -> Any:
    """An argument as a catalog file has it: no Python objects, which no file is opened with."""
    if isinstance(value, Node):
        return value.to_mongo()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {key: _as_written(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_written(inner) for inner in value]
    if isinstance(value, type | FunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    return value


def temp() -> Broker:
    """A catalog that records into a temporary folder, which goes when the catalog is no longer used.

    Returns
    -------
    Broker
    """
    catalog: Broker = registry.load("temp")()
    return catalog
