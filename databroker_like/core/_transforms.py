"""Transforms: the user's functions that patch documents as they are read."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from databroker_like.core._document import Document, wrap
from databroker_like.errors import Invalid, NotOffered, TransformFailed, listed, nearest
from databroker_like.registry import import_path

__all__ = ["TRANSFORMABLE", "apply_transform", "parse_transforms"]

Transform = Callable[[Any], Mapping[str, Any]]

#: The kinds of document that a transform may be given for.
TRANSFORMABLE = ("start", "stop", "resource", "descriptor")


def _as_it_is(doc: Any) -> Any:
    """The transform of a kind nobody gave one for."""
    return doc


class _Parsed(dict[str, Transform]):
    """Transforms that need no second look: a catalog hands the same ones to each of its runs."""


def parse_transforms(transforms: Mapping[str, Transform | str | None] | None) -> dict[str, Transform]:
    """Transforms by kind of document, with dotted paths imported.

    Parameters
    ----------
    transforms : mapping or None
        Any subset of start, stop, resource and descriptor to a function, or to the dotted path of one, that takes a
        document of that kind and returns it, changed or not.

    Returns
    -------
    dict
        A function for each of the four; one that changes nothing where none was given.

    Raises
    ------
    NotOffered
        When there is one for another kind of document.
    Invalid
        When ``transforms`` is no mapping, a value is no function, or a path leads nowhere.

    Examples
    --------
    >>> parse_transforms({"descriptor": "copy.copy"})["descriptor"]
    <function copy at ...>
    """
    if isinstance(transforms, _Parsed):
        return transforms
    if transforms is None:
        transforms = {}
    if not isinstance(transforms, Mapping):
        raise Invalid(f"transforms are a mapping such as {{'start': function}} or None, not {transforms!r}")
    for kind in transforms:
        if kind not in TRANSFORMABLE:
            near = listed(nearest(kind, TRANSFORMABLE) or TRANSFORMABLE)
            raise NotOffered(f"documents of kind {kind!r} cannot be transformed; nearest to it is what can: {near}")
    return _Parsed((kind, _parsed(kind, transforms.get(kind))) for kind in TRANSFORMABLE)


def _parsed(kind: str, transform: Transform | str | None) -> Transform:
    if transform is None:
        return _as_it_is
    found = import_path(transform) if isinstance(transform, str) else transform
    if not callable(found):
        raise Invalid(f"the transform for {kind!r} is a function or the dotted path of one, not {transform!r}")
    return found


class _Draft(dict[str, Any]):
    """What a transform is given: a copy it may change in place, or copy again as it would a document."""

    def to_dict(self) -> dict[str, Any]:
        return copy.deepcopy(dict(self))


def apply_transform(transforms: Mapping[str, Transform], name: str, doc: Mapping[str, Any]) -> Document:
    """A document as the transform of its kind returns it.

    Parameters
    ----------
    transforms : mapping
        As `parse_transforms` gives it.
    name : str
        The kind of document, such as ``"start"``.
    doc : mapping
        The document; the transform gets a copy and cannot change it.

    Returns
    -------
    Document

    Raises
    ------
    TransformFailed
        When the transform raises or returns no document; it names both.

    Examples
    --------
    >>> transforms = parse_transforms({"start": lambda doc: {**doc, "sample": "gold"}})
    >>> apply_transform(transforms, "start", {"uid": "a"})
    Start({'uid': 'a', 'sample': 'gold'})
    """
    transform = transforms.get(name, _as_it_is)
    if transform is _as_it_is:
        return wrap(name, doc)
    try:
        changed = transform(_Draft(copy.deepcopy(dict(doc))))
    except TransformFailed:  # one made of several has said which
        raise
    except Exception as error:
        raise TransformFailed(
            f"the transform {_name_of(transform)} raised on the {name} document {doc.get('uid')!r}: "
            f"{type(error).__name__}: {error}; mend it, or leave it out of the catalog's transforms"
        ) from error
    if not isinstance(changed, Mapping):
        raise TransformFailed(
            f"the transform {_name_of(transform)} returned {changed!r} for the {name} document {doc.get('uid')!r}; "
            "a transform returns the document, changed or not"
        )
    return wrap(name, changed)


def _name_of(transform: Any) -> str:
    """How the user finds a callable: its dotted path; that of its class, or of what a partial calls."""
    named = getattr(transform, "func", transform)
    name = getattr(named, "__qualname__", None)
    if name is None:
        return repr(transform)
    return repr(f"{getattr(named, '__module__', None) or '?'}.{name}")
