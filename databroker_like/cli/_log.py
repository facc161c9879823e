"""The log of a server: one line a request, and no key in any."""

from __future__ import annotations

import logging
import re
from typing import Any
from urllib.parse import unquote_plus

__all__ = ["AccessFormatter", "log_settings", "without_key"]

#: The names of parameters that are told to nobody.
_SECRET = re.compile("api.?key|token|secret|password", re.IGNORECASE)


def without_key(path: str) -> str:
    """The path and query of a URL, as they may be in a log.

    Parameters
    ----------
    path : str

    Returns
    -------
    str

    Examples
    --------
    >>> without_key("/api/v1/search/?sort=time&api_key=secret")
    '/api/v1/search/?sort=time&api_key=...'
    """
    before, mark, query = path.partition("?")
    if not query:
        return path
    # However it is written: '%61pi_key' is the same parameter.
    parts = (part.partition("=") for part in query.split("&"))
    shown = [f"{name}=..." if _SECRET.search(unquote_plus(name)) else name + eq + value for name, eq, value in parts]
    return before + mark + "&".join(shown)


class AccessFormatter(logging.Formatter):
    """One line for a request that was answered, made of what uvicorn tells of it."""

    def __init__(self) -> None:
        super().__init__()
        self._second, self._time = 0, ""

    def format(self, record: logging.LogRecord) -> str:
        """The line.

        Parameters
        ----------
        record : logging.LogRecord
            Its ``args`` are the address of the caller, the method, path, version of HTTP and status.

        Returns
        -------
        str
        """
        caller, method, path, _, status = record.args  # type: ignore[misc]
        second = int(record.created)
        if second != self._second:
            self._time, self._second = self.formatTime(record, "%Y-%m-%d %H:%M:%S"), second
        return f'{self._time} {caller} "{method} {without_key(str(path))}" {status}'


def log_settings(level: str) -> dict[str, Any]:
    """What `logging.config.dictConfig` is told: all goes to the standard error.

    Parameters
    ----------
    level : str

    Returns
    -------
    dict
    """
    upper = level.upper()
    # Of the server itself: when it starts and stops is said elsewhere.
    quiet = "INFO" if level == "debug" else "WARNING" if level == "info" else upper
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "plain": {"format": "%(asctime)s %(levelname)s %(message)s"},
            "access": {"()": AccessFormatter},
        },
        "handlers": {
            "plain": {"class": "logging.StreamHandler", "formatter": "plain"},
            "access": {"class": "logging.StreamHandler", "formatter": "access"},
        },
        "loggers": {
            "databroker_like": {"handlers": ["plain"], "level": upper, "propagate": False},
            "uvicorn": {"handlers": ["plain"], "level": quiet, "propagate": False},
            "uvicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
        },
    }
