"""Copies of a store: to a folder, while runs are recorded, and back into a store."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Conflict, DatabrokerError, InvalidFile, MissingFile, NotWritable, listed
from databroker_like.files._folders import sync_folder
from databroker_like.store import _schema as tables
from databroker_like.store._check import check, referenced_files
from databroker_like.store._data_files import DataFiles
from databroker_like.store._parts import part_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from databroker_like.store._store import Store

__all__ = ["BackedUp", "backup", "restore"]

_ROWS_AT_ONCE = 1000
#: How often a backup begins anew because runs are deleted while it is made.
_TRIES = 5


@dataclass(frozen=True)
class BackedUp:
    """What a backup holds.

    Parameters
    ----------
    path : str
        Its folder, which is a store.
    runs : int
    files : int
        Data files.
    """

    path: str
    runs: int
    files: int


def backup(store: Store, folder: Store) -> BackedUp:
    """Copy a store, as it is at one moment, into a folder; recording goes on meanwhile.

    The folder appears under its name when it is whole: killed before, there is none.

    Parameters
    ----------
    store : Store
    folder : Store
        One in a folder that is not there yet.

    Returns
    -------
    BackedUp

    Raises
    ------
    Conflict
        When the folder is there already.
    InvalidFile
        When there is no store, or a data file of it is missing.
    NotWritable
        When the folder cannot be written to.
    """
    if not store.check_version():
        raise InvalidFile(f"there is no store at {_named(store)} to make a backup of")
    _refuse_what_is_there(folder)
    with _appearing(folder.path) as part:
        target = type(folder)(part)
        target.written_once()
        made = _fill(store, target)
    return BackedUp(folder.path, *made)


@contextlib.contextmanager
def _appearing(path: str) -> Iterator[str]:
    """A folder that has its name when all is in it, and is gone when something fails.

    What others left beside it that were killed is cleared away.
    """
    try:
        with part_of(path) as part:
            yield part
            os.rename(part, path)
            sync_folder(os.path.dirname(path) or ".")
    except OSError as error:
        if isinstance(error, DatabrokerError):
            raise
        raise NotWritable(f"{path} cannot be made: {error.strerror or error}") from error


def restore(store: Store, saved: Store) -> None:
    """Fill a store that is not there yet with what a backup holds.

    Parameters
    ----------
    store : Store
        In a folder, or in PostgreSQL and an object store.
    saved : Store
        The backup; it is not changed.

    Raises
    ------
    Conflict
        When there is a store already, or the files of this one are in its place for data files.
    InvalidFile
        When there is no backup, or it was made by another release, or it is damaged.
    NotWritable
        When the store cannot be made.
    """
    if not saved.check_version():
        raise InvalidFile(f"{saved.path} is no backup: there is no store in it")
    if store.database.is_sqlite:
        _refuse_what_is_there(store)
    elif store.exists:
        raise Conflict(f"there is a store at {_named(store)} already; a backup is restored where there is none")
    there = next(iter(store.files.names(saved.file_prefix)), None)
    if there is not None:
        raise Conflict(
            f"{store.files.root} holds files of this store already, such as {there[0]}; restore to another place"
        )
    with saved.database.read() as connection:
        names = sorted(referenced_files(connection))
    if store.database.is_sqlite:
        _restore_folder(store, saved, names)
    else:
        _restore_server(store, saved, names)
    problems = [problem for problem in check(store) if not problem.harmless]
    if problems:
        raise InvalidFile(
            f"{_named(store)} is restored, and the backup {saved.path} is damaged: {problems[0]}; "
            f"store.check() names all {len(problems)} problems"
        )


def _restore_folder(store: Store, saved: Store, names: list[str]) -> None:
    """The folder appears under its name when it is whole, but for data files that are kept elsewhere."""
    store.refuse_network()
    with _appearing(store.path) as part:
        target = type(store)(part)
        inside = store.files.root.startswith(store.path + "/")
        files = DataFiles(part + store.files.root.removeprefix(store.path)) if inside else store.files
        for name in names:
            _copy(saved.files, files, name, linked=False)
        _copy_sqlite(saved, target)


def _restore_server(store: Store, saved: Store, names: list[str]) -> None:
    for name in names:  # the database comes last: before, there is no store
        _copy(saved.files, store.files, name, linked=False)
    with saved.database.read() as source, store.making() as target:
        if target is None:
            raise Conflict(f"there is a store at {_named(store)} already; a backup is restored where there is none")
        _copy_tables(source, target)


def _named(store: Store) -> str:
    return store.path or store.database.shown


def _refuse_what_is_there(folder: Store) -> None:
    if os.path.lexists(folder.path) and not (os.path.isdir(folder.path) and not os.listdir(folder.path)):
        raise Conflict(f"{folder.path} is there already; nothing is overwritten, choose a folder that is not there")


# -- filling a folder


def _fill(store: Store, target: Store) -> tuple[int, int]:
    for attempt in range(1, _TRIES + 1):
        _empty(target.path)
        if store.database.is_sqlite:
            _copy_sqlite(store, target)
        else:
            _copy_server(store, target)
        with contextlib.closing(target), target.database.read() as connection:
            names = referenced_files(connection)
            runs = len(connection.execute(_select(tables.run.c.id)).all())
        try:
            for name in sorted(names):
                _copy(store.files, target.files, name, linked=True)
        except MissingFile:
            with store.database.read() as connection:
                lost = names & referenced_files(connection)
                lost = {name for name in lost if not _is_there(store.files, name)}
            if lost:
                raise MissingFile(
                    f"{_named(store)} refers to data files that are not there: {listed(lost)}; see store.check()"
                ) from None
            if attempt == _TRIES:
                raise NotWritable(
                    f"runs of {_named(store)} are being deleted all the time; make the backup when that is done"
                ) from None
        else:
            return runs, len(names)
    raise AssertionError("unreachable")


def _empty(folder: str) -> None:
    """Take out what is in a folder; the folder itself is held."""
    with os.scandir(folder) as found:
        for entry in list(found):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)


def _select(*columns: Any) -> Any:
    from sqlalchemy import select

    return select(*columns)


def _is_there(files: DataFiles, name: str) -> bool:
    try:
        files.open(name)
    except MissingFile:
        return False
    return True


def _copy_sqlite(store: Store, target: Store) -> None:
    """In one step: writers go on, and nothing they write gets in."""
    import sqlite3

    try:
        with (
            contextlib.closing(store.database.engine.raw_connection()) as source,
            contextlib.closing(sqlite3.connect(target.database.path)) as copy,
        ):
            held: Any = source.driver_connection
            held.backup(copy)
    except sqlite3.Error as error:
        raise NotWritable(f"the backup of {_named(store)} cannot be written: {error}") from error


def _copy_server(store: Store, target: Store) -> None:
    with contextlib.closing(target), store.database.read() as source, target.making() as connection:
        assert connection is not None
        _copy_tables(source, connection)


def _copy_tables(source: Connection, target: Connection) -> None:
    """All rows of all tables, keeping their ids, into empty tables."""
    for table in tables.metadata.sorted_tables:
        rows = source.execute(_select(table), execution_options={"yield_per": _ROWS_AT_ONCE})
        for some in rows.mappings().partitions(_ROWS_AT_ONCE):
            target.execute(table.insert(), [dict(row) for row in some])
    if target.dialect.name == "postgresql":
        from sqlalchemy import text

        for table in (tables.run, tables.descriptor, tables.segment, tables.key):
            target.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), "  # noqa: S608  names of our own
                    f"(SELECT coalesce(max(id), 0) + 1 FROM {table.name}), false)"
                )
            )


def _copy(source: DataFiles, target: DataFiles, name: str, *, linked: bool) -> None:
    """A data file; within one disk as a second name of the same file, which nobody ever changes."""
    if linked and source.is_local and target.is_local and source.link(target, name):
        return
    content = source.open(name)
    target.write(name, content)
