"""Records the runs that are read by databroker 1.2.5 and by this project, to be compared.

    python -m scripts.peers.record_runs tests/data

The real RunEngine records them. Identifiers and times, which differ each time, are renamed in the order in which they
come, so that recording again gives the same files.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
from bluesky import RunEngine
from bluesky.utils import RequestAbort
from event_model import NumpyEncoder
from ophyd import Signal
from ophyd.sim import SynAxis, SynGauss, SynSignalWithRegistry

from scripts.peers.devices import HDF5Camera, PagedFlyer, Table

#: The root that the recorded resources name; whoever reads maps it to tests/data/external.
ROOT = "/recorded/external"
#: Distance in seconds between two different times of one run, after renaming.
TICK = 0.25
#: When the first run began, after renaming; each run begins an hour after the one before.
EPOCH = 1_600_000_000.0

NUMBER: dict[str, Any] = {"dtype": "number", "shape": []}
INTEGER: dict[str, Any] = {"dtype": "integer", "shape": []}
STRING: dict[str, Any] = {"dtype": "string", "shape": []}
BOOLEAN: dict[str, Any] = {"dtype": "boolean", "shape": []}


def array(*shape: int) -> dict[str, Any]:
    """The descriptor's entry for an array."""
    return {"dtype": "array", "shape": list(shape)}


Plan = Iterator[Any]
RUNS: dict[str, Callable[[Path], Plan]] = {}


def run(make_plan: Callable[[Path], Plan]) -> Callable[[Path], Plan]:
    """Enter a run into the list, under its function's name."""
    RUNS[make_plan.__name__] = make_plan
    return make_plan


@run
def scalars(files: Path) -> Plan:
    """Numbers, integers, strings and truth values, with NaN among them; a baseline; hints."""
    many = Table(
        "many",
        {"many_number": NUMBER, "many_integer": INTEGER, "many_string": STRING, "many_boolean": BOOLEAN},
        [
            {"many_number": 0.1, "many_integer": 1, "many_string": "a", "many_boolean": True},
            {"many_number": float("nan"), "many_integer": 2**40, "many_string": "länger", "many_boolean": False},
            {"many_number": -1e300, "many_integer": -3, "many_string": "", "many_boolean": False},
        ],
        {"many_gain": (INTEGER, 4)},
        {"fields": ["many_number"]},
    )
    room = Table(
        "room", {"room_temperature": NUMBER, "room_state": STRING}, [{"room_temperature": 293.5, "room_state": "open"}]
    )
    return (
        yield from bpp.baseline_wrapper(
            bp.count([many], num=3, md={"purpose": "scalars", "sample": {"name": "Ni", "layers": [1, 2]}}), [room]
        )
    )


@run
def scan_with_motor(files: Path) -> Plan:
    """A scan of ophyd's simulated axis and detector, hinted dimensions and configuration as they come."""
    motor = SynAxis(name="motor", labels={"motors"})
    det = SynGauss("det", motor, "motor", center=0, Imax=1, sigma=1, labels={"detectors"})
    return (yield from bp.scan([det], motor, -1, 1, 5, md={"purpose": "alignment"}))


@run
def arrays(files: Path) -> Plan:
    """Arrays of one and two dimensions inside the events, from two detectors that share the numbering of dims."""
    spectrum = Table(
        "spectrum",
        {"spectrum_counts": array(4), "spectrum_total": INTEGER},
        [{"spectrum_counts": np.arange(4) + i, "spectrum_total": 6 + 4 * i} for i in range(3)],
    )
    picture = Table(
        "picture",
        {"picture_image": array(2, 3), "picture_profile": array(3)},
        [{"picture_image": np.arange(6).reshape(2, 3) * 0.5 + i, "picture_profile": np.ones(3) * i} for i in range(3)],
    )
    return (yield from bp.count([spectrum, picture], num=3))


@run
def named_dims(files: Path) -> Plan:
    """A data key that names its own dimensions beside one that does not."""
    detector = Table(
        "detector",
        {"detector_map": {**array(2, 3), "dims": ["row", "column"]}, "detector_line": array(3)},
        [{"detector_map": np.arange(6).reshape(2, 3) + i, "detector_line": [i, i, i]} for i in range(2)],
    )
    return (yield from bp.count([detector], num=2))


@run
def strings_in_arrays(files: Path) -> Plan:
    """A sequence of strings in each event."""
    labels = Table(
        "labels",
        {"labels_names": array(2), "labels_count": INTEGER},
        [{"labels_names": ["left", "right"], "labels_count": 2}, {"labels_names": ["a", "farther"], "labels_count": 2}],
    )
    return (yield from bp.count([labels], num=2))


@run
def mixed_numbers(files: Path) -> Plan:
    """Values that do not keep to one type: integers among floats, integers beyond float's reach."""
    odd = Table(
        "odd",
        {"odd_mixed": NUMBER, "odd_large": INTEGER, "odd_infinite": NUMBER},
        [
            {"odd_mixed": 1, "odd_large": 2**60 + 1, "odd_infinite": float("inf")},
            {"odd_mixed": 2.5, "odd_large": 2**60 + 3, "odd_infinite": float("-inf")},
        ],
    )
    return (yield from bp.count([odd], num=2))


@run
def configuration(files: Path) -> Plan:
    """Configuration of every kind, from two devices, one of them without any."""
    rich = Table(
        "rich",
        {"rich_value": NUMBER},
        [{"rich_value": 1.5}, {"rich_value": 2.5}],
        {
            "rich_exposure": (NUMBER, 0.25),
            "rich_mode": (STRING, "internal"),
            "rich_binning": (array(2), [2, 4]),
            "rich_window": (array(2, 2), np.eye(2)),
            "rich_enabled": (BOOLEAN, True),
        },
    )
    plain = Table("plain", {"plain_value": INTEGER}, [{"plain_value": 7}])
    return (yield from bp.count([rich, plain], num=2))


@run
def reconfigured(files: Path) -> Plan:
    """One stream of two descriptors: a device was configured in the middle of the run."""
    camera = Table(
        "camera",
        {"camera_total": NUMBER, "camera_profile": array(2)},
        [{"camera_total": float(i), "camera_profile": [i, i + 1]} for i in range(5)],
        {"camera_exposure": (NUMBER, 0.1)},
    )

    @bpp.stage_decorator([])
    @bpp.run_decorator(md={"plan_name": "reconfigured"})
    def plan() -> Plan:
        for _ in range(2):
            yield from bps.trigger_and_read([camera])
        yield from bps.configure(camera, {"camera_exposure": 0.5})
        for _ in range(3):
            yield from bps.trigger_and_read([camera])

    return (yield from plan())


@run
def monitored(files: Path) -> Plan:
    """A signal that is watched while another is counted: a second stream, on its own times."""
    watched = Signal(name="watched", value=10)
    counter = Table("counter", {"counter_value": INTEGER}, [{"counter_value": i} for i in range(3)])

    @bpp.monitor_during_decorator([watched])
    @bpp.run_decorator(md={"plan_name": "monitored"})
    def plan() -> Plan:
        for i in range(3):
            yield from bps.trigger_and_read([counter])
            yield from bps.abs_set(watched, 11 + i, wait=True)
            yield from bps.sleep(0.05)

    return (yield from plan())


@run
def numpy_images(files: Path) -> Plan:
    """Images in .npy files, through resource and datum documents of spec NPY_SEQ."""
    (files / "numpy").mkdir()
    frames = iter(range(100))
    img = SynSignalWithRegistry(
        name="img",
        func=lambda: np.arange(12, dtype="int64").reshape(3, 4) + 100 * next(frames),
        save_path=str(files / "numpy"),
    )
    temperature = Table("temperature", {"temperature": NUMBER}, [{"temperature": 20.0 + i} for i in range(3)])
    return (yield from bp.count([img, temperature], num=3))


@run
def hdf5_images(files: Path) -> Plan:
    """One frame at each point in an HDF5 file, spec AD_HDF5, declared as it is."""
    camera = HDF5Camera("cam", files, "hdf5/one_frame.h5", (4, 5), 1, [1, 4, 5], {"cam_gain": (STRING, "high")})
    other = Table("other", {"other_profile": array(5)}, [{"other_profile": [i] * 5} for i in range(3)])
    return (yield from bp.count([camera, other], num=3))


@run
def hdf5_several_frames(files: Path) -> Plan:
    """Three frames at each point."""
    camera = HDF5Camera("burst", files, "hdf5/three_frames.h5", (4, 5), 3, [3, 4, 5])
    return (yield from bp.count([camera], num=2))


@run
def hdf5_ophyd_shape(files: Path) -> Plan:
    """The shape as ophyd's area detectors declare it, (columns, rows, 0), with the number of images configured."""
    camera = HDF5Camera(
        "area", files, "hdf5/ophyd_shape.h5", (4, 5), 2, [5, 4, 0], {"area_cam_num_images": (INTEGER, 2)}
    )
    return (yield from bp.count([camera], num=2))


@run
def wrong_shape(files: Path) -> Plan:
    """A descriptor that is mistaken about the shape of the frames in the file."""
    camera = HDF5Camera("liar", files, "hdf5/wrong_shape.h5", (4, 5), 1, [1, 6, 6])
    return (yield from bp.count([camera], num=2))


@run
def missing_handler(files: Path) -> Plan:
    """Images of a spec that nobody has a handler for, beside a column of numbers."""
    (files / "unknown").mkdir()
    img = SynSignalWithRegistry(
        name="strange", func=lambda: np.zeros((2, 2)), save_path=str(files / "unknown"), save_spec="NOBODY_KNOWS"
    )
    known = Table("known", {"known": NUMBER}, [{"known": 1.0}, {"known": 2.0}])
    return (yield from bp.count([img, known], num=2))


@run
def zero_events(files: Path) -> Plan:
    """A stream that was declared and never came to an event."""
    silent = Table(
        "silent",
        {"silent_number": NUMBER, "silent_string": STRING, "silent_profile": array(3)},
        [{"silent_number": 0.0, "silent_string": "", "silent_profile": [0, 0, 0]}],
        {"silent_gain": (INTEGER, 2)},
    )

    @bpp.run_decorator(md={"plan_name": "zero_events"})
    def plan() -> Plan:
        yield from bps.declare_stream(silent, name="primary")

    return (yield from plan())


@run
def no_streams(files: Path) -> Plan:
    """A run that was opened and closed."""
    yield from bps.open_run(md={"plan_name": "no_streams"})
    yield from bps.close_run()


@run
def aborted(files: Path) -> Plan:
    """A run that was aborted after its second event."""
    counter = Table("steps", {"steps": INTEGER}, [{"steps": i} for i in range(9)])

    @bpp.run_decorator(md={"plan_name": "aborted"})
    def plan() -> Plan:
        for _ in range(2):
            yield from bps.trigger_and_read([counter])
        raise RequestAbort("the shutter closed")

    return (yield from plan())


@run
def without_stop(files: Path) -> Plan:
    """A run whose last document never came."""
    counter = Table("cut", {"cut": INTEGER, "cut_name": STRING}, [{"cut": i, "cut_name": f"n{i}"} for i in range(9)])
    return (yield from bp.count([counter], num=3))


@run
def event_pages(files: Path) -> Plan:
    """Event pages from a device that collects on its own."""
    flyer = PagedFlyer("fly", 10, lambda i: float(i) ** 2)

    @bpp.run_decorator(md={"plan_name": "event_pages"})
    def plan() -> Plan:
        yield from bps.declare_stream(flyer, name="flight", collect=True)
        yield from bps.kickoff(flyer, wait=True)
        yield from bps.complete(flyer, wait=True)
        yield from bps.collect(flyer, name="flight")

    return (yield from plan())


@run
def two_camera_streams(files: Path) -> Plan:
    """The same camera in two streams of one run, its datum documents in one resource."""
    camera = HDF5Camera("both", files, "hdf5/two_streams.h5", (2, 3), 1, [1, 2, 3])

    @bpp.stage_decorator([camera])
    @bpp.run_decorator(md={"plan_name": "two_camera_streams"})
    def plan() -> Plan:
        yield from bps.trigger_and_read([camera], name="dark")
        for _ in range(2):
            yield from bps.trigger_and_read([camera], name="primary")

    return (yield from plan())


def record(folder: Path) -> None:
    """Record every run of the list.

    Parameters
    ----------
    folder : Path
        ``runs`` and ``external`` in it are made anew.
    """
    logging.getLogger("bluesky").setLevel(logging.CRITICAL)  # it would show the aborted run's traceback
    for name in ("runs", "external"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    for scan_id, (name, make_plan) in enumerate(RUNS.items(), start=1):
        with tempfile.TemporaryDirectory() as scratch:
            files = Path(scratch)
            documents = _emit(make_plan(files), scan_id)
            if name == "without_stop":
                documents.pop()
            text = "".join(json.dumps(pair, cls=NumpyEncoder) + "\n" for pair in documents)
            text = _CLOCK.sub("", text.replace(scratch, ROOT))
            text = _rename(text, name, files)
            pairs = [json.loads(line) for line in text.splitlines()]
            _one_root(pairs)
            _retime(pairs, EPOCH + 3600 * scan_id)
            out = "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs)
            (folder / "runs" / f"{name}.jsonl").write_text(out, encoding="utf-8")
            shutil.copytree(files, folder / "external", dirs_exist_ok=True)


def _emit(plan: Plan, scan_id: int) -> list[tuple[str, dict[str, Any]]]:
    documents: list[tuple[str, dict[str, Any]]] = []
    engine = RunEngine({"scan_id": scan_id - 1, "operator": "somebody"}, context_managers=[])
    engine.subscribe(lambda name, doc: documents.append((name, json.loads(json.dumps(doc, cls=NumpyEncoder)))))
    with contextlib.suppress(RequestAbort):  # that is how the aborted run ends; its stop document says so
        engine(plan)
    return documents


#: ophyd writes the time at which it was asked into the repr of a signal, and that into plan_args.
_CLOCK = re.compile(r", timestamp=[0-9.]+")
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def _rename(text: str, run_name: str, files: Path) -> str:
    """Give uids, and files named after short uids, names that are the same each time."""
    named: dict[str, str] = {}

    def again(found: re.Match[str]) -> str:
        return named.setdefault(found[0], str(uuid.uuid5(uuid.NAMESPACE_URL, f"{run_name}/{len(named)}")))

    text = _UID.sub(again, text)
    stems = sorted({path.stem.rpartition("_")[0] for path in files.rglob("*.npy")})
    for number, stem in enumerate(stems):
        text = text.replace(stem, f"{run_name}{number}")
        for path in list(files.rglob(f"{stem}_*.npy")):
            path.rename(path.with_name(path.name.replace(stem, f"{run_name}{number}")))
    return text


def _one_root(pairs: list[list[Any]]) -> None:
    """Let every resource name the same root, since a root map knows roots by their whole name."""
    for name, doc in pairs:
        if name == "resource" and doc["root"] != ROOT:
            doc["resource_path"] = f"{doc['root'].removeprefix(ROOT + '/')}/{doc['resource_path']}"
            doc["root"] = ROOT


def _retime(pairs: list[list[Any]], begin: float) -> None:
    """Replace every time by one that depends on its place in the documents alone."""
    places: list[tuple[Any, Any]] = []
    for _, doc in pairs:
        if "time" in doc:
            places.append((doc, "time"))
        for timestamps in [doc.get("timestamps", {})] + [
            device["timestamps"] for device in doc.get("configuration", {}).values()
        ]:
            places.extend((timestamps, key) for key in timestamps)
    flat: list[tuple[Any, Any]] = []
    for holder, key in places:
        value = holder[key]
        flat.extend([(value, i) for i in range(len(value))] if isinstance(value, list) else [(holder, key)])
    for n, (holder, key) in enumerate(flat):
        holder[key] = begin + TICK * n


if __name__ == "__main__":
    record(Path(sys.argv[1]))
