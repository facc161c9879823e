"""`databroker_like.drivers.in_memory` by the name databroker 1.2.5 had for it."""

from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog

__all__ = ["BlueskyInMemoryCatalog"]
