"""The catalog of runs in files of JSON lines."""

from __future__ import annotations

from databroker_like.drivers._file_catalog import FileCatalog
from databroker_like.drivers._json import JSONFormat

__all__ = ["BlueskyJSONLCatalog"]


class BlueskyJSONLCatalog(FileCatalog):
    """Runs in files of JSON lines: ``["name", {document}]`` on each line, one file a run.

    Files that are one JSON list of all the documents, files of several runs, and any of them gzipped, are read as
    well. Files that are new, changed or deleted are seen at once. It also records: ``RE.subscribe(catalog.insert)``
    writes ``{uid}.jsonl`` beside the files there are.

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
    >>> import tempfile
    >>> catalog = BlueskyJSONLCatalog(tempfile.mkdtemp() + "/*.jsonl")
    >>> catalog.insert("start", {"uid": "41fb8ca9", "time": 1700000000.0, "scan_id": 1})
    >>> list(catalog)
    ['41fb8ca9']
    >>> catalog.close()
    """

    name = "bluesky-jsonl-catalog"
    _format = JSONFormat()
