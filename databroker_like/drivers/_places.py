"""Which events and datums a run being recorded has, and where each is in its log."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from databroker_like.core._pages import unpack_datum_page, unpack_event_page
from databroker_like.drivers._ranges import Ranges

__all__ = ["Place", "Readable", "Rows", "identities", "unpacked"]

Doc = Mapping[str, Any]
#: Where a document begins in its log, and how much of it it takes.
Place = tuple[int, int]
#: What tells one row from another: a family, such as the events of one descriptor, and a number in it.
Key = tuple[str, int]
_MOST_DIGITS = 18


class Readable(Protocol):
    """The documents of a run, to be read again."""

    def replay(self, since: int = 0) -> Iterator[tuple[Place, str, Doc]]:
        """What is there from a place on: place, name, document."""

    def at(self, place: Place) -> tuple[str, Doc]:
        """The name and document at a place."""


def identities(name: str, doc: Doc) -> list[Key]:
    """What tells the rows of a document from all others of its run.

    Parameters
    ----------
    name : {"event", "event_page", "datum", "datum_page", "stream_datum"}
    doc : mapping

    Returns
    -------
    list of (str, int)
        An event's descriptor and seq_num; a datum's id, which mostly ends in a number.

    Examples
    --------
    >>> identities("event_page", {"descriptor": "d", "seq_num": [1, 2]})
    [('event d', 1), ('event d', 2)]
    >>> identities("datum", {"datum_id": "41fb/7"})
    [('datum 41fb/', 7)]
    """
    if name == "event":
        return [(f"event {doc['descriptor']}", int(doc["seq_num"]))]
    if name == "event_page":
        family = f"event {doc['descriptor']}"
        return [(family, int(number)) for number in doc["seq_num"]]
    if name == "datum":
        return [_of_text("datum ", doc["datum_id"])]
    if name == "datum_page":
        return [_of_text("datum ", str(text)) for text in doc["datum_id"]]
    return [_of_text("stream_datum ", doc["uid"])]


def _of_text(kind: str, text: str) -> Key:
    head, slash, tail = text.rpartition("/")
    if slash and len(tail) <= _MOST_DIGITS and tail.isascii() and tail.isdigit() and (tail[0] != "0" or tail == "0"):
        return f"{kind}{head}/", int(tail)
    # Of those without a number a hash is enough to tell what is not there; what may be there is looked up.
    return kind, hash(text)


def unpacked(name: str, doc: Doc) -> list[Doc]:
    """The rows of a document, as documents of their own; one is its only row."""
    if name == "event_page":
        return list(unpack_event_page(dict(doc)))
    if name == "datum_page":
        return list(unpack_datum_page(dict(doc)))
    return [doc]


class Rows:
    """The events and datums of one run: which there are is known, where they are is found out when it is asked.

    Parameters
    ----------
    log : Readable
    """

    def __init__(self, log: Readable) -> None:
        self._log = log
        self._known: dict[str, Ranges | set[int]] = {}
        self._places: dict[str, _Places] = {}
        self._looked_to = 0
        self._latest: tuple[Place, dict[Key, list[Doc]]] | None = None

    def add(self, keys: Sequence[Key]) -> None:
        """Remember that rows are there."""
        for family, numbers in _by_family(keys):
            known = self._known.get(family)
            if known is None:
                known = self._known[family] = Ranges() if _is_numbered(family) else set()
            if isinstance(known, Ranges):
                known.add_all(numbers)
            else:
                known.update(numbers)

    def has_any(self, keys: Sequence[Key]) -> bool:
        """Whether at least one of some rows is there; perhaps, where ids have no number."""
        for family, numbers in _by_family(keys):
            known = self._known.get(family)
            if isinstance(known, Ranges) and known.has_any(numbers):
                return True
            if isinstance(known, set) and not known.isdisjoint(numbers):
                return True
        return False

    def find(self, key: Key) -> list[Doc]:
        """The rows of a key that are there, in the order they were recorded."""
        if not self.has_any([key]):
            return []
        self._look_on()
        family, number = key
        places = self._places[family].get(number) if family in self._places else []
        return [row for place in places for row in self._at(place).get(key, ())]

    def _look_on(self) -> None:
        for place, name, doc in self._log.replay(self._looked_to):
            self._looked_to = sum(place)
            if name in _WITH_ROWS:
                for family, number in identities(name, doc):
                    self._places.setdefault(family, _Places()).add(number, place)

    def _at(self, place: Place) -> dict[Key, list[Doc]]:
        if self._latest is None or self._latest[0] != place:
            name, doc = self._log.at(place)
            rows: dict[Key, list[Doc]] = {}
            for key, row in zip(identities(name, doc), unpacked(name, doc), strict=True):
                rows.setdefault(key, []).append(row)
            self._latest = place, rows
        return self._latest[1]


_WITH_ROWS = frozenset({"event", "event_page", "datum", "datum_page", "stream_datum"})


def _is_numbered(family: str) -> bool:
    return family.endswith("/") or family.startswith("event ")


def _by_family(keys: Sequence[Key]) -> list[tuple[str, list[int]]]:
    if len(keys) == 1:
        ((family, number),) = keys
        return [(family, [number])]
    found: dict[str, list[int]] = {}
    for family, number in keys:
        found.setdefault(family, []).append(number)
    return list(found.items())


class _Places:
    """Number -> places; sixteen bytes each while the numbers follow one another."""

    def __init__(self) -> None:
        self._first = 0
        self._begins = array("q")
        self._sizes = array("q")
        self._others: dict[int, list[Place]] = {}

    def add(self, number: int, place: Place) -> None:
        if not self._begins:
            self._first = number
        if number == self._first + len(self._begins):
            self._begins.append(place[0])
            self._sizes.append(place[1])
        elif (others := self._others.setdefault(number, []))[-1:] != [place]:
            others.append(place)

    def get(self, number: int) -> list[Place]:
        found = []
        at = number - self._first
        if 0 <= at < len(self._begins):
            found.append((self._begins[at], self._sizes[at]))
        # In the order they were recorded: a number may have been among the others before its turn came.
        return sorted({*found, *self._others.get(number, ())})
