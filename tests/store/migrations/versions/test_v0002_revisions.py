"""Revisions come to a store that had none: its runs are as they were recorded."""

from sqlalchemy import create_engine, inspect, text

from databroker_like.store._upgrade import migrate
from databroker_like.store.migrations.versions import v0002_revisions


def test_it_adds_what_amended_runs_need_and_changes_nothing_else(tmp_path):
    assert (v0002_revisions.revision, v0002_revisions.down_revision) == ("0002", "0001")
    engine = create_engine(f"sqlite:///{tmp_path}/store.db")
    with engine.begin() as connection:
        migrate(connection, "0001")
        connection.execute(text("INSERT INTO run (uid, time, start) VALUES ('a', 1.5, x'80')"))
    before = set(inspect(engine).get_table_names())
    with engine.begin() as connection:
        migrate(connection, "0002")
        assert connection.execute(text("SELECT * FROM run")).one() == (1, "a", 1.5, b"\x80", None, 0)
    assert set(inspect(engine).get_table_names()) - before == {"revision", "revised"}
    engine.dispose()
