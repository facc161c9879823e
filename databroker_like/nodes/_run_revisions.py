"""What a run was before its metadata was amended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, overload

from databroker_like.core._collection import check_revision
from databroker_like.core._header import Header
from databroker_like.nodes._revised import Revised
from databroker_like.store._layout import run_specs

__all__ = ["RunRevisions", "header_at", "run_metadata"]


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


def header_at(header: Header, revision: int) -> Header:
    """That of a run as it was.

    Parameters
    ----------
    header : Header
        Of the run as it is. What its transforms take away is taken away of what was before, too: a catalog is served
        with transforms so that nobody is sent it.
    revision : int
        0 is what was recorded.

    Returns
    -------
    Header

    Raises
    ------
    OutOfRange
        When there is no such revision.
    """
    if header.corrections is None:
        check_revision(header.start["uid"], revision, 0)
        return header
    source, corrections = header.corrections.at(revision)
    return Header(source, header.transforms, corrections)


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
        before = header_at(self._header, number)
        since = self._amended[number - 1].time if number else before.start.get("time")
        return Revised(number + 1, run_metadata(before), run_specs(before.start), _moment(since), self._amended[number])


def _moment(seconds: Any) -> datetime | None:
    """A time of a document; None for one that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
