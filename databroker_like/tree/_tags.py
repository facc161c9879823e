"""By what an answer is known again, so that it is not sent twice."""

from __future__ import annotations

import hashlib
from functools import cache

import databroker_like
from databroker_like.nodes import Node
from databroker_like.tree._asked import Asked

__all__ = ["content_tag", "data_tag", "is_known"]


def content_tag(content: bytes) -> str:
    """The tag of an answer that is there.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    str
    """
    return f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'


def data_tag(asked: Asked, route: str, node: Node | None = None) -> str | None:
    """The tag of an answer that is data, told without reading any of it.

    Parameters
    ----------
    asked : Asked
    route : str
        Its name.
    node : Node, optional
        Of which it is; that of the path by default.

    Returns
    -------
    str or None
        None where the node does not say its version.
    """
    version = (asked.node if node is None else node).version
    if version is None:
        return None
    params = asked.params
    said = sorted((name, tuple(params.many(name))) for name in params if name != "api_key")
    # Another version of this package may write the same data in another way.
    parts = (_writer(), route, version, asked.segments, said, asked.accept, asked.body)
    return f'"{hashlib.blake2b(repr(parts).encode(errors="surrogatepass"), digest_size=16).hexdigest()}"'


@cache
def _writer() -> str:
    """The version of this package, which is looked up in a file."""
    return databroker_like.__version__


def is_known(tag: str | None, header: str | None) -> bool:
    """Whether a caller has what a tag stands for.

    Parameters
    ----------
    tag : str or None
    header : str or None
        ``If-None-Match``: the tags of what the caller has.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_known('"a"', 'W/"b", W/"a"'), is_known('"a"', '"abc"'), is_known('"a"', "*")
    (True, False, True)
    """
    if tag is None or header is None:
        return False
    wanted = tag.removeprefix("W/")
    return any(one == "*" or one.removeprefix("W/") == wanted for one in map(str.strip, header.split(",", 100)[:100]))
