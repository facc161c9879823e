"""Sets of runs as bits, one for each id, where they are too large to be listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, Text, cast, func, select

from databroker_like.store._schema import run, term
from databroker_like.store._search_sets import Both, Bounds, Either, Pieces, Set, Span, Without

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Bits", "bits", "ids_of", "joined", "length_of", "split"]

#: What is spread over less than such a part of all times is told from the rest by its times.
_NEAR = 0.75


@dataclass(frozen=True)
class Bits:
    """Which runs are in a set, or, turned round, which are not; so no set needs to know all runs.

    Parameters
    ----------
    array : ndarray of bool
        By id.
    is_turned : bool
    times : Bounds, optional
        Between which the runs in the set began, where that is known.
    """

    array: np.ndarray
    is_turned: bool
    times: Bounds | None = None

    def __contains__(self, run_id: int) -> bool:
        # A run recorded since has an id behind all others, and is not looked at.
        return run_id < len(self.array) and bool(self.array[run_id]) is not self.is_turned

    def of(self, ids: np.ndarray) -> np.ndarray:
        """Those of some ids that are in the set."""
        ids = ids[ids < len(self.array)]
        chosen = self.array[ids]
        return ids[~chosen if self.is_turned else chosen]

    def turned(self) -> Bits:
        """Everything else."""
        return Bits(self.array, not self.is_turned)

    def __and__(self, other: Bits) -> Bits:
        if self.is_turned and other.is_turned:
            return Bits(self.array | other.array, True)
        if self.is_turned:
            return Bits(other.array & ~self.array, False)
        return Bits(self.array & (~other.array if other.is_turned else other.array), False)

    def __or__(self, other: Bits) -> Bits:
        return (self.turned() & other.turned()).turned()

    def count(self, total: int) -> int:
        """How many of all runs, of which there are ``total``."""
        import numpy as np

        found = int(np.count_nonzero(self.array))
        return total - found if self.is_turned else found

    def indexes(self) -> np.ndarray:
        """The ids of the runs in the set, in order; of a set turned round, also ids that no run has."""
        import numpy as np

        return np.flatnonzero(~self.array if self.is_turned else self.array)


def bits(connection: Connection, of: Set, length: int, known: dict[Set, Bits], *, timed: bool = False) -> Bits:
    """Read a set from the index.

    Parameters
    ----------
    connection : Connection
    of : Set
    length : int
        One more than the greatest id.
    known : dict
        What was read before, which is added to.
    timed : bool
        Whether it is worth a little to know between which times the runs began, where that is a part of all times;
        False by default.

    Returns
    -------
    Bits
    """
    import numpy as np

    found = known.get(of)
    if found is not None:
        return found
    if isinstance(of, Without):
        found = bits(connection, of.set, length, known).turned()
    elif isinstance(of, Both):
        found = _in_both(connection, of, length, known)
    elif isinstance(of, Either):
        found, *parts = [bits(connection, part, length, known) for part in of.sets]
        for part in parts:
            found = found | part
    elif isinstance(of, Pieces):
        array = np.zeros(length, bool)
        times: list[float] = []
        # Elsewhere the statements of a transaction see what was committed between them, and so may times have changed.
        is_timed = timed and connection.dialect.name == "sqlite" and _seem_near(connection, of)
        for span in of.spans:
            ids, ends = _timed(connection, span) if is_timed else (ids_of(connection, span.select("run_id")), ())
            array[ids[ids < length]] = True
            times += ends
        found = Bits(array, False, Bounds(None, min(times), max(times)) if times else None)
    else:
        found = Bits(np.zeros(length, bool), True)
    known[of] = found
    return found


def _in_both(connection: Connection, of: Both, length: int, known: dict[Set, Bits]) -> Bits:
    """What is in several sets; of those that lie in order of time, that is read which can be in the others, too."""
    last = [part for part in of.sets if isinstance(part, Pieces) and all(span.is_point for span in part.spans)]
    first = [part for part in of.sets if part not in last]
    parts = [bits(connection, part, length, known, timed=bool(last)) for part in first]
    times = tuple(dict.fromkeys(part.times for part in parts if part.times is not None))
    parts += [bits(connection, part.within(times), length, known) for part in last]
    found = parts[0]
    for part in parts[1:]:
        found = found & part
    return Bits(found.array, found.is_turned, times[0] if times else None)


def _seem_near(connection: Connection, pieces: Pieces) -> bool:
    """Whether runs seem to have begun in a part of all times, by those with the least and the greatest values."""
    place = (term.c.kind, term.c.num, term.c.txt)
    found: list[float] = []
    for span in pieces.spans:
        bounds = [one for one in (span.num, span.txt) if one is not None and one.points is not None]
        if isinstance(span.key, str) or span.times or any(len(one.points or ()) > 1 for one in bounds):
            return False
        for order in (place, [column.desc() for column in place]):
            found += connection.execute(span.select("time").order_by(*order).limit(1)).scalars()
    ends = (select(end(run.c.time)).scalar_subquery() for end in (func.min, func.max))
    first, last = connection.execute(select(*ends)).one()
    return bool(found) and max(found) - min(found) < _NEAR * (last - first)


def _timed(connection: Connection, span: Span) -> tuple[np.ndarray, tuple[float, ...]]:
    """The ids of some rows of the index, and between which times the runs began; of no rows, no times."""
    run_id, time = span.select("run_id", "time").subquery().c
    asked = select(joined(connection, run_id), func.min(time), func.max(time))
    text, *ends = connection.execute(asked).one()
    return split(text), tuple(ends) if text else ()


def length_of(connection: Connection) -> int:
    """How many bits there must be for all runs: one more than the greatest id.

    Parameters
    ----------
    connection : Connection

    Returns
    -------
    int
    """
    return 1 + int(connection.execute(select(func.max(run.c.id))).scalar() or 0)


def ids_of(connection: Connection, query: Select[Any]) -> np.ndarray:
    """The ids that a query of one column finds, in its order.

    Parameters
    ----------
    connection : Connection
    query : Select

    Returns
    -------
    ndarray of int64
    """
    rows = query.subquery()
    return split(connection.execute(select(joined(connection, next(iter(rows.c))))).scalar())


def joined(connection: Connection, column: Any) -> Any:
    """Many ids as one text; to hand over a million rows one by one costs five times as much.

    Parameters
    ----------
    connection : Connection
    column : ColumnElement

    Returns
    -------
    ColumnElement
    """
    if connection.dialect.name == "sqlite":
        return func.group_concat(column)
    return func.string_agg(cast(column, Text), ",")


def split(text: str | None) -> np.ndarray:
    """The ids in such a text.

    Parameters
    ----------
    text : str or None

    Returns
    -------
    ndarray of int64
    """
    import numpy as np

    return np.fromstring(text, np.int64, sep=",") if text else np.empty(0, np.int64)
