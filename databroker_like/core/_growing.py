"""The columns of events and datums as they grow, document by document or page by page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from databroker_like.core._rowwise import CHUNK, Rows, column

__all__ = ["GrowingDatums", "GrowingEvents"]

Doc = Mapping[str, Any]


class GrowingEvents:
    """The growing columns of one descriptor."""

    __slots__ = ("data", "filled", "filled_keys", "pages", "seq_nums", "times", "timestamps", "uid", "uids")

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.pages: list[dict[str, Any]] = []
        self._restart([], [], None)

    def _restart(self, data: list[str], timestamps: list[str], filled: list[str] | None) -> None:
        self.data = Rows(data)
        self.timestamps = Rows(timestamps)
        self.filled = Rows(filled or [])
        self.filled_keys = filled  # None when the documents have no "filled" at all
        self.uids: list[str] = []
        self.times: list[float] = []
        self.seq_nums: list[int] = []

    @property
    def open(self) -> tuple[Any, ...]:
        """What a loop over events needs at hand, until the page is closed."""
        return (
            self.data.keys,
            self.timestamps.keys,
            self.filled_keys,
            self.uids,
            self.times,
            self.seq_nums,
            self.data.extend,
            self.timestamps.extend,
        )

    def reshape(self, doc: Doc) -> None:
        """Begin a new page, because a row of other keys comes, or because this one is full."""
        if self.uids:
            self.pages.append(self.open_page())
        filled = doc.get("filled")
        self._restart(list(doc["data"]), list(doc["timestamps"]), None if filled is None else list(filled))

    def fits(self, doc: Doc) -> bool:
        """Whether a document's keys are those of the rows so far, in the same order."""
        filled = doc.get("filled")
        return (
            list(doc["data"]) == self.data.keys
            and list(doc["timestamps"]) == self.timestamps.keys
            and (None if filled is None else list(filled)) == self.filled_keys
            and len(self.uids) < CHUNK
        )

    def add(self, doc: Doc) -> None:
        """Take an event."""
        if not self.fits(doc):
            self.reshape(doc)
        self.data.extend(doc["data"].values())
        self.timestamps.extend(doc["timestamps"].values())
        if self.filled_keys:
            self.filled.extend(doc["filled"].values())
        self.uids.append(doc["uid"])
        self.times.append(doc["time"])
        self.seq_nums.append(doc["seq_num"])

    def open_page(self) -> dict[str, Any]:
        """The rows so far as an event page; the rows stay."""
        count = len(self.uids)
        page: dict[str, Any] = {
            "descriptor": self.uid,
            "uid": self.uids[:],
            "time": column(self.times[:]),
            "seq_num": column(self.seq_nums[:]),
            "data": self.data.columns(count),
            "timestamps": self.timestamps.columns(count),
        }
        if self.filled_keys is not None:
            page["filled"] = self.filled.columns(count)
        return page

    def add_page(self, doc: Doc) -> None:
        """Take an event page: a long one as it is, short ones gathered into longer ones."""
        count = len(doc["seq_num"])
        if not count:
            return
        if count >= CHUNK // 16:
            self.reshape(doc)
            self.pages.append(_columnar(doc))
            return
        if not self.fits(doc):
            self.reshape(doc)
        self.data.extend_columns(doc["data"])
        self.timestamps.extend_columns(doc["timestamps"])
        if self.filled_keys:
            self.filled.extend_columns(doc["filled"])
        self.uids.extend(doc["uid"])
        self.times.extend(doc["time"])
        self.seq_nums.extend(doc["seq_num"])

    def all_pages(self) -> list[dict[str, Any]]:
        """Every row so far, as pages."""
        return [*self.pages, self.open_page()] if self.uids else self.pages[:]


def _columnar(page: Doc) -> dict[str, Any]:
    return {
        key: {k: column(v) if isinstance(v, list) else v for k, v in value.items()}
        if key in ("data", "timestamps", "filled", "datum_kwargs")
        else column(value)
        if key in ("time", "seq_num") and isinstance(value, list)
        else value
        for key, value in page.items()
    }


class GrowingDatums:
    """The growing columns of one resource."""

    __slots__ = ("ids", "kwargs", "pages", "resource")

    def __init__(self, resource: str) -> None:
        self.resource = resource
        self.pages: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.kwargs = Rows([])

    def _make_room(self, keys: list[str]) -> None:
        if keys != self.kwargs.keys or len(self.ids) >= CHUNK:
            if self.ids:
                self.pages.append(self.open_page())
            self.ids, self.kwargs = [], Rows(keys)

    def add(self, doc: Doc) -> None:
        """Take a datum."""
        kwargs = doc["datum_kwargs"]
        self._make_room(list(kwargs))
        self.ids.append(doc["datum_id"])
        self.kwargs.extend(kwargs.values())

    def add_page(self, doc: Doc) -> None:
        """Take a datum page."""
        if not len(doc["datum_id"]):
            return
        self._make_room(list(doc["datum_kwargs"]))
        self.ids.extend(doc["datum_id"])
        self.kwargs.extend_columns(doc["datum_kwargs"])

    def open_page(self) -> dict[str, Any]:
        """The rows so far as a datum page; the rows stay."""
        return {
            "resource": self.resource,
            "datum_id": self.ids[:],
            "datum_kwargs": self.kwargs.columns(len(self.ids)),
        }

    def all_pages(self) -> list[dict[str, Any]]:
        """Every row so far, as pages."""
        return [*self.pages, self.open_page()] if self.ids else self.pages[:]
