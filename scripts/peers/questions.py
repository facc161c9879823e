"""What is asked of the catalog of recorded runs: keys that are looked up, queries that are searched for."""

from __future__ import annotations

from typing import Any

__all__ = ["LOOKUPS", "SEARCHES", "TIME_RANGES"]

#: The run ``scalars`` has this uid; the first characters of it and of others are looked up.
SCALARS = "7a88128d-638e-59ad-b7b9-fd6ae026cad1"

LOOKUPS: list[Any] = [
    SCALARS,
    SCALARS[:8],
    SCALARS[:2],
    "7a8",
    "a",
    "zz",
    "",
    -1,
    -2,
    -21,
    -1000,
    "-1",
    "-3",
    0,
    1,
    3,
    21,
    999,
    "1",
    "20",
    "999",
    "5",
]

SEARCHES: list[dict[str, Any]] = [
    {},
    {"plan_name": "count"},
    {"plan_name": "nobody"},
    {"plan_name": {"$in": ["scan", "monitored"]}},
    {"plan_name": {"$nin": ["count", "scan"]}},
    {"plan_name": {"$ne": "count"}},
    {"plan_name": {"$regex": "^r.c"}},
    {"plan_name": {"$not": {"$regex": "^c"}}},
    {"sample.name": "Ni"},
    {"sample.layers": 2},
    {"sample": {"name": "Ni", "layers": [1, 2]}},
    {"purpose": {"$exists": True}},
    {"purpose": {"$exists": False}},
    {"scan_id": 7},
    {"scan_id": {"$gt": 5, "$lte": 8}},
    {"scan_id": {"$gte": 5, "$lt": 8}},
    {"$or": [{"scan_id": 1}, {"plan_name": "scan"}]},
    {"$and": [{"plan_name": "count"}, {"scan_id": {"$lt": 5}}]},
    {"$nor": [{"plan_name": "count"}]},
    {"detectors": "many"},
    {"detectors": {"$all": ["cam", "other"]}},
    {"detectors": {"$size": 2}},
    {"detectors": {"$elemMatch": {"$eq": "cam"}}},
    {"detectors.0": "cam"},
    {"exit_status": "success"},
    {"num_points": {"$gt": "2"}},
    {"operator": "somebody", "num_points": 5},
    {"scan_id": {"$nonsense": 1}},
]

TIME_RANGES: list[dict[str, Any]] = [
    {"since": 1_600_010_000.0},
    {"until": 1_600_010_800.0},
    {"since": 1_600_010_800.0, "until": 1_600_018_000.0},
    {"since": "2020-09-13 18:00", "timezone": "UTC"},
    {"since": "2020-09-14", "until": "2020-09-15", "timezone": "Europe/Berlin"},
    {"since": 1_600_018_000.0, "until": 1_600_010_800.0},
]
