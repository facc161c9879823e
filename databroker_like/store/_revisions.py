"""Revisions of the runs of a store: documents that took the place of others, with those before kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.codecs import decode, encode
from databroker_like.core._correction import AMENDABLE, Correction, Replaced, checked_author, checked_reason
from databroker_like.core._identity import same
from databroker_like.core._revision import DocumentKey, Revision
from databroker_like.errors import Conflict, Invalid, NoSuchRun
from databroker_like.store import _schema as tables
from databroker_like.store._terms import index_run, unindex_run

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from databroker_like.store._store import Store

__all__ = ["adopt", "amend", "history", "revisions"]

Doc = Mapping[str, Any]


def revisions(store: Store, uid: str) -> list[Revision]:
    """Each time a run was amended, first to last.

    Parameters
    ----------
    store : Store
    uid : str

    Returns
    -------
    list of Revision
    """
    from sqlalchemy import select

    run, revision, revised = tables.run, tables.revision, tables.revised
    with store.database.read() as connection:
        rows = connection.execute(
            select(revision)
            .join(run, run.c.id == revision.c.run_id)
            .where(run.c.uid == uid)
            .order_by(revision.c.number)
        ).all()
        changed: dict[int, list[DocumentKey]] = {row.number: [] for row in rows}
        if rows:
            for number, name, document_uid in connection.execute(
                select(revised.c.number, revised.c.name, revised.c.uid).where(revised.c.run_id == rows[0].run_id)
            ):
                if number in changed:  # or it was written since
                    changed[number].append((name, document_uid))
    return [
        Revision(row.number, row.time, row.author, row.reason, tuple(sorted(changed[row.number], key=_order)))
        for row in rows
    ]


def _order(key: DocumentKey) -> tuple[int, str]:
    return AMENDABLE.index(key[0]), key[1]


def amend(store: Store, uid: str, correction: Correction, *, author: str | None = None, reason: str = "") -> Revision:
    """Write the next revision of a run: all of it, the index of searches with it, or nothing.

    Parameters
    ----------
    store : Store
    uid : str
    correction : Correction
        It is applied to the current documents. When somebody else amends the run at the same time, it is applied to
        what they wrote.
    author : str, optional
        Who is logged in, by default.
    reason : str

    Returns
    -------
    Revision

    Raises
    ------
    Invalid
        When nothing would change, or something that must not, or there is no reason.
    NotWritable
        When the store cannot be written.
    """
    author, reason = checked_author(author), checked_reason(reason)
    written = None
    while written is None:
        run_id, current, documents = _current(store, uid)
        changes = correction.changes(documents)
        if not changes:
            raise Invalid(f"run {uid} says so already: nothing would change, and nothing was amended")
        bodies = {key: encode(doc) for key, doc in changes.items()}
        revision = Revision(current + 1, time.time(), author, reason, tuple(sorted(changes, key=_order)))
        with store.write(forced=True) as connection:
            written = _write(connection, uid, run_id, revision, bodies)
    return written


def history(store: Store, uid: str) -> list[tuple[Revision, dict[DocumentKey, Doc]]]:
    """Each time a run was amended, with the documents that took the place of others.

    Parameters
    ----------
    store : Store
    uid : str

    Returns
    -------
    list of (Revision, dict)
    """
    from sqlalchemy import select

    run, revised = tables.run, tables.revised
    known = revisions(store, uid)
    found: list[dict[DocumentKey, Doc]] = [{} for _ in known]
    if known:
        with store.database.read() as connection:
            for number, name, document_uid, body in connection.execute(
                select(revised.c.number, revised.c.name, revised.c.uid, revised.c.body)
                .join(run, run.c.id == revised.c.run_id)
                .where(run.c.uid == uid, revised.c.number <= len(known))
            ):
                found[number - 1][name, document_uid] = decode(body)
    return list(zip(known, found, strict=True))


def adopt(store: Store, uid: str, revision: Revision, documents: Mapping[DocumentKey, Doc]) -> None:
    """Take over a revision that was made elsewhere; nothing happens when it is there already.

    Parameters
    ----------
    store : Store
    uid : str
    revision : Revision
        With its own number, time, author and reason.
    documents : mapping
        What it put in the place of others, as `history` has it.

    Raises
    ------
    Conflict
        When the run has another revision of this number, or those before are not there.
    """
    run_id, current, before = _current(store, uid)
    if current >= revision.number:
        there, changed = history(store, uid)[revision.number - 1]
        if there != revision or not same(_by_text(changed), _by_text(documents)):
            raise Conflict(f"run {uid} has another {there}; {revision} is not taken over")
        return
    known = documents.keys() <= before.keys()
    bodies = {key: encode(doc) for key, doc in Replaced(documents).changes(before).items()} if known else {}
    if bodies.keys() != set(revision.changed):
        raise Conflict(f"{revision} is of other documents than run {uid} has; it is not taken over")
    written = None
    if current == revision.number - 1:
        with store.write(forced=True) as connection:
            written = _write(connection, uid, run_id, revision, bodies)
    if written is None:
        raise Conflict(f"run {uid} is not at revision {revision.number - 1}; {revision} is not taken over")


def _by_text(documents: Mapping[DocumentKey, Doc]) -> dict[str, Doc]:
    return {" ".join(key): doc for key, doc in documents.items()}


def _current(store: Store, uid: str) -> tuple[int, int, dict[DocumentKey, Doc]]:
    """The id of a run, the number of its revision, and the documents that can be amended, in the order recorded."""
    from sqlalchemy import select

    run, document, revised = tables.run, tables.document, tables.revised
    with store.database.read() as connection:
        row = connection.execute(select(run.c.id, run.c.revision).where(run.c.uid == uid)).one_or_none()
        if row is None:
            raise _gone(uid)
        recorded = connection.execute(
            select(document.c.name, document.c.uid, document.c.body)
            .where(document.c.run_id == row.id, document.c.name.in_(AMENDABLE))
            .order_by(document.c.position)
        ).all()
        later = connection.execute(
            select(revised.c.name, revised.c.uid, revised.c.body)
            .where(revised.c.run_id == row.id)
            .order_by(revised.c.number)
        ).all()
    bodies = {(name, document_uid): body for name, document_uid, body in (*recorded, *later)}
    return row.id, row.revision, {key: decode(body) for key, body in bodies.items()}


def _write(
    connection: Connection, uid: str, run_id: int, revision: Revision, bodies: Mapping[DocumentKey, bytes]
) -> Revision | None:
    """The revision, when it is still the next one; nothing, when somebody else was first."""
    from sqlalchemy import select

    run = tables.run
    row = connection.execute(select(run).where(run.c.id == run_id).with_for_update()).one_or_none()
    if row is None:
        raise _gone(uid)
    if row.revision != revision.number - 1:
        return None
    connection.execute(
        tables.revision.insert(),
        {
            "run_id": run_id,
            "number": revision.number,
            "time": revision.time,
            "author": revision.author,
            "reason": revision.reason,
        },
    )
    connection.execute(
        tables.revised.insert(),
        [
            {"run_id": run_id, "number": revision.number, "uid": document_uid, "name": name, "body": body}
            for (name, document_uid), body in bodies.items()
        ],
    )
    of_run = {name: body for (name, _), body in bodies.items() if name in ("start", "stop")}
    values: dict[str, Any] = {"revision": revision.number, **of_run}
    if of_run:
        # The run may have ended since its documents were looked at, and so its stop document is the one of the row.
        before = decode(row.start), None if row.stop is None else decode(row.stop)
        unindex_run(connection, run_id, row.time, *before)
        start = decode(of_run["start"]) if "start" in of_run else before[0]
        stop = decode(of_run["stop"]) if "stop" in of_run else before[1]
        values["time"] = float(start["time"])
        index_run(connection, run_id, values["time"], start, stop)
    connection.execute(run.update().where(run.c.id == run_id).values(**values))
    return revision


def _gone(uid: str) -> NoSuchRun:
    return NoSuchRun(f"the store has no run {uid!r} any more")
