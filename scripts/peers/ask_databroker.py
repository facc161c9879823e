"""Runs in the environment of databroker 1.2.5: opens the recorded runs with it and writes down what it answers.

    python scripts/peers/ask_databroker.py tests/data

It must not import this project.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import databroker
from databroker._drivers.jsonl import BlueskyJSONLCatalog
from databroker.queries import TimeRange

sys.path.insert(0, str(Path(__file__).parent))
from encoding import encode
from questions import LOOKUPS, SEARCHES, TIME_RANGES


def answer(question: Callable[[], Any]) -> Any:
    """The answer to a question, or the error it raised, written down."""
    try:
        return encode(question())
    except Exception as error:  # noqa: BLE001  whatever it raises is its answer
        return encode(error)


def open_catalog(data: Path) -> Any:
    paths = sorted(str(path) for path in (data / "runs").glob("*.jsonl"))  # a pattern would come in the disk's order
    return BlueskyJSONLCatalog(paths, root_map={"/recorded/external": str(data / "external")})


def about_run(data: Path, path: Path) -> dict[str, Any]:
    """Everything that is asked of one run, each time of a run opened anew, since a read changes what is cached."""
    _, start = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    uid = start["uid"]

    def run() -> Any:
        return open_catalog(data)[uid]

    streams = list(run())
    return {
        "streams": streams,
        "metadata": answer(lambda: {key: run().metadata[key] for key in ("start", "stop")}),
        "documents": {
            fill: answer(lambda fill=fill: [[n, dict(d)] for n, d in run().documents(fill=fill)])
            for fill in ("no", "yes", "delayed")
        },
        "file_list": answer(lambda: file_lists(run(), data)),
        "stream": {stream: about_stream(run, stream) for stream in streams},
    }


def file_lists(run: Any, data: Path) -> list[list[str]]:
    resources = [doc for name, doc in run.documents(fill="no") if name == "resource"]
    return [[str(Path(f).relative_to(data / "external")) for f in run.get_file_list(r)] for r in resources]


def about_stream(run: Callable[[], Any], stream: str) -> dict[str, Any]:
    descriptors = run()[stream].metadata["descriptors"]
    keys = list(descriptors[0]["data_keys"])
    devices = sorted({device for d in descriptors for device in d["configuration"]})
    return {
        "descriptors": encode([dict(d) for d in descriptors]),
        "read": answer(lambda: run()[stream].read()),
        "to_dask": answer(lambda: shapes(run()[stream].to_dask())),
        "include_first": answer(lambda: run()[stream].configure_new(include=keys[:1]).read()),
        # Its columns come in the order of a set, another one each time.
        "exclude_first": answer(lambda: by_name(run()[stream].configure_new(exclude=keys[:1]).read())),
        "include_unknown": answer(lambda: run()[stream].configure_new(include=["nobody"]).read()),
        "include_and_exclude": answer(lambda: run()[stream].configure_new(include=keys, exclude=keys).read()),
        "timestamps": answer(lambda: run()[stream].timestamps.read()),
        "config": {device: answer(lambda d=device: run()[stream].config[d].read()) for device in devices},
        "config_timestamps": {
            device: answer(lambda d=device: run()[stream].config_timestamps[d].read()) for device in devices
        },
        "config_devices": answer(lambda: sorted(run()[stream].config)),
    }


def by_name(dataset: Any) -> Any:
    return dataset[sorted(dataset.data_vars)]


def shapes(dataset: Any) -> dict[str, Any]:
    return {
        name: {"dims": list(v.dims), "shape": list(v.shape), "dtype": v.dtype.str}
        for name, v in dataset.data_vars.items()
    }


def about_catalog(data: Path) -> dict[str, Any]:
    """Lookups and searches; answered by uid."""
    return {
        "uids": sorted(open_catalog(data)),
        "length": len(open_catalog(data)),
        "lookup": [[key, answer(lambda key=key: open_catalog(data)[key].metadata["start"]["uid"])] for key in LOOKUPS],
        "search": [[query, answer(lambda query=query: sorted(open_catalog(data).search(query)))] for query in SEARCHES],
        "time_range": [
            [kwargs, answer(lambda kwargs=kwargs: sorted(open_catalog(data).search(TimeRange(**kwargs))))]
            for kwargs in TIME_RANGES
        ],
    }


def main(data: Path) -> None:
    assert databroker.__version__ == "1.2.5", databroker.__version__
    warnings.simplefilter("ignore")
    out = data / "reference"
    out.mkdir(exist_ok=True)
    for old in out.glob("*.json"):
        old.unlink()
    for path in sorted((data / "runs").glob("*.jsonl")):
        write(out / f"{path.stem}.json", about_run(data, path), data)
    write(out / "_catalog.json", about_catalog(data), data)


def write(path: Path, results: Any, data: Path) -> None:
    text = json.dumps(results, ensure_ascii=False, indent=1, default=None)
    text = text.replace(str(data), "DATA").replace(sys.prefix, "ENV").replace(tempfile.gettempdir(), "TMP")
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
