"""Results: the headers a search has found, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from databroker_like.v1._header import Header

__all__ = ["Results"]


class Results:
    """The headers a search has found, newest first; each time it is gone through it is searched anew.

    Parameters
    ----------
    broker : Broker
        Whose headers they are.
    catalog : databroker_like.v2.Broker
        What a search of the catalog gave.
    data_key : str or list of str, optional
        Only the runs that recorded these.

    Examples
    --------
    >>> from databroker_like.v1 import temp
    >>> list(temp()(plan_name="scan"))
    []
    """

    def __init__(self, broker: Any, catalog: Any, data_key: Any = None) -> None:
        self._broker = broker
        self._catalog = catalog
        self._data_keys = frozenset([data_key] if isinstance(data_key, str) else data_key or ())

    def __iter__(self) -> Iterator[Header]:
        catalog = self._catalog
        for uid, start, stop in catalog.collection.heads(catalog._query, newest_first=True):
            header = Header.of_head(catalog, uid, start, stop, self._broker)
            if not self._data_keys or self._data_keys <= header.fields():
                yield header

    def __repr__(self) -> str:
        query = self._catalog._query.to_mongo()
        more = f", recording {', '.join(sorted(self._data_keys))}" if self._data_keys else ""
        return f"<Results of {query}{more}: go through them to get the headers, newest first>"
