"""`databroker_like.drivers.mongo_normalized` by the name databroker 1.2.5 had for it."""

from databroker_like.drivers.mongo_normalized import BlueskyMongoCatalog

__all__ = ["BlueskyMongoCatalog"]
