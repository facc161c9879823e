"""Small runs of every kind, made by event-model, as lists of ``(name, document)``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import event_model

__all__ = [
    "SAMPLES",
    "arrays",
    "external",
    "no_stop",
    "nothing_but_start",
    "paged",
    "scalars",
    "several_streams",
    "stream_external",
    "strings",
    "zero_events",
]

Documents = list[tuple[str, dict[str, Any]]]

#: The start time of a run that is not given one; event-model puts in the time of now into the rest.
BEGAN = 1_700_000_000.0


class _Recording:
    """Composes one run, and keeps its documents as plain dictionaries."""

    def __init__(self, **metadata: Any) -> None:
        metadata = {"time": BEGAN, "scan_id": 1, "plan_name": "scan", **metadata}
        optional = {"uid": metadata.pop("uid")} if "uid" in metadata else {}
        self._run = event_model.compose_run(time=metadata.pop("time"), metadata=metadata, **optional)
        self.documents: Documents = [("start", dict(self._run.start_doc))]
        self._times = itertools.count(1)
        self._streams: dict[str, Any] = {}

    @property
    def uid(self) -> str:
        return str(self._run.start_doc["uid"])

    def stream(self, name: str, data_keys: Mapping[str, Any], **more: Any) -> Any:
        stream = self._run.compose_descriptor(name=name, data_keys=dict(data_keys), **more)
        self.documents.append(("descriptor", dict(stream.descriptor_doc)))
        return stream

    def event(self, stream: Any, data: Mapping[str, Any], filled: Mapping[str, Any] | None = None) -> None:
        time = self.documents[0][1]["time"] + next(self._times)
        doc = stream.compose_event(
            data=dict(data), timestamps=dict.fromkeys(data, time - 0.25), time=time, filled=dict(filled or {})
        )
        self.documents.append(("event", dict(doc)))

    def add(self, name: str, doc: Mapping[str, Any]) -> None:
        self.documents.append((name, dict(doc)))

    def stop(self) -> Documents:
        time = self.documents[0][1]["time"] + next(self._times)
        self.documents.append(("stop", dict(self._run.compose_stop(time=time))))
        return self.documents


def _key(dtype: str, shape: Iterable[int] = (), **more: Any) -> dict[str, Any]:
    return {"source": "simulated", "dtype": dtype, "shape": list(shape), "object_name": "device", **more}


def scalars(events: int = 5, **metadata: Any) -> Documents:
    """Numbers of every kind: float, int, bool, and one that is sometimes whole.

    Parameters
    ----------
    events : int
        5 by default.
    **metadata
        What stands in the start document; ``uid``, ``time`` and ``scan_id`` as well.

    Returns
    -------
    list of (name, document)

    Examples
    --------
    >>> [name for name, _ in scalars(events=1)]
    ['start', 'descriptor', 'event', 'stop']
    """
    run = _Recording(**metadata)
    stream = run.stream(
        "primary",
        {
            "motor": _key("number", units="mm", precision=3),
            "count": _key("integer"),
            "open": _key("boolean"),
            "mixed": _key("number"),
        },
        hints={"device": {"fields": ["motor"]}},
        configuration={
            "device": {
                "data": {"gain": 2.5},
                "timestamps": {"gain": BEGAN},
                "data_keys": {"gain": _key("number")},
            }
        },
        object_keys={"device": ["motor", "count", "open", "mixed"]},
    )
    for number in range(events):
        row = {"motor": number / 10, "count": number, "open": number % 2 == 0, "mixed": number if number % 2 else 0.5}
        run.event(stream, row)
    return run.stop()


def strings(events: int = 4, **metadata: Any) -> Documents:
    """Text: empty, of several lengths, beyond ASCII, and ending in a NUL."""
    run = _Recording(**metadata)
    stream = run.stream("primary", {"label": _key("string"), "odd": _key("string")})
    for number in range(events):
        run.event(stream, {"label": "état " * number, "odd": "ends\0" if number % 2 else ""})
    return run.stop()


def arrays(events: int = 3, **metadata: Any) -> Documents:
    """A small array, as nested lists, with a number beside it."""
    run = _Recording(**metadata)
    stream = run.stream("primary", {"image": _key("array", (2, 3)), "sum": _key("number")})
    for number in range(events):
        image = [[number + 3 * row + column for column in range(3)] for row in range(2)]
        run.event(stream, {"image": image, "sum": float(sum(map(sum, image)))})
    return run.stop()


def external(folder: Path | str, events: int = 3, **metadata: Any) -> Documents:
    """Images in NPY files in a folder, by resource and datum.

    Parameters
    ----------
    folder : path
        Where the files ``image_0.npy``, ``image_1.npy``, ... are written, 4 x 5 of uint16.
    events : int
        3 by default.
    **metadata
        What stands in the start document.

    Returns
    -------
    list of (name, document)
    """
    import numpy

    run = _Recording(**metadata)
    resource = run._run.compose_resource(spec="NPY_SEQ", root=str(folder), resource_path="image", resource_kwargs={})
    stream = run.stream("primary", {"image": _key("array", (4, 5), external="FILESTORE:"), "motor": _key("number")})
    run.add("resource", resource.resource_doc)
    for number in range(events):
        numpy.save(Path(folder) / f"image_{number}.npy", numpy.full((4, 5), number, dtype="uint16"))
        datum = resource.compose_datum(datum_kwargs={"index": number})
        run.add("datum", datum)
        run.event(stream, {"image": datum["datum_id"], "motor": number / 10}, filled={"image": False})
    return run.stop()


def stream_external(root: str, events: int = 4, **metadata: Any) -> Documents:
    """Images in one HDF5 file, by stream_resource and stream_datum; the file itself is not made.

    Parameters
    ----------
    root : str
        The folder the file would be in.
    events : int
        4 by default, in two parts.
    **metadata
        What stands in the start document.

    Returns
    -------
    list of (name, document)
    """
    run = _Recording(**metadata)
    stream = run.stream("primary", {"image": _key("array", (1, 4, 5), external="STREAM:", dtype_numpy="<u2")})
    descriptor = stream.descriptor_doc["uid"]
    resource = f"{run.uid}-resource"
    run.add(
        "stream_resource",
        {
            "uid": resource,
            "run_start": run.uid,
            "data_key": "image",
            "mimetype": "application/x-hdf5",
            "uri": f"file://localhost{root}/images.h5",
            "parameters": {"dataset": "/entry/data/data", "chunk_shape": [1, 4, 5]},
        },
    )
    cut = events // 2
    for number, (begin, end) in enumerate(((0, cut), (cut, events))):
        run.add(
            "stream_datum",
            {
                "uid": f"{resource}/{number}",
                "stream_resource": resource,
                "descriptor": descriptor,
                "indices": {"start": begin, "stop": end},
                "seq_nums": {"start": begin + 1, "stop": end + 1},
            },
        )
    return run.stop()


def several_streams(events: int = 3, **metadata: Any) -> Documents:
    """A baseline before and after, and two streams whose events take turns; one with a second descriptor."""
    run = _Recording(**metadata)
    baseline = run.stream("baseline", {"temperature": _key("number")})
    run.event(baseline, {"temperature": 20.0})
    primary = run.stream("primary", {"x": _key("number")})
    monitor = run.stream("monitor", {"current": _key("number"), "state": _key("string")})
    for number in range(events):
        run.event(primary, {"x": float(number)})
        run.event(monitor, {"current": 100.0 - number, "state": "ok"})
    again = run.stream("primary", {"x": _key("number", units="mm")})
    run.event(again, {"x": -1.0})
    run.event(baseline, {"temperature": 21.0})
    return run.stop()


def no_stop(events: int = 2, **metadata: Any) -> Documents:
    """A run that goes on, or was cut off."""
    return scalars(events, **metadata)[:-1]


def zero_events(**metadata: Any) -> Documents:
    """A stream that was described and never written to."""
    return scalars(0, **metadata)


def nothing_but_start(**metadata: Any) -> Documents:
    """A run that has just begun."""
    return _Recording(**metadata).documents


def paged(events: int = 5, **metadata: Any) -> Documents:
    """The same as `scalars`, its events in two pages."""
    documents = scalars(events, **metadata)
    events_only = [doc for name, doc in documents if name == "event"]
    cut = len(events_only) // 2
    pages: Documents = [
        ("event_page", dict(event_model.pack_event_page(*cast("list[Any]", part))))
        for part in (events_only[:cut], events_only[cut:])
        if part
    ]
    at = next((i for i, (name, _) in enumerate(documents) if name == "event"), len(documents) - 1)
    return [*documents[:at], *pages, *(pair for pair in documents[at:] if pair[0] != "event")]


#: Every kind that needs no file, by name.
SAMPLES: dict[str, Callable[..., Documents]] = {
    function.__name__: function
    for function in (
        scalars,
        strings,
        arrays,
        several_streams,
        no_stop,
        zero_events,
        nothing_but_start,
        paged,
    )
}
