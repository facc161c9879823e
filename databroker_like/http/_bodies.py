"""Bodies of requests: from memory, in parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["sent"]

_PART_BYTES = 1 << 20


def sent(content: bytes | memoryview, content_type: str) -> dict[str, Any]:
    """The arguments of a request with a body.

    Parameters
    ----------
    content : bytes or memoryview
    content_type : str

    Returns
    -------
    dict
        With ``content`` and ``headers``.
    """
    headers = {"Content-Type": content_type}
    if isinstance(content, bytes) or content.nbytes <= _PART_BYTES:
        return {"content": bytes(content), "headers": headers}
    # The length is said, so that no server has to take it in chunks.
    return {"content": _InParts(content.cast("B")), "headers": {**headers, "Content-Length": str(content.nbytes)}}


class _InParts:
    """Memory to be sent, part by part, as often as it is asked for: a large array is not copied as a whole."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, self._memory.nbytes, _PART_BYTES):
            yield bytes(self._memory[at : at + _PART_BYTES])
