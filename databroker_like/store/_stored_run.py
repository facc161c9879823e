"""StoredRun: one run of a store, read through the getters of a `RunSource`."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.codecs import decode
from databroker_like.core._columns import page_size, scalars
from databroker_like.core._growing import GrowingDatums, GrowingEvents
from databroker_like.core._pages import slice_pages, unpack_event_page
from databroker_like.core._source import RunSource
from databroker_like.errors import NoSuchDocument, NoSuchRun, listed, nearest
from databroker_like.store import _schema as tables
from databroker_like.store._places import of_descriptor, row_of
from databroker_like.store._positions import decode_positions
from databroker_like.store._segment import Segment

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from databroker_like.store._store import Store

__all__ = ["StoredRun"]

Doc = Mapping[str, Any]


class StoredRun:
    """One run of a store, as it is whenever it is asked.

    Parameters
    ----------
    store : Store
    uid : str
    revision : int, optional
        Which revision of its metadata: 0 is exactly what was recorded; the current one by default.
    """

    def __init__(self, store: Store, uid: str, revision: int | None = None) -> None:
        self.store = store
        self.uid = uid
        self.revision = revision
        self._known_id: int | None = None

    def source(self, get_filler: Any) -> RunSource:
        """The getters of this run."""
        return RunSource.of(self, get_filler)

    # -- documents

    def get_run_start(self) -> Doc:
        """The start document."""
        return self._header("start") or {}

    def get_run_stop(self) -> Doc | None:
        """The stop document, or None."""
        return self._header("stop")

    def get_event_descriptors(self) -> list[Doc]:
        """The descriptors, in the order recorded."""
        return self._documents("descriptor")

    def get_resources(self) -> list[Doc]:
        """The resource documents, in the order recorded."""
        return self._documents("resource")

    def get_stream_resources(self) -> list[Doc]:
        """The stream_resource documents, in the order recorded."""
        return self._documents("stream_resource")

    def get_stream_datums(self, stream_resource_uid: str) -> list[Doc]:
        """The stream_datum documents of a stream_resource, in the order recorded."""
        return [doc for doc in self._documents("stream_datum") if doc["stream_resource"] == stream_resource_uid]

    def get_resource(self, uid: str) -> Doc:
        """The resource document of a uid."""
        resources = self.get_resources()
        for doc in resources:
            if doc["uid"] == uid:
                return doc
        raise NoSuchDocument(f"run {self.uid} has no resource {uid!r}; it has {listed(d['uid'] for d in resources)}")

    def _id(self, connection: Connection) -> int:
        from sqlalchemy import select

        if self._known_id is None:
            self._known_id = connection.execute(
                select(tables.run.c.id).where(tables.run.c.uid == self.uid)
            ).scalar_one_or_none()
        if self._known_id is None:
            raise self._gone()
        return self._known_id

    def _gone(self) -> NoSuchRun:
        self._known_id = None
        return NoSuchRun(
            f"the store {self.store.path or self.store.database.shown} has no run {self.uid} any more: it was deleted"
        )

    def _refuse_deleted(self, connection: Connection, run_id: int) -> None:
        """Nothing was found of a run: was it deleted since its id was looked up?"""
        from sqlalchemy import select

        if connection.execute(select(tables.run.c.id).where(tables.run.c.id == run_id)).first() is None:
            raise self._gone()

    def _header(self, name: str) -> Doc | None:
        from sqlalchemy import select

        if self.revision is not None:
            return next(iter(self._documents(name)), None)
        with self.store.database.read() as connection:
            run_id = self._id(connection)
            found = connection.execute(select(tables.run.c[name]).where(tables.run.c.id == run_id)).one_or_none()
        if found is None:
            raise self._gone()
        return None if found[0] is None else decode(found[0])

    def _documents(self, name: str) -> list[Doc]:
        from sqlalchemy import select

        table = tables.document
        with self.store.database.read() as connection:
            run_id = self._id(connection)
            rows = connection.execute(
                select(table.c.uid, table.c.body)
                .where(table.c.run_id == run_id, table.c.name == name)
                .order_by(table.c.position)
            ).all()
            if not rows:
                self._refuse_deleted(connection, run_id)
            changed = self._revised(connection, run_id, name) if rows else {}
        return [decode(changed.get(uid, body)) for uid, body in rows]

    def _revised(self, connection: Connection, run_id: int, name: str) -> dict[str, bytes]:
        """The documents of a kind that revisions put in the place of what was recorded, by uid."""
        from sqlalchemy import select

        if self.revision == 0:
            return {}
        table = tables.revised
        query = select(table.c.uid, table.c.body).where(table.c.run_id == run_id, table.c.name == name)
        if self.revision is not None:
            query = query.where(table.c.number <= self.revision)
        # Later ones come later, and take the place of those before.
        return {row.uid: row.body for row in connection.execute(query.order_by(table.c.number))}

    # -- events

    def get_event_count(self, descriptor_uid: str) -> int:
        """How many events a descriptor has."""
        from sqlalchemy import func, select

        event, segment = tables.event, tables.segment
        with self.store.database.read() as connection:
            descriptor_id = self._descriptor_id(connection, descriptor_uid)
            sealed = select(func.coalesce(func.sum(segment.c.rows), 0)).where(segment.c.descriptor_id == descriptor_id)
            single = select(func.count()).select_from(event).where(of_descriptor(descriptor_id))
            return int(connection.execute(sealed).scalar_one()) + int(connection.execute(single).scalar_one())

    def get_event_pages(self, descriptor_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        """Event pages of a descriptor, rows ``skip`` to ``skip + limit``; columns are decoded when they are touched."""
        from sqlalchemy import select

        event, segment = tables.event, tables.segment
        end = None if limit is None else skip + limit
        with self.store.database.read() as connection:
            descriptor_id = self._descriptor_id(connection, descriptor_uid)
            single = select(event.c.place, event.c.body).where(of_descriptor(descriptor_id, skip, end))
            held = select(segment.c.first, segment.c.rows, segment.c.body, segment.c.path).where(
                segment.c.descriptor_id == descriptor_id
            )
            if skip:
                held = held.where(segment.c.first + segment.c.rows > skip)
            if end is not None:
                held = held.where(segment.c.first < end)
            singles = connection.execute(single.order_by(event.c.place)).all()
            segments = connection.execute(held.order_by(segment.c.first)).all()
            # Opened while the database still says that they are there.
            opened = [self._segment(body, path) for _, _, body, path in segments]
        pages: list[tuple[int, Doc]] = []
        for (first, rows, _, _), found in zip(segments, opened, strict=True):
            begin, stop = max(0, skip - first), rows if end is None else min(rows, end - first)
            pages.append((first + begin, found.page(descriptor_uid, begin, stop)))
        pages.extend(_pages_of_rows(descriptor_uid, singles))
        pages.sort(key=lambda pair: pair[0])
        return [page for _, page in pages]

    def _segment(self, body: bytes | None, path: str | None) -> Segment:
        files = self.store.files
        if path is None:
            return Segment(body, f"a segment of events of run {self.uid} in the database")
        return Segment(files.open(path), f"the data file {files.shown(path)} of run {self.uid}")

    def _descriptor_id(self, connection: Connection, uid: str) -> int:
        from sqlalchemy import select

        table = tables.descriptor
        run_id = self._id(connection)
        found = connection.execute(
            select(table.c.id).where(table.c.run_id == run_id, table.c.uid == uid)
        ).scalar_one_or_none()
        if found is None:
            self._refuse_deleted(connection, run_id)
            known = connection.execute(select(table.c.uid).where(table.c.run_id == run_id)).scalars().all()
            raise NoSuchDocument(f"run {self.uid} has no descriptor {uid!r}; it has {listed(known)}")
        return int(found)

    # -- datums

    def get_datum_pages(self, resource_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        """Datum pages of a resource, rows ``skip`` to ``skip + limit``."""
        from sqlalchemy import select

        table = tables.datum
        with self.store.database.read() as connection:
            rows = connection.execute(
                select(table.c.name, table.c.body)
                .where(table.c.run_id == self._id(connection), table.c.resource == resource_uid)
                .order_by(table.c.position)
            ).all()
        growing = GrowingDatums(resource_uid)
        for name, body in rows:
            if name == "datum":
                growing.add(decode(body))
            else:
                growing.add_page(decode(body))
        pages = growing.all_pages()
        return pages if not skip and limit is None else slice_pages(iter(pages), skip, limit)

    def lookup_resource_for_datum(self, datum_id: str) -> str:
        """The uid of the resource a datum belongs to."""
        from sqlalchemy import select

        names, table = tables.datum_id, tables.datum
        with self.store.database.read() as connection:
            run_id = self._id(connection)
            found = connection.execute(
                select(table.c.resource)
                .join(names, (names.c.run_id == table.c.run_id) & (names.c.position == table.c.position))
                .where(names.c.run_id == run_id, names.c.datum_id == datum_id)
            ).scalar_one_or_none()
            if found is None:
                known = connection.execute(
                    select(names.c.datum_id).where(names.c.run_id == run_id).limit(1000)
                ).scalars()
                close = nearest(datum_id, known)
                hint = f"; nearest: {listed(close)}" if close else ""
                raise NoSuchDocument(f"run {self.uid} has no datum {datum_id!r}{hint}")
        return str(found)

    # -- exactly as recorded

    def recorded(self) -> Iterator[tuple[str, Doc]]:
        """The documents one by one, just as they were recorded, in that order.

        An event page comes back as the event page it was, but for such of its events as were there before.
        """
        from sqlalchemy import select

        with self.store.database.read() as connection:
            run_id = self._id(connection)
            document, datum = tables.document, tables.datum
            documents = connection.execute(
                select(document.c.position, document.c.name, document.c.body)
                .where(document.c.run_id == run_id)
                .order_by(document.c.position)
            ).all()
            datums = connection.execute(
                select(datum.c.position, datum.c.name, datum.c.body)
                .where(datum.c.run_id == run_id)
                .order_by(datum.c.position)
            ).all()
            descriptors = connection.execute(
                select(tables.descriptor.c.id, tables.descriptor.c.uid).where(tables.descriptor.c.run_id == run_id)
            ).all()
            events = [list(self._pieces(connection, descriptor_id, uid)) for descriptor_id, uid in descriptors]
            if not documents:
                self._refuse_deleted(connection, run_id)
        streams: list[Iterable[tuple[int, str, Any]]] = [
            ((position, name, decode(body)) for position, name, body in rows) for rows in (documents, datums)
        ]
        streams.extend(map(_one_by_one, events))
        for _, name, doc in heapq.merge(*streams, key=lambda item: item[0]):
            yield name, doc

    def _pieces(self, connection: Connection, descriptor_id: int, uid: str) -> Iterator[tuple[Any, Any]]:
        """Pages and runs of positions, or one event and its position."""
        from sqlalchemy import select

        event, segment = tables.event, tables.segment
        for positions, body, path in connection.execute(
            select(segment.c.positions, segment.c.body, segment.c.path)
            .where(segment.c.descriptor_id == descriptor_id)
            .order_by(segment.c.first)
        ):
            found = self._segment(body, path)
            yield found.page(uid), decode_positions(positions)
        for position, body in connection.execute(
            select(event.c.position, event.c.body).where(of_descriptor(descriptor_id)).order_by(event.c.place)
        ):
            yield {"descriptor": uid, **decode(body)}, position


def _pages_of_rows(descriptor_uid: str, rows: Iterable[Any]) -> Iterator[tuple[int, Doc]]:
    growing = GrowingEvents(descriptor_uid)
    first = None
    for place, body in rows:
        first = row_of(place) if first is None else first
        growing.add(decode(body))
    for page in growing.all_pages():
        assert first is not None
        yield first, page
        first += page_size(page)


def _one_by_one(pieces: list[tuple[Any, Any]]) -> Iterator[tuple[int, str, Any]]:
    """Events and event pages as they were recorded, with their positions."""
    for page, positions in pieces:
        if isinstance(positions, int):
            yield positions, "event", page
            continue
        done = 0
        for run in positions:
            rows = next(iter(slice_pages(iter([page]), done, run.events)))
            done += run.events
            if run.is_page:
                yield run.first, "event_page", {key: _plain(value) for key, value in rows.items()}
            else:
                for offset, doc in enumerate(unpack_event_page(rows)):
                    yield run.first + offset, "event", doc


def _plain(value: Any) -> Any:
    """Columns of a page as lists, in dictionaries of one's own."""
    if isinstance(value, Mapping):
        return {key: scalars(column) for key, column in value.items()}
    return value if isinstance(value, str) else scalars(value)
