"""RunSource: what any storage offers so that a run can be read; the getters, bundled and frozen."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from databroker_like import registry
from databroker_like.core._pages import slice_pages
from databroker_like.errors import Invalid
from databroker_like.files._lazy import LazyArray

__all__ = ["GETTERS", "RunSource"]

Doc = Mapping[str, Any]


def _none_at_all(*args: Any) -> list[Doc]:
    return []


def _read_here(*args: Any) -> None:
    return None


@dataclass(frozen=True, eq=False)
class RunSource:
    """The getters through which one run is read, as one frozen object.

    Every getter asks late: making a source reads nothing. A source pickles when its getters do, so a driver
    hands in bound methods of an object that pickles (a path and settings), never closures.

    A *column* of an event page is a list or a numpy array. A one-dimensional array stands for the Python
    scalars its ``tolist()`` gives, to the letter; an array of more dimensions stands for one array per event. A
    driver that cannot promise that for a column hands out the list.

    Parameters
    ----------
    get_run_start : ``() -> start document``
    get_run_stop : ``() -> stop document, or None`` while the run goes on or when it was cut off
    get_event_descriptors : ``() -> list of descriptor documents``, in the order they were recorded
    get_event_pages : ``(descriptor_uid, skip=0, limit=None) -> iterable of event pages``
        Rows ``skip`` to ``skip + limit`` in the order they were recorded, in pages of any size.
    get_event_count : ``(descriptor_uid) -> int``
    get_resource : ``(resource_uid) -> resource document``
    get_resources : ``() -> list of resource documents``
    lookup_resource_for_datum : ``(datum_id) -> resource_uid``
    get_datum_pages : ``(resource_uid, skip=0, limit=None) -> iterable of datum pages``
    get_filler : ``(coerce=...) -> event_model.Filler`` or anything shaped like a DocumentRouter
        It carries the handler registry and the root map of the catalog.
    get_stream_resources : ``() -> list of stream_resource documents``
    get_stream_datums : ``(stream_resource_uid) -> list of stream_datum documents``, in the order recorded
    get_column : ``(descriptor_uid, data_key) -> LazyArray, or None``
        The external values of the events of a descriptor, where they are read somewhere else, as on a server. None,
        and that is the default, where the files are opened here, with handlers. It is not one of the `GETTERS`.

    Examples
    --------
    >>> source = RunSource.from_getters(get_run_start=lambda: {"uid": "a"}, get_event_pages=lambda uid: iter([]))
    >>> source.get_run_start()["uid"]
    'a'
    """

    get_run_start: Callable[[], Doc]
    get_run_stop: Callable[[], Doc | None]
    get_event_descriptors: Callable[[], list[Doc]]
    get_event_pages: Callable[..., Iterable[Doc]]
    get_event_count: Callable[[str], int]
    get_resource: Callable[[str], Doc]
    get_resources: Callable[[], list[Doc]]
    lookup_resource_for_datum: Callable[[str], str]
    get_datum_pages: Callable[..., Iterable[Doc]]
    get_filler: Callable[..., Any]
    get_stream_resources: Callable[[], list[Doc]] = field(default=_none_at_all)
    get_stream_datums: Callable[[str], list[Doc]] = field(default=_none_at_all)
    get_column: Callable[[str, str], LazyArray | None] = field(default=_read_here)

    @classmethod
    def of(cls, run: Any, get_filler: Callable[..., Any]) -> RunSource:
        """Bundle the methods of a run that are named as the getters are.

        Parameters
        ----------
        run : object
            Such as a driver's class for one run; it has a method for every getter but ``get_filler``, and may have
            ``get_column``.
        get_filler : callable
            Handed in by the catalog.

        Returns
        -------
        RunSource
        """
        getters = dict(zip(_OF_RUNS, _getters_of(run), strict=True))
        return cls(get_filler=get_filler, get_column=getattr(run, "get_column", _read_here), **getters)

    @classmethod
    def from_getters(cls, **getters: Any) -> RunSource:
        """Bundle getters handed in one by one; those without ``skip`` and ``limit`` get them.

        Parameters
        ----------
        **getters : callables, or their dotted paths
            Any subset of the fields; a getter that is missing raises only when it is called.

        Returns
        -------
        RunSource

        Raises
        ------
        Invalid
            When one is neither.
        """
        getters = {name: _callable(name, getter) for name, getter in getters.items()}
        complete = {name: getters.get(name) or _Missing(name) for name in GETTERS}
        for name in ("get_stream_resources", "get_stream_datums"):
            complete[name] = getters.get(name) or _none_at_all
        for name in ("get_event_pages", "get_datum_pages"):
            complete[name] = _with_skip_and_limit(complete[name])
        return cls(**complete)


def _callable(name: str, getter: Any) -> Any:
    """A getter as it was handed in; from YAML, the dotted path of one."""
    if getter is None or callable(getter):
        return getter
    if isinstance(getter, str):
        found = registry.import_path(getter)
        if callable(found):
            return found
    raise Invalid(f"{name}={getter!r} is not a callable, nor the dotted path of one")


#: The names of the getters, in the order of the fields.
GETTERS: tuple[str, ...] = tuple(name for name in RunSource.__dataclass_fields__ if name != "get_column")


@dataclass(frozen=True)
class _Missing:
    """Stands in for a getter nobody gave; says so when it is needed and not before."""

    name: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"this run was made without {self.name!r}; hand it in as a keyword argument")


@dataclass(frozen=True)
class _Sliced:
    """Gives ``skip`` and ``limit`` to a getter of pages that has neither."""

    getter: Callable[[str], Iterable[Doc]]

    def __call__(self, uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        pages = self.getter(uid)
        if not skip and limit is None:
            return pages
        return slice_pages(pages, skip, limit)


def _with_skip_and_limit(getter: Callable[..., Iterable[Doc]]) -> Callable[..., Iterable[Doc]]:
    if isinstance(getter, _Missing | _Sliced):
        return getter
    try:
        parameters = inspect.signature(getter).parameters
    except (TypeError, ValueError):
        return getter
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    return getter if takes_any or {"skip", "limit"} <= set(parameters) else _Sliced(getter)


#: Those that a run has as methods, and all of them at once.
_OF_RUNS = tuple(name for name in GETTERS if name != "get_filler")
_getters_of = attrgetter(*_OF_RUNS)
