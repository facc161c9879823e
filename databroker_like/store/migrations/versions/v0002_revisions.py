"""Metadata can be amended, and what was recorded stays."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from databroker_like.store._types import Identity, OrderedText

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables of revisions."""
    op.add_column("run", sa.Column("revision", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "revision",
        sa.Column("run_id", Identity, sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.create_table(
        "revised",
        sa.Column("run_id", Identity, sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("uid", OrderedText, primary_key=True),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
