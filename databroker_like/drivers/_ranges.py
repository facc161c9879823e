"""Whole numbers of which nearly all follow one another, in little memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Ranges"]


class Ranges:
    """A set of whole numbers, kept as the ranges they make.

    Examples
    --------
    >>> some = Ranges([1, 2, 3, 7])
    >>> 2 in some, 4 in some, some.has_any([4, 5]), list(some)
    (True, False, False, [(1, 3), (7, 7)])
    """

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        # Of each range the first and the last number, in order.
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for number in numbers:
            self.add(number)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._firsts, self._lasts, strict=True)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._firsts, number) - 1
        return place >= 0 and number <= self._lasts[place]

    def has_any(self, numbers: Sequence[int]) -> bool:
        """Whether at least one of the numbers is there.

        Parameters
        ----------
        numbers : sequence of int

        Returns
        -------
        bool
        """
        if not self._lasts or not numbers or min(numbers) > self._lasts[-1]:
            return False
        return any(number in self for number in numbers)

    def add(self, number: int) -> None:
        """Put a number in.

        Parameters
        ----------
        number : int
        """
        firsts, lasts = self._firsts, self._lasts
        if lasts and number == lasts[-1] + 1:  # nearly always
            lasts[-1] = number
            return
        place = bisect_right(firsts, number)
        if place and number <= lasts[place - 1]:
            return
        follows = place > 0 and lasts[place - 1] == number - 1
        leads = place < len(firsts) and firsts[place] == number + 1
        if follows and leads:
            lasts[place - 1] = lasts.pop(place)
            del firsts[place]
        elif follows:
            lasts[place - 1] = number
        elif leads:
            firsts[place] = number
        else:
            firsts.insert(place, number)
            lasts.insert(place, number)

    def add_all(self, numbers: Sequence[int]) -> None:
        """Put several in.

        Parameters
        ----------
        numbers : sequence of int
        """
        lasts = self._lasts
        if lasts and numbers and numbers[0] == lasts[-1] + 1 and _follow_one_another(numbers):
            lasts[-1] = numbers[-1]
            return
        for number in numbers:
            self.add(number)


def _follow_one_another(numbers: Sequence[int]) -> bool:
    return list(numbers) == list(range(numbers[0], numbers[0] + len(numbers)))
