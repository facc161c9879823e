"""The first tables, which stay as they were whatever the tables are now."""

from sqlalchemy import create_engine, inspect

from databroker_like.store._upgrade import migrate
from databroker_like.store.migrations.versions import v0001_runs


def test_it_is_the_first_step_and_makes_these_tables(tmp_path):
    assert (v0001_runs.revision, v0001_runs.down_revision) == ("0001", None)
    engine = create_engine(f"sqlite:///{tmp_path}/store.db")
    with engine.begin() as connection:
        migrate(connection, "0001")
    found = inspect(engine)
    assert {table: [c["name"] for c in found.get_columns(table)] for table in found.get_table_names()} == {
        "alembic_version": ["version_num"],
        "datum": ["run_id", "position", "name", "resource", "body"],
        "datum_id": ["run_id", "datum_id", "position"],
        "descriptor": ["id", "run_id", "uid", "stream"],
        "document": ["run_id", "position", "name", "uid", "body"],
        "event": ["place", "position", "seq_num", "body"],
        "key": ["id", "name"],
        "run": ["id", "uid", "time", "start", "stop"],
        "segment": [
            *("id", "descriptor_id", "first", "rows", "last_seq_num"),
            *("positions", "size", "checksum", "body", "path"),
        ],
        "setting": ["name", "value"],
        "term": ["key_id", "kind", "num", "txt", "time", "run_id"],
    }
    engine.dispose()
