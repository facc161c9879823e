"""RunSink: what any storage offers so that runs can be recorded into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from databroker_like.errors import Invalid, listed, nearest

__all__ = ["FSYNC", "RunSink", "checked_fsync"]

#: When what is recorded is also forced to the disk, so that it survives a power cut.
FSYNC = ("never", "stop", "event")


def checked_fsync(value: Any) -> str:
    """One of `FSYNC`.

    Parameters
    ----------
    value : str

    Returns
    -------
    str

    Raises
    ------
    Invalid
        When it is anything else.

    Examples
    --------
    >>> checked_fsync("stop")
    'stop'
    """
    if isinstance(value, str) and value in FSYNC:
        return value
    near = nearest(value, FSYNC) if isinstance(value, str) else []
    hint = f"; did you mean {listed(near)}?" if near else ""
    raise Invalid(
        f"fsync, which is when what is recorded is forced to the disk, is one of {listed(FSYNC)}, not {value!r}{hint}"
    )


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
