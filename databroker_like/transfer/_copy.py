"""Copying runs from one catalog into another."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.core._columns import each_value, page_size, slice_page
from databroker_like.errors import Conflict, DatabrokerError, Invalid, NotFound, NotOffered, NotWritable, WrongType
from databroker_like.transfer._counts import Tally, digest, digests, tally_of
from databroker_like.transfer._external import assets, folder_of
from databroker_like.transfer._files import Store
from databroker_like.transfer._progress import shown_progress
from databroker_like.transfer._recorded import Origin, Recorded, amendments, origins, recorded_in, unreadable
from databroker_like.transfer._report import Tallies, TransferReport

if TYPE_CHECKING:
    from databroker_like.core._run import BlueskyRun
    from databroker_like.v2 import Broker

__all__ = ["copy", "unplugged"]

Doc = Mapping[str, Any]
Pair = tuple[str, Any]


def copy(
    source: Broker | BlueskyRun | list[BlueskyRun],
    dest: Broker,
    *,
    query: Any = None,
    external_files: str | None = None,
    on_conflict: str = "error",
    verify: bool | str = True,
    resume: bool = True,
    revision: int | None = 0,
    progress: bool | None = None,
) -> TransferReport:
    """Copy runs from one catalog into another, of whatever kind each is.

    Documents arrive as they were recorded; an embedded store takes also those of old runs that schemas of today do not
    allow. What is there already is not copied again, and a run of which a part is
    there is continued: a copy that was interrupted is finished by the same call.

    Parameters
    ----------
    source : v2.Broker, BlueskyRun, or list of BlueskyRun
        Transforms of the catalog are not applied.
    dest : v2.Broker
        A catalog that records.
    query : dict or query, optional
        Only the runs of the catalog that match.
    external_files : str, optional
        A folder to copy the external files of the runs into. They keep their names below their roots; a checksum of
        each is added to ``checksums.sha256`` there. The documents stay as they are: the ``root_map`` of ``dest``, and
        of the report, says where the roots are now.
    on_conflict : {"error", "skip"}
        What a run is, of which ``dest`` holds another version: failed (the default), or skipped with an issue.
    verify : bool or "documents"
        True, the default: count what arrived. ``"documents"``: compare every document.
    resume : bool
        False makes a run of which a part is there a conflict.
    revision : int or None
        Which revision of runs whose metadata was amended. 0, exactly what was recorded, by default; all later ones
        travel along, where ``dest`` keeps revisions. None copies runs as they are now, without those before.
    progress : bool, optional
        Show it; by default where the standard error is a terminal.

    Returns
    -------
    TransferReport
        A run that fails does not keep the others from being copied; the report has it under ``failed``.

    Raises
    ------
    NotOffered
        When ``dest`` does not record.
    NotWritable
        When the disk is full, or the place cannot be written to.
    Conflict
        When another process is copying files into the same folder.

    Examples
    --------
    >>> from databroker_like import v2
    >>> old, new = v2.temp(), v2.temp()
    >>> old.insert("start", {"uid": "41fb8ca9", "time": 1700000000.0})
    >>> copy(old, new)
    <TransferReport: 1 run copied to temp; 1 document>
    >>> copy(old, new)
    <TransferReport: 0 runs copied to temp, 1 there already; 0 documents>
    """
    if on_conflict not in ("error", "skip"):
        raise Invalid(f"on_conflict={on_conflict!r} is not offered; it is 'error' or 'skip'")
    if verify not in (True, False, "documents"):
        raise Invalid(f"verify={verify!r} is not offered; it is True, False or 'documents'")
    target: Any = getattr(dest, "v2", None)
    if not hasattr(target, "insert"):
        raise WrongType(f"runs are copied into a catalog; {dest!r} is none")
    runs = origins(source, query, revision)
    tallies = Tallies(issues=unreadable(source))
    store = None if external_files is None else Store(str(external_files))
    with contextlib.nullcontext() if store is None else store.alone(), _inserting(target) as insert:
        for run in shown_progress(runs, "copying runs", len(runs), progress):
            try:
                with unplugged(tallies, run.uid, (NotWritable, NotOffered)):
                    copied = _RunCopy(run, target, insert, verify, resume)
                    if _one(copied, tallies, on_conflict):
                        tallies.issues += _revisions(run, target, revision)
                    if store is not None:
                        _files(run, store, target, tallies)
            except NotWritable as error:
                report = tallies.report("copied", name_of(target))
                raise NotWritable(f"{error} (so far: {report})") from error
    return tallies.report("copied", name_of(target))


def name_of(catalog: Any) -> str:
    """What a catalog is called, or else what it is."""
    return str(catalog.name or type(catalog).__name__)


@contextlib.contextmanager
def unplugged(tallies: Tallies, uid: str, fatal: tuple[type[Exception], ...] = (NotWritable,)) -> Iterator[None]:
    """Note that a run failed, and why; only what concerns all runs comes through.

    Parameters
    ----------
    tallies : Tallies
    uid : str
    fatal : tuple of type
        What concerns all runs.
    """
    try:
        yield
    except fatal:
        raise
    except Exception as error:  # noqa: BLE001 (a driver is somebody's plugin: one run never costs the others)
        tallies.failed[uid] = str(error) if isinstance(error, DatabrokerError) else repr(error)


@contextlib.contextmanager
def _inserting(dest: Any) -> Iterator[Callable[[str, Doc], None]]:
    """What records into a catalog; documents of old runs as they are, where they can be kept so."""
    sink = dest.collection.copying_sink()
    if sink is None:
        yield dest.insert
        return
    try:
        yield sink.insert
    finally:
        sink.close()


def _revisions(run: Origin, dest: Any, revision: int | None) -> list[str]:
    """Take the amendments of a run along, to where they can be kept; what stands against it."""
    history = run.history() if revision == 0 else []
    if not history:
        return amendments(run, revision)
    try:
        for made, documents in history:
            dest.collection.adopt(run.uid, made, documents)
    except NotOffered:
        return amendments(run, revision)
    except Conflict as error:
        return [str(error)]
    return []


def _one(copied: _RunCopy, tallies: Tallies, on_conflict: str) -> bool:
    """Copy a run; whether it is there now, and not another one."""
    try:
        what = copied.do()
    except _Differs as error:
        if on_conflict == "error":
            raise
        tallies.skipped.append(copied.uid)
        tallies.issues.append(f"run {copied.uid} is skipped: {error}")
        return False
    if what == "skipped":
        tallies.skipped.append(copied.uid)
        return True
    tallies.copied.append(copied.uid)
    tallies.documents += copied.written
    if what == "continued":
        tallies.continued.append(copied.uid)
    return True


def _files(run: Origin, store: Store, dest: Any, tallies: Tallies) -> None:
    for asset in assets(run.run(), run.recorded().external(), tallies.issues):
        folder = f"{store.folder}/{folder_of(asset.root)}"
        known = dest.root_map.get(asset.root, folder)
        if known != folder:
            raise Conflict(
                f"the root {asset.root!r} of its files is mapped to {known} in the catalog it is copied to; "
                f"take it out of that root_map to have it mapped to {folder}"
            )
        placed = store.put(asset.path, f"{folder_of(asset.root)}/{asset.relative}")
        tallies.files += placed.is_new
        tallies.bytes += placed.written
        dest.root_map[asset.root] = tallies.root_map[asset.root] = folder


class _Differs(Conflict):
    """Another version of the run is there."""


class _RunCopy:
    """One run on its way into a catalog."""

    def __init__(
        self, origin: Origin, dest: Any, insert: Callable[[str, Doc], None], verify: bool | str, resume: bool
    ) -> None:
        self.uid = origin.uid
        #: How many documents were inserted.
        self.written = 0
        self._mine = origin.recorded()
        self._dest = dest
        self._insert_one = insert
        self._verify = verify
        self._resume = resume

    def do(self) -> str:
        """Copy it; whether it was ``"copied"``, ``"continued"`` or ``"skipped"``."""
        there = self._there()
        if there is None:
            arrived = self._insert(lambda name, doc: iter([doc]))
            self._check(arrived)
            return "copied"
        if self._is_complete(there):
            return "skipped"
        if not self._resume:
            raise _Differs(f"{name_of(self._dest)} holds a part of it; with resume=True it is continued")
        arrived = self._insert(_Missing(there))
        self._check(arrived)
        return "continued"

    def _there(self) -> Recorded | None:
        if not self._dest.collection.has(self.uid):
            return None
        return Recorded(recorded_in(self._dest, self.uid))

    def _is_complete(self, there: Recorded) -> bool:
        """Whether all of it is there; raises when something else is."""
        if digest(there.start) != digest(self._mine.start):
            raise _Differs(f"{name_of(self._dest)} holds another run under this uid: their start documents differ")
        mine, its = tally_of(self._mine), tally_of(there, [doc["uid"] for doc in self._mine.resources])
        # Old resources name no run, and then only one of the two may list them.
        for uid in its.datums.keys() - mine.datums.keys():
            del its.datums[uid]
        difference = mine.difference(its)
        if its.stop and mine.stop and digest(there.stop) != digest(self._mine.stop):
            difference = f"another stop document; {difference}"
        if difference and its.stop:
            raise _Differs(f"{name_of(self._dest)} holds another version of it, with {difference.removesuffix('; ')}")
        if not difference and self._verify == "documents":
            self._compare(there)
        return not difference

    def _insert(self, missing: Callable[[str, Doc], Iterator[Doc]]) -> Tally:
        tally = Tally()
        for name, doc in self._mine.documents():
            tally.add(name, doc)
            for part in missing(name, doc):
                self._insert_one(name, part)
                self.written += page_size(part) if name.endswith("_page") else 1
        return tally

    def _check(self, arrived: Tally) -> None:
        if not self._verify:
            return
        there = self._there()
        if there is None:
            raise DatabrokerError(f"{name_of(self._dest)} took its documents and does not have it")
        difference = arrived.difference(tally_of(there, arrived.datums))
        if difference:
            raise DatabrokerError(f"it did not arrive whole in {name_of(self._dest)}: there is {difference}")
        if self._verify == "documents":
            self._compare(there)

    def _compare(self, there: Recorded) -> None:
        mine = dict(digests(self._mine.documents()))
        for key, said in digests(there.documents()):
            if mine.pop(key, None) != said:
                kind, uid = key
                raise _Differs(f"the {kind} {uid!r} in {name_of(self._dest)} is not what was recorded")
        if mine:
            kind, uid = next(iter(mine))
            raise _Differs(f"{len(mine)} documents are not in {name_of(self._dest)}, as the {kind} {uid!r}")


class _Missing:
    """The part of each page that is not there yet; what is there must be the same."""

    def __init__(self, there: Recorded) -> None:
        self._there = there
        self._known: dict[tuple[str, str], dict[str, bytes]] = {}

    def __call__(self, name: str, doc: Doc) -> Iterator[Doc]:
        if name == "event_page":
            return self._rows(doc, "uid", self._of("event", doc["descriptor"]))
        if name == "datum_page":
            return self._rows(doc, "datum_id", self._of("datum", doc["resource"]))
        return iter([doc])  # the same document again is no error and no duplicate

    def _of(self, kind: str, owner: str) -> dict[str, bytes]:
        if (kind, owner) not in self._known:
            source = self._there.source
            get_pages = source.get_event_pages if kind == "event" else source.get_datum_pages
            pages = get_pages(owner) if self._has(kind, owner) else ()
            self._known[kind, owner] = {
                uid: said for page in pages for (_, uid), said in digests([(f"{kind}_page", page)])
            }
        return self._known[kind, owner]

    def _has(self, kind: str, owner: str) -> bool:
        if kind == "event":
            return any(doc["uid"] == owner for doc in self._there.descriptors)
        try:
            self._there.source.get_resource(owner)
        except (NotFound, KeyError):
            return False
        return True

    def _rows(self, page: Doc, identity: str, known: dict[str, bytes]) -> Iterator[Doc]:
        uids = list(each_value(page[identity]))
        present = [uid in known for uid in uids]
        if not any(present):
            yield page
            return
        for key, said in digests([(f"{'event' if identity == 'uid' else 'datum'}_page", page)]):
            if known.get(key[1], said) != said:
                raise _Differs(f"it holds another {key[0]} {key[1]!r}")
        begin = 0
        while begin < len(uids):
            end = begin + 1
            while end < len(uids) and present[end] == present[begin]:
                end += 1
            if not present[begin]:
                yield slice_page(page, begin, end)
            begin = end
