"""Where events stood among the documents of their run: runs of consecutive positions, as few bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgpack

__all__ = ["Run", "decode_positions", "encode_positions"]


class Run(NamedTuple):
    """Events that came one after another, each a document; or the events of one page.

    Parameters
    ----------
    first : int
        The position of the first.
    events : int
        How many events.
    is_page : bool
        Whether they came as one page, which has one position.
    """

    first: int
    events: int
    is_page: bool

    @property
    def last(self) -> int:
        """The position of the last."""
        return self.first if self.is_page else self.first + self.events - 1


def encode_positions(runs: Sequence[Run]) -> bytes:
    """Runs as bytes; those that continue each other become one.

    Examples
    --------
    >>> decode_positions(encode_positions([Run(3, 2, False), Run(5, 1, False), Run(9, 4, True)]))
    [Run(first=3, events=3, is_page=False), Run(first=9, events=4, is_page=True)]
    """
    joined: list[Run] = []
    for run in runs:
        if joined and not run.is_page and not joined[-1].is_page and run.first == joined[-1].last + 1:
            joined[-1] = Run(joined[-1].first, joined[-1].events + run.events, False)
        else:
            joined.append(run)
    packed: bytes = msgpack.packb([[run.first, run.events, run.is_page] for run in joined])
    return packed


def decode_positions(packed: bytes) -> list[Run]:
    """Runs from bytes."""
    return [Run(*run) for run in msgpack.unpackb(packed)]
