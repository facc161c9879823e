"""Corrections: from the documents of a run to those that take their place, checked; no storage."""

from __future__ import annotations

import getpass
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from databroker_like.codecs import encode
from databroker_like.core._revision import DocumentKey
from databroker_like.core._transforms import TRANSFORMABLE, apply_transform, parse_transforms
from databroker_like.core._validation import check_columns, validate
from databroker_like.errors import Invalid, InvalidDocument, NoSuchDocument, WrongType, listed, nearest

__all__ = [
    "AMENDABLE",
    "Correction",
    "Patch",
    "Replaced",
    "TransformedDocuments",
    "checked_author",
    "checked_reason",
    "merged",
]

Doc = Mapping[str, Any]

#: The kinds of document that can be amended: those that can be transformed.
AMENDABLE = TRANSFORMABLE
#: What says which run, and which document, it is.
_REFERENCES = {
    "start": ("uid",),
    "stop": ("uid", "run_start"),
    "descriptor": ("uid", "run_start"),
    "resource": ("uid", "run_start"),
}
_LONGEST_AUTHOR = 200
_LONGEST_REASON = 10_000


def merged(document: Any, patch: Any) -> Any:
    """A document with a JSON merge patch (RFC 7396) applied; neither is changed.

    Parameters
    ----------
    document : object
    patch : object
        Of a mapping, each value is merged into the one at its key, and None takes the key away; anything else takes
        the place of the document.

    Returns
    -------
    object

    Examples
    --------
    >>> merged({"sample": {"name": "gold", "id": 3}, "note": "?"}, {"sample": {"name": "silver"}, "note": None})
    {'sample': {'name': 'silver', 'id': 3}}
    """
    if not isinstance(patch, Mapping):
        return patch
    found = dict(document) if isinstance(document, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found


class Correction(ABC):
    """What turns the documents of a run into others."""

    #: The kinds of document it looks at.
    kinds: Sequence[str] = AMENDABLE

    @abstractmethod
    def corrected(self, documents: Mapping[DocumentKey, Doc]) -> dict[DocumentKey, Doc]:
        """What it makes of documents, changed or not; those that it leaves alone may be missing.

        Parameters
        ----------
        documents : mapping
            (kind, uid) -> the current document, of the kinds in `AMENDABLE`.

        Returns
        -------
        dict
        """

    def changes(self, documents: Mapping[DocumentKey, Doc]) -> dict[DocumentKey, Doc]:
        """The documents that become others, each checked against its schema.

        Parameters
        ----------
        documents : mapping
            (kind, uid) -> the current document, of the kinds in `AMENDABLE`.

        Returns
        -------
        dict

        Raises
        ------
        Invalid
            When a uid or a reference would become another one, or a data key come or go.
        InvalidDocument
            When a document would not be valid any more.
        """
        # Whether the run has ended is seen from its stop document.
        ended = any(name == "stop" for name, _ in documents)
        found: dict[DocumentKey, Doc] = {}
        for key, new in self.corrected(documents).items():
            if not _is_equal(documents[key], new):
                _check(key, documents[key], new, ended)
                found[key] = new
        return found


class Patch(Correction):
    """JSON merge patches for some of the documents of a run.

    Parameters
    ----------
    changes : mapping
        ``{"start": patch, "stop": patch, "descriptor": {uid: patch}, "resource": {uid: patch}}``, or some of it.

    Raises
    ------
    Invalid
        When there is one for another kind of document, or none at all.
    WrongType
        When it is anything else.

    Examples
    --------
    >>> patch = Patch({"start": {"sample": "silver"}})
    >>> patch.changes({("start", "a"): {"uid": "a", "time": 0.0, "sample": "gold"}})
    {('start', 'a'): {'uid': 'a', 'time': 0.0, 'sample': 'silver'}}
    """

    def __init__(self, changes: Any) -> None:
        form = "{'start': {...}, 'stop': {...}, 'descriptor': {uid: {...}}, 'resource': {uid: {...}}}"
        if not isinstance(changes, Mapping):
            raise WrongType(f"changes are a mapping such as {form}, not {changes!r}")
        for name, patch in changes.items():
            if name not in AMENDABLE:
                near = listed(nearest(name, AMENDABLE) or AMENDABLE)
                raise Invalid(f"documents of kind {name!r} cannot be amended; nearest to it is what can: {near}")
            if not isinstance(patch, Mapping):
                raise WrongType(f"the changes of {name!r} are a mapping, as in {form}, not {patch!r}")
        if not changes:
            raise Invalid(f"there are no changes; write them as {form}, or a part of it")
        self._changes = {name: dict(patch) for name, patch in changes.items()}

    @classmethod
    def of(cls, changes: Mapping[str, Any] | Correction) -> Correction:
        """Changes as a correction, which they may be already."""
        return changes if isinstance(changes, Correction) else cls(changes)

    def corrected(self, documents: Mapping[DocumentKey, Doc]) -> dict[DocumentKey, Doc]:
        """See `Correction`.

        Raises
        ------
        NoSuchDocument
            When the run has no such document.
        """
        found: dict[DocumentKey, Doc] = {}
        for name, patch in self._changes.items():
            uids = [uid for kind, uid in documents if kind == name]
            if name in ("start", "stop"):
                if not uids:
                    raise NoSuchDocument(f"the run has no {name} document yet, which could be amended")
                found[name, uids[0]] = merged(documents[name, uids[0]], patch)
                continue
            for uid, inner in patch.items():
                if uid not in uids:
                    raise NoSuchDocument(
                        f"the run has no {name} {uid!r}; it has {listed(nearest(uid, uids) or uids)}, and changes "
                        f"are written as {{{name!r}: {{uid: {{...}}}}}}"
                    )
                if not isinstance(inner, Mapping):
                    raise WrongType(f"the changes of {name} {uid!r} are a mapping, not {inner!r}")
                found[name, uid] = merged(documents[name, uid], inner)
        return found


class Replaced(Correction):
    """Documents as they were corrected elsewhere.

    Parameters
    ----------
    documents : mapping
        (kind, uid) -> what takes the place of such a document.
    """

    def __init__(self, documents: Mapping[DocumentKey, Doc]) -> None:
        self._documents = documents

    def corrected(self, documents: Mapping[DocumentKey, Doc]) -> dict[DocumentKey, Doc]:
        """See `Correction`."""
        return dict(self._documents)


class TransformedDocuments(Correction):
    """Every document of a run as a transform of its kind returns it.

    Parameters
    ----------
    transforms : mapping
        ``"start"``, ``"stop"``, ``"resource"``, ``"descriptor"`` -> function, or its dotted path.
    """

    def __init__(self, transforms: Mapping[str, Any]) -> None:
        self.kinds = [name for name in AMENDABLE if transforms.get(name) is not None]
        self._transforms = parse_transforms(transforms)

    def corrected(self, documents: Mapping[DocumentKey, Doc]) -> dict[DocumentKey, Doc]:
        """See `Correction`.

        Raises
        ------
        TransformFailed
            When a transform raises, or returns no document.
        """
        return {
            (name, uid): dict(apply_transform(self._transforms, name, doc))
            for (name, uid), doc in documents.items()
            if name in self.kinds
        }


def _check(key: DocumentKey, old: Doc, new: Doc, ended: bool) -> None:
    name, uid = key
    if not ended and name != "start":
        raise Invalid(
            f"the {name} {uid!r} cannot be amended while the run goes on; its start document can. A run that was cut "
            "off has ended once a stop document is inserted"
        )
    for reference in _REFERENCES[name]:
        if not _is_equal(old.get(reference), new.get(reference)):
            raise Invalid(
                f"{reference!r} of the {name} document {uid!r} cannot be amended: it says which document it is, and "
                "others refer to it"
            )
    problem = _problem(name, new)
    # Documents of old runs need not be valid today; what was wrong with one before need not be put right now.
    if problem is not None and str(problem) != str(_problem(name, old)):
        raise problem
    try:
        encode(new)
    except InvalidDocument as error:
        raise InvalidDocument(f"the {name} document {uid!r} cannot be kept: {error}") from error
    if name == "descriptor":
        before, after = (set(doc.get("data_keys") or ()) for doc in (old, new))
        if before != after:
            raise Invalid(
                f"the data keys of the descriptor {uid!r} cannot come or go, because its events were recorded with "
                f"{listed(before)}; what is said of each can be amended. It would be {listed(before ^ after)}"
            )


def _problem(name: str, doc: Doc) -> InvalidDocument | None:
    try:
        validate(name, doc)
        check_columns(name, doc)
    except InvalidDocument as problem:
        return problem
    return None


def _is_equal(one: Any, other: Any) -> bool:
    """Whether two values would be written as the same, whatever the order of their keys: 1 is not 1.0."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_is_equal(one[key], other[key]) for key in one)
    if type(one) is list and type(other) is list:
        return len(one) == len(other) and all(map(_is_equal, one, other))
    try:
        return encode(one) == encode(other)
    except InvalidDocument:  # which is told when it is checked
        return False


def checked_author(author: str | None) -> str:
    """The name of who amends; by default, of who is logged in.

    Parameters
    ----------
    author : str or None

    Returns
    -------
    str

    Raises
    ------
    Invalid
        When it is empty or very long, or nobody knows who is logged in.
    """
    if author is None:
        try:
            author = getpass.getuser()
        except (OSError, KeyError, ImportError) as error:
            raise Invalid(f"nobody knows who is logged in ({error}); say who amends: author='...'") from error
    return _checked_text("author", author, _LONGEST_AUTHOR)


def checked_reason(reason: str) -> str:
    """Why something is amended: some text.

    Parameters
    ----------
    reason : str

    Returns
    -------
    str

    Raises
    ------
    Invalid
        When there is none, or it is very long.
    """
    return _checked_text("reason", reason, _LONGEST_REASON)


def _checked_text(what: str, text: Any, longest: int) -> str:
    if not isinstance(text, str):
        raise WrongType(f"{what} is text, not {text!r}")
    text = text.strip()
    if not text:
        raise Invalid(f"an amendment has a reason, for those who find it later: {what}='...'")
    if len(text) > longest:
        raise Invalid(f"{what} has {len(text)} characters; {longest} are the most")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise Invalid(f"{what} has characters that no database keeps: {text!r}")
    return text
