"""What people see of a catalog: its text, its table in a notebook, and the keys that are completed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from databroker_like.core._collection import Head
from databroker_like.queries import Everything, Node
from databroker_like.show._catalog import CatalogSummary, RunRow, catalog_html, catalog_text

if TYPE_CHECKING:
    from databroker_like.core._collection import RunCollection

__all__ = ["ShownCatalog"]

_COMPLETED = 100
_SHOWN = 5


class ShownCatalog:
    """The part of a catalog that shows itself."""

    name: Any
    _query: Node

    if TYPE_CHECKING:

        @property
        def collection(self) -> RunCollection:
            """Where the runs are."""

        @property
        def problems(self) -> Mapping[str, str]:
            """What cannot be read."""

        def __len__(self) -> int: ...

    def _newest(self, most: int) -> list[str]:
        return list(self.collection.find(self._query, newest_first=True, limit=most))

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(uid for uid in self._newest(_COMPLETED) if uid.isidentifier())})

    def _ipython_key_completions_(self) -> list[str]:
        return self._newest(_COMPLETED)

    def _summary(self) -> CatalogSummary:
        kind = type(self).__name__
        query = "" if isinstance(self._query, Everything) else str(self._query.to_mongo())
        try:
            count = len(self)
            newest = tuple(map(_row, self.collection.heads(self._query, newest_first=True, limit=_SHOWN)))
            problems = self.problems
            problem = next((f"{what}: {why}" for what, why in problems.items()), "")
            if len(problems) > 1:
                problem += f" (and {len(problems) - 1} more)"
        except Exception as error:  # noqa: BLE001  (a driver is somebody's plugin, and showing a catalog never fails)
            return CatalogSummary(kind, self.name, None, query=query, problem=f"{type(error).__name__}: {error}")
        return CatalogSummary(kind, self.name, count, newest, query, problem)

    def __repr__(self) -> str:
        return catalog_text(self._summary())

    def _repr_html_(self) -> str:
        return catalog_html(self._summary())


def _row(head: Head) -> RunRow:
    uid, start, stop = head
    status = None if stop is None else stop.get("exit_status", "ended")
    return RunRow(uid, start.get("scan_id"), start.get("plan_name"), start.get("time"), status)
