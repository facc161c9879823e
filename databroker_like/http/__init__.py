"""What every client over HTTP shares: a session that retries, credentials for one server, errors, apps in process."""

from __future__ import annotations

from databroker_like.http._in_process import InProcess
from databroker_like.http._session import Session
from databroker_like.http._status import error_for

__all__ = ["InProcess", "Session", "error_for"]
