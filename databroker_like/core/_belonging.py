"""Which run a document belongs to, as far as the document itself says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["belongs_to", "named"]

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


def named(name: str, doc: Doc) -> str:
    """How an error names a document: its kind and what identifies it.

    Examples
    --------
    >>> named("stop", {"uid": "a"})
    "stop 'a'"
    """
    uid = doc.get("uid", doc.get("datum_id", ""))
    if not isinstance(uid, str):
        uid = str(uid[0]) if len(uid) else ""
    return f"{name} {uid!r}"
