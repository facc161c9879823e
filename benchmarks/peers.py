"""Two servers of the Tiled protocol side by side, this package's and the real tiled, asked by the same client."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import statistics
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, fresh
from benchmarks.servers import KEY, Server, ours, served, tiled

__all__ = ["rows"]

VARIABLE = "DATABROKER_LIKE_TILED_PYTHON"
_NODES = 10_000
_THREADS = 16
#: Name -> shape, chunks: blocks of 8 kB, of 10 MB, and 100 MB.
_ARRAYS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "small": ((1_000,), (1_000,)),
    "blocks": ((4, 1250, 1000), (1, 1250, 1000)),
    "large": ((12, 1024, 1024), (3, 1024, 1024)),
}
_IMPORT = "%s; print([line for line in open('/proc/self/status') if line.startswith('VmHWM')][0].split()[1])"


@dataclass(frozen=True)
class _Cost:
    """What some work cost: seconds that pass, and CPU seconds of the server."""

    walls: list[float]
    cpu: float

    @property
    def best(self) -> float:
        return min(self.walls)

    def shown(self) -> str:
        return f"{self.best * 1e3:.2f}/{statistics.median(self.walls) * 1e3:.2f} ms, server {self.cpu * 1e3:.2f} CPU-ms"


def _cost(server: Server, work: Callable[[], Any], times: int, *, repeats: int = 1) -> _Cost:
    work()  # what is kept from one to the next is there
    walls = []
    before = server.cpu()
    for _ in range(times):
        begin = time.perf_counter()
        for _ in range(repeats):
            work()
        walls.append((time.perf_counter() - begin) / repeats)
    return _Cost(walls, (server.cpu() - before) / times / repeats)


def _row(work: str, limit: float, peer: _Cost, own: _Cost) -> Row:
    told = f"best/median {own.shown()}; tiled {peer.shown()}"
    return Row(work, peer.cpu / own.cpu, limit, "times less", told, at_least=True)


# -- the same data at both


def _documents(number: int) -> dict[str, Any]:
    uid = str(uuid.UUID(int=random.Random(number).getrandbits(128)))
    start = {"uid": uid, "time": 1.7e9 + number, "scan_id": number, "plan_name": ("count", "scan")[number % 2]}
    start |= {"sample": f"s{number % 100}", "detectors": ["det"], "num_points": 10}
    stop = {"uid": uid + "-s", "run_start": uid, "time": 1.7e9 + number + 0.5, "exit_status": "success"}
    return {"start": start, "stop": stop | {"num_events": {"primary": 10}}}


def _files(folder: Path) -> None:
    """The arrays as NPY for the other, and as Zarr for us in the same chunks; the table as Parquet for both."""
    import numpy as np
    import pyarrow
    import pyarrow.parquet
    import zarr

    random = np.random.default_rng(0)
    served_here, other = folder / "served", folder / "other"
    served_here.mkdir()
    other.mkdir()
    for name, (shape, chunks) in _ARRAYS.items():
        array = random.random(shape)
        np.save(other / f"{name}.npy", array)
        zarr.create_array(str(served_here / f"{name}.zarr"), data=array, chunks=chunks)
    (other / "chunks.json").write_text(json.dumps({name: chunks for name, (_, chunks) in _ARRAYS.items()}))
    columns = {f"c{number}": random.random(1_000_000) for number in range(10)}
    for place in (served_here, other):
        pyarrow.parquet.write_table(pyarrow.table(columns), place / "table.parquet")


def _store(folder: Path) -> Path:
    from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog

    catalog = BlueskyEmbeddedCatalog(folder / "store", fsync="never")
    for number in range(_NODES):
        for name, doc in _documents(number).items():
            catalog.insert(name, doc)
    catalog.close()
    return folder / "store"


def _nodes_of_tiled(database: Path) -> None:
    """The same metadata in tiled's catalog, as copies of the first node: over HTTP it takes minutes."""
    with sqlite3.connect(database, timeout=30) as connection:
        columns = "parent, structure_family, specs, time_created, time_updated"
        copied = f"INSERT INTO nodes ({columns}, key, metadata) SELECT {columns}, ?, ? FROM nodes WHERE key = 'first'"
        rows = ((doc["start"]["uid"], json.dumps(doc)) for doc in map(_documents, range(_NODES)))
        connection.executemany(copied, rows)
        connection.execute("DELETE FROM nodes WHERE key = 'first'")
    connection.close()


# -- what is asked


def _get(url: str) -> Callable[[], Any]:
    import httpx

    client = httpx.Client(headers={"Authorization": f"Apikey {KEY}"}, limits=httpx.Limits(max_connections=_THREADS))

    def get() -> bytes:
        return client.get(url).raise_for_status().content

    return get


def _in_threads(get: Callable[[], Any], threads: ThreadPoolExecutor) -> Callable[[], Any]:
    return lambda: list(threads.map(lambda _: get(), range(_THREADS * 4)))


def _asked(peer: Server, own: Server, path_there: str, path_here: str, times: int) -> Iterator[Row]:
    gets = [_get(f"{peer.uri}/api/v1/metadata/{path_there}"), _get(f"{own.uri}/api/v1/metadata/{path_here}")]
    alone = [_cost(server, get, times, repeats=200) for server, get in zip((peer, own), gets, strict=True)]
    yield _row("one metadata GET", 25, *alone)
    with ThreadPoolExecutor(_THREADS) as threads:
        many = _cost(own, _in_threads(gets[1], threads), times)
    share = many.best / (_THREADS * 4)
    told = f"{share * 1e3:.2f} ms each; one after the other {alone[1].best * 1e3:.2f} ms"
    yield Row("the same from 16 threads, over one after the other", share / alone[1].best, 1.0, "times", told)


def _listed(peer: Server, own: Server, times: int) -> Iterator[Row]:
    from databroker_like.client import from_uri
    from databroker_like.queries import Eq

    there, here = from_uri(peer.uri, api_key=KEY)["runs"], from_uri(own.uri, api_key=KEY)
    query = Eq("start.sample", "s7")
    asked: list[tuple[str, float, Callable[[Any], Any], int]] = [
        ("the keys of 10,000 nodes", 20, list, 3),
        ("the first 1,000 items of 10,000", 20, lambda node: node.items().head(1000), 3),
        ("search by a value among 10,000, and the keys", 10, lambda node: list(node.search(query)), 30),
        ("search by a value among 10,000, and its len", 10, lambda node: len(node.search(query)), 50),
        ("distinct values at a key of 10,000", 10, lambda node: node.distinct("start.sample", counts=True), 30),
    ]
    for work, limit, ask, repeats in asked:
        costs = [
            _cost(server, lambda ask=ask, node=node: ask(node), times, repeats=repeats)
            for server, node in ((peer, there), (own, here))
        ]
        yield _row(work, limit, *costs)


def _read(peer: Server, own: Server, times: int) -> Iterator[Row]:
    from databroker_like.client import from_uri

    there, here = from_uri(peer.uri, api_key=KEY), from_uri(own.uri, api_key=KEY)
    asked: list[tuple[str, float, str, Callable[[Any], Any], int]] = [
        ("one block of 8 kB", 10, "small", lambda node: node.read_block((0,)), 100),
        ("one block of 10 MB", 4, "blocks", lambda node: node.read_block((1, 0, 0)), 10),
        ("an array of 100 MB, random numbers", 5, "large", lambda node: node.read(), 2),
        ("a table of 1,000,000 x 10", 3, "table", lambda node: node.read(), 1),
        ("one column of it", 3, "table", lambda node: node.read(["c3"]), 10),
    ]
    for work, limit, name, read, repeats in asked:
        costs = [
            _cost(server, lambda read=read, node=node: read(node), times, repeats=repeats)
            for server, node in ((peer, there[name]), (own, here[name]))
        ]
        yield _row(work, limit, *costs)


def rows(folder: Path, *, times: int = 5) -> Iterator[Row]:
    """The rows of the table that are about the service and the client, beside the real tiled.

    Parameters
    ----------
    folder : Path
    times : int

    Raises
    ------
    RuntimeError
        When there is no tiled to compare with.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        raise RuntimeError(f"{VARIABLE} names no interpreter that has tiled; 'make bench-peers' makes one")
    python = Path(named)
    _files(folder)
    store, place = _store(folder), folder / "tiled"
    with ExitStack() as stack:
        peer = stack.enter_context(served(tiled(python, place), place))
        idle = peer.memory()
        subprocess.run([python, Path(__file__).with_name("fill_peer.py"), peer.uri, KEY, folder / "other"], check=True)
        _nodes_of_tiled(place / "catalog.db")
    with ExitStack() as stack:
        peer = stack.enter_context(served(tiled(python, place), place))
        runs = stack.enter_context(served(ours(store), folder / "log-of-store"))
        files = stack.enter_context(served(ours(folder / "served"), folder / "log-of-files"))
        told = f"tiled {peer.seconds_to_start:.1f} s"
        yield Row("a server's start, to its first answer", runs.seconds_to_start, 1.5, "s", told)
        yield Row("memory of the server, idle", runs.memory(), 120, "MiB", f"tiled {idle:.0f} MiB")
        run = _documents(0)["start"]["uid"]
        yield from _asked(peer, runs, "a/b/c", run, times)
        yield from _listed(peer, runs, times)
        yield from _read(peer, files, times)
        told = f"tiled {peer.memory():.0f} MiB"
        yield Row("memory of the server, after these reads", files.memory(), 300, "MiB", told)
    client = fresh(_IMPORT % "import databroker_like.client", times=times)
    other = min(_import_of_tiled(python) for _ in range(times))
    yield Row("import of the client", client.seconds, 0.3, "CPU-s", f"tiled's {other:.2f} s")
    yield Row("import of the client, memory", int(client.printed) / 1024, 40, "MiB", "")


def _import_of_tiled(python: Path) -> float:
    begin = time.perf_counter()
    subprocess.run([python, "-c", "import tiled.client"], check=True)
    return time.perf_counter() - begin
