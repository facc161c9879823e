"""Configuration files of versions 0 and 1 as entries of a catalog."""

from __future__ import annotations

from typing import Any

from intake.catalog.entry import CatalogEntry

from databroker_like import registry
from databroker_like.errors import InvalidConfig, NoSuchConfig
from databroker_like.utils import list_configs, lookup_config

__all__ = ["ConfigEntry", "config_entries"]


class ConfigEntry(CatalogEntry):
    """The catalog of runs that a configuration file stands for, opened when it is asked for.

    Parameters
    ----------
    name : str
        That of the file.
    """

    _container = "catalog"
    _user_parameters: tuple[Any, ...] = ()

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._opened: tuple[Any, Any] | None = None

    @property
    def name(self) -> str:
        """That of the file."""
        return self._name

    @property
    def description(self) -> str:
        """What the file says of itself; empty where it cannot be read."""
        try:
            return str(lookup_config(self._name).get("description") or "")
        except (NoSuchConfig, InvalidConfig):
            # It is looked at for a list, and tells what is wrong when it is opened.
            return ""

    def describe(self) -> dict[str, Any]:
        """What intake shows of an entry."""
        return {
            "name": self._name,
            "container": self._container,
            "plugin": ["bluesky-mongo-normalized-catalog"],
            "driver": ["bluesky-mongo-normalized-catalog"],
            "description": self.description,
            "direct_access": "forbid",
            "user_parameters": [],
            "metadata": {},
            "args": {},
        }

    def get(self, **user_parameters: Any) -> Any:
        """The catalog of runs; the same one until the file changes.

        Returns
        -------
        databroker_like.v2.Broker

        Raises
        ------
        InvalidConfig, NotOffered
        """
        config = lookup_config(self._name)
        if self._opened is None or self._opened[0] != config:
            self._opened = config, registry.load("v1.from_config")(config, True, self._name).v2
        return self._opened[1]


def config_entries(known: dict[str, ConfigEntry]) -> dict[str, ConfigEntry]:
    """An entry for each configuration file there is now.

    Parameters
    ----------
    known : dict
        Those of before, which are kept where their files are still there.

    Returns
    -------
    dict
        Name -> entry.
    """
    return {name: known.get(name) or ConfigEntry(name) for name in list_configs()}
