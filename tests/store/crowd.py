"""Several processes that record, other runs and the same, while others read: ``python -m tests.store.crowd FOLDER``."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.store._store import Store
from tests.store.conftest import harmful, make_run, record, recorded
from tests.store.crashing import Child, be_strict, small, warm_up

RUNS = {
    f"run{number}": make_run(f"run{number}", 60, time=1.7e9 + number, pages=7 if number % 2 else 0)
    for number in range(6)
}


def write(path: str, uids: list[str], acknowledge) -> None:
    """Record some runs, each begun anew by whoever comes to it."""
    record(Store(path), *(RUNS[uid] for uid in uids))
    acknowledge(0)


def read(path: str, acknowledge) -> None:
    """Read until all runs are finished: what is there grows, and is a beginning of what was sent."""
    catalog = BlueskyEmbeddedCatalog(path)
    before: dict[str, int] = {}
    until = time.monotonic() + 400
    while sum(stop is not None for _, _, stop in catalog.collection.heads()) < len(RUNS):
        assert time.monotonic() < until, "the runs are not finished"
        for uid in list(catalog):
            held = recorded(catalog.store, uid)
            assert len(held) >= before.get(uid, 0), f"of {uid} something is gone"
            assert held == RUNS[uid][: len(held)], f"{uid} is not what was sent"
            before[uid] = len(held)
        count = sum(catalog[uid].primary.read().sizes["time"] == 60 for uid in before if len(RUNS[uid]) == before[uid])
        acknowledge(count)


def main(folder: str) -> None:
    be_strict()
    small()
    warm_up(Path(folder))
    path = f"{folder}/crowd"
    uids = list(RUNS)
    writers = [uids[:3], uids[2:4], uids[3:], uids[::-1][:2]]
    children = [Child(partial(write, path, some)) for some in writers]
    children += [Child(partial(read, path)) for _ in range(3)]
    for child in children:
        child.end(None)
    store = Store(path)
    problems = harmful(store, integrity=True)
    assert problems == [], problems
    assert all(recorded(store, uid) == docs for uid, docs in RUNS.items())
    print("well")


if __name__ == "__main__":
    main(*sys.argv[1:])
