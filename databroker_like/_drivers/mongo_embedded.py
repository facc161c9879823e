"""`databroker_like.drivers.mongo_embedded` by the name databroker 1.2.5 had for it."""

from databroker_like.drivers.mongo_embedded import BlueskyMongoCatalog

__all__ = ["BlueskyMongoCatalog"]
