"""The contracts that a driver, a handler and a node keep, as tests to inherit, for whoever writes one.

Needs pytest and hypothesis: ``pip install 'databroker-like[testing]'``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from databroker_like import registry

if TYPE_CHECKING:
    from databroker_like.testing._drivers import DriverContract as DriverContract
    from databroker_like.testing._handlers import HandlerCase as HandlerCase
    from databroker_like.testing._handlers import HandlerContract as HandlerContract
    from databroker_like.testing._lazy_arrays import LazyArrayContract as LazyArrayContract
    from databroker_like.testing._nodes import NodeContract as NodeContract

#: Name -> the file it lives in.
_HOMES = {
    "DriverContract": "_drivers",
    "HandlerCase": "_handlers",
    "HandlerContract": "_handlers",
    "LazyArrayContract": "_lazy_arrays",
    "NodeContract": "_nodes",
}

#: File -> the optional packages it imports.
_NEEDED = {
    "_drivers": ("pytest", "hypothesis"),
    "_handlers": ("pytest",),
    "_lazy_arrays": ("pytest", "hypothesis"),
    "_nodes": ("pytest",),
}

__all__ = ["DriverContract", "HandlerCase", "HandlerContract", "LazyArrayContract", "NodeContract"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for package in _NEEDED[home]:
        registry.require(package, f"inherit from {name}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
