"""Failures that may be over a little later, and how long to wait for that."""

from __future__ import annotations

import email.utils
import os
import time

import httpx

from databroker_like.errors import DatabrokerError, Invalid

__all__ = ["Passing", "asked_to_wait", "attempts_and_seconds", "pause_after", "said_of"]

_LONGEST_PAUSE = 30.0


class Passing(Exception):
    """A failure that may be over a little later.

    Parameters
    ----------
    error : DatabrokerError
        What is raised when it is not.
    pause : float, optional
        The seconds that the server asks to wait.
    untouched : bool
        Whether the server has certainly done nothing.
    """

    def __init__(self, error: DatabrokerError, pause: float | None, untouched: bool) -> None:
        self.error = error
        self.pause = pause
        self.untouched = untouched


def attempts_and_seconds() -> tuple[int, float]:
    """How often a request is made at the most, and for how long, as the environment says.

    Returns
    -------
    int
        ``TILED_RETRY_ATTEMPTS``, or 10.
    float
        ``TILED_RETRY_TIMEOUT``, or 45 seconds.

    Raises
    ------
    Invalid
        When it says something else than numbers.
    """
    attempts, seconds = os.environ.get("TILED_RETRY_ATTEMPTS", "10"), os.environ.get("TILED_RETRY_TIMEOUT", "45")
    try:
        return max(int(attempts), 1), max(float(seconds), 0.0)
    except ValueError:
        raise Invalid(
            f"TILED_RETRY_ATTEMPTS is a whole number and TILED_RETRY_TIMEOUT one of seconds, not {attempts!r} and "
            f"{seconds!r}"
        ) from None


def pause_after(error: Exception) -> bool | float:
    """Whether to try again after a failure; in how many seconds, when the server says so."""
    if not isinstance(error, Passing):
        return False
    return True if error.pause is None else error.pause


def asked_to_wait(response: httpx.Response) -> float | None:
    """The seconds of Retry-After, a number or a date; no more than half a minute."""
    text = response.headers.get("retry-after", "").strip()
    if text.isdigit():
        return min(float(text), _LONGEST_PAUSE)
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
    return min(max(moment - time.time(), 0.0), _LONGEST_PAUSE)


def said_of(error: Exception) -> str:
    """What a failed conversation is called."""
    if isinstance(error, httpx.TimeoutException):
        return "the server does not answer in time"
    if isinstance(error, httpx.ConnectError):
        return f"there is no server: {error}"
    if isinstance(error, httpx.UnsupportedProtocol):
        return "only http:// and https:// are understood"
    return f"the connection to the server broke: {error or type(error).__name__}"
