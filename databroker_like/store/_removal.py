"""Deleting runs: their rows first, in one transaction each, and then their data files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from databroker_like.codecs import decode
from databroker_like.core._tell import tell
from databroker_like.errors import Invalid, InvalidFile, NoSuchRun, NotWritable, Unreachable, listed, nearest
from databroker_like.store import _schema as tables
from databroker_like.store._places import of_descriptor
from databroker_like.store._terms import unindex_run

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from databroker_like.store._store import Store

__all__ = ["delete"]

_AT_ONCE = 500


def delete(store: Store, uids: Iterable[str], *, unfinished: bool = False, missing_ok: bool = False) -> None:
    """Delete runs: what was recorded of them, what they are found by, and the data files of the store they are in.

    The files of detectors, which documents only refer to, are not touched. Killed meanwhile, each run is there or is
    gone; data files that nobody refers to may be left, which `vacuum` takes away.

    Parameters
    ----------
    store : Store
    uids : iterable of str
        Full uids; a part of one deletes nothing.
    unfinished : bool
        Whether runs without a stop document, which may be going on, are deleted as well; False by default.
    missing_ok : bool
        Whether uids of no run are passed over, for somebody else may have deleted these; False by default.

    Raises
    ------
    NoSuchRun
        When a uid is of no run, unless ``missing_ok``; none is deleted then.
    Invalid
        When a run has no stop document and ``unfinished`` is False; none is deleted then.
    NotWritable
        When the store cannot be written to.
    """
    wanted = [uids] if isinstance(uids, str) else list(dict.fromkeys(uids))
    found = _finished(store, wanted)
    missing = [uid for uid in wanted if uid not in found]
    if missing and not missing_ok:
        raise NoSuchRun(
            f"{_named(store)} has no run {listed(missing)}, and nothing is deleted{_hint(store, missing[0])}"
        )
    open_runs = [uid for uid in wanted if found.get(uid) is False]
    if open_runs and not unfinished:
        raise Invalid(
            f"run {listed(open_runs)} has no stop document and may still be recorded; nothing is deleted. When it was "
            "cut off: unfinished=True"
        )
    for uid in filter(found.__contains__, wanted):
        _delete(store, uid, unfinished)


def _named(store: Store) -> str:
    return f"the store {store.path or store.database.shown}"


def _finished(store: Store, uids: list[str]) -> dict[str, bool]:
    """Of the uids of runs that there are, whether each has its stop document."""
    from sqlalchemy import select

    run = tables.run
    found: dict[str, bool] = {}
    if not store.check_version():
        return found
    with store.database.read() as connection:
        for begin in range(0, len(uids), _AT_ONCE):
            some = uids[begin : begin + _AT_ONCE]
            rows = connection.execute(select(run.c.uid, run.c.stop.is_not(None)).where(run.c.uid.in_(some)))
            found.update((uid, bool(finished)) for uid, finished in rows)
    return found


def _hint(store: Store, uid: str) -> str:
    from sqlalchemy import select

    if not store.check_version():
        return ""
    run = tables.run
    with store.database.read() as connection:
        newest = connection.execute(select(run.c.uid).order_by(run.c.time.desc()).limit(1000)).scalars().all()
    near = nearest(uid, newest) or [known for known in newest if known.startswith(uid)][:3]
    return f"; nearest: {listed(near)}" if near else ""


def _delete(store: Store, uid: str, unfinished: bool) -> None:
    from sqlalchemy import select

    run, descriptor, segment = tables.run, tables.descriptor, tables.segment
    with store.write(forced=True) as connection:
        row = connection.execute(
            select(run.c.id, run.c.time, run.c.start, run.c.stop).where(run.c.uid == uid).with_for_update()
        ).one_or_none()
        if row is None:  # another process deleted it
            return
        if row.stop is None and not unfinished:
            raise Invalid(f"run {uid!r} has no stop document and may still be recorded; it is not deleted")
        ids = connection.execute(select(descriptor.c.id).where(descriptor.c.run_id == row.id)).scalars().all()
        paths: list[str] = []
        for descriptor_id in ids:
            paths += connection.execute(
                select(segment.c.path).where(segment.c.descriptor_id == descriptor_id, segment.c.path.is_not(None))
            ).scalars()
            connection.execute(tables.event.delete().where(of_descriptor(descriptor_id)))
        _unindex(connection, row)
        connection.execute(run.delete().where(run.c.id == row.id))  # and with it all that refers to it
    for path in paths:
        try:
            store.files.delete(path)
        except (NotWritable, Unreachable) as error:
            tell(f"run {uid} is deleted, and a data file of it is left, until store.vacuum() takes it away: {error}")


def _unindex(connection: Connection, row: Any) -> None:
    """Take the terms away; where the documents cannot be read, by looking at all the terms there are."""
    try:
        start, stop = decode(row.start), None if row.stop is None else decode(row.stop)
    except InvalidFile:
        connection.execute(tables.term.delete().where(tables.term.c.run_id == row.id))
    else:
        unindex_run(connection, row.id, row.time, start, stop)
