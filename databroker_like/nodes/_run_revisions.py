"""What a run was before its metadata was amended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, overload

from databroker_like.core._header import Header
from databroker_like.nodes._revised import Revised
from databroker_like.store._layout import run_specs

__all__ = ["RunRevisions", "run_metadata"]


def run_metadata(header: Header) -> dict[str, Any]:
    """What is said of a run: ``start``, and ``stop`` when there is one.

    Parameters
    ----------
    header : Header

    Returns
    -------
    dict
    """
    found: dict[str, Any] = {"start": header.start}
    stop = header.stop
    if stop is not None:
        found["stop"] = stop
    return found


class RunRevisions(Sequence[Revised]):
    """What a run was before, oldest first; each is read when it is asked for.

    The first is what was recorded, and the last what the run was before it was amended last.

    Parameters
    ----------
    header : Header
        Of the run as it is.
    """

    def __init__(self, header: Header) -> None:
        self._header = header
        self._amended = [] if header.corrections is None else header.corrections.revisions()

    def __len__(self) -> int:
        return len(self._amended)

    @overload
    def __getitem__(self, at: int) -> Revised: ...
    @overload
    def __getitem__(self, at: slice) -> list[Revised]: ...
    def __getitem__(self, at: int | slice) -> Revised | list[Revised]:
        numbers = range(len(self._amended))[at]
        return [self._at(number) for number in numbers] if isinstance(numbers, range) else self._at(numbers)

    def _at(self, number: int) -> Revised:
        """What the run was after so many amendments."""
        corrections = self._header.corrections
        assert corrections is not None
        source, _ = corrections.at(number)
        before = Header(source, {})
        since = self._amended[number - 1].time if number else before.start.get("time")
        return Revised(number + 1, run_metadata(before), run_specs(before.start), _moment(since))


def _moment(seconds: Any) -> datetime | None:
    """A time of a document; None for one that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
