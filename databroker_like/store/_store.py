"""Store: a folder with a database and data files, or a PostgreSQL database and an object store."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from databroker_like.errors import Invalid, InvalidFile, NotWritable, listed, nearest
from databroker_like.store import _schema as tables
from databroker_like.store._data_files import DataFiles
from databroker_like.store._database import Database, Single
from databroker_like.store._file_system import network_file_system
from databroker_like.store._versions import HEAD, VERSIONS

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["FSYNC", "Store"]

#: When what was recorded is also forced to the disk, against a power cut.
FSYNC = ("never", "stop", "event")


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
        When ``fsync`` is none of these.

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
        if fsync not in FSYNC:
            near = listed(nearest(fsync, FSYNC) or FSYNC)
            raise Invalid(f"fsync={fsync!r} is not a time to force documents to the disk; nearest: {near}")
        self.path = os.path.abspath(os.path.expanduser(os.fspath(path))) if path else ""
        if not self.path and not (database and data):
            raise Invalid("a store is a folder; give its path, or both 'database' and 'data'")
        self.fsync = fsync
        url = database if database is not None else f"sqlite:///{self.path}/store.db"
        self.database = Database(url, timeout=timeout, read_only=read_only)
        self.files = DataFiles(os.fspath(data) if data is not None else f"{self.path}/data", data_options)
        self._is_ready = False

    def __repr__(self) -> str:
        return f"Store({self.path or self.database.shown!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_is_ready": False}

    # -- whether it is there

    @property
    def exists(self) -> bool:
        """Whether there is a store yet."""
        return self._is_ready or self.version() is not None

    def version(self) -> str | None:
        """The version of its tables; None when there are none."""
        from sqlalchemy import text

        if self.database.is_sqlite and not os.path.exists(self.database.path):
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
        if self._is_ready:
            return True
        found = self.version()
        if found is None:
            return False
        if found != HEAD:
            raise InvalidFile(_other_version(self, found))
        self._is_ready = True
        return True

    def prepare(self) -> None:
        """Make the store when it is not there.

        Raises
        ------
        NotWritable
            When it cannot be made, or lies on a network file system.
        """
        if self._is_ready and (not self.database.is_sqlite or os.path.exists(self.database.path)):
            return
        self._is_ready = False
        if self.database.is_sqlite:
            self._make_folder()
        if not self.check_version():
            self._create()
            self.check_version()

    def _make_folder(self) -> None:
        kind = network_file_system(self.path)
        if kind is not None:
            raise NotWritable(
                f"{self.path} lies on a network file system ({kind}), where the database could be damaged; keep the "
                "store on a local disk, or use PostgreSQL: database='postgresql+psycopg://...'"
            )
        try:
            os.makedirs(self.path, exist_ok=True)
        except OSError as error:
            raise NotWritable(
                f"the store {self.path} cannot be made: {error.strerror or error}; choose a folder where you may write"
            ) from error

    def _create(self) -> None:
        from sqlalchemy import text

        with self.database.write() as connection:
            if not self.database.is_sqlite:  # two processes may come here at once; SQLite lets one of them in
                connection.execute(text("SELECT pg_advisory_xact_lock(7208210)"))
            tables.metadata.create_all(connection)
            connection.execute(text("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL)"))
            if connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one() == 0:
                connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
                made = [("identity", secrets.token_hex(16)), ("created", repr(time.time()))]
                connection.execute(tables.setting.insert(), [{"name": name, "value": value} for name, value in made])

    # -- writing

    @contextlib.contextmanager
    def write(self, *, forced: bool = False) -> Iterator[Connection]:
        """A connection in one transaction.

        Parameters
        ----------
        forced : bool
            Whether it is worth forcing to the disk, unless ``fsync`` is ``"never"``; with ``"event"`` all are.
        """
        level = "FULL" if self.fsync == "event" or (forced and self.fsync == "stop") else "NORMAL"
        with self.database.write(synchronous=level) as connection:
            yield connection

    def single(self, statement: Any) -> Single:
        """An insertion that is a transaction of its own each time; the caller closes it."""
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
