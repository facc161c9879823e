"""What every catalog of runs offers to correct them: amendments of one run, and transforms applied to many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from databroker_like.core._held import RunsHeld
from databroker_like.core._revision import Revision
from databroker_like.core._run import BlueskyRun
from databroker_like.core._trial import AppliedTransforms, apply_transforms, on_trial, tried_in
from databroker_like.queries import Node

if TYPE_CHECKING:
    from databroker_like.core._collection import RunCollection

__all__ = ["Amending"]


class Amending:
    """The part of a catalog that corrects its runs."""

    if TYPE_CHECKING:

        @property
        def collection(self) -> RunCollection:
            """Where the runs are."""

    _query: Node
    _runs: RunsHeld[BlueskyRun]
    _transforms: Mapping[str, Callable[..., Any]]
    _narrowed: Callable[..., Any]

    def amend(self, key: Any, changes: Mapping[str, Any], *, author: str | None = None, reason: str = "") -> Revision:
        """Correct the metadata of a run for good; what it was before stays readable as an earlier revision.

        Parameters
        ----------
        key : str or int
            As in ``catalog[key]``.
        changes : dict
            ``{"start": {...}, "stop": {...}, "descriptor": {uid: {...}}, "resource": {uid: {...}}}``, or some of it.
            Each is merged into the current document; None takes a key away (RFC 7396).
        author : str, optional
            Who is logged in, by default.
        reason : str
            Why; it may not be empty.

        Returns
        -------
        Revision

        Raises
        ------
        Invalid
            When nothing would change, or a uid or reference would, or there is no reason.
        InvalidDocument
            When a document would not be valid any more.
        NotOffered
            When this kind of catalog keeps no revisions.
        """
        run: BlueskyRun = self[key]  # type: ignore[index]
        return run.amend(changes, author=author, reason=reason)

    def with_transforms(self, transforms: Mapping[str, Any]) -> Self:
        """The same runs as they would be if transforms were applied to them for good; nothing is written.

        Parameters
        ----------
        transforms : dict
            ``"start"``, ``"stop"``, ``"resource"``, ``"descriptor"`` -> function, or its dotted path, that takes such
            a document and returns it, changed. They come before the transforms that the catalog has of its own, as
            they will when they are applied.

        Returns
        -------
        catalog of the same kind
            To look at, to search further, and, when all is right, to `apply_transforms` of.

        Raises
        ------
        NotOffered
            When there is one for another kind of document.
        """
        found: Self = self._narrowed(self._query, "trial", transforms=on_trial(self._transforms, transforms))
        found._runs = RunsHeld()
        return found

    def apply_transforms(
        self, *, author: str | None = None, reason: str = "", dry_run: bool = False
    ) -> AppliedTransforms:
        """Write what the transforms that are tried here make of the runs, as one revision of each run they change.

        A run on which a transform fails, or of which it makes something that is not valid, stays as it is.

        Parameters
        ----------
        author : str, optional
            Who is logged in, by default.
        reason : str
            Why; it may not be empty.
        dry_run : bool
            Only say what would be done; False by default.

        Returns
        -------
        AppliedTransforms
            How many runs there are, which were changed, and which failed, with the reason.

        Raises
        ------
        Invalid
            When no transforms are tried here, with `with_transforms`.
        NotOffered
            When this kind of catalog keeps no revisions.
        """
        correction = tried_in(self._transforms)
        # All of them first: an amended run may not match any more.
        uids = list(self.collection.find(self._query))
        return apply_transforms(self.collection, uids, correction, author=author, reason=reason, dry_run=dry_run)
