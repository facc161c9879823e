"""Where an event that is a single row stands: its descriptor and its row in one number."""

from __future__ import annotations

from typing import Any

from databroker_like.store import _schema as tables

__all__ = ["ROWS", "of_descriptor", "place", "row_of"]

#: A descriptor may have so many events.
ROWS = 1 << 32


def place(descriptor_id: int, row: int) -> int:
    """The key of an event.

    Examples
    --------
    >>> row_of(place(3, 5))
    5
    """
    return descriptor_id * ROWS + row


def row_of(place: int) -> int:
    """The row of an event among those of its descriptor."""
    return place % ROWS


def of_descriptor(descriptor_id: int, first: int = 0, stop: int | None = None) -> Any:
    """The condition on ``event`` rows: those of a descriptor, from row ``first`` to before row ``stop``."""
    end = place(descriptor_id + 1, 0) if stop is None else place(descriptor_id, stop)
    return tables.event.c.place.between(place(descriptor_id, first), end - 1)
