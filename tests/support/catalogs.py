"""Catalogs to record into, by name, for tests that do so in processes of their own."""

from __future__ import annotations

from pathlib import Path

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.v2 import Broker

#: Those that keep what they are given when their process is killed.
DURABLE = ("jsonl", "msgpack", "embedded")


def open_catalog(kind: str, folder: str | Path) -> Broker:
    """The catalog of a kind in a folder; a new one where there is none. It forces nothing to the disk."""
    if kind == "jsonl":
        return BlueskyJSONLCatalog(f"{folder}/*.jsonl", fsync="never")
    if kind == "msgpack":
        return BlueskyMsgpackCatalog(f"{folder}/*.msgpack", fsync="never")
    if kind == "embedded":
        return BlueskyEmbeddedCatalog(f"{folder}/store", fsync="never")
    raise ValueError(kind)
