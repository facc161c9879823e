"""Every storage gives the same answer to a query, whatever of it a database answers and whatever Python finishes."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mongomock
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.mongo_normalized import BlueskyMongoCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.queries import Tally, parse, searched
from databroker_like.v2 import Broker

RUNS = 120
NAN = float("nan")


def _mongo(folder: Path) -> Broker:
    client = mongomock.MongoClient()
    return BlueskyMongoCatalog(client["metadata"], client["assets"])


#: Name -> a catalog of nothing, to be recorded into.
BACKENDS: dict[str, Callable[[Path], Broker]] = {
    "jsonl": lambda folder: BlueskyJSONLCatalog(f"{folder}/*.jsonl", fsync="never"),
    "msgpack": lambda folder: BlueskyMsgpackCatalog(f"{folder}/*.msgpack", fsync="never"),
    "in_memory": lambda folder: BlueskyInMemoryCatalog(),
    "embedded": lambda folder: BlueskyEmbeddedCatalog(folder / "store", fsync="never"),
    "mongo_normalized": _mongo,
}

#: Those of which another catalog of the same folder answers, from what an index kept of the runs.
FROM_AN_INDEX = {"jsonl from its index": "jsonl", "msgpack from its index": "msgpack"}

# -- runs -------------------------------------------------------------------------------------------------------------

SCALARS = [
    None,
    True,
    False,
    0,
    1,
    2,
    -3,
    1.0,
    2.5,
    -0.0,
    1e300,
    2**40,
    "",
    "1",
    "scan",
    "count",
    "Gold leaf",
    "gold",
    "é",
]
FREE = ["a", "b", "tags"]
KEYS = [*FREE, "plan_name", "scan_id", "sample"]
INNER = ["a", "name", "0"]


def _value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.random()
    if depth > 2 or kind < 0.6:
        return rng.choice(SCALARS)
    if kind < 0.8:
        return [_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {key: _value(rng, depth + 1) for key in rng.sample(INNER, rng.randrange(3))}


def _start(rng: random.Random, number: int) -> dict[str, Any]:
    doc = {key: _value(rng) for key in FREE if rng.random() < 0.7}
    # Of these the schema says what they are.
    doc["plan_name"] = rng.choice(["scan", "count", "rel_scan"])
    if rng.random() < 0.8:
        doc["scan_id"] = rng.randrange(6)
    if rng.random() < 0.7:
        doc["sample"] = (
            {key: _value(rng, 1) for key in INNER} if rng.random() < 0.7 else rng.choice(["gold", "Gold leaf"])
        )
    if rng.random() < 0.1:
        doc["stop"] = {"exit_status": "success"}
    return {**doc, "uid": f"{rng.getrandbits(64):016x}-{number}", "time": float(rng.randrange(50))}


def _stop(rng: random.Random, start: dict[str, Any]) -> dict[str, Any]:
    doc: dict[str, Any] = {"uid": f"stop {start['uid']}", "run_start": start["uid"], "time": start["time"] + 1}
    doc["exit_status"] = rng.choice(["success", "success", "abort", "fail"])
    if rng.random() < 0.5:
        doc["num_events"] = {"primary": rng.randrange(4)}
    if rng.random() < 0.2:
        doc["reason"] = rng.choice(["gold", "count", ""])
    return doc


@dataclass
class Recorded:
    """The same runs in every storage, and as a list in order of time."""

    heads: list[tuple[str, dict[str, Any], dict[str, Any] | None]]
    catalogs: dict[str, Broker]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    rng = random.Random(20)
    starts = [_start(rng, number) for number in range(RUNS)]
    heads = [(start["uid"], start, _stop(rng, start) if rng.random() < 0.8 else None) for start in starts]
    catalogs, folders = {}, {}
    for name, make in BACKENDS.items():
        folder = folders[name] = tmp_path_factory.mktemp(name)
        catalogs[name] = catalog = make(folder)
        for _, start, stop in heads:
            catalog.insert("start", start)
            if stop is not None:
                catalog.insert("stop", stop)
        if name in FROM_AN_INDEX.values():
            for path in folder.iterdir():  # left alone for long enough to be worth keeping
                os.utime(path, (time.time() - 1000, time.time() - 1000))
            time.sleep(0.05)
            assert len(make(folder)) == RUNS  # which writes the index
    for name, other in FROM_AN_INDEX.items():
        catalogs[name] = catalog = BACKENDS[other](folders[other])
        assert len(catalog) == RUNS
        assert all(row.known_start is None for row in catalog.collection._rows)
    heads.sort(key=lambda head: (head[1]["time"], head[0]))
    yield Recorded(heads, catalogs)
    for catalog in catalogs.values():
        catalog.close()


# -- queries ----------------------------------------------------------------------------------------------------------

PATHS = st.sampled_from(
    [
        *KEYS,
        *(f"{key}.{inner}" for key in ("a", "sample", "tags") for inner in INNER),
        "sample.a.name",
        "nothing",
        "uid",
        "time",
        "stop",
        "stop.exit_status",
        "stop.num_events.primary",
        "stop.num_events",
        "stop.reason",
        "stop.time",
    ]
)
OPERANDS = st.sampled_from([*SCALARS, "success", "abort", 5, 20.0])
LISTS = st.lists(OPERANDS, max_size=3)
ORDERED = st.sampled_from(["$gt", "$gte", "$lt", "$lte"])
CONDITIONS = st.one_of(
    OPERANDS,
    LISTS,
    st.dictionaries(st.sampled_from(INNER), OPERANDS, max_size=2),
    st.builds(lambda op, value: {op: value}, ORDERED, OPERANDS),
    st.builds(lambda low, high: {"$gte": low, "$lt": high}, OPERANDS, OPERANDS),
    st.builds(lambda op, value: {op: value}, st.sampled_from(["$eq", "$ne"]), OPERANDS | LISTS),
    st.builds(lambda op, values: {op: values}, st.sampled_from(["$in", "$nin"]), LISTS),
    st.builds(lambda values: {"$all": values}, LISTS.filter(bool)),
    st.builds(lambda flag: {"$exists": flag}, st.booleans()),
    st.builds(lambda size: {"$size": size}, st.integers(0, 3)),
    st.builds(
        lambda pattern, options: {"$regex": pattern, "$options": options},
        st.sampled_from(["^s", "go", "^$", "[0-9]", "n$", "É"]),
        st.sampled_from(["", "i"]),
    ),
    st.builds(lambda op, value: {"$elemMatch": {op: value}}, ORDERED | st.just("$eq"), OPERANDS),
    st.builds(lambda key, value: {"$elemMatch": {key: value}}, st.sampled_from(INNER), OPERANDS),
)
NEGATED = st.builds(
    lambda condition: {"$not": condition},
    CONDITIONS.filter(lambda c: isinstance(c, dict) and bool(c) and all(key.startswith("$") for key in c)),
)
FIELDS = st.dictionaries(PATHS, CONDITIONS | NEGATED, min_size=1, max_size=2)
QUERIES = st.recursive(
    FIELDS,
    lambda inner: st.builds(
        lambda op, several: {op: several},
        st.sampled_from(["$and", "$or", "$nor"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=4,
)
WINDOWS = st.tuples(st.integers(0, 20), st.none() | st.integers(0, 20))


def _plain(counts: list[tuple[Any, int]]) -> list[tuple[str, int]]:
    """Values as text, where 1 and 1.0, which are one value, are one text."""
    return [(repr(_float(value)), count) for value, count in counts]


def _float(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _float(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_float(member) for member in value]
    return float(value) + 0.0 if type(value) in (int, float) else value


@pytest.mark.parametrize("name", [*BACKENDS, *FROM_AN_INDEX])
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@given(query=QUERIES, key=PATHS, window=WINDOWS)
@example(query={"stop": None}, key="stop", window=(0, None))
@example(query={"stop.exit_status": {"$ne": "success"}}, key="stop.exit_status", window=(2, 3))
@example(query={"$nor": [{"a": None}]}, key="a", window=(0, 1))
@example(query={"$text": {"$search": "gold -leaf"}, "stop.exit_status": "success"}, key="tags", window=(0, None))
def test_every_storage_finds_what_the_query_matches(
    name: str, query: dict[str, Any], key: str, window: tuple[int, int | None], recorded: Recorded
) -> None:
    node = parse(query)
    expected = [head for head in recorded.heads if node.matches(searched(head[1], head[2]))]
    uids = [uid for uid, _, _ in expected]
    collection = recorded.catalogs[name].collection
    assert list(collection.find(node)) == uids
    assert collection.count(node) == len(uids)
    skip, limit = window
    end = None if limit is None else skip + limit
    assert list(collection.find(node, newest_first=True, skip=skip, limit=limit)) == uids[::-1][skip:end]
    heads = list(collection.heads(node, skip=skip, limit=limit))
    assert [(uid, start["time"], stop and stop["uid"]) for uid, start, stop in heads] == [
        (uid, start["time"], stop and stop["uid"]) for uid, start, stop in expected[skip:end]
    ]
    tally = Tally(key)
    for _, start, stop in expected:
        tally.add(searched(start, stop))
    assert _plain(collection.distinct(key, node)) == _plain(tally.counts())
    for uid, start, stop in recorded.heads[::40]:
        assert collection.matches(uid, node) == node.matches(searched(start, stop))


@pytest.mark.parametrize("name", [*BACKENDS, *FROM_AN_INDEX])
def test_a_search_leaves_something_and_finds_something(name: str, recorded: Recorded) -> None:
    """The runs are such that queries tell them apart."""
    catalog = recorded.catalogs[name]
    counts = [
        len(catalog.search(query)) for query in ({}, {"stop.exit_status": "success"}, {"a": 1}, {"sample.name": "gold"})
    ]
    assert counts[0] == RUNS
    assert all(0 < count < RUNS for count in counts[1:])
