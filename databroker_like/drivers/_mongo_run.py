"""One run in a MongoDB, read when it is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from databroker_like.core._source import RunSource
from databroker_like.errors import NoSuchDocument, listed, nearest

__all__ = ["MongoRun", "plain"]

Doc = Mapping[str, Any]

#: What is in the database and not in the document.
_OURS = frozenset({"_id", "_run_start"})


def plain(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document as it was recorded, without what the database added.

    Examples
    --------
    >>> plain({"_id": 1, "uid": "a"})
    {'uid': 'a'}
    """
    return {key: value for key, value in document.items() if key not in _OURS}


class MongoRun(ABC):
    """The getters of one run; a subclass knows the layout.

    Parameters
    ----------
    uid : str
    """

    def __init__(self, uid: str) -> None:
        self.uid = uid

    @abstractmethod
    def get_run_start(self) -> Doc:
        """The start document."""

    @abstractmethod
    def get_run_stop(self) -> Doc | None:
        """The stop document, or None."""

    @abstractmethod
    def get_event_descriptors(self) -> list[Doc]:
        """The descriptors, in the order they were recorded."""

    @abstractmethod
    def get_event_pages(self, descriptor_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        """Event pages of a descriptor, rows ``skip`` to ``skip + limit``."""

    @abstractmethod
    def get_event_count(self, descriptor_uid: str) -> int:
        """How many events a descriptor has."""

    @abstractmethod
    def get_resource(self, uid: str) -> Doc:
        """The resource document of a uid."""

    @abstractmethod
    def get_resources(self) -> list[Doc]:
        """The resources, in the order they were recorded."""

    @abstractmethod
    def lookup_resource_for_datum(self, datum_id: str) -> str:
        """The uid of the resource a datum belongs to."""

    @abstractmethod
    def get_datum_pages(self, resource_uid: str, skip: int = 0, limit: int | None = None) -> Iterable[Doc]:
        """Datum pages of a resource, rows ``skip`` to ``skip + limit``."""

    @abstractmethod
    def get_stream_resources(self) -> list[Doc]:
        """The stream_resources, in the order they were recorded."""

    @abstractmethod
    def get_stream_datums(self, stream_resource_uid: str) -> list[Doc]:
        """The stream_datums of a stream_resource, in the order they were recorded."""

    def source(self, get_filler: Any) -> RunSource:
        """The getters of this run, bundled."""
        return RunSource.of(self, get_filler)

    def _check_descriptor(self, uid: str) -> None:
        """Raise when the run has no such descriptor; asked only when there are no events of it."""
        there = [doc["uid"] for doc in self.get_event_descriptors()]
        if uid not in there:
            raise NoSuchDocument(f"run {self.uid} has no descriptor {uid!r}; it has {listed(there)}")

    def _no_resource(self, uid: str) -> NoSuchDocument:
        there = [doc["uid"] for doc in self.get_resources()]
        return NoSuchDocument(f"run {self.uid} has no resource {uid!r}; it has {listed(there)}")

    def _no_datum(self, datum_id: str) -> NoSuchDocument:
        near = [doc["uid"] for doc in self.get_resources()]
        said = f"; nearest resource: {listed(nearest(datum_id.partition('/')[0], near))}" if near else ""
        return NoSuchDocument(f"run {self.uid} has no datum {datum_id!r}{said}")
