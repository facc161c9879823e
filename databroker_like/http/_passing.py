"""Failures that may be over a little later, and how long to wait for that."""

from __future__ import annotations

import email.utils
import logging
import os
import random
import time
from time import sleep

import httpx

from databroker_like.errors import DatabrokerError, Invalid

__all__ = ["Passing", "Patience", "asked_to_wait", "said_of"]

#: In seconds: what a server may ask for, and what is waited when it asks for nothing.
_LONGEST_PAUSE = 30.0
_FIRST_PAUSE = 0.2
_LONGEST_STEP = 10.0
_chance = random.SystemRandom()
_log = logging.getLogger("databroker_like.http")


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


class Patience:
    """How often something is tried, and for how long.

    Parameters
    ----------
    most : int, optional
        How often at the most; as the environment says, by default: ``TILED_RETRY_ATTEMPTS`` times (10), for
        ``TILED_RETRY_TIMEOUT`` seconds (45).

    Raises
    ------
    Invalid
        When the environment says something else than numbers.
    """

    def __init__(self, most: int | None = None) -> None:
        attempts, seconds = os.environ.get("TILED_RETRY_ATTEMPTS", "10"), os.environ.get("TILED_RETRY_TIMEOUT", "45")
        try:
            self.most, self._seconds = max(int(attempts), 1) if most is None else most, float(seconds)
        except ValueError:
            raise Invalid(
                f"TILED_RETRY_ATTEMPTS is a whole number and TILED_RETRY_TIMEOUT one of seconds, not {attempts!r} and "
                f"{seconds!r}"
            ) from None
        #: Which attempt this is, from 1.
        self.attempt = 1
        self._start = time.monotonic()

    def wait(self, passing: Passing) -> bool:
        """Wait for the next attempt, as long as the server asks to; longer each time, when it does not.

        Parameters
        ----------
        passing : Passing

        Returns
        -------
        bool
            Whether there is a next attempt.
        """
        pause = passing.pause
        if pause is None:
            # Not all at the same moment, when many wait for the same server.
            pause = min(_FIRST_PAUSE * 2 ** (self.attempt - 1), _LONGEST_STEP) * _chance.uniform(0.5, 1.5)
        if self.attempt >= self.most or time.monotonic() - self._start + pause > self._seconds:
            return False
        _log.info("%s; attempt %d of %d in %.1f s", passing.error, self.attempt + 1, self.most, pause)
        sleep(pause)
        self.attempt += 1
        return True


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
    if isinstance(error, httpx.ConnectError) and "SSL" in str(error):
        return f"there is no secure connection to the server, if it has https at all: {error}"
    if isinstance(error, httpx.ConnectError):
        return f"there is no server: {error}; is the server running?"
    if isinstance(error, httpx.UnsupportedProtocol):
        return "only http:// and https:// are understood"
    return f"the connection to the server broke: {error or type(error).__name__}"
