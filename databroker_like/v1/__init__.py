"""Version 1 of the Broker API: runs as Headers, streams as tables.

Notebooks written for ``databroker.v1``, or for ``from databroker import Broker``, run on it unchanged. Every catalog
has it as ``catalog.v1``, and it leads back as ``db.v2``.
"""

from __future__ import annotations

from databroker_like.errors import InvalidConfig
from databroker_like.v1._broker import Broker
from databroker_like.v1._header import Header
from databroker_like.v1._images import Images
from databroker_like.v1._named import from_config, temp, temp_config
from databroker_like.v1._registry import Registry
from databroker_like.v1._results import Results

__all__ = [
    "Broker",
    "Header",
    "Images",
    "InvalidConfig",
    "Registry",
    "Results",
    "from_config",
    "temp",
    "temp_config",
]
