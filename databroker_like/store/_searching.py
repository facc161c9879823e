"""The way to the runs that match a query, which depends on how many there are.

The index answers as far as it can (see `databroker_like.store._search_plan`), the documents of the runs that are left
say the rest. Few runs are listed; of many the newest are looked at, in the hope that enough of them match; and what is
neither is read as bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Connection, func, literal, select, tuple_

from databroker_like.queries import Node, searched
from databroker_like.store._marks import marks
from databroker_like.store._schema import run
from databroker_like.store._search_bits import Bits, bits, ids_of, length_of
from databroker_like.store._search_plan import Key, Planner
from databroker_like.store._search_sets import ALL, Both, Either, Pieces, Set, Without, both

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Search", "rows_of"]

Decode = Callable[[bytes], Mapping[str, Any]]

#: So many runs are listed, and their documents read when the index alone does not answer.
FEW = 1_000
#: So many are sorted rather than looked for among all.
SORTED = 5_000
#: So many of the newest runs are looked at first, and as many as the second number when some of them match.
FIRST, THEN = 64, 256
#: How many rows are read at a time: of ids and uids, of documents, and of ids alone.
PAGE, DOCUMENTS, IDS = 5_000, 250, 100_000


class Search:
    """One search on one connection.

    Parameters
    ----------
    connection : Connection
    query : Node
    decode : callable
        A function of the encoded document.
    """

    def __init__(self, connection: Connection, query: Node, decode: Decode) -> None:
        self._connection = connection
        self._matches = query.matches
        self._decode = decode
        self._planner = Planner(connection)
        self._plan = self._planner.plan(query)
        self._bits: dict[Set, Bits] = {}
        self._length: int | None = None

    @property
    def is_everything(self) -> bool:
        """Whether all runs match."""
        return self._plan.certain == ALL

    def key(self, name: str) -> Key:
        """What the index knows of a dotted key."""
        return self._planner.key(name)

    # -- in order

    def pages(self, newest_first: bool, skip: int, limit: int | None) -> Iterator[list[tuple[int, str]]]:
        """The id and uid of each run that matches, in order, many at a time."""
        wanted = None if limit is None else skip + limit
        left = limit
        if self._plan.certain == ALL:
            ordered, skip = self._everything(newest_first, skip, limit), 0
        else:
            ordered = self._ordered(newest_first, wanted)
        for page in ordered:
            if skip >= len(page):
                skip -= len(page)
                continue
            some = page[skip:] if left is None else page[skip : skip + left]
            skip = 0
            if some:
                yield some
            if left is not None:
                left -= len(some)
                if not left:
                    return

    def _ordered(self, newest_first: bool, wanted: int | None) -> Iterator[list[tuple[int, str]]]:
        """The runs that match, up to the number that is wanted or a few more."""
        plan = self._plan
        if wanted == 0 or plan.possible == Pieces(()):
            return
        exact = plan.certain if plan.is_exact and isinstance(plan.certain, Pieces) else None
        if wanted is not None and exact is not None and all(span.is_point for span in exact.spans):
            yield self._top(exact, newest_first, wanted)
            return
        few = self._listed(plan.possible)
        if few is not None:
            yield self._sorted(few if self._is_told(plan.possible) else self._checked(few), newest_first)
            return
        found = None if wanted is None or wanted > THEN else self._first(newest_first, wanted)
        if found is None and exact is not None and wanted is not None:
            found = self._top(exact, newest_first, wanted)
        if found is None and wanted is not None:
            found = self._along(newest_first, wanted)
        if found is None:
            yield from self._by_bits(newest_first, wanted)
        else:
            yield found

    def _everything(self, newest_first: bool, skip: int, limit: int | None) -> Iterator[list[tuple[int, str]]]:
        for rows in self._walk(newest_first, first=FIRST if limit is None else limit, skip=skip):
            yield [(row[0], row[2]) for row in rows]

    def _walk(
        self, newest_first: bool, *, first: int, skip: int = 0, columns: tuple[Any, ...] = ()
    ) -> Iterator[list[Any]]:
        """All runs in order, many at a time: id, time, uid and other columns."""
        size, last = min(first, PAGE), None
        while size:
            query = self._in_order(newest_first, last, columns).limit(size).offset(0 if last else skip)
            rows = self._connection.execute(query).all()
            yield list(rows)
            if len(rows) < size:
                return
            size, last = min(4 * size, PAGE), rows[-1]

    @staticmethod
    def _in_order(newest_first: bool, last: Any | None, columns: tuple[Any, ...] = ()) -> Any:
        place = (run.c.time, run.c.uid)
        query = select(run.c.id, *place, *columns)
        query = query.order_by(*(column.desc() for column in place) if newest_first else place)
        if last is None:
            return query
        there = tuple_(literal(last[1], run.c.time.type), literal(last[2], run.c.uid.type))
        return query.where(tuple_(*place) < there if newest_first else tuple_(*place) > there)

    def _first(self, newest_first: bool, wanted: int) -> list[tuple[int, str]] | None:
        """As many as are wanted out of the first runs of all; None when these are not enough."""
        found: list[tuple[int, str]] = []
        seen = 0
        for rows in self._walk(newest_first, first=FIRST, columns=(run.c.start, run.c.stop)):
            found += [(row[0], row[2]) for row in rows if self._does_match(row[3], row[4])]
            seen += len(rows)
            if len(found) >= wanted:
                return found
            if seen >= THEN or not found:
                break
        return None

    def _top(self, pieces: Pieces, newest_first: bool, wanted: int) -> list[tuple[int, str]]:
        """The first runs of some rows of the index."""
        size = wanted + 20
        while True:
            found: dict[int, float] = {}
            horizons = []
            for span in pieces.spans:
                rows = self._connection.execute(span.select_first(size, newest_first)).all()
                found.update((row[0], row[1]) for row in rows)
                if len(rows) == size:
                    horizons.append(rows[-1][1])
            if horizons and newest_first:
                found = {number: time for number, time in found.items() if time > max(horizons)}
            elif horizons:
                found = {number: time for number, time in found.items() if time < min(horizons)}
            # Where many began at the same time, their uids decide, and all of them must be known.
            if not horizons or len(found) >= wanted:
                return self._sorted(found, newest_first)
            size *= 8

    def _by_bits(self, newest_first: bool, wanted: int | None) -> Iterator[list[tuple[int, str]]]:
        certain, possible = self._read(self._plan.certain), self._read(self._plan.possible)
        ids = possible.indexes()
        if len(ids) <= SORTED:
            yield self._sorted(self._decided(ids, certain), newest_first)
        elif wanted is None:
            for rows in self._walk(newest_first, first=PAGE):
                uids = {row[0]: row[2] for row in rows}
                yield [(number, uids[number]) for number in self._decided(possible.of(_array(uids)), certain)]
        else:
            for page in self.ids(newest_first, first=8 * wanted):
                some = possible.of(page)
                # More are not looked at than are wanted.
                for first in range(0, len(some), wanted):
                    matching = self._decided(some[first : first + wanted], certain)
                    uids = {row[0]: row[1] for row in rows_of(self._connection, matching, run.c.uid)}
                    yield [(number, uids[number]) for number in matching if number in uids]

    def _along(self, newest_first: bool, wanted: int) -> list[tuple[int, str]] | None:
        """The first runs that are in a set that lies in order and in all others; None when there is no such set."""
        possible = self._plan.possible
        if not isinstance(possible, Both) or not self._plan.is_exact:
            return None
        lying = [one for one in possible.sets if isinstance(one, Pieces) and len(one.spans) == 1]
        lying = [one for one in lying if one.spans[0].is_point]
        if not lying:
            return None
        others = self._read(both(one for one in possible.sets if one != lying[0]), timed=True)
        (span,) = lying[0].within(() if others.times is None else (others.times,)).spans
        found: list[int] = []
        last: Any = None
        size = 8 * wanted
        while True:
            page = ids_of(self._connection, span.select_next("run_id", newest_first, last).limit(size))
            found += others.of(page).tolist()
            is_all = len(page) < size
            last = None if is_all else self._place(page)
            if is_all or len(found) >= wanted:
                first = self._first_of(found, newest_first, wanted, None if is_all else last[1])
                if first is not None:
                    return first
            size = min(4 * size, IDS)

    def _first_of(
        self, ids: list[int], newest_first: bool, wanted: int, horizon: float | None
    ) -> list[tuple[int, str]] | None:
        """The first of some runs that are in order of time; None when more of the same time may be behind the horizon.

        Where many began at the same time, their uids decide, and all of them must be known.
        """
        most = 2 * wanted
        while True:
            rows = self._timed(ids[:most], newest_first)
            last_wanted = rows[wanted - 1][0] if len(rows) >= wanted else None
            if horizon is not None and last_wanted in (None, horizon):
                return None
            if most >= len(ids) or rows[-1][0] != last_wanted:
                return [(number, uid) for _, uid, number in rows]
            most *= 4

    def ids(self, newest_first: bool, *, first: int) -> Iterator[np.ndarray]:
        """The ids of all runs in order, many at a time, and more each time."""
        size, last = min(first, IDS), None
        while True:
            page = ids_of(self._connection, self._in_order(newest_first, last).with_only_columns(run.c.id).limit(size))
            yield page
            if len(page) < size:
                return
            last = self._place(page)
            size = min(4 * size, IDS)

    def _place(self, page: np.ndarray) -> Any:
        """The id, time and uid of the last run of a page; of one before, when that has been deleted since."""
        place = select(run.c.id, run.c.time, run.c.uid)
        ids = page[::-1].tolist()
        return next(row for number in ids for row in self._connection.execute(place.where(run.c.id == number)))

    # -- counted

    def count(self) -> int:
        """How many match."""
        plan = self._plan
        if plan.certain == ALL:
            return self.total()
        few = self._listed(plan.possible)
        if few is not None:
            return len(few if self._is_told(plan.possible) else self._checked(few))
        if plan.is_exact:
            turned = isinstance(plan.certain, Without)
            pieces = plan.certain.set if isinstance(plan.certain, Without) else plan.certain
            if isinstance(pieces, Pieces) and pieces.is_counted_by_rows:
                rows = sum(map(self._count_rows, pieces.spans))
                return self.total() - rows if turned else rows
        matching = self.matching()
        # To count all runs takes a quarter as long as to read both of two large sets.
        return matching.count(self.total() if matching.is_turned else 0)

    def matching(self) -> Bits:
        """The runs that match, as bits."""
        certain, possible = self._read(self._plan.certain), self._read(self._plan.possible)
        if self._plan.is_exact:
            return certain
        array = certain.array.copy()
        array[self._checked((possible & certain.turned()).indexes())] = not certain.is_turned
        return Bits(array, certain.is_turned)

    def total(self) -> int:
        """How many runs there are."""
        return int(self._connection.execute(select(func.count()).select_from(run)).scalar_one())

    def _count_rows(self, span: Any) -> int:
        query = span.select("run_id").with_only_columns(func.count(), maintain_column_froms=True)
        return int(self._connection.execute(query).scalar_one())

    # -- few, and what is between certain and possible

    def _is_told(self, of: Set) -> bool:
        """Whether the runs that are listed for a set are just those that match."""
        parts = of.sets if isinstance(of, Either) else (of,)
        return self._plan.is_exact and all(isinstance(part, Pieces) for part in parts)

    def _listed(self, of: Set) -> set[int] | None:
        """All runs of a set, or some more; None when there are many, or not known to be few."""
        if isinstance(of, Pieces):
            found: set[int] = set()
            for span in of.spans:
                rows = self._connection.execute(span.select("run_id").limit(FEW + 1)).scalars().all()
                found.update(rows)
                if len(rows) > FEW or len(found) > FEW:
                    return None
            return found
        if isinstance(of, Either):
            parts = [self._listed(part) for part in of.sets]
            several = [part for part in parts if part is not None]
            union = set().union(*several)
            return union if len(several) == len(parts) and len(union) <= FEW else None
        if isinstance(of, Both):
            several = [part for part in map(self._listed, of.sets) if part is not None]
            return min(several, key=len) if several else None
        return None

    def _decided(self, ids: np.ndarray, certain: Bits) -> list[int]:
        """Those of possible runs that match, in the same order."""
        if self._plan.is_exact:
            found: list[int] = ids.tolist()
            return found
        sure = set(certain.of(ids).tolist())
        unsure = [number for number in ids.tolist() if number not in sure]
        sure.update(self._checked(unsure))
        return [number for number in ids.tolist() if number in sure]

    def _checked(self, ids: Iterable[int]) -> list[int]:
        """Those runs whose documents match."""
        rows = rows_of(self._connection, ids, run.c.start, run.c.stop)
        return [row[0] for row in rows if self._does_match(row[1], row[2])]

    def _does_match(self, start: bytes, stop: bytes | None) -> bool:
        return self._matches(searched(self._decode(start), None if stop is None else self._decode(stop)))

    def _sorted(self, ids: Iterable[int], newest_first: bool) -> list[tuple[int, str]]:
        return [(number, uid) for _, uid, number in self._timed(ids, newest_first)]

    def _timed(self, ids: Iterable[int], newest_first: bool) -> list[tuple[float, str, int]]:
        """Time, uid and id of runs, in order."""
        rows = rows_of(self._connection, ids, run.c.time, run.c.uid)
        return sorted(((row[1], row[2], row[0]) for row in rows), reverse=newest_first)

    def length(self) -> int:
        """How many bits there are for all runs."""
        if self._length is None:
            self._length = length_of(self._connection)
        return self._length

    def _read(self, of: Set, *, timed: bool = False) -> Bits:
        return bits(self._connection, of, self.length(), self._bits, timed=timed)


def rows_of(connection: Connection, ids: Iterable[int], *columns: Any) -> Iterator[Any]:
    """The id and some columns of runs, in any order; of those that are there.

    Parameters
    ----------
    connection : Connection
    ids : iterable of int
    *columns : Column
        Of the table of runs; or ``null()``.

    Returns
    -------
    iterator of row
    """
    left = [int(number) for number in ids]
    named = ", ".join(f'"{column.name}"' if isinstance(column, Column) else "NULL" for column in (run.c.id, *columns))
    for first in range(0, len(left), DOCUMENTS):
        some = tuple(left[first : first + DOCUMENTS])
        asked = f"SELECT {named} FROM run WHERE id IN ({marks(connection, len(some))})"  # noqa: S608  names of columns
        yield from connection.exec_driver_sql(asked, some).all()


def _array(ids: Iterable[int]) -> np.ndarray:
    import numpy as np

    return np.fromiter(ids, np.int64)
