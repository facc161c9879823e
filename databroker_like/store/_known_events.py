"""Which events of a descriptor are recorded already, wherever they are by now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.codecs import decode
from databroker_like.core._identity import judge_event, same
from databroker_like.core._pages import unpack_event_page
from databroker_like.store import _schema as tables
from databroker_like.store._places import of_descriptor
from databroker_like.store._segment import Segment

if TYPE_CHECKING:
    from databroker_like.store._store import Store
    from databroker_like.store._tail import Tail

__all__ = ["is_there", "new_events"]

Doc = Mapping[str, Any]


def is_there(store: Store, tail: Tail, doc: Doc) -> bool:
    """Whether the same event is recorded; another one of its seq_num is refused, unless it was taken again later.

    Parameters
    ----------
    store : Store
    tail : Tail
        Of the descriptor.
    doc : mapping
        The event.

    Returns
    -------
    bool

    Raises
    ------
    Conflict
        When another event is in its place.
    """
    return _is_among(doc, _events_of(store, tail, {doc["seq_num"]})[doc["seq_num"]])


def new_events(store: Store, tail: Tail, page: Doc) -> list[Doc]:
    """The events of a page that are not recorded, and not in the page before.

    Parameters
    ----------
    store : Store
    tail : Tail
        Of the descriptor.
    page : mapping
        The event page.

    Returns
    -------
    list of mapping

    Raises
    ------
    Conflict
        When another event is in the place of one of them.
    """
    events = list(unpack_event_page(page))
    known = _events_of(store, tail, {event["seq_num"] for event in events})
    new: list[Doc] = []
    for event in events:
        there = known[event["seq_num"]]
        if not _is_among(event, there):
            there.append(event)
            new.append(event)
    return new


def _is_among(doc: Doc, known: list[Doc]) -> bool:
    if any(same(event, doc) for event in known):
        return True
    for event in known:
        judge_event(event, doc)
    return False


def _events_of(store: Store, tail: Tail, seq_nums: set[int]) -> defaultdict[int, list[Doc]]:
    """The events of some seq_nums, in the order recorded."""
    from sqlalchemy import select

    event, segment = tables.event, tables.segment
    first, last = min(seq_nums), max(seq_nums)
    found: defaultdict[int, list[Doc]] = defaultdict(list)
    with store.database.read() as connection:
        held = connection.execute(
            select(segment.c.body, segment.c.path)
            .where(segment.c.descriptor_id == tail.id, segment.c.last_seq_num >= first)
            .order_by(segment.c.first)
        )
        for body, path in held:
            page = Segment(body if path is None else store.files.open(path)).page(tail.uid)
            for begin, end in _spans(page["seq_num"], seq_nums):
                for doc in unpack_event_page(page.cut(begin, end)):
                    found[doc["seq_num"]].append(doc)
        rows = connection.execute(
            select(event.c.seq_num, event.c.body)
            .where(of_descriptor(tail.id), event.c.seq_num.between(first, last))
            .order_by(event.c.place)
        )
        for seq_num, body in rows:
            if seq_num in seq_nums:
                found[seq_num].append({"descriptor": tail.uid, **decode(body)})
    return found


def _spans(column: Any, wanted: set[int]) -> Iterator[tuple[int, int]]:
    """Where some numbers stand in a column: from each first row to the one after the last."""
    import numpy as np

    rows = np.flatnonzero(np.isin(np.asarray(column), list(wanted)))
    for span in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
        if len(span):
            yield int(span[0]), int(span[-1]) + 1
