"""What notebooks written for databroker 1.2.5 import, by the path they import it from, with the package renamed."""

from __future__ import annotations

import importlib

import pytest


@pytest.mark.parametrize(
    ("old", "home"),
    [
        ("_drivers.jsonl.BlueskyJSONLCatalog", "drivers.jsonl"),
        ("_drivers.msgpack.BlueskyMsgpackCatalog", "drivers.msgpack"),
        ("_drivers.mongo_embedded.BlueskyMongoCatalog", "drivers.mongo_embedded"),
        ("_drivers.mongo_normalized.BlueskyMongoCatalog", "drivers.mongo_normalized"),
        ("in_memory.BlueskyInMemoryCatalog", "drivers.in_memory"),
    ],
)
def test_a_driver_is_the_same_by_its_old_path(old: str, home: str) -> None:
    module, _, name = old.rpartition(".")
    found = getattr(importlib.import_module(f"databroker_like.{module}"), name)
    assert found is getattr(importlib.import_module(f"databroker_like.{home}"), name)
