"""Handlers that other distributions offer through an entry point: who offers what, and who comes first."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import itertools
import logging
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from databroker_like.errors import HandlerFailed, Invalid, MissingExtra, WrongType
from databroker_like.registry import entry_points, import_path

__all__ = [
    "GROUP",
    "HandlerClass",
    "Plugin",
    "as_handler",
    "checked",
    "contest",
    "failed",
    "first_that_loads",
    "plugins",
    "resolve",
]

logger = logging.getLogger("databroker_like.handlers")

#: Anything called as ``handler(path, **resource_kwargs)`` that gives something called as ``(**datum_kwargs)``.
HandlerClass = Callable[..., Callable[..., Any]]

#: The entry-point group in which distributions register handlers.
GROUP = "databroker.handlers"


@dataclass(frozen=True)
class Plugin:
    """One entry point: a handler class by name, and the distribution that brings it.

    Parameters
    ----------
    spec : str
        The spec it reads, such as ``"AD_HDF5"``.
    path : str
        Where the handler class is, as ``"package.module:Class"``.
    distribution : str
        The distribution's name as pip shows it; empty when nobody owns up to it.
    """

    spec: str
    path: str
    distribution: str

    def __str__(self) -> str:
        return f"{self.path!r} of {self.distribution!r}" if self.distribution else repr(self.path)

    def load(self) -> Any:
        """Import the handler class; what its package raises is passed on as it is."""
        module_name, _, attributes = self.path.partition(":")
        found: Any = importlib.import_module(module_name)
        if attributes:
            found = functools.reduce(getattr, attributes.split("."), found)
        return found


def plugins(group: str = GROUP) -> dict[str, tuple[Plugin, ...]]:
    """The handlers that the installed distributions offer; none of them is imported.

    When several distributions offer a handler for one spec, the order is the same every time: first those that
    require ``databroker-like``, because they were made for it; then alphabetically, by the distribution's name.
    The first one is used.

    Parameters
    ----------
    group : str
        The entry-point group, ``"databroker.handlers"`` by default.

    Returns
    -------
    dict
        spec -> the plugins that offer it, best first.
    """
    found = {
        Plugin(e.name, f"{e.module_name}:{e.object_name}" if e.object_name else e.module_name, _name(e.distro))
        for e in entry_points(group)
    }
    ordered = sorted(found, key=lambda p: (p.spec, p.distribution, p.path))
    grouped = {spec: tuple(offers) for spec, offers in itertools.groupby(ordered, key=lambda p: p.spec)}
    for spec, offers in grouped.items():
        if len(offers) > 1:
            grouped[spec] = tuple(sorted(offers, key=lambda p: not _made_for_us(p.distribution)))
    return grouped


def contest(offered: Mapping[str, Iterable[Plugin]]) -> str:
    """Who won where several distributions offer a handler for the same spec, in words.

    Parameters
    ----------
    offered : mapping
        spec -> plugins, best first.

    Returns
    -------
    str
        One sentence for each pair of winner and losers; empty when there was nothing to decide.
    """
    decided: dict[tuple[str, str], list[str]] = {}
    for spec, (winner, *losers) in offered.items():
        # A distribution that names two things for one spec is named by the thing.
        names = [p.distribution for p in (winner, *losers)]
        shown = names if len(set(names)) == len(names) and all(names) else [p.path for p in (winner, *losers)]
        if losers:
            decided.setdefault((shown[0], ", ".join(shown[1:])), []).append(spec)
    return "; ".join(
        f"{', '.join(map(repr, sorted(specs)))}: {winner} is used, not {losers}"
        for (winner, losers), specs in sorted(decided.items())
    )


def checked(handlers: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a mapping of specs to handlers; WrongType when a value can be neither imported nor called."""
    if not isinstance(handlers, Mapping):
        raise WrongType(f"handler_registry is a mapping of specs to handlers, not {handlers!r}")
    for spec, handler in handlers.items():
        if not isinstance(handler, str):
            as_handler(spec, handler)
    return dict(handlers)


def as_handler(spec: str, handler: Any) -> HandlerClass:
    """The handler itself; WrongType when it cannot be called."""
    if not callable(handler):
        raise WrongType(
            f"the handler for the spec {spec!r} is a class, or is called like one; {handler!r} cannot be called"
        )
    return handler


def resolve(spec: str, handler: Any) -> HandlerClass:
    """The handler class that a dotted path, or the class itself, stands for; errors name the spec."""
    if not isinstance(handler, str):
        return as_handler(spec, handler)
    try:
        found = import_path(handler)
    except (Invalid, MissingExtra) as error:
        raise type(error)(f"the handler for the spec {spec!r}: {error}") from error
    except Exception as error:
        raise HandlerFailed(
            f"the handler for the spec {spec!r}: importing {handler!r} raised {type(error).__name__}: {error}"
        ) from error
    return as_handler(spec, found)


def first_that_loads(spec: str, offers: tuple[Plugin, ...]) -> HandlerClass:
    """The handler class of the best plugin that can be imported; HandlerFailed when none can."""
    decided = contest({spec: offers})
    if decided:
        logger.info("more than one distribution registers a handler. %s", decided)
    for plugin in offers:
        try:
            return as_handler(spec, plugin.load())
        except Exception as error:
            if plugin is offers[-1]:
                raise HandlerFailed(
                    f"{failed(plugin, error)}; mend or remove that package, or hand in another handler: "
                    f"catalog.register_handler({spec!r}, HandlerClass, overwrite=True)"
                ) from error
            warnings.warn(f"{failed(plugin, error)}; the next one is used", UserWarning, stacklevel=4)
    raise Invalid(f"no plugin offers the spec {spec!r}")


def failed(plugin: Plugin, error: Exception) -> str:
    """What went wrong with a plugin, in words."""
    return f"the handler for the spec {plugin.spec!r}, {plugin}, cannot be imported: {type(error).__name__}: {error}"


def _name(distro: Any) -> str:
    return _normal(getattr(distro, "name", None) or "")


def _normal(name: str) -> str:
    # As the packaging specifications compare names: case and runs of ".", "-", "_" do not matter.
    return re.sub(r"[-_.]+", "-", name).lower()


def _made_for_us(distribution: str) -> bool:
    try:
        needs = importlib.metadata.requires(distribution) if distribution else None
    except importlib.metadata.PackageNotFoundError:
        return False
    names = (re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", need) for need in needs or ())
    return any(name is not None and _normal(name.group()) == "databroker-like" for name in names)
