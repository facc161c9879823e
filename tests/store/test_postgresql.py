"""The store on PostgreSQL: the contract that every driver keeps, upkeep, and what its server says."""

import multiprocessing
import os
import pickle

import pytest
from sqlalchemy import create_engine, text

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.errors import Conflict, Invalid, InvalidDocument, NotWritable, Unreachable
from databroker_like.store._recording import StoreSink
from databroker_like.store._store import Store
from databroker_like.testing import DriverContract
from databroker_like.testing import _runs as samples
from tests.contracts.test_embedded_keeps_the_contract import record as record_unchecked
from tests.store.conftest import files, harmful, make_run, record, recorded

pytestmark = pytest.mark.slow


class TestOnPostgreSQL(DriverContract):
    records = True

    @pytest.fixture(autouse=True)
    def _databases(self, postgresql):
        self.new_database = postgresql

    def make_catalog(self, folder, runs):
        catalog = BlueskyEmbeddedCatalog(folder, database=self.new_database())
        for run in runs:
            record_unchecked(catalog, run)
        return catalog

    def add_run(self, catalog, folder, run):
        another = BlueskyEmbeddedCatalog(folder, database=catalog.store.database.url)
        record_unchecked(another, run)
        another.close()


@pytest.fixture
def on_server(tmp_path, postgresql, small):
    store = Store(database=postgresql(), data=tmp_path / "data")
    yield store
    store.close()


def test_runs_come_back_to_the_letter_and_pass_the_check(on_server, tmp_path):
    runs = [make_run("a", 40), make_run("b", 30, pages=7), samples.external(tmp_path, uid="c")]
    record(on_server, *runs)
    assert [recorded(on_server, uid) for uid in "abc"] == runs
    assert on_server.check(integrity=True) == []
    assert files(on_server)


def test_several_processes_make_the_store_once_and_record_other_runs_and_the_same(tmp_path, postgresql):
    url = postgresql()
    uids = ["run0", "run1", "same", "same", "run2", "run3"]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap(_record_one, [(url, str(tmp_path), uid) for uid in uids], chunksize=1)
    store = Store(database=url, data=tmp_path)
    assert len(BlueskyEmbeddedCatalog(database=url, data=str(tmp_path))) == 5
    assert all(recorded(store, uid) == make_run(uid, 30) for uid in uids)
    assert store.check() == []
    store.close()


def _record_one(url, data, uid):
    record(Store(database=url, data=data), make_run(uid, 30))


def test_what_a_process_knows_of_a_run_may_be_old(on_server):
    """Another one has made columns of the events meanwhile."""
    docs = make_run("a", 40)
    first, second = StoreSink(on_server), StoreSink(Store(database=on_server.database.url, data=on_server.files.root))
    for name, doc in docs[:4]:
        first.insert(name, doc)
        second.insert(name, doc)
    for name, doc in docs[4:20]:
        first.insert(name, doc)
    for name, doc in docs[4:]:
        second.insert(name, doc)
    first.insert(*docs[-1])
    assert recorded(on_server, "a") == docs
    assert on_server.check() == []
    first.close()
    second.close()


def test_a_reader_sees_one_state(on_server):
    """What is committed between two statements of a reader is not seen by the second."""
    record(on_server, make_run("a", 3, stop=False))
    count = text("SELECT count(*) FROM event")
    with on_server.database.read() as connection:
        before = connection.execute(count).scalar_one()
        record(on_server, make_run("b", 4, stop=False))
        assert connection.execute(count).scalar_one() == before == 3


def test_a_backup_is_a_folder_and_restores_to_a_folder_or_a_server(on_server, tmp_path, postgresql):
    runs = {"a": make_run("a", 40), "b": make_run("b", 8, pages=4), "c": make_run("c", 3, stop=False)}
    record(on_server, *runs.values())
    assert on_server.backup(tmp_path / "backup").runs == 3
    targets = [
        Store(tmp_path / "folder"),
        Store(database=postgresql(), data=tmp_path / "other data"),
    ]
    for target in targets:
        target.restore(tmp_path / "backup")
        assert {uid: recorded(target, uid) for uid in runs} == runs
        record(target, make_run("d", 30), runs["c"][:1], [make_run("c", 3)[-1]])
        assert target.check() == []
        target.close()
    with pytest.raises(Conflict, match="there is a store at"):
        on_server.restore(tmp_path / "backup")


def test_a_backup_of_a_folder_restores_to_a_server(tmp_path, postgresql, store, small):
    record(store, make_run("a", 40))
    store.backup(tmp_path / "backup")
    target = Store(database=postgresql(), data=tmp_path / "data")
    target.restore(tmp_path / "backup")
    assert recorded(target, "a") == make_run("a", 40)
    assert target.check() == []
    target.close()


def test_deleting_vacuuming_and_reindexing(on_server):
    record(on_server, make_run("a", 40), make_run("b", 40))
    on_server.delete("a")
    with on_server.write() as connection:
        connection.execute(text("DELETE FROM term WHERE num = 0"))
    assert len(harmful(on_server)) == 1
    assert on_server.reindex() == ["b"]
    assert on_server.vacuum().files == 0
    assert on_server.check() == []
    assert recorded(on_server, "b") == make_run("b", 40)
    on_server.delete("b")
    assert files(on_server) == []


# -- what the server says


def test_a_server_that_is_not_there_is_told_without_its_password(tmp_path):
    for url in (
        "postgresql+psycopg://me:secret@127.0.0.1:9/name",
        "postgresql+psycopg://me:se/cret@127.0.0.1:9/name",
        "postgresql+psycopg://127.0.0.1:9/name?user=me&password=secret",
    ):
        store = Store(database=url, data=tmp_path)
        for use in (store.check_version, lambda store=store: record(store, make_run("a"))):
            with pytest.raises((Unreachable, Invalid)) as caught:
                use()
            assert "cret" not in str(caught.value)
            assert "127.0.0.1" in str(caught.value)
        assert "cret" not in repr(store)
        assert "cret" not in repr(store.database)


def test_a_password_that_is_wrong_is_told_without_it(tmp_path, postgresql_server):
    if "host=/" not in postgresql_server:
        pytest.skip("only the server of the tests' own trusts everybody on its socket, but for unknown roles")
    url = postgresql_server.replace("//tests@", "//nobody-known:secret@")
    with pytest.raises(Unreachable, match="nobody-known") as caught:
        Store(database=url, data=tmp_path).check_version()
    assert "secret" not in str(caught.value)


def test_recording_goes_on_when_the_server_has_closed_connections(on_server, postgresql_server):
    sink = StoreSink(on_server)
    docs = make_run("a", 12)
    for name, doc in docs[:8]:
        sink.insert(name, doc)
    admin = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        schema = on_server.database.url.rpartition("%3D")[2]
        ended = connection.execute(
            text("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = :schema"),
            {"schema": schema},
        ).scalar_one()
    admin.dispose()
    assert ended
    with pytest.raises(Unreachable, match="does not answer"):
        sink.insert(*docs[8])
    for name, doc in docs[8:]:
        sink.insert(name, doc)
    sink.close()
    assert recorded(on_server, "a") == docs
    assert on_server.check() == []


def test_what_the_database_takes_no_value_of_is_refused_and_found_nowhere(on_server):
    catalog = BlueskyEmbeddedCatalog(database=on_server.database.url, data=on_server.files.root)
    start, descriptor, event, *_ = make_run("a", 1)
    with pytest.raises(InvalidDocument, match=r"takes no such value: .*NUL"):
        catalog.insert("start", {**start[1], "uid": "a\0"})
    for name, doc in (start, descriptor):
        catalog.insert(name, doc)
    with pytest.raises(InvalidDocument, match=r"takes no such value: .*NUL"):
        catalog.insert("event", {**event[1], "descriptor": "a-d\0"})
    with pytest.raises(InvalidDocument):
        catalog.insert("event", {**event[1], "seq_num": 2**63})
    catalog.insert(*event)
    assert "a\0" not in catalog
    assert recorded(on_server, "a") == [start, descriptor, event]
    catalog.close()


def test_who_may_only_read_is_told(on_server):
    record(on_server, make_run("a"))
    read_only = Store(
        database=on_server.database.url.replace("options=", "options=-cdefault_transaction_read_only%3Don%20"),
        data=on_server.files.root,
    )
    with pytest.raises(NotWritable, match="read-only"):
        record(read_only, make_run("b"))
    assert recorded(read_only, "a") == make_run("a")
    read_only.close()
    opened = Store(database=on_server.database.url, data=on_server.files.root, read_only=True)
    with pytest.raises(NotWritable, match="read only"):
        record(opened, make_run("b"))
    opened.close()


def test_a_catalog_pickles_and_goes_on_elsewhere(on_server):
    record(on_server, make_run("a", 40))
    catalog = BlueskyEmbeddedCatalog(database=on_server.database.url, data=on_server.files.root)
    other = pickle.loads(pickle.dumps(catalog))
    assert other["a"].primary.read()["n"].values.tolist() == list(range(1, 41))
    catalog.close()
    other.close()


def test_it_is_the_server_that_the_header_names(postgresql_server):
    from tests.store.servers import VARIABLE, postgresql_said

    assert "not tested" not in postgresql_said()
    assert (VARIABLE in os.environ) == (VARIABLE in postgresql_said())


def test_the_streams_of_many_runs_are_counted_at_once(on_server):
    record(on_server, make_run("a", 3), make_run("b", 3))
    collection = BlueskyEmbeddedCatalog(database=on_server.database.url, data=on_server.files.root).collection
    assert collection.stream_counts({}) == {}
    found = collection.stream_counts({uid: collection.version(uid) for uid in "ab"})
    assert found == {uid: len(list(collection.source(uid, None).get_event_descriptors())) for uid in "ab"}
    collection.amend("b", {"start": {"sample": "gold"}}, reason="it was")
    assert collection.stream_counts({uid: collection.version(uid) for uid in "ab"}) == {"a": found["a"]}
