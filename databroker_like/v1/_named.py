"""A Broker by its name, by its configuration, or for the time being."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from databroker_like import registry
from databroker_like.errors import Invalid, NoSuchConfig, NotOffered, listed, nearest
from databroker_like.utils import lookup_config
from databroker_like.v1._config import configured

__all__ = ["from_config", "named", "temp", "temp_config"]


def named(name: str, auto_register: bool = True) -> Any:
    """The Broker of a name; see `Broker.named`."""
    if name == "temp":
        return temp()
    try:
        config = lookup_config(name)
    except NoSuchConfig:
        return _catalog_named(name)
    return from_config(config, auto_register, name)


def _catalog_named(name: str) -> Any:
    catalog = registry.load("catalog")()
    if name in catalog:
        found = catalog[name]
        if hasattr(found, "v1"):
            return found.v1
        raise Invalid(f"the catalog {name!r} is a {type(found).__name__} and no catalog of runs; open it by itself")
    known = list(catalog)
    near = listed(nearest(name, known) or known)
    raise NoSuchConfig(
        f"there is no configuration file and no catalog of the name {name!r}; there is {near}. list_configs() and "
        "list(databroker_like.catalog) say what there is, catalog_search_path() and "
        "databroker_like.utils.CONFIG_SEARCH_PATH where it is looked for"
    )


def from_config(config: Mapping[str, Any], auto_register: bool = True, name: str | None = None) -> Any:
    """The Broker of a configuration of version 0 or 1.

    Parameters
    ----------
    config : mapping
        As such a YAML file has it: ``metadatastore`` and ``assets``, each with ``module``, ``class`` and ``config``;
        ``handlers``, ``root_map``, ``transforms``, ``description``, ``api_version``. The modules are names for what
        is meant: nothing of them is imported.
    auto_register : bool
        Use the handlers that installed packages offer, beside those of the configuration; True by default.
    name : str, optional
        What the catalog is called.

    Returns
    -------
    Broker
        Or the catalog of version 2, where ``api_version`` is 2.

    Raises
    ------
    InvalidConfig
        When there is a mistake in it.
    NotOffered
        When it names a storage of version 0 that only version 0 could open.
    """
    catalog, version = configured(config, auto_register, name)
    if version == 2:
        return catalog
    broker = catalog.v1
    broker._config = dict(config)
    return broker


def temp() -> Any:
    """A Broker that records into a temporary folder, which goes when it is no longer used.

    Returns
    -------
    Broker
    """
    return registry.load("temp")().v1


def temp_config() -> Any:
    """Not offered: `temp` gives the Broker itself."""
    raise NotOffered("there is no configuration of a temporary Broker; temp() gives the Broker itself")
