"""A run being recorded: what it has, and so whether a document is new, the same again, or another in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from databroker_like.core._belonging import named
from databroker_like.core._identity import judge_event, regular, same
from databroker_like.core._pages import concat_datum_pages, concat_event_pages, page_size, slice_page
from databroker_like.drivers._places import Key, Place, Readable, Rows, identities, unpacked
from databroker_like.errors import Conflict, InvalidDocument

__all__ = ["Log", "OpenRun"]

Doc = Mapping[str, Any]
_WHOLE = frozenset({"start", "stop", "descriptor", "resource", "stream_resource"})


class Log(Readable, Protocol):
    """The documents of one run, to be appended to."""

    def append(self, name: str, doc: Doc) -> Place:
        """Add a document, so that it survives the death of the process; its place."""

    def as_kept(self, name: str, doc: Doc) -> Doc:
        """A document as it comes back after it was kept."""

    def is_current(self) -> bool:
        """Whether nobody else has changed it, or taken it away."""

    def discard(self) -> None:
        """Take it away: its first document could not be written."""

    def close(self) -> None:
        """Release what it holds open."""


class OpenRun:
    """A run being recorded.

    Parameters
    ----------
    uid : str
    log : Log
    """

    def __init__(self, uid: str, log: Log) -> None:
        self.uid = uid
        self.log = log
        self.is_finished = False
        # Of the documents that are few, where each is. Of the others there may be millions.
        self._few: dict[tuple[str, str], Place] = {}
        self._rows = Rows(log)

    @property
    def is_empty(self) -> bool:
        """Whether not even its start document could be taken."""
        return not self._few

    def remember(self, name: str, doc: Doc, place: Place) -> None:
        """Know of a document that is there.

        Parameters
        ----------
        name : str
        doc : mapping
        place : (int, int)
            Where it is in the log.
        """
        if name in _WHOLE:
            self._few[_identity(name, doc)] = place
        else:
            self._rows.add(identities(name, doc))
        if name == "stop":
            self.is_finished = True

    def take(self, name: str, doc: Doc) -> None:
        """Append a document, or those of its rows that are not there yet.

        Parameters
        ----------
        name : str
        doc : mapping

        Raises
        ------
        Conflict
            When another document is in its place already; nothing is written.
        InvalidDocument
            When it comes after the stop document, or cannot be kept.
        """
        if name in _WHOLE:
            is_new = not self._is_there(name, doc)
        else:
            keys = identities(name, doc)
            is_new = True
            if self._rows.has_any(keys) or len(set(keys)) < len(keys):
                new = self._new_rows(name, doc, keys)
                is_new = bool(new)
                if 0 < len(new) < len(keys):
                    doc = _part(name, doc, new)
        if not is_new:
            return
        if self.is_finished:
            raise InvalidDocument(f"{named(name, doc)} comes after the stop document of run {self.uid}")
        self.remember(name, doc, self.log.append(name, doc))

    def _is_there(self, name: str, doc: Doc) -> bool:
        place = self._few.get(_identity(name, doc))
        if place is None:
            return False
        known_name, known = self.log.at(place)
        if known_name == name and same(known, self.log.as_kept(name, doc)):
            return True
        raise Conflict(f"run {self.uid} holds another {named(name, doc)} already; this one is not recorded")

    def _new_rows(self, name: str, doc: Doc, keys: list[Key]) -> list[int]:
        """The positions of the rows that are not there yet."""
        new = []
        coming: dict[Key, list[Doc]] = {}
        for position, (key, row) in enumerate(zip(keys, unpacked(name, self.log.as_kept(name, doc)), strict=True)):
            row = regular(row)
            there = [*map(regular, self._rows.find(key)), *coming.get(key, ())]
            if not self._is_among(row, there):
                new.append(position)
                coming.setdefault(key, []).append(row)
        return new

    def _is_among(self, row: Doc, there: list[Doc]) -> bool:
        if any(same(known, row) for known in there):
            return True
        if "seq_num" in row:
            # The latest of several that were taken again comes last: a new one must be later still.
            for known in [known for known in there if known["uid"] == row["uid"]] or there[-1:]:
                judge_event(known, row)
        else:
            uid = _uid(row)
            if any(_uid(known) == uid for known in there):
                kind = "datum" if "datum_id" in row else "stream_datum"
                raise Conflict(f"run {self.uid} holds another {kind} {uid!r} already; this one is not recorded")
        return False


def _identity(name: str, doc: Doc) -> tuple[str, str]:
    """What may be there only once."""
    return (name, "") if name in ("start", "stop") else (name, doc["uid"])


def _uid(doc: Doc) -> Any:
    return doc["datum_id"] if "datum_id" in doc else doc["uid"]


def _part(name: str, page: Doc, positions: Iterable[int]) -> Doc:
    """Some of the rows of a page, as a page."""
    spans: list[list[int]] = []
    for position in positions:
        if spans and spans[-1][1] == position:
            spans[-1][1] += 1
        else:
            spans.append([position, position + 1])
    assert spans[-1][1] <= page_size(dict(page))
    parts = [slice_page(dict(page), begin, end) for begin, end in spans]
    if len(parts) == 1:
        return parts[0]
    return concat_event_pages(parts) if name == "event_page" else concat_datum_pages(parts)
