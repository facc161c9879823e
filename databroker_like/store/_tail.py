"""What a recorder knows of the runs it records, and of where their events end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from databroker_like.store import _schema as tables
from databroker_like.store._places import of_descriptor, row_of
from databroker_like.store._positions import decode_positions

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["OpenRun", "Tail", "is_over", "load_tail", "next_position"]


@dataclass
class OpenRun:
    """What a recorder knows of a run.

    Parameters
    ----------
    id : int
        Its row.
    uid : str
    time : float
        Of its start document.
    next_position : int
        Where the next document stands among those of the run.
    is_finished : bool
        Whether it has its stop document.
    is_shared : bool
        Whether another process records it too, or did: where the next document stands must be looked up.
    """

    id: int
    uid: str
    time: float
    next_position: int
    is_finished: bool = False
    is_shared: bool = False


@dataclass
class Tail:
    """Where the events of a descriptor end.

    Parameters
    ----------
    run : OpenRun
    id : int
        The row of the descriptor.
    uid : str
    next_row : int
    last_seq_num : int
        The largest so far.
    rows, size : int
        How many events are single rows, and how many bytes they are.
    inline_rows, inline_size : int
        The same of segments in the database.
    not_before : float
        When segments are tried again, after that could not be, by `time.monotonic`.
    """

    run: OpenRun
    id: int
    uid: str
    next_row: int = 0
    last_seq_num: int = -1
    rows: int = 0
    size: int = 0
    inline_rows: int = 0
    inline_size: int = 0
    not_before: float = 0.0


def is_over(connection: Connection, run_id: int) -> bool:
    """Whether somebody recorded the stop document of a run; nobody else does before this transaction ends."""
    from sqlalchemy import select

    # SQLite has one writer in any case, and knows no such lock.
    query = select(tables.run.c.stop.is_not(None)).where(tables.run.c.id == run_id).with_for_update()
    return bool(connection.execute(query).scalar())


def next_position(connection: Connection, run_id: int) -> int:
    """The first position of a run that no document has."""
    from sqlalchemy import func, select

    last = -1
    for table in (tables.document, tables.datum):
        found = connection.execute(select(func.max(table.c.position)).where(table.c.run_id == run_id)).scalar()
        last = max(last, -1 if found is None else found)
    of_run = select(tables.descriptor.c.id).where(tables.descriptor.c.run_id == run_id)
    for (descriptor_id,) in connection.execute(of_run):
        event, segment = tables.event, tables.segment
        found = connection.execute(select(func.max(event.c.position)).where(of_descriptor(descriptor_id))).scalar()
        last = max(last, -1 if found is None else found)
        packed = connection.execute(
            select(segment.c.positions)
            .where(segment.c.descriptor_id == descriptor_id)
            .order_by(segment.c.first.desc())
            .limit(1)
        ).scalar()
        if packed is not None:
            last = max(last, *(run.last for run in decode_positions(packed)))
    return last + 1


def load_tail(connection: Connection, run: OpenRun, uid: str) -> Tail:
    """The tail of a descriptor as the database has it."""
    from sqlalchemy import func, select

    event, segment = tables.event, tables.segment
    descriptor_id = connection.execute(
        select(tables.descriptor.c.id).where(tables.descriptor.c.run_id == run.id, tables.descriptor.c.uid == uid)
    ).scalar_one()
    rows, last_row, last_event, size = connection.execute(
        select(
            func.count(), func.max(event.c.place), func.max(event.c.seq_num), func.sum(func.length(event.c.body))
        ).where(of_descriptor(descriptor_id))
    ).one()
    end, last_segment = connection.execute(
        select(func.max(segment.c.first + segment.c.rows), func.max(segment.c.last_seq_num)).where(
            segment.c.descriptor_id == descriptor_id
        )
    ).one()
    inline_rows, inline_size = connection.execute(
        select(func.sum(segment.c.rows), func.sum(segment.c.size)).where(
            segment.c.descriptor_id == descriptor_id, segment.c.body.is_not(None)
        )
    ).one()
    return Tail(
        run,
        descriptor_id,
        uid,
        next_row=max(-1 if last_row is None else row_of(last_row), (end or 0) - 1) + 1,
        last_seq_num=max(-1 if last_event is None else last_event, -1 if last_segment is None else last_segment),
        rows=rows,
        size=int(size or 0),
        inline_rows=int(inline_rows or 0),
        inline_size=int(inline_size or 0),
    )
