"""What alembic runs: the steps, in the transaction of the connection it was handed."""

from __future__ import annotations

from alembic import context

if hasattr(context, "config"):  # which it has when alembic runs this, and nobody else
    context.configure(
        connection=context.config.attributes["connection"],
        # SQLite undoes changes of tables too, when they are made in a transaction that was begun as one.
        transactional_ddl=True,
    )
    context.run_migrations()
