"""RunSink: what any storage offers so that runs can be recorded into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

__all__ = ["RunSink"]


@runtime_checkable
class RunSink(Protocol):
    """Takes the documents of runs as they are emitted; ``RE.subscribe(sink.insert)``.

    When ``insert`` has returned, the document survives the death of the process. Several runs may be in
    progress at once. The same document again is no error and no duplicate.
    """

    def insert(self, name: str, doc: Mapping[str, Any]) -> None:
        """Record one document.

        Parameters
        ----------
        name : str
            ``"start"``, ``"descriptor"``, ``"event"``, ``"event_page"``, ``"resource"``, ``"datum"``,
            ``"datum_page"``, ``"stream_resource"``, ``"stream_datum"`` or ``"stop"``.
        doc : mapping
            The document.

        Raises
        ------
        InvalidDocument
            When it is not valid, or belongs to no run that this sink has seen start; nothing is written.
        NotWritable
            When the place cannot be written to.
        """

    def close(self) -> None:
        """Release files and connections; runs without a stop document stay readable as they are."""
