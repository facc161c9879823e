"""Which external files a run refers to, and what each is called below its root."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from databroker_like.core._asset_paths import file_uri_to_path, resolve_uri
from databroker_like.core._filler import reader_of
from databroker_like.core._run import BlueskyRun
from databroker_like.core._transforms import apply_transform
from databroker_like.core._yaml_templates import is_template
from databroker_like.errors import DatabrokerError

__all__ = ["Asset", "assets", "folder_of"]

Doc = Mapping[str, Any]


@dataclass(frozen=True)
class Asset:
    """One external file.

    Parameters
    ----------
    root : str
        As recorded: what a root map replaces.
    base : str
        Where this root is now.
    path : str
        Where the file is now.
    """

    root: str
    base: str
    path: str

    @property
    def relative(self) -> str:
        """The file below its root."""
        return os.path.relpath(self.path, self.base)


def folder_of(root: str) -> str:
    """The name of the folder that takes the files of a root: 32 digits that say nothing about it.

    Examples
    --------
    >>> len(folder_of("/data")), folder_of("/data") == folder_of("/data"), folder_of("/data") == folder_of("/other")
    (32, True, False)
    """
    return hashlib.sha256(root.encode(errors="surrogateescape")).hexdigest()[:32]


def assets(run: BlueskyRun, documents: Iterable[tuple[str, Doc]], issues: list[str]) -> Iterator[Asset]:
    """The external files of a run.

    Parameters
    ----------
    run : BlueskyRun
        As its catalog opens it: with the handlers that know the files of a resource, the root map, and the
        transforms that mend its resource documents.
    documents : iterable of (name, document)
        Its resources and stream resources, as recorded.
    issues : list of str
        Takes what cannot be moved, and why.

    Yields
    ------
    Asset
    """
    for name, doc in documents:
        try:
            root, base, paths = _of_resource(run, doc) if name == "resource" else _of_stream_resource(run, doc)
            if is_template(root) or "\0" in root:
                raise DatabrokerError(f"its root {root!r} cannot stand in a catalog file")
        except (DatabrokerError, OSError, KeyError, TypeError) as error:
            issues.append(f"the files of {name} {doc.get('uid')!r} are not moved: {error}")
            continue
        for path in paths:
            if os.path.relpath(path, base).split(os.sep)[0] == os.pardir:
                issues.append(f"{path}, of {name} {doc['uid']!r}, is not moved: it lies outside of its root {base}")
            else:
                yield Asset(root, base, path)


def _of_resource(run: BlueskyRun, doc: Doc) -> tuple[str, str, list[str]]:
    mended = apply_transform(run._header.transforms, "resource", doc)
    if mended["resource_path"] != doc["resource_path"]:
        raise DatabrokerError("a transform changes its 'resource_path', which a root map cannot do")
    if not doc.get("root"):
        raise DatabrokerError("it has no root that a root map could replace")
    _, opener = reader_of(run.source.get_filler)
    path, _ = opener.locate(mended)
    base = os.path.abspath(os.path.expanduser(opener.root_map.get(mended["root"], mended["root"])))
    try:
        found = [os.path.abspath(file) for file in run.get_file_list(mended)]
    except (DatabrokerError, NotImplementedError):
        # Without a handler that knows, only a file is sure: what stands in a folder may be anybody's.
        if not os.path.isfile(path):
            raise
        found = [os.path.abspath(path)]
    return str(doc["root"]), base, list(dict.fromkeys(found))


def _of_stream_resource(run: BlueskyRun, doc: Doc) -> tuple[str, str, list[str]]:
    _, opener = reader_of(run.source.get_filler)
    recorded = file_uri_to_path(doc["uri"]).rstrip("/")
    now = os.path.abspath(resolve_uri(doc["uri"], opener.root_map).path)
    if os.path.isfile(now):
        found = [now]
    elif not recorded or os.path.dirname(now) == now:
        raise DatabrokerError(f"{doc['uri']!r} is no folder of files, but all there are")
    elif str(doc.get("mimetype")).startswith("multipart/"):
        found = sorted(entry.path for entry in os.scandir(now) if entry.is_file())
    elif "zarr" in str(doc.get("mimetype")):
        found = sorted(os.path.join(place, name) for place, _, names in os.walk(now) for name in names)
    else:
        raise DatabrokerError(f"there is no file {now!r}")
    return os.path.dirname(recorded), os.path.dirname(now), found
