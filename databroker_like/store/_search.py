"""Searches of a store: which runs match a query, in order of time; how many; and their documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from databroker_like.queries import Node
from databroker_like.store._schema import run
from databroker_like.store._search_order import SortedSearch
from databroker_like.store._searching import DOCUMENTS, Search, rows_of

__all__ = ["count", "find", "find_sorted", "heads", "versions_and_heads", "versions_and_heads_sorted"]

Decode = Callable[[bytes], Mapping[str, Any]]
#: The uid of a run, its start document, and its stop document or None; as they are encoded.
Head = tuple[str, bytes, bytes | None]


def find(
    connection: Connection,
    query: Node,
    *,
    decode: Decode,
    newest_first: bool = False,
    skip: int = 0,
    limit: int | None = None,
) -> Iterator[str]:
    """The uids of the runs that match, in order of time, then of uid.

    Parameters
    ----------
    connection : Connection
        It must not be used for anything else before the last one was taken, unless there is a ``limit``.
    query : Node
    decode : callable
        A function of the encoded document.
    newest_first : bool
        False by default.
    skip, limit : int
        Which of the matches; all by default.

    Returns
    -------
    iterator of str
    """
    for page in Search(connection, query, decode).pages(newest_first, skip, limit):
        for _, uid in page:
            yield uid


def find_sorted(
    connection: Connection,
    query: Node,
    by: Sequence[tuple[str, int]],
    *,
    decode: Decode,
    newest_first: bool = False,
    skip: int = 0,
    limit: int | None = None,
) -> Iterator[str]:
    """The uids of the runs that match, in the order of what they have at keys, then of time and uid.

    Parameters
    ----------
    by : sequence of (str, int)
        Dotted keys, each with 1 or -1.
    connection, query, decode, newest_first, skip, limit
        As of `find`.

    Returns
    -------
    iterator of str
    """
    for page in SortedSearch(connection, query, decode, by, newest_first).pages(skip, limit):
        uids = {row[0]: row[1] for row in rows_of(connection, page, run.c.uid)}
        yield from (uids[number] for number in page if number in uids)


def count(connection: Connection, query: Node, *, decode: Decode) -> int:
    """How many runs match.

    Parameters
    ----------
    connection : Connection
    query : Node
    decode : callable
        A function of the encoded document.

    Returns
    -------
    int
    """
    return Search(connection, query, decode).count()


def heads(
    connection: Connection,
    query: Node,
    *,
    decode: Decode,
    newest_first: bool = False,
    skip: int = 0,
    limit: int | None = None,
) -> Iterator[Head]:
    """The encoded documents of the runs that match, in order of time, then of uid.

    Parameters
    ----------
    connection, query, decode, newest_first, skip, limit
        As of `find`.

    Returns
    -------
    iterator of (str, bytes, bytes or None)
    """
    for _, _, uid, start, stop in versions_and_heads(
        connection, query, decode=decode, newest_first=newest_first, skip=skip, limit=limit
    ):
        yield uid, start, stop


def versions_and_heads(
    connection: Connection,
    query: Node,
    *,
    decode: Decode,
    newest_first: bool = False,
    skip: int = 0,
    limit: int | None = None,
) -> Iterator[tuple[int, int, str, bytes, bytes | None]]:
    """What `heads` gives, and before it the id and the revision of each run.

    Parameters
    ----------
    connection, query, decode, newest_first, skip, limit
        As of `find`.

    Returns
    -------
    iterator of (int, int, str, bytes, bytes or None)
    """
    for page in Search(connection, query, decode).pages(newest_first, skip, limit):
        yield from _read(connection, [number for number, _ in page])


def versions_and_heads_sorted(
    connection: Connection,
    query: Node,
    by: Sequence[tuple[str, int]],
    *,
    decode: Decode,
    newest_first: bool = False,
    skip: int = 0,
    limit: int | None = None,
) -> Iterator[tuple[int, int, str, bytes, bytes | None]]:
    """What `versions_and_heads` gives, in the order of what the runs have at keys.

    Parameters
    ----------
    connection, query, by, decode, newest_first, skip, limit
        As of `find_sorted`.

    Returns
    -------
    iterator of (int, int, str, bytes, bytes or None)
    """
    for page in SortedSearch(connection, query, decode, by, newest_first).pages(skip, limit):
        yield from _read(connection, page)


def _read(connection: Connection, ids: list[int]) -> Iterator[tuple[int, int, str, bytes, bytes | None]]:
    for first in range(0, len(ids), DOCUMENTS):
        some = ids[first : first + DOCUMENTS]
        found = {row[0]: row for row in rows_of(connection, some, run.c.revision, run.c.uid, run.c.start, run.c.stop)}
        # One that was deleted meanwhile is left out.
        for row in (found[number] for number in some if number in found):
            yield row[0], row[1], row[2], row[3], row[4]
