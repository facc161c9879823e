"""Keys, values and items of a container that are counted, cut and read from either end without reading the rest."""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import ItemsView as _ItemsView
from collections.abc import Iterator, Mapping
from collections.abc import KeysView as _KeysView
from collections.abc import ValuesView as _ValuesView
from itertools import islice
from typing import Any, Protocol, TypeVar

from databroker_like.errors import Invalid, OutOfRange, WrongType

__all__ = ["ItemsView", "KeysView", "Listed", "ValuesView"]

K = TypeVar("K")


class _Listing(Protocol):
    """What a container offers its views."""

    def __len__(self) -> int: ...

    def listed(
        self, kind: str, *, start: int = 0, most: int | None = None, reverse: bool = False, page_size: int | None = None
    ) -> Iterator[Any]:
        """Keys, values or items in their order, or from the end, from some position on."""


class _Cut:
    """What the three views share: positions, and parts by position."""

    _kind: str
    _mapping: Any

    def __init__(self, mapping: Any, page_size: int | None = None) -> None:
        self._mapping = mapping
        self._page_size = page_size

    def __len__(self) -> int:
        return len(self._mapping)

    def __iter__(self) -> Iterator[Any]:
        return self._mapping.listed(self._kind, page_size=self._page_size)

    def __reversed__(self) -> Iterator[Any]:
        return self._mapping.listed(self._kind, reverse=True, page_size=self._page_size)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._part(index)
        try:
            index = operator.index(index)
        except TypeError:
            raise WrongType(f"a position or a slice is meant here, not {index!r:.100}") from None
        reverse = index < 0
        found = self._taken(-1 - index if reverse else index, 1, reverse)
        if not found:
            raise OutOfRange(f"there is nothing at position {index} of {len(self)}")
        return found[0]

    def first(self) -> Any:
        """The first one; OutOfRange when there is none."""
        return self[0]

    def last(self) -> Any:
        """The last one; OutOfRange when there is none."""
        return self[-1]

    def head(self, n: int = 5) -> list[Any]:
        """The first ones.

        Parameters
        ----------
        n : int
            How many at the most; 5 by default.

        Returns
        -------
        list
        """
        return self._taken(0, _number(n), False)

    def tail(self, n: int = 5) -> list[Any]:
        """The last ones, in their order.

        Parameters
        ----------
        n : int
            How many at the most; 5 by default.

        Returns
        -------
        list
        """
        return self._taken(0, _number(n), True)[::-1]

    def page_size(self, page_size: int) -> Any:
        """The same view, which asks for so many at a time.

        Parameters
        ----------
        page_size : int
            A server may refuse large ones.

        Returns
        -------
        KeysView, ValuesView or ItemsView
        """
        if page_size < 1:
            raise Invalid(f"a page has one or more, not {page_size}")
        return type(self)(self._mapping, page_size)

    def _taken(self, start: int, most: int, reverse: bool) -> list[Any]:
        if not most:
            return []
        found = self._mapping.listed(self._kind, start=start, most=most, reverse=reverse, page_size=self._page_size)
        return list(islice(found, most))

    def _part(self, index: slice) -> list[Any]:
        step = 1 if index.step is None else index.step
        if step == 0:
            raise Invalid("the step of a slice is 1, 2, ... or -1, -2, ..., not 0")
        start, stop = index.start, index.stop
        ends = [bound for bound in (start, stop) if bound is not None]
        if step > 0 and all(bound >= 0 for bound in ends):
            # From the beginning: how many there are need not be known.
            begin = start or 0
            most = None if stop is None else max(stop - begin, 0)
            return self._from(begin, most, False)[::step]
        if step < 0 and all(bound < 0 for bound in ends):
            begin = -1 - start if start is not None else 0
            most = None if stop is None else max(-1 - stop - begin, 0)
            return self._from(begin, most, True)[::-step]
        if step > 0 and start is not None and start < 0 and (stop is None or stop < 0):
            # From the end, and turned: [-5:-1] is what stands at 1, 2, 3 and 4 from there.
            begin = 0 if stop is None else -stop
            found = self._from(begin, max(-start - begin, 0), True)[::-1]
            # When the start lies before the first, the step counts from the first all the same.
            return found[::step]
        wanted = range(len(self))[index]
        if not wanted:
            return []
        low, high = min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1])
        found = self._from(low, high - low + 1, False)
        return [found[at - low] for at in wanted if at - low < len(found)]

    def _from(self, start: int, most: int | None, reverse: bool) -> list[Any]:
        if most is not None:
            return self._taken(start, most, reverse)
        return list(self._mapping.listed(self._kind, start=start, reverse=reverse, page_size=self._page_size))

    def __repr__(self) -> str:
        head = self._taken(0, 11, False)
        shown = ", ".join([*map(repr, head[:10]), *(["..."] if len(head) > 10 else [])])
        return f"<{type(self).__name__} [{shown}]>"


class KeysView(_Cut, _KeysView[Any]):
    """The keys of a container.

    ``view[3]``, ``view[-1]``, ``view[:100]`` and ``view[-5:]`` ask for what they give and nothing else.

    Parameters
    ----------
    mapping : Container
        Or anything else with a length and its method ``listed``.
    page_size : int, optional
        How many are asked for at a time.

    Examples
    --------
    >>> class Three:
    ...     def __len__(self):
    ...         return 3
    ...     def listed(self, kind, *, start=0, most=None, reverse=False, page_size=None):
    ...         return iter("cba"[start:] if reverse else "abc"[start:])
    >>> view = KeysView(Three())
    >>> view.first(), view.last(), view.head(2), view.tail(2), view[::-2]
    ('a', 'c', ['a', 'b'], ['b', 'c'], ['c', 'a'])
    """

    _kind = "keys"


class ValuesView(_Cut, _ValuesView[Any]):
    """The nodes in a container; parameters, positions and slices as of `KeysView`."""

    _kind = "values"


class ItemsView(_Cut, _ItemsView[Any, Any]):
    """The keys of a container with their nodes; parameters, positions and slices as of `KeysView`."""

    _kind = "items"


class Listed(Mapping[K, Any]):
    """A mapping that lists what is in it page by page, as it is taken: keys, values and items are such views."""

    @abstractmethod
    def listed(
        self, kind: str, *, start: int = 0, most: int | None = None, reverse: bool = False, page_size: int | None = None
    ) -> Iterator[Any]:
        """What the views are made of, page by page as it is taken.

        Parameters
        ----------
        kind : {"keys", "values", "items"}
        start : int
            The position of the first one, counted from the end when reversed.
        most : int, optional
            How many are wanted; all, by default.
        reverse : bool
            Whether from the end.
        page_size : int, optional
            How many are asked for at a time; as the server likes, by default.

        Returns
        -------
        iterator
        """

    def __iter__(self) -> Iterator[K]:
        return self.listed("keys")

    def __reversed__(self) -> Iterator[K]:
        return self.listed("keys", reverse=True)

    def keys(self) -> KeysView:
        """The keys: iterate, count, or take ``[3]``, ``[-1]``, ``[:100]``, ``.first()``, ``.head(10)``.

        Returns
        -------
        KeysView
        """
        return KeysView(self)

    def values(self) -> ValuesView:
        """The nodes: iterate, count, or take ``[3]``, ``[-1]``, ``[:100]``, ``.first()``, ``.head(10)``.

        Returns
        -------
        ValuesView
        """
        return ValuesView(self)

    def items(self) -> ItemsView:
        """The keys with their nodes: iterate, count, or take ``[3]``, ``[-1]``, ``[:100]``, ``.head(10)``.

        Returns
        -------
        ItemsView
        """
        return ItemsView(self)


def _number(n: Any) -> int:
    try:
        return max(operator.index(n), 0)
    except TypeError:
        raise WrongType(f"how many are wanted is a whole number, not {n!r:.100}") from None
