"""Small helpers that need nothing else of the package: the names of ``databroker.utils``."""

from __future__ import annotations

from typing import Any

from databroker_like.errors import Conflict
from databroker_like.utils._configs import (
    SPECIAL_NAME,
    Secret,
    config_search_path,
    describe_configs,
    list_configs,
    lookup_config,
)
from databroker_like.utils._doct import DOCT_NAMES, DeprecatedDoct, Doct, wrap_in_deprecated_doct, wrap_in_doct
from databroker_like.utils._lazy_map import LazyMap
from databroker_like.utils._old_times import format_time, normalize_human_friendly_time
from databroker_like.utils._plain import (
    ALL,
    apply_to_dict_recursively,
    ensure_path_exists,
    get_fields,
    sanitize_np,
    transpose,
)
from databroker_like.utils._search_path import catalog_search_path

__all__ = [
    "ALL",
    "CONFIG_SEARCH_PATH",
    "DOCT_NAMES",
    "SPECIAL_NAME",
    "DeprecatedDoct",
    "Doct",
    "DuplicateHandler",
    "LazyMap",
    "Secret",
    "apply_to_dict_recursively",
    "catalog_search_path",
    "config_search_path",
    "describe_configs",
    "ensure_path_exists",
    "format_time",
    "get_fields",
    "list_configs",
    "lookup_config",
    "normalize_human_friendly_time",
    "sanitize_np",
    "transpose",
    "wrap_in_deprecated_doct",
    "wrap_in_doct",
]

CONFIG_SEARCH_PATH: tuple[str, ...]

#: What registering another handler for a spec raises is one of these.
DuplicateHandler = Conflict


def __getattr__(name: str) -> Any:
    if name == "CONFIG_SEARCH_PATH":
        # Where the user's home is, is asked when it is needed.
        return config_search_path()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
