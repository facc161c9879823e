"""`databroker_like.drivers.jsonl` by the name databroker 1.2.5 had for it."""

from databroker_like.drivers.jsonl import BlueskyJSONLCatalog

__all__ = ["BlueskyJSONLCatalog"]
