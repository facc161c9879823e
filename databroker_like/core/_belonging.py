"""Which run a document belongs to, as far as the document itself says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from databroker_like.errors import InvalidDocument, listed

__all__ = ["belongs_nowhere", "belongs_to", "named"]

Doc = Mapping[str, Any]


def belongs_to(name: str, doc: Doc) -> tuple[str, str]:
    """The kind and uid of the document through which a document belongs to its run.

    Parameters
    ----------
    name : str
        Any kind but ``"start"``.
    doc : mapping

    Returns
    -------
    tuple of str
        ``("run", uid)``, ``("descriptor", uid)``, ``("resource", uid)``, ``("stream_resource", uid)``; or
        ``("the only run", "")`` for a resource that names no run, as old ones do.

    Examples
    --------
    >>> belongs_to("event", {"descriptor": "d"})
    ('descriptor', 'd')
    """
    if name in ("event", "event_page"):
        return "descriptor", doc["descriptor"]
    if name in ("datum", "datum_page"):
        return "resource", doc["resource"]
    if name == "stream_datum":
        return "stream_resource", doc["stream_resource"]
    if "run_start" in doc:
        return "run", doc["run_start"]
    return "the only run", ""


def belongs_nowhere(name: str, doc: Doc, kind: str, uid: str, known: Iterable[str]) -> InvalidDocument:
    """The error of a document whose run is not known.

    Parameters
    ----------
    name : str
    doc : mapping
    kind, uid : str
        From `belongs_to`.
    known : iterable of str
        The runs that are being recorded.

    Examples
    --------
    >>> print(belongs_nowhere("event", {"uid": "e"}, "descriptor", "d", ["a"]))
    event 'e' belongs to descriptor 'd', which is in no run that is being recorded; these are: 'a'. Insert ...
    """
    said = f"belongs to {kind} {uid!r}, which is in no run that is being recorded"
    if kind == "the only run":
        said = "does not say its run ('run_start'), and there is not just one that is being recorded"
    return InvalidDocument(
        f"{named(name, doc)} {said}; these are: {listed(known)}. Insert the documents of a run in order, from its start"
    )


def named(name: str, doc: Doc) -> str:
    """How an error names a document: its kind and what identifies it.

    Examples
    --------
    >>> named("stop", {"uid": "a"})
    "stop 'a'"
    """
    uid = doc.get("uid", doc.get("datum_id", ""))
    if not isinstance(uid, str):
        uid = str(uid if not hasattr(uid, "__len__") else uid[0] if len(uid) else "")
    return f"{name} {uid!r}"
