"""The datums of a run: which resource, and which keywords for its handler, each datum id stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from databroker_like.core._pages import scalars
from databroker_like.core._source import RunSource
from databroker_like.core._transforms import apply_transform
from databroker_like.errors import NoSuchDocument

__all__ = ["DatumTable", "filled_flags"]

Doc = Mapping[str, Any]


class DatumTable:
    """Which resource, and which keywords for its handler, each datum id stands for; kept as columns.

    Parameters
    ----------
    source : RunSource
    transforms : dict
        Of documents, as `parse_transforms` gives them.
    """

    def __init__(self, source: RunSource, transforms: Mapping[str, Callable[..., Any]]) -> None:
        self.source = source
        self.transforms = transforms
        self._resources: dict[str, _Resource | None] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "transforms": self.transforms, "_resources": {}}

    def resource_uid(self, datum_id: str) -> str:
        """The uid of the resource that a datum belongs to.

        Parameters
        ----------
        datum_id : str

        Returns
        -------
        str

        Raises
        ------
        NoSuchDocument
            When there is no such datum.
        """
        return self._holder(datum_id).uid

    def look_up(self, datum_id: str) -> tuple[Doc, dict[str, Any]]:
        """The resource document and the keywords of a datum.

        Parameters
        ----------
        datum_id : str

        Returns
        -------
        (resource document, datum_kwargs)
        """
        holder = self._holder(datum_id)
        return holder.doc, holder.keywords(holder.rows[datum_id])

    def keywords(self, resource_uid: str) -> list[dict[str, Any]]:
        """The keywords of every datum of a resource, in order."""
        found = self._load(resource_uid)
        return [] if found is None else [found.keywords(row) for row in found.rows.values()]

    def resource(self, uid: str) -> Doc:
        """A resource document, transformed."""
        found = self._load(uid)
        if found is None:
            raise NoSuchDocument(f"the run has no resource {uid!r}; its documents are incomplete")
        return found.doc

    def resources_of(self, datum_ids: Iterable[str]) -> dict[str, Doc | None]:
        """The resources that some datums belong to, looked up as few times as can be.

        Parameters
        ----------
        datum_ids : iterable of str

        Returns
        -------
        dict
            Uid -> document, transformed, in the order of the datums; None for a datum that the run does not have,
            under its own id.
        """
        listed = {doc["uid"]: doc for doc in self.source.get_resources()}
        found: dict[str, Doc | None] = {}
        known: set[str] = set()
        for datum_id in datum_ids:
            if not isinstance(datum_id, str):
                # A value that was filled in before it was recorded.
                continue
            guess = datum_id.partition("/")[0]
            if guess in found or datum_id in known:
                continue
            if guess in listed:
                found[guess] = apply_transform(self.transforms, "resource", listed[guess])
                continue
            try:
                holder = self._holder(datum_id)
            except NoSuchDocument:
                found[datum_id] = None
            else:
                found[holder.uid] = holder.doc
                known.update(holder.rows)
        return found

    def _holder(self, datum_id: str) -> _Resource:
        # By custom the uid of the resource stands before a slash; it is no more than a custom.
        guess = datum_id.partition("/")[0] if isinstance(datum_id, str) and "/" in datum_id else None
        if guess is not None:
            found = self._load(guess)
            if found is not None and datum_id in found.rows:
                return found
        try:
            uid = self.source.lookup_resource_for_datum(datum_id)
        except (KeyError, ValueError) as error:
            raise NoSuchDocument(
                f"an event refers to the datum {datum_id!r}, which the run does not have; its documents are incomplete"
            ) from error
        found = self._load(uid)
        if found is None or datum_id not in found.rows:
            # A run being written: the datum may have come since the resource was looked at.
            self._resources.pop(uid, None)
            found = self._load(uid)
        if found is None or datum_id not in found.rows:
            raise NoSuchDocument(
                f"an event refers to the datum {datum_id!r} of resource {uid!r}, which the run does not have; "
                "its documents are incomplete"
            )
        return found

    def _load(self, uid: str) -> _Resource | None:
        if uid not in self._resources:
            try:
                doc = self.source.get_resource(uid)
            except (KeyError, ValueError):
                doc = None
            if doc is None:
                return None
            doc = apply_transform(self.transforms, "resource", doc)
            self._resources[uid] = _Resource(uid, doc, self.source.get_datum_pages(uid))
        return self._resources[uid]


class _Resource:
    """A resource document, and its datum pages joined."""

    def __init__(self, uid: str, doc: Doc, pages: Iterable[Doc]) -> None:
        self.uid = uid
        self.doc = doc
        self.rows: dict[str, tuple[Mapping[str, Any], int]] = {}
        for page in pages:
            columns = {key: scalars(column) for key, column in page["datum_kwargs"].items()}
            for i, datum_id in enumerate(scalars(page["datum_id"])):
                self.rows[datum_id] = (columns, i)

    def keywords(self, row: tuple[Mapping[str, Any], int]) -> dict[str, Any]:
        columns, i = row
        return {key: column[i] for key, column in columns.items()}


def filled_flags(page: Doc, key: str) -> list[Any]:
    """What a page says of each value of a column: False where it stands for external data."""
    filled = page.get("filled", {})
    return scalars(filled[key]) if key in filled else [False] * len(page["time"])
