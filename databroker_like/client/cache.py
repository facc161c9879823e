"""Replies of servers kept on disk: less is sent twice, and what was read can be read again without the server."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from databroker_like.client._cache_file import CacheFile
from databroker_like.client._cache_keys import checksum_of, key_of
from databroker_like.errors import Invalid, NotWritable
from databroker_like.http import STORED_AT, without_secrets

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Cache"]

#: What is read is noted together, so that reading does not write each time.
_NOTED_TOGETHER = 64
_ADDED_TOGETHER = 100
#: The most bytes of one reply, where nobody says more.
_ITEM_SIZE = 500e3


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
        When a size is no positive number, or one reply may be larger than all together.
    NotWritable
        When the file cannot be made.
    MissingFile
        When it is not there, to be read only.
    InvalidFile
        When it is damaged or no cache, and to be read only.

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
        max_item_size: float = _ITEM_SIZE,
        readonly: bool = False,
    ) -> None:
        for name, size in (("capacity", capacity), ("max_item_size", max_item_size)):
            if isinstance(size, bool) or not isinstance(size, int | float) or not size > 0:
                raise Invalid(f"{name} is a number of bytes, not {size!r}")
        # What nobody gave is no contradiction: a reply that leaves no room for itself is not kept.
        if max_item_size > capacity and max_item_size != _ITEM_SIZE:
            raise Invalid(f"max_item_size, {max_item_size!r}, is more than the capacity of {capacity!r} bytes for all")
        self._filepath = _default_filepath() if filepath is None else Path(filepath).expanduser().absolute()
        self._capacity, self._max_item_size, self._readonly = capacity, max_item_size, readonly
        self._file = CacheFile(self._filepath, readonly)
        self._used: dict[bytes, float] = {}
        self._surely, self._added = 0, 0
        with self._file.transaction():
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
            with self._file.transaction() as database:
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
        if self._file.closed or self._readonly:
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
        key = key_of(request)
        with self._file.transaction() as database:
            row = database.execute(
                "SELECT headers, content, checksum, stored_at FROM databroker_like_replies WHERE key = ?", (key,)
            ).fetchone()
            if row is None:
                return None
            headers, content, checksum, stored_at = row
            if checksum_of(headers, content) != checksum:
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
            key_of(request),
            without_secrets(request.url),
            told,
            body,
            len(body),
            checksum_of(told, body),
            now,
            now,
        )
        with self._file.transaction() as database:
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
            with self._file.transaction() as database:
                database.execute("DELETE FROM databroker_like_replies WHERE key = ?", (key_of(request),))

    def clear(self) -> None:
        """Keep nothing of what is there.

        Raises
        ------
        NotWritable
            When it is only read.
        """
        if not self.write_safe():
            raise NotWritable(f"{self} is only read")
        with self._file.transaction() as database:
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
        with self._file.transaction() as database:
            return int(database.execute("SELECT count(*) FROM databroker_like_replies").fetchone()[0])

    def size(self) -> int:
        """The bytes of all bodies together, without headers and what else is stored.

        Returns
        -------
        int
        """
        with self._file.transaction() as database:
            return _size(database)

    def close(self) -> None:
        """Close the file; what is asked for later is not cached."""
        with self._file.lock:
            if self._used and self.write_safe():
                with contextlib.suppress(NotWritable), self._file.transaction() as database:
                    self._note_used(database)
            self._file.close()

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


def _default_filepath() -> Path:
    told = os.environ.get("TILED_CACHE_DIR")
    if told:
        return Path(told).expanduser().absolute() / "databroker_like_replies.db"
    import platformdirs

    return Path(platformdirs.user_cache_dir("databroker-like", appauthor=False)) / "replies.db"
