"""Store: a folder with a database and data files, or a PostgreSQL database and an object store."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from databroker_like.core._sink import checked_fsync
from databroker_like.errors import Invalid, InvalidFile, NotWritable, listed
from databroker_like.files._folders import make_folder, sync_folder
from databroker_like.store import _schema as tables
from databroker_like.store._backup import BackedUp, backup, restore
from databroker_like.store._check import Problem, check
from databroker_like.store._data_files import DataFiles
from databroker_like.store._database import Database, Single
from databroker_like.store._file_system import network_file_system
from databroker_like.store._reindexing import reindex
from databroker_like.store._removal import delete
from databroker_like.store._upgrade import upgrade
from databroker_like.store._vacuum import Vacuumed, vacuum
from databroker_like.store._versions import HEAD, VERSIONS

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["Store"]


_VERSION_TABLE = (
    "CREATE TABLE IF NOT EXISTS alembic_version "
    "(version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


class Store:
    """Where runs are kept: a folder with an SQLite database and data files.

    Making one reads nothing; the folder is made when the first run is recorded. It pickles as what it was made from.

    Parameters
    ----------
    path : str or path
        The folder. With ``database`` and ``data`` both given it is not used.
    database : str, optional
        A PostgreSQL database instead, as ``postgresql+psycopg://user@host/name``.
    data : str, optional
        Another folder for the data files, or a place in an object store, such as ``s3://bucket/prefix``.
    data_options : dict, optional
        What fsspec needs to reach that place.
    fsync : {"never", "stop", "event"}
        What is recorded survives the death of the process in any case. Whether it is also forced to the disk against
        a power cut with each document, with each stop document (the default), or when the system sees fit.
    timeout : float
        How long to wait for another writer, in seconds; 20 by default.
    read_only : bool
        Whether nothing may be written; False by default.

    Raises
    ------
    Invalid
        When ``fsync`` is none of these, or ``database`` no PostgreSQL database.

    Examples
    --------
    >>> import tempfile
    >>> store = Store(tempfile.mkdtemp())
    >>> store.exists
    False
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = "",
        *,
        database: str | None = None,
        data: str | os.PathLike[str] | None = None,
        data_options: dict[str, Any] | None = None,
        fsync: str = "stop",
        timeout: float = 20.0,
        read_only: bool = False,
    ) -> None:
        self.path = os.path.abspath(os.path.expanduser(os.fspath(path))) if path else ""
        if not self.path and not (database and data):
            raise Invalid("a store is a folder; give its path, or both 'database' and 'data'")
        if database is not None and not str(database).startswith(
            ("postgresql://", "postgresql+psycopg://", "sqlite:///")
        ):
            raise Invalid(
                f"a store cannot be in the database {Database(str(database)).shown!r}; it is one of PostgreSQL, "
                "written as 'postgresql+psycopg://user@host/name'"
            )
        self.fsync = checked_fsync(fsync)
        url = database if database is not None else f"sqlite:///{self.path}/store.db"
        self.database = Database(url, timeout=timeout, read_only=read_only)
        self.files = DataFiles(os.fspath(data) if data is not None else f"{self.path}/data", data_options)
        self._is_ready = self._is_local = False
        self._identity: str | None = None
        self._file: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"Store({self.path or self.database.shown!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_is_ready": False, "_is_local": False, "_identity": None}

    # -- whether it is there

    @property
    def exists(self) -> bool:
        """Whether there is a store yet."""
        return self.is_as_it_was() or self.version() is not None

    def is_as_it_was(self) -> bool:
        """Whether it is the store that it was found to be, neither deleted since nor another one in its place."""
        return self._is_ready and self._file == self.database.file

    def version(self) -> str | None:
        """The version of its tables; None when there are none."""
        from sqlalchemy import text

        if self.database.is_sqlite and not self.database.is_there():
            return None
        there = (
            "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"
            if self.database.is_sqlite
            else "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'alembic_version'"
        )
        with self.database.read() as connection:
            if not connection.execute(text(there)).scalar_one():
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()

    def check_version(self) -> bool:
        """Whether the store is there and can be read by this release.

        Raises
        ------
        InvalidFile
            When its tables are those of another release; the message says what to do.
        """
        if self.is_as_it_was():
            return True
        self._is_ready, self._identity = False, None
        self._file = self.database.file
        found = self.version()
        if found is None:
            return False
        if found != HEAD:
            raise InvalidFile(_other_version(self, found))
        self._is_ready = True
        return True

    @property
    def identity(self) -> str:
        """What tells this store, and its backups, from all others; its data files are kept under it."""
        if self._identity is None:
            setting = tables.setting
            with self.database.read() as connection:
                held = connection.execute(setting.select().where(setting.c.name == "identity")).one()
            self._identity = str(held.value)
        return self._identity

    @property
    def file_prefix(self) -> str:
        """How the names of its data files begin: two stores may keep theirs in one place."""
        return self.identity[:12]

    def prepare(self) -> None:
        """Make the store when it is not there.

        Raises
        ------
        NotWritable
            When it cannot be made, or lies on a network file system.
        """
        if not self.check_version():
            self.database.refuse_read_only()
            self._create()
            self.check_version()

    def refuse_network(self) -> None:
        """Refuse to write where several machines see the same files.

        Raises
        ------
        NotWritable
            When the database lies on a network file system.
        """
        if self._is_local or not self.database.is_sqlite:
            return
        kind = network_file_system(self.path)
        if kind is not None:
            raise NotWritable(
                f"{self.path} lies on a network file system ({kind}), where the database could be damaged; keep the "
                "store on a local disk, or use PostgreSQL: database='postgresql+psycopg://...'"
            )
        self._is_local = True

    def written_once(self) -> None:
        """This process alone writes it, and nobody reads it before: it may lie on a network file system."""
        self._is_local = True

    def _make_folder(self) -> None:
        self.refuse_network()
        try:
            for holder in make_folder(self.path):
                sync_folder(holder)
        except OSError as error:
            raise NotWritable(
                f"the store {self.path} cannot be made: {error.strerror or error}; choose a folder where you may write"
            ) from error

    def _create(self) -> None:
        with self.making() as connection:
            if connection is not None:
                made = [("identity", secrets.token_hex(16)), ("created", repr(time.time()))]
                connection.execute(tables.setting.insert(), [{"name": name, "value": value} for name, value in made])

    @contextlib.contextmanager
    def making(self) -> Iterator[Connection | None]:
        """The transaction in which the tables are made, empty; None when another process made them meanwhile."""
        from sqlalchemy import text

        if self.database.is_sqlite:
            self._make_folder()
        with self.database.write(synchronous="FULL") as connection:
            if not self.database.is_sqlite:  # two processes may come here at once; SQLite lets one of them in
                connection.execute(text("SELECT pg_advisory_xact_lock(7208210)"))
            self._refuse_strange(connection)
            tables.metadata.create_all(connection)
            connection.execute(text(_VERSION_TABLE))
            if connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one():
                yield None
            else:
                connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
                yield connection

    def _refuse_strange(self, connection: Connection) -> None:
        """Another program's database is left alone; one on a server is shared, and has its tables by schema."""
        from sqlalchemy import text

        if not self.database.is_sqlite:
            return
        found = set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars())
        strange = sorted(name for name in found if not name.startswith("sqlite_"))
        if strange and "alembic_version" not in found:
            raise InvalidFile(
                f"{self.database.path} is a database of something else, with the tables {listed(strange)}; "
                "choose another folder for the store"
            )

    # -- upkeep

    def check(self, *, integrity: bool = False) -> list[Problem]:
        """Read everything, and say what is wrong; it may be done while runs are recorded.

        Parameters
        ----------
        integrity : bool
            Whether SQLite also looks at each page of the database file, which takes longer; False by default.

        Returns
        -------
        list of Problem
            Empty when all is well. What only takes room is ``harmless``, and comes last.
        """
        return check(self, integrity=integrity)

    def backup(self, to: str | os.PathLike[str]) -> BackedUp:
        """Copy the store, as it is at one moment, into a folder, which is a store too; recording goes on meanwhile.

        Parameters
        ----------
        to : str or path
            A folder that is not there yet.

        Returns
        -------
        BackedUp

        Raises
        ------
        Conflict
            When the folder is there already.
        NotWritable
            When it cannot be written to.
        """
        return backup(self, Store(to))

    def restore(self, saved: str | os.PathLike[str]) -> None:
        """Fill this store, which is not there yet, with what a backup holds.

        Parameters
        ----------
        saved : str or path
            The folder that `backup` made, of this store or of another one.

        Raises
        ------
        Conflict
            When there is a store already: nothing is overwritten.
        InvalidFile
            When there is no backup in the folder, or it is damaged.
        NotWritable
            When the store cannot be made.
        """
        with contextlib.closing(Store(saved, read_only=True)) as source:
            restore(self, source)

    def vacuum(self) -> Vacuumed:
        """Take away what deleted runs and killed processes left behind, and give the room back to the disk.

        Returns
        -------
        Vacuumed

        Raises
        ------
        NotWritable
            When the store cannot be written to.
        """
        return vacuum(self)

    def upgrade(self) -> str:
        """Bring the tables of a store that an earlier release made to those of this one; make a backup first.

        Returns
        -------
        str
            The version it had.

        Raises
        ------
        InvalidFile
            When there is no store, or one of a later release.
        NotWritable
            When it cannot be written to.
        """
        return upgrade(self)

    def reindex(self) -> list[str]:
        """Write anew what runs are searched by, where it is not what their documents say.

        Returns
        -------
        list of str
            The uids of these runs.
        """
        return reindex(self)

    def delete(self, uids: str | Iterable[str], *, unfinished: bool = False, missing_ok: bool = False) -> None:
        """Delete runs, with the data files of the store that they are in; the files of detectors stay.

        Parameters
        ----------
        uids : str or iterable of str
            Full uids.
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
        delete(self, uids, unfinished=unfinished, missing_ok=missing_ok)

    # -- writing

    @contextlib.contextmanager
    def write(self, *, forced: bool = False) -> Iterator[Connection]:
        """A connection in one transaction.

        Parameters
        ----------
        forced : bool
            Whether it is worth forcing to the disk, unless ``fsync`` is ``"never"``; with ``"event"`` all are.
        """
        self.refuse_network()
        level = "FULL" if self.fsync == "event" or (forced and self.fsync == "stop") else "NORMAL"
        with self.database.write(synchronous=level) as connection:
            yield connection

    def single(self, statement: Any) -> Single:
        """An insertion that is a transaction of its own each time; the caller closes it."""
        self.refuse_network()
        return self.database.single(statement, synchronous="FULL" if self.fsync == "event" else "NORMAL")

    @contextlib.contextmanager
    def alone(self, statement: Any) -> Iterator[Single]:
        """`single`, closed at the end."""
        with contextlib.closing(self.single(statement)) as insert:
            yield insert

    def close(self) -> None:
        """Close all connections; the store may be used again."""
        self.database.close()


def _other_version(store: Store, found: str | None) -> str:
    if found in VERSIONS:
        return (
            f"the store {store.path or store.database.shown} was made by an earlier release (version {found}, now "
            f"{HEAD}); make a backup, and upgrade it with: store.upgrade()"
        )
    return (
        f"the store {store.path or store.database.shown} was made by a later release (version {found}, here {HEAD}); "
        "install that one: pip install --upgrade databroker-like"
    )
