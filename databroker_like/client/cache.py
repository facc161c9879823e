"""Replies of servers kept on disk: less is sent twice, and what was read can be read again without the server."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from databroker_like.errors import Invalid, NotWritable
from databroker_like.http import STORED_AT, without_secrets

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Cache"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS databroker_like_replies (
    key BLOB PRIMARY KEY, url TEXT NOT NULL, headers TEXT NOT NULL, content BLOB NOT NULL, size INTEGER NOT NULL,
    checksum INTEGER NOT NULL, stored_at REAL NOT NULL, used_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS databroker_like_replies_used ON databroker_like_replies (used_at, size);
"""
#: Which do not change what is answered, or are said of one connection.
_NEUTRAL = (
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "host",
    "if-none-match",
    "user-agent",
    "x-tiled-request-id",
)
#: What is read is noted together, so that reading does not write each time.
_NOTED_TOGETHER = 64
_ADDED_TOGETHER = 100
_BUSY_SECONDS = 30.0


class Cache:
    """Replies kept in one SQLite file, which any number of threads and processes share.

    What is kept for one API key or user is not given to another. When the file is full, what was not used for the
    longest time makes room. A damaged file is set aside, and begun anew.

    Parameters
    ----------
    filepath : path, optional
        In the cache folder of the user by default, or in ``TILED_CACHE_DIR``.
    capacity : number
        The most bytes of all replies together; 500 MB by default.
    max_item_size : number
        The most bytes of one reply; larger ones are not kept. 500 kB by default.
    readonly : bool
        Whether it is only read: nothing is added, changed or removed.

    Raises
    ------
    Invalid
        When a size is no positive number.
    NotWritable
        When the file cannot be made or, to be read only, is not there.

    Examples
    --------
    >>> import os, tempfile
    >>> cache = Cache(os.path.join(tempfile.mkdtemp(), "replies.db"), capacity=1e6)
    >>> cache.count(), cache.size()
    (0, 0)
    >>> cache.close()
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str] | None = None,
        capacity: float = 500e6,
        max_item_size: float = 500e3,
        readonly: bool = False,
    ) -> None:
        for name, size in (("capacity", capacity), ("max_item_size", max_item_size)):
            if isinstance(size, bool) or not isinstance(size, int | float) or not size > 0:
                raise Invalid(f"{name} is a number of bytes, not {size!r}")
        self._filepath = _default_filepath() if filepath is None else Path(filepath).expanduser().absolute()
        self._capacity, self._max_item_size, self._readonly = capacity, max_item_size, readonly
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._process = os.getpid()
        self._used: dict[bytes, float] = {}
        self._surely, self._added = 0, 0
        self._closed = False
        with self._open():
            pass

    def __repr__(self) -> str:
        return f"Cache({str(self._filepath)!r})"

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Cache, (str(self._filepath), self._capacity, self._max_item_size, self._readonly)

    @property
    def filepath(self) -> Path:
        """The SQLite file."""
        return self._filepath

    @property
    def capacity(self) -> float:
        """The most bytes of all replies together."""
        return self._capacity

    @capacity.setter
    def capacity(self, value: float) -> None:
        self._capacity = value
        if self.write_safe():
            with self._open() as database:
                self._make_room(database)

    @property
    def max_item_size(self) -> float:
        """The most bytes of one reply; larger ones are not kept."""
        return self._max_item_size

    @max_item_size.setter
    def max_item_size(self, value: float) -> None:
        self._max_item_size = value

    @property
    def readonly(self) -> bool:
        """Whether it is only read."""
        return self._readonly

    def write_safe(self) -> bool:
        """Whether something can be added: it is open, not read only, and the file can be written to.

        Returns
        -------
        bool
        """
        if self._closed or self._readonly:
            return False
        place = self._filepath if self._filepath.exists() else self._filepath.parent
        return os.access(place, os.W_OK)

    def get(self, request: httpx.Request) -> httpx.Response | None:
        """What was answered to such a request, to one with the same credentials.

        Parameters
        ----------
        request : httpx.Request

        Returns
        -------
        httpx.Response or None
            With the moment at which it was stored among its ``extensions``, as ``stored_at``.
        """
        key = _key(request)
        with self._open() as database:
            row = database.execute(
                "SELECT headers, content, checksum, stored_at FROM databroker_like_replies WHERE key = ?", (key,)
            ).fetchone()
            if row is None:
                return None
            headers, content, checksum, stored_at = row
            if _checksum(headers, content) != checksum:
                # A disk may err without anybody noticing.
                if not self._readonly:
                    database.execute("DELETE FROM databroker_like_replies WHERE key = ?", (key,))
                return None
            if not self._readonly:
                self._used[key] = time.time()
                if len(self._used) >= _NOTED_TOGETHER:
                    self._note_used(database)
        return httpx.Response(
            200,
            headers=[(name, value) for name, value in orjson.loads(headers)],
            content=content,
            request=request,
            extensions={STORED_AT: stored_at},
        )

    def set(self, *, request: httpx.Request, response: httpx.Response, content: bytes | None = None) -> bool:
        """Keep a reply.

        Parameters
        ----------
        request : httpx.Request
        response : httpx.Response
        content : bytes, optional
            The body, decoded; what the response has read by default.

        Returns
        -------
        bool
            Whether it is kept: not what is too large, is no success, or would be written when nothing may be.
        """
        body = response.content if content is None else content
        if len(body) > min(self._max_item_size, self._capacity) or response.status_code not in (200, 304):
            return False
        if request.method != "GET" or not self.write_safe():
            return False
        unsent = ("set-cookie", "content-encoding", "content-length", "transfer-encoding")
        headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in unsent]
        told, now = orjson.dumps(headers).decode(), time.time()
        row = (
            _key(request),
            without_secrets(request.url),
            told,
            body,
            len(body),
            _checksum(told, body),
            now,
            now,
        )
        with self._open() as database:
            database.execute("INSERT OR REPLACE INTO databroker_like_replies VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            self._note_used(database)
            self._surely += len(body)
            self._added += 1
            # What other processes add is not seen at once; that sum is not made each time.
            if self._surely > self._capacity or self._added % _ADDED_TOGETHER == 1:
                self._make_room(database)
        return True

    def delete(self, request: httpx.Request) -> None:
        """Keep the reply to such a request no longer.

        Parameters
        ----------
        request : httpx.Request
        """
        if self.write_safe():
            with self._open() as database:
                database.execute("DELETE FROM databroker_like_replies WHERE key = ?", (_key(request),))

    def clear(self) -> None:
        """Keep nothing of what is there.

        Raises
        ------
        NotWritable
            When it is only read.
        """
        if not self.write_safe():
            raise NotWritable(f"{self} is only read")
        with self._open() as database:
            database.execute("DELETE FROM databroker_like_replies")
            self._used.clear()
            database.commit()
            database.execute("VACUUM")

    def count(self) -> int:
        """How many replies are kept.

        Returns
        -------
        int
        """
        with self._open() as database:
            return int(database.execute("SELECT count(*) FROM databroker_like_replies").fetchone()[0])

    def size(self) -> int:
        """The bytes of all bodies together, without headers and what else is stored.

        Returns
        -------
        int
        """
        with self._open() as database:
            return _size(database)

    def close(self) -> None:
        """Close the file; what is asked for later is not cached."""
        with self._lock:
            if not self._closed and self._used and self.write_safe():
                with contextlib.suppress(NotWritable), self._open() as database:
                    self._note_used(database)
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The database, for one thread at a time; one transaction."""
        import sqlite3

        with self._lock:
            if self._closed:
                raise Invalid(f"{self} is closed")
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
                    if not _is_damaged(error) or self._readonly:
                        raise
                    self._begin_anew(error)
                    raise
            except (sqlite3.Error, OSError) as error:
                raise NotWritable(f"the cache {str(self._filepath)!r} cannot be used: {error}") from error

    def _connected(self) -> sqlite3.Connection:
        import sqlite3

        try:
            return self._prepared()
        except sqlite3.DatabaseError as error:
            if not _is_damaged(error) or self._readonly:
                raise
            self._begin_anew(error)
            return self._prepared()

    def _prepared(self) -> sqlite3.Connection:
        import sqlite3

        if self._readonly:
            uri = f"{self._filepath.as_uri()}?mode=ro"
        else:
            self._filepath.parent.mkdir(parents=True, exist_ok=True)
            # What is read with a key is for those with the key.
            os.close(os.open(self._filepath, os.O_CREAT | os.O_RDWR, 0o600))
            uri = self._filepath.as_uri()
        database = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, check_same_thread=False)
        try:
            if not self._readonly:
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
        aside = self._filepath.with_name(f"{self._filepath.name}.damaged")
        with contextlib.suppress(FileNotFoundError):
            os.replace(self._filepath, aside)
        for ending in ("-journal", "-wal", "-shm"):
            Path(f"{self._filepath}{ending}").unlink(missing_ok=True)
        warnings.warn(
            f"the cache {str(self._filepath)!r} is damaged ({error}): it is now {aside.name!r}, and begun anew",
            UserWarning,
            stacklevel=2,
        )

    def _note_used(self, database: sqlite3.Connection) -> None:
        if self._used:
            database.executemany(
                "UPDATE databroker_like_replies SET used_at = max(used_at, ?) WHERE key = ?",
                [(when, key) for key, when in self._used.items()],
            )
            self._used.clear()

    def _make_room(self, database: sqlite3.Connection) -> None:
        self._surely = _size(database)
        surplus = self._surely - self._capacity
        if surplus <= 0:
            return
        # A tenth more, so that it is not done again for the very next reply.
        surplus += self._capacity / 10
        gone = []
        for key, size in database.execute("SELECT key, size FROM databroker_like_replies ORDER BY used_at"):
            gone.append((key,))
            surplus -= size
            self._surely -= size
            if surplus <= 0:
                break
        database.executemany("DELETE FROM databroker_like_replies WHERE key = ?", gone)


def _size(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT coalesce(sum(size), 0) FROM databroker_like_replies").fetchone()[0])


def _checksum(headers: Any, content: Any) -> int | None:
    """None for what is not even of the right type."""
    if not isinstance(headers, str) or not isinstance(content, bytes):
        return None
    return zlib.crc32(content, zlib.crc32(headers.encode()))


def _is_damaged(error: Exception) -> bool:
    """Whether it is the file that is wrong, not that it is locked, full or not to be written to."""
    import sqlite3

    said = str(error)
    return type(error) is sqlite3.DatabaseError and ("malformed" in said or "not a database" in said)


def _default_filepath() -> Path:
    told = os.environ.get("TILED_CACHE_DIR")
    if told:
        return Path(told).expanduser().absolute() / "databroker_like_replies.db"
    import platformdirs

    return Path(platformdirs.user_cache_dir("databroker-like", appauthor=False)) / "replies.db"


def _key(request: httpx.Request) -> bytes:
    """What tells requests apart: what is asked for, in which form, and by whom."""
    told = sorted((name, value) for name, value in request.headers.multi_items() if name not in _NEUTRAL)
    whole = [request.method, str(request.url), told, _who(request.headers.get("authorization", ""))]
    return hashlib.blake2b(orjson.dumps(whole), digest_size=20).digest()


def _who(authorization: str) -> str:
    """Whose credentials they are: those of a session are others every quarter of an hour, and the same person's."""
    scheme, _, credentials = authorization.partition(" ")
    parts = credentials.split(".")
    if scheme == "Bearer" and len(parts) == 3:
        try:
            claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        except (ValueError, binascii.Error):
            return authorization
        if isinstance(claims, dict) and isinstance(claims.get("sub"), str):
            # With fewer rights, the same person sees less.
            return orjson.dumps(
                ["sub", claims["sub"], claims.get("iss"), sorted(map(str, claims.get("scp") or ()))]
            ).decode()
    return authorization
