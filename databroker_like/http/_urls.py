"""URLs: whose they are, and what of them may be shown."""

from __future__ import annotations

import httpx

from databroker_like.errors import Invalid

__all__ = ["in_words", "origin", "parsed", "without_secrets"]

_PORTS = {"http": 80, "https": 443}
#: So many letters of a query are shown in an error: no more can be read at a glance.
_LONGEST = 80
#: Parameters that are no one else's business, in an error or a log.
_SECRETS = ("api_key", "access_token", "refresh_token", "device_code", "code", "state")


def parsed(url: str, base: httpx.URL | None = None) -> httpx.URL:
    """A URL, absolute or from another one.

    Parameters
    ----------
    url : str
    base : httpx.URL, optional

    Returns
    -------
    httpx.URL

    Raises
    ------
    Invalid
        When it is none.
    """
    try:
        return httpx.URL(url) if base is None else base.join(url)
    except httpx.InvalidURL as error:
        raise Invalid(f"{url!r} is no URL: {error}") from None


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """The server of a URL: scheme, host and port."""
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme)


def without_secrets(url: httpx.URL | str) -> str:
    """A URL as it may be shown: without user, password and keys.

    Parameters
    ----------
    url : httpx.URL or str

    Returns
    -------
    str

    Examples
    --------
    >>> without_secrets("http://me:pass@localhost:8000/api/v1/?api_key=secret&fields=count")
    'http://localhost:8000/api/v1/?api_key=...&fields=count'
    """
    whole = httpx.URL(url)
    if whole.userinfo:
        whole = whole.copy_with(username=None, password=None)
    parts = []
    for part in filter(None, whole.query.decode("ascii").split("&")):
        name = part.partition("=")[0]
        parts.append(f"{name}=..." if name in _SECRETS else part)
    bare = str(whole.copy_with(query=None))
    return f"{bare}?{'&'.join(parts)}" if parts else bare


def in_words(url: httpx.URL | str) -> str:
    """A URL as an error has it: without secrets, and without a long query.

    Parameters
    ----------
    url : httpx.URL or str

    Returns
    -------
    str

    Examples
    --------
    >>> in_words("http://localhost:8000/api/v1/search/a?fields=count")
    'http://localhost:8000/api/v1/search/a?fields=count'
    >>> in_words("http://localhost:8000/api/v1/search/a?" + "&".join(f"filter[a][key]={n}" for n in range(9)))
    'http://localhost:8000/api/v1/search/a?...'
    """
    whole = without_secrets(url)
    bare, _, query = whole.partition("?")
    return f"{bare}?..." if len(query) > _LONGEST else whole
