"""Version 1: a stream as a table, as events, and the headers of a search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.data import scalar_run
from benchmarks.measure import Row, best_of, fresh
from benchmarks.scalars import write_parquet

__all__ = ["rows"]


def header(path: Path) -> Any:
    """The header of the only run of a file, as a new catalog gives it."""
    from databroker_like.drivers.jsonl import BlueskyJSONLCatalog

    return BlueskyJSONLCatalog(str(path)).v1[-1]


def table(path: Path) -> Any:
    """Its table."""
    return header(path).table()


def parquet(path: Path) -> Any:
    """The anchor: the same columns from Parquet into a DataFrame."""
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path).to_pandas()


def events(path: Path) -> int:
    """How many events there are when each is handed out and not kept."""
    return sum(1 for _ in header(path).events())


AGAIN = """
import sys, time
from pathlib import Path
from benchmarks.v1 import parquet, table
tiny, path, columns = map(Path, sys.argv[1:])
table(tiny), parquet(columns)
begin = time.process_time()
table(path)
middle = time.process_time()
parquet(columns)
print(middle - begin, time.process_time() - middle)
"""


def rows(folder: Path, *, times: int = 5) -> Iterator[Row]:
    """The rows of the table that are about version 1."""
    tiny = scalar_run(folder / "tiny.jsonl", 10)
    path = scalar_run(folder / "100000.jsonl", 100_000)
    columns = write_parquet(folder / "100000.parquet", 100_000)
    assert len(table(tiny)) == 10
    assert len(table(path)) == len(parquet(columns)) == 100_000
    anchor = best_of(times * 2, parquet, before=lambda: columns)
    again = best_of(times * 2, table, before=lambda: path)
    said = f"{again * 1e3:.1f} ms; Parquet into a DataFrame {anchor * 1e3:.1f} ms"
    yield Row("v1: table() of 100,000 x 10 parsed before", again, 0.1, "CPU-s")
    yield Row("v1: the same, over Parquet into a DataFrame", again / anchor, 5, "times", said)
    pairs = [tuple(map(float, fresh(AGAIN, tiny, path, columns, times=1).printed.split())) for _ in range(times)]
    again, anchor = (min(costs) for costs in zip(*pairs, strict=True))
    said = f"{again * 1e3:.1f} ms; Parquet into a DataFrame {anchor * 1e3:.1f} ms"
    yield Row("v1: the same, in a fresh process", again / anchor, 5, "times", said)
    yield Row("v1: events() of 100,000 events, each handed out", best_of(times, events, before=lambda: path), 1.0)
    yield from _searched(times)


def _searched(times: int) -> Iterator[Row]:
    from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog

    db = BlueskyInMemoryCatalog().v1
    for number in range(1_000):
        start = {"uid": f"{number:08x}", "time": float(number), "scan_id": number, "plan_name": "scan"}
        db.v2.upsert(start, {"uid": f"s{number}", "run_start": start["uid"], "time": number + 0.5}, iter, (), {})

    def search() -> int:
        return sum(h.start["scan_id"] >= 0 and "time" in h.stop for h in db(plan_name="scan"))

    assert search() == 1_000
    yield Row("v1: start and stop of 1,000 headers of a search", best_of(times, search), 0.05)
