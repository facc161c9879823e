"""Runs to another Broker, with their external files; and how large those are."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from databroker_like.core._asset_paths import resolve_uri
from databroker_like.core._filler import opener_of
from databroker_like.errors import MissingFile
from databroker_like.v1._header import Header
from databroker_like.v1._registry import Registry

__all__ = ["export", "export_size"]

_GIGA = 1e9


def export(
    files: Registry,
    headers: Iterable[Header],
    insert: Callable[[str, Any], Any],
    new_root: str | os.PathLike[str] | None = None,
    copy_kwargs: Mapping[str, Any] | None = None,
) -> list[tuple[str, str]]:
    """Hand the documents of some runs to what records them, and copy their files.

    Parameters
    ----------
    files : Registry
    headers : iterable of Header
    insert : callable
        ``insert(name, doc)``
    new_root : str or path, optional
        Where the files are copied to; they stay where they are by default.
    copy_kwargs : dict, optional
        More for `Registry.copy_files`.

    Returns
    -------
    list of (old path, new path)
    """
    pairs: list[tuple[str, str]] = []
    for header in headers:
        run = header._data_source
        # Pages of one descriptor come in the order of their events whole; those of several, one event to a page.
        strict = len(run._descriptors) > 1
        if new_root is not None and any(True for _ in run.source.get_stream_resources()):
            warnings.warn(
                f"the files of stream_resource documents of run {header.uid[:8]} stay where they are; "
                "databroker_like.transfer.copy(..., external_files=folder) copies those, too",
                UserWarning,
                stacklevel=3,
            )
        for name, doc in run.documents(fill="no", strict_order=strict):
            if name == "resource" and new_root is not None:
                more = {"run_start_uid": header.uid, **(copy_kwargs or {})}
                pairs += files.copy_files(doc, new_root, **more)
                doc = {**doc, "root": os.fspath(new_root)}
            insert(name, doc)
    return pairs


def export_size(headers: Iterable[Header]) -> float:
    """How large the external files of some runs are together.

    Parameters
    ----------
    headers : iterable of Header

    Returns
    -------
    float
        Gigabytes; a file that several resources name counts once.
    """
    sizes: dict[str, int] = {}
    for header in headers:
        run = header._data_source
        for name, doc in run.documents(fill="no", strict_order=False):
            if name == "resource":
                files = run.get_file_list(doc)
            elif name == "stream_resource":
                files = _streamed(run, doc)
            else:
                continue
            for file in files:
                try:
                    sizes[str(file)] = os.path.getsize(file)
                except FileNotFoundError as error:
                    raise MissingFile(
                        f"the file {str(file)!r} of {name} {doc['uid']!r} is not there; root_map says where files "
                        "are now"
                    ) from error
    return sum(sizes.values()) / _GIGA


def _streamed(run: Any, doc: Mapping[str, Any]) -> list[str]:
    """The file of a stream_resource, or all of its folder."""
    opener = opener_of(run.source.get_filler)
    path = resolve_uri(doc["uri"], {} if opener is None else opener.root_map).path
    if not os.path.isdir(path):
        return [path]
    return [os.path.join(place, name) for place, _, names in os.walk(path) for name in names]
