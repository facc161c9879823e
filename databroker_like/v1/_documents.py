"""The documents of a run as version 1 gives them: events and datums one by one, with the fields that are wanted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from databroker_like.core._documents import Flow
from databroker_like.core._header import Header as Documents
from databroker_like.core._header import stream_name as name_of_stream
from databroker_like.core._pages import interlace_event_pages, unpack_datum_page, unpack_event_page
from databroker_like.core._tell import tell
from databroker_like.errors import WrongType, listed, nearest
from databroker_like.utils import ALL

__all__ = ["as_fields", "as_fill", "documents", "names_of", "tell_unknown"]

Doc = Mapping[str, Any]


def as_fields(fields: Any) -> frozenset[str] | None:
    """The fields that are wanted, or None for all.

    Parameters
    ----------
    fields : str, iterable of str, or None

    Returns
    -------
    frozenset of str, or None

    Examples
    --------
    >>> as_fields(None), as_fields([]), as_fields("det")
    (None, None, frozenset({'det'}))
    """
    if fields is None or isinstance(fields, str):
        return frozenset([fields]) if fields else None
    try:
        wanted = frozenset(fields)
    except TypeError:
        raise WrongType(f"fields={fields!r} are no names of data keys; write a list, as in ['det', 'motor']") from None
    return wanted or None


def as_fill(fill: Any) -> tuple[bool, frozenset[str] | None]:
    """Whether anything is to be filled, and the keys to fill, or None for all.

    Parameters
    ----------
    fill : bool, str, or iterable of str
        ``"yes"`` and ``"no"``, as version 2 writes it, do as well.

    Returns
    -------
    (bool, frozenset of str or None)

    Examples
    --------
    >>> as_fill(True), as_fill(["img"]), as_fill([])
    ((True, None), (True, frozenset({'img'})), (False, None))
    """
    if isinstance(fill, str):
        return (fill != "no", None) if fill in ("yes", "no", "") else (True, frozenset([fill]))
    if fill is None or isinstance(fill, bool | int):
        return bool(fill), None
    try:
        keys = frozenset(fill)
    except TypeError:
        raise WrongType(f"fill={fill!r} is neither True, False nor a list of the data keys to fill") from None
    return bool(keys), keys or None


def names_of(header: Documents, stream_name: Any) -> list[str]:
    """The streams meant: the one named, if there is such a one, or all of them for `ALL`."""
    if stream_name is ALL:
        return header.stream_names
    return [name for name in header.stream_names if name == stream_name]


def tell_unknown(
    header: Documents, stream_name: Any, fields: frozenset[str] | None, fill: Any = None, *, more: Iterable[str] = ()
) -> None:
    """Warn of fields that are asked for by name and that the streams do not have.

    Parameters
    ----------
    header : core Header
    stream_name : str or ALL
    fields : frozenset of str, optional
    fill : object
        As `as_fill` takes it.
    more : iterable of str
        What may be asked for beside the data keys.
    """
    filled = as_fill(fill)[1]
    if not (fields or filled):
        return
    names = set(names_of(header, stream_name))
    known = {key for doc in header.descriptors if name_of_stream(doc) in names for key in doc.get("data_keys", {})}
    if not known:
        return
    where = "the run" if stream_name is ALL else f"the stream {stream_name!r}"
    for name in sorted(({*(fields or ())} - {*more} | {*(filled or ())}) - known):
        # Without the uid of the run, so that of many runs it is told once.
        tell(f"there is no data key {name!r} in {where}; it has {listed(nearest(name, known) or known)}")


def documents(
    header: Documents, stream_name: Any = ALL, fields: Any = None, fill: Any = False
) -> Iterator[tuple[str, Doc]]:
    """The documents of a run, plain.

    Parameters
    ----------
    header : core Header
    stream_name : str or ALL
    fields : iterable of str, optional
        Only these are in the events; events that have none of them are left out. Such as there are not: a warning.
    fill : bool or iterable of str

    Yields
    ------
    (name, document)
        ``start``, ``descriptor``, ``resource``, ``datum``, ``event``, ``stop``.
    """
    wanted = as_fields(fields)
    tell_unknown(header, stream_name, wanted, fill)
    stop = header.stop
    yield "start", header.start
    names = set(names_of(header, stream_name))
    descriptors = [doc for doc in header.descriptors if name_of_stream(doc) in names]
    yield from _inside(_flow(header, descriptors, wanted, fill), wanted)
    if stop is not None:
        yield "stop", stop


def _flow(header: Documents, descriptors: list[Any], wanted: frozenset[str] | None, fill: Any) -> Flow:
    any_filled, keys = as_fill(fill)
    if wanted is not None:
        # What is not given out need not be read.
        keys = wanted if keys is None else keys & wanted
    return Flow(header, "yes" if any_filled else "no", descriptors, keys)


def _inside(flow: Flow, wanted: Collection[str] | None) -> Iterator[tuple[str, Doc]]:
    if any(_stands_outside(key) for doc in flow.descriptors for key in doc.get("data_keys", {}).values()):
        events = flow.events(strict_order=True)
    else:
        # Nothing to fill, and no resource that comes late: pages are cut only where another stream comes in between.
        pages = [flow.source.get_event_pages(doc["uid"]) for doc in flow.descriptors]
        events = (("event_page", page) for page in interlace_event_pages(*pages))
    for name, doc in chain(flow.before_events(), events):
        if name == "event_page":
            yield from _events(doc, wanted)
        elif name == "datum_page":
            for datum in unpack_datum_page(doc):
                yield "datum", datum
        else:
            yield name, doc


def _stands_outside(data_key: Doc) -> bool:
    external = data_key.get("external")
    return bool(external) and not str(external).startswith("STREAM:")


def _events(page: Doc, wanted: Collection[str] | None) -> Iterable[tuple[str, Doc]]:
    if wanted is not None:
        kept = {key: column for key, column in page["data"].items() if key in wanted}
        if not kept:
            return
        page = {
            **page,
            "data": kept,
            "timestamps": {key: column for key, column in page["timestamps"].items() if key in wanted},
        }
        if "filled" in page:
            page["filled"] = {key: column for key, column in page["filled"].items() if key in wanted}
    for event in unpack_event_page(page):
        yield "event", event
