"""The embedded store: runs in a database and data files of its own."""

from __future__ import annotations

from databroker_like.store._store import Store

__all__ = ["Store"]
