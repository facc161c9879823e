"""A tree of nodes over HTTP, for the clients of the Tiled protocol: the wire, and the routes for reading."""

from databroker_like.tree._app import build_app

__all__ = ["build_app"]
