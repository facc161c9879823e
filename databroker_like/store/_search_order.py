"""Runs of a store in the order of what stands at keys of them, page by page, walked along the index.

The rows of the index at a key lie in the order of its values, and equals in the order of time. So a page of all runs
costs what it is long, wherever it is; of those that a search found, what lies before it is walked over. What the index
does not know in full is asked of the documents, and put in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, null, select

from databroker_like.queries import Node, in_order_of, ranks, searched
from databroker_like.queries._values import rank
from databroker_like.store import _terms as terms
from databroker_like.store._schema import run, term
from databroker_like.store._search_bits import Bits, ids_of
from databroker_like.store._search_plan import Key
from databroker_like.store._searching import FEW, Search, rows_of

if TYPE_CHECKING:
    import numpy as np

__all__ = ["SortedSearch"]

Decode = Callable[[bytes], Mapping[str, Any]]
Sorting = Sequence[tuple[str, int]]
#: What runs are ordered by, and the ids of those that have it; of very many, where they lie in the index.
Group = tuple[Any, "list[int] | Many"]
Others = tuple[Any, list[int]]

#: Kinds of rows that say all there is to know, in the order of their values.
_TOLD = (terms.NAN, terms.NUMBER, terms.TEXT, terms.BOOL)
#: Kinds of rows that say there is something, and not all of it.
_UNTOLD = (terms.BIG, terms.LONG, terms.OTHER, terms.DICT, terms.LIST, terms.MANY)
#: Of so many runs are the documents asked; where there are more, of all.
_MOST_UNTOLD = 5_000
#: How many rows of the index are read at a time, the first time and at the most.
_FIRST, _ROWS = 256, 8_192


class SortedSearch:
    """One search on one connection, in the order of some keys.

    Parameters
    ----------
    connection : Connection
    query : Node
    decode : callable
        A function of the encoded document.
    by : sequence of (str, int)
        Dotted keys of the searched document, each with 1 or -1.
    newest_first : bool
        In which order of time equals are.
    """

    def __init__(self, connection: Connection, query: Node, decode: Decode, by: Sorting, newest_first: bool) -> None:
        self._connection = connection
        self._decode = decode
        self._search = Search(connection, query, decode)
        self._by = tuple(by)
        self._newest_first = newest_first

    def pages(self, skip: int, limit: int | None) -> Iterator[list[int]]:
        """The ids of the runs, in order, some at a time.

        Parameters
        ----------
        skip, limit : int
            Which of them; None for all.

        Returns
        -------
        iterator of list of int
        """
        window = _Window(skip, limit)
        chosen = None if self._search.is_everything else self._search.matching()
        for ids in self._ordered(chosen, 0, window):
            if ids:
                yield ids
            if window.is_full:
                return

    # -- by one key after the other

    def _ordered(self, chosen: Bits | None, at: int, window: _Window) -> Iterator[list[int]]:
        """Those of some runs that are in the window, by the keys from a position on."""
        if window.is_full:
            return
        if chosen is not None:
            number = chosen.count(self._search.total() if chosen.is_turned else 0)
            if window.passes(number):
                return
            if number <= FEW:
                yield window.take(self._by_documents(self._ids_in(chosen), at))
                return
        if at == len(self._by):
            for page in self._search.ids(self._newest_first, first=_FIRST):
                yield window.take((page if chosen is None else chosen.of(page)).tolist())
                if window.is_full:
                    return
            return
        name, direction = self._by[at]
        if name == "uid":
            order = run.c.uid if direction > 0 else run.c.uid.desc()
            query = select(run.c.id).order_by(order)
            if chosen is None and window.left is not None:
                query = query.limit(window.skip + window.left)
            ids = ids_of(self._connection, query)
            yield window.take((ids if chosen is None else chosen.of(ids)).tolist())
            return
        key = self._search.key(name)
        untold = self._untold(key)
        if not terms.is_told(name) or len(untold) > _MOST_UNTOLD:
            yield window.take(self._by_documents(None if chosen is None else self._ids_in(chosen), at))
        else:
            yield from self._along(chosen, at, key, untold, window)

    def _along(self, chosen: Bits | None, at: int, key: Key, untold: list[int], window: _Window) -> Iterator[list[int]]:
        """Those in the window, as the index has them; and last those that have nothing at the key."""
        direction = self._by[at][1]
        others = self._groups_of_documents(untold, at)
        for told in self._kinds(key, direction):
            start = None
            if chosen is None and not others:
                if window.skip and window.passes(told.count()):
                    continue
                if window.skip:
                    # Straight to the value at which the window begins.
                    start = told.value_at(window.skip)
                    window.passes(told.count_before(start))
            groups = _between(told.groups(start, _FIRST + (window.left or _ROWS)), others, direction)
            yield from self._some(groups, chosen, at, window)
            if window.is_full:
                return
        yield from self._some(iter(others), chosen, at, window)
        if not window.is_full:
            yield from self._ordered(self._without(chosen, key, untold, at), at + 1, window)

    def _some(self, groups: Iterator[Group], chosen: Bits | None, at: int, window: _Window) -> Iterator[list[int]]:
        """Those of the runs in some groups that are in the window, each group in order of the keys that are left."""
        waiting: list[list[int]] = []
        number = 0
        for _, group in groups:
            if isinstance(group, Many):
                yield from self._in_groups(waiting, at, window)
                waiting, number = [], 0
                yield from self._in_many(group, chosen, at, window)
                if window.is_full:
                    return
                continue
            ids = group if chosen is None else [each for each in group if each in chosen]
            if len(ids) > FEW:
                yield from self._in_groups(waiting, at, window)
                waiting, number = [], 0
                yield from self._ordered(self._bits(ids), at + 1, window)
            elif ids and (waiting or not window.passes(len(ids))):
                waiting.append(ids)
                number += len(ids)
                if number >= _ROWS or (window.left is not None and number >= window.skip + window.left):
                    yield from self._in_groups(waiting, at, window)
                    waiting, number = [], 0
            if window.is_full:
                return
        yield from self._in_groups(waiting, at, window)

    def _in_many(self, many: Many, chosen: Bits | None, at: int, window: _Window) -> Iterator[list[int]]:
        """Those of a large group that are in the window."""
        if window.is_full:
            return
        if chosen is None and at + 1 == len(self._by) and window.left is not None and not many.others:
            if not (window.skip and window.passes(many.count())):
                # They lie in order of time; of one time all are needed, for their uids decide.
                ids, before = many.page(window.skip, window.left, self._newest_first)
                window.passes(before)
                yield window.take(self._by_documents(ids, at + 1))
            return
        mine = self._bits(many.ids())
        yield from self._ordered(mine if chosen is None else chosen & mine, at + 1, window)

    def _in_groups(self, groups: list[list[int]], at: int, window: _Window) -> Iterator[list[int]]:
        """Small groups one after the other; the documents of those that have several runs are read together."""
        several = [number for ids in groups if len(ids) > 1 for number in ids]
        place = {number: n for n, number in enumerate(self._by_documents(several, at + 1))} if several else {}
        found = [number for ids in groups for number in (sorted(ids, key=place.__getitem__) if len(ids) > 1 else ids)]
        yield window.take(found)

    # -- by documents

    def _by_documents(self, ids: Iterable[int] | None, at: int) -> list[int]:
        """Some runs, or all, by the keys from a position on, and then by time."""
        by = self._by[at:]
        # Stop documents are read only where one decides.
        stop = run.c.stop if any(key.partition(".")[0] == "stop" for key, _ in by) else null()
        columns = (run.c.time, run.c.uid, *((run.c.start, stop) if by else ()))
        if ids is None:
            rows: Iterable[Any] = self._connection.execute(select(run.c.id, *columns))
        else:
            rows = rows_of(self._connection, ids, *columns)
        if not by:
            return [row[0] for row in sorted(rows, key=lambda row: (row[1], row[2]), reverse=self._newest_first)]
        ranked = [(row[1], row[2], row[0], ranks(self._document(row[3], row[4]), by)) for row in rows]
        ranked.sort(key=lambda one: (one[0], one[1]), reverse=self._newest_first)
        return in_order_of(by, ((number, found) for _, _, number, found in ranked))

    def _groups_of_documents(self, ids: list[int], at: int) -> list[Others]:
        """The runs of which the index does not say all, by what they have at the key; those with nothing left out."""
        if not ids:
            return []
        by = self._by[at : at + 1]
        rows = rows_of(self._connection, ids, run.c.start, run.c.stop)
        found = [(ranks(self._document(row[1], row[2]), by)[0], row[0]) for row in rows]
        found = sorted((one for one in found if one[0] is not None), key=lambda one: one[0], reverse=by[0][1] < 0)
        return [(value, [number for _, number in some]) for value, some in groupby(found, key=lambda one: one[0])]

    def _document(self, start: bytes, stop: bytes | None) -> Mapping[str, Any]:
        return searched(self._decode(start), None if stop is None else self._decode(stop))

    # -- sets

    def _kinds(self, key: Key, direction: int) -> Iterator[_Told]:
        for kind in _TOLD[::direction]:
            if key.id is not None and kind in key.kinds:
                yield _Told(self._connection, key.id, kind, direction)

    def _untold(self, key: Key) -> list[int]:
        """The runs of which the index does not say all there is at a key, or more of them than are asked."""
        kinds = [kind for kind in _UNTOLD if kind in key.kinds]
        if not kinds:
            return []
        query = select(term.c.run_id).where(term.c.key_id == key.id, term.c.kind.in_(kinds)).limit(_MOST_UNTOLD + 1)
        return list(self._connection.execute(query).scalars())

    def _without(self, chosen: Bits | None, key: Key, untold: list[int], at: int) -> Bits:
        """Those of some runs that have nothing at a key."""
        there = [number for _, ids in self._groups_of_documents(untold, at) for number in ids]
        array = self._bits(there).array
        for told in self._kinds(key, 1):
            ids = told.ids()
            array[ids[ids < len(array)]] = True
        absent = Bits(array, True)
        return absent if chosen is None else chosen & absent

    def _bits(self, ids: Sequence[int] | np.ndarray) -> Bits:
        import numpy as np

        array = np.zeros(self._search.length(), bool)
        array[np.asarray(ids, np.int64)] = True
        return Bits(array, False)

    def _ids_in(self, chosen: Bits) -> list[int]:
        if chosen.is_turned:
            found = chosen.of(ids_of(self._connection, select(run.c.id)))
        else:
            found = chosen.indexes()
        ids: list[int] = found.tolist()
        return ids


class _Window:
    """Which of the runs are wanted: how many are to be passed over, and how many are left to be taken."""

    def __init__(self, skip: int, limit: int | None) -> None:
        self.skip = skip
        self.left = limit

    @property
    def is_full(self) -> bool:
        return self.left == 0

    def passes(self, number: int) -> bool:
        """Whether so many runs are all passed over; they are, then."""
        if number > self.skip:
            return False
        self.skip -= number
        return True

    def take(self, ids: list[int]) -> list[int]:
        """Those of the next runs that are wanted."""
        found = ids[self.skip :] if self.left is None else ids[self.skip : self.skip + self.left]
        self.skip = max(0, self.skip - len(ids))
        if self.left is not None:
            self.left -= len(found)
        return found


class _Told:
    """The rows of the index of one kind at a key, in the order of their values."""

    def __init__(self, connection: Connection, key: int, kind: int, direction: int) -> None:
        self._connection = connection
        self._kind = kind
        self._direction = direction
        self.value = term.c.txt if kind == terms.TEXT else term.c.num
        self._rows: tuple[Any, ...] = (term.c.key_id == key, term.c.kind == kind)
        # Of a text the number is zero; said so, the database finds its place among them.
        if kind == terms.TEXT:
            self._rows = (*self._rows, term.c.num == 0.0)

    def count(self, *more: Any) -> int:
        """How many there are."""
        query = select(func.count()).select_from(term).where(*self._rows, *more)
        return int(self._connection.execute(query).scalar_one())

    def count_before(self, value: Any) -> int:
        """How many there are before the first of a value."""
        return self.count(self.value < value if self._direction > 0 else self.value > value)

    def value_at(self, position: int) -> Any:
        """The value at a position."""
        query = select(self.value).where(*self._rows).order_by(*self._order()).offset(position).limit(1)
        return self._connection.execute(query).scalar_one()

    def times(self, value: Any, newest_first: bool, limit: int, skip: int = 0, start: Any = None) -> Sequence[Any]:
        """Time and id of runs that have a value, in order of time, from one time on."""
        place = (term.c.time, term.c.run_id)
        query = select(*place).where(*self._rows, self.value == value)
        if self._kind != terms.TEXT:  # said so, the database finds its place among them
            query = query.where(term.c.txt == "")
        if start is not None:
            query = query.where(term.c.time <= start if newest_first else term.c.time >= start)
        query = query.order_by(*(column.desc() for column in place) if newest_first else place)
        return self._connection.execute(query.offset(skip).limit(limit)).all()

    def ids(self, *more: Any) -> np.ndarray:
        """The runs, in order of time where they have the same value."""
        return ids_of(self._connection, select(term.c.run_id).where(*self._rows, *more))

    def groups(self, start: Any, first: int) -> Iterator[Group]:
        """What runs are ordered by, with the runs that have it; from a value on, or all."""
        size, last, begins = min(first, _ROWS), start, True
        while True:
            query = select(self.value, term.c.run_id).where(*self._rows).order_by(*self._order()).limit(size)
            if last is not None:
                query = query.where(self._beyond(last, begins))
            rows = self._connection.execute(query).all()
            if not rows:
                return
            last, begins = rows[-1][0], True
            if len(rows) < size:
                yield from self._grouped(rows)
                return
            whole = [row for row in rows if row[0] != last]
            if whole:
                yield from self._grouped(whole)
            else:
                # More runs have this value than were read; how many is not known.
                yield self._rank(last), Many(self, last)
                begins = False
            size = min(4 * size, _ROWS)

    def _grouped(self, rows: Sequence[Any]) -> Iterator[Group]:
        for value, some in groupby(rows, key=lambda row: row[0]):
            yield self._rank(value), [row[1] for row in some]

    def _rank(self, value: Any) -> Any:
        if self._kind == terms.NAN:
            return rank(float("nan"))
        return rank(bool(value) if self._kind == terms.BOOL else value)

    def _beyond(self, value: Any, begins: bool) -> Any:
        column = self.value
        if self._direction > 0:
            return column >= value if begins else column > value
        return column <= value if begins else column < value

    def _order(self) -> tuple[Any, ...]:
        columns = (term.c.num, term.c.txt, term.c.time, term.c.run_id)
        return columns if self._direction > 0 else tuple(column.desc() for column in columns)


class Many:
    """The runs that have one value, which are not read before they are needed.

    Parameters
    ----------
    told : rows of the index
    value : float or str
    others : list of int
        Runs that have the same value, of which the index does not say so.
    """

    def __init__(self, told: _Told, value: Any, others: Sequence[int] = ()) -> None:
        self._told = told
        self._value = value
        self.others = others

    def count(self) -> int:
        """How many there are, without the others."""
        return self._told.count(self._told.value == self._value)

    def ids(self) -> np.ndarray:
        """All of them."""
        import numpy as np

        return np.append(self._told.ids(self._told.value == self._value), np.asarray(self.others, np.int64))

    def page(self, skip: int, limit: int, newest_first: bool) -> tuple[list[int], int]:
        """Some of them, in any order, with all those of the times of the first and the last; and how many are before.

        Parameters
        ----------
        skip, limit : int
            Which of them, in order of time; there are more than the first says.
        newest_first : bool

        Returns
        -------
        tuple of list of int and int
        """
        time = term.c.time
        first = self._told.times(self._value, newest_first, 1, skip)[0][0]
        before = self._told.count(self._told.value == self._value, time > first if newest_first else time < first)
        rows = self._told.times(self._value, newest_first, skip - before + limit, 0, first)
        last = rows[-1][0]
        ids = [row[1] for row in rows if row[0] != last]
        return ids + self._told.ids(self._told.value == self._value, time == last).tolist(), before


def _between(groups: Iterator[Group], others: list[Others], direction: int) -> Iterator[Group]:
    """Groups with others in between where they belong; these are taken out of their list."""
    for ranked, ids in groups:
        while others and (others[0][0] < ranked if direction > 0 else others[0][0] > ranked):
            yield others.pop(0)
        if others and others[0][0] == ranked:
            equal = others.pop(0)[1]
            ids = Many(ids._told, ids._value, equal) if isinstance(ids, Many) else ids + equal
        yield ranked, ids
