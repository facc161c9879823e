"""Addresses of servers and of nodes on them, in all their forms."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from databroker_like.errors import Invalid

__all__ = ["node_of", "without_key"]

_API = "/api/v1"


def without_key(uri: str) -> tuple[str, str | None]:
    """An address without the API key that stands in it, and without user and password, and that key.

    Parameters
    ----------
    uri : str

    Returns
    -------
    str
    str or None

    Raises
    ------
    Invalid
        When it is no address of http or https.

    Examples
    --------
    >>> without_key("http://localhost:8000?api_key=secret")
    ('http://localhost:8000', 'secret')
    """
    parts = _split(uri)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    key = next((value for name, value in pairs if name == "api_key"), None)
    rest = urlencode([(name, value) for name, value in pairs if name != "api_key"])
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, rest, "")), key or None


def node_of(uri: str) -> tuple[str, list[str]]:
    """Where the API of a server is, and the path of a node on it.

    Parameters
    ----------
    uri : str

    Returns
    -------
    str
    list of str
        Empty for the root.

    Raises
    ------
    Invalid
        When it is an address of something else, or none.

    Examples
    --------
    >>> node_of("http://localhost:8000/api/v1/metadata/a/b%20c")
    ('http://localhost:8000/api/v1', ['a', 'b c'])
    """
    parts = _split(uri)
    before, found, after = f"{parts.path}/".partition(f"{_API}/")
    if not found:
        before = parts.path.rstrip("/").removesuffix("/api")
    segments = [unquote(segment) for segment in after.split("/") if segment]
    if segments and segments[0] != "metadata":
        raise Invalid(f"{parts.path!r} is no address of a node; one reads .../api/v1/metadata/name")
    return urlunsplit((parts.scheme, parts.netloc, f"{before}{_API}", parts.query, "")), segments[1:]


def _split(uri: str) -> SplitResult:
    """The parts of an address of http or https."""
    if not isinstance(uri, str):
        raise Invalid(f"an address is text, such as 'http://localhost:8000', not {type(uri).__name__}")
    # Whoever forgot the scheme may have written a key or a password all the same.
    shown = uri.partition("?")[0].rpartition("@")[2]
    try:
        parts = urlsplit(uri)
        found = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise Invalid(f"{shown!r} is no address of a server: {error}") from None
    if not found:
        raise Invalid(f"{shown!r} is no address of a server: write http://localhost:8000, or https://...")
    return parts
