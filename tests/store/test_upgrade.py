"""Stores of earlier releases: they are refused until they are upgraded, and then nothing is missing."""

import os
import re

import pytest
from sqlalchemy import create_engine, inspect, text

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.errors import InvalidFile, NotWritable
from databroker_like.store import _schema as tables
from databroker_like.store._store import Store
from databroker_like.store._upgrade import migrate, upgrade
from databroker_like.store._versions import HEAD
from tests.store.conftest import harmful, make_run, record, recorded


def make_old(store, *runs, version="0001"):
    """A store as the first release made it, with runs in it."""
    if store.database.is_sqlite:
        os.makedirs(store.path, exist_ok=True)
    with store.database.write() as connection:
        migrate(connection, version)
        connection.execute(tables.setting.insert(), [{"name": "identity", "value": "0" * 32}])
    store._is_ready, store._file = True, store.database.file
    record(store, *runs)
    store._is_ready = False
    store.close()


def shape(connection):
    """All there is to know of the tables, as far as the database tells."""
    found = inspect(connection)
    told = {}
    for table in found.get_table_names():
        columns = [(c["name"], str(c["type"]), c["nullable"], _default(c["default"])) for c in found.get_columns(table)]
        told[table] = {
            "columns": columns,
            "key": found.get_pk_constraint(table)["constrained_columns"],
            "foreign": sorted(
                (f["constrained_columns"], f["referred_table"], f["options"]) for f in found.get_foreign_keys(table)
            ),
            "unique": sorted(u["column_names"] for u in found.get_unique_constraints(table)),
            "indexes": sorted((i["name"], i["column_names"], bool(i["unique"])) for i in found.get_indexes(table)),
        }
        if connection.dialect.name == "sqlite":
            sql = connection.execute(text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": table}).scalar()
            told[table]["kind"] = ("WITHOUT ROWID" in sql, "AUTOINCREMENT" in sql)
        else:
            collations = text(
                "SELECT column_name, collation_name FROM information_schema.columns "
                "WHERE table_schema = current_schema() AND table_name = :name ORDER BY 1"
            )
            told[table]["collations"] = connection.execute(collations, {"name": table}).all()
    return told


def _default(default):
    return default and re.sub(r"nextval\('.*\.", "nextval('", default)


def test_the_steps_lead_to_the_tables_that_a_new_store_has(tmp_path, store):
    store.prepare()
    engine = create_engine(f"sqlite:///{tmp_path}/stepped.db")
    with engine.begin() as connection:
        migrate(connection)
    with engine.connect() as stepped, store.database.read() as made:
        assert shape(stepped) == shape(made)
    engine.dispose()


def test_the_steps_lead_to_the_tables_that_a_new_store_has_on_postgresql(tmp_path, postgresql):
    store = Store(database=postgresql(), data=tmp_path)
    store.prepare()
    other = Store(database=postgresql(), data=tmp_path)
    with other.database.write() as connection:
        migrate(connection)
    with other.database.read() as stepped, store.database.read() as made:
        assert shape(stepped) == shape(made)
    store.close()
    other.close()


def test_an_older_store_says_what_to_do_before_it_is_read_or_written(store):
    make_old(store, make_run("a"))
    with pytest.raises(InvalidFile, match=r"made by an earlier release \(version 0001.*store\.upgrade\(\)"):
        len(BlueskyEmbeddedCatalog(store.path))
    with pytest.raises(InvalidFile, match=r"store\.upgrade\(\)"):
        record(store, make_run("b"))
    assert store.version() == "0001"


def test_an_upgraded_store_holds_what_it_held(store, small):
    runs = [make_run("a", 40), make_run("b", 30, pages=7), make_run("c", 3, stop=False)]
    make_old(store, *runs)
    assert store.upgrade() == "0001"
    assert store.version() == HEAD
    assert [recorded(store, uid) for uid in "abc"] == runs
    assert harmful(store, integrity=True) == []
    catalog = BlueskyEmbeddedCatalog(store.path)
    assert catalog.search({"plan_name": "scan"})["a"].primary.read()["n"].values.tolist() == list(range(1, 41))
    record(store, make_run("d"))
    assert len(catalog) == 4
    catalog.close()


def test_an_upgraded_store_on_postgresql_holds_what_it_held(tmp_path, postgresql, small):
    store = Store(database=postgresql(), data=tmp_path)
    run = make_run("a", 40)
    make_old(store, run)
    assert store.upgrade() == "0001"
    assert recorded(store, "a") == run
    assert harmful(store) == []
    store.close()


def test_upgrading_twice_changes_nothing(store):
    make_old(store)
    store.upgrade()
    assert store.upgrade() == HEAD


def test_what_is_not_there_is_not_upgraded(store):
    with pytest.raises(InvalidFile, match="there is no store"):
        store.upgrade()


def test_a_store_of_a_later_release_is_neither_read_nor_upgraded(store):
    store.prepare()
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    later = Store(store.path)
    with pytest.raises(InvalidFile, match=r"later release \(version 9999.*pip install --upgrade"):
        later.check_version()
    with pytest.raises(InvalidFile, match=r"later release \(version 9999.*pip install --upgrade"):
        later.upgrade()


def test_a_store_opened_to_be_read_is_not_upgraded(store):
    make_old(store)
    with pytest.raises(NotWritable, match="read only"):
        upgrade(Store(store.path, read_only=True))
    assert store.version() == "0001"
