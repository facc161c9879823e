"""The embedded store: recording into it, reading from it, and how much room it takes."""

from __future__ import annotations

import itertools
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.data import scalar_table
from benchmarks.measure import Row, best_of
from benchmarks.scalars import parquet

__all__ = ["rows"]

_EVENTS = 100_000
_PAGE = 1_000
_counter = itertools.count()


def _header(run: str, keys: list[str]) -> list[tuple[str, dict[str, Any]]]:
    data_keys = {key: {"source": f"SIM:{key}", "dtype": "number", "shape": []} for key in keys}
    return [
        ("start", {"uid": run, "time": 1.7e9, "scan_id": 1, "plan_name": "count"}),
        (
            "descriptor",
            {
                "uid": run + "-d",
                "run_start": run,
                "time": 1.7e9,
                "name": "primary",
                "data_keys": data_keys,
                "configuration": {},
                "hints": {},
                "object_keys": {},
            },
        ),
    ]


def pages(run: str, events: int) -> list[dict[str, Any]]:
    """The events of a run in pages of 1 000, as Python lists: 10 floats, their timestamps, and uids."""
    table = {key: column.tolist() for key, column in scalar_table(events).items()}
    made = []
    for begin in range(0, events, _PAGE):
        rows = range(begin, min(begin + _PAGE, events))
        times = [1.7e9 + row * 0.001 for row in rows]
        made.append(
            {
                "descriptor": run + "-d",
                "uid": [str(uuid.uuid4()) for _ in rows],
                "time": times,
                "seq_num": [row + 1 for row in rows],
                "data": {key: column[begin : begin + _PAGE] for key, column in table.items()},
                "timestamps": {key: [time + place * 1e-5 for time in times] for place, key in enumerate(table)},
                "filled": {},
            }
        )
    return made


def events(page: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same, one by one."""
    from databroker_like.core._pages import unpack_event_page

    return map(dict, unpack_event_page(page))


def _new(folder: Path, run: str, keys: list[str]) -> Any:
    from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog

    catalog = BlueskyEmbeddedCatalog(folder / f"store-{next(_counter)}")
    for name, doc in _header(run, keys):
        catalog.insert(name, doc)
    return catalog


def record(catalog: Any, name: str, docs: list[dict[str, Any]]) -> None:
    """Insert documents of one kind, one after the other."""
    for doc in docs:
        catalog.insert(name, doc)


def _stop(run: str) -> dict[str, Any]:
    return {"uid": run + "-s", "run_start": run, "time": 1.8e9, "exit_status": "success"}


def _read(place: Path, **chosen: Any) -> Any:
    from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog

    catalog = BlueskyEmbeddedCatalog(place)
    stream = catalog[-1]["primary"]
    found = stream(**chosen).read() if chosen else stream.read()
    catalog.close()
    return found


def _parquet_column(path: Path, column: str) -> Any:
    import pyarrow.parquet
    import xarray

    table = pyarrow.parquet.read_table(path, columns=["time", column])
    return xarray.Dataset({column: ("time", table[column].to_numpy())}, coords={"time": table["time"].to_numpy()})


def rows(folder: Path, *, times: int = 5) -> Iterator[Row]:
    """The rows of the table that are about the store."""
    import pyarrow
    import pyarrow.parquet

    run = str(uuid.uuid4())
    in_pages = pages(run, _EVENTS)
    keys = list(in_pages[0]["data"])
    singles = [doc for page in in_pages[:20] for doc in events(page)]
    catalogs = []

    def fresh_store() -> Any:
        catalogs.append(_new(folder, run, keys))
        return catalogs[-1]

    cost = best_of(times, lambda catalog: record(catalog, "event", singles), before=fresh_store)
    yield Row("recording events one by one", len(singles) / cost, 20_000, "events/CPU-s", at_least=True)
    cost = best_of(times * 2, lambda catalog: record(catalog, "event_page", in_pages), before=fresh_store)
    yield Row("recording events in pages of 1,000", _EVENTS / cost, 500_000, "events/CPU-s", at_least=True)
    for catalog in catalogs:
        catalog.close()
    catalog = fresh_store()
    record(catalog, "event_page", in_pages)
    catalog.insert("stop", _stop(run))
    place = Path(catalog.store.path)
    catalog.close()

    columns: dict[str, Any] = {"time": list(itertools.chain.from_iterable(page["time"] for page in in_pages))}
    for key in keys:
        columns[key] = list(itertools.chain.from_iterable(page["data"][key] for page in in_pages))
    data = folder / "columns.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), data)
    columns["uid"] = list(itertools.chain.from_iterable(page["uid"] for page in in_pages))
    for key in keys:
        columns[f"ts_{key}"] = list(itertools.chain.from_iterable(page["timestamps"][key] for page in in_pages))
    everything = folder / "everything.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), everything, compression="zstd")

    _read(place), parquet(data)
    pairs = [
        (best_of(times, _read, before=lambda: place), best_of(times, parquet, before=lambda: data)) for _ in range(3)
    ]
    ours, anchor = (min(costs) for costs in zip(*pairs, strict=True))
    yield Row(
        "read() of 100,000 x 10 scalars from the store",
        ours / anchor,
        3,
        "times",
        f"{ours * 1e3:.1f} ms; Parquet into a Dataset {anchor * 1e3:.1f} ms",
    )
    one = keys[0]
    pairs = [
        (
            best_of(times, lambda: _read(place, include=[one])),
            best_of(times, lambda: _parquet_column(data, one)),
        )
        for _ in range(3)
    ]
    ours, anchor = (min(costs) for costs in zip(*pairs, strict=True))
    yield Row(
        "read() of one column of them",
        ours / anchor,
        3,
        "times",
        f"{ours * 1e3:.1f} ms; Parquet into a Dataset {anchor * 1e3:.1f} ms",
    )
    size = sum(path.stat().st_size for path in (place / "data").rglob("*.arrow"))
    anchor_size = everything.stat().st_size
    yield Row(
        "bytes per event of 10 float64 columns",
        size / anchor_size,
        1.5,
        "times",
        f"{size / _EVENTS:.0f} bytes; Parquet (zstd) {anchor_size / _EVENTS:.0f}",
    )
    yield from _table_of_runs(folder, times)
    for catalog in catalogs:
        shutil.rmtree(catalog.store.path)


def _table_of_runs(folder: Path, times: int) -> Iterator[Row]:
    from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog

    place = folder / "many"
    catalog = BlueskyEmbeddedCatalog(place, fsync="never")
    for number in range(1_000):
        run = str(uuid.uuid4())
        for name, doc in _header(run, ["x", "y"]):
            catalog.insert(name, {**doc, "time": 1.7e9 + number})
        catalog.insert("stop", _stop(run))
    catalog.close()

    def table() -> Any:
        opened = BlueskyEmbeddedCatalog(place)
        found = [(run.metadata["start"], run.metadata["stop"]) for _, run in opened.items()]
        opened.close()
        assert len(found) == 1_000
        return found

    table()
    yield Row("table of 1,000 runs (start and stop)", best_of(times, table), 0.05)
