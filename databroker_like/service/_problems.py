"""What an error is answered with: a status, and a sentence that tells nothing of the inside of the service."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from databroker_like.errors import (
    DatabrokerError,
    InvalidFile,
    MissingFile,
    NoSuchHandler,
    NotAuthenticated,
    NotWritable,
    PluginFailed,
    ServiceFailed,
    Unreachable,
)
from databroker_like.utils._shown_text import without_paths

__all__ = ["Problem", "problem_of"]

_logger = logging.getLogger("databroker_like.service")

#: What trying again will not change: a client that gets a status of 500 and above asks again and again.
_LASTING = 422
#: Characters of a sentence.
_LONGEST = 2000
#: Errors that speak of files.
_OF_FILES = (InvalidFile, MissingFile, NoSuchHandler, NotWritable, PluginFailed)


@dataclass(frozen=True)
class Problem:
    """What a request is answered when it cannot be done.

    Parameters
    ----------
    status : int
        Of HTTP.
    detail : str
        A sentence.
    headers : dict, optional
        That go with the status.
    """

    status: int
    detail: str
    headers: dict[str, str] = field(default_factory=dict)


def problem_of(error: Exception) -> Problem:
    """The answer to a request that raised this.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    Problem
        An error of ours has its own status, and its message is meant to be read. Those that stand for a failure that
        stays (a handler that raises, a package that is not installed) are 422, for clients of the Tiled protocol try
        for 45 seconds whatever is answered with 500 or more. Any other error is 500; it goes to the log, and its text
        to nobody else. Where files lie on the machine of the service is told to nobody either.

    Examples
    --------
    >>> from databroker_like.errors import NoSuchRun
    >>> problem_of(NoSuchRun("there is no run 'abc'"))
    Problem(status=404, detail="there is no run 'abc'", headers={})
    >>> problem_of(NotAuthenticated("an API key is needed")).headers
    {'WWW-Authenticate': 'Apikey'}
    """
    if not isinstance(error, DatabrokerError):
        _logger.error("a request failed", exc_info=error)
        return Problem(500, "the service failed; its log says why")
    status, headers = error.http_status, {}
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = "Apikey"
    elif isinstance(error, Unreachable):
        headers["Retry-After"] = "5"
    elif status >= 500 and not isinstance(error, ServiceFailed):
        _logger.warning("%s: %s", type(error).__name__, error)
        status = _LASTING
    detail = str(error)
    if isinstance(error, _OF_FILES):
        detail = without_paths(detail)
    # What came in with the request may be as long as a URL, and need not come back.
    return Problem(status, detail if len(detail) <= _LONGEST else f"{detail[:_LONGEST]}...", headers)
