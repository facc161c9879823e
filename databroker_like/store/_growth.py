"""How the events of a descriptor grow: single rows, then segments of columns, then segments in data files."""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from databroker_like.codecs import decode, encode
from databroker_like.core._belonging import named
from databroker_like.core._columns import page_size, scalars
from databroker_like.core._growing import GrowingEvents
from databroker_like.core._pages import unpack_event_page
from databroker_like.core._tell import tell
from databroker_like.errors import InvalidDocument, NotWritable, Unreachable
from databroker_like.store import _schema as tables
from databroker_like.store._database import Overtaken
from databroker_like.store._known_events import is_there, new_events
from databroker_like.store._places import ROWS, of_descriptor, row_of
from databroker_like.store._positions import Run, decode_positions, encode_positions
from databroker_like.store._segment import Segment, encode_segment
from databroker_like.store._tail import Tail, load_tail

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from databroker_like.store._store import Store

__all__ = ["INSERT_EVENT", "insert_event", "insert_page", "seal"]

Doc = Mapping[str, Any]

#: So many single rows, or bytes of them, become a segment.
EVENTS_AT_MOST = 4096
BYTES_AT_MOST = 8 << 20
#: So many rows, or bytes, of segments in the database become one in a data file.
ROWS_TO_A_FILE = 131_072
BYTES_TO_A_FILE = 32 << 20
#: A smaller segment stays in the database: a file of a few events costs more than it holds.
SMALLEST_FILE = 64 << 10
#: Seconds until segments are tried again where there was no room for them: not with each event.
_PATIENCE = 10.0
#: What keeps events from becoming columns, and not from having been recorded: no room, or such as no column takes.
_UNSETTLED = (NotWritable, Unreachable, InvalidDocument)


# -- taking events


def insert_event(insert: Callable[..., None], store: Store, tail: Tail, doc: Doc) -> None:
    """Record one event, unless the same is there.

    Parameters
    ----------
    insert : callable
        ``(place, position, seq_num, body, descriptor_id, row)``: `INSERT_EVENT` in a transaction of its own.
    """
    seq_num = doc["seq_num"]
    run = tail.run
    if seq_num <= tail.last_seq_num and is_there(store, tail, doc):
        run.is_shared = True
        return
    if run.is_finished:
        raise _after_stop(tail, "event", doc)
    body = encode({key: value for key, value in doc.items() if key != "descriptor"})
    insert(tail.id * ROWS + tail.next_row, run.next_position, seq_num, body, tail.id, tail.next_row)
    run.next_position += 1
    tail.next_row += 1
    tail.rows += 1
    tail.size += len(body)
    if seq_num > tail.last_seq_num:
        tail.last_seq_num = seq_num
    if tail.rows >= EVENTS_AT_MOST or tail.size >= BYTES_AT_MOST:
        _settle(store, tail)


#: Not where a segment holds the row already: another process may have recorded it, and made columns of it. Nor where
#: the run has been deleted, and the descriptor with it; nor where somebody recorded its stop document.
INSERT_EVENT = text(
    "INSERT INTO event (place, position, seq_num, body) SELECT :place, :position, :seq_num, :body WHERE (SELECT "
    "coalesce((SELECT first + rows FROM segment WHERE descriptor_id = d.id ORDER BY first DESC LIMIT 1), 0) "
    "FROM descriptor AS d JOIN run AS r ON r.id = d.run_id WHERE d.id = :descriptor_id AND r.stop IS NULL) <= :row"
)


def insert_page(store: Store, tail: Tail, doc: Doc) -> None:
    """Record an event page; of its events, those that are not there."""
    seq_nums = scalars(doc["seq_num"])
    if not seq_nums:
        return
    largest = int(max(seq_nums))
    if min(seq_nums) <= tail.last_seq_num or len(set(seq_nums)) != len(seq_nums):
        new = new_events(store, tail, doc)
        if len(new) != len(seq_nums):
            tail.run.is_shared = True
            if new:
                with store.alone(INSERT_EVENT) as insert:
                    for event in new:
                        insert_event(insert, store, tail, event)
            return
    run = tail.run
    if run.is_finished:
        raise _after_stop(tail, "event_page", doc)
    if tail.rows:  # no segment comes behind events that are rows, so these become one before
        _settle(store, tail)
    if tail.rows:  # which cannot be just now
        with store.alone(INSERT_EVENT) as insert:
            for event in unpack_event_page(doc):
                insert_event(insert, store, tail, event)
        return
    rows = len(seq_nums)
    body = encode_segment([doc], compression="lz4")
    row = _segment_row(tail.id, tail.next_row, rows, largest, [Run(run.next_position, rows, True)], body)
    with store.write() as connection:
        _refuse_others(connection)
        if _end(connection, tail.id) != tail.next_row:
            raise Overtaken("another process wrote there first")
        connection.execute(tables.segment.insert(), {**row, "body": bytes(body), "path": None})
    run.next_position += 1
    tail.next_row += rows
    tail.inline_rows += rows
    tail.inline_size += len(body)
    tail.last_seq_num = max(tail.last_seq_num, largest)
    if tail.inline_rows >= ROWS_TO_A_FILE or tail.inline_size >= BYTES_TO_A_FILE:
        _settle(store, tail)


def _end(connection: Connection, descriptor_id: int) -> int | None:
    """The first row of a descriptor that nobody has written; None when the run has its stop document."""
    low = descriptor_id * ROWS
    last, sealed, is_over = connection.execute(_END, {"id": descriptor_id, "low": low, "high": low + ROWS - 1}).one()
    if is_over:
        return None
    return row_of(last) + 1 if last is not None else int(sealed or 0)


_END = text(
    "SELECT (SELECT max(place) FROM event WHERE place BETWEEN :low AND :high), "
    "(SELECT first + rows FROM segment WHERE descriptor_id = :id ORDER BY first DESC LIMIT 1), "
    "(SELECT r.stop IS NOT NULL FROM descriptor AS d JOIN run AS r ON r.id = d.run_id WHERE d.id = :id)"
)


def _refuse_others(connection: Connection) -> None:
    """Nobody else writes events while segments are made of rows; SQLite has one writer in any case."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE event, segment IN SHARE ROW EXCLUSIVE MODE")


def _after_stop(tail: Tail, name: str, doc: Doc) -> InvalidDocument:
    return InvalidDocument(f"{named(name, doc)} comes after the stop document of run {tail.run.uid}")


# -- rows to segments


@dataclass(frozen=True)
class _Piece:
    """A page of events, and where each stood among the documents of the run."""

    first: int
    page: Doc
    positions: Sequence[Run]

    @property
    def shape(self) -> tuple[Any, ...]:
        page = self.page
        filled = tuple(page["filled"]) if "filled" in page else None
        # The order of the keys comes back as it was, too.
        return tuple(page), tuple(page["data"]), tuple(page["timestamps"]), filled


def _settle(store: Store, tail: Tail) -> None:
    """Make segments of the rows; a full disk is told and keeps nothing from being recorded."""
    if time.monotonic() < tail.not_before:
        return
    to_file = tail.inline_rows + tail.rows >= ROWS_TO_A_FILE or tail.inline_size + tail.size >= BYTES_TO_A_FILE
    try:
        condense(store, tail.id, tail.uid, inline_too=to_file)
    except _UNSETTLED as error:
        tail.not_before = time.monotonic() + _PATIENCE
        tell(f"the events of run {tail.run.uid} are recorded and are not yet columns: {error}")
    with store.database.read() as connection:
        renewed = load_tail(connection, tail.run, tail.uid)
    tail.rows, tail.size = renewed.rows, renewed.size
    tail.inline_rows, tail.inline_size = renewed.inline_rows, renewed.inline_size


def seal(store: Store, run_id: int) -> None:
    """Make segments of all the events of a run that are not in data files yet."""
    from sqlalchemy import select

    with store.database.read() as connection:
        found = connection.execute(
            select(tables.descriptor.c.id, tables.descriptor.c.uid).where(tables.descriptor.c.run_id == run_id)
        ).all()
    try:
        for descriptor_id, uid in found:
            condense(store, descriptor_id, uid, inline_too=True)
    except _UNSETTLED as error:
        tell(f"a finished run is recorded, and its events are not yet sealed: {error}")


def condense(store: Store, descriptor_id: int, uid: str, *, inline_too: bool) -> None:
    """Make segments of single rows, and longer ones of those in the database.

    Files are written first and the database last, in one transaction: killed in between, nothing has changed but that
    a file is there which nobody refers to.

    Parameters
    ----------
    store : Store
    descriptor_id : int
    uid : str
        Of the descriptor.
    inline_too : bool
        Whether segments in the database are made into longer ones as well.

    Raises
    ------
    NotWritable
        When there is no room; the events are where they were.
    Unreachable
        When the data files are kept by a server that does not answer; likewise.
    """
    from sqlalchemy import select

    event, segment = tables.event, tables.segment
    with store.database.read() as connection:
        rows = connection.execute(
            select(event.c.place, event.c.position, event.c.body)
            .where(of_descriptor(descriptor_id))
            .order_by(event.c.place)
        ).all()
        held: Sequence[Any] = []
        if inline_too:
            held = connection.execute(
                select(segment.c.id, segment.c.first, segment.c.positions, segment.c.body)
                .where(segment.c.descriptor_id == descriptor_id, segment.c.body.is_not(None))
                .order_by(segment.c.first)
            ).all()
    if not rows and len(held) < 2 and all(len(one.body) < SMALLEST_FILE for one in held):
        return
    pieces = list(_pieces_of_rows(uid, rows))
    for one in held:
        pieces.append(_Piece(one.first, Segment(one.body).page(uid), decode_positions(one.positions)))
    pieces.sort(key=lambda piece: piece.first)
    made = list(_segments(store, descriptor_id, pieces, final=inline_too))
    try:
        with store.write() as connection:
            _refuse_others(connection)
            gone = 0
            if rows:
                gone = connection.execute(
                    event.delete().where(of_descriptor(descriptor_id, 0, row_of(rows[-1].place) + 1))
                ).rowcount
            if held:
                gone += connection.execute(segment.delete().where(segment.c.id.in_([one.id for one in held]))).rowcount
            if gone != len(rows) + len(held):
                raise Overtaken("another process made segments of the same rows")
            connection.execute(segment.insert(), made)
    except Overtaken:
        for row in made:
            if row["path"] is not None:
                store.files.delete(row["path"])


def _pieces_of_rows(uid: str, rows: Iterable[Any]) -> Iterator[_Piece]:
    growing = GrowingEvents(uid)
    firsts: list[int] = []
    positions: list[int] = []
    for place, position, body in rows:
        growing.add(decode(body))
        firsts.append(row_of(place))
        positions.append(position)
    done = 0
    for page in growing.all_pages():
        size = page_size(page)
        yield _Piece(firsts[done], page, list(_singles(positions[done : done + size])))
        done += size


def _singles(positions: list[int]) -> Iterator[Run]:
    """Positions of single events as runs of consecutive ones."""
    for _, group in groupby(enumerate(positions), key=lambda pair: pair[1] - pair[0]):
        members = [position for _, position in group]
        yield Run(members[0], len(members), False)


def _segments(store: Store, descriptor_id: int, pieces: list[_Piece], *, final: bool) -> Iterator[dict[str, Any]]:
    for _, group in groupby(pieces, key=lambda piece: piece.shape):
        for some in _at_most(list(group)):
            pages = [piece.page for piece in some]
            body = encode_segment(pages, compression="zstd" if final else "lz4")
            last = max(int(max(scalars(page["seq_num"]))) for page in pages)
            runs = [run for piece in some for run in piece.positions]
            row = _segment_row(descriptor_id, some[0].first, sum(map(page_size, pages)), last, runs, body)
            if len(body) < SMALLEST_FILE or (not final and len(body) < BYTES_AT_MOST // 2):
                yield {**row, "body": bytes(body), "path": None}
            else:
                path = (
                    f"{store.file_prefix}/{descriptor_id // 1000:06d}/{descriptor_id}/"
                    f"{some[0].first}-{secrets.token_hex(4)}.arrow"
                )
                store.files.write(path, body)
                yield {**row, "body": None, "path": path}


def _at_most(pieces: list[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces in groups that end where one would hold too many rows, or where rows are missing in between."""
    group: list[_Piece] = []
    rows = 0
    for piece in pieces:
        size = page_size(piece.page)
        if group and (rows + size > ROWS_TO_A_FILE or piece.first != group[0].first + rows):
            yield group
            group, rows = [], 0
        group.append(piece)
        rows += size
    if group:
        yield group


def _segment_row(
    descriptor_id: int, first: int, rows: int, last_seq_num: int, positions: Sequence[Run], body: Any
) -> dict[str, Any]:
    return {
        "descriptor_id": descriptor_id,
        "first": first,
        "rows": rows,
        "last_seq_num": last_seq_num,
        "positions": encode_positions(positions),
        "size": len(body),
        "checksum": f"{zlib.crc32(body):08x}",
    }
