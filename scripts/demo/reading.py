"""Reading back: lists, searches, scalars, baseline, images, and the unit that a transform mends."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import xarray as xr

from databroker_like.queries import TimeRange
from scripts.demo.narration import Narrator

__all__ = ["baseline", "images", "listing", "mended", "scalars", "searches", "unit_of"]


def listing(tell: Narrator, catalog: Any) -> None:
    """Every run of both catalogs, with its streams."""
    tell.step("List the runs.")
    tell.code('for uid, run in catalog["alignment"].items():\n    run.metadata["start"]["plan_name"], list(run)')
    rows = []
    for name in ("alignment", "imaging"):
        for uid, run in catalog[name].items():
            start, stop = run.metadata["start"], run.metadata["stop"]
            when = datetime.fromtimestamp(start["time"]).strftime("%H:%M:%S")
            events = ", ".join(f"{stream} {count}" for stream, count in sorted(stop["num_events"].items()))
            rows.append((start["scan_id"], uid[:8], when, name, start["plan_name"], start["purpose"], events))
    tell.table(("scan", "uid", "time", "catalog", "plan", "purpose", "events in each stream"), rows)


def searches(tell: Narrator, catalog: Any) -> None:
    """By a field, by a nested field, by time, and one search inside another."""
    tell.step("Search them: Mongo-style queries, time ranges, one search inside another.")
    runs = catalog["alignment"]
    today = datetime.now().strftime("%Y-%m-%d")
    scans = runs.search({"plan_name": {"$in": ["scan", "rel_scan"]}})
    silver = runs.search({"sample.name": "silver behenate"})
    for source, found in (
        ('scans = runs.search({"plan_name": {"$in": ["scan", "rel_scan"]}})', scans),
        ('silver = runs.search({"sample.name": "silver behenate"})', silver),
        ('silver.search({"purpose": "dark level"})', silver.search({"purpose": "dark level"})),
        (f'runs.search(TimeRange(since="{today}"))', runs.search(TimeRange(since=today))),
    ):
        tell.code(source)
        tell.line(f"{len(found)} of {len(runs)}: scans {[run.metadata['start']['scan_id'] for run in found.values()]}")


def scalars(tell: Narrator, catalog: Any) -> tuple[xr.Dataset, xr.Dataset]:
    """The alignment scan and the grid scan as Datasets."""
    tell.step("Read scalars: a stream becomes an xarray.Dataset.")
    tell.code('run = catalog["alignment"][2]  # by scan_id\nrun.primary.read()')
    runs = catalog["alignment"]
    curve = runs[2].primary.read()
    tell.line(curve)
    return curve, runs[4].primary.read()


def baseline(tell: Narrator, catalog: Any) -> None:
    """What was read before and after the scan."""
    tell.step("Read the baseline: once before the scan, once after it.")
    tell.code("run.baseline.read()")
    run = catalog["alignment"][2]
    readings = run.baseline.read()
    rows = [
        (key, unit_of(run, key, stream="baseline"), *(f"{value:.3f}" for value in readings[key].to_numpy()))
        for key in ("ring_current", "temperature", "sample_y")
    ]
    tell.table(("", "unit", "before", "after"), rows)


def images(tell: Narrator, catalog: Any) -> tuple[xr.DataArray, xr.DataArray, float, float]:
    """Frames of both detectors: one lazily, the others filled."""
    tell.step("Read images: the HDF5 files are opened when they are needed.")
    run = catalog["imaging"][5]
    tell.code(
        'run = catalog["imaging"][5]\n'
        'lazy = run.primary.to_dask()["camera_image"]  # reads no frame\n'
        "lazy[6].compute()  # reads one"
    )
    lazy = run.primary.to_dask()["camera_image"]
    frame = lazy[6].compute()
    tell.line(f"{lazy.dims}, {lazy.shape}, {lazy.dtype}, chunks of {lazy.data.chunksize}; brightest {int(frame.max())}")

    tell.code('run.primary.read()["camera_image"]')
    dataset = run.primary.read()
    filled = dataset["camera_image"]
    tell.line(f"{filled.shape}, {filled.nbytes / 1e6:.1f} MB in memory")
    pixel = float(run.primary.config["camera"].read()["camera_pixel_size"][0])
    tell.line(f"files: {[path.rpartition('/')[2] for path in _files(run)]}, found through root_map")

    tell.code('catalog["imaging"][6].primary.read()  # ophyd-async\'s detector')
    blobs = catalog["imaging"][6].primary.read()
    tell.line("; ".join(f"{key} {blobs[key].dims} {blobs[key].shape} {blobs[key].dtype}" for key in sorted(blobs)))

    tell.code('Counter(name for name, doc in run.documents(fill="yes"))')
    counts: dict[str, int] = {}
    for name, _ in run.documents(fill="yes"):
        counts[name] = counts.get(name, 0) + 1
    tell.line(counts)
    return frame[0], blobs["blob"][-1, 0], pixel, float(dataset["sample_x"][6])


def _files(run: Any) -> list[str]:
    resources = [doc for name, doc in run.documents(fill="no") if name == "resource"]
    return [str(path) for resource in resources for path in run.get_file_list(resource)]


def mended(tell: Narrator, catalog: Any) -> None:
    """The wrong unit as recorded, and as the catalog with a transform gives it."""
    tell.step("Mend metadata: sample_x was set up with the unit m, and moves in mm.")
    tell.code(
        'catalog["alignment"][2].primary.metadata["descriptors"][0]["data_keys"]["sample_x"]["units"]\n'
        'catalog["alignment_mended"][2].primary.metadata["descriptors"][0]["data_keys"]["sample_x"]["units"]'
    )
    for name in ("alignment", "alignment_mended"):
        tell.line(f"{name}: {unit_of(catalog[name][2], 'sample_x')!r}")
    tell.line("the transform is named in catalogs/demo.yml by its dotted path; the files stay as they were recorded")


def unit_of(run: Any, key: str, *, stream: str = "primary") -> str:
    """The unit that a stream's descriptor states for a data key."""
    return str(run[stream].metadata["descriptors"][0]["data_keys"][key]["units"])
