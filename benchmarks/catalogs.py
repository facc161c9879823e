"""Catalogs of many runs: opened again, searched, looked through."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.data import small_runs
from benchmarks.measure import Row, best_of, fresh

__all__ = ["rows"]

OPEN = """
import sys, time
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
import databroker_like.queries
len(BlueskyJSONLCatalog(sys.argv[2]))
begin = time.process_time()
catalog = BlueskyJSONLCatalog(sys.argv[1])
n = len(catalog)
newest = catalog[-1]
print(time.process_time() - begin)
assert n == 10_000
"""


def open_catalog(paths: str) -> Any:
    """Open, count, and take the newest run."""
    from databroker_like.drivers.jsonl import BlueskyJSONLCatalog

    catalog = BlueskyJSONLCatalog(paths)
    assert len(catalog) == 10_000
    return catalog[-1]


def look_at_files(paths: str) -> int:
    """The anchor: nothing but the size and time of each file."""
    with os.scandir(os.path.dirname(paths)) as found:
        return sum(1 for file in found if file.stat().st_size and file.stat().st_mtime_ns)


def rows(folder: Path, *, times: int = 5) -> Iterator[Row]:
    """The rows of the table that are about many runs."""
    from databroker_like.drivers.jsonl import BlueskyJSONLCatalog

    paths = str(small_runs(folder / "small", 10_000) / "*.jsonl")
    few = str(small_runs(folder / "few", 3) / "*.jsonl")
    first = best_of(1, open_catalog, before=lambda: paths)
    again = best_of(times, open_catalog, before=lambda: paths)
    floor = best_of(times, lambda: look_at_files(paths))
    note = f"first time {first:.2f} CPU-s; looking at the files alone {floor:.3f} CPU-s"
    yield Row("open 10,000 small runs second time, same process", again, 0.05, "CPU-s", note)
    cost = min(float(fresh(OPEN, paths, few, times=1).printed) for _ in range(times))
    yield Row("open 10,000 small runs second time, fresh process", cost, 0.05)

    catalog = BlueskyJSONLCatalog(paths)
    found = len(list(catalog.search({"plan_name": "scan"})))
    assert found == 10_000 // 7
    cost = best_of(times, lambda: len(list(catalog.search({"plan_name": "scan"}))))
    yield Row("search of 10,000 runs, one key, uids listed", cost, 0.02)
    cost = best_of(times, lambda: len(catalog.search({"sample.temperature": {"$gte": 305}, "plan_name": "scan"})))
    yield Row("search of 10,000 runs, two keys, one nested, counted", cost, 0.02)

    def metadata(catalog: Any) -> int:
        return sum(1 for run in islice(catalog.values(), 1000) if run.metadata["start"] and run.metadata["stop"])

    def metadata_by_uid(catalog: Any) -> int:
        return sum(1 for uid in uids if catalog[uid].metadata["start"]["uid"] == uid)

    def opened() -> Any:
        new = BlueskyJSONLCatalog(paths)
        assert len(new) == 10_000  # opening is the row above
        return new

    uids = list(catalog)[:1000]
    cost = best_of(times, metadata, before=opened)
    yield Row("metadata of 1,000 runs, walked through", cost, 0.05)
    cost = best_of(times, metadata_by_uid, before=opened)
    yield Row("metadata of 1,000 runs, each by its uid", cost, 0.05)
