"""Sets of runs as bits, one for each id, where they are too large to be listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, Text, cast, func, select

from databroker_like.store._schema import run
from databroker_like.store._search_sets import Both, Either, Pieces, Set, Without

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Bits", "bits", "ids_of", "joined", "length_of", "split"]


@dataclass(frozen=True)
class Bits:
    """Which runs are in a set, or, turned round, which are not; so no set needs to know all runs.

    Parameters
    ----------
    array : ndarray of bool
        By id.
    is_turned : bool
    """

    array: np.ndarray
    is_turned: bool

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


def bits(connection: Connection, of: Set, length: int, known: dict[Set, Bits]) -> Bits:
    """Read a set from the index.

    Parameters
    ----------
    connection : Connection
    of : Set
    length : int
        One more than the greatest id.
    known : dict
        What was read before, which is added to.

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
    elif isinstance(of, Both | Either):
        parts = [bits(connection, part, length, known) for part in of.sets]
        found = parts[0]
        for part in parts[1:]:
            found = found & part if isinstance(of, Both) else found | part
    elif isinstance(of, Pieces):
        array = np.zeros(length, bool)
        for span in of.spans:
            ids = ids_of(connection, span.select("run_id"))
            array[ids[ids < length]] = True
        found = Bits(array, False)
    else:
        found = Bits(np.zeros(length, bool), True)
    known[of] = found
    return found


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
