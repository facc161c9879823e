"""The SQLite file of a cache: opened when it is needed, begun anew when it is damaged."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from databroker_like.errors import DatabrokerError, Invalid, InvalidFile, MissingFile, NotWritable

if TYPE_CHECKING:
    import sqlite3

__all__ = ["CacheFile"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS databroker_like_replies (
    key BLOB PRIMARY KEY, url TEXT NOT NULL, headers TEXT NOT NULL, content BLOB NOT NULL, size INTEGER NOT NULL,
    checksum INTEGER NOT NULL, stored_at REAL NOT NULL, used_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS databroker_like_replies_used ON databroker_like_replies (used_at, size);
"""
_BUSY_SECONDS = 30.0


class CacheFile:
    """An SQLite file with a table of replies, shared by threads and processes, one of which may be a fork.

    Parameters
    ----------
    path : Path
    read_only : bool
    """

    def __init__(self, path: Path, read_only: bool) -> None:
        self.path = path
        #: Held while the database is in use.
        self.lock = threading.RLock()
        self.closed = False
        self._read_only = read_only
        self._connection: sqlite3.Connection | None = None
        self._process = os.getpid()

    def close(self) -> None:
        """Close the file for good."""
        with self.lock:
            self.closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The database, for one thread at a time; committed at the end.

        Yields
        ------
        sqlite3.Connection

        Raises
        ------
        Invalid
            When it is closed.
        NotWritable
            When the file cannot be used, or was damaged; it is begun anew then.
        MissingFile
            When it is only read, and not there.
        InvalidFile
            When it is only read, and damaged or no cache.
        """
        import sqlite3

        with self.lock:
            if self.closed:
                raise Invalid(f"the cache {str(self.path)!r} is closed")
            if self._process != os.getpid():
                # A connection is not to be used by the child of a fork; nor to be closed by it.
                self._inherited, self._connection, self._process = self._connection, None, os.getpid()
            try:
                if self._connection is None:
                    self._connection = self._connected()
                try:
                    with self._connection as transaction:
                        yield transaction
                except sqlite3.DatabaseError as error:
                    if not _is_damaged(error) or self._read_only:
                        raise
                    self._begin_anew(error)
                    raise
            except (sqlite3.Error, OSError) as error:
                raise self._told(error) from error

    def _told(self, error: Exception) -> DatabrokerError:
        where = f"the cache {str(self.path)!r}"
        if self._read_only and not self.path.exists():
            return MissingFile(f"{where} is not there, and one that is only read is not made: leave out readonly=True")
        if self._read_only and (_is_damaged(error) or "no such table" in str(error)):
            return InvalidFile(f"{where} is damaged, or is no cache ({error}); one that is only read is not mended")
        return NotWritable(f"{where} cannot be used: {error}")

    def _connected(self) -> sqlite3.Connection:
        import sqlite3

        try:
            return self._prepared()
        except sqlite3.DatabaseError as error:
            if not _is_damaged(error) or self._read_only:
                raise
            self._begin_anew(error)
            return self._prepared()

    def _prepared(self) -> sqlite3.Connection:
        import sqlite3

        if self._read_only:
            uri = f"{self.path.as_uri()}?mode=ro"
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # What is read with a key is for those with the key.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            uri = self.path.as_uri()
        database = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, check_same_thread=False)
        try:
            if not self._read_only:
                # Files of homes on a network share have no memory in common: no write-ahead log. What a power cut
                # damages is begun anew.
                database.execute("PRAGMA synchronous = OFF")
                database.executescript(_SCHEMA)
            database.execute("SELECT 1 FROM databroker_like_replies LIMIT 1").fetchall()
        except BaseException:
            database.close()
            raise
        return database

    def _begin_anew(self, error: Exception) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        aside = self.path.with_name(f"{self.path.name}.damaged")
        with contextlib.suppress(FileNotFoundError):
            os.replace(self.path, aside)
        for ending in ("-journal", "-wal", "-shm"):
            Path(f"{self.path}{ending}").unlink(missing_ok=True)
        warnings.warn(
            f"the cache {str(self.path)!r} is damaged ({error}): it is now {aside.name!r}, and begun anew",
            UserWarning,
            stacklevel=2,
        )


def _is_damaged(error: Exception) -> bool:
    """Whether it is the file that is wrong, not that it is locked, full or not to be written to."""
    import sqlite3

    said = str(error)
    return type(error) is sqlite3.DatabaseError and ("malformed" in said or "not a database" in said)
