"""Whether all that a store holds is whole, and agrees with the rest of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from databroker_like.codecs import decode
from databroker_like.core._columns import scalars
from databroker_like.core._identity import same
from databroker_like.errors import DatabrokerError, InvalidFile, MissingFile
from databroker_like.store import _schema as tables
from databroker_like.store._places import ROWS, of_descriptor, row_of
from databroker_like.store._positions import decode_positions
from databroker_like.store._reindexing import wrong_terms
from databroker_like.store._segment import Segment

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from databroker_like.store._store import Store

__all__ = ["Problem", "check", "event_owners", "referenced_files"]

#: Runs looked at in one state of the database.
_RUNS_AT_ONCE = 100


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it should be.

    Parameters
    ----------
    run : str or None
        The uid of the run it is in; None when it is in no run.
    message : str
        A sentence.
    harmless : bool
        Whether nothing is lost: it only takes room, until `Store.vacuum` takes it away.
    """

    run: str | None
    message: str
    harmless: bool = False

    def __str__(self) -> str:
        return self.message if self.run is None else f"run {self.run}: {self.message}"


def check(store: Store, *, integrity: bool = False) -> list[Problem]:
    """Read all of a store, and say what is wrong.

    Every document is read; the events of each descriptor are there without gaps, and once; the files are there, and
    their checksums hold; the index says what the documents say. It may be done while runs are recorded.

    Parameters
    ----------
    store : Store
    integrity : bool
        Whether SQLite also looks at each page of the database file, which takes longer; False by default.

    Returns
    -------
    list of Problem
        Empty when all is well; what is harmless comes last.
    """
    if not store.check_version():
        return []
    problems = list(_check(store, integrity))
    return sorted(problems, key=lambda problem: problem.harmless)


def _check(store: Store, integrity: bool) -> Iterator[Problem]:
    if integrity:
        yield from _integrity(store)
    # What is there is asked before what is referred to: a file that comes in between is referred to or not there yet.
    files = [name for name, _ in store.files.names(store.file_prefix)]
    after = 0
    while True:
        with store.database.read() as connection:
            runs = _some_runs(connection, after)
            if not runs:
                break
            found = [problem for run in runs for problem in _run(store, connection, run)]
        yield from (problem for problem in found if not _is_past(store, problem))
        after = runs[-1].id
    with store.database.read() as connection:
        for uid, names in wrong_terms(connection):
            said = ", ".join(map(repr, names))
            yield Problem(uid, f"searches by {said} do not find it as they should; store.reindex() mends that")
    with store.database.read() as connection:
        yield from _of_no_run(connection)
        known = referenced_files(connection)
    for name in files:
        if name not in known:
            yield Problem(None, f"no run refers to the data file {name}; store.vacuum() takes it away", harmless=True)


def _select(*columns: Any) -> Any:
    from sqlalchemy import select

    return select(*columns)


def _integrity(store: Store) -> Iterator[Problem]:
    if not store.database.is_sqlite:
        return
    with store.database.read() as connection:
        for (said,) in connection.exec_driver_sql("PRAGMA integrity_check"):
            if said != "ok":
                yield Problem(None, f"the database file is damaged: {said}; restore it from a backup")


def _some_runs(connection: Connection, after: int) -> Any:
    run = tables.run
    return connection.execute(_select(run).where(run.c.id > after).order_by(run.c.id).limit(_RUNS_AT_ONCE)).all()


@dataclass(frozen=True)
class _Lost(Problem):
    """A file that is not there; when its run was deleted meanwhile, it need not be."""

    segment: int = 0


def _is_past(store: Store, problem: Problem) -> bool:
    if not isinstance(problem, _Lost):
        return False
    with store.database.read() as connection:
        held = connection.execute(_select(tables.segment.c.id).where(tables.segment.c.id == problem.segment))
        return held.one_or_none() is None


# -- one run


def _run(store: Store, connection: Connection, run: Any) -> Iterator[Problem]:
    yield from _documents(connection, run)
    yield from _datums(connection, run)
    descriptors = connection.execute(
        _select(tables.descriptor.c.id, tables.descriptor.c.uid).where(tables.descriptor.c.run_id == run.id)
    ).all()
    for descriptor_id, uid in descriptors:
        yield from _events(store, connection, run.uid, descriptor_id, uid)


def _decoded(run: Any, what: str, body: bytes) -> tuple[Any, Problem | None]:
    try:
        return decode(body), None
    except InvalidFile as error:
        return None, Problem(run.uid, f"{what} cannot be read: {error}")


def _documents(connection: Connection, run: Any) -> Iterator[Problem]:
    document, revised = tables.document, tables.revised
    current: dict[tuple[str, str], bytes] = {}
    for name, uid, body in connection.execute(
        _select(document.c.name, document.c.uid, document.c.body)
        .where(document.c.run_id == run.id)
        .order_by(document.c.position)
    ):
        _, problem = _decoded(run, f"{name} {uid!r}", body)
        if problem is not None:
            yield problem
        if (name, uid) in current:
            yield Problem(run.uid, f"{name} {uid!r} is there twice")
        current[name, uid] = body
    for number, name, uid, body in connection.execute(
        _select(revised.c.number, revised.c.name, revised.c.uid, revised.c.body)
        .where(revised.c.run_id == run.id)
        .order_by(revised.c.number)
    ):
        _, problem = _decoded(run, f"{name} {uid!r} of revision {number}", body)
        if problem is not None:
            yield problem
        if number > run.revision:
            yield Problem(run.uid, f"{name} {uid!r} is of revision {number}, and the run is at {run.revision}")
        if (name, uid) not in current:
            yield Problem(run.uid, f"{name} {uid!r} of revision {number} was never recorded")
        current[name, uid] = body
    yield from _heads(run, current)
    described = {uid for name, uid in current if name == "descriptor"}
    held = connection.execute(_select(tables.descriptor.c.uid).where(tables.descriptor.c.run_id == run.id)).scalars()
    for uid in described ^ set(held):
        yield Problem(run.uid, f"descriptor {uid!r} has no place for its events, or no document")


def _heads(run: Any, current: dict[tuple[str, str], bytes]) -> Iterator[Problem]:
    """The documents that searches and lists read are those that the run has."""
    for name, body in (("start", run.start), ("stop", run.stop)):
        bodies = [held for (kind, _), held in current.items() if kind == name]
        if len(bodies) > 1:
            yield Problem(run.uid, f"there are {len(bodies)} {name} documents")
        elif not bodies:
            if body is not None:
                yield Problem(run.uid, f"its {name} document is not among its documents")
        elif body is None:
            yield Problem(run.uid, f"its {name} document is not where searches look")
        elif body != bodies[0] and not _say_the_same(body, bodies[0]):
            yield Problem(run.uid, f"its {name} document is another one where searches look")


def _say_the_same(one: bytes, other: bytes) -> bool:
    try:
        return same(decode(one), decode(other))
    except InvalidFile:
        return False


def _datums(connection: Connection, run: Any) -> Iterator[Problem]:
    datum, datum_id = tables.datum, tables.datum_id
    wanted: dict[str, int] = {}
    for position, name, resource, body in connection.execute(
        _select(datum.c.position, datum.c.name, datum.c.resource, datum.c.body).where(datum.c.run_id == run.id)
    ):
        doc, problem = _decoded(run, f"{name} of resource {resource!r}", body)
        if problem is not None:
            yield problem
            continue
        ids = [doc["datum_id"]] if name == "datum" else scalars(doc["datum_id"])
        wanted.update(dict.fromkeys(ids, position))
        if doc["resource"] != resource:
            yield Problem(run.uid, f"{name} of resource {doc['resource']!r} is kept as of resource {resource!r}")
    rows = connection.execute(_select(datum_id.c.datum_id, datum_id.c.position).where(datum_id.c.run_id == run.id))
    held = {row.datum_id: row.position for row in rows}
    if wanted != held:
        wrong = sorted(wanted.items() ^ held.items())
        yield Problem(run.uid, f"datum {wrong[0][0]!r} is not found by its datum_id, or not where it is looked for")


# -- the events of a descriptor


def _events(store: Store, connection: Connection, run: str, descriptor_id: int, uid: str) -> Iterator[Problem]:
    event, segment = tables.event, tables.segment
    end = 0
    for row in connection.execute(
        _select(segment).where(segment.c.descriptor_id == descriptor_id).order_by(segment.c.first)
    ):
        yield from _follows(run, uid, end, row.first)
        end = row.first + row.rows
        yield from _segment(store, run, uid, row)
    for place, seq_num, body in connection.execute(
        _select(event.c.place, event.c.seq_num, event.c.body)
        .where(of_descriptor(descriptor_id))
        .order_by(event.c.place)
    ):
        number = row_of(place)
        yield from _follows(run, uid, end, number)
        end = number + 1
        try:
            doc = decode(body)
        except InvalidFile as error:
            yield Problem(run, f"event {number} of descriptor {uid!r} cannot be read: {error}")
        else:
            if doc["seq_num"] != seq_num:
                yield Problem(run, f"event {number} of descriptor {uid!r} is kept under seq_num {seq_num}")


def _follows(run: str, uid: str, end: int, first: int) -> Iterator[Problem]:
    if first > end:
        yield Problem(run, f"of descriptor {uid!r} the events {end} to {first - 1} are missing")
    elif first < end:
        yield Problem(run, f"of descriptor {uid!r} the events from {first} to before {end} are there twice")


def _segment(store: Store, run: str, uid: str, row: Any) -> Iterator[Problem]:
    where = f"the events {row.first} to {row.first + row.rows - 1} of descriptor {uid!r}"
    if (row.body is None) == (row.path is None):
        yield Problem(run, f"{where} are neither in the database nor in a data file, or in both")
        return
    try:
        content = row.body if row.path is None else store.files.open(row.path)
    except MissingFile as error:
        yield _Lost(run, f"{where} are lost: {error}; restore it from a backup", segment=row.id)
        return
    if len(content) != row.size or f"{zlib.crc32(content):08x}" != row.checksum:
        place = "the database" if row.path is None else f"the data file {row.path}"
        yield Problem(run, f"{where} are damaged in {place}: its checksum is another; restore it from a backup")
        return
    try:
        page = Segment(content).page(uid)
        seq_nums = scalars(page["seq_num"])
        _touch(page)
    except (DatabrokerError, KeyError) as error:
        yield Problem(run, f"{where} cannot be read: {error}")
        return
    if len(seq_nums) != row.rows:
        yield Problem(run, f"{where} are {len(seq_nums)} events")
    elif seq_nums and max(seq_nums) != row.last_seq_num:
        yield Problem(run, f"{where} end with seq_num {max(seq_nums)}, and are kept as ending with {row.last_seq_num}")
    if sum(one.events for one in decode_positions(row.positions)) != row.rows:
        yield Problem(run, f"{where} have not one position each")


def _touch(page: Any) -> None:
    """Decode each column."""
    for value in page.values():
        if hasattr(value, "values") and not hasattr(value, "dtype"):
            for _ in value.values():
                continue


# -- what is in no run


def _of_no_run(connection: Connection) -> Iterator[Problem]:
    known = set(connection.execute(_select(tables.descriptor.c.id)).scalars())
    for descriptor_id in event_owners(connection):
        if descriptor_id not in known:
            yield Problem(
                None, "there are events of a run that was deleted; store.vacuum() takes them away", harmless=True
            )
    runs = set(connection.execute(_select(tables.run.c.id)).scalars())
    if set(connection.execute(_select(tables.term.c.run_id).distinct()).scalars()) - runs:
        yield Problem(
            None, "the index has terms of runs that were deleted; store.vacuum() takes them away", harmless=True
        )


def event_owners(connection: Connection) -> Iterator[int]:
    """The descriptors that single rows of events are of, found without reading them all.

    Parameters
    ----------
    connection : sqlalchemy.Connection

    Yields
    ------
    int
    """
    from sqlalchemy import func

    place = tables.event.c.place
    after = 0
    while True:
        found = connection.execute(_select(func.min(place)).where(place >= after)).scalar()
        if found is None:
            return
        descriptor_id = int(found) // ROWS
        yield descriptor_id
        after = (descriptor_id + 1) * ROWS


def referenced_files(connection: Connection) -> set[str]:
    """The data files that runs refer to."""
    path = tables.segment.c.path
    return set(connection.execute(_select(path).where(path.is_not(None))).scalars())
