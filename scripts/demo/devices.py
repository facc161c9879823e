"""A small simulated beamline: a stage, a diode, a camera that writes HDF5, slow signals for the baseline."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ophyd import Component, Device, DeviceStatus, Signal
from ophyd.sim import SynAxis, SynSignal

__all__ = ["Beamline", "Meter", "SpotCamera", "Stage"]

#: Where the sample sits on the stage, and how wide it is, in millimetres.
CENTRE = (0.42, -0.25)
WIDTH = (0.55, 0.40)


def _with_units(description: dict[str, Any], units: str) -> dict[str, Any]:
    return {key: {**data_key, "units": units, "precision": 3} for key, data_key in description.items()}


class Stage(SynAxis):
    """A simulated axis that states the unit it was set up with."""

    def __init__(self, *, name: str, units: str, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self._units = units

    def describe(self) -> dict[str, Any]:
        """The data keys, each with the unit and the number of decimals that matter."""
        return {
            key: {**description, "units": self._units, "precision": 3}
            for key, description in super().describe().items()
        }


class Meter(SynSignal):
    """A simulated reading with a unit."""

    def __init__(self, *, units: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._units = units

    def describe(self) -> dict[str, Any]:
        """The data key, with its unit."""
        return {
            key: {**description, "units": self._units, "precision": 3}
            for key, description in super().describe().items()
        }


class SpotCamera(Device):
    """A camera that looks at the beam spot and writes each frame into one HDF5 file per run.

    It describes its files as the area-detector HDF5 plugin does: a resource of spec ``AD_HDF5`` when it is
    staged, one datum for each point.

    Parameters
    ----------
    folder : Path
        Where the files go.
    root : str
        What the camera's own computer calls that folder; this is what the documents say, and what a catalog's
        ``root_map`` translates.
    x, y : Stage
        The axes whose positions move the spot, in millimetres.
    shape : (y, x)
        Pixels of a frame.
    """

    exposure = Component(Signal, value=0.05, kind="config")
    pixel_size = Component(Signal, value=0.025, kind="config")

    def __init__(
        self, folder: Path, root: str, x: Stage, y: Stage, *, name: str, shape: tuple[int, int] = (120, 160)
    ) -> None:
        super().__init__(name=name)
        self._folder, self._root, self._x, self._y, self._shape = folder, root, x, y, shape
        self._noise = np.random.default_rng(7)
        self._file: h5py.File | None = None
        self._resource_uid = ""
        self._assets: list[tuple[str, dict[str, Any]]] = []
        self._reading: dict[str, Any] = {}

    def stage(self) -> list[object]:
        """Open the file of the coming run and say where it is."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._resource_uid = str(uuid.uuid4())
        path = self._folder / f"{self.name}-{self._resource_uid[:8]}.h5"
        self._file = h5py.File(path, "w")
        self._file.create_dataset(
            "entry/data/data", (0, *self._shape), "u2", maxshape=(None, *self._shape), chunks=(1, *self._shape)
        )
        self._assets = [
            (
                "resource",
                {
                    "uid": self._resource_uid,
                    "spec": "AD_HDF5",
                    "root": self._root,
                    "resource_path": path.name,
                    "resource_kwargs": {"frame_per_point": 1},
                    "path_semantics": "posix",
                },
            )
        ]
        return super().stage()

    def trigger(self) -> DeviceStatus:
        """Take one frame: write it into the file and name it with a datum."""
        if self._file is None:
            raise RuntimeError(f"{self.name} takes frames only while it is staged")
        frames = self._file["entry/data/data"]
        point = frames.shape[0]
        frames.resize(point + 1, axis=0)
        frames[point] = self._frame()
        self._file.flush()
        datum_id = f"{self._resource_uid}/{point}"
        self._assets.append(
            (
                "datum",
                {"resource": self._resource_uid, "datum_id": datum_id, "datum_kwargs": {"point_number": point}},
            )
        )
        self._reading = {f"{self.name}_image": {"value": datum_id, "timestamp": time.time()}}
        status = DeviceStatus(self)
        status.set_finished()
        return status

    def _frame(self) -> np.ndarray:
        """A Gaussian spot, off the middle by the stage's position, over photon noise."""
        height, width = self._shape
        pixel = self.pixel_size.get()
        x = (np.arange(width) - width / 2) * pixel - self._x.position * 0.6
        y = (np.arange(height) - height / 2) * pixel - self._y.position * 0.6
        spot = 3200 * np.exp(-(x[None, :] ** 2) / (2 * 0.22**2) - (y[:, None] ** 2) / (2 * 0.15**2))
        return self._noise.poisson(spot + 40).astype("u2")

    def read(self) -> dict[str, Any]:
        """The datum of the frame just taken, beside the other readings."""
        return {**super().read(), **self._reading}

    def describe(self) -> dict[str, Any]:
        """The frame as an external array: one frame per point."""
        return {
            **super().describe(),
            f"{self.name}_image": {
                "source": f"SIM:{self.name}",
                "dtype": "array",
                "dtype_numpy": "<u2",
                "shape": [1, *self._shape],
                "units": "counts",
                "external": "FILESTORE:",
            },
        }

    def collect_asset_docs(self) -> Any:
        """Hand out, once, the documents that say where the frames are."""
        assets, self._assets = self._assets, []
        yield from assets

    def unstage(self) -> list[object]:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
        return super().unstage()


class Beamline:
    """The devices of the demonstration, made together because the detectors watch the stage.

    Parameters
    ----------
    images : Path
        The folder in which the camera writes its files.

    Notes
    -----
    `sample_x` was set up with the unit ``"m"``. It moves in millimetres: the mistake that the transform mends.
    """

    def __init__(self, images: Path) -> None:
        noise = np.random.default_rng(11)
        self.sample_x = Stage(name="sample_x", units="m")
        self.sample_y = Stage(name="sample_y", units="mm")
        self.ring_current = Meter(name="ring_current", units="mA", func=lambda: 250 - noise.random())
        self.temperature = Meter(name="temperature", units="K", func=lambda: 295 + 0.2 * noise.standard_normal())
        self.diode = Meter(name="diode", units="nA", func=lambda: self._transmitted() + 0.15 * noise.standard_normal())
        self.camera = SpotCamera(images, "/camera/data", self.sample_x, self.sample_y, name="camera")

    def _transmitted(self) -> float:
        x = (self.sample_x.position - CENTRE[0]) / WIDTH[0]
        y = (self.sample_y.position - CENTRE[1]) / WIDTH[1]
        return float(12 * np.exp(-(x**2 + y**2) / 2) + 1.0)
