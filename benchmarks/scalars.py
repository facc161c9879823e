"""Runs of scalars in JSON lines: read for the first time, read again, and as documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.data import copy_of, scalar_run, scalar_table
from benchmarks.measure import Row, best_of, fresh

__all__ = ["rows"]


def read(path: Path) -> Any:
    """The primary stream of the only run of a file, as a new catalog gives it."""
    from databroker_like.drivers.jsonl import BlueskyJSONLCatalog

    return BlueskyJSONLCatalog(str(path))[-1].primary.read()


def parquet(path: Path) -> Any:
    """The anchor: the same columns from Parquet into a Dataset."""
    import pyarrow.parquet
    import xarray

    table = pyarrow.parquet.read_table(path)
    columns = {name: ("time", column.to_numpy()) for name, column in zip(table.column_names, table.columns)}  # noqa: B905
    time = columns.pop("time")
    return xarray.Dataset(columns, coords={"time": time})


def write_parquet(path: Path, events: int) -> Path:
    """What `parquet` reads."""
    import numpy as np
    import pyarrow
    import pyarrow.parquet

    table = {"time": 1_700_000_000.0 + np.arange(events) * 0.001, **scalar_table(events)}
    pyarrow.parquet.write_table(pyarrow.table(table), path)
    return path


AGAIN = """
import sys, time
from pathlib import Path
from benchmarks.scalars import parquet, read
tiny, path, columns = map(Path, sys.argv[1:])
read(tiny), parquet(columns)
begin = time.process_time()
read(path)
middle = time.process_time()
parquet(columns)
print(middle - begin, time.process_time() - middle)
"""


def documents(path: Path) -> int:
    """How many documents a run gives when they are streamed and not kept."""
    from databroker_like.drivers.jsonl import BlueskyJSONLCatalog

    return sum(1 for _ in BlueskyJSONLCatalog(str(path))[-1].documents(fill="yes"))


def rows(folder: Path, *, times: int = 5) -> Iterator[Row]:
    """The rows of the table that are about scalars."""
    tiny = scalar_run(folder / "tiny.jsonl", 10)
    read(tiny)  # imports are another row's matter
    for events, limit in ((10_000, 0.1), (100_000, 0.7)):
        path = scalar_run(folder / f"{events}.jsonl", events)
        cost = best_of(times, read, before=lambda path=path: copy_of(path))  # type: ignore[misc]
        yield Row(f"read() of {events:,} events x 10 scalars from JSON lines, first time", cost, limit)
    million = scalar_run(folder / "1000000.jsonl", 1_000_000)
    # Both in turn and equally often, for the machine may be slower now than it was for the rows above.
    pairs = [
        (best_of(1, read, before=lambda: copy_of(path)), best_of(1, read, before=lambda: copy_of(million)))
        for _ in range(2)
    ]
    cost = min(long for _, long in pairs)
    ratio = cost / (10 * min(short for short, _ in pairs))
    yield Row(
        "the same, 1,000,000 events, over ten times the cost of 100,000",
        ratio,
        1.3,
        "times",
        f"{cost:.2f} CPU-s; 1 is linear",
    )
    million.unlink()

    path = folder / "100000.jsonl"
    read(path)
    columns = write_parquet(folder / "100000.parquet", 100_000)
    parquet(columns)
    anchor = best_of(times * 2, parquet, before=lambda: columns)
    again = best_of(times * 2, read, before=lambda: path)
    yield Row(
        "read() of 100,000 x 10 parsed before, same process",
        again / anchor,
        5,
        "times",
        f"{again * 1e3:.1f} ms; Parquet into a Dataset {anchor * 1e3:.1f} ms",
    )
    pairs = [tuple(map(float, fresh(AGAIN, tiny, path, columns, times=1).printed.split())) for _ in range(times)]
    again, anchor = (min(costs) for costs in zip(*pairs, strict=True))
    yield Row(
        "read() of 100,000 x 10 parsed before, fresh process",
        again / anchor,
        5,
        "times",
        f"{again * 1e3:.1f} ms; Parquet into a Dataset {anchor * 1e3:.1f} ms",
    )
    yield Row("documents(fill='yes') of 100,000 events", best_of(times, documents, before=lambda: path), 0.5)
    cost = best_of(times, documents, before=lambda: copy_of(path))
    yield Row(
        "documents(fill='yes') of 100,000 events, first time",
        cost,
        0.5,
        "CPU-s",
        "parsing and keeping the columns included",
    )
