"""Statements that are handed to the database's own driver: with many values they cost a fraction of what others do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["marks"]


def marks(connection: Connection, number: int) -> str:
    """What stands in such a statement for so many values.

    Parameters
    ----------
    connection : Connection
    number : int

    Returns
    -------
    str

    Examples
    --------
    >>> from sqlalchemy import create_engine
    >>> with create_engine("sqlite://").connect() as connection:
    ...     marks(connection, 3)
    '?, ?, ?'
    """
    return ", ".join(["?" if connection.dialect.paramstyle == "qmark" else "%s"] * number)
