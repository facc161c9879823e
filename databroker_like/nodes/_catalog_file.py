"""A catalog YAML file of which the sources without mistakes are opened, whatever is wrong with the others."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import yaml

from databroker_like.core._yaml import CatalogFile
from databroker_like.core._yaml_check import faulty_sources

__all__ = ["ServedFile"]


class ServedFile(CatalogFile):
    """A catalog YAML file without those of its sources that have mistakes; `faulty` has these.

    Parameters
    ----------
    path, **kwargs
        As of `CatalogFile`.
    """

    #: Name of a source -> its mistakes.
    faulty: Mapping[str, str] = MappingProxyType({})
    #: The sources with mistakes and without, in the order of the file.
    order: tuple[str, ...] = ()

    def parse(self, text: str) -> None:
        """Make the entries of the sources that have no mistakes.

        Parameters
        ----------
        text : str
            The YAML.
        """
        faulty = faulty_sources(text, str(self.path), alone=self._alone)
        order: tuple[str, ...] = ()
        if faulty:
            data = yaml.safe_load(text)
            order = tuple(map(str, data["sources"]))
            data["sources"] = {name: source for name, source in data["sources"].items() if str(name) not in faulty}
            text = yaml.safe_dump(data, sort_keys=False)
        # What it said of itself before would stay beside what it says now.
        self.metadata: dict[str, Any] = {}
        self.description = None
        super().parse(text)
        self.faulty, self.order = faulty, order or tuple(self._entries)
        for entry in self._entries.values():
            # A file in this one may have mistakes of its own.
            if isinstance(entry._plugin, list):
                entry._plugin = [ServedFile if plugin is CatalogFile else plugin for plugin in entry._plugin]
