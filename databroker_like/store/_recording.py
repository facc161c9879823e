"""Recording into a store: each document is checked, given its place, and written before `insert` returns."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.codecs import decode, encode
from databroker_like.core._belonging import belongs_nowhere, belongs_to, named
from databroker_like.core._columns import scalars
from databroker_like.core._identity import same
from databroker_like.core._pages import unpack_datum_page
from databroker_like.core._validation import check_columns, validate
from databroker_like.errors import Conflict, InvalidDocument, NotWritable, Unreachable
from databroker_like.store import _schema as tables
from databroker_like.store._database import Overtaken
from databroker_like.store._growth import INSERT_EVENT, insert_event, insert_page, seal
from databroker_like.store._needed import check_needed
from databroker_like.store._open_runs import OpenRun, OpenRuns
from databroker_like.store._tail import Tail, is_over, next_position
from databroker_like.store._terms import index_run, index_stop

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from databroker_like.store._database import Single
    from databroker_like.store._store import Store

__all__ = ["StoreSink"]

Doc = Mapping[str, Any]

#: How often a document is tried again that another process was quicker to find a place for.
_TRIES = 20


class StoreSink:
    """The `RunSink` of a store.

    Parameters
    ----------
    store : Store
    checked : bool
        Whether documents are checked against their schemas. False takes documents of old runs as they are, which
        today's schemas may not allow; True by default.
    """

    def __init__(self, store: Store, *, checked: bool = True) -> None:
        self._store = store
        self._checked = checked
        self._runs = OpenRuns(store.database)
        self._single: Single | None = None
        self._file: Any = None
        self._process = os.getpid()
        self._lock = threading.RLock()

    def insert(self, name: str, doc: Doc) -> None:
        """Record one document; see `RunSink`."""
        if self._checked:
            validate(name, doc)
        else:
            check_needed(name, doc)
        with self._lock:
            for _ in range(_TRIES):
                try:
                    self._take(name, doc)
                except (OverflowError, UnicodeEncodeError) as error:  # such numbers, such text, no database takes
                    raise InvalidDocument(f"{named(name, doc)} cannot be stored: {error}") from error
                except _again() as error:
                    # Another process recorded into the same run: what is known of it is not so any more.
                    self._runs.renew()
                    lost = error
                else:
                    return
            raise NotWritable(
                f"{named(name, doc)} is not recorded: other processes were quicker {_TRIES} times; insert it again"
            ) from lost

    def close(self) -> None:
        """Release the connections; runs without a stop document stay readable as they are."""
        with self._lock:
            self._let_go()
            self._runs.forget()

    def _let_go(self) -> None:
        if self._single is not None and self._process == os.getpid():  # a connection does not survive a fork
            self._single.close()
        self._single = None

    # -- one document

    def _take(self, name: str, doc: Doc) -> None:
        if name == "event" and self._single is not None and self._store.is_as_it_was():
            self._event(doc)
            return
        self._store.prepare()
        if self._file != (now := self._store.database.file):
            # Nothing is known of another store, which may be in the place of one that was deleted.
            self._let_go()
            self._runs.forget()
            self._file = now
        if name == "event":
            self._event(doc)
        elif name == "event_page":
            self._event_page(doc)
        elif name == "start":
            self._start(doc)
        elif name in ("datum", "datum_page"):
            self._datums(name, doc)
        else:
            self._document(name, doc)

    def _start(self, doc: Doc) -> None:
        uid = doc["uid"]
        run = self._runs.run(uid)
        if run is not None:
            if self._compare(run, "start", uid, doc):
                return
            self._runs.forget()  # it was deleted meanwhile
        check_columns("start", doc)
        body, time = encode(doc), float(doc["time"])
        with self._store.write() as connection:
            run_id = connection.execute(
                tables.run.insert().values(uid=uid, time=time, start=body).returning(tables.run.c.id)
            ).scalar_one()
            connection.execute(
                tables.document.insert(), {"run_id": run_id, "position": 0, "name": "start", "uid": uid, "body": body}
            )
            index_run(connection, run_id, time, doc, None)
        self._runs.add(OpenRun(run_id, uid, time, next_position=1))

    def _document(self, name: str, doc: Doc) -> None:
        run = self._run_of(name, doc)
        if self._compare(run, name, doc["uid"], doc):
            return
        self._refuse_after_stop(run, name, doc)
        body = encode(doc)
        tail = None
        with self._store.write(forced=name == "stop") as connection:
            self._refuse_twice(connection, run, name, doc["uid"])
            if run.is_shared or name == "stop":
                run.next_position = max(run.next_position, next_position(connection, run.id))
            connection.execute(
                tables.document.insert(),
                {"run_id": run.id, "position": run.next_position, "name": name, "uid": doc["uid"], "body": body},
            )
            if name == "descriptor":
                descriptor_id = connection.execute(
                    tables.descriptor.insert()
                    .values(run_id=run.id, uid=doc["uid"], stream=doc.get("name", ""))
                    .returning(tables.descriptor.c.id)
                ).scalar_one()
                tail = Tail(run, descriptor_id, doc["uid"])
            elif name == "stop":
                update = tables.run.update().where(tables.run.c.id == run.id).values(stop=body)
                # The time of a run may have been amended while it was being recorded.
                time = connection.execute(update.returning(tables.run.c.time)).scalar_one()
                index_stop(connection, run.id, time, doc)
        run.next_position += 1
        self._runs.own(run, name, doc["uid"], tail)
        if name == "stop":
            run.is_finished = True
            seal(self._store, run.id)
            self._runs.put_by(run)

    def _datums(self, name: str, doc: Doc) -> None:
        run = self._run_of(name, doc)
        check_columns(name, doc)
        ids = [doc["datum_id"]] if name == "datum" else list(scalars(doc["datum_id"]))
        known = self._known_datums(run, ids)
        if known:
            new = [row for row, datum_id in enumerate(ids) if datum_id not in known]
            coming = _by_id(name, doc)
            for datum_id, held in known.items():
                if not same(held, coming[datum_id]):
                    raise Conflict(f"run {run.uid} holds another datum {datum_id!r} already; this one is not recorded")
            if not new:
                return
            doc = {
                "resource": doc["resource"],
                "datum_id": [ids[row] for row in new],
                "datum_kwargs": {k: [scalars(v)[row] for row in new] for k, v in doc["datum_kwargs"].items()},
            }
            ids = doc["datum_id"]
        self._refuse_after_stop(run, name, doc)
        with self._store.write() as connection:
            if is_over(connection, run.id):
                raise Overtaken("another process recorded the end of the run first")
            if run.is_shared:
                run.next_position = max(run.next_position, next_position(connection, run.id))
            position = run.next_position
            connection.execute(
                tables.datum.insert(),
                {
                    "run_id": run.id,
                    "position": position,
                    "name": name,
                    "resource": doc["resource"],
                    "body": encode(doc),
                },
            )
            if ids:
                connection.execute(
                    tables.datum_id.insert(), [{"run_id": run.id, "datum_id": i, "position": position} for i in ids]
                )
        run.next_position += 1

    def _known_datums(self, run: OpenRun, ids: list[str]) -> dict[str, Any]:
        """What is there already of some datums."""
        from sqlalchemy import select

        found: dict[str, Any] = {}
        if len(set(ids)) != len(ids):
            raise InvalidDocument(f"a datum page of run {run.uid} has one datum_id twice; it is not recorded")
        table, names = tables.datum, tables.datum_id
        there: dict[int, set[str]] = {}
        with self._store.database.read() as connection:
            for begin in range(0, len(ids), 500):
                some = ids[begin : begin + 500]
                query = select(names.c.datum_id, names.c.position)
                query = query.where(names.c.run_id == run.id, names.c.datum_id.in_(some))
                for datum_id, position in connection.execute(query):
                    there.setdefault(position, set()).add(datum_id)
            for position, sought in there.items():
                query = select(table.c.name, table.c.body)
                query = query.where(table.c.run_id == run.id, table.c.position == position)
                name, body = connection.execute(query).one()
                found |= {datum_id: held for datum_id, held in _by_id(name, decode(body)).items() if datum_id in sought}
        return found

    def _event(self, doc: Doc) -> None:
        tail = self._tail_of("event", doc)
        if self._single is None or self._process != os.getpid():
            # A connection does not survive a fork.
            self._single, self._process = self._store.single(INSERT_EVENT), os.getpid()
        try:
            insert_event(self._single, self._store, tail, doc)
        except Unreachable:  # the next one comes over a connection of its own
            self._let_go()
            raise

    def _event_page(self, doc: Doc) -> None:
        insert_page(self._store, self._tail_of("event_page", doc), doc)

    # -- which run

    def _tail_of(self, name: str, doc: Doc) -> Tail:
        uid = doc["descriptor"]
        tail = self._runs.tail(uid)
        if tail is None:
            raise belongs_nowhere(name, doc, "descriptor", uid, self._runs.uids())
        return tail

    def _run_of(self, name: str, doc: Doc) -> OpenRun:
        kind, uid = belongs_to(name, doc)
        if kind == "run":
            run = self._runs.run(uid)
        elif kind == "the only run":
            run = self._runs.only()
        else:
            run = self._runs.owner(kind, uid)
        if run is None:
            raise belongs_nowhere(name, doc, kind, uid, self._runs.uids())
        return run

    def _compare(self, run: OpenRun, name: str, uid: str, doc: Doc) -> bool:
        """Whether the same document is there; a different one of its identity is refused."""
        with self._store.database.read() as connection:
            known = connection.execute(_held(run, name, uid)).one_or_none()
        if known is None:
            return False
        if not same(decode(known.body), doc):
            raise Conflict(f"run {run.uid} holds another {named(name, doc)} already; this one is not recorded")
        # It may be another process that recorded it: what comes next comes after it.
        run.next_position = max(run.next_position, known.position + 1)
        return True

    @staticmethod
    def _refuse_twice(connection: Connection, run: OpenRun, name: str, uid: str) -> None:
        """Nobody recorded the document since it was looked for; and nobody does before this transaction ends."""
        if is_over(connection, run.id) or connection.execute(_held(run, name, uid)).first() is not None:
            raise Overtaken("another process recorded the same document, or the end of the run, first")

    def _refuse_after_stop(self, run: OpenRun, name: str, doc: Doc) -> None:
        if run.is_finished:
            raise InvalidDocument(f"{named(name, doc)} comes after the stop document of run {run.uid}")


def _held(run: OpenRun, name: str, uid: str) -> Any:
    """The query for where a document of a run is, and what it says."""
    from sqlalchemy import select

    table = tables.document
    query = select(table.c.position, table.c.body).where(table.c.run_id == run.id, table.c.name == name)
    if name != "stop":  # there is one to a run
        query = query.where(table.c.uid == uid)
    return query.limit(1)


def _by_id(name: str, doc: Doc) -> dict[str, Doc]:
    """What each datum of a document says."""
    datums = [doc] if name == "datum" else unpack_datum_page(doc)
    return {datum["datum_id"]: {"resource": doc["resource"], "kwargs": datum["datum_kwargs"]} for datum in datums}


def _again() -> tuple[type[Exception], ...]:
    from sqlalchemy.exc import IntegrityError

    return IntegrityError, Overtaken
