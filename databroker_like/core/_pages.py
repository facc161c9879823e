"""Pages of events and of datums: packed, unpacked, cut, joined and interlaced, as pure functions on columns."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from databroker_like.core._columns import COLUMNS, EVENT_GROUPS, GROUPS, Page, joined, page_size, scalars, slice_page
from databroker_like.core._interlace import interlace_event_pages, interlace_single_event_pages
from databroker_like.core._packing import (
    event_shape,
    pack_datum_page,
    pack_datum_pages,
    pack_event_page,
    pack_event_pages,
    single_event_pages,
    unpack_datum_page,
    unpack_event_page,
)
from databroker_like.errors import Invalid, InvalidDocument, listed

__all__ = [
    "concat_datum_pages",
    "concat_event_pages",
    "interlace_event_pages",
    "interlace_single_event_pages",
    "pack_datum_page",
    "pack_datum_pages",
    "pack_event_page",
    "pack_event_pages",
    "page_size",
    "rechunk_datum_pages",
    "rechunk_event_pages",
    "scalars",
    "single_event_pages",
    "slice_page",
    "slice_pages",
    "to_datum_pages",
    "to_event_pages",
    "unpack_datum_page",
    "unpack_event_page",
]


def slice_pages(pages: Iterable[Page], skip: int = 0, limit: int | None = None) -> Iterator[Page]:
    """Rows ``skip`` to ``skip + limit`` of a sequence of event pages or datum pages.

    Parameters
    ----------
    pages : iterable of pages
        Read no further than needed.
    skip : int
        How many rows to leave out; 0 by default.
    limit : int, optional
        How many rows to give; all by default.

    Yields
    ------
    mapping
        Pages with at least one row; whole ones as they came, cut ones with views of the same arrays.

    Examples
    --------
    >>> page = {"resource": "r", "datum_id": ["r/0", "r/1", "r/2"], "datum_kwargs": {}}
    >>> [part["datum_id"] for part in slice_pages([page, page], skip=2, limit=2)]
    [['r/2'], ['r/0']]
    """
    if skip < 0 or (limit is not None and limit < 0):
        raise Invalid(f"skip={skip} and limit={limit} count rows; neither can be negative")
    return _sliced(pages, skip, limit)


def _sliced(pages: Iterable[Page], skip: int, limit: int | None) -> Iterator[Page]:
    left = limit
    if left == 0:
        return
    for page in pages:
        rows = page_size(page)
        if skip >= rows:
            skip -= rows
            continue
        stop = rows if left is None else min(rows, skip + left)
        yield page if stop - skip == rows else slice_page(page, skip, stop)
        if left is not None:
            left -= stop - skip
            if not left:
                return
        skip = 0


def _shape_of_page(page: Page) -> tuple[Any, ...]:
    """What two pages must share to be joined."""
    if "datum_id" in page:
        return page["resource"], page["datum_kwargs"].keys()
    return event_shape(page)


def concat_event_pages(pages: Iterable[Page]) -> dict[str, Any]:
    """Pages of one descriptor as one page; arrays of one dtype stay arrays, other columns become lists.

    Parameters
    ----------
    pages : iterable of event pages
        At least one.

    Returns
    -------
    dict

    Raises
    ------
    Invalid
        When there are none.
    InvalidDocument
        When they are of several descriptors, or have different keys.

    Examples
    --------
    >>> page = {"uid": ["a"], "time": [0.0], "seq_num": [1], "descriptor": "d", "data": {"x": [5]},
    ...         "timestamps": {"x": [0.0]}, "filled": {}}
    >>> concat_event_pages([page, page])["data"]
    {'x': [5, 5]}
    """
    return _concat(list(pages), "event", "descriptor")


def concat_datum_pages(pages: Iterable[Page]) -> dict[str, Any]:
    """Pages of one resource as one page; as `concat_event_pages`."""
    return _concat(list(pages), "datum", "resource")


def _concat(pages: list[Page], kind: str, owner: str) -> dict[str, Any]:
    if not pages:
        raise Invalid(f"no {kind} pages to join: a page of none would not know its {owner}")
    first = pages[0]
    shape = _shape_of_page(first)
    for page in pages:
        if _shape_of_page(page) != shape:
            raise InvalidDocument(_difference(first, page, kind, owner))
    page_of_all: dict[str, Any] = {}
    for key, value in first.items():
        if key in COLUMNS:
            page_of_all[key] = joined([page[key] for page in pages])
        elif key in GROUPS:
            page_of_all[key] = {name: joined([page[key][name] for page in pages]) for name in value}
        else:
            page_of_all[key] = value
    return page_of_all


def _difference(one: Page, other: Page, kind: str, owner: str) -> str:
    if one[owner] != other[owner]:
        return f"{kind} pages of two {owner}s, {one[owner]!r} and {other[owner]!r}, make no one page"
    groups = ("datum_kwargs",) if kind == "datum" else EVENT_GROUPS
    odd = {f"{g}.{k}" for g in groups for k in (one.get(g) or {}).keys() ^ (other.get(g) or {}).keys()}
    return f"{kind} pages of {owner} {one[owner]!r} differ in their keys, {listed(odd)}, and make no one page"


def rechunk_event_pages(pages: Iterable[Page], size: int) -> Iterator[Page]:
    """The same events in pages of ``size``, but for the last; a change of descriptor or keys ends a page early.

    Parameters
    ----------
    pages : iterable of event pages
    size : int
        Events per page, 1 or more.

    Yields
    ------
    mapping
        Event pages.

    Examples
    --------
    >>> page = {"uid": ["a", "b", "c"], "time": [0.0, 1.0, 2.0], "seq_num": [1, 2, 3], "descriptor": "d",
    ...         "data": {"x": [5, 6, 7]}, "timestamps": {"x": [0.0, 1.0, 2.0]}, "filled": {}}
    >>> [part["data"]["x"] for part in rechunk_event_pages([page, page], 4)]
    [[5, 6, 7, 5], [6, 7]]
    """
    return _rechunk(pages, size, concat_event_pages)


def rechunk_datum_pages(pages: Iterable[Page], size: int) -> Iterator[Page]:
    """The same datums in pages of ``size``, but for the last; as `rechunk_event_pages`."""
    return _rechunk(pages, size, concat_datum_pages)


def _rechunk(pages: Iterable[Page], size: int, concat: Callable[[list[Page]], dict[str, Any]]) -> Iterator[Page]:
    if size < 1:
        raise Invalid(f"a page of {size} rows cannot be; the size is 1 or more")
    return _rechunked(pages, size, concat)


def _rechunked(pages: Iterable[Page], size: int, concat: Callable[[list[Page]], dict[str, Any]]) -> Iterator[Page]:
    gathered: list[Page] = []
    have = 0
    for page in pages:
        rows = page_size(page)
        if gathered and _shape_of_page(page) != _shape_of_page(gathered[0]):
            yield concat(gathered)
            gathered, have = [], 0
        start = 0
        while start < rows:
            stop = min(rows, start + size - have)
            gathered.append(page if stop - start == rows else slice_page(page, start, stop))
            have += stop - start
            start = stop
            if have == size:
                yield gathered[0] if len(gathered) == 1 else concat(gathered)
                gathered, have = [], 0
    if gathered:
        yield gathered[0] if len(gathered) == 1 else concat(gathered)


class _Paged:
    """A getter of documents, turned into a getter of pages; pickles when the getter does."""

    def __init__(
        self, get_cursor: Callable[..., Iterable[Page]], page_size: int, pack: Callable[..., Iterator[dict[str, Any]]]
    ) -> None:
        functools.update_wrapper(self, get_cursor)
        self._get_cursor = get_cursor
        self._page_size = page_size
        self._pack = pack

    def __call__(self, *args: Any, **kwargs: Any) -> Iterator[dict[str, Any]]:
        return self._pack(self._get_cursor(*args, **kwargs), self._page_size)


def to_event_pages(
    get_event_cursor: Callable[..., Iterable[Page]], page_size: int
) -> Callable[..., Iterator[dict[str, Any]]]:
    """A function that yields events, made into one that yields event pages.

    Parameters
    ----------
    get_event_cursor : callable
        Returns an iterable of event documents.
    page_size : int
        Events per page.

    Returns
    -------
    callable
        Takes the same arguments. It pickles when ``get_event_cursor`` does.

    Examples
    --------
    >>> def get_events(descriptor_uid):
    ...     for n in range(3):
    ...         yield {"uid": str(n), "time": n, "seq_num": n + 1, "descriptor": descriptor_uid,
    ...                "data": {"x": n}, "timestamps": {"x": n}, "filled": {}}
    >>> [page["uid"] for page in to_event_pages(get_events, page_size=2)("d")]
    [['0', '1'], ['2']]
    """
    return _Paged(get_event_cursor, page_size, pack_event_pages)


def to_datum_pages(
    get_datum_cursor: Callable[..., Iterable[Page]], page_size: int
) -> Callable[..., Iterator[dict[str, Any]]]:
    """A function that yields datums, made into one that yields datum pages; as `to_event_pages`."""
    return _Paged(get_datum_cursor, page_size, pack_datum_pages)
