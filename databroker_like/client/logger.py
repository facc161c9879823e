"""What goes over the network, shown or kept."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

from databroker_like.http import watched

__all__ = ["History", "hide_logs", "logger", "record_history", "show_logs"]

#: Each request with its status and its time, at the level DEBUG; no key and no token is among it.
logger = logging.getLogger("databroker_like.http")
_shown: list[logging.Handler] = []
_lock = threading.Lock()


def show_logs() -> None:
    """Write each request and its reply to the standard error, until `hide_logs`."""
    with _lock:
        if not _shown:
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
            logger.addHandler(handler)
            logger.setLevel(logging.DEBUG)
            _shown.append(handler)


def hide_logs() -> None:
    """End what `show_logs` began."""
    with _lock:
        while _shown:
            logger.removeHandler(_shown.pop())
            logger.setLevel(logging.NOTSET)


@dataclass
class History:
    """What went over the network.

    Parameters
    ----------
    requests : list of httpx.Request
    responses : list of httpx.Response
        Their contents are there once they were read.
    """

    requests: list[httpx.Request] = field(default_factory=list)
    responses: list[httpx.Response] = field(default_factory=list)


@contextlib.contextmanager
def record_history() -> Iterator[History]:
    """Keep all requests and replies, of all clients, of the time being.

    Yields
    ------
    History

    Examples
    --------
    >>> with record_history() as history:
    ...     pass
    >>> len(history.requests)
    0
    """
    history = History()

    def keep(request: httpx.Request, response: httpx.Response | None) -> None:
        if response is None:
            history.requests.append(request)
        else:
            history.responses.append(response)

    with watched(keep):
        yield history
