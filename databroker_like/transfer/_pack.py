"""Packing runs into a folder that travels: documents, and external files where they are wanted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from databroker_like import registry
from databroker_like.core._documents import run_documents
from databroker_like.errors import Conflict, DatabrokerError, Invalid, NotWritable
from databroker_like.transfer._copy import unplugged
from databroker_like.transfer._counts import Tally, digest, tally_of
from databroker_like.transfer._external import assets, folder_of
from databroker_like.transfer._files import Store, exclusive, make_folder, writing
from databroker_like.transfer._layout import (
    CATALOG,
    DOCUMENTS,
    DOCUMENTS_MANIFEST,
    EXTERNAL,
    EXTERNAL_MANIFEST,
    FORMATS,
    Pack,
    check_room,
    read_pack,
    run_file,
    write_catalog,
    write_manifest,
)
from databroker_like.transfer._progress import shown_progress
from databroker_like.transfer._recorded import Origin, Recorded, amendments, origins, recorded_in, unreadable
from databroker_like.transfer._report import Tallies, TransferReport

if TYPE_CHECKING:
    from databroker_like.core._run import BlueskyRun
    from databroker_like.v2 import Broker

__all__ = ["pack"]

Doc = Mapping[str, Any]
Pair = tuple[str, Any]

#: What the catalog file of a pack says, whose documents hold the external data.
FILLED = "filled"
_EXTERNAL = (None, "ignore", "fill", "copy")


def pack(
    source: Broker | BlueskyRun | list[BlueskyRun],
    folder: str | os.PathLike[str],
    *,
    format: str = "msgpack",
    external: str | None = None,
    query: Any = None,
    verify: bool = True,
    revision: int | None = 0,
    progress: bool | None = None,
) -> TransferReport:
    """Pack runs into a folder, in the layout of databroker-pack: `unpack` opens it, and so does databroker-unpack.

    The documents are exactly those that were recorded. Runs that are packed already are not packed again: a pack
    that was interrupted is finished by the same call, and further runs can be added to a pack.

    Parameters
    ----------
    source : v2.Broker, BlueskyRun, or list of BlueskyRun
    folder : path
        Where the pack goes; made when it is not there.
    format : {"msgpack", "jsonl"}
        msgpack, the default, keeps arrays as arrays.
    external : {None, "ignore", "fill", "copy"}
        What becomes of external files, such as images. None, the default: their names are listed in manifests, and
        the pack reads them where they are now. ``"copy"``: they travel in the pack. ``"fill"``: their data is put
        into the documents in their place. ``"ignore"``: nothing is written about them.
    query : dict or query, optional
        Only the runs of a catalog that match.
    verify : bool
        Count what was written; True by default.
    revision : int or None
        Which revision of runs whose metadata was amended: 0, exactly what was recorded, by default; None as they are
        now. Earlier revisions do not travel along.
    progress : bool, optional
        Show it; by default where the standard error is a terminal.

    Returns
    -------
    TransferReport
        A run that fails does not keep the others from being packed; the report has it under ``failed``.

    Raises
    ------
    Invalid
        When the folder holds something else, or a pack of another format.
    NotWritable
        When the disk is full, or the place cannot be written to.
    Conflict
        When another process is packing into the folder.

    Examples
    --------
    >>> import tempfile
    >>> from databroker_like import v2
    >>> catalog = v2.temp()
    >>> catalog.insert("start", {"uid": "41fb8ca9", "time": 1700000000.0})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pack(catalog, folder)
    ...     sorted(os.listdir(folder))
    ['catalog.yml', 'documents', 'documents_manifest.txt']
    """
    if format not in FORMATS:
        raise Invalid(f"format={format!r} is not offered; it is 'msgpack' or 'jsonl'")
    if external not in _EXTERNAL:
        raise Invalid(f"external={external!r} is not offered; it is None, 'ignore', 'fill' or 'copy'")
    runs = origins(source, query, revision)
    place = os.path.abspath(os.fspath(folder))
    make_folder(place)
    with exclusive(place):
        check_room(place)
        packing = _Packing(place, format, external, verify, unreadable(source))
        for run in shown_progress(runs, "packing runs", len(runs), progress):
            with unplugged(packing.tallies, run.uid):
                packing.tallies.issues += amendments(run, revision)
            packing.add(run)
        packing.finish()
    return packing.tallies.report("packed", place)


class _Packing:
    """A pack in the making."""

    def __init__(self, folder: str, format_name: str, external: str | None, verify: bool, issues: list[str]) -> None:
        self.tallies = Tallies(issues=issues)
        self._external = external
        self._verify = verify
        self._format = FORMATS[format_name]
        self._encode = registry.load(f"formats.{format_name}")().encode
        self._open = registry.load(f"drivers.{format_name}")
        self._store = Store(os.path.join(folder, EXTERNAL))
        self._listed: dict[str, list[str]] = {}
        self._packed: list[str] = []
        pattern = f"./{DOCUMENTS}/*{self._format.suffix}"
        if os.path.exists(os.path.join(folder, CATALOG)):
            self._pack = read_pack(folder)
            if self._pack.format != format_name:
                raise Invalid(f"{folder} is a pack of the format {self._pack.format!r}; choose it, or another folder")
            if bool(self._pack.metadata.get(FILLED)) != (external == "fill"):
                raise Invalid(
                    f"{folder} is a pack with{'' if external != 'fill' else 'out'} external data in its documents; "
                    f"pack the runs {'so too' if external != 'fill' else 'without'}, or into another folder"
                )
        else:
            self._pack = Pack(folder, format_name, (pattern,), metadata={FILLED: True} if external == "fill" else {})
        make_folder(os.path.join(folder, DOCUMENTS))
        # From here on the folder opens as a catalog of what is there.
        self._write_catalog()

    def _write_catalog(self) -> None:
        write_catalog(self._pack, {"library": "databroker_like", "version": version("databroker-like")})

    def add(self, origin: Origin) -> None:
        """Pack one run; what keeps it from that is in the report."""
        try:
            with unplugged(self.tallies, origin.uid):
                self._run(origin)
        except NotWritable as error:
            raise NotWritable(f"{error} (so far: {self.tallies.report('packed', self._pack.folder)})") from error

    def finish(self) -> None:
        """Write the manifests: a pack that has them was finished."""
        folder = self._pack.folder
        for root, names in self._listed.items():
            write_manifest(folder, EXTERNAL_MANIFEST.format(folder_of(root)), names)
        write_manifest(folder, DOCUMENTS_MANIFEST, (os.path.relpath(path, folder) for path in self._packed))

    def _run(self, origin: Origin) -> None:
        path = run_file(self._pack.folder, origin.uid, self._format)
        run = origin.recorded()
        there = self._there(path, origin.uid)
        if there is not None and self._is_complete(run, there):
            self.tallies.skipped.append(origin.uid)
        else:
            self._write(path, origin)
            self.tallies.copied.append(origin.uid)
            if there is not None:
                self.tallies.continued.append(origin.uid)
        self._packed.append(path)
        if self._external in (None, "copy"):
            self._files(origin, run.external())

    def _there(self, path: str, uid: str) -> Recorded | None:
        if not os.path.exists(path):
            return None
        catalog = self._open([path])
        if not catalog.collection.has(uid):
            raise Conflict(f"{path} is there and does not hold run {uid}; move it away")
        return Recorded(recorded_in(catalog, uid))

    def _is_complete(self, run: Recorded, there: Recorded) -> bool:
        if digest(run.start) != digest(there.start):
            raise Conflict(f"{self._pack.folder} holds another run under this uid: their start documents differ")
        mine, its = tally_of(run), tally_of(there, [doc["uid"] for doc in run.resources])
        for uid in its.datums.keys() - mine.datums.keys():
            del its.datums[uid]
        difference = mine.difference(its)
        if difference and its.stop:
            raise Conflict(f"{self._pack.folder} holds another version of it, with {difference}")
        return not difference

    def _write(self, path: str, origin: Origin) -> None:
        tally = Tally()
        with writing(path, replace=True) as file:
            for name, doc in self._documents(origin):
                tally.add(name, doc)
                file.write(self._encode(name, doc))
            file.flush()
            self._check(file.name, path, origin.uid, tally)
        self.tallies.documents += tally.documents

    def _documents(self, origin: Origin) -> Iterable[Pair]:
        recorded = origin.recorded()
        if self._external != "fill":
            return recorded.documents()
        return _filled(recorded, origin)

    def _check(self, name: Any, path: str, uid: str, tally: Tally) -> None:
        if not self._verify:
            return
        catalog = self._open([name])
        if not catalog.collection.has(uid):
            raise DatabrokerError(f"{path} was written and cannot be read back: {dict(catalog.problems)}")
        difference = tally.difference(tally_of(Recorded(recorded_in(catalog, uid)), tally.datums))
        if difference:
            raise DatabrokerError(f"{path} was not written whole: there is {difference}")

    def _files(self, origin: Origin, resources: list[Pair]) -> None:
        for asset in assets(origin.run(), resources, self.tallies.issues):
            listed = self._listed.setdefault(asset.root, [])
            if self._external == "copy":
                relative = f"{folder_of(asset.root)}/{asset.relative}"
                placed = self._store.put(asset.path, relative)
                self.tallies.files += placed.is_new
                self.tallies.bytes += placed.written
                listed.append(f"{EXTERNAL}/{relative}")
                self._map(asset.root, os.path.join(self._store.folder, folder_of(asset.root)))
            else:
                listed.append(asset.path)
                if asset.base != asset.root:
                    self._map(asset.root, asset.base)

    def _map(self, root: str, place: str) -> None:
        known = self._pack.root_map.get(root)
        if known == place:
            self.tallies.root_map[root] = place
            return
        if known is not None and self._external != "copy":
            raise Conflict(f"the root {root!r} is at {known} for other runs of the pack, and at {place} for this one")
        self._pack = replace(self._pack, root_map={**self._pack.root_map, root: place})
        self.tallies.root_map[root] = place
        self._write_catalog()


def _filled(recorded: Recorded, origin: Origin) -> Iterator[Pair]:
    """The documents with external data in them, one event to a page: frames are large."""
    source = replace(recorded.source, get_filler=origin.run().source.get_filler)
    return run_documents(Recorded(source)._header, "yes", True)
