"""Corrections: the revisions of one run, as the collection it comes from keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from databroker_like.core._collection import RunCollection
from databroker_like.core._correction import Correction, Patch
from databroker_like.core._revision import Revision
from databroker_like.core._source import RunSource
from databroker_like.errors import NotOffered

__all__ = ["Corrections"]


@dataclass(frozen=True)
class Corrections:
    """What a run asks about its revisions.

    Parameters
    ----------
    collection : RunCollection
    uid : str
    get_filler : callable
        That of the sources it gives.
    revision : int, optional
        Which one the run is at; the current one, whichever that is, by default.
    """

    collection: RunCollection
    uid: str
    get_filler: Any
    revision: int | None = None

    def revisions(self) -> list[Revision]:
        """Each time the run was amended, first to last."""
        return self.collection.revisions(self.uid)

    def number(self) -> int:
        """The number of the revision the run is at."""
        return len(self.revisions()) if self.revision is None else self.revision

    def at(self, revision: int) -> tuple[RunSource, Corrections]:
        """The run at a revision."""
        source = self.collection.source_at(self.uid, self.get_filler, revision)
        return source, Corrections(self.collection, self.uid, self.get_filler, revision)

    def amend(self, changes: Mapping[str, Any] | Correction, *, author: str | None, reason: str) -> Revision:
        """Put documents in the place of others, as one revision."""
        if self.revision is not None:
            raise NotOffered(
                f"this is run {self.uid} as it was at revision {self.revision}, which stays as it is; amend the run "
                f"itself: catalog[{self.uid!r}].amend(...)"
            )
        return self.collection.amend(self.uid, Patch.of(changes), author=author, reason=reason)
