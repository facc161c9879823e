"""What is written into a file first, and sent from there: the memory holds a piece of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from typing import IO

__all__ = ["spooled"]

_PIECE = 1 << 20
#: What is smaller stays in memory.
_IN_MEMORY = 4 << 20


class _Spool(tempfile.SpooledTemporaryFile[bytes]):
    """Some who write ask a file for its name, which is to be a text."""

    name = ""


def spooled(write: Callable[[IO[bytes]], None]) -> Iterator[bytes]:
    """The pieces of what is written into a file that is gone afterwards.

    Parameters
    ----------
    write : callable
        Of the file, which can be read and sought in too. It is called when the first piece is asked for.

    Returns
    -------
    iterator of bytes

    Examples
    --------
    >>> list(spooled(lambda file: file.write(b"written")))
    [b'written']
    """
    with _Spool(max_size=_IN_MEMORY) as file:
        write(file)
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece
