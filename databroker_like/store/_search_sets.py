"""Sets of runs as an index can say them: pieces of it, put together by and, or and not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, literal, select, tuple_

from databroker_like.store import _terms as terms
from databroker_like.store._schema import run, term

__all__ = ["ALL", "NONE", "Both", "Bounds", "Either", "Pieces", "Set", "Span", "Without", "both", "either", "without"]


@dataclass(frozen=True)
class Bounds:
    """Which values: some points, or all between two ends.

    Parameters
    ----------
    points : tuple, optional
        Instead of the ends.
    low, high : float or str, optional
        None is open.
    low_open, high_open : bool
        Whether the end itself does not belong to it; False by default.
    """

    points: tuple[Any, ...] | None = None
    low: Any = None
    high: Any = None
    low_open: bool = False
    high_open: bool = False

    @classmethod
    def at(cls, *points: Any) -> Bounds:
        """These values alone."""
        return cls(points=points)

    def and_in(self, other: Bounds) -> Bounds:
        """What is within both."""
        if self.points is not None:
            return Bounds.at(*filter(other.has, self.points))
        if other.points is not None:
            return other.and_in(self)
        lows = [(b.low, b.low_open) for b in (self, other) if b.low is not None]
        highs = [(b.high, not b.high_open) for b in (self, other) if b.high is not None]
        low, low_open = max(lows, default=(None, False))
        high, high_closed = min(highs, default=(None, True))
        return Bounds(None, low, high, low_open, not high_closed)

    def has(self, value: Any) -> bool:
        """Whether a value is within."""
        if self.points is not None:
            return value in self.points
        if self.low is not None and (value <= self.low if self.low_open else value < self.low):
            return False
        return self.high is None or (value < self.high if self.high_open else value <= self.high)

    def clauses(self, column: Any) -> list[ColumnElement[bool]]:
        """As conditions on a column."""
        if self.points is not None:
            return [column == self.points[0] if len(self.points) == 1 else column.in_(self.points)]
        found = []
        if self.low is not None:
            found.append(column > self.low if self.low_open else column >= self.low)
        if self.high is not None:
            found.append(column < self.high if self.high_open else column <= self.high)
        return found


@dataclass(frozen=True)
class Span:
    """Rows of the index: of one key, of one kind or several, with certain values.

    Parameters
    ----------
    key : int or str
        The id of a key; or ``"uid"`` or ``"time"``, for rows of the table of runs.
    kinds : tuple of int
        The first and the last kind.
    num, txt : Bounds, optional
        Any by default.
    times : tuple of Bounds
        Of the time of the run, all of which must hold.
    """

    key: int | str
    kinds: tuple[int, int] = (0, 0)
    num: Bounds | None = None
    txt: Bounds | None = None
    times: tuple[Bounds, ...] = ()

    @property
    def is_single(self) -> bool:
        """Whether no run has two of the rows."""
        return isinstance(self.key, str) or self.kinds[1] < terms.SEVERAL or self.is_point

    @property
    def is_point(self) -> bool:
        """Whether the rows differ in nothing but the run, so that they lie in order of time."""
        ends = (self.num, self.txt)
        return self.kinds[0] == self.kinds[1] and all(b is not None and len(b.points or ()) == 1 for b in ends)

    @property
    def is_only(self) -> bool:
        """Whether a run with such a row has no other row at the key, or no other that is for single values."""
        return isinstance(self.key, str) or self.kinds[1] < terms.SEVERAL

    def and_in(self, other: Span) -> Span | None:
        """The rows that are also those of another span of the same key; None when there are none."""
        kinds = max(self.kinds[0], other.kinds[0]), min(self.kinds[1], other.kinds[1])
        if kinds[0] > kinds[1]:
            return None
        num, txt = _within_both(self.num, other.num), _within_both(self.txt, other.txt)
        if any(bounds is not None and bounds.points == () for bounds in (num, txt)):
            return None
        return Span(self.key, kinds, num, txt, tuple(dict.fromkeys(self.times + other.times)))

    def select(self, *columns: str) -> Select[Any]:
        """The rows, with the columns ``run_id``, ``time``, ``kind``, ``num`` and ``txt`` that are asked for."""
        if isinstance(self.key, str):
            of_run = {"run_id": run.c.id, "time": run.c.time}
            bounds = self.txt if self.key == "uid" else self.num
            query = select(*(of_run[name] for name in columns))
            query = query.where(*(bounds.clauses(run.c[self.key]) if bounds else ()))
            time = run.c.time
        else:
            first, last = self.kinds
            kind = term.c.kind == first if first == last else term.c.kind.between(first, last)
            query = select(*(term.c[name] for name in columns)).where(term.c.key_id == self.key, kind)
            for name, bounds in (("num", self.num), ("txt", self.txt)):
                query = query.where(*(bounds.clauses(term.c[name]) if bounds else ()))
            time = term.c.time
        return query.where(*(clause for bounds in self.times for clause in bounds.clauses(time)))

    def select_first(self, most: int, newest_first: bool) -> Select[Any]:
        """The id and time of the first so many of the rows, in order of time; a run may be there but once."""
        query = self.select("run_id", "time")
        if newest_first and not isinstance(self.key, str) and not self.is_point:
            # Numbers mostly grow with time. So the newest come first, and few of the others have to be kept.
            backwards = (term.c.kind.desc(), term.c.num.desc(), term.c.txt.desc())
            rows = query.order_by(*backwards).limit(_WITHOUT_END).subquery()
            query = select(rows.c.run_id, rows.c.time)
        time = query.selected_columns["time"]
        query = query.order_by(time.desc() if newest_first else time).limit(most)
        return query if self.is_single else query.distinct()

    def select_next(self, column: str, newest_first: bool, last: Any) -> Select[Any]:
        """A column of rows that differ in the run alone, in order of its time and id, behind the last one seen."""
        place = (term.c.time, term.c.run_id)
        query = self.select(column).order_by(*(each.desc() for each in place) if newest_first else place)
        if last is None:
            return query
        there = tuple_(literal(last[1], term.c.time.type), literal(last[0], term.c.run_id.type))
        return query.where(tuple_(*place) < there if newest_first else tuple_(*place) > there)


#: More rows than there are; without a limit a database may forget the order.
_WITHOUT_END = 2**62


def _within_both(one: Bounds | None, other: Bounds | None) -> Bounds | None:
    return one.and_in(other) if one and other else one or other


class Set:
    """A set of runs; the base."""


@dataclass(frozen=True)
class _All(Set):
    """Every run."""


@dataclass(frozen=True)
class Pieces(Set):
    """The runs that some spans of rows belong to; nothing when there are none.

    Parameters
    ----------
    spans : tuple of Span
    """

    spans: tuple[Span, ...]

    @property
    def is_counted_by_rows(self) -> bool:
        """Whether no run has two rows.

        A run has either a single row or several at a key, so that spans of single rows have no run in common, nor
        with one of several.
        """
        several = [span for span in self.spans if not isinstance(span.key, str) and span.kinds[1] >= terms.SEVERAL]
        one_key = len({span.key for span in self.spans}) <= 1
        return one_key and len(several) <= 1 and all(span.is_single for span in self.spans)

    def within(self, times: tuple[Bounds, ...]) -> Pieces:
        """Those of them that started in certain times."""
        return Pieces(tuple(replace(span, times=span.times + times) for span in self.spans))


@dataclass(frozen=True)
class Both(Set):
    """The runs that are in all of some sets."""

    sets: tuple[Set, ...]


@dataclass(frozen=True)
class Either(Set):
    """The runs that are in any of some sets."""

    sets: tuple[Set, ...]


@dataclass(frozen=True)
class Without(Set):
    """All runs but those of a set."""

    set: Set


ALL = _All()
NONE = Pieces(())


def both(sets: Iterable[Set]) -> Set:
    """What is in all of some sets; of none, everything."""
    flat: list[Set] = []
    for one in sets:
        flat.extend(one.sets if isinstance(one, Both) else () if one == ALL else (one,))
    if NONE in flat:
        return NONE
    flat = _within_times(_met(list(dict.fromkeys(flat))))
    if NONE in flat:
        return NONE
    if not flat:
        return ALL
    return flat[0] if len(flat) == 1 else Both(tuple(flat))


def _met(sets: list[Set]) -> list[Set]:
    """Where one value is all there is at a key, two conditions on it are one, such as a range with both its ends."""
    found: list[Set] = []
    at: dict[int | str, int] = {}
    for one in sets:
        keys = {span.key for span in one.spans} if isinstance(one, Pieces) else set()
        if len(keys) != 1 or not isinstance(one, Pieces) or not all(span.is_only for span in one.spans):
            found.append(one)
            continue
        before = at.setdefault(keys.pop(), len(found))
        if before == len(found):
            found.append(one)
            continue
        other = found[before]
        assert isinstance(other, Pieces)
        met = (span.and_in(others) for span in one.spans for others in other.spans)
        found[before] = Pieces(tuple(span for span in met if span is not None))
    return found


def _within_times(sets: list[Set]) -> list[Set]:
    """Where rows of the index are asked for, they are asked for with the time of the run, which they hold."""
    limits = [one for one in sets if _limits(one)]
    pieces = [one for one in sets if isinstance(one, Pieces) and one not in limits]
    if not limits or not pieces:
        return sets
    times = tuple(bounds for one in limits for bounds in _limits(one))
    return [one.within(times) if one in pieces else one for one in sets if one not in limits]


def _limits(one: Set) -> tuple[Bounds, ...]:
    """The times that a set is of, when it is of nothing else."""
    if isinstance(one, Pieces) and len(one.spans) == 1 and one.spans[0].key == "time" and one.spans[0].num:
        return (one.spans[0].num, *one.spans[0].times)
    return ()


def either(sets: Iterable[Set]) -> Set:
    """What is in any of some sets; of none, nothing."""
    flat: list[Set] = []
    for one in sets:
        flat.extend(one.sets if isinstance(one, Either) else () if one == NONE else (one,))
    if ALL in flat:
        return ALL
    flat = list(dict.fromkeys(flat))
    if not flat:
        return NONE
    return flat[0] if len(flat) == 1 else Either(tuple(flat))


def without(one: Set) -> Set:
    """Everything but a set."""
    if isinstance(one, Without):
        return one.set
    if one == ALL:
        return NONE
    return ALL if one == NONE else Without(one)
