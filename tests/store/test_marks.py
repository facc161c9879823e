"""Statements that are handed to the database's own driver."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import create_engine

from databroker_like.store._marks import marks


@pytest.mark.parametrize("values", [(), (5,), ("a", 1.5, None, b"\x00")])
def test_there_is_a_mark_for_each_value(values: tuple[Any, ...]) -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        row = f"SELECT 'what is asked for', {marks(connection, len(values))}".rstrip(", ")
        assert connection.exec_driver_sql(row, values).one()[1:] == values
    engine.dispose()


def test_servers_have_other_marks() -> None:
    class Connection:
        class dialect:
            paramstyle = "format"

    assert marks(Connection, 2) == "%s, %s"  # type: ignore[arg-type]
