"""What the catalogs of files share."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from databroker_like.core._collection import RunCollection
from databroker_like.core._sink import RunSink, checked_fsync
from databroker_like.drivers._file_log import FileLogs
from databroker_like.drivers._files import FileCollection
from databroker_like.drivers._format import FileFormat
from databroker_like.drivers._record import Recorder
from databroker_like.errors import WrongType
from databroker_like.v2 import Broker

__all__ = ["FileCatalog"]

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


class FileCatalog(Broker):
    """A catalog of runs in files; a subclass says of which format."""

    _format: ClassVar[FileFormat]

    def __init__(
        self,
        paths: Paths,
        *,
        handler_registry: Mapping[str, Any] | None = None,
        root_map: Mapping[str, str] | None = None,
        filler_class: Any = "event_model.Filler",
        query: Any = None,
        transforms: Mapping[str, Any] | None = None,
        fsync: str = "stop",
        **kwargs: Any,
    ) -> None:
        self.paths = _as_list(paths)
        self._fsync = checked_fsync(fsync)
        super().__init__(
            handler_registry=handler_registry,
            root_map=root_map,
            filler_class=filler_class,
            query=query,
            transforms=transforms,
            **kwargs,
        )

    def _make_collection(self) -> RunCollection:
        found = FileCollection(self.paths, self._format)
        elsewhere = self._relative_paths()
        # An export carries the paths of the machine it was made on, and beside them those that travel with it.
        if elsewhere and not found.has_files():
            return FileCollection(elsewhere, self._format)
        return found

    def _relative_paths(self) -> list[str]:
        metadata = self.metadata or {}
        folder, paths = metadata.get("catalog_dir"), metadata.get("relative_paths")
        if not folder or not paths:
            return []
        # What looks like a pattern in the name of the folder is its name.
        place = glob.escape(str(folder).removeprefix("file://"))
        return [os.path.join(place, path) for path in _as_list(paths)]

    def _make_sink(self) -> RunSink:
        collection = self.collection
        assert isinstance(collection, FileCollection)
        return Recorder(FileLogs(collection, self._fsync))


def _as_list(paths: Any) -> list[str]:
    if isinstance(paths, str | os.PathLike):
        return [os.fspath(paths)]
    if isinstance(paths, Mapping) or not isinstance(paths, Iterable):
        raise WrongType(f"paths is a path or a list of paths; it cannot be {paths!r}")
    found = []
    for path in paths:
        if not isinstance(path, str | os.PathLike):
            raise WrongType(f"paths is a path or a list of paths; one of it cannot be {path!r}")
        found.append(os.fspath(path))
    return found
