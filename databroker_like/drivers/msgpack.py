"""The catalog of runs in msgpack files."""

from __future__ import annotations

import shutil
import tempfile
import weakref

from databroker_like.drivers._file_catalog import FileCatalog
from databroker_like.drivers._msgpack import MsgpackFormat

__all__ = ["BlueskyMsgpackCatalog", "temp"]


class BlueskyMsgpackCatalog(FileCatalog):
    """Runs in msgpack files: ``[name, document]`` one after the other, one file a run.

    An export of databroker-pack opens as it is, numpy arrays included. Nothing in a file is ever unpickled: one
    that carries pickled objects is listed in `problems`. It also records: ``RE.subscribe(catalog.insert)`` writes
    ``{uid}.msgpack`` beside the files there are.

    Parameters
    ----------
    paths : str, path, or list of them
        Files, folders, and patterns with ``*``, ``?``, ``[...]`` and ``**``.
    handler_registry : dict, optional
        Spec -> handler class, or the dotted path of one.
    root_map : dict, optional
        The ``root`` of external files as recorded -> where they are now.
    filler_class : type or str, optional
        ``event_model.Filler`` by default.
    query : dict, optional
        Only the runs whose start document matches; all by default.
    transforms : dict, optional
        ``"start"``, ``"stop"``, ``"resource"``, ``"descriptor"`` -> function that mends such a document.
    fsync : {"stop", "event", "never"}
        When what is recorded is also forced to the disk, so that it survives a power cut: with each stop document, by
        default; with each document; or when the system sees fit. The death of the process it survives in any case.
    **kwargs
        What every intake catalog takes: ``name``, ``description``, ``metadata``, ...

    Examples
    --------
    >>> catalog = temp()
    >>> catalog.insert("start", {"uid": "41fb8ca9", "time": 1700000000.0, "scan_id": 1})
    >>> catalog[-1].metadata["start"]["scan_id"]
    1
    """

    name = "bluesky-msgpack-catalog"
    _format = MsgpackFormat()


def temp() -> BlueskyMsgpackCatalog:
    """A catalog that records into a temporary folder, which goes when the catalog does.

    Returns
    -------
    BlueskyMsgpackCatalog
        Named ``"temp"``.
    """
    folder = tempfile.mkdtemp(prefix="databroker-like-")
    catalog = BlueskyMsgpackCatalog(f"{folder}/*.msgpack", name="temp", fsync="never")
    # Everything that comes from this catalog (runs, searches) holds its collection.
    weakref.finalize(catalog.collection, shutil.rmtree, folder, ignore_errors=True)
    return catalog
