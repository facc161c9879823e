"""Recording: the real RunEngine and simulated devices, into catalogs, by ``RE.subscribe(catalog.insert)``."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from bluesky import RunEngine
from bluesky import plan_stubs as bps
from bluesky import plans as bp
from bluesky.preprocessors import SupplementalData
from ophyd_async.core import StaticPathProvider, UUIDFilenameProvider, init_devices
from ophyd_async.sim import SimBlobDetector

from scripts.demo.devices import Beamline

__all__ = ["record"]

SILVER = {"name": "silver behenate", "holder": 3}
GRID = {"name": "gold grid", "holder": 5}


def record(images: Path, alignment: Any, imaging: Any, say: Callable[[str, str], None]) -> None:
    """Record six runs: four of scalars into one catalog, two with images into the other.

    Parameters
    ----------
    images : Path
        The folder in which the detectors write their HDF5 files.
    alignment, imaging : Broker
        Catalogs that take documents.
    say : ``(plan, what) -> None``
        Called after each run.
    """
    engine = RunEngine({"beamline": "SIM-7", "proposal": "2026-042"})
    beamline = Beamline(images)
    with init_devices():
        blob = SimBlobDetector(StaticPathProvider(UUIDFilenameProvider(), images), name="blob")
    # A bright place of the simulated pattern, exposed for long enough to use the camera's eight bits.
    blob.pattern_generator.set_x(1.57)
    blob.pattern_generator.set_y(1.63)
    blob.pattern_generator.setup_acquisition_parameters(exposure=0.8, period=0.2, number_of_frames=1)
    baseline = [beamline.ring_current, beamline.temperature, beamline.sample_y]
    engine.preprocessors.append(SupplementalData(baseline=baseline))
    x, y, diode, camera = beamline.sample_x, beamline.sample_y, beamline.diode, beamline.camera

    def run(plan: Generator[Any, Any, Any], what: str, **metadata: Any) -> None:
        engine(plan, **metadata)
        say(what, f"scan {engine.md['scan_id']}")

    token = engine.subscribe(alignment.insert)
    run(bp.count([diode], num=20), "count, 20 readings of the diode", purpose="dark level", sample=SILVER)
    run(bp.scan([diode], x, -2, 3, 81), "scan of sample_x, 81 points", purpose="alignment", sample=SILVER)
    engine(bps.mv(x, 0.4))
    run(bp.rel_scan([diode], y, -1.5, 1.5, 41), "rel_scan of sample_y, 41 points", purpose="alignment", sample=SILVER)
    run(
        bp.grid_scan([diode], y, -1.5, 1.0, 26, x, -1.5, 2.5, 33, snake_axes=True),
        "grid_scan of sample_x and sample_y, 858 points",
        purpose="map",
        sample=GRID,
    )
    engine.unsubscribe(token)

    engine(bps.mv(y, -0.25))
    token = engine.subscribe(imaging.insert)
    run(
        bp.scan([camera, diode], x, -2, 2, 9),
        "scan with the camera, 9 frames (resource and datum documents)",
        purpose="beam spot",
        sample=SILVER,
    )
    run(
        bp.count([blob], num=5),
        "count with ophyd-async's blob detector, 5 frames (stream_resource and stream_datum documents)",
        purpose="beam shape",
        sample=GRID,
    )
    engine.unsubscribe(token)
