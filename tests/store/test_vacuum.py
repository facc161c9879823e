"""vacuum() takes away what nobody refers to, and only that."""

import os
import time

import pytest

from databroker_like.errors import NotWritable
from databroker_like.store import _growth
from databroker_like.store import _schema as tables
from databroker_like.store._recording import StoreSink
from databroker_like.store._store import Store
from databroker_like.store._vacuum import Vacuumed, vacuum
from tests.store.conftest import files, harmful, make_run, record, recorded


def leave(store, name="0-left.arrow", age=7200.0):
    name = f"{store.file_prefix}/000000/77/{name}"
    store.files.write(name, b"left")
    then = time.time() - age
    os.utime(f"{store.files.root}/{name}", (then, then))
    return name


def test_there_is_nothing_to_do_where_there_is_no_store(store):
    assert store.vacuum() == Vacuumed(0, 0)
    assert not store.exists


def test_files_that_nobody_refers_to_are_taken_away_when_they_are_old(store, small):
    record(store, make_run("a", 40))
    kept = files(store)
    leave(store)
    leave(store, "5-left.arrow.0123abcd.part")
    fresh = leave(store, "9-left.arrow", age=60)
    assert store.vacuum().files == 2
    assert files(store) == sorted([*kept, fresh])
    assert recorded(store, "a") == make_run("a", 40)


def test_events_that_were_left_as_single_rows_become_columns(store, monkeypatch):
    run = make_run("a", 30)
    with monkeypatch.context() as patch:
        patch.setattr("databroker_like.store._recording.seal", lambda *args: None)
        record(store, run)
    assert _rows(store) == 30
    assert store.vacuum().runs == 1
    assert _rows(store) == 0
    assert recorded(store, "a") == run
    assert store.check() == []
    assert store.vacuum().runs == 0


def _rows(store):
    with store.database.read() as connection:
        return len(connection.execute(tables.event.select()).all())


def test_a_run_that_goes_on_is_recorded_on(store, monkeypatch):
    monkeypatch.setattr(_growth, "EVENTS_AT_MOST", 7)
    docs = make_run("a", 40)
    sink = StoreSink(store)
    other = Store(store.path)
    for name, doc in docs:
        sink.insert(name, doc)
        if name == "event" and doc["seq_num"] % 9 == 0:
            vacuum(other, older_than=-1)
    sink.close()
    assert recorded(store, "a") == docs
    assert harmful(store) == []
    other.close()


def test_the_database_file_becomes_smaller(store):
    record(store, make_run("a", 3000, stop=False), make_run("b"))
    store.delete("a", unfinished=True)
    store.close()  # so that nothing is in the log beside it
    before = os.path.getsize(store.database.path)
    store.vacuum()
    assert os.path.getsize(store.database.path) < before / 2
    assert recorded(store, "b") == make_run("b")
    assert store.check(integrity=True) == []


def test_a_store_opened_to_be_read_is_not_vacuumed(store):
    record(store, make_run("a"))
    with pytest.raises(NotWritable, match="read only"):
        Store(store.path, read_only=True).vacuum()
