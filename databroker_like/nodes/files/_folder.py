"""A folder of files as a container: each file a node, looked into when it is asked for, as it is then."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

from databroker_like.errors import DatabrokerError, MissingFile
from databroker_like.files.arrow import ArrowTable
from databroker_like.files.csv_table import CSVTable
from databroker_like.files.parquet import ParquetTable
from databroker_like.nodes._broken import BrokenNode
from databroker_like.nodes._node import Node
from databroker_like.nodes._sources import DataSource
from databroker_like.nodes.files._formats import NAMELESS, Entry, entries_of
from databroker_like.nodes.files._hdf5 import hdf5_node
from databroker_like.nodes.files._listed import ListedNode
from databroker_like.nodes.files._numbered import NumberedNode, fit_together, some_of
from databroker_like.nodes.files._pictures import PICTURES, Places, numbered_node, picture_node
from databroker_like.nodes.files._place import SETTLED_NANOSECONDS, Place, Served, Stamp, lasting
from databroker_like.nodes.files._tables import FileTable, Workbook
from databroker_like.nodes.files._zarr import looks_like_zarr, metadata_stamp, zarr_node
from databroker_like.structures import Spec

__all__ = ["FolderNode"]

#: Format -> what reads a file, its media type, and what it is.
_TABLES: Mapping[str, tuple[Callable[[str], Any], str, str]] = MappingProxyType(
    {
        "csv": (CSVTable, "text/csv", "a CSV file"),
        "parquet": (ParquetTable, "application/x-parquet", "a Parquet file"),
        "arrow": (ArrowTable, "application/vnd.apache.arrow.file", "an Arrow IPC file or stream"),
    }
)


class FolderNode(ListedNode):
    """A folder of files as a tree: files are arrays, tables and containers, and folders in it containers.

    To list a folder opens no file. A file is looked into when its node is asked for, and again when it has changed;
    what is added, changed or removed shows with the next request. A file that cannot be read is a node whose metadata
    says why, and all others are there.

    Hidden files, files of other formats, and links that lead out of the folder are left out.

    Parameters
    ----------
    path : str or path-like
    metadata : mapping, optional
        What is said of the folder.
    specs : iterable of Spec
        None by default.
    most_open : int
        How many files are kept open between readings; 64 by default. With 0 a file is open only while it is read.

    Raises
    ------
    MissingFile
        When there is no such folder.

    Examples
    --------
    >>> import numpy, os, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> numpy.save(os.path.join(folder, "grid.npy"), numpy.arange(6).reshape(2, 3))
    >>> tree = FolderNode(folder)
    >>> list(tree.keys()), tree.get("grid").read((0,))
    (['grid'], array([0, 1, 2]))
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        metadata: Mapping[str, Any] | None = None,
        specs: Iterable[Spec] = (),
        most_open: int = 64,
    ) -> None:
        path = os.fspath(path)
        if not os.path.isdir(path):
            raise MissingFile(f"there is no folder {path!r}; name one that is there")
        self._place = Place(Served(path, most_open), "")
        self._above: frozenset[str] = frozenset()
        self._metadata: Mapping[str, Any] = {} if metadata is None else metadata
        self._specs = tuple(specs)
        self._listing = Listing()

    @classmethod
    def _inside(cls, place: Place, above: frozenset[str]) -> Self:
        node = cls.__new__(cls)
        node._place, node._above = place, above
        node._metadata, node._specs = {}, ()
        node._listing = Listing()
        return node

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self._metadata

    @property
    def specs(self) -> tuple[Spec, ...]:
        return self._specs

    def close(self) -> None:
        """Close the files that are kept open."""
        self._place.served.files.close()

    def _entries(self) -> Mapping[str, Entry]:
        return self._listing.now(self._place, self._above)

    def _all_keys(self) -> Sequence[str]:
        return list(self._entries())

    def _node(self, key: str) -> Node | None:
        entry = self._entries().get(key)
        return None if entry is None else self._of(entry)

    def _looked_at(self, keys: Iterable[str]) -> Iterator[tuple[str, Node]]:
        entries = self._entries()
        for key in keys:
            node = self._of(entries[key]) if key in entries else None
            if node is not None:
                yield key, node

    def _of(self, entry: Entry) -> Node | None:
        first = self._place.inside(entry.names[0])
        stamp = first.stamp()
        if stamp is None:
            return None
        if entry.format == NAMELESS:
            problem = f"'{entry.key}' has a name that is not UTF-8, and is not looked into: rename it"
            return BrokenNode(problem, version=lasting(stamp))
        if entry.format in ("folder", "zarr") and os.path.isdir(first.path):
            return self._folder(entry, first)
        if entry.format == "folder":
            return None  # it was one when it was listed
        if entry.numbered:
            return self._numbered(entry, first, stamp)

        def made() -> Node:
            try:
                return _node_of(entry.format, first, stamp)
            except DatabrokerError as error:
                return BrokenNode(error, version=lasting(stamp))

        return self._place.served.remembered((first.name, entry.names), stamp, made)

    def _numbered(self, entry: Entry, first: Place, stamp: Stamp) -> Node:
        """Numbered files: an array together where they are alike, else a container of them."""
        places = Places(self._place, entry.names)
        looked_at = some_of(places)

        def made() -> Node:
            if not fit_together(looked_at, entry.format):
                return NumberedNode(self._place, entry.names, entry.format)
            try:
                return numbered_node(places, entry.format)
            except DatabrokerError as error:
                return BrokenNode(error, version=lasting(stamp))

        stamps = (stamp, *(place.quick_stamp() for place in looked_at[1:]))
        return self._place.served.remembered((first.name, entry.names), stamps, made)

    def _folder(self, entry: Entry, place: Place) -> Node:
        served = self._place.served
        if entry.format == "zarr" or looks_like_zarr(place.path):
            stamp = metadata_stamp(place, "")

            def made() -> Node:
                try:
                    return zarr_node(place)
                except DatabrokerError as error:
                    return BrokenNode(error, version=lasting(stamp))

            return served.remembered((place.name, "zarr"), stamp, made)
        # The listing stays with the node, and the node with the name.
        return served.remembered((place.name, "folder"), self._above, lambda: self._below(place))

    def _below(self, place: Place) -> FolderNode:
        return FolderNode._inside(place, self._above | {os.path.realpath(self._place.path)})


def _node_of(form: str, place: Place, stamp: Stamp) -> Node:
    """The node of a file; an error of ours when it cannot be read."""
    if form in PICTURES:
        return picture_node(place, form)
    if form == "hdf5":
        return hdf5_node(place, stamp)
    if form == "excel":
        return Workbook(place, stamp)
    if form == "zarr":
        return zarr_node(place)
    reader, media_type, what = _TABLES[form]
    asset = place.asset(parameter="data_uris", num=0) if form == "csv" else place.asset()
    return FileTable(reader(place.path), place, what, DataSource(media_type, (asset,)))


class Listing:
    """What a folder shows, listed anew when it may have changed."""

    def __init__(self) -> None:
        self._known: tuple[int, Mapping[str, Entry]] | None = None

    def now(self, place: Place, above: frozenset[str]) -> Mapping[str, Entry]:
        """Key -> what is there.

        Parameters
        ----------
        place : Place
        above : frozenset of str
            The folders that this one is in; a link to one of them would lead in a circle.

        Returns
        -------
        mapping
        """
        try:
            changed = os.stat(place.path).st_mtime_ns
            known = self._known
            if known is not None and known[0] == changed:
                return known[1]
            begun = time.time_ns()
            found = {entry.key: entry for entry in entries_of(*_scan(place, above))}
        except OSError:
            # The folder itself is gone.
            return {}
        is_settled = begun - changed > SETTLED_NANOSECONDS
        self._known = (changed, found) if is_settled else None
        return found


def _scan(place: Place, above: frozenset[str]) -> tuple[list[str], list[str]]:
    """The names of the files and of the folders in a folder that are shown."""
    files: list[str] = []
    folders: list[str] = []
    circle: frozenset[str] | None = None
    with os.scandir(place.path) as found:
        for entry in found:
            name = entry.name
            if name.startswith("."):
                continue
            if entry.is_symlink():
                if not place.served.is_inside(entry.path):
                    continue
                circle = above | {os.path.realpath(place.path)} if circle is None else circle
                if entry.is_dir() and os.path.realpath(entry.path) in circle:
                    continue
            if entry.is_dir():
                folders.append(name)
            elif entry.is_file():
                files.append(name)
    return files, folders
