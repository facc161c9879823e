"""Documents and runs; no storage and no network.

The names of ``databroker.core``, each loaded from its own file on first use, so that asking for one costs no more
than that one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from databroker_like.core._cache import BlueskyRunFromGenerator as BlueskyRunFromGenerator
    from databroker_like.core._cache import DocumentCache as DocumentCache
    from databroker_like.core._cache import SingleRunCache as SingleRunCache
    from databroker_like.core._collection import RunCollection as RunCollection
    from databroker_like.core._declared import extract_dtype as extract_dtype
    from databroker_like.core._declared import extract_shape as extract_shape
    from databroker_like.core._delayed import coerce_dask as coerce_dask
    from databroker_like.core._document import Datum as Datum
    from databroker_like.core._document import DatumPage as DatumPage
    from databroker_like.core._document import Descriptor as Descriptor
    from databroker_like.core._document import Document as Document
    from databroker_like.core._document import Event as Event
    from databroker_like.core._document import EventPage as EventPage
    from databroker_like.core._document import NotMutable as NotMutable
    from databroker_like.core._document import Resource as Resource
    from databroker_like.core._document import Start as Start
    from databroker_like.core._document import Stop as Stop
    from databroker_like.core._document import StreamDatum as StreamDatum
    from databroker_like.core._document import StreamResource as StreamResource
    from databroker_like.core._document import tokenize_document as tokenize_document
    from databroker_like.core._handlers import discover_handlers as discover_handlers
    from databroker_like.core._handlers import parse_handler_registry as parse_handler_registry
    from databroker_like.core._pages import to_datum_pages as to_datum_pages
    from databroker_like.core._pages import to_event_pages as to_event_pages
    from databroker_like.core._remote import RemoteBlueskyEventStream as RemoteBlueskyEventStream
    from databroker_like.core._remote import RemoteBlueskyRun as RemoteBlueskyRun
    from databroker_like.core._revision import Revision as Revision
    from databroker_like.core._run import BlueskyRun as BlueskyRun
    from databroker_like.core._sink import RunSink as RunSink
    from databroker_like.core._source import RunSource as RunSource
    from databroker_like.core._stream import BlueskyEventStream as BlueskyEventStream
    from databroker_like.core._stream import PartitionIndexError as PartitionIndexError
    from databroker_like.core._transforms import parse_transforms as parse_transforms
    from databroker_like.core._trial import AppliedTransforms as AppliedTransforms
    from databroker_like.core._yaml import open_catalog as open_catalog

#: The file -> the names that live in it.
_FILES = {
    "_cache": (
        "BlueskyRunFromGenerator",
        "DocumentCache",
        "SingleRunCache",
    ),
    "_collection": ("RunCollection",),
    "_document": (
        "Datum",
        "DatumPage",
        "Descriptor",
        "Document",
        "Event",
        "EventPage",
        "NotMutable",
        "Resource",
        "Start",
        "Stop",
        "StreamDatum",
        "StreamResource",
        "tokenize_document",
    ),
    "_delayed": ("coerce_dask",),
    "_declared": ("extract_dtype", "extract_shape"),
    "_handlers": (
        "discover_handlers",
        "parse_handler_registry",
    ),
    "_pages": (
        "to_datum_pages",
        "to_event_pages",
    ),
    "_remote": (
        "RemoteBlueskyEventStream",
        "RemoteBlueskyRun",
    ),
    "_revision": ("Revision",),
    "_run": ("BlueskyRun",),
    "_sink": ("RunSink",),
    "_source": ("RunSource",),
    "_stream": (
        "BlueskyEventStream",
        "PartitionIndexError",
    ),
    "_transforms": ("parse_transforms",),
    "_trial": ("AppliedTransforms",),
    "_yaml": ("open_catalog",),
}

#: Name -> the file it lives in.
_HOMES = {name: file for file, names in _FILES.items() for name in names}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
