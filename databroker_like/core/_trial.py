"""Trials: transforms on top of a catalog's own, looked at first, and written for good when they are right."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from databroker_like.core._collection import RunCollection
from databroker_like.core._correction import Correction, TransformedDocuments, checked_author, checked_reason
from databroker_like.core._revision import DocumentKey
from databroker_like.core._transforms import apply_transform, parse_transforms
from databroker_like.errors import DatabrokerError, Invalid, NotFound, TransformFailed

__all__ = ["AppliedTransforms", "Tried", "apply_transforms", "on_trial", "tried_in"]

Doc = Mapping[str, Any]
Transform = Callable[[Any], Mapping[str, Any]]

_SHOWN = 10


@dataclass(frozen=True)
class Tried:
    """The transform of a kind of document while others are tried: these, and then the catalog's own.

    So a trial shows what the catalog will show once they are applied.

    Parameters
    ----------
    name : str
        The kind of document.
    tried : tuple of callables
        First to last.
    own : callable
    """

    name: str
    tried: tuple[Transform, ...]
    own: Transform

    def __call__(self, doc: Any) -> Any:
        """The document, transformed."""
        for transform in (*self.tried, self.own):
            doc = apply_transform({self.name: transform}, self.name, doc)
        return doc

    def only_tried(self, doc: Any) -> Any:
        """The document, as it will be kept."""
        for transform in self.tried:
            doc = apply_transform({self.name: transform}, self.name, doc)
        return doc


def on_trial(own: Mapping[str, Transform], transforms: Mapping[str, Any]) -> dict[str, Any]:
    """The transforms of a catalog in which others are tried.

    Parameters
    ----------
    own : mapping
        Those of the catalog as it is, which may be such already.
    transforms : mapping
        Those to try, as `parse_transforms` takes them.

    Returns
    -------
    dict
    """
    parsed = parse_transforms(transforms)
    wanted = [name for name in transforms or () if transforms[name] is not None]
    found: dict[str, Any] = dict(own)
    for name in wanted:
        there = own[name]
        before, base = (there.tried, there.own) if isinstance(there, Tried) else ((), there)
        found[name] = Tried(name, (*before, parsed[name]), base)
    return found


def tried_in(transforms: Mapping[str, Transform]) -> Correction:
    """What the transforms that are tried make of the documents of a run.

    Parameters
    ----------
    transforms : mapping
        Those of a catalog.

    Returns
    -------
    Correction

    Raises
    ------
    Invalid
        When none are tried.
    """
    tried = {name: one.only_tried for name, one in transforms.items() if isinstance(one, Tried)}
    if not tried:
        raise Invalid(
            "no transforms are tried here, which could be applied; try some first: "
            "trial = catalog.search(...).with_transforms({'start': function}), look at its runs, and then "
            "trial.apply_transforms(reason='...')"
        )
    return TransformedDocuments(tried)


@dataclass(frozen=True)
class AppliedTransforms:
    """What became of transforms that were applied to runs for good, or would be.

    Parameters
    ----------
    runs : int
        How many runs were looked at.
    changed : mapping
        The uid of each run that was amended -> kind and uid of its documents that became others.
    failed : mapping
        The uid of each run on which a transform failed, and which is as it was -> why.
    dry_run : bool
        Whether nothing was written.

    Examples
    --------
    >>> AppliedTransforms(3, {"41fb8ca9": (("start", "41fb8ca9"),)}, {}, dry_run=True)
    <AppliedTransforms: 1 of 3 runs would be amended, 0 failed>
    """

    runs: int
    changed: Mapping[str, tuple[DocumentKey, ...]]
    failed: Mapping[str, str]
    dry_run: bool

    def __repr__(self) -> str:
        what = "would be" if self.dry_run else "were"
        said = (
            f"<{type(self).__name__}: {len(self.changed)} of {self.runs} runs {what} amended, {len(self.failed)} failed"
        )
        for uid, why in list(self.failed.items())[:_SHOWN]:
            said += f"\n  {uid}: {why}"
        if len(self.failed) > _SHOWN:
            said += f"\n  and {len(self.failed) - _SHOWN} more, in .failed"
        return said + ">"


def apply_transforms(
    collection: RunCollection,
    uids: Iterable[str],
    correction: Correction,
    *,
    author: str | None = None,
    reason: str = "",
    dry_run: bool = False,
) -> AppliedTransforms:
    """Write what transforms make of the documents of runs, as one revision of each run that they change.

    Parameters
    ----------
    collection : RunCollection
    uids : iterable of str
    correction : Correction
    author : str, optional
        Who is logged in, by default.
    reason : str
    dry_run : bool
        Only say what would be done; False by default.

    Returns
    -------
    AppliedTransforms

    Raises
    ------
    NotOffered
        When the collection keeps no revisions.
    NotWritable
        When it cannot be written. The runs before are amended; the same call goes on with the rest.
    """
    if not dry_run:
        author, reason = checked_author(author), checked_reason(reason)
    changed: dict[str, tuple[DocumentKey, ...]] = {}
    failed: dict[str, str] = {}
    runs = 0
    for uid in uids:
        runs += 1
        try:
            # Most runs come out as they are, which is seen without writing.
            documents = correction.changes(_documents(collection, uid, correction.kinds))
            if documents and dry_run:
                changed[uid] = tuple(documents)
            elif documents:
                changed[uid] = collection.amend(uid, correction, author=author, reason=reason).changed
        except (TransformFailed, Invalid, NotFound) as error:
            failed[uid] = str(error)
        except DatabrokerError as error:
            error.add_note(f"{len(changed)} runs were amended before; the same call again goes on with the rest")
            raise
    return AppliedTransforms(runs, changed, failed, dry_run)


def _documents(collection: RunCollection, uid: str, kinds: Container[str]) -> dict[DocumentKey, Doc]:
    """The current documents of a run that can be amended: those wanted, and the stop document."""
    source = collection.source(uid, None)
    stop = source.get_run_stop()
    found: dict[str, list[Doc]] = {"stop": [] if stop is None else [stop]}
    if "start" in kinds:
        found["start"] = [source.get_run_start()]
    if "resource" in kinds:
        found["resource"] = source.get_resources()
    if "descriptor" in kinds:
        found["descriptor"] = source.get_event_descriptors()
    return {(name, doc["uid"]): doc for name, docs in found.items() for doc in docs}
