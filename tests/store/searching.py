"""Runs in a database of their own, and the same runs in a plain list, which says what is right."""

from functools import cache

from sqlalchemy import create_engine, delete, event, insert, update
from sqlalchemy.pool import StaticPool

from databroker_like.codecs import decode, encode
from databroker_like.queries import Tally, parse, searched
from databroker_like.store import _search, _search_distinct
from databroker_like.store._schema import key, metadata, run, term
from databroker_like.store._terms import index_run, index_stop, unindex_run


@cache
def memory():
    """An engine for a database in memory, which begins transactions as those of a store do; one is enough."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"isolation_level": None})
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    metadata.create_all(engine, tables=[run, key, term])
    return engine


class Runs:
    """Start and stop documents by uid, recorded in a database."""

    def __init__(self, engine=None):
        self.engine = memory() if engine is None else engine
        with self.engine.begin() as connection:
            connection.execute(delete(term))
            connection.execute(delete(run))
        self.heads = {}
        self.ids = {}

    def add(self, start, stop=None, *, at_once=True):
        start = {"uid": f"run{len(self.ids):04}", "time": 0.0, **start}
        row = {"uid": start["uid"], "time": float(start["time"]), "start": encode(start)}
        with self.engine.begin() as connection:
            number = connection.execute(insert(run).values(row).returning(run.c.id)).scalar_one()
            index_run(connection, number, row["time"], start, stop if at_once else None)
            if stop is not None:
                connection.execute(update(run).where(run.c.id == number).values(stop=encode(stop)))
                if not at_once:
                    index_stop(connection, number, row["time"], stop)
        self.ids[start["uid"]] = number
        self.heads[start["uid"]] = (decode(encode(start)), None if stop is None else decode(encode(stop)))
        return start["uid"]

    def delete(self, uid):
        start, stop = self.heads.pop(uid)
        with self.engine.begin() as connection:
            unindex_run(connection, self.ids[uid], float(start["time"]), start, stop)
            connection.execute(delete(run).where(run.c.id == self.ids[uid]))

    # -- as the store answers

    def find(self, query, **options):
        with self.engine.connect() as connection:
            return list(_search.find(connection, parse(query), decode=decode, **options))

    def count(self, query):
        with self.engine.connect() as connection:
            return _search.count(connection, parse(query), decode=decode)

    def the_heads(self, query, **options):
        with self.engine.connect() as connection:
            found = _search.heads(connection, parse(query), decode=decode, **options)
            return [(uid, decode(start), None if stop is None else decode(stop)) for uid, start, stop in found]

    def distinct(self, key, query=None):
        with self.engine.connect() as connection:
            return _search_distinct.distinct(connection, key, parse(query), decode=decode)

    # -- as it should answer

    def expected(self, query, newest_first=False, skip=0, limit=None):
        node = parse(query)
        found = [
            (start["time"], uid) for uid, (start, stop) in self.heads.items() if node.matches(searched(start, stop))
        ]
        uids = [uid for _, uid in sorted(found, reverse=newest_first)]
        return uids[skip:] if limit is None else uids[skip : skip + limit]

    def expected_distinct(self, key, query=None):
        tally = Tally(key)
        for uid in self.expected(query):
            tally.add(searched(*self.heads[uid]))
        return tally.counts()

    def check(self, query, **options):
        """The store answers as a plain loop does."""
        assert self.find(query, **options) == self.expected(query, **options), query
        if not options:
            assert self.count(query) == len(self.expected(query)), query
