"""`databroker_like.drivers.msgpack` by the name databroker 1.2.5 had for it."""

from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog

__all__ = ["BlueskyMsgpackCatalog"]
