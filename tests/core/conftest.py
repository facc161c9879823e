"""Runs made for the tests of documents and runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from databroker_like.core._cache import DocumentCache
from databroker_like.core._filler import filler_getter
from databroker_like.core._handlers import HandlerRegistry
from databroker_like.core._run import BlueskyRun

KINDS = {"det": "number", "n": "integer", "word": "string", "on": "boolean", "spectrum": "array"}
SHAPES = {"spectrum": [3]}


class Recording:
    """One run as it is recorded, document by document; ``run`` can be read at any time."""

    def __init__(self, uid: str = "41fb8ca9-0000-4000-8000-000000000000", **start: Any) -> None:
        self.uid = uid
        self.cache = DocumentCache()
        self.cache("start", {"uid": uid, "time": 0.0, "scan_id": 1, "plan_name": "scan", **start})
        self.handlers: dict[str, Any] = {}
        self.root_map: dict[str, str] = {}
        self._numbers: dict[str, int] = {}

    def descriptor(self, keys: dict[str, Any], name: str | None = "primary", **more: Any) -> str:
        uid = f"{self.uid[:8]}-descriptor-{len(self.cache.descriptors)}"
        doc = {
            "uid": uid,
            "run_start": self.uid,
            "time": 0.5,
            "name": name,
            "data_keys": {key: {"source": "test", "shape": [], **data_key} for key, data_key in keys.items()},
            "object_keys": {f"{key}_device": [key] for key in keys},
            "configuration": {},
            "hints": {},
            **more,
        }
        if name is None:
            del doc["name"]
        self.cache("descriptor", doc)
        return uid

    def event(self, descriptor: str, data: dict[str, Any], *, time: float | None = None, **more: Any) -> str:
        number = self._numbers[descriptor] = self._numbers.get(descriptor, 0) + 1
        external = {
            key
            for key, d in self.cache.descriptors[descriptor]["data_keys"].items()
            if d.get("external") and key in data
        }
        uid = f"{descriptor}-event-{number}"
        self.cache(
            "event",
            {
                "uid": uid,
                "descriptor": descriptor,
                "seq_num": number,
                "time": float(number if time is None else time),
                "data": data,
                "timestamps": dict.fromkeys(data, number + 0.25),
                "filled": dict.fromkeys(external, False),
                **more,
            },
        )
        return uid

    def resource(self, folder: Path, name: str, spec: str = "NPY", **more: Any) -> str:
        uid = f"{self.uid[:8]}-resource-{len(self.cache.resources)}"
        self.cache(
            "resource",
            {
                "uid": uid,
                "run_start": self.uid,
                "spec": spec,
                "root": str(folder),
                "resource_path": name,
                "path_semantics": "posix",
                "resource_kwargs": {},
                **more,
            },
        )
        return uid

    def datum(self, resource: str, number: int, **keywords: Any) -> str:
        datum_id = f"{resource}/{number}"
        self.cache("datum", {"datum_id": datum_id, "resource": resource, "datum_kwargs": {"index": number, **keywords}})
        return datum_id

    def stop(self, **more: Any) -> None:
        doc = {"uid": f"{self.uid[:8]}-stop", "run_start": self.uid, "time": 99.0, "exit_status": "success", **more}
        self.cache("stop", doc)

    def get_filler(self, filler_class: Any = "event_model.Filler") -> Any:
        return filler_getter(filler_class, HandlerRegistry(self.handlers), self.root_map)

    @property
    def run(self) -> BlueskyRun:
        return self.open()

    def open(self, *, filler_class: Any = "event_model.Filler", **kwargs: Any) -> BlueskyRun:
        return BlueskyRun.from_source(self.cache.source(self.get_filler(filler_class)), **kwargs)


class NPYHandler:
    """Arrays, one to a file NAME_index.npy, read at once as plain handlers do."""

    specs = {"NPY"}
    opened: list[str] = []
    closed: list[str] = []

    def __init__(self, path: str) -> None:
        self.path = path
        self.opened.append(path)

    def __call__(self, index: int) -> np.ndarray:
        return np.load(f"{self.path}_{index}.npy")

    def get_file_list(self, datums: Any) -> list[str]:
        return [f"{self.path}_{datum['index']}.npy" for datum in datums]

    def close(self) -> None:
        self.closed.append(self.path)


@pytest.fixture
def recording() -> Recording:
    """A run that has begun."""
    return Recording()


@pytest.fixture(scope="session")
def record() -> Callable[..., Recording]:
    """Makes runs that have begun."""
    return Recording


@pytest.fixture
def npy_handler() -> type[NPYHandler]:
    """A handler of the plain kind, whose list of what it opened and closed is empty."""
    NPYHandler.opened, NPYHandler.closed = [], []
    return NPYHandler


@pytest.fixture
def scalars(recording: Recording) -> Recording:
    """A complete run of 5 events with a number, an integer, a word, a truth value and a spectrum."""
    keys = {key: {"dtype": dtype, "shape": SHAPES.get(key, [])} for key, dtype in KINDS.items()}
    descriptor = recording.descriptor(keys)
    for i in range(5):
        recording.event(
            descriptor, {"det": i / 2, "n": i, "word": "x" * i, "on": i % 2 == 0, "spectrum": [i, i + 1, i + 2]}
        )
    recording.stop()
    return recording


@pytest.fixture
def images(recording: Recording, tmp_path: Path, npy_handler: type[NPYHandler]) -> Recording:
    """A complete run of 4 events with a number and an image of (4, 6) uint16 in a file each."""
    recording.handlers["NPY"] = npy_handler
    descriptor = recording.descriptor(
        {"det": {"dtype": "number"}, "img": {"dtype": "array", "shape": [4, 6], "external": "FILESTORE:"}}
    )
    resource = recording.resource(tmp_path, "frame")
    for i in range(4):
        np.save(tmp_path / f"frame_{i}.npy", np.full((4, 6), i, dtype="uint16"))
        recording.event(descriptor, {"det": float(i), "img": recording.datum(resource, i)})
    recording.stop()
    return recording
