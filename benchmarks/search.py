"""Searches of 100 000 and of 1 000 000 runs in the embedded store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.many_runs import EPOCH, EVERY, fill, start_of, stop_of, uid_of
from benchmarks.measure import Row, best_of
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.queries import TimeRange
from databroker_like.store._store import Store
from databroker_like.store._terms import index_run, index_stop, unindex_run

__all__ = ["rows"]

#: So many runs are recorded, and taken back, to see what the index of one costs.
RECORDED = 200


def store_of(folder: Path, number: int) -> tuple[Store, float]:
    """A store of so many runs, and the CPU seconds it took to fill it."""
    store = Store(folder)
    store.prepare()
    begin = time.process_time()
    with store.write() as connection:
        fill(connection, number)
    with store.database.engine.connect().execution_options(single=True) as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return store, time.process_time() - begin


def newest_and_number(catalog: Any, query: Any) -> int:
    """What a page of search results shows: the uids of the 20 newest, and how many there are."""
    found = catalog.search(query)
    newest = list(found.collection.find(found._query, newest_first=True, limit=20))
    number = len(found)
    assert len(newest) == min(number, 20)
    return number


def last_20(catalog: Any) -> list[str]:
    """The uids of the newest runs."""
    return list(catalog.collection.find(newest_first=True, limit=20))


def searches(number: int) -> Iterator[tuple[str, Any, int]]:
    """What is asked, the query, and how many runs match."""
    yield "one scan_id", {"scan_id": number // 2}, 1
    yield "one sample of a thousand", {"sample.name": "sample 7"}, 1000
    yield "one plan of two", {"plan_name": "scan"}, number // 2
    yield "a range of half of the numbers", {"num_points": {"$gte": 31}}, sum(n % 7 >= 3 for n in range(number))
    yield "the older half by scan_id", {"scan_id": {"$lte": number // 2}}, number // 2
    yield "the older half by time", TimeRange(until=EPOCH + EVERY * (number // 2)), number // 2
    yield "a word in half of the runs", {"$text": {"$search": "scan"}}, number // 2


def two_keys(number: int) -> Iterator[tuple[str, Any, int]]:
    """The same for two keys of which each matches about half of the runs."""
    both = sum(n % 7 >= 3 and not n % 2 for n in range(number))
    yield "one plan of two, and half of the numbers", {"plan_name": "scan", "num_points": {"$gte": 31}}, both
    older = {"plan_name": "scan", "scan_id": {"$lte": number // 2}}
    yield "one plan of two, and the older half by scan_id", older, number // 4


def rows(folder: Path, *, times: int = 5) -> Iterator[Row]:
    """The rows of the table that are about searches of the embedded store."""
    for number, limit in ((100_000, 0.02), (1_000_000, 0.1)):
        here = folder / str(number)
        _, filled = store_of(here, number)
        catalog = BlueskyEmbeddedCatalog(here)
        runs = f"{number:,} runs"
        for what, query, expected in searches(number):
            yield _asked(f"{runs}, {what}: 20 newest and len", catalog, query, expected, limit, times)
        for what, query, expected in two_keys(number):
            yield _asked(f"{runs}, {what}: 20 newest and len", catalog, query, expected, 0.2, times)
        yield from _lookups(runs, here, number, times)
        yield from _sorted(runs, here, number, times)
        yield _recorded(f"{runs}: the index of one more run", here, number, f"filled in {filled:.0f} CPU-s")


def _asked(work: str, catalog: Any, query: Any, expected: int, limit: float, times: int) -> Row:
    assert newest_and_number(catalog, query) == expected
    cost = best_of(times, lambda: newest_and_number(catalog, query))
    return Row(work, cost, limit, anchor=f"{expected:,} match")


def _lookups(runs: str, folder: Path, number: int, times: int) -> Iterator[Row]:
    def opened() -> Any:
        return BlueskyEmbeddedCatalog(folder)[-1]

    asked: list[tuple[str, Callable[[Any], Any]]] = [
        ("the uids of the last 20", last_20),
        ("catalog[-1]", lambda catalog: catalog[-1]),
        ("by the beginning of a uid", lambda catalog: catalog[uid_of("start", number // 3)[:12]]),
        ("by scan_id", lambda catalog: catalog[number // 3]),
        ("len", len),
    ]
    yield Row(f"{runs}: open, and catalog[-1]", best_of(times, opened), 0.02)
    catalog = BlueskyEmbeddedCatalog(folder)
    for what, work in asked:
        limit = 0.1 if work is len and number > 100_000 else 0.02
        yield Row(f"{runs}: {what}", best_of(times, work, before=lambda: catalog), limit)
    plans = best_of(times, lambda: catalog.distinct("plan_name"))
    yield Row(f"{runs}: distinct plan names, with how many runs have each", plans, 0.5 * number / 1e6 + 0.02)


def _sorted(runs: str, folder: Path, number: int, times: int) -> Iterator[Row]:
    """A page in the order of a key, from the first run on, from the middle, and backwards."""
    limit = 0.05 * number / 1e5
    catalog = BlueskyEmbeddedCatalog(folder)
    for key, skip, direction in (
        ("scan_id", 0, -1),
        ("scan_id", number // 2, 1),
        ("sample.name", number // 2, 1),
        ("plan_name", number - 100, -1),
    ):

        def page(key: str = key, skip: int = skip, direction: int = direction) -> list[str]:
            return list(catalog.collection.find_sorted([(key, direction)], skip=skip, limit=100))

        assert len(page()) == 100
        backwards = " backwards" if direction < 0 else ""
        yield Row(f"{runs}: 100 uids sorted by {key}{backwards}, from {skip:,} on", best_of(times, page), limit)


def _recorded(work: str, folder: Path, number: int, note: str) -> Row:
    """What the index adds to the recording of one run; nothing stays in the store."""
    store = Store(folder)
    documents = [(start_of(number + n, number), stop_of(number + n)) for n in range(RECORDED)]
    cost = 0.0
    for n, (start, stop) in enumerate(documents):
        run_id, began = number + 1 + n, start["time"]
        with store.write() as connection:
            begin = time.process_time()
            index_run(connection, run_id, began, start, None)
            index_stop(connection, run_id, began, stop)
            cost += time.process_time() - begin
        with store.write() as connection:
            unindex_run(connection, run_id, began, start, stop)
    return Row(work, 1000 * cost / RECORDED, 0.3, "CPU-ms", note)
