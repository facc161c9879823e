"""The runs a recorder has in hand, and what it knows of each; anything else is looked up in the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from databroker_like.store import _schema as tables
from databroker_like.store._database import Database
from databroker_like.store._tail import OpenRun, Tail, load_tail, next_position

__all__ = ["OpenRun", "OpenRuns"]

_FINISHED_AT_HAND = 4


@dataclass
class OpenRuns:
    """Runs by uid, and by what belongs to them.

    Parameters
    ----------
    database : Database
    """

    database: Database
    _open: dict[str, OpenRun] = field(default_factory=dict)
    _finished: dict[str, OpenRun] = field(default_factory=dict)
    _tails: dict[str, Tail] = field(default_factory=dict)
    _owners: dict[tuple[str, str], OpenRun] = field(default_factory=dict)

    def uids(self) -> list[str]:
        """The runs that are being recorded."""
        return list(self._open)

    def only(self) -> OpenRun | None:
        """The run that is being recorded, when there is one alone."""
        return next(iter(self._open.values())) if len(self._open) == 1 else None

    def add(self, run: OpenRun) -> None:
        """A run has begun."""
        self._open[run.uid] = run

    def own(self, run: OpenRun, name: str, uid: str, tail: Tail | None) -> None:
        """A document was recorded that others may refer to."""
        self._owners[name, uid] = run
        if tail is not None:
            self._tails[uid] = tail

    def put_by(self, run: OpenRun) -> None:
        """A run is finished: its documents may be sent again for a while."""
        self._open.pop(run.uid, None)
        self._finished[run.uid] = run
        while len(self._finished) > _FINISHED_AT_HAND:
            self._drop(self._finished.pop(next(iter(self._finished))))

    def forget(self) -> None:
        """Know nothing; all is in the database."""
        for known in (self._open, self._finished, self._tails, self._owners):
            known.clear()

    def renew(self) -> None:
        """Look up anew what is in hand: another process recorded into one of the runs, or deleted it."""
        uids = self.uids()
        self.forget()
        for uid in uids:
            self.run(uid)

    def _drop(self, run: OpenRun) -> None:
        self._tails = {uid: tail for uid, tail in self._tails.items() if tail.run is not run}
        self._owners = {key: owner for key, owner in self._owners.items() if owner is not run}

    # -- looking up

    def run(self, uid: str) -> OpenRun | None:
        """A run in hand, or in the database; None when there is none of this uid."""
        found = self._open.get(uid) or self._finished.get(uid)
        return found or self._load(tables.run.c.uid == uid)

    def tail(self, descriptor_uid: str) -> Tail | None:
        """Where the next event of a descriptor goes."""
        found = self._tails.get(descriptor_uid)
        if found is None:
            run = self._load_owner(tables.descriptor, descriptor_uid)
            if run is not None:
                with self.database.read() as connection:
                    found = self._tails[descriptor_uid] = load_tail(connection, run, descriptor_uid)
        return found

    def owner(self, kind: str, uid: str) -> OpenRun | None:
        """The run that a resource or stream_resource is in."""
        found = self._owners.get((kind, uid))
        if found is None:
            found = self._load_owner(tables.document, uid, kind)
            if found is not None:
                self._owners[kind, uid] = found
        return found

    def _load_owner(self, table: Any, uid: str, kind: str | None = None) -> OpenRun | None:
        """The run of a document; of several the one that is not finished, or else the newest."""
        from sqlalchemy import select

        query = select(table.c.run_id).where(table.c.uid == uid)
        if kind is not None:
            query = query.where(table.c.name == kind)
        with self.database.read() as connection:
            ids = connection.execute(
                select(tables.run.c.id)
                .where(tables.run.c.id.in_(query))
                .order_by(tables.run.c.stop.is_(None).desc(), tables.run.c.id.desc())
                .limit(1)
            ).scalar_one_or_none()
        return None if ids is None else self._load(tables.run.c.id == ids)

    def _load(self, condition: Any) -> OpenRun | None:
        from sqlalchemy import select

        columns = (tables.run.c.id, tables.run.c.uid, tables.run.c.time, tables.run.c.stop.is_not(None))
        with self.database.read() as connection:
            row = connection.execute(select(*columns).where(condition)).one_or_none()
            if row is None:
                return None
            run_id, uid, time, is_finished = row
            known = self._open.get(uid) or self._finished.get(uid)
            if known is not None and known.id == run_id:
                return known
            position = next_position(connection, run_id)
        run = OpenRun(run_id, uid, time, position, bool(is_finished))
        if run.is_finished:
            self.put_by(run)
        else:
            self.add(run)
        return run
