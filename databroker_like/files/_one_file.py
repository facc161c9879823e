"""A lazy array whose values are all in one file, and are all that is in it."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from databroker_like.files._array import LazyArray

__all__ = ["OneFile"]


class OneFile(LazyArray):
    """What the formats without names inside a file share: a path is all there is to say.

    Parameters
    ----------
    path : str or path
    """

    kind: ClassVar[str]

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)

    @property
    def identity(self) -> tuple[Any, ...]:
        """The format and the path."""
        return (self.kind, self.path)

    @property
    def paths(self) -> tuple[str, ...]:
        """The file."""
        return (self.path,)
