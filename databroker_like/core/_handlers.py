"""Which handler reads which external file: a registry of specs, loaded on first use."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from databroker_like.core._plugins import (
    GROUP,
    HandlerClass,
    Plugin,
    as_handler,
    checked,
    contest,
    failed,
    first_that_loads,
    plugins,
    resolve,
)
from databroker_like.errors import NoSuchHandler, NotMutable, listed, nearest
from databroker_like.registry import import_path

if TYPE_CHECKING:
    from databroker_like.core._handler_errors import DuplicateHandler, UndefinedAssetSpecification

__all__ = [
    "DuplicateHandler",
    "HandlerRegistry",
    "HandlerRegistryView",
    "LazyHandler",
    "UndefinedAssetSpecification",
    "discover_handlers",
    "parse_handler_registry",
]


#: Errors that are event-model's too, and live in a file of their own: opening a catalog does not load event-model.
_ERRORS = ("DuplicateHandler", "UndefinedAssetSpecification")


def __getattr__(name: str) -> Any:
    if name in _ERRORS:
        return import_path(f"databroker_like.core._handler_errors:{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def discover_handlers(
    entrypoint_group_name: str = "databroker.handlers", skip_failures: bool = True
) -> dict[str, HandlerClass]:
    """Load every handler that an installed distribution registers through an entry point.

    Where several distributions register a handler for one spec, those that require ``databroker-like`` come
    first, and then the distribution's name decides, alphabetically; one warning says who won.

    Parameters
    ----------
    entrypoint_group_name : str
        ``"databroker.handlers"`` by default, in which distributions register handlers.
    skip_failures : bool
        True by default: a plugin that cannot be imported becomes a warning with its name, and the next
        distribution that offers the spec, if there is one, takes its place. With False its error is raised.

    Returns
    -------
    dict
        spec -> handler class.

    Examples
    --------
    >>> discover_handlers("a.group.nobody.uses")
    {}
    """
    offered = plugins(entrypoint_group_name)
    decided = contest(offered)
    if decided:
        warnings.warn(
            f"more than one distribution registers a handler for the same spec. {decided}. "
            "To decide otherwise: catalog.register_handler(spec, handler, overwrite=True), or handler_registry "
            "in the catalog's YAML",
            UserWarning,
            stacklevel=2,
        )
    found = {}
    for spec, candidates in offered.items():
        for plugin in candidates:
            try:
                found[spec] = as_handler(spec, plugin.load())
                break
            except Exception as error:
                if not skip_failures:
                    error.add_note(f"while importing {plugin}, the handler for the spec {spec!r}")
                    raise
                warnings.warn(failed(plugin, error) + "; it is skipped", UserWarning, stacklevel=2)
    return found


def parse_handler_registry(handler_registry: Mapping[str, Any]) -> dict[str, HandlerClass]:
    """Turn dotted paths into the handler classes they stand for.

    Parameters
    ----------
    handler_registry : mapping
        spec -> ``"package.module.ClassName"``, or a class, or anything that is called like one.

    Returns
    -------
    dict
        spec -> handler class.

    Raises
    ------
    Invalid
        When a path is not one, or its module has no such name; the message has the nearest ones.
    MissingExtra
        When the package is not installed.

    Examples
    --------
    >>> parse_handler_registry({"my_spec": "fractions.Fraction"})
    {'my_spec': <class 'fractions.Fraction'>}
    """
    return {spec: resolve(spec, handler) for spec, handler in checked(handler_registry).items()}


class HandlerRegistry(MutableMapping[str, Any]):
    """Handlers by spec, each imported when it is first asked for.

    Parameters
    ----------
    handlers : mapping, optional
        spec -> handler class, or a dotted path to one. None, the default, means: those that the installed
        distributions register through the entry-point group; they are looked for at the first question.
    group : str
        That group, ``"databroker.handlers"`` by default.

    Examples
    --------
    >>> registry = HandlerRegistry({"my_spec": "fractions.Fraction"})
    >>> registry["my_spec"]
    <class 'fractions.Fraction'>
    >>> registry.register("my_spec", float)
    Traceback (most recent call last):
    ...
    databroker_like.core._handler_errors.DuplicateHandler: the spec 'my_spec' has a handler already...
    """

    def __init__(self, handlers: Mapping[str, Any] | None = None, *, group: str = GROUP) -> None:
        self._group = group
        self._discovers = handlers is None
        # spec -> what it was registered as: a callable, a dotted path, or the plugins that offer it.
        self._given: dict[str, Any] = {} if handlers is None else checked(handlers)
        self._offered: dict[str, tuple[Plugin, ...]] | None = None
        self._removed: set[str] = set()
        self._loaded: dict[str, HandlerClass] = {}

    def _sources(self, *, rescan: bool = False) -> dict[str, Any]:
        if self._discovers and (self._offered is None or rescan):
            self._offered = plugins(self._group)
        offered = {spec: p for spec, p in (self._offered or {}).items() if spec not in self._removed}
        return {**offered, **self._given}

    def __getitem__(self, spec: str) -> HandlerClass:
        try:
            return self._loaded[spec]
        except KeyError:
            pass
        sources = self._sources()
        if spec not in sources and self._discovers:
            # A package may have been installed since.
            sources = self._sources(rescan=True)
        if spec not in sources:
            raise self.undefined(spec)
        source = sources[spec]
        handler = first_that_loads(spec, source) if isinstance(source, tuple) else resolve(spec, source)
        return self._loaded.setdefault(spec, handler)

    def __setitem__(self, spec: str, handler: Any) -> None:
        self.register(spec, handler, overwrite=True)

    def __delitem__(self, spec: str) -> None:
        if spec not in self:
            raise self.undefined(spec)
        self.deregister(spec)

    def __contains__(self, spec: object) -> bool:
        return spec in self._sources()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._sources()))

    def __len__(self) -> int:
        return len(self._sources())

    def register(self, spec: str, handler: Any, overwrite: bool = False) -> None:
        """Register a handler for a spec.

        Parameters
        ----------
        spec : str
            The spec that resource documents name.
        handler : handler class, any callable of its shape, or a dotted path to one
        overwrite : bool
            False by default: registering another handler for a spec that has one is an error.

        Raises
        ------
        DuplicateHandler
            When the spec has another handler, and ``overwrite`` is False.
        """
        checked({spec: handler})
        known = self._sources()
        if spec in known and not overwrite:
            original = known[spec]
            if handler in (original, self._loaded.get(spec)) or (
                isinstance(original, tuple) and handler in {p.path.replace(":", ".") for p in original[:1]}
            ):
                return
            raise __getattr__("DuplicateHandler")(
                f"the spec {spec!r} has a handler already, {_shown(original)}; "
                f"pass overwrite=True to put {_shown(handler)} in its place"
            )
        self._loaded.pop(spec, None)
        self._given[spec] = handler

    def deregister(self, spec: str) -> None:
        """Take the handler of a spec out; nothing happens when there is none.

        Parameters
        ----------
        spec : str
        """
        self._given.pop(spec, None)
        self._loaded.pop(spec, None)
        self._removed.add(spec)

    @property
    def view(self) -> HandlerRegistryView:
        """A read-only view, which shows later changes."""
        return HandlerRegistryView(self)

    def origin(self, spec: str) -> str:
        """Where the handler of a spec comes from, and over whom it won, in words; nothing is imported.

        Parameters
        ----------
        spec : str

        Returns
        -------
        str

        Raises
        ------
        UndefinedAssetSpecification
            When no handler is registered for the spec.
        """
        sources = self._sources()
        if spec not in sources:
            raise self.undefined(spec)
        return _shown(sources[spec])

    def undefined(self, spec: str, resource: Mapping[str, Any] | None = None) -> NoSuchHandler:
        """The error that says that no handler reads a spec, and how to get one.

        Parameters
        ----------
        spec : str
        resource : mapping, optional
            The resource document that asks for it.

        Returns
        -------
        UndefinedAssetSpecification
            To be raised.
        """
        known = list(self._sources())
        asked = f", which resource {resource.get('uid')!r} needs" if resource else ""
        near = nearest(spec, known)
        meant = f"; did you mean {' or '.join(map(repr, near))}" if near else ""
        error: UndefinedAssetSpecification = __getattr__("UndefinedAssetSpecification")(
            f"no handler is registered for the spec {spec!r}{asked}; registered are {listed(known, most=30)}{meant}. "
            "Install a package that has one (pip install databroker-like-handlers, or pip install "
            f"area-detector-handlers), or hand one in: catalog.register_handler({spec!r}, HandlerClass)"
        )
        return error

    def for_resource(self, resource: Mapping[str, Any]) -> HandlerClass:
        """The handler class for a resource document.

        Parameters
        ----------
        resource : mapping
            A resource document.

        Returns
        -------
        handler class

        Raises
        ------
        UndefinedAssetSpecification
            When none is registered for its spec; the message names the resource.
        HandlerFailed
            When the plugin that offers it cannot be imported.
        """
        spec = resource["spec"]
        try:
            return self[spec]
        except NoSuchHandler:
            raise self.undefined(spec, resource) from None

    def for_filler(self) -> dict[str, LazyHandler]:
        """A plain dict to hand to `event_model.Filler`, whose handlers are imported on first use.

        Returns
        -------
        dict
            spec -> `LazyHandler`.
        """
        return {spec: LazyHandler(self, spec) for spec in self}

    def __getstate__(self) -> dict[str, Any]:
        # What was imported is imported again on the other side, from where it was registered.
        return {**self.__dict__, "_loaded": {}}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_rows(self)})"


class HandlerRegistryView(Mapping[str, Any]):
    """A look at a `HandlerRegistry` through which it cannot be changed.

    Parameters
    ----------
    registry : HandlerRegistry
    """

    def __init__(self, registry: HandlerRegistry) -> None:
        self._registry = registry

    def __getitem__(self, spec: str) -> HandlerClass:
        return self._registry[spec]

    def __contains__(self, spec: object) -> bool:
        return spec in self._registry

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry)

    def __len__(self) -> int:
        return len(self._registry)

    def __setitem__(self, spec: str, handler: Any) -> None:
        raise NotMutable(f"handler_registry is a view; use catalog.register_handler({spec!r}, handler, overwrite=True)")

    def __delitem__(self, spec: str) -> None:
        raise NotMutable(f"handler_registry is a view; use catalog.deregister_handler({spec!r})")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_rows(self._registry)})"


@dataclass(frozen=True)
class LazyHandler:
    """Stands in for a handler class that is imported when it is called, or subclassed.

    Parameters
    ----------
    registry : HandlerRegistry
    spec : str
    """

    registry: HandlerRegistry
    spec: str

    def __call__(self, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return self.registry[self.spec](*args, **kwargs)

    def resolve(self) -> HandlerClass:
        """The handler class itself."""
        return self.registry[self.spec]

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        # event_model's "force_numpy" coercion makes a subclass of what it is handed.
        return (self.resolve(),)

    def __getattr__(self, name: str) -> Any:
        if name in ("__name__", "__qualname__"):
            return getattr(self.resolve(), name, self.spec)
        raise AttributeError(name)


def _shown(source: Any) -> str:
    if isinstance(source, tuple):
        winner, *losers = source
        return str(winner) + (f" (which wins over {', '.join(map(str, losers))})" if losers else "")
    if isinstance(source, type):
        return f"{source.__module__}.{source.__qualname__}"
    return repr(source)


def _rows(registry: HandlerRegistry) -> str:
    rows = [f"  {spec!r}: {registry.origin(spec)}" for spec in registry]
    return "{\n" + ",\n".join(rows) + "\n}" if rows else "{}"
