"""Reading from a MongoDB: columns against what pymongo alone takes to hand over the same events as dictionaries."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Row, best_of
from benchmarks.store import pages

__all__ = ["rows"]

_EVENTS = 100_000
_VARIABLE = "DATABROKER_LIKE_TEST_MONGO"


def rows(folder: Path, times: int) -> Iterator[Row]:
    """Measure on the server that the environment names; nothing where it names none, and that is said."""
    uri = os.environ.get(_VARIABLE)
    if not uri:
        print(f"mongo: not measured, because {_VARIABLE} names no server", file=sys.stderr)
        return
    import pymongo

    from databroker_like.drivers.mongo_normalized import BlueskyMongoCatalog

    name = f"databroker_like_bench_{uuid.uuid4().hex}"
    with pymongo.MongoClient(uri) as client:
        database = client[name]
        try:
            catalog = BlueskyMongoCatalog(database, database)
            made = pages("run", _EVENTS)
            descriptor = made[0]["descriptor"]
            data_keys = {key: {"source": "SIM", "dtype": "number", "shape": []} for key in made[0]["data"]}
            described = {"uid": descriptor, "run_start": "run", "time": 1.0, "name": "primary", "data_keys": data_keys}
            catalog.insert("start", {"uid": "run", "time": 1.0})
            catalog.insert("descriptor", described)
            for page in made:
                catalog.insert("event_page", page)
            found = {"filter": {"descriptor": descriptor}, "sort": [("_id", 1)], "batch_size": 5_000}
            alone = best_of(times, lambda: list(database["event"].find(**found)))
            anchor = f"pymongo's find alone, {alone:.3f} CPU-s"
            whole = best_of(times, lambda: catalog["run"]["primary"].read())
            yield Row("read() of 100 000 x 10 scalars from a MongoDB", whole / alone, 1, "times", anchor)
        finally:
            client.drop_database(name)
