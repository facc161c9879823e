"""Runs and their documents, events, datums and the index of searches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from databroker_like.store._types import Identity, OrderedText

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "setting", sa.Column("name", sa.Text(), primary_key=True), sa.Column("value", sa.Text(), nullable=False)
    )
    op.create_table(
        "run",
        sa.Column("id", Identity, primary_key=True, autoincrement=True),
        sa.Column("uid", OrderedText, nullable=False, unique=True),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("start", sa.LargeBinary(), nullable=False),
        sa.Column("stop", sa.LargeBinary()),
        sa.Index("run_by_time", "time", "uid"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "document",
        sa.Column("run_id", Identity, sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.BigInteger(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uid", OrderedText, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Index("document_by_uid", "uid"),
    )
    op.create_table(
        "descriptor",
        sa.Column("id", Identity, primary_key=True, autoincrement=True),
        sa.Column("run_id", Identity, sa.ForeignKey("run.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("uid", OrderedText, nullable=False, index=True),
        sa.Column("stream", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    _events()
    _datums()
    op.create_table(
        "key",
        sa.Column("id", Identity, primary_key=True, autoincrement=True),
        sa.Column("name", OrderedText, nullable=False, unique=True),
    )
    op.create_table(
        "term",
        sa.Column("key_id", Identity, primary_key=True),
        sa.Column("kind", sa.SmallInteger(), primary_key=True),
        sa.Column("num", sa.Double(), primary_key=True),
        sa.Column("txt", OrderedText, primary_key=True),
        sa.Column("time", sa.Double(), primary_key=True),
        sa.Column("run_id", Identity, primary_key=True),
        sqlite_with_rowid=False,
    )


def _events() -> None:
    op.create_table(
        "event",
        sa.Column("place", Identity, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("seq_num", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "segment",
        sa.Column("id", Identity, primary_key=True, autoincrement=True),
        sa.Column("descriptor_id", Identity, sa.ForeignKey("descriptor.id", ondelete="CASCADE"), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("last_seq_num", sa.BigInteger(), nullable=False),
        sa.Column("positions", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("path", sa.Text()),
        sa.Index("segment_by_descriptor", "descriptor_id", "first", unique=True),
        sqlite_autoincrement=True,
    )


def _datums() -> None:
    op.create_table(
        "datum",
        sa.Column("run_id", Identity, sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.BigInteger(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("resource", OrderedText, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Index("datum_by_resource", "run_id", "resource"),
    )
    op.create_table(
        "datum_id",
        sa.Column("run_id", Identity, sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("datum_id", OrderedText, primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
