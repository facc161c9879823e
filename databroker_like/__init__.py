"""One toolkit through which the people of a laboratory reach their data.

Importing this package does no work: every name below is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from databroker_like import registry

if TYPE_CHECKING:
    from databroker_like.core._yaml import open_catalog as open_catalog

__all__ = ["catalog", "open_catalog"]


def __getattr__(name: str) -> Any:
    if name == "catalog":
        return registry.load("catalog")()
    if name == "open_catalog":
        return registry.load("open_catalog")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
