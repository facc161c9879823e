"""One toolkit through which the people of a laboratory reach their data.

Importing this package does no work: every name below is loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from databroker_like import registry
from databroker_like.errors import listed, nearest

if TYPE_CHECKING:
    from databroker_like.core._yaml import open_catalog as open_catalog
    from databroker_like.utils import ALL as ALL
    from databroker_like.utils import DeprecatedDoct as DeprecatedDoct
    from databroker_like.utils import catalog_search_path as catalog_search_path
    from databroker_like.utils import describe_configs as describe_configs
    from databroker_like.utils import list_configs as list_configs
    from databroker_like.utils import lookup_config as lookup_config
    from databroker_like.utils import wrap_in_deprecated_doct as wrap_in_deprecated_doct
    from databroker_like.utils import wrap_in_doct as wrap_in_doct
    from databroker_like.v1 import Broker as Broker
    from databroker_like.v1 import Header as Header
    from databroker_like.v1 import temp as temp
    from databroker_like.v1 import temp_config as temp_config

#: Name -> the module it lives in.
_HOMES = {
    "ALL": "databroker_like.utils",
    "Broker": "databroker_like.v1",
    "DeprecatedDoct": "databroker_like.utils",
    "EntrypointsCatalog": "intake.catalog.local",
    "Header": "databroker_like.v1",
    "MergedCatalog": "intake.catalog.local",
    "catalog_search_path": "databroker_like.utils",
    "describe_configs": "databroker_like.utils",
    "list_configs": "databroker_like.utils",
    "lookup_config": "databroker_like.utils",
    "temp": "databroker_like.v1",
    "temp_config": "databroker_like.v1",
    "wrap_in_deprecated_doct": "databroker_like.utils",
    "wrap_in_doct": "databroker_like.utils",
}

#: Modules that databroker had imported by the time that it was imported.
_MODULES = frozenset({"assets", "core", "queries", "utils", "v1", "v2"})

#: Names of databroker that are not here, and what there is in their place.
_LEFT_OUT = {
    "V0Catalog": "the old configuration files are in databroker_like.catalog, and open by Broker.named(name)",
    "discovery": "installed catalogs and those of YAML files are in databroker_like.catalog",
    "eventsource": "event sources of version 0 are catalogs now",
    "headersource": "storages of version 0 other than MongoDB are exported with databroker itself, and opened as files",
    "v0": "version 0 of the API is not offered; version 1 has the same methods",
}

__all__ = [*_HOMES, "__version__", "catalog", "load_combo_catalog", "logger", "open_catalog", "yaml_catalogs"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"databroker_like.{name}")
    if name in ("catalog", "yaml_catalogs"):
        return registry.load("catalog")()
    if name == "load_combo_catalog":
        return registry.load("catalog")
    if name == "open_catalog":
        return registry.load("open_catalog")
    if name == "logger":
        return importlib.import_module("logging").getLogger(__name__)
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("databroker-like")
    if name in _LEFT_OUT:
        raise AttributeError(f"module {__name__!r} has no {name!r}, which was part of version 0: {_LEFT_OUT[name]}")
    near = [] if name.startswith("_") else nearest(name, [*__all__, *_MODULES])
    said = f"; nearest: {listed(near)}" if near else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{said}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, *_MODULES])
