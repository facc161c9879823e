"""Events and datums to pages and back, one document a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any

from databroker_like.core._columns import EVENT_COLUMNS, Page, check_lengths, each_value
from databroker_like.errors import Invalid, InvalidDocument

__all__ = [
    "event_shape",
    "pack_datum_page",
    "pack_datum_pages",
    "pack_event_page",
    "pack_event_pages",
    "single_event_pages",
    "unpack_datum_page",
    "unpack_event_page",
]


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
    return _pack(events, size, event_shape, _event_columns)


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


def event_shape(event: Page) -> tuple[Any, ...]:
    """What events must share to lie in one page: the descriptor and the keys."""
    return event["descriptor"], event["data"].keys(), event["timestamps"].keys(), (event.get("filled") or {}).keys()


def _event_columns(events: list[Page]) -> dict[str, Any]:
    return {
        "descriptor": events[0]["descriptor"],
        **{key: list(map(itemgetter(key), events)) for key in EVENT_COLUMNS},
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
    rows = check_lengths(page)
    descriptor = page["descriptor"]
    for uid, time, seq_num, data, timestamps, filled in zip(
        each_value(page["uid"]),
        each_value(page["time"]),
        each_value(page["seq_num"]),
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
    return (dict(zip(keys, row, strict=True)) for row in zip(*map(each_value, columns.values()), strict=True))


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
    rows = check_lengths(page)
    descriptor = page["descriptor"]
    for uid, time, seq_num, data, timestamps, filled in zip(
        each_value(page["uid"]),
        each_value(page["time"]),
        each_value(page["seq_num"]),
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
    table = zip(*map(each_value, columns.values()), strict=True)
    return ({key: [value] for key, value in zip(keys, row, strict=True)} for row in table)


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
    rows = check_lengths(page)
    resource = page["resource"]
    for datum_id, kwargs in zip(each_value(page["datum_id"]), _row_dicts(page["datum_kwargs"], rows), strict=True):
        yield {"resource": resource, "datum_id": datum_id, "datum_kwargs": kwargs}
