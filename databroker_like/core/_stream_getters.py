"""The source of a stream that is made from getters one by one, as databroker made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from databroker_like.core._source import RunSource

__all__ = ["MORE_GETTERS", "source_of"]

#: Getters that databroker's own signature does not name.
MORE_GETTERS = ("get_run_start", "get_filler", "get_stream_resources", "get_stream_datums")


def source_of(metadata: Mapping[str, Any], fillers: Mapping[str, Any] | None, **getters: Any) -> RunSource:
    """The getters of a stream as a source; start and stop may stand in its metadata, and a filler be made already.

    Parameters
    ----------
    metadata : mapping
    fillers : mapping, optional
        ``"yes"``, ``"no"``, ``"delayed"`` -> filler.
    **getters
        As for `RunSource.from_getters`.

    Returns
    -------
    RunSource
    """
    knows_start = bool(getters.get("get_run_start") or metadata.get("start"))
    getters["get_run_start"] = getters.get("get_run_start") or _Given(metadata.get("start"))
    getters["get_run_stop"] = getters.get("get_run_stop") or _Given(metadata.get("stop"))
    getters["get_filler"] = getters.get("get_filler") or (fillers and _FillerOf(fillers))
    source = RunSource.from_getters(**getters)
    return source if knows_start else replace(source, get_run_start=_StartOf(source.get_event_descriptors))


class _FillerOf:
    """The ``get_filler`` of a stream that was handed its fillers."""

    def __init__(self, fillers: Mapping[str, Any]) -> None:
        self.fillers = fillers

    def __call__(self, coerce: str = "force_numpy") -> Any:
        return self.fillers["delayed" if coerce == "delayed" else "yes"]


class _Given:
    """Gives the document that was handed in."""

    def __init__(self, doc: Any) -> None:
        self.doc = doc

    def __call__(self) -> Any:
        return self.doc


class _StartOf:
    """As much of the start document as the descriptors know, for a stream made without one."""

    def __init__(self, get_event_descriptors: Any) -> None:
        self.get_event_descriptors = get_event_descriptors

    def __call__(self) -> dict[str, Any]:
        return {"uid": next((str(doc["run_start"]) for doc in self.get_event_descriptors()), "")}
