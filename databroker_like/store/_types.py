"""The types of columns that SQLite and PostgreSQL write differently."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.dialects import postgresql

__all__ = ["Identity", "OrderedText"]

#: SQLite numbers rows by itself only where the column is called INTEGER.
Identity = BigInteger().with_variant(Integer(), "sqlite")
#: Text that is ordered by code point on every database, as Python orders it.
OrderedText = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
