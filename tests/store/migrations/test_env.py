"""The steps from version to version: one for each, taken in the transaction that alembic is handed."""

import importlib

import pytest
from sqlalchemy import create_engine, event, inspect

from databroker_like.store._upgrade import migrate
from databroker_like.store._versions import HEAD, VERSIONS


def test_importing_it_does_nothing():
    importlib.import_module("databroker_like.store.migrations.env")


def test_there_is_a_step_for_each_version():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "databroker_like:store/migrations")
    config.set_main_option("path_separator", "os")
    steps = [step.revision for step in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(steps)) == VERSIONS
    assert VERSIONS[-1] == HEAD


@pytest.fixture
def engine(tmp_path):
    """One that begins transactions as those of a store do."""
    made = create_engine(f"sqlite:///{tmp_path}/store.db", connect_args={"isolation_level": None})
    event.listen(made, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    yield made
    made.dispose()


@pytest.mark.parametrize("to", VERSIONS)
def test_a_step_that_is_undone_leaves_nothing(engine, to):
    with engine.connect() as connection:
        with connection.begin() as transaction:
            migrate(connection, to)
            assert inspect(connection).get_table_names()
            transaction.rollback()
        assert inspect(connection).get_table_names() == []
