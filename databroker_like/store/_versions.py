"""The versions of the store's tables, oldest first."""

from __future__ import annotations

__all__ = ["HEAD", "VERSIONS"]

#: One for each file in ``migrations/versions``.
VERSIONS = ("0001", "0002")
HEAD = VERSIONS[-1]
