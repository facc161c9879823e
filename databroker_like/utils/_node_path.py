"""The way to a node as it stands in a URL, which both ends of a wire write the same."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

__all__ = ["path_of"]

#: What most names are; `quote` takes ten times as long to find out.
_is_plain = re.compile(r"[A-Za-z0-9_-]+").fullmatch


def path_of(names: Iterable[str]) -> str:
    """The names on the way to a node, as they stand in a URL.

    Parameters
    ----------
    names : iterable of str

    Returns
    -------
    str

    Examples
    --------
    >>> path_of(["a/b", "..", "c d"])
    'a%2Fb/%2E%2E/c%20d'
    """
    return "/".join([name if _is_plain(name) else _quoted(name) for name in names])


def _quoted(name: str) -> str:
    # Dots alone would be steps upward, for whoever reads the address on the way.
    return name.replace(".", "%2E") if name in (".", "..") else quote(name, safe="")
