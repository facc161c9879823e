"""No garbage collection while many objects are made that all live, or all die at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["calm"]


@contextmanager
def calm() -> Iterator[None]:
    """Hold garbage collection off for a while: it would look through everything again and again, and find nothing.

    Examples
    --------
    >>> with calm():
    ...     gc.isenabled()
    False
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
