"""Taking away what nobody refers to, and giving room back."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from databroker_like.store import _schema as tables
from databroker_like.store._check import event_owners, referenced_files
from databroker_like.store._growth import seal
from databroker_like.store._places import of_descriptor

if TYPE_CHECKING:
    from databroker_like.store._store import Store

__all__ = ["Vacuumed", "vacuum"]

#: A recorder writes a data file first and refers to it a moment later; so long a moment cannot be.
_OLD = 3600.0
#: A run without a stop document that began so long ago is taken to be cut off; were it not, nothing would be lost.
_CUT_OFF = 86400.0


@dataclass(frozen=True)
class Vacuumed:
    """What was taken away.

    Parameters
    ----------
    files : int
        Data files that no run referred to.
    runs : int
        Runs whose last events were still single rows, and are columns now.
    """

    files: int
    runs: int


def vacuum(store: Store, *, older_than: float = _OLD) -> Vacuumed:
    """Take away what is left of deleted runs and of processes that were killed, and give the room back.

    It may be done while runs are recorded and read; recording waits while the database file is written anew.

    Parameters
    ----------
    store : Store
    older_than : float
        Only data files written so many seconds ago are taken away; an hour by default.

    Returns
    -------
    Vacuumed

    Raises
    ------
    NotWritable
        When the store cannot be written to, or the disk has no room for the database file to be written anew.
    """
    if not store.check_version():
        return Vacuumed(0, 0)
    runs = _condense(store)
    _take_rows_away(store)
    files = _take_files_away(store, older_than)
    _give_room_back(store)
    return Vacuumed(files, runs)


def _condense(store: Store) -> int:
    """Make columns of what runs left as single rows that are finished, or were cut off."""
    from sqlalchemy import or_, select

    run, descriptor = tables.run, tables.descriptor
    with store.database.read() as connection:
        owners = list(event_owners(connection))
        done = or_(run.c.stop.is_not(None), run.c.time < time.time() - _CUT_OFF)
        left: dict[int, None] = {}
        for owner in owners:
            found = connection.execute(
                select(run.c.id).join(descriptor, descriptor.c.run_id == run.c.id).where(descriptor.c.id == owner, done)
            ).scalar_one_or_none()
            if found is not None:
                left[found] = None
    for run_id in left:
        seal(store, run_id)
    return len(left)


def _take_rows_away(store: Store) -> None:
    """Rows of runs that were deleted while they were recorded."""
    from sqlalchemy import select

    with store.write() as connection:
        known = set(connection.execute(select(tables.descriptor.c.id)).scalars())
        for owner in list(event_owners(connection)):
            if owner not in known:
                connection.execute(tables.event.delete().where(of_descriptor(owner)))
        term = tables.term
        connection.execute(term.delete().where(term.c.run_id.not_in(select(tables.run.c.id))))


def _take_files_away(store: Store, older_than: float) -> int:
    before = time.time() - older_than
    old = [name for name, written in store.files.names(store.file_prefix) if written <= before]
    if not old:
        return 0
    # Whoever refers to one of these does so since long: the names were asked for first.
    with store.database.read() as connection:
        known = referenced_files(connection)
    gone = [name for name in old if name not in known]
    for name in gone:
        store.files.delete(name)
    return len(gone)


def _give_room_back(store: Store) -> None:
    database = store.database
    with database.errors("be written"), contextlib.closing(database.engine.connect()) as plain:
        connection = plain.execution_options(single=True, isolation_level="AUTOCOMMIT")
        if database.is_sqlite:
            connection.exec_driver_sql("VACUUM")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("PRAGMA optimize")
        else:
            for table in tables.metadata.sorted_tables:
                connection.exec_driver_sql(f'VACUUM (ANALYZE) "{table.name}"')
