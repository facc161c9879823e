"""A folder of files as a tree of nodes."""

from databroker_like.nodes.files._folder import FolderNode

__all__ = ["FolderNode"]
