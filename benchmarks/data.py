"""The runs that are measured: written by this file alone, the same each time."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["FRAMES", "camera_run", "copy_of", "scalar_run", "scalar_table", "small_runs", "streamed_run"]

EPOCH = 1_700_000_000.0
#: Number and size of the images: 200 frames of 512 x 512.
FRAMES = (200, 512, 512)


def _uid(*what: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, what))))


def _start(name: str, scan_id: int) -> dict[str, Any]:
    return {
        "uid": _uid(name, scan_id),
        "time": EPOCH + scan_id,
        "scan_id": scan_id,
        "plan_name": "scan" if scan_id % 7 == 0 else "count",
        "plan_type": "generator",
        "detectors": ["det"],
        "motors": ["motor"],
        "num_points": 10,
        "sample": {"name": f"sample {scan_id % 100}", "temperature": 300 + scan_id % 10},
        "operator": "somebody",
        "hints": {"dimensions": [[["motor"], "primary"]]},
        "versions": {"bluesky": "1.15.1"},
    }


def _descriptor(start: dict[str, Any], data_keys: dict[str, Any]) -> dict[str, Any]:
    return {
        "uid": _uid(start["uid"], "descriptor"),
        "run_start": start["uid"],
        "time": start["time"] + 0.1,
        "name": "primary",
        "data_keys": {k: {"source": f"PV:{k}", "object_name": "det", **v} for k, v in data_keys.items()},
        "object_keys": {"det": list(data_keys)},
        "configuration": {"det": {"data": {}, "timestamps": {}, "data_keys": {}}},
        "hints": {"det": {"fields": list(data_keys)[:1]}},
    }


def _stop(start: dict[str, Any], n: int) -> dict[str, Any]:
    return {
        "uid": _uid(start["uid"], "stop"),
        "run_start": start["uid"],
        "time": start["time"] + 1,
        "exit_status": "success",
        "num_events": {"primary": n},
    }


def scalar_table(events: int, columns: int = 10) -> dict[str, Any]:
    """The values of a run of scalars: ten columns, of them two of integers."""
    numbers = np.random.default_rng(events)
    table: dict[str, Any] = {f"c{i}": numbers.normal(size=events) for i in range(columns - 2)}
    table["position"] = np.arange(events)
    table["counts"] = numbers.poisson(1000, size=events)
    return table


def scalar_run(path: Path, events: int, columns: int = 10) -> Path:
    """One run of single events of scalars, as JSON lines."""
    table = {name: column.tolist() for name, column in scalar_table(events, columns).items()}
    start = _start("scalars", events)
    integers = ("position", "counts")
    keys = {k: {"dtype": "integer" if k in integers else "number", "shape": []} for k in table}
    descriptor = _descriptor(start, keys)
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(["start", start]) + "\n" + json.dumps(["descriptor", descriptor]) + "\n")
        for i in range(events):
            moment = start["time"] + 1 + i * 0.001
            event = {
                "uid": str(uuid.UUID(int=(events << 64) + i, version=4)),
                "time": moment,
                "seq_num": i + 1,
                "descriptor": descriptor["uid"],
                "data": {k: column[i] for k, column in table.items()},
                "timestamps": {k: moment - 0.0001 * n for n, k in enumerate(table)},
                "filled": {},
            }
            file.write(json.dumps(["event", event]) + "\n")
        file.write(json.dumps(["stop", _stop(start, events)]) + "\n")
    return path


def small_runs(folder: Path, count: int) -> Path:
    """Many runs of two events each, one file for each."""
    folder.mkdir(parents=True)
    for scan_id in range(1, count + 1):
        start = _start("small", scan_id)
        descriptor = _descriptor(start, {"det": {"dtype": "number", "shape": []}})
        lines: list[list[Any]] = [["start", start], ["descriptor", descriptor]]
        for i in range(2):
            event = {
                "uid": _uid(start["uid"], i),
                "time": start["time"] + 0.2 + i / 10,
                "seq_num": i + 1,
                "descriptor": descriptor["uid"],
                "data": {"det": i * 0.5},
                "timestamps": {"det": start["time"] + 0.2},
                "filled": {},
            }
            lines.append(["event", event])
        lines.append(["stop", _stop(start, 2)])
        (folder / f"{start['uid']}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def copy_of(path: Path) -> Path:
    """The same content as a file that nobody has seen before."""
    number = sum(1 for _ in path.parent.iterdir())
    folder = path.parent / f"copy{number}-{os.getpid()}"
    folder.mkdir()
    return Path(shutil.copyfile(path, folder / path.name))


def _images(path: Path) -> None:
    import h5py

    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset("entry/data/data", shape=FRAMES, dtype="uint16", chunks=(1, *FRAMES[1:]))
        base = np.arange(FRAMES[1] * FRAMES[2], dtype="uint16").reshape(FRAMES[1:])
        for i in range(FRAMES[0]):
            data[i] = base + i


def camera_run(folder: Path) -> Path:
    """One run of 200 frames in an HDF5 file, through resource and datum documents."""
    folder.mkdir(parents=True)
    _images(folder / "images.h5")
    start = _start("camera", 1)
    key = {"dtype": "array", "shape": [1, *FRAMES[1:]], "external": "FILESTORE:"}
    descriptor = _descriptor(start, {"img": key})
    resource = {
        "uid": _uid("resource"),
        "run_start": start["uid"],
        "spec": "AD_HDF5",
        "root": str(folder),
        "resource_path": "images.h5",
        "resource_kwargs": {"frame_per_point": 1},
        "path_semantics": "posix",
    }
    lines: list[list[Any]] = [["start", start], ["descriptor", descriptor], ["resource", resource]]
    for i in range(FRAMES[0]):
        datum_id = f"{resource['uid']}/{i}"
        datum = {"datum_id": datum_id, "resource": resource["uid"], "datum_kwargs": {"point_number": i}}
        event = _image_event(start, descriptor, i)
        event |= {"data": {"img": datum_id}, "timestamps": {"img": event["time"]}, "filled": {"img": False}}
        lines += [["datum", datum], ["event", event]]
    lines.append(["stop", _stop(start, FRAMES[0])])
    path = folder / "run.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def streamed_run(folder: Path) -> Path:
    """The same, through stream_resource and stream_datum documents."""
    folder.mkdir(parents=True)
    _images(folder / "images.h5")
    start = _start("streamed", 2)
    key = {
        "dtype": "array",
        "shape": [1, *FRAMES[1:]],
        "dtype_numpy": "<u2",
        "external": "STREAM:",
    }
    descriptor = _descriptor(start, {"img": key})
    resource = {
        "uid": _uid("stream_resource"),
        "run_start": start["uid"],
        "data_key": "img",
        "mimetype": "application/x-hdf5",
        "uri": f"file://localhost{folder / 'images.h5'}",
        "parameters": {"dataset": "/entry/data/data", "chunk_shape": [1, *FRAMES[1:]]},
    }
    whole = {"start": 0, "stop": FRAMES[0]}
    datum = {
        "uid": f"{resource['uid']}/0",
        "stream_resource": resource["uid"],
        "descriptor": descriptor["uid"],
        "indices": whole,
        "seq_nums": {"start": 1, "stop": FRAMES[0] + 1},
    }
    lines: list[list[Any]] = [["start", start], ["descriptor", descriptor], ["stream_resource", resource]]
    lines.append(["stream_datum", datum])
    for i in range(FRAMES[0]):
        lines.append(["event", _image_event(start, descriptor, i) | {"data": {}, "timestamps": {}, "filled": {}}])
    lines.append(["stop", _stop(start, FRAMES[0])])
    path = folder / "run.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def _image_event(start: dict[str, Any], descriptor: dict[str, Any], i: int) -> dict[str, Any]:
    return {
        "uid": _uid(start["uid"], "event", i),
        "time": start["time"] + 1 + i,
        "seq_num": i + 1,
        "descriptor": descriptor["uid"],
    }
