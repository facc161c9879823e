"""Pages of several streams, merged by time."""

from __future__ import annotations

import heapq
import operator
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from databroker_like.core._columns import Page, page_size, scalars, slice_page
from databroker_like.core._packing import single_event_pages

__all__ = ["interlace_event_pages", "interlace_single_event_pages"]


def interlace_event_pages(*iterables: Iterable[Page]) -> Iterator[Page]:
    """Merge several sequences of pages by time, cutting pages only where another sequence comes in between.

    Unpacked, the pages give the events in order of time; events of one time in the order of the arguments; those
    of one sequence in the order they had.

    Parameters
    ----------
    *iterables : iterables of event pages
        One per descriptor or stream; of each, one page is held at a time.

    Yields
    ------
    mapping
        Event pages with at least one event.
    """
    heads: list[_Head] = [head for order, pages in enumerate(iterables) if (head := _Head.of(order, pages))]
    heapq.heapify(heads)
    while heads:
        head = heads[0]
        if len(heads) == 1:
            yield from head.rest()
            return
        rival = min(heads[1:3])
        yield head.take_until(rival)
        if head.advance():
            heapq.heapreplace(heads, head)
        else:
            heapq.heappop(heads)


class _Head:
    """Where one sequence of pages stands: the page, its times, and the first row not given out yet."""

    __slots__ = ("order", "page", "pages", "row", "sorted", "times")

    def __init__(self, order: int, pages: Iterator[Page]) -> None:
        self.order = order
        self.pages = pages

    @classmethod
    def of(cls, order: int, pages: Iterable[Page]) -> _Head | None:
        head = cls(order, iter(pages))
        return head if head._load() else None

    def _load(self) -> bool:
        for page in self.pages:
            times = scalars(page["time"])
            if times:
                self.page, self.times, self.row = page, times, 0
                self.sorted = all(map(operator.le, times, islice(times, 1, None)))
                return True
        return False

    def key(self) -> tuple[float, int]:
        return self.times[self.row], self.order

    def __lt__(self, other: _Head) -> bool:
        return self.key() < other.key()

    def take_until(self, rival: _Head) -> Page:
        """The rows that come before the rival's first, at least one, as a page."""
        time, order = rival.key()
        start, times = self.row, self.times
        # Of two events of one time, the earlier argument's comes first.
        first = self.order < order
        stop = start + 1
        if self.sorted:
            stop = max(stop, (bisect_right if first else bisect_left)(times, time, start))
        else:
            while stop < len(times) and (times[stop] < time or (first and times[stop] == time)):
                stop += 1
        self.row = stop
        return self._cut(start, stop)

    def _cut(self, start: int, stop: int) -> Page:
        return self.page if stop - start == len(self.times) else slice_page(self.page, start, stop)

    def advance(self) -> bool:
        return self.row < len(self.times) or self._load()

    def rest(self) -> Iterator[Page]:
        yield self._cut(self.row, len(self.times))
        for page in self.pages:
            if page_size(page):
                yield page


def interlace_single_event_pages(*iterables: Iterable[Page]) -> Iterator[dict[str, Any]]:
    """Merge several sequences of pages by time into pages of one event each.

    The same as cutting the pages of `interlace_event_pages` into single events, and the fastest way to it.

    Parameters
    ----------
    *iterables : iterables of event pages

    Yields
    ------
    dict
        Event pages of one event, as of `single_event_pages`.
    """
    singles = [chain.from_iterable(map(single_event_pages, pages)) for pages in iterables]
    if len(singles) == 1:
        return singles[0]
    return heapq.merge(*singles, key=_time_of_single)


def _time_of_single(page: dict[str, Any]) -> float:
    return page["time"][0]
