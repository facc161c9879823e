"""Data over HTTP: a client of any server of the Tiled protocol.

`from_uri` opens a server, or one node on it::

    from databroker_like.client import from_uri

    client = from_uri("http://localhost:8000")
"""

from __future__ import annotations

from databroker_like.client._specials import register_special_client
from databroker_like.client._views import DictView, ListView
from databroker_like.client.cache import Cache
from databroker_like.client.constructors import from_context, from_profile, from_uri
from databroker_like.client.container import ASCENDING, DESCENDING
from databroker_like.client.context import Context
from databroker_like.client.logger import hide_logs, record_history, show_logs
from databroker_like.client.metadata_update import DELETE_KEY
from databroker_like.client.profiles import list_profiles, load_profiles

__all__ = [
    "ASCENDING",
    "DELETE_KEY",
    "DESCENDING",
    "Cache",
    "Context",
    "DictView",
    "ListView",
    "from_context",
    "from_profile",
    "from_uri",
    "hide_logs",
    "list_profiles",
    "load_profiles",
    "record_history",
    "register_special_client",
    "show_logs",
]
