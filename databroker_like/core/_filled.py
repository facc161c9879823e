"""Columns and pages that a filler of the user's own fills."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from databroker_like.core._datums import DatumTable, filled_flags
from databroker_like.core._external import ExternalColumn
from databroker_like.core._filler import FillerGetter, reader_of
from databroker_like.core._names import callable_name, external_name
from databroker_like.core._pages import scalars
from databroker_like.core._rows import EventRows
from databroker_like.files._lazy import named

__all__ = ["FilledColumn", "PageFiller"]

Doc = Mapping[str, Any]


class FilledColumn(ExternalColumn):
    """A column of datum ids as the values that a filler of the user's own puts in their place.

    Parameters
    ----------
    rows : EventRows
    key : str
        The data key.
    length : int
        The number of events.
    table : DatumTable
    get_filler : callable
    descriptor : mapping
        The descriptor document.
    """

    def __init__(
        self,
        rows: EventRows,
        key: str,
        length: int,
        table: DatumTable,
        get_filler: Callable[..., Any],
        descriptor: Doc,
    ) -> None:
        super().__init__(rows, key, length)
        self._table = table
        self._get_filler = get_filler
        self._descriptor = descriptor

    @property
    def token(self) -> str:
        """Made of the filler, too, and of what it is told: a filler may do anything with a document."""
        filler_class, opener = reader_of(self._get_filler)
        filler = [callable_name(filler_class)]
        if not isinstance(self._get_filler, FillerGetter):
            filler.append(callable_name(self._get_filler))
        return named(
            self.identity, filler, repr(self._descriptor), external_name(self._recorded(), self._table, opener)
        )

    @contextlib.contextmanager
    def _open(self) -> Iterator[PageFiller]:
        filler = self._get_filler(coerce="force_numpy")
        try:
            yield PageFiller(filler, self._table, [self._descriptor])
        finally:
            close = getattr(filler, "close", None)
            if callable(close):
                close()

    def _frames(self, handle: PageFiller, rows: range) -> Iterator[Any]:
        pages = self._rows.pages(rows[0], rows[-1] + 1)
        values = (value for page in pages for value in handle.fill(page)["data"][self._key])
        for i, value in enumerate(values):
            if i % rows.step == 0:
                yield value


class PageFiller:
    """Hands a filler of the user's own the documents that a page needs, then the page.

    Parameters
    ----------
    filler : callable
        ``filler(name, doc)`` gives the name and the document, filled; shaped like a DocumentRouter.
    table : DatumTable
    descriptors : iterable of descriptor documents
    """

    def __init__(self, filler: Any, table: DatumTable, descriptors: Iterable[Doc]) -> None:
        self._filler = filler
        self._table = table
        self._external: dict[str, list[str]] = {}
        self._told: set[str] = set()
        for descriptor in descriptors:
            self._filler("descriptor", descriptor)
            self._external[descriptor["uid"]] = [
                key for key, data_key in descriptor["data_keys"].items() if data_key.get("external")
            ]

    def tell(self, resource_uid: str) -> None:
        """Give the filler a resource and its datum pages, once."""
        if resource_uid in self._told:
            return
        self._told.add(resource_uid)
        self._filler("resource", self._table.resource(resource_uid))
        for page in self._table.source.get_datum_pages(resource_uid):
            self._filler("datum_page", {**page, "datum_id": scalars(page["datum_id"])})

    def fill(self, page: Doc) -> Doc:
        """A page, filled."""
        for key in self._external[page["descriptor"]]:
            for datum_id, filled in zip(scalars(page["data"].get(key, [])), filled_flags(page, key), strict=False):
                if filled is False and isinstance(datum_id, str):
                    self.tell(self._table.resource_uid(datum_id))
        plain = {
            **page,
            **{name: scalars(page[name]) for name in ("time", "uid", "seq_num")},
            **{
                name: {key: list(scalars(column)) for key, column in page.get(name, {}).items()}
                for name in ("data", "timestamps", "filled")
            },
        }
        _, filled_page = self._filler("event_page", plain)
        return filled_page if filled_page is not None else plain
