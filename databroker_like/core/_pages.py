"""Pages of events and of datums: packed, unpacked, cut, joined and interlaced, as pure functions on columns.

A column is a list or a numpy array. A one-dimensional array stands for the Python values of its ``tolist()``, an array
of more dimensions for one array per event; anything else with a length is read item by item.
"""

from __future__ import annotations

import functools
import heapq
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice, repeat
from operator import itemgetter
from typing import Any

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

Page = Mapping[str, Any]

#: How a page is laid out: the columns that stand by themselves, and the dictionaries of columns.
_EVENT_COLUMNS = ("time", "uid", "seq_num")
_EVENT_GROUPS = ("data", "timestamps", "filled")
_COLUMNS = frozenset({*_EVENT_COLUMNS, "datum_id"})
_GROUPS = frozenset({*_EVENT_GROUPS, "datum_kwargs"})


# -- columns ----------------------------------------------------------------------------------------------------------


def scalars(column: Any) -> list[Any]:
    """The values of a column, one per event: Python values of a 1-D array, one array each of a larger one.

    Parameters
    ----------
    column : list or array of shape (n, ...)
        A list comes back as it is.

    Returns
    -------
    list

    Examples
    --------
    >>> import numpy
    >>> scalars(numpy.array([1.5, 2.5]))
    [1.5, 2.5]
    >>> [row.tolist() for row in scalars(numpy.array([[1, 2], [3, 4]]))]
    [[1, 2], [3, 4]]
    """
    if type(column) is list:
        return column
    if getattr(column, "ndim", None) == 1:
        return _materialized(column).tolist()
    return list(_each(column))


def _materialized(column: Any) -> Any:
    """A lazy array's data; a numpy array as it is."""
    return column if hasattr(column, "tolist") else column.__array__()


def _each(column: Any) -> Iterable[Any]:
    """The values of a column, one after another: an array of frames is not read in at once."""
    if isinstance(column, list | tuple):
        return column
    dimensions = getattr(column, "ndim", None)
    if dimensions == 1:
        return _materialized(column).tolist()
    if dimensions is None:
        return column
    return map(column.__getitem__, range(len(column)))


def _joined(parts: list[Any]) -> Any:
    """Columns one below the other: an array when they are arrays of one kind, otherwise a list."""
    if len(parts) == 1:
        return parts[0]
    if all(type(part) is list for part in parts):
        return list(chain.from_iterable(parts))
    # Without numpy there are no arrays to keep as arrays.
    numpy = sys.modules.get("numpy")
    if numpy is not None and all(isinstance(part, numpy.ndarray) for part in parts):
        first = parts[0]
        # Joining int64 to float64 would change the integers; frames of two shapes make no array.
        if all(part.dtype == first.dtype and part.shape[1:] == first.shape[1:] for part in parts):
            return numpy.concatenate(parts)
    return list(chain.from_iterable(map(scalars, parts)))


# -- one page ---------------------------------------------------------------------------------------------------------


def page_size(page: Page) -> int:
    """How many events, or datums, a page holds.

    Examples
    --------
    >>> page_size({"datum_id": ["r/0", "r/1"], "resource": "r", "datum_kwargs": {}})
    2
    """
    return len(page["uid"] if "uid" in page else page["datum_id"])


def slice_page(page: Page, start: int, stop: int) -> dict[str, Any]:
    """Rows ``start`` to ``stop`` of an event page or a datum page, as a page; arrays are viewed, not copied.

    Examples
    --------
    >>> slice_page({"datum_id": ["r/0", "r/1"], "resource": "r", "datum_kwargs": {"n": [0, 1]}}, 1, 2)
    {'datum_id': ['r/1'], 'resource': 'r', 'datum_kwargs': {'n': [1]}}
    """
    return {
        key: value[start:stop]
        if key in _COLUMNS
        else {name: column[start:stop] for name, column in value.items()}
        if key in _GROUPS
        else value
        for key, value in page.items()
    }


def _check_lengths(page: Page) -> int:
    """The number of rows, which every column must have."""
    rows = page_size(page)
    for key, value in page.items():
        if key in _COLUMNS and len(value) != rows:
            raise _ragged(page, key, len(value), rows)
        if key in _GROUPS:
            for name, column in value.items():
                if len(column) != rows:
                    raise _ragged(page, f"{key}.{name}", len(column), rows)
    return rows


def _ragged(page: Page, column: str, length: int, rows: int) -> InvalidDocument:
    owner = f"descriptor {page['descriptor']!r}" if "descriptor" in page else f"resource {page.get('resource')!r}"
    return InvalidDocument(f"a page of {owner} has {rows} rows, but its column {column!r} has {length} values")


# -- events -----------------------------------------------------------------------------------------------------------


def pack_event_pages(events: Iterable[Page], size: int | None = None) -> Iterator[dict[str, Any]]:
    """Events as pages, as few as they can be: a new one where the descriptor or the keys change.

    Parameters
    ----------
    events : iterable of event documents
    size : int, optional
        The most events a page may hold; any number by default.

    Yields
    ------
    dict
        Event pages, in the order of the events.

    Examples
    --------
    >>> events = [
    ...     {"uid": "a", "time": 0.0, "seq_num": 1, "descriptor": "d", "data": {"x": 5}, "timestamps": {"x": 0.0}},
    ...     {"uid": "b", "time": 1.0, "seq_num": 2, "descriptor": "d", "data": {"x": 6}, "timestamps": {"x": 1.0}},
    ... ]
    >>> [page["data"] for page in pack_event_pages(events)]
    [{'x': [5, 6]}]
    """
    return _pack(events, size, _event_shape, _event_columns)


def pack_event_page(*events: Page) -> dict[str, Any]:
    """Events of one descriptor and with the same keys as one page.

    Parameters
    ----------
    *events : event documents
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
    """
    return _only(pack_event_pages(events), "event", "descriptor")


def _event_shape(event: Page) -> tuple[Any, ...]:
    return event["descriptor"], event["data"].keys(), event["timestamps"].keys(), (event.get("filled") or {}).keys()


def _event_columns(events: list[Page]) -> dict[str, Any]:
    return {
        "descriptor": events[0]["descriptor"],
        **{key: list(map(itemgetter(key), events)) for key in _EVENT_COLUMNS},
        "data": _transposed([event["data"] for event in events]),
        "timestamps": _transposed([event["timestamps"] for event in events]),
        "filled": _transposed([event.get("filled") or {} for event in events]),
    }


def _transposed(rows: list[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {key: list(map(itemgetter(key), rows)) for key in rows[0]}


def _pack(
    documents: Iterable[Page],
    size: int | None,
    shape_of: Callable[[Page], tuple[Any, ...]],
    columns_of: Callable[[list[Page]], dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    if size is not None and size < 1:
        raise Invalid(f"a page of {size} rows cannot be; the size is 1 or more")
    return _packed(documents, size, shape_of, columns_of)


def _packed(
    documents: Iterable[Page],
    size: int | None,
    shape_of: Callable[[Page], tuple[Any, ...]],
    columns_of: Callable[[list[Page]], dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    gathered: list[Page] = []
    shape: tuple[Any, ...] = ()
    for document in documents:
        found = shape_of(document)
        if gathered and (found != shape or len(gathered) == size):
            yield columns_of(gathered)
            gathered = []
        if not gathered:
            shape = found
        gathered.append(document)
    if gathered:
        yield columns_of(gathered)


def _only(pages: Iterator[dict[str, Any]], kind: str, owner: str) -> dict[str, Any]:
    page = next(pages, None)
    if page is None:
        raise Invalid(f"no {kind} documents to pack: a page of none would not know its {owner}")
    if next(pages, None) is not None:
        raise InvalidDocument(f"these {kind} documents differ in their {owner} or in their keys and make no one page")
    return page


def unpack_event_page(page: Page) -> Iterator[dict[str, Any]]:
    """The events of a page, one by one, with Python values.

    Parameters
    ----------
    page : event page

    Yields
    ------
    dict
        Event documents.

    Raises
    ------
    InvalidDocument
        When its columns have different lengths.

    Examples
    --------
    >>> page = {"uid": ["a"], "time": [0.0], "seq_num": [1], "descriptor": "d", "data": {"x": [5]},
    ...         "timestamps": {"x": [0.0]}, "filled": {}}
    >>> next(unpack_event_page(page))["data"]
    {'x': 5}
    """
    rows = _check_lengths(page)
    descriptor = page["descriptor"]
    for uid, time, seq_num, data, timestamps, filled in zip(
        _each(page["uid"]),
        _each(page["time"]),
        _each(page["seq_num"]),
        _row_dicts(page["data"], rows),
        _row_dicts(page["timestamps"], rows),
        _row_dicts(page.get("filled") or {}, rows),
        strict=True,
    ):
        yield {
            "descriptor": descriptor,
            "uid": uid,
            "time": time,
            "seq_num": seq_num,
            "data": data,
            "timestamps": timestamps,
            "filled": filled,
        }


def _row_dicts(columns: Mapping[str, Any], rows: int) -> Iterator[dict[str, Any]]:
    """One dictionary of values per row."""
    if not columns:
        return ({} for _ in range(rows))
    keys = tuple(columns)
    values = zip(*map(_each, columns.values()), strict=True)
    return map(dict, map(zip, repeat(keys), values))


def single_event_pages(page: Page) -> Iterator[dict[str, Any]]:
    """The events of a page, each as a page of its own whose columns are lists of one value.

    Parameters
    ----------
    page : event page

    Yields
    ------
    dict
        Event pages of one event.

    Raises
    ------
    InvalidDocument
        When its columns have different lengths.
    """
    rows = _check_lengths(page)
    descriptor = page["descriptor"]
    for uid, time, seq_num, data, timestamps, filled in zip(
        _each(page["uid"]),
        _each(page["time"]),
        _each(page["seq_num"]),
        _row_lists(page["data"], rows),
        _row_lists(page["timestamps"], rows),
        _row_lists(page.get("filled") or {}, rows),
        strict=True,
    ):
        yield {
            "descriptor": descriptor,
            "uid": [uid],
            "time": [time],
            "seq_num": [seq_num],
            "data": data,
            "timestamps": timestamps,
            "filled": filled,
        }


def _row_lists(columns: Mapping[str, Any], rows: int) -> Iterator[dict[str, Any]]:
    """One dictionary of lists of one value per row."""
    if not columns:
        return ({} for _ in range(rows))
    keys = tuple(columns)
    # zip() over one iterable makes tuples of one; map(list, ...) makes them lists without a Python frame per value.
    values = zip(*(map(list, zip(_each(column))) for column in columns.values()), strict=True)
    return map(dict, map(zip, repeat(keys), values))


# -- datums -----------------------------------------------------------------------------------------------------------


def pack_datum_pages(datums: Iterable[Page], size: int | None = None) -> Iterator[dict[str, Any]]:
    """Datums as pages, as few as they can be: a new one where the resource or the keys change.

    Parameters
    ----------
    datums : iterable of datum documents
    size : int, optional
        The most datums a page may hold; any number by default.

    Yields
    ------
    dict
        Datum pages, in the order of the datums.

    Examples
    --------
    >>> next(pack_datum_pages([{"datum_id": "r/0", "resource": "r", "datum_kwargs": {"n": 0}}]))
    {'resource': 'r', 'datum_id': ['r/0'], 'datum_kwargs': {'n': [0]}}
    """
    return _pack(datums, size, _datum_shape, _datum_columns)


def pack_datum_page(*datums: Page) -> dict[str, Any]:
    """Datums of one resource and with the same keys as one page; errors as of `pack_event_page`."""
    return _only(pack_datum_pages(datums), "datum", "resource")


def _datum_shape(datum: Page) -> tuple[Any, ...]:
    return datum["resource"], datum["datum_kwargs"].keys()


def _datum_columns(datums: list[Page]) -> dict[str, Any]:
    return {
        "resource": datums[0]["resource"],
        "datum_id": list(map(itemgetter("datum_id"), datums)),
        "datum_kwargs": _transposed([datum["datum_kwargs"] for datum in datums]),
    }


def unpack_datum_page(page: Page) -> Iterator[dict[str, Any]]:
    """The datums of a page, one by one; errors as of `unpack_event_page`.

    Examples
    --------
    >>> list(unpack_datum_page({"resource": "r", "datum_id": ["r/0"], "datum_kwargs": {"n": [0]}}))
    [{'resource': 'r', 'datum_id': 'r/0', 'datum_kwargs': {'n': 0}}]
    """
    rows = _check_lengths(page)
    resource = page["resource"]
    for datum_id, kwargs in zip(_each(page["datum_id"]), _row_dicts(page["datum_kwargs"], rows), strict=True):
        yield {"resource": resource, "datum_id": datum_id, "datum_kwargs": kwargs}


# -- many pages -------------------------------------------------------------------------------------------------------


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
    return _event_shape(page)


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
    joined: dict[str, Any] = {}
    for key, value in first.items():
        if key in _COLUMNS:
            joined[key] = _joined([page[key] for page in pages])
        elif key in _GROUPS:
            joined[key] = {name: _joined([page[key][name] for page in pages]) for name in value}
        else:
            joined[key] = value
    return joined


def _difference(one: Page, other: Page, kind: str, owner: str) -> str:
    if one[owner] != other[owner]:
        return f"{kind} pages of two {owner}s, {one[owner]!r} and {other[owner]!r}, make no one page"
    groups = ("datum_kwargs",) if kind == "datum" else _EVENT_GROUPS
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


# -- several streams --------------------------------------------------------------------------------------------------


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
                self.sorted = all(map(_not_after, times, islice(times, 1, None)))
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
        if self.sorted and self.order < order:
            stop = bisect_right(times, time, start)
        else:
            before = (self.order < order, time)
            stop = start + 1
            while stop < len(times) and (times[stop] <= time if before[0] else times[stop] < time):
                stop += 1
        stop = max(stop, start + 1)
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


def _not_after(one: float, other: float) -> bool:
    return one <= other


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


# -- cursors ----------------------------------------------------------------------------------------------------------


class _Paged:
    """A getter of documents, turned into a getter of pages; pickles when the getter does."""

    def __init__(
        self, get_cursor: Callable[..., Iterable[Page]], page_size: int, pack: Callable[..., Iterator[Page]]
    ) -> None:
        functools.update_wrapper(self, get_cursor)
        self._get_cursor = get_cursor
        self._page_size = page_size
        self._pack = pack

    def __call__(self, *args: Any, **kwargs: Any) -> Iterator[Page]:
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
