"""A refusal of a server as one of our own errors."""

from __future__ import annotations

from typing import Any

import orjson

from databroker_like import errors

__all__ = ["detail_of", "error_for", "is_passing"]

#: A refusal says no more than this; what is longer is cut.
_LONGEST = 600

_ERRORS: dict[int, type[errors.DatabrokerError]] = {
    400: errors.Invalid,
    401: errors.NotAuthenticated,
    403: errors.NotPermitted,
    404: errors.NotFound,
    405: errors.NotWritable,
    406: errors.NoSuchFormat,
    409: errors.Conflict,
    410: errors.MissingFile,
    413: errors.TooLarge,
    414: errors.Invalid,
    422: errors.Invalid,
    429: errors.Unreachable,
    501: errors.NotOffered,
    502: errors.Unreachable,
    503: errors.Unreachable,
    504: errors.Unreachable,
}


def is_passing(status: int) -> bool:
    """Whether the same request may succeed a little later."""
    return status in (408, 425, 429, 502, 503, 504)


def error_for(status: int, detail: str, url: str) -> errors.DatabrokerError:
    """The error that a status stands for.

    Parameters
    ----------
    status : int
        400 or more.
    detail : str
        What the server says.
    url : str
        What was asked for, without secrets.

    Returns
    -------
    DatabrokerError
        To be raised.

    Examples
    --------
    >>> error_for(404, "No such entry: ['a']", "http://localhost:8000/api/v1/metadata/a")
    NotFound("No such entry: ['a'] (404 from http://localhost:8000/api/v1/metadata/a)")
    """
    kind = _ERRORS.get(status) or (errors.Invalid if status < 500 else errors.ServiceFailed)
    return kind(f"{detail or 'the server does not say why'} ({status} from {url})")


def detail_of(content: bytes, content_type: str) -> str:
    """What the body of a refusal says, as one line.

    Parameters
    ----------
    content : bytes
    content_type : str

    Returns
    -------
    str
        Empty when it says nothing for people, as a page of a proxy.

    Examples
    --------
    >>> detail_of(b'{"detail":[{"loc":["query","slice"],"msg":"String should match pattern"}]}', "application/json")
    'query slice: String should match pattern'
    """
    if "html" in content_type:
        return ""
    try:
        found: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        return _cut(content.decode("utf-8", "replace"))
    if isinstance(found, dict):
        # The words of FastAPI and others, and those of OAuth 2.
        oauth = ": ".join(str(found[name]) for name in ("error", "error_description") if found.get(name))
        found = found.get("detail", found.get("message", oauth))
    if isinstance(found, list):
        found = "; ".join(map(_of_one, found))
    return _cut(found if isinstance(found, str) else orjson.dumps(found).decode())


def _of_one(mistake: Any) -> str:
    if not isinstance(mistake, dict):
        return str(mistake)
    place = mistake.get("loc")
    where = " ".join(map(str, place)) + ": " if isinstance(place, list) else ""
    return f"{where}{mistake.get('msg', '')}"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "..."
