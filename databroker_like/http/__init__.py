"""What every client over HTTP shares: a session that retries, credentials for one server, errors, apps in process."""

from __future__ import annotations

from databroker_like.http._caching import STORED_AT, ResponseCache
from databroker_like.http._exchange import Params, Reply, watched
from databroker_like.http._in_process import InProcess
from databroker_like.http._own_client import client_of
from databroker_like.http._session import Session
from databroker_like.http._status import error_for
from databroker_like.http._urls import without_secrets

__all__ = [
    "STORED_AT",
    "InProcess",
    "Params",
    "Reply",
    "ResponseCache",
    "Session",
    "client_of",
    "error_for",
    "watched",
    "without_secrets",
]
