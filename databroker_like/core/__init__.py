"""Documents and runs; no storage and no network.

The names of ``databroker.core``, each loaded from its own file on first use, so that asking for one costs no more
than that one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from databroker_like.core._document import (
        Datum as Datum,
    )

#: Name -> the file it lives in.
_HOMES = {
    **dict.fromkeys(
        (
            "Datum",
            "DatumPage",
            "Descriptor",
            "Document",
            "Event",
            "EventPage",
            "Resource",
            "Start",
            "Stop",
            "StreamDatum",
            "StreamResource",
        ),
        "_document",
    ),
    "NotMutable": "_document",
    **dict.fromkeys(("to_datum_pages", "to_event_pages"), "_pages"),
    "RunSource": "_source",
    "RunSink": "_sink",
    "RunCollection": "_collection",
    **dict.fromkeys(("discover_handlers", "parse_handler_registry"), "_handlers"),
    "parse_transforms": "_transforms",
    **dict.fromkeys(("BlueskyEventStream", "PartitionIndexError"), "_stream"),
    **dict.fromkeys(("BlueskyRun", "BlueskyRunFromGenerator", "DocumentCache", "SingleRunCache"), "_run"),
    **dict.fromkeys(("RemoteBlueskyEventStream", "RemoteBlueskyRun"), "_remote"),
    "open_catalog": "_yaml",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
