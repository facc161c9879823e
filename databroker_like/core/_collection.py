"""RunCollection: the runs one storage has, found by query, in order of time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Reversible
from itertools import islice
from typing import Any

from databroker_like.core._source import RunSource
from databroker_like.queries import Everything, Node

__all__ = ["NoRuns", "RunCollection"]


class RunCollection(ABC):
    """What a driver hands to a Broker: which runs there are, and a `RunSource` for each.

    The Broker turns every lookup and search into a query of `databroker_like.queries` and asks here. A storage
    with indexes of its own (a database) overrides `find` and `count`; one that has a list answers from
    `starts`, which is all it needs to write. What a collection answers is always current: a run recorded, or
    deleted, a moment ago, by anybody, shows.

    A collection pickles: it carries paths or addresses and settings, never open files.
    """

    @abstractmethod
    def starts(self) -> Mapping[str, Mapping[str, Any]]:
        """The start documents of all runs now, by uid, oldest first (by ``start['time']``, then by uid)."""

    @abstractmethod
    def stop(self, uid: str) -> Mapping[str, Any] | None:
        """The stop document of a run, or None; cheap, without reading its events."""

    @abstractmethod
    def source(self, uid: str, get_filler: Any) -> RunSource:
        """The source of one run; ``get_filler`` is handed in by the Broker and becomes its getter."""

    def problems(self) -> dict[str, str]:
        """What holds runs and cannot be read, or not to its end -> why; a storage without such overrides nothing."""
        return {}

    def find(
        self, query: Node = Everything(), *, newest_first: bool = False, skip: int = 0, limit: int | None = None
    ) -> Iterator[str]:
        """The uids of the runs whose start document matches, in order of time.

        Parameters
        ----------
        query : Node
            Everything by default.
        newest_first : bool
            False by default: oldest first.
        skip, limit : int
            Which of the matches; all by default.

        Returns
        -------
        iterator of str
        """
        starts = self.starts()
        ordered = iter(_newest_first(starts) if newest_first else starts)
        if not isinstance(query, Everything):
            ordered = (uid for uid in ordered if query.matches(starts[uid]))
        return islice(ordered, skip, None if limit is None else skip + limit)

    def count(self, query: Node = Everything()) -> int:
        """How many runs match."""
        if isinstance(query, Everything):
            return len(self.starts())
        matches = query.matches
        return sum(1 for start in self.starts().values() if matches(start))

    def has(self, uid: str) -> bool:
        """Whether there is a run of this full uid."""
        return uid in self.starts()

    def start(self, uid: str) -> Mapping[str, Any]:
        """The start document of a run; KeyError when there is none."""
        return self.starts()[uid]

    def version(self, uid: str) -> Any:
        """What becomes another when the documents of a finished run are changed; None when that is not known.

        It is asked right after `start`, and what was found then is good enough. While a run goes on it is None.
        """
        return None


def _newest_first(starts: Mapping[str, Any]) -> Iterable[str]:
    return reversed(starts) if isinstance(starts, Reversible) else reversed(list(starts))


class NoRuns(RunCollection):
    """The collection without a run, which a Broker that is no driver asks."""

    def starts(self) -> Mapping[str, Mapping[str, Any]]:
        """Nothing."""
        return {}

    def stop(self, uid: str) -> Mapping[str, Any] | None:
        """Raises KeyError: there is no run."""
        raise KeyError(uid)

    def source(self, uid: str, get_filler: Any) -> RunSource:
        """Raises KeyError: there is no run."""
        raise KeyError(uid)
