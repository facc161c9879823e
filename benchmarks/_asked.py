"""Runs in the environment of databroker 1.2.5 and does there what benchmarks/reference.py asks; prints JSON.

It must not import this project.
"""

import json
import sys
import time
import warnings
from pathlib import Path


def seconds(work):
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main(folder):
    from databroker._drivers.jsonl import BlueskyJSONLCatalog

    def only(path):
        return BlueskyJSONLCatalog(str(path))[-1]

    found = {}
    only(folder / "tiny.jsonl").primary.read()
    for events in (1_000, 10_000):
        found[f"read() of {events:,} events x 10 scalars"] = seconds(
            lambda e=events: only(folder / f"{e}.jsonl").primary.read()
        )
    found["documents(fill='yes') of 10,000 events"] = seconds(
        lambda: [None for _ in only(folder / "10000.jsonl").documents(fill="yes")]
    )
    paths = str(folder / "small" / "*.jsonl")
    len(BlueskyJSONLCatalog(paths))
    found["open 10,000 small runs second time"] = seconds(lambda: len(BlueskyJSONLCatalog(paths)))
    catalog = BlueskyJSONLCatalog(paths)
    found["search of 10,000 runs"] = seconds(lambda: len(list(catalog.search({"plan_name": "scan"}))))
    uids = list(catalog)[:1000]
    found["metadata of 1,000 runs"] = seconds(lambda: [catalog[uid].metadata["start"] for uid in uids])
    images = folder / "camera" / "run.jsonl"
    only(images).primary.read()
    found["200 HDF5 frames into memory"] = seconds(lambda: only(images).primary.read()["img"].values)
    lazy = only(images).primary.to_dask()["img"]
    lazy[0].values
    found["one HDF5 frame lazily"] = seconds(lambda: [lazy[100].values for _ in range(20)]) / 20
    print(json.dumps(found))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
