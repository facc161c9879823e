"""How much a run has, and whether two have the same: counted, or document by document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from databroker_like.core._columns import page_size
from databroker_like.core._packing import unpack_datum_page, unpack_event_page
from databroker_like.errors import NotFound
from databroker_like.transfer._recorded import Recorded

__all__ = ["Tally", "digest", "digests", "tally_of"]

Doc = Mapping[str, Any]


@dataclass
class Tally:
    """How many documents of which kind a run has.

    Parameters
    ----------
    stop : bool
    events, datums, stream_datums : dict
        By the uid of their descriptor, resource or stream resource; those with none have 0.
    """

    stop: bool = False
    events: dict[str, int] = field(default_factory=dict)
    datums: dict[str, int] = field(default_factory=dict)
    stream_datums: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, doc: Doc) -> None:
        """Count a document."""
        if name == "stop":
            self.stop = True
        elif name == "descriptor":
            self.events.setdefault(doc["uid"], 0)
        elif name == "event_page":
            self.events[doc["descriptor"]] = self.events.get(doc["descriptor"], 0) + page_size(doc)
        elif name == "resource":
            self.datums.setdefault(doc["uid"], 0)
        elif name == "datum_page":
            self.datums[doc["resource"]] = self.datums.get(doc["resource"], 0) + page_size(doc)
        elif name == "stream_resource":
            self.stream_datums.setdefault(doc["uid"], 0)
        elif name == "stream_datum":
            self.stream_datums[doc["stream_resource"]] = self.stream_datums.get(doc["stream_resource"], 0) + 1

    @property
    def documents(self) -> int:
        """All of them, each event and datum for itself."""
        kinds = (self.events, self.datums, self.stream_datums)
        return 1 + self.stop + sum(len(kind) + sum(kind.values()) for kind in kinds)

    def difference(self, other: Tally) -> str:
        """What another has more or less of, in words; nothing when they agree.

        Examples
        --------
        >>> Tally(events={"d": 5}).difference(Tally(events={"d": 3}))
        "3 of 5 events of descriptor 'd'"
        """
        said = []
        for kind, owner, mine, its in (
            ("events", "descriptor", self.events, other.events),
            ("datums", "resource", self.datums, other.datums),
            ("stream_datums", "stream_resource", self.stream_datums, other.stream_datums),
        ):
            for uid in mine.keys() | its.keys():
                if uid not in its:
                    said.append(f"no {owner} {uid!r}")
                elif uid not in mine:
                    said.append(f"a {owner} {uid!r} that is new")
                elif mine[uid] != its[uid]:
                    said.append(f"{its[uid]} of {mine[uid]} {kind} of {owner} {uid!r}")
        if self.stop != other.stop:
            said.append("no stop document" if self.stop else "a stop document")
        return "; ".join(sorted(said))


def tally_of(run: Recorded, resources: Iterable[str] = ()) -> Tally:
    """Count what a run has, without reading its events.

    Parameters
    ----------
    run : Recorded
    resources : iterable of str
        Resources to look for besides those that the run lists: old ones name no run.

    Returns
    -------
    Tally
    """
    source = run.source
    tally = Tally(stop=run.stop is not None)
    tally.events = {doc["uid"]: source.get_event_count(doc["uid"]) for doc in run.descriptors}
    for uid in dict.fromkeys([*(doc["uid"] for doc in run.resources), *resources]):
        try:
            source.get_resource(uid)
        except (NotFound, KeyError):
            continue
        tally.datums[uid] = sum(page_size(page) for page in source.get_datum_pages(uid))
    for doc in source.get_stream_resources():
        tally.stream_datums[doc["uid"]] = len(list(source.get_stream_datums(doc["uid"])))
    return tally


def digest(doc: Any) -> bytes:
    """A short text that is the same for documents that say the same.

    An array says what the list of its values says, because not every storage has arrays; NaN is equal to NaN.

    Examples
    --------
    >>> digest({"a": 1, "b": (2.5,)}) == digest({"b": [2.5], "a": 1}), digest({"a": 1}) == digest({"a": 1.0})
    (True, False)
    """
    text = json.dumps(doc, sort_keys=True, default=_plain, skipkeys=False)
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return dict(value) if isinstance(value, Mapping) else repr(value)


def digests(pairs: Iterable[tuple[str, Doc]]) -> Iterator[tuple[tuple[str, str], bytes]]:
    """What each document says, events and datums one by one.

    Yields
    ------
    ((kind, uid), digest)
    """
    for name, doc in pairs:
        if name == "event_page":
            for event in unpack_event_page(doc):
                yield ("event", event["uid"]), digest(event)
        elif name == "datum_page":
            for datum in unpack_datum_page(doc):
                yield ("datum", datum["datum_id"]), digest(datum)
        else:
            yield (name, doc["uid"]), digest(doc)
