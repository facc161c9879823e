"""The runs of a store, found through its index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from databroker_like.codecs import decode
from databroker_like.core._collection import RunCollection, check_revision
from databroker_like.core._correction import Correction, Patch
from databroker_like.core._revision import DocumentKey, Revision
from databroker_like.core._sink import RunSink
from databroker_like.core._source import RunSource
from databroker_like.errors import NoSuchRun, listed, nearest
from databroker_like.queries import Everything, Node
from databroker_like.store import _revisions as revisions
from databroker_like.store import _schema as tables
from databroker_like.store import _search as search
from databroker_like.store._marks import marks
from databroker_like.store._recording import StoreSink
from databroker_like.store._search_distinct import distinct
from databroker_like.store._store import Store
from databroker_like.store._stored_run import StoredRun
from databroker_like.store._terms import is_writable

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["StoreCollection"]

Doc = Mapping[str, Any]
_Row = TypeVar("_Row")

#: How many are read before the first is handed out.
_UIDS_AHEAD = 10_000
_HEADS_AHEAD = 1_000
_RUNS_AT_ONCE = 500
_STREAMS = """
SELECT run_id, count(DISTINCT stream), min(stream) FROM descriptor WHERE run_id IN ({}) GROUP BY run_id
"""


class StoreCollection(RunCollection):
    """The `RunCollection` of a store; one that is not there yet has no runs.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        #: The version of the run whose start document was read last: it is asked for next.
        self._seen: tuple[str, tuple[int, int]] | None = None

    def problems(self) -> dict[str, str]:
        if self.store.check_version():
            return {}
        return {self.store.path or self.store.database.shown: "there is no store yet; recording a run makes it"}

    def find(
        self, query: Node = Everything(), *, newest_first: bool = False, skip: int = 0, limit: int | None = None
    ) -> Iterator[str]:
        options: dict[str, Any] = {"newest_first": newest_first, "skip": skip, "limit": limit, "decode": decode}
        return self._ahead(_UIDS_AHEAD, lambda connection: search.find(connection, query, **options))

    def heads(
        self, query: Node = Everything(), *, newest_first: bool = False, skip: int = 0, limit: int | None = None
    ) -> Iterator[tuple[str, Doc, Doc | None]]:
        options: dict[str, Any] = {"newest_first": newest_first, "skip": skip, "limit": limit, "decode": decode}
        return self._told(lambda connection: search.versions_and_heads(connection, query, **options))

    def find_sorted(
        self,
        by: Sequence[tuple[str, int]],
        query: Node = Everything(),
        *,
        newest_first: bool = False,
        skip: int = 0,
        limit: int | None = None,
    ) -> Iterator[str]:
        options: dict[str, Any] = {"newest_first": newest_first, "skip": skip, "limit": limit, "decode": decode}
        return self._ahead(_UIDS_AHEAD, lambda connection: search.find_sorted(connection, query, by, **options))

    def heads_sorted(
        self,
        by: Sequence[tuple[str, int]],
        query: Node = Everything(),
        *,
        newest_first: bool = False,
        skip: int = 0,
        limit: int | None = None,
    ) -> Iterator[tuple[str, Doc, Doc | None]]:
        options: dict[str, Any] = {"newest_first": newest_first, "skip": skip, "limit": limit, "decode": decode}
        return self._told(lambda connection: search.versions_and_heads_sorted(connection, query, by, **options))

    def _told(self, ask: Callable[[Connection], Iterator[Any]]) -> Iterator[tuple[str, Doc, Doc | None]]:
        for run_id, revision, uid, start, stop in self._ahead(_HEADS_AHEAD, ask):
            self._seen = uid, (run_id, revision)
            yield uid, decode(start), None if stop is None else decode(stop)

    def _ahead(self, size: int, ask: Callable[[Connection], Iterator[_Row]]) -> Iterator[_Row]:
        """What is found; when it is no more than ``size``, the connection is given back before the first is handed out.

        Whoever takes them may take long, and a connection that reads keeps the log of the database from shrinking.
        """
        if not self.store.check_version():
            return
        with self.store.database.read() as connection:
            found = ask(connection)
            ahead = list(islice(found, size))
            if len(ahead) == size:
                yield from ahead
                ahead = []
                yield from found
        yield from ahead

    def count(self, query: Node = Everything()) -> int:
        if not self.store.check_version():
            return 0
        with self.store.database.read() as connection:
            return search.count(connection, query, decode=decode)

    def distinct(self, key: str, query: Node = Everything()) -> list[tuple[Any, int]]:
        if not self.store.check_version():
            return []
        with self.store.database.read() as connection:
            return distinct(connection, key, query, decode=decode)

    def starts(self) -> Mapping[str, Doc]:
        return _Starts(self)

    def has(self, uid: str) -> bool:
        return self._row(uid, tables.run.c.id) is not None

    def start(self, uid: str) -> Doc:
        run = tables.run
        body, run_id, revision = self._known(uid, run.c.start, run.c.id, run.c.revision)
        self._seen = uid, (run_id, revision)
        return decode(body)

    def stop(self, uid: str) -> Doc | None:
        (body,) = self._known(uid, tables.run.c.stop)
        return None if body is None else decode(body)

    def version(self, uid: str) -> Any:
        seen, self._seen = self._seen, None
        if seen is not None and seen[0] == uid:
            return seen[1]
        run = tables.run
        return tuple(self._known(uid, run.c.id, run.c.revision))

    def stream_counts(self, versions: Mapping[str, Any]) -> Mapping[str, int]:
        # What was amended may have streams of other names.
        uids = {run_id: uid for uid, (run_id, revision) in versions.items() if not revision}
        if not uids:
            return {}
        found = dict.fromkeys(uids, 0)
        left = list(uids)
        with self.store.database.read() as connection:
            for at in range(0, len(left), _RUNS_AT_ONCE):
                some = tuple(left[at : at + _RUNS_AT_ONCE])
                for run_id, count, least in connection.exec_driver_sql(
                    _STREAMS.format(marks(connection, len(some))), some
                ):
                    if least:
                        found[run_id] = count
                    else:
                        # One without a name may be that of another, too.
                        del found[run_id]
        return {uids[run_id]: count for run_id, count in found.items()}

    def source(self, uid: str, get_filler: Any) -> RunSource:
        return StoredRun(self.store, uid).source(get_filler)

    def source_at(self, uid: str, get_filler: Any, revision: int) -> RunSource:
        (current,) = self._known(uid, tables.run.c.revision)
        return StoredRun(self.store, uid, check_revision(uid, revision, current)).source(get_filler)

    def revisions(self, uid: str) -> list[Revision]:
        self._known(uid, tables.run.c.id)
        return revisions.revisions(self.store, uid)

    def copying_sink(self) -> RunSink:
        return StoreSink(self.store, checked=False)

    def amend(
        self, uid: str, correction: Correction | Mapping[str, Any], *, author: str | None = None, reason: str = ""
    ) -> Revision:
        self._known(uid, tables.run.c.id)
        return revisions.amend(self.store, uid, Patch.of(correction), author=author, reason=reason)

    def history(self, uid: str) -> list[tuple[Revision, Mapping[DocumentKey, Doc]]]:
        self._known(uid, tables.run.c.id)
        return list(revisions.history(self.store, uid))

    def adopt(self, uid: str, revision: Revision, documents: Mapping[DocumentKey, Doc]) -> None:
        self._known(uid, tables.run.c.id)
        revisions.adopt(self.store, uid, revision, documents)

    def _row(self, uid: str, *columns: Any) -> Any:
        from sqlalchemy import select

        if not isinstance(uid, str) or not self._can_be_asked(uid) or not self.store.check_version():
            return None
        with self.store.database.read() as connection:
            return connection.execute(select(*columns).where(tables.run.c.uid == uid)).one_or_none()

    def _can_be_asked(self, uid: str) -> bool:
        """Whether the database takes such text; if not, no run has this uid. SQLite takes NUL, and PostgreSQL not."""
        return is_writable(uid.replace("\0", "") if self.store.database.is_sqlite else uid)

    def _known(self, uid: str, *columns: Any) -> Any:
        row = self._row(uid, *columns)
        if row is None:
            near = nearest(uid, self.find(newest_first=True, limit=1000))
            raise NoSuchRun(f"no run {uid!r}; the nearest: {listed(near)}")
        return row


class _Starts(Mapping[str, Doc]):
    """The start documents by uid, oldest first, each read when it is asked for."""

    def __init__(self, collection: StoreCollection) -> None:
        self._collection = collection

    def __getitem__(self, uid: str) -> Doc:
        if not self._collection.has(uid):
            raise KeyError(uid)
        return self._collection.start(uid)

    def __contains__(self, uid: object) -> bool:
        return isinstance(uid, str) and self._collection.has(uid)

    def __iter__(self) -> Iterator[str]:
        return self._collection.find()

    def __reversed__(self) -> Iterator[str]:
        return self._collection.find(newest_first=True)

    def __len__(self) -> int:
        return self._collection.count()
