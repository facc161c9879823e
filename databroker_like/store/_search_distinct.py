"""The different values at a key of many runs, each with how many runs have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from databroker_like.queries import And, Eq, Everything, Node, Tally, in_order, searched
from databroker_like.queries import _values as values
from databroker_like.store import _terms as terms
from databroker_like.store._schema import run, term
from databroker_like.store._search import count, heads
from databroker_like.store._search_bits import Bits, ids_of, joined, length_of, split
from databroker_like.store._search_plan import Planner
from databroker_like.store._search_sets import Pieces
from databroker_like.store._searching import Search

__all__ = ["distinct"]

Decode = Callable[[bytes], Mapping[str, Any]]

#: Kinds of rows that do not tell the value.
_UNTOLD = (terms.BIG, terms.LONG, terms.OTHER, terms.DICT, terms.NESTED)
#: Kinds that are no values of their own.
_FRAMES = (terms.LIST, terms.MANY)
#: Of so many whole numbers is a document asked whether it has 1 or 1.0.
_ASKED = 1_000


def distinct(connection: Connection, key: str, query: Node, *, decode: Decode) -> list[tuple[Any, int]]:
    """The different values at a key, each with how many of the matching runs have it.

    Parameters
    ----------
    connection : Connection
    key : str
        Dotted key.
    query : Node
    decode : callable
        A function of the encoded document.

    Returns
    -------
    list of (value, int)
        As `databroker_like.queries.Tally` counts: the most frequent first, then by value.
    """
    if not terms.is_told(key):
        tally = Tally(key)
        for _, start, stop in heads(connection, query, decode=decode):
            tally.add(searched(decode(start), None if stop is None else decode(stop)))
        return tally.counts()
    tally = Tally(key)
    known = Planner(connection).key(key)
    chosen = None if isinstance(query, Everything) else Search(connection, query, decode).matching()
    odd = known.pieces([(kind, None, None) for kind in _UNTOLD])
    if odd.spans:
        chosen = _without_odd(connection, odd, chosen, tally, decode)
    counted: dict[Any, list[Any]] = {}
    for value, number in tally.counts():
        # What is missing is counted below, for all runs at once.
        if value is not None:
            counted[values.rank(value)] = [value, number]
    if known.id is not None:
        for value, number in _groups(connection, known.id, chosen, key, decode):
            counted.setdefault(values.rank(value), [value, 0])[1] += number
    none = count(connection, And(query, Eq(key, None)), decode=decode)
    pairs = [(value, number) for value, number in counted.values()]
    return in_order([*pairs, (None, none)] if none else pairs)


def _without_odd(connection: Connection, odd: Pieces, chosen: Bits | None, tally: Tally, decode: Decode) -> Bits:
    """Count the runs of which the index does not know the values by their documents, and take them out."""
    import numpy as np

    found = [ids_of(connection, span.select("run_id")) for span in odd.spans]
    ids = np.unique(np.concatenate(found))
    chosen = Bits(np.zeros(length_of(connection), bool), True) if chosen is None else chosen
    array = np.zeros(len(chosen.array), bool)
    array[ids[ids < len(array)]] = True
    mine = chosen.of(ids)
    for first in range(0, len(mine), 250):
        some = mine[first : first + 250].tolist()
        for start, stop in connection.execute(select(run.c.start, run.c.stop).where(run.c.id.in_(some))):
            tally.add(searched(decode(start), None if stop is None else decode(stop)))
    return chosen & Bits(array, True)


def _groups(connection: Connection, key: int, chosen: Bits | None, name: str, decode: Decode) -> list[tuple[Any, int]]:
    """Value and number of runs, for each kind of row that tells the value; None is left out."""
    columns = (term.c.kind, term.c.num, term.c.txt)
    left_out = [kind + more for kind in (*_UNTOLD, *_FRAMES, terms.NULL) for more in (0, terms.SEVERAL)]
    query = select(*columns, func.min(term.c.run_id)).where(term.c.key_id == key, term.c.kind.not_in(left_out))
    rows: list[tuple[Any, ...]]
    if chosen is None:
        rows = [tuple(row) for row in connection.execute(query.add_columns(func.count()).group_by(*columns))]
    else:
        rows = _chosen_groups(connection, key, left_out, chosen)
    is_few = len(rows) <= _ASKED
    found = []
    for kind, num, txt, run_id, number in rows:
        value = _value(kind % terms.SEVERAL, num, txt)
        if type(value) is int and is_few:
            value = _as_written(connection, run_id, name, value, decode)
        found.append((value, number))
    return found


def _chosen_groups(connection: Connection, key: int, left_out: list[int], chosen: Bits) -> list[tuple[Any, ...]]:
    columns = (term.c.kind, term.c.num, term.c.txt)
    query = select(*columns, joined(connection, term.c.run_id))
    query = query.where(term.c.key_id == key, term.c.kind.not_in(left_out)).group_by(*columns)
    found: list[tuple[Any, ...]] = []
    for *group, text in connection.execute(query):
        mine = chosen.of(split(text))
        if len(mine):
            found.append((*group, int(mine[0]), len(mine)))
    return found


def _value(kind: int, num: float, txt: str) -> Any:
    if kind == terms.TEXT:
        return txt
    if kind == terms.BOOL:
        return bool(num)
    if kind == terms.NAN:
        return float("nan")
    # Such a number is almost always a whole one that was written as one.
    return int(num) if num.is_integer() else num


def _as_written(connection: Connection, run_id: int, key: str, value: int, decode: Decode) -> Any:
    """The number as a run has it: 1 or 1.0."""
    row = connection.execute(select(run.c.start, run.c.stop).where(run.c.id == run_id)).first()
    if row is None:
        return value
    document = searched(decode(row[0]), None if row[1] is None else decode(row[1]))
    for found in values.found_at(document, key.split(".")):
        for member in found if type(found) is list else (found,):
            if type(member) in (int, float) and member == value:
                return member
    return value
