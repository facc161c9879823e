"""RunCollection: the runs one storage has, found by query, in order of time."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Reversible, Sequence
from itertools import islice
from typing import Any

from databroker_like.core._correction import Correction
from databroker_like.core._revision import DocumentKey, Revision
from databroker_like.core._sink import RunSink
from databroker_like.core._source import RunSource
from databroker_like.errors import NotOffered, OutOfRange, WrongType
from databroker_like.queries import Everything, Node, Tally, in_order_of, ranks, searched, top_level_keys

__all__ = ["Head", "NoRuns", "RunCollection", "check_revision"]

Doc = Mapping[str, Any]
#: The uid of a run, its start document, and its stop document or None.
Head = tuple[str, Doc, Doc | None]


class RunCollection(ABC):
    """What a driver hands to a Broker: which runs there are, and a `RunSource` for each.

    The Broker turns every lookup and search into a query of `databroker_like.queries` and asks here. A storage
    with indexes of its own (a database) overrides `find`, `count`, `heads`, `distinct` and `matches`; one that has a
    list answers from `starts`, which is all it needs to write. What a collection answers is always current: a run
    recorded, or deleted, a moment ago, by anybody, shows.

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
        """The uids of the runs that match, in order of time.

        A query is asked of `searched(start, stop)`: the start document, with the stop document under ``stop``.

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
            test = self._test(query, starts)
            ordered = (uid for uid in ordered if test(uid))
        return islice(ordered, skip, None if limit is None else skip + limit)

    def count(self, query: Node = Everything()) -> int:
        """How many runs match."""
        starts = self.starts()
        return len(starts) if isinstance(query, Everything) else sum(map(self._test(query, starts), starts))

    def heads(
        self, query: Node = Everything(), *, newest_first: bool = False, skip: int = 0, limit: int | None = None
    ) -> Iterator[Head]:
        """The uid, start document and stop document of the runs that match, in order of time.

        A database answers in a few queries whatever the number of runs. A run that is deleted meanwhile is left out.

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
        iterator of (str, mapping, mapping or None)
        """
        for uid in self.find(query, newest_first=newest_first, skip=skip, limit=limit):
            try:
                head = uid, self.start(uid), self.stop(uid)
            except KeyError:
                continue
            yield head

    def find_sorted(
        self,
        by: Sequence[tuple[str, int]],
        query: Node = Everything(),
        *,
        newest_first: bool = False,
        skip: int = 0,
        limit: int | None = None,
    ) -> Iterator[str]:
        """The uids of the runs that match, in the order of what they have at some keys.

        Parameters
        ----------
        by : sequence of (str, int)
            Dotted keys of the searched document, the weightiest first, each with 1 or -1. Numbers are before texts;
            runs that have nothing at a key are last in either direction.
        query : Node
            Everything by default.
        newest_first : bool
            In which order of time equals are; False by default: oldest first.
        skip, limit : int
            Which of them; all by default.

        Returns
        -------
        iterator of str
        """
        heads = self.heads(query, newest_first=newest_first)
        found = in_order_of(by, ((uid, ranks(searched(start, stop), by)) for uid, start, stop in heads))
        return islice(iter(found), skip, None if limit is None else skip + limit)

    def heads_sorted(
        self,
        by: Sequence[tuple[str, int]],
        query: Node = Everything(),
        *,
        newest_first: bool = False,
        skip: int = 0,
        limit: int | None = None,
    ) -> Iterator[Head]:
        """The uid, start document and stop document of the runs that match, in the order of what they have at keys.

        Parameters
        ----------
        by, query, newest_first, skip, limit
            As of `find_sorted`.

        Returns
        -------
        iterator of (str, mapping, mapping or None)
        """
        for uid in self.find_sorted(by, query, newest_first=newest_first, skip=skip, limit=limit):
            try:
                head = uid, self.start(uid), self.stop(uid)
            except KeyError:
                continue
            yield head

    def distinct(self, key: str, query: Node = Everything()) -> list[tuple[Any, int]]:
        """The different values at a key of the searched document, each with how many of the matching runs have it.

        Parameters
        ----------
        key : str
            Dotted key.
        query : Node
            Everything by default.

        Returns
        -------
        list of (value, int)
            As `databroker_like.queries.Tally` counts: the most frequent first, then by value.
        """
        tally = Tally(key)
        for _, start, stop in self.heads(query):
            tally.add(searched(start, stop))
        return tally.counts()

    def _test(self, query: Node, starts: Mapping[str, Doc]) -> Callable[[str], bool]:
        matches = query.matches
        keys = top_level_keys(query)
        if "stop" in keys or "" in keys:
            return lambda uid: matches(searched(starts[uid], self.stop(uid)))
        return lambda uid: matches(starts[uid])

    def matches(self, uid: str, query: Node) -> bool:
        """Whether there is a run of this full uid, and it matches."""
        return self.has(uid) and (
            isinstance(query, Everything) or query.matches(searched(self.start(uid), self.stop(uid)))
        )

    def has(self, uid: str) -> bool:
        """Whether there is a run of this full uid."""
        return uid in self.starts()

    def start(self, uid: str) -> Mapping[str, Any]:
        """The start document of a run; KeyError when there is none."""
        return self.starts()[uid]

    def version(self, uid: str) -> Any:
        """What becomes another when the documents of a finished run are changed; None when that is not known.

        It is asked right after `start`, or where an iterator of `heads` stands, and what was found then is good
        enough: a database keeps it from there and is not asked again. While a run goes on it is None, or already what
        it will be when the run has ended and nobody changed what was recorded.
        """
        return None

    def stream_counts(self, versions: Mapping[str, Any]) -> Mapping[str, int]:
        """How many streams some runs have, for those of which it is known without reading each.

        Parameters
        ----------
        versions : mapping of str to object
            The uids of runs that were found, each with its `version`.

        Returns
        -------
        mapping of str to int
            As the streams were recorded; a run that is not in it is asked itself. A database answers for all at once.
        """
        return {}

    def revisions(self, uid: str) -> list[Revision]:
        """Each time the metadata of a run was amended, first to last; a storage that keeps none overrides nothing."""
        return []

    def source_at(self, uid: str, get_filler: Any, revision: int) -> RunSource:
        """The source of one run as it was at a revision: 0 is what was recorded, to the letter.

        Parameters
        ----------
        uid : str
        get_filler : callable
            As `source` takes it.
        revision : int

        Returns
        -------
        RunSource

        Raises
        ------
        OutOfRange
            When there is no such revision.
        """
        check_revision(uid, revision, 0)
        return self.source(uid, get_filler)

    def copying_sink(self) -> RunSink | None:
        """What takes runs that are copied here as they are, also those that schemas of today do not allow.

        Returns
        -------
        RunSink or None
            To be closed afterwards. None where runs come in as they are recorded, each document checked.
        """
        return None

    def amend(
        self, uid: str, correction: Correction | Mapping[str, Any], *, author: str | None = None, reason: str = ""
    ) -> Revision:
        """Put documents of a run in the place of others, as its next revision; those before stay readable.

        Parameters
        ----------
        uid : str
        correction : Correction or mapping
            What is to be changed; a mapping is what `Patch` takes.
        author : str, optional
            Who is logged in, by default.
        reason : str
            Why.

        Returns
        -------
        Revision

        Raises
        ------
        NotOffered
            When this storage cannot keep revisions.
        """
        raise NotOffered(
            f"run {uid} cannot be amended: this kind of catalog keeps runs as they were recorded; copy it into an "
            "embedded store (BlueskyEmbeddedCatalog), and amend it there, or mend what is read with transforms"
        )

    def history(self, uid: str) -> list[tuple[Revision, Mapping[DocumentKey, Doc]]]:
        """Each of `revisions`, with the documents it put in the place of others, by kind and uid."""
        return []

    def adopt(self, uid: str, revision: Revision, documents: Mapping[DocumentKey, Doc]) -> None:
        """Take over a revision of a run that was made elsewhere, as it is; nothing happens when it is there already.

        Parameters
        ----------
        uid : str
        revision : Revision
        documents : mapping
            As `history` has it there.

        Raises
        ------
        NotOffered
            When this storage cannot keep revisions.
        Conflict
            When the run has another revision of this number, or those before are not there.
        """
        raise NotOffered(f"{revision} of run {uid} cannot be kept: this kind of catalog keeps runs as recorded")


def check_revision(uid: str, revision: Any, current: int) -> int:
    """Refuse what is no revision of a run.

    Parameters
    ----------
    uid : str
    revision : int
    current : int
        The last one there is.

    Returns
    -------
    int

    Raises
    ------
    OutOfRange
        When there is none of this number.
    WrongType
        When it is no whole number.
    """
    if isinstance(revision, bool) or not hasattr(revision, "__index__"):
        raise WrongType(f"a revision is a whole number, 0 for what was recorded, not {revision!r}")
    number = operator.index(revision)
    if not 0 <= number <= current:
        there = f"revisions 0 to {current}" if current else "revision 0 alone, what was recorded"
        raise OutOfRange(f"run {uid} has no revision {number}; it has {there}")
    return number


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
