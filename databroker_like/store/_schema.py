"""The tables of the store's database, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

from databroker_like.store._types import Identity, OrderedText

__all__ = [
    "datum",
    "datum_id",
    "descriptor",
    "document",
    "event",
    "key",
    "metadata",
    "revised",
    "revision",
    "run",
    "segment",
    "setting",
    "term",
]

metadata = MetaData()

#: What is true of the whole store: its identity, and with which settings it was made.
setting = Table("setting", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))

#: One row a run. ``start`` and ``stop`` are the current documents, encoded; ``revision`` says how often amended.
run = Table(
    "run",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("uid", OrderedText, nullable=False, unique=True),
    Column("time", Double, nullable=False),
    Column("start", LargeBinary, nullable=False),
    Column("stop", LargeBinary),
    Column("revision", Integer, nullable=False, server_default="0"),
    Index("run_by_time", "time", "uid"),
    sqlite_autoincrement=True,  # the id of a deleted run is never given to another one
)

#: Every document that is no event and no datum, as it was recorded, at its place in the run.
document = Table(
    "document",
    metadata,
    Column("run_id", Identity, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("name", Text, nullable=False),
    Column("uid", OrderedText, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("document_by_uid", "uid"),
)

#: One row a descriptor: what its events refer to.
descriptor = Table(
    "descriptor",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("run_id", Identity, ForeignKey("run.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("uid", OrderedText, nullable=False, index=True),
    Column("stream", Text, nullable=False),
    sqlite_autoincrement=True,
)

#: The growing end of a descriptor's events: one row an event, until they become a segment. ``place`` says whose event
#: it is and which: one number is the key because SQLite appends to such a table twice as fast as to any other.
event = Table(
    "event",
    metadata,
    Column("place", Identity, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("seq_num", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

#: Rows ``first`` to ``first + rows`` of a descriptor's events as columns: in ``body``, or in the data file at ``path``.
segment = Table(
    "segment",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("descriptor_id", Identity, ForeignKey("descriptor.id", ondelete="CASCADE"), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("last_seq_num", BigInteger, nullable=False),
    Column("positions", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("checksum", Text, nullable=False),
    Column("body", LargeBinary),
    Column("path", Text),
    Index("segment_by_descriptor", "descriptor_id", "first", unique=True),
    sqlite_autoincrement=True,
)

#: One row a datum document, or a datum page, at its place in the run.
datum = Table(
    "datum",
    metadata,
    Column("run_id", Identity, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("name", Text, nullable=False),
    Column("resource", OrderedText, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("datum_by_resource", "run_id", "resource"),
)

#: Which document each datum id is in: ids are found, and not recorded twice, without reading the documents.
datum_id = Table(
    "datum_id",
    metadata,
    Column("run_id", Identity, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("datum_id", OrderedText, primary_key=True),
    Column("position", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: The dotted keys that runs are searched by; those of stop documents begin with ``stop.``.
key = Table(
    "key",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("name", OrderedText, nullable=False, unique=True),
)

#: What stands at a key of a run, one row for each scalar: the index that answers searches.
term = Table(
    "term",
    metadata,
    Column("key_id", Identity, primary_key=True),
    Column("kind", SmallInteger, primary_key=True),
    Column("num", Double, primary_key=True),
    Column("txt", OrderedText, primary_key=True),
    Column("time", Double, primary_key=True),
    Column("run_id", Identity, primary_key=True),
    sqlite_with_rowid=False,
)

#: Each time the metadata of a run was amended; number 1 is the first amendment, 0 what was recorded.
revision = Table(
    "revision",
    metadata,
    Column("run_id", Identity, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("time", Double, nullable=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

#: The documents that a revision put in the place of those before.
revised = Table(
    "revised",
    metadata,
    Column("run_id", Identity, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("uid", OrderedText, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)
