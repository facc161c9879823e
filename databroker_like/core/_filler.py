"""From a resource document to the handler that reads it, and the fillers of the old way of doing that."""

from __future__ import annotations

import functools
import inspect
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from databroker_like import registry
from databroker_like.core._asset_paths import missing_file, resolve_path
from databroker_like.core._delayed import register_delayed
from databroker_like.core._handlers import HandlerRegistry
from databroker_like.errors import DatabrokerError, HandlerFailed, MissingFile, NoSuchHandler

__all__ = [
    "FillerGetter",
    "HandlerCache",
    "HandlerOpener",
    "filler_getter",
    "opener_of",
    "reader_of",
]

Doc = Mapping[str, Any]

#: A reading keeps at most this many handlers, each with its file perhaps, open at once.
HANDLERS_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class FillerGetter:
    """Makes a filler: what a run is handed as its ``get_filler``; it pickles with what it holds.

    Parameters
    ----------
    filler_class : type, callable or str
        ``event_model.Filler``, a subclass, a ``functools.partial``, the dotted path of one, or anything that
        takes documents as a DocumentRouter does.
    handler_registry : mapping
        spec -> handler class.
    root_map : dict
        Recorded root -> where the files are now. The dictionary itself is kept, so later changes to it are seen.
    """

    filler_class: Any
    handler_registry: Mapping[str, Any]
    root_map: Mapping[str, str]

    @property
    def is_plain(self) -> bool:
        """Whether it is event-model's own Filler, whose work is done on columns here."""
        if isinstance(self.filler_class, str):
            return self.filler_class.replace(":", ".") in ("event_model.Filler", "databroker.core.Filler")
        return _is_plain_filler(self.filler_class)

    def __call__(self, coerce: str = "force_numpy", **kwargs: Any) -> Any:
        """A new filler.

        Parameters
        ----------
        coerce : str
            ``"force_numpy"`` (the default), ``"as_is"``, ``"delayed"`` or another that event-model knows.
        **kwargs
            More for the filler class.

        Returns
        -------
        event_model.Filler, or what ``filler_class`` makes
        """
        cls = registry.import_path(self.filler_class) if isinstance(self.filler_class, str) else self.filler_class
        if coerce == "delayed":
            register_delayed()
        handlers: Any = self.handler_registry
        for_filler = getattr(handlers, "for_filler", None)
        if for_filler is not None:
            handlers = for_filler()
        offered = {"root_map": self.root_map, "inplace": False, "coerce": coerce, **kwargs}
        return cls(handler_registry=handlers, **_accepted_of(cls, offered))


def filler_getter(filler_class: Any, handler_registry: Mapping[str, Any], root_map: Mapping[str, str]) -> FillerGetter:
    """The ``get_filler`` of the runs of a catalog.

    Parameters
    ----------
    filler_class : type, callable or str
    handler_registry : mapping
    root_map : dict

    Returns
    -------
    FillerGetter
        Called with ``coerce=...`` it makes a filler; it pickles.

    Examples
    --------
    >>> get_filler = filler_getter("event_model.Filler", {}, {"/old": "/new"})
    >>> get_filler(coerce="as_is").root_map
    {'/old': '/new'}
    """
    return FillerGetter(filler_class, handler_registry, root_map)


def _is_plain_filler(cls: Any) -> bool:
    return getattr(cls, "__name__", "") == "Filler" and getattr(cls, "__module__", "") == "event_model"


def _accepted_of(cls: Any, offered: dict[str, Any]) -> dict[str, Any]:
    """The arguments a filler class takes: one shaped like a DocumentRouter need not know all of Filler's."""
    try:
        parameters = inspect.signature(cls).parameters
    except (TypeError, ValueError):
        return offered
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return offered
    return {name: value for name, value in offered.items() if name in parameters}


@dataclass(frozen=True, eq=False)
class HandlerOpener:
    """Opens the files of resource documents with the handlers of a registry; it pickles with them.

    Parameters
    ----------
    registry : mapping
        spec -> handler class.
    root_map : mapping
    retry_intervals : tuple of float
        Seconds to wait before each further attempt when a file cannot be opened or read; none by default.
    """

    registry: Mapping[str, Any]
    root_map: Mapping[str, str]
    retry_intervals: tuple[float, ...] = ()

    def locate(self, resource: Doc) -> tuple[str, bool]:
        """The path of a resource as it is now, and whether ``root_map`` had a part in it.

        Parameters
        ----------
        resource : mapping
            A resource document.

        Returns
        -------
        (path, touched)
        """
        return resolve_path(resource.get("root") or "", resource["resource_path"], self.root_map)

    def open(self, resource: Doc) -> Any:
        """A new handler for a resource.

        Parameters
        ----------
        resource : mapping
            A resource document.

        Returns
        -------
        handler
            Called with the keywords of a datum it gives an array.

        Raises
        ------
        NoSuchHandler
            When no handler is registered for its spec.
        MissingFile
            When its file is not there.
        HandlerFailed
            When the handler raises anything else.
        """
        handler_class = self.handler_class(resource)
        path, _ = self.locate(resource)
        make = functools.partial(handler_class, path, **resource.get("resource_kwargs", {}))
        return self.attempt(make, resource, f"opening it with {_name(handler_class)}")

    def handler_class(self, resource: Doc) -> Any:
        """The handler class for a resource.

        Parameters
        ----------
        resource : mapping
            A resource document.

        Returns
        -------
        handler class

        Raises
        ------
        NoSuchHandler
            When none is registered for its spec.
        """
        for_resource = getattr(self.registry, "for_resource", None)
        if for_resource is not None:
            return for_resource(resource)
        try:
            return self.registry[resource["spec"]]
        except NoSuchHandler:
            raise
        except KeyError:
            raise HandlerRegistry(self.registry).undefined(resource["spec"], resource) from None

    def attempt(self, work: Callable[[], Any], resource: Doc, doing: str) -> Any:
        """Do what a handler does, and say whose handler it was and which file when it raises."""
        waits = iter(self.retry_intervals)
        while True:
            try:
                return work()
            except DatabrokerError as error:
                if isinstance(error, MissingFile):
                    raise self.missing(resource, error) from error
                raise
            except OSError as error:
                wait = next(waits, None)
                if wait is not None:
                    time.sleep(wait)
                    continue
                if isinstance(error, FileNotFoundError) or not self._is_there(resource):
                    raise self.missing(resource, error) from error
                raise self._failed(resource, doing, error) from error
            except Exception as error:
                raise self._failed(resource, doing, error) from error

    def _is_there(self, resource: Doc) -> bool:
        path, _ = self.locate(resource)
        # A handler of a numbered sequence is handed a template or the beginning of a name, which is no file.
        return os.path.exists(path) or os.path.isdir(os.path.dirname(path))

    def missing(self, resource: Doc, error: BaseException) -> MissingFile:
        """The error that says which file is not there, and what ``root_map`` did about it."""
        path, touched = self.locate(resource)
        asked = f"of resource {resource.get('uid')!r}, spec {resource.get('spec')!r}"
        named = getattr(error, "filename", None)
        if isinstance(named, str | os.PathLike) and os.fspath(named) != path:
            asked += f", looking for {os.fspath(named)!r}"
        return missing_file(path, resource.get("root") or "", touched, reason=asked)

    def _failed(self, resource: Doc, doing: str, error: BaseException) -> HandlerFailed:
        path, touched = self.locate(resource)
        said = "changed" if touched else "not changed"
        return HandlerFailed(
            f"{type(error).__name__} while {doing}: {error}; resource {resource.get('uid')!r} "
            f"(spec {resource.get('spec')!r}) is {path!r}, its root {resource.get('root')!r} {said} by root_map"
        )


def _name(handler_class: Any) -> str:
    cls = handler_class if hasattr(handler_class, "__qualname__") else type(handler_class)
    return f"{cls.__module__}.{cls.__qualname__}"


class HandlerCache:
    """The handlers of one reading: one for each resource, not too many at once, all let go at its end.

    Parameters
    ----------
    opener : HandlerOpener
    most : int
        How many are kept at the most.
    """

    def __init__(self, opener: HandlerOpener, most: int = HANDLERS_AT_ONCE) -> None:
        self.opener = opener
        self._most = most
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def handler(self, resource: Doc) -> Any:
        """The handler of a resource, made when it is first asked for."""
        uid = resource["uid"]
        if uid in self._kept:
            self._kept.move_to_end(uid)
            return self._kept[uid]
        handler = self._kept[uid] = self.opener.open(resource)
        while len(self._kept) > self._most:
            _release(self._kept.popitem(last=False)[1])
        return handler

    def read(self, resource: Doc, datum_kwargs: Mapping[str, Any]) -> Any:
        """What the handler of a resource gives for one datum."""
        handler = self.handler(resource)
        doing = f"reading {dict(datum_kwargs)} with {_name(handler)}"
        return self.opener.attempt(functools.partial(handler, **datum_kwargs), resource, doing)

    def close(self) -> None:
        """Let go of all."""
        while self._kept:
            _release(self._kept.popitem(last=False)[1])

    def __enter__(self) -> HandlerCache:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _release(handler: Any) -> None:
    close = getattr(handler, "close", None)
    if callable(close):
        close()


def opener_of(get_filler: Callable[..., Any]) -> HandlerOpener | None:
    """What opens files in the place of a filler; None when the filler does something of its own.

    Parameters
    ----------
    get_filler : callable
        As a run is handed it.

    Returns
    -------
    HandlerOpener or None
    """
    if isinstance(get_filler, FillerGetter):
        return HandlerOpener(get_filler.handler_registry, get_filler.root_map) if get_filler.is_plain else None
    filler = get_filler(coerce="as_is")
    if not _is_plain_filler(type(filler)) or filler.include is not None or filler.exclude is not None:
        return None
    return HandlerOpener(dict(filler.handler_registry), filler.root_map, tuple(filler.retry_intervals))


def reader_of(get_filler: Callable[..., Any]) -> tuple[Any, HandlerOpener]:
    """The class of a filler, and its handlers and root map, whatever it does with them.

    Parameters
    ----------
    get_filler : callable
        As a run is handed it.

    Returns
    -------
    (class, HandlerOpener)
    """
    if isinstance(get_filler, FillerGetter):
        cls = get_filler.filler_class
        cls = registry.import_path(cls) if isinstance(cls, str) else cls
        return cls, HandlerOpener(get_filler.handler_registry, get_filler.root_map)
    filler = get_filler(coerce="as_is")
    handlers, root_map = getattr(filler, "handler_registry", {}), getattr(filler, "root_map", {})
    return type(filler), HandlerOpener(dict(handlers), dict(root_map or {}))
