"""Names to objects: one table of our own names, dotted paths in YAML, entry points, and install hints.

What must reach upward in the house asks here for a name, so that no module imports from above it.
"""

from __future__ import annotations

import functools
import importlib
import re
import warnings
from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Any

from databroker_like.errors import Invalid, MissingExtra, NotFound, listed, nearest

__all__ = ["EXTRAS", "NAMES", "entry_points", "import_path", "load", "require"]

#: Our own names -> where they live. A test resolves every one of them.
NAMES: Mapping[str, str] = MappingProxyType(
    {
        "app_from_config": "databroker_like.direct:app_from_config",
        "client.dask": "databroker_like.client._families:dask_clients",
        "client.numpy": "databroker_like.client._families:numpy_clients",
        "cli.app": "databroker_like.cli._app:app",
        "cli.serve": "databroker_like.cli._serve:serve",
        "client.from_uri": "databroker_like.client.constructors:from_uri",
        "client.remote_source": "databroker_like.client._runs._collection:remote_source",
        "catalog": "databroker_like.core._yaml:builtin_catalog",
        "drivers.jsonl": "databroker_like.drivers.jsonl:BlueskyJSONLCatalog",
        "drivers.msgpack": "databroker_like.drivers.msgpack:BlueskyMsgpackCatalog",
        "formats.jsonl": "databroker_like.drivers._json:JSONFormat",
        "formats.msgpack": "databroker_like.drivers._msgpack:MsgpackFormat",
        "open_catalog": "databroker_like.core._yaml:open_catalog",
        "mongo_normalized": "databroker_like.drivers.mongo_normalized:BlueskyMongoCatalog",
        "special_client.BlueskyEventStream": "databroker_like.client.bluesky:BlueskyEventStream",
        "special_client.BlueskyRun": "databroker_like.client.bluesky:BlueskyRun",
        "special_client.CatalogOfBlueskyRuns": "databroker_like.client.bluesky:CatalogOfBlueskyRuns",
        "temp": "databroker_like.drivers.msgpack:temp",
        "v1.Broker": "databroker_like.v1:Broker",
        "v1.from_config": "databroker_like.v1:from_config",
        "v2.Broker": "databroker_like.v2:Broker",
    }
)

#: Package to import -> (the extra that brings it).
EXTRAS: Mapping[str, str] = MappingProxyType(
    {
        "h5py": "files",
        "hdf5plugin": "files",
        "tifffile": "files",
        "PIL": "files",
        "imagecodecs": "files",
        "zarr": "zarr",
        "numcodecs": "zarr",
        "awkward": "arrays",
        "ragged": "arrays",
        "sparse": "arrays",
        "openpyxl": "excel",
        "blosc2": "compression",
        "pymongo": "mongo",
        "psycopg": "postgresql",
        "s3fs": "s3",
        "distributed": "distributed",
        "httpx": "client",
        "zstandard": "client",
        "websockets": "client",
        "httptools": "service",
        "jmespath": "service",
        "starlette": "service",
        "typer": "service",
        "uvicorn": "service",
        "uvloop": "service",
        "bluesky": "demo",
        "ophyd": "demo",
        "ophyd_async": "demo",
        "matplotlib": "demo",
        "rich": "client",
        "hypothesis": "testing",
        "pytest": "testing",
    }
)

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*([:.][A-Za-z_]\w*)+")


def load(name: str) -> Any:
    """The object one of our own names stands for, imported on first use.

    Parameters
    ----------
    name : str
        A key of `NAMES`.

    Returns
    -------
    object

    Raises
    ------
    NotFound
        When the table has no such name.
    """
    try:
        path = NAMES[name]
    except KeyError:
        raise NotFound(f"the registry has no {name!r}; it has {listed(nearest(name, NAMES) or NAMES)}") from None
    return import_path(path)


def import_path(path: str) -> Any:
    """The object at a dotted path, as written in YAML: ``package.module.Class`` or ``package.module:Class``.

    A path that begins with ``databroker.`` is looked up here, with a notice: catalogs written for databroker
    open unchanged.

    Parameters
    ----------
    path : str
        The dotted path.

    Returns
    -------
    object

    Raises
    ------
    Invalid
        When it is not a dotted path, or the module has no such attribute.
    MissingExtra
        When the package is not installed.
    """
    if not isinstance(path, str) or not _DOTTED.fullmatch(path):
        raise Invalid(f"{path!r} is not a dotted path; write it as 'package.module.Name'")
    if path.startswith("databroker."):
        ours = _TRANSLATED.get(path.replace(":", "."), "databroker_like." + path.removeprefix("databroker."))
        warnings.warn(f"{path!r} is taken from databroker_like: {ours!r}", UserWarning, stacklevel=2)
        path = ours
    module_name, _, attributes = path.partition(":") if ":" in path else path.rpartition(".")
    found: Any = _import_module(module_name, path)
    for attribute in attributes.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            near = listed(nearest(attribute, dir(found)) or [n for n in dir(found) if not n.startswith("_")])
            raise Invalid(f"{path!r}: {module_name!r} has no {attribute!r}; it has {near}") from None
    return found


#: Private paths of databroker 1.2.5 that users' YAML names, and where the same thing lives here.
_TRANSLATED: Mapping[str, str] = MappingProxyType(
    {
        "databroker._drivers.jsonl.BlueskyJSONLCatalog": "databroker_like.drivers.jsonl.BlueskyJSONLCatalog",
        "databroker._drivers.msgpack.BlueskyMsgpackCatalog": "databroker_like.drivers.msgpack.BlueskyMsgpackCatalog",
        "databroker._drivers.mongo_embedded.BlueskyMongoCatalog": (
            "databroker_like.drivers.mongo_embedded.BlueskyMongoCatalog"
        ),
        "databroker._drivers.mongo_normalized.BlueskyMongoCatalog": (
            "databroker_like.drivers.mongo_normalized.BlueskyMongoCatalog"
        ),
        "databroker.in_memory.BlueskyInMemoryCatalog": "databroker_like.drivers.in_memory.BlueskyInMemoryCatalog",
    }
)


class _DatabrokerPaths:
    """What the entry points whose names are dotted paths of databroker point at.

    intake looks a dotted driver up among the entry points before it imports it. So a YAML file that names
    ``databroker._drivers.jsonl.BlueskyJSONLCatalog`` opens with ``intake.open_catalog`` too, with the same notice.
    """

    _KNOWN = MappingProxyType(
        {
            "jsonl": "databroker._drivers.jsonl.BlueskyJSONLCatalog",
            "msgpack": "databroker._drivers.msgpack.BlueskyMsgpackCatalog",
            "mongo_embedded": "databroker._drivers.mongo_embedded.BlueskyMongoCatalog",
            "mongo_normalized": "databroker._drivers.mongo_normalized.BlueskyMongoCatalog",
            "in_memory": "databroker.in_memory.BlueskyInMemoryCatalog",
            "run": "databroker.core.BlueskyRun",
            "event_stream": "databroker.core.BlueskyEventStream",
        }
    )

    def __getattr__(self, name: str) -> Any:
        if name not in self._KNOWN:
            raise AttributeError(name)
        return import_path(self._KNOWN[name])


databroker_paths = _DatabrokerPaths()


def _import_module(name: str, asked: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        top = missing.partition(".")[0]
        if missing == name or name.startswith(missing + "."):
            hint = _install_hint(top)
            raise MissingExtra(f"{asked!r} cannot be imported: there is no module {missing!r}; {hint}") from error
        raise MissingExtra(f"{asked!r} cannot be imported: it needs {missing!r}; {_install_hint(top)}") from error


def require(package: str, purpose: str) -> ModuleType:
    """Import an optional third-party package, or say how to install it.

    Parameters
    ----------
    package : str
        The name that is imported, such as ``"h5py"``.
    purpose : str
        What it is needed for, as it completes "... is needed to ".

    Returns
    -------
    module

    Raises
    ------
    MissingExtra
        When it is not installed; the message has the install command.

    Examples
    --------
    >>> require("json", "read this").__name__
    'json'
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        top = package.partition(".")[0]
        if error.name is not None and error.name.partition(".")[0] != top:
            raise
        raise MissingExtra(f"{top!r} is needed to {purpose}; {_install_hint(top)}") from error


def _install_hint(package: str) -> str:
    extra = EXTRAS.get(package)
    if extra is not None:
        return f"install it with: pip install 'databroker-like[{extra}]'"
    return f"is the package that holds {package!r} installed in this environment?"


@functools.cache
def _scan(group: str) -> Any:
    import entrypoints

    return entrypoints.get_group_all(group)


def entry_points(group: str, *, rescan: bool = True) -> list[Any]:
    """The entry points of a group, in an order that is the same every time.

    Parameters
    ----------
    group : str
        Such as ``"databroker.handlers"``.
    rescan : bool
        Look at the installed distributions again; True by default.

    Returns
    -------
    list of entrypoints.EntryPoint
        Each with ``name``, ``module_name``, ``object_name``, ``distro`` and ``load()``; sorted by name, then by
        distribution and module.
    """
    if rescan:
        _scan.cache_clear()
    return sorted(
        _scan(group),
        key=lambda e: (e.name, getattr(e.distro, "name", None) or "", e.module_name, e.object_name or ""),
    )
