"""Simulated devices that say whatever a recorded run needs said; what ophyd.sim has is taken from there."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from event_model import compose_resource
from ophyd.sim import NullStatus

__all__ = ["HDF5Camera", "PagedFlyer", "Table"]


class Table:
    """A detector that reads the rows of a table, one at each trigger.

    Parameters
    ----------
    name : str
        The device's name, which becomes the object name of its data keys.
    keys : dict
        Data key name -> its entry in the descriptor.
    rows : list of dict
        The readings, one after another; it begins again when they are used up.
    configuration : dict
        Configuration field -> (its entry in the descriptor, its value).
    hints : dict
        Such as ``{"fields": ["temperature"]}``.
    """

    parent = None

    def __init__(
        self,
        name: str,
        keys: dict[str, dict[str, Any]],
        rows: list[dict[str, Any]],
        configuration: dict[str, tuple[dict[str, Any], Any]] | None = None,
        hints: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.hints = hints or {}
        self._keys = {key: {"source": f"sim:{key}", **entry} for key, entry in keys.items()}
        self._rows = itertools.cycle(rows)
        self._row = rows[0]
        self._configuration = dict(configuration or {})

    def __repr__(self) -> str:
        return f"Table({self.name!r})"

    def trigger(self) -> NullStatus:
        self._row = next(self._rows)
        return NullStatus()

    def describe(self) -> dict[str, Any]:
        return self._keys

    def read(self) -> dict[str, Any]:
        return {key: {"value": self._row[key], "timestamp": time.time()} for key in self._keys}

    def describe_configuration(self) -> dict[str, Any]:
        return {field: {"source": f"sim:{field}", **entry} for field, (entry, _) in self._configuration.items()}

    def read_configuration(self) -> dict[str, Any]:
        return {field: {"value": value, "timestamp": time.time()} for field, (_, value) in self._configuration.items()}

    def configure(self, changes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        before = self.read_configuration()
        for field, value in changes.items():
            self._configuration[field] = (self._configuration[field][0], value)
        return before, self.read_configuration()


class HDF5Camera:
    """A camera that writes frames into one HDF5 file where an area detector's plugin would, spec ``AD_HDF5``.

    Parameters
    ----------
    name : str
        Name of the device and beginning of its data key, ``{name}_image``.
    root : Path
        The folder that becomes the resource's root; the file is made in it.
    file_name : str
        Path of the file below the root.
    shape : tuple of int
        Height and width of a frame.
    frames : int
        How many frames one trigger takes.
    declared_shape : list of int
        What the descriptor says the shape of one reading is.
    configuration : dict
        As for `Table`.
    """

    parent = None
    hints: dict[str, Any] = {}

    def __init__(
        self,
        name: str,
        root: Path,
        file_name: str,
        shape: tuple[int, int],
        frames: int,
        declared_shape: list[int],
        configuration: dict[str, tuple[dict[str, Any], Any]] | None = None,
    ) -> None:
        self.name = name
        self.key = f"{name}_image"
        self._root, self._file_name = root, file_name
        self._shape, self._frames, self._declared = shape, frames, declared_shape
        self._configuration = dict(configuration or {})
        self._documents: deque[tuple[str, dict[str, Any]]] = deque()
        self._point: itertools.count[int] = itertools.count()
        self._datum_id = ""

    def __repr__(self) -> str:
        return f"HDF5Camera({self.name!r})"

    def stage(self) -> list[Any]:
        self._point = itertools.count()
        document, self._compose_datum, _ = compose_resource(
            spec="AD_HDF5",
            root=str(self._root),
            resource_path=self._file_name,
            resource_kwargs={"frame_per_point": self._frames},
            path_semantics="posix",
            start={"uid": "filled in by the RunEngine", "time": 0.0},
        )
        document = dict(document)
        document.pop("run_start", None)
        self._documents.append(("resource", document))
        path = self._root / self._file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w", libver="latest") as file:
            file.create_dataset(
                "entry/data/data",
                shape=(0, *self._shape),
                maxshape=(None, *self._shape),
                chunks=(1, *self._shape),
                dtype="uint16",
            )
        return [self]

    def unstage(self) -> list[Any]:
        self._documents.clear()
        return [self]

    def trigger(self) -> NullStatus:
        point = next(self._point)
        with h5py.File(self._root / self._file_name, "a", libver="latest") as file:
            dataset = file["entry/data/data"]
            size = int(np.prod(self._shape))
            for _ in range(self._frames):
                n = dataset.shape[0]
                dataset.resize(n + 1, axis=0)
                dataset[n] = (np.arange(size, dtype="uint16") * 7 + n * 1000).reshape(self._shape)
        datum = dict(self._compose_datum(datum_kwargs={"point_number": point}))
        self._datum_id = datum["datum_id"]
        self._documents.append(("datum", datum))
        return NullStatus()

    def describe(self) -> dict[str, Any]:
        return {
            self.key: {
                "source": f"sim:{self.key}",
                "dtype": "array",
                "shape": self._declared,
                "external": "FILESTORE:",
            }
        }

    def read(self) -> dict[str, Any]:
        return {self.key: {"value": self._datum_id, "timestamp": time.time()}}

    def describe_configuration(self) -> dict[str, Any]:
        return {field: {"source": f"sim:{field}", **entry} for field, (entry, _) in self._configuration.items()}

    def read_configuration(self) -> dict[str, Any]:
        return {field: {"value": value, "timestamp": time.time()} for field, (_, value) in self._configuration.items()}

    def collect_asset_docs(self) -> Iterator[tuple[str, dict[str, Any]]]:
        while self._documents:
            yield self._documents.popleft()


class PagedFlyer:
    """A device that collects its readings on its own and hands them over as event pages."""

    parent = None

    def __init__(self, name: str, n: int, value: Callable[[int], float]) -> None:
        self.name, self._n, self._value = name, n, value

    def kickoff(self) -> NullStatus:
        return NullStatus()

    def complete(self) -> NullStatus:
        return NullStatus()

    def describe_collect(self) -> dict[str, Any]:
        key = {"source": f"sim:{self.name}", "dtype": "number", "shape": []}
        return {f"{self.name}_x": key, f"{self.name}_y": key}

    def collect_pages(self) -> Iterator[dict[str, Any]]:
        now = time.time()
        for begin in range(0, self._n, 4):
            rows = range(begin, min(begin + 4, self._n))
            data = {f"{self.name}_x": [float(i) for i in rows], f"{self.name}_y": [self._value(i) for i in rows]}
            times = [now + 0.01 * i for i in rows]
            yield {"data": data, "timestamps": dict.fromkeys(data, times), "time": times}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}
