"""What the calculated fields of the projections that databroker is asked about call; it imports nothing of ours."""

from __future__ import annotations

from typing import Any


def doubled(run: Any, column: str, *, stream: str = "primary") -> Any:
    """A column of a stream, times two, as a DataArray."""
    return run[stream].read()[column] * 2


def plan_name(run: Any) -> Any:
    """A single value of the run."""
    return run.metadata["start"]["plan_name"]


def failing(run: Any) -> Any:
    """A calculation with a mistake in it."""
    raise ZeroDivisionError("divided by zero on purpose")


#: What is no callable.
NOT_CALLABLE = 3
