"""The documents around a run's events: its start, its stop, its descriptors, transformed and always current."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from databroker_like.core._collection import RunCollection
from databroker_like.core._corrections import Corrections
from databroker_like.core._document import Descriptor, Resource, Start, Stop
from databroker_like.core._source import RunSource
from databroker_like.core._tell import tell
from databroker_like.core._transforms import apply_transform
from databroker_like.utils._once import once

__all__ = ["FoundHeader", "Header", "stream_name"]

Doc = Mapping[str, Any]


def stream_name(descriptor: Doc) -> str:
    """The stream a descriptor belongs to: ``"primary"`` where an old one has no name."""
    return str(descriptor.get("name", "primary"))


class _Look(threading.local):
    """What a thread was told in the look that it takes: of a run that goes on, the same until the look ends."""

    open = False
    #: Whether the run was told to go on.
    goes_on = False
    descriptors: list[Descriptor] | None = None


class Header:
    """Start, stop and descriptors of a run; what can no longer change is asked for once.

    Parameters
    ----------
    source : RunSource
    transforms : mapping
        As `parse_transforms` gives them.
    corrections : Corrections, optional
        Where the revisions of the run are kept.
    """

    def __init__(
        self,
        source: RunSource,
        transforms: Mapping[str, Callable[..., Any]],
        corrections: Corrections | None = None,
    ) -> None:
        self.source = source
        self.transforms = transforms
        self.corrections = corrections
        self.forget()

    def forget(self) -> None:
        """Ask the source for everything anew."""
        self._start: Start | None = None
        self._stop: Stop | None = None
        self._descriptors: list[Descriptor] | None = None
        self._known: dict[str, Descriptor] = {}
        self._found_start: Doc | None = None
        self._found_stop: Doc | None = None
        self._look = _Look()

    def remember(self, start: Doc, stop: Doc | None) -> None:
        """Say what the source was just found to have as start and stop documents, so that it is not asked for them.

        Parameters
        ----------
        start : mapping
        stop : mapping or None
            None is asked for again: the run may go on.
        """
        self._found_start, self._found_stop = start, stop

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "transforms": self.transforms, "corrections": self.corrections}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.forget()

    @contextmanager
    def one_look(self) -> Iterator[None]:
        """Ask the source once for each thing that is asked for within, and so see one state of a run that goes on."""
        look = self._look
        if look.open:
            yield
            return
        look.open, look.goes_on, look.descriptors = True, False, None
        try:
            yield
        finally:
            look.open, look.goes_on, look.descriptors = False, False, None

    @property
    def revision(self) -> int:
        """The number of the revision it is at."""
        return 0 if self.corrections is None else self.corrections.number()

    @property
    def start(self) -> Start:
        """The start document."""
        if self._start is None:
            found = self.source.get_run_start() if self._found_start is None else self._found_start
            self._start = Start(apply_transform(self.transforms, "start", found))
            self._found_start = None
        return self._start

    @property
    def stop(self) -> Stop | None:
        """The stop document; None while the run goes on, or when it was cut off."""
        look = self._look
        if self._stop is None and not look.goes_on:
            stop = self.source.get_run_stop() if self._found_stop is None else self._found_stop
            if stop is not None:
                self._found_stop = None
                self._stop = Stop(apply_transform(self.transforms, "stop", stop))
            look.goes_on = look.open and stop is None
        return self._stop

    @property
    def descriptors(self) -> list[Descriptor]:
        """All descriptors, in the order they were recorded."""
        if self._descriptors is not None:
            return self._descriptors
        look = self._look
        if look.descriptors is not None:
            return look.descriptors
        # Whether the run has ended is asked first: descriptors asked for afterwards are all there will be.
        finished = self.stop is not None
        found = [self._descriptor(doc) for doc in self.source.get_event_descriptors()]
        if finished:
            self._descriptors = found
        elif look.open:
            look.descriptors = found
        return found

    def _descriptor(self, doc: Doc) -> Descriptor:
        uid = doc["uid"]
        if uid not in self._known:
            if "name" not in doc:
                tell(
                    f"the descriptor {uid!r} has no 'name', as old versions of bluesky recorded it; its stream is "
                    "called 'primary'",
                )
            self._known[uid] = Descriptor(apply_transform(self.transforms, "descriptor", doc))
        return self._known[uid]

    @property
    def resources(self) -> list[Resource]:
        """All resource documents that name this run."""
        return [Resource(apply_transform(self.transforms, "resource", doc)) for doc in self.source.get_resources()]

    @property
    def stream_names(self) -> list[str]:
        """The streams, in the order in which their first descriptor came."""
        return list(dict.fromkeys(map(stream_name, self.descriptors)))

    def has_stream(self, name: str) -> bool:
        """Whether there is a stream of this name; one that was seen is not asked for again, for none goes away.

        Parameters
        ----------
        name : str

        Returns
        -------
        bool
        """
        if not self._known and self._descriptors is None:
            # That the run has ended matters to those who want all descriptors.
            for doc in self.source.get_event_descriptors():
                self._descriptor(doc)
        return any(stream_name(doc) == name for doc in self._known.values()) or name in self.stream_names

    def of_stream(self, name: str) -> list[Descriptor]:
        """The descriptors of one stream."""
        return [doc for doc in self.descriptors if stream_name(doc) == name]


class FoundHeader(Header):
    """That of a run of which a search found the start document: its source is made when more is asked for.

    Parameters
    ----------
    collection : RunCollection
    uid : str
    get_filler : callable
        As `RunCollection.source` takes it.
    transforms : mapping
        As of `Header`.
    start, stop
        As of `Header.remember`.
    """

    def __init__(
        self,
        collection: RunCollection,
        uid: str,
        get_filler: Any,
        transforms: Mapping[str, Callable[..., Any]],
        start: Doc,
        stop: Doc | None,
    ) -> None:
        self._found_in = collection, uid, get_filler
        self.transforms = transforms
        self.forget()
        self.remember(start, stop)

    @once
    def source(self) -> RunSource:
        """Where the rest of the run is read."""
        collection, uid, get_filler = self._found_in
        return collection.source(uid, get_filler)

    @once
    def corrections(self) -> Corrections:
        """Where the revisions of the run are kept."""
        return Corrections(*self._found_in)
