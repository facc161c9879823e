"""Whether the index says what the documents say, and writing it anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from databroker_like.codecs import decode
from databroker_like.errors import InvalidFile
from databroker_like.store import _schema as tables
from databroker_like.store._terms import index_run, terms_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from databroker_like.store._store import Store

__all__ = ["reindex", "wrong_terms"]

_AT_ONCE = 5000
_SHOWN = 5


def wrong_terms(connection: Connection) -> Iterator[tuple[str, list[str]]]:
    """The runs whose terms are not those of their documents; the index is read once, whole.

    Parameters
    ----------
    connection : sqlalchemy.Connection

    Yields
    ------
    (str, list of str)
        The uid of a run, and some of the keys that are wrong.
    """
    from sqlalchemy import select

    term, run = tables.term, tables.run
    names = {row.id: row.name for row in connection.execute(select(tables.key.c.id, tables.key.c.name))}
    # A number a run, which is the same only when its terms are: there may be a hundred million of them.
    held: dict[int, int] = {}
    columns = (term.c.run_id, term.c.key_id, term.c.kind, term.c.num, term.c.txt, term.c.time)
    for run_id, key_id, kind, num, txt, time in _streamed(connection, select(*columns)):
        held[run_id] = held.get(run_id, 0) + hash((names.get(key_id), kind, num, txt, time))
    for row in _streamed(connection, select(run.c.id, run.c.uid, run.c.time, run.c.start, run.c.stop)):
        try:
            wanted = {(*one, row.time) for one in terms_of(*_documents(row))}
        except InvalidFile:  # the document itself is the problem
            continue
        if held.get(row.id, 0) == sum(map(hash, wanted)):
            continue
        found = {
            (names.get(key_id, "?"), *rest)
            for key_id, *rest in connection.execute(select(*columns[1:]).where(term.c.run_id == row.id))
        }
        yield row.uid, sorted({str(one[0]) for one in wanted ^ found})[:_SHOWN]


def _documents(row: Any) -> tuple[Any, Any]:
    return decode(row.start), None if row.stop is None else decode(row.stop)


def _streamed(connection: Connection, query: Any) -> Any:
    return connection.execute(query, execution_options={"yield_per": _AT_ONCE})


def reindex(store: Store) -> list[str]:
    """Write the terms anew of such runs as have others than their documents say.

    Parameters
    ----------
    store : Store

    Returns
    -------
    list of str
        The uids of these runs.

    Raises
    ------
    NotWritable
        When the store cannot be written to.
    """
    from sqlalchemy import select

    run, term = tables.run, tables.term
    if not store.check_version():
        return []
    with store.database.read() as connection:
        uids = [uid for uid, _ in wrong_terms(connection)]
    for uid in uids:
        with store.write() as connection:
            row = connection.execute(
                select(run.c.id, run.c.time, run.c.start, run.c.stop).where(run.c.uid == uid).with_for_update()
            ).one_or_none()
            if row is not None:
                connection.execute(term.delete().where(term.c.run_id == row.id))
                index_run(connection, row.id, row.time, *_documents(row))
    return uids
