"""The database of a store: connections to SQLite or PostgreSQL, and their errors in the user's words."""

from __future__ import annotations

import contextlib
import os
import re
import time
import weakref
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from databroker_like.errors import (
    DatabrokerError,
    Invalid,
    InvalidDocument,
    InvalidFile,
    MissingExtra,
    NotWritable,
    Unreachable,
)
from databroker_like.registry import require

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

__all__ = ["Database", "Overtaken", "Single"]

#: Larger pages cost up to a third of the speed of recording single events.
_PAGE_SIZE = 4096
#: How long the write-ahead log grows: 32 MiB.
_LOG_PAGES = 8192


class Database:
    """One database, connected to when it is first asked; it pickles as its address, and survives a fork.

    Parameters
    ----------
    url : str
        As SQLAlchemy writes it: ``sqlite:////folder/store.db``, ``postgresql+psycopg://host/name``.
    timeout : float
        How long to wait for another writer, in seconds.
    read_only : bool
        Whether nothing may be written; False by default.
    """

    def __init__(self, url: str, *, timeout: float = 20.0, read_only: bool = False) -> None:
        self.url = url
        self.timeout = timeout
        self.read_only = read_only
        self._engine: Engine | None = None
        self._process = -1
        self._only_reads = read_only
        self._as_it_was: tuple[int, int] | None = None
        self._file: tuple[int, int] | None = None
        self._forgotten: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_engine": None, "_process": -1, "_as_it_was": None, "_file": None, "_forgotten": None}

    def __repr__(self) -> str:
        return f"Database({self.shown!r})"

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite."""
        return self.url.startswith("sqlite")

    @property
    def path(self) -> str:
        """The file of an SQLite database."""
        return self.url.partition(":///")[2]

    @property
    def shown(self) -> str:
        """The address without its password, as people may see it."""
        if self.is_sqlite:
            return self.path
        hidden = re.sub(r"://([^/:@]*):.*@", r"://\1:***@", self.url)
        return re.sub(r"([?&][^=&]*(?:password|passfile)=)[^&]*", r"\1***", hidden)

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine of this process."""
        if self._as_it_was is not None and self._as_it_was != self._now():
            self.close()  # somebody writes by now
        if self._file is not None and self._file != self.file:
            self.close()  # it was deleted, or another one put in its place: what is open is nobody's
        if self._engine is None or self._process != os.getpid():
            if self._engine is not None:
                self._engine.dispose(close=False)  # the connections are those of the parent process
            self._engine, self._process = self._make_engine(), os.getpid()
            # A catalog that is forgotten keeps no connection open.
            self._forgotten = weakref.finalize(self, _dispose, self._engine, self._process)
        return self._engine

    @property
    def file(self) -> tuple[int, int] | None:
        """Which file the database is now; None when there is none, and for a server."""
        if not self.is_sqlite:
            return None
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return (found.st_dev, found.st_ino)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of the database for as long as it is held."""
        with self.errors("be read"), self.engine.connect() as connection:
            if not self.is_sqlite:  # where each statement would see a state of its own
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextlib.contextmanager
    def write(self, *, synchronous: str = "NORMAL") -> Iterator[Connection]:
        """A connection in one transaction: all that is written in it is there afterwards, or nothing.

        Parameters
        ----------
        synchronous : {"NORMAL", "FULL"}
            FULL forces the transaction, and all those before it, to the disk.
        """
        with self.errors("be written"):
            self.refuse_read_only()
            connecting = self.engine.connect().execution_options(immediate=True, synchronous=synchronous)
            with connecting as connection, connection.begin():
                yield connection

    def single(self, statement: Any, *, synchronous: str = "NORMAL") -> Single:
        """A statement that is a transaction of its own each time it is executed; the caller closes it."""
        with self.errors("be written"):
            self.refuse_read_only()
            connection = self.engine.connect().execution_options(single=True, isolation_level="AUTOCOMMIT")
            self._synchronize(connection, synchronous)
            return Single(self, connection, statement)

    def refuse_read_only(self) -> None:
        """Raise `NotWritable` when nothing may be written."""
        if self.read_only:
            raise NotWritable(f"the store {self.shown} was opened to be read only")
        if self._only_reads and self._may_write():
            self.close()

    def _may_write(self) -> bool:
        """Whether the files may be written, and others beside them."""
        if not os.path.exists(self.path):
            return True
        return os.access(os.path.dirname(self.path), os.W_OK) and os.access(self.path, os.W_OK)

    def _now(self) -> tuple[int, int]:
        """What becomes another when somebody writes to the database."""
        if os.path.exists(self.path + "-wal"):
            return (0, 0)
        found = os.stat(self.path)
        return (found.st_mtime_ns, found.st_size)

    def _synchronize(self, connection: Connection, level: str) -> None:
        if self.is_sqlite:
            connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        else:
            connection.exec_driver_sql(f"SET synchronous_commit={'on' if level == 'FULL' else 'off'}")

    def is_there(self) -> bool:
        """Whether there is a file of an SQLite database.

        Raises
        ------
        InvalidFile
            When its folder is a file.
        NotWritable
            When that cannot be found out, because its folder is closed to this user.
        """
        try:
            os.stat(self.path)
        except FileNotFoundError:
            return False
        except NotADirectoryError:
            raise InvalidFile(_file_for_a_folder(os.path.dirname(self.path))) from None
        except OSError as error:
            folder = os.path.dirname(self.path)
            raise NotWritable(f"the store {folder} cannot be looked at: {error.strerror or error}") from error
        return True

    def close(self) -> None:
        """Close all connections; it may be used again."""
        if self._engine is not None and self._process == os.getpid():
            self._engine.dispose()
            self._forgotten.detach()
        self._engine = self._as_it_was = self._file = None

    # -- connecting

    def _make_engine(self) -> Engine:
        from sqlalchemy import create_engine, event

        if not self.is_sqlite:
            require("psycopg", "reach PostgreSQL")
            engine = create_engine(self._server(), pool_pre_ping=True)
            event.listen(engine, "begin", _begin_on_server)
            return engine
        import sqlite3

        from sqlalchemy.pool import QueuePool

        connect = partial(
            sqlite3.connect,
            self._sqlite_uri(),
            uri=True,
            timeout=self.timeout,
            check_same_thread=False,
            isolation_level=None,
        )
        # Without a limit: a catalog that is iterated over keeps a connection until the end.
        engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, max_overflow=-1)
        prepare = _prepare_to_read if self._only_reads else partial(_prepare_to_write, self.timeout)
        event.listen(engine, "connect", prepare)
        event.listen(engine, "begin", _begin)
        event.listen(engine, "connect", partial(_remember_file, weakref.ref(self)))
        return engine

    def _server(self) -> URL:
        from sqlalchemy import exc, make_url

        try:
            return make_url(self.url)
        except (ValueError, exc.ArgumentError):
            pass
        # Not as the cause: what could not be understood may be the password.
        raise Invalid(f"{self.shown!r} is no address of a database; one is 'postgresql+psycopg://user@host:5432/name'")

    def _sqlite_uri(self) -> str:
        from urllib.parse import quote

        file = "file:" + quote(self.path)
        may_write = self._may_write()
        self._only_reads, self._as_it_was = self.read_only or not may_write, None
        if not self._only_reads:
            return file
        if may_write or os.path.exists(self.path + "-wal"):
            return f"{file}?mode=ro"
        # The files that go with the log cannot be made: a database that nobody has open is read as it is.
        self._as_it_was = self._now()
        return f"{file}?immutable=1"

    # -- errors

    @contextlib.contextmanager
    def errors(self, what: str) -> Iterator[None]:
        """Translate what the database says.

        Parameters
        ----------
        what : str
            What was tried, as it completes "the store ... cannot ".
        """
        from sqlalchemy import exc

        try:
            yield
        except DatabrokerError:
            raise
        except exc.NoSuchModuleError as error:
            raise MissingExtra(f"the store cannot use {self.shown}: {error}") from error
        except exc.DBAPIError as error:
            if isinstance(error, exc.IntegrityError):
                raise
            raise self._translated(what, error) from error
        except exc.TimeoutError as error:
            raise Unreachable(
                f"all connections of this process to {self.shown} are in use; take what iterates over the catalog to "
                "its end, or delete it"
            ) from error

    def _translated(self, what: str, error: Any) -> DatabrokerError:
        from sqlalchemy import exc

        said = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
        if isinstance(error, exc.DataError):  # text with NUL, for PostgreSQL, or numbers or documents too large
            return InvalidDocument(f"the store {self.shown} takes no such value: {said}")
        if not self.is_sqlite:
            return self._of_server(what, said.replace(self.url, self.shown), error)
        if "locked" in said or "busy" in said:
            return NotWritable(
                f"the store {self.path} is locked: another process has been writing for more than {self.timeout:g} s; "
                "wait until it is done, and try again"
            )
        if "full" in said or "disk I/O" in said:
            return NotWritable(f"the store {self.path} cannot {what}: {said}; make room on the disk, and try again")
        if "readonly" in said or "read-only" in said:
            return NotWritable(
                f"the store {self.path} cannot be written: {said}; choose a folder that can be written to"
            )
        if "not a database" in said or "malformed" in said:
            return InvalidFile(f"{self.path} is damaged, or no store: {said}; restore it from a backup")
        if "unable to open" in said:
            return NotWritable(f"the store {self.path} cannot be opened: {said}; may you read and write its folder?")
        return NotWritable(f"the store {self.path} cannot {what}: {said}")

    def _of_server(self, what: str, said: str, error: Any) -> DatabrokerError:
        if _is_away(error):
            return Unreachable(f"the database {self.shown} does not answer: {said}; is the server running?")
        full = str(getattr(error.orig, "sqlstate", "")).startswith("53")
        advice = "; make room for the server, and try again" if full else ""
        return NotWritable(f"the store {self.shown} cannot {what}: {said}{advice}")


def _is_away(error: Any) -> bool:
    """Whether a server does not answer, or is about to stop."""
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return bool(error.connection_invalidated) or type(error.orig).__name__ == "OperationalError"
    return str(state).startswith(("08", "57P"))


class Overtaken(Exception):
    """Another process wrote first: what was known of a run is not so any more."""


class Single:
    """One insertion, handed to the database's own driver: of all that is recorded most comes this way.

    Parameters
    ----------
    database : Database
    connection : sqlalchemy.Connection
        One that commits each statement.
    statement : sqlalchemy.TextClause
        It inserts one row, or none where another process was there first.
    """

    def __init__(self, database: Database, connection: Connection, statement: Any) -> None:
        compiled = statement.compile(dialect=connection.dialect)
        self._database = database
        self._connection = connection
        self._sql = str(compiled)
        self._names = None if compiled.positional else list(compiled.params)
        self._cursor = connection.connection.cursor()
        self._error = connection.dialect.loaded_dbapi.Error
        # Of a catalog that is forgotten in the middle of a run; it is too late then to give it back.
        self._forgotten = weakref.finalize(self, _close_for_good, connection, os.getpid())

    def __call__(self, *values: Any) -> None:
        """Write one row.

        Parameters
        ----------
        *values
            In the order in which the statement names them.

        Raises
        ------
        Overtaken
            When the statement found that the place of the row is taken.
        """
        try:
            self._cursor.execute(
                self._sql, values if self._names is None else dict(zip(self._names, values, strict=True))
            )
        except self._error as error:
            from sqlalchemy import exc

            failed = exc.DBAPIError.instance(self._sql, None, error, self._error, dialect=self._connection.dialect)
            if not self._database.is_sqlite and _is_away(failed):
                self._connection.invalidate()
            with self._database.errors("be written"):
                raise failed from error
        if not self._cursor.rowcount:
            raise Overtaken("another process wrote there first")

    def close(self) -> None:
        """Give the connection back."""
        self._forgotten.detach()
        if not self._connection.invalidated:
            self._cursor.close()
            if self._connection.engine is not self._database._engine:
                self._connection.detach()  # the database was closed meanwhile, and the pool is nobody's any more
        self._connection.close()


def _remember_file(of: weakref.ref[Database], connection: Any, record: Any) -> None:
    database = of()
    if database is not None and database._file is None:
        database._file = database.file


def _prepare_to_write(timeout: float, connection: Any, record: Any) -> None:
    _run(connection, f"PRAGMA page_size={_PAGE_SIZE}")
    _write_ahead(connection, timeout)
    _run(connection, f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
    _prepare_to_read(connection, record)


def _file_for_a_folder(folder: str) -> str:
    """What to say of a path at which a file lies where there is to be a folder."""
    file = folder
    while os.path.dirname(file) != file and not os.path.lexists(file):
        file = os.path.dirname(file)
    whose = "it" if file == folder else repr(file)
    return f"there is no store at {folder!r}: {whose} is a file, and a store is a folder"


def _prepare_to_read(connection: Any, record: Any) -> None:
    _run(connection, "PRAGMA foreign_keys=ON", "PRAGMA synchronous=NORMAL", "PRAGMA cache_size=-32768")


def _write_ahead(connection: Any, timeout: float) -> None:
    """Keep a write-ahead log; SQLite itself does not wait where several processes begin one for a new file at once."""
    import sqlite3

    end = time.monotonic() + timeout
    while True:
        try:
            _run(connection, "PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def _run(connection: Any, *statements: str) -> None:
    cursor = connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()


def _dispose(engine: Engine, process: int) -> None:
    """Close connections, unless they are those of the process that this one was forked from."""
    engine.dispose(close=process == os.getpid())


def _close_for_good(connection: Connection, process: int) -> None:
    """Close a connection that is out of its pool, unless it is the one of the process that this one was forked from."""
    if process == os.getpid() and not connection.closed:
        if not connection.invalidated:
            connection.detach()
        connection.close()


def _begin(connection: Any) -> None:
    """Begin where SQLite is told to: a writer at once, so that it never has to give up in the middle."""
    options = connection.get_execution_options()
    if options.get("single"):
        return
    if options.get("immediate"):
        # The connection may have forced another transaction to the disk before.
        connection.exec_driver_sql(f"PRAGMA synchronous={options.get('synchronous', 'NORMAL')}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("BEGIN")


def _begin_on_server(connection: Any) -> None:
    level = connection.get_execution_options().get("synchronous")
    if level is not None:
        connection.exec_driver_sql(f"SET LOCAL synchronous_commit={'on' if level == 'FULL' else 'off'}")
