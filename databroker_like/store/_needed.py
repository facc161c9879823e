"""What the store itself needs of a document, whatever its schema says."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

from databroker_like.core._belonging import named
from databroker_like.errors import InvalidDocument

__all__ = ["check_needed"]

Doc = Mapping[str, Any]

_COLUMNS = {"uid": object, "time": object, "seq_num": object, "data": Mapping, "timestamps": Mapping}
_NEEDED: Mapping[str, Mapping[str, type]] = {
    "start": {"uid": str, "time": Real},
    "stop": {"uid": str},
    "descriptor": {"uid": str},
    "resource": {"uid": str},
    "stream_resource": {"uid": str},
    "stream_datum": {"uid": str, "stream_resource": str},
    "event": {"descriptor": str, **_COLUMNS, "uid": str, "time": Real, "seq_num": Real},
    "event_page": {"descriptor": str, **_COLUMNS},
    "datum": {"resource": str, "datum_id": str, "datum_kwargs": Mapping},
    "datum_page": {"resource": str, "datum_id": object, "datum_kwargs": Mapping},
}


def check_needed(name: str, doc: Doc) -> None:
    """Refuse a document that could not be found, or read, again; all that a schema allows is good.

    Parameters
    ----------
    name : str
    doc : mapping

    Raises
    ------
    InvalidDocument

    Examples
    --------
    >>> check_needed("start", {"uid": "a", "time": 0})
    >>> check_needed("start", {"uid": "a"})
    Traceback (most recent call last):
        ...
    databroker_like.errors.InvalidDocument: start 'a' cannot be stored: it has no 'time'
    """
    for key, kind in _NEEDED.get(name, {}).items():
        if key not in doc:
            raise InvalidDocument(f"{named(name, doc)} cannot be stored: it has no {key!r}")
        if not isinstance(doc[key], kind):
            raise InvalidDocument(f"{named(name, doc)} cannot be stored: its {key!r} is {doc[key]!r:.60}")
