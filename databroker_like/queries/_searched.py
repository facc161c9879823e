"""What a query is asked of: the start document of a run, with its stop document under ``stop``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["SearchedDocument", "searched"]

Doc = Mapping[str, Any]


class SearchedDocument(dict[str, Any]):
    """A start document with its stop document under ``stop``; words are looked for in ``start`` alone.

    Parameters
    ----------
    start : mapping
    stop : mapping or None
    """

    __slots__ = ("start",)

    def __init__(self, start: Doc, stop: Doc | None) -> None:
        super().__init__(start)
        self.start = start
        if stop is not None:
            self["stop"] = stop
        else:
            self.pop("stop", None)


def searched(start: Doc, stop: Doc | None = None) -> SearchedDocument:
    """The document that a query is asked of.

    Parameters
    ----------
    start : mapping
        The start document. A key ``stop`` of its own is never searched by key, so that ``stop.time`` means the same
        for every run; its words are found.
    stop : mapping, optional
        The stop document; without one the searched document has no key ``stop``.

    Returns
    -------
    SearchedDocument

    Examples
    --------
    >>> from databroker_like.queries import parse
    >>> run = searched({"uid": "a", "plan_name": "scan"}, {"exit_status": "success"})
    >>> parse({"plan_name": "scan", "stop.exit_status": "success"}).matches(run)
    True
    """
    return SearchedDocument(start, stop)
