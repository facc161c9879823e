"""Bringing the tables of an older store to those of this release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from databroker_like.errors import InvalidFile
from databroker_like.store._versions import HEAD, VERSIONS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from databroker_like.store._store import Store

__all__ = ["migrate", "upgrade"]


def upgrade(store: Store, to: str = HEAD) -> str:
    """Upgrade the tables, in one transaction: they are those of one version or of the other, whatever happens.

    Parameters
    ----------
    store : Store
    to : str
        The version; the newest by default.

    Returns
    -------
    str
        The version it had.

    Raises
    ------
    InvalidFile
        When there is no store, or one of a later release.
    NotWritable
        When it cannot be written.
    """
    found = store.version() if store.exists else None
    if found is None:
        raise InvalidFile(f"there is no store at {store.path or store.database.shown} to upgrade")
    if found not in VERSIONS:
        raise InvalidFile(
            f"the store {store.path or store.database.shown} was made by a later release (version {found}, here "
            f"{HEAD}); install that one: pip install --upgrade databroker-like"
        )
    if found == to:
        return found
    store.refuse_network()
    with store.database.write(synchronous="FULL") as connection:
        migrate(connection, to)
    return found


def migrate(connection: Connection, to: str = HEAD) -> None:
    """Take the steps from the version that the tables have, which may be none, to another one.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        In a transaction, which all steps are taken in.
    to : str
        The version; the newest by default.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "databroker_like:store/migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, to)
