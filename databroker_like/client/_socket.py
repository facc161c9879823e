"""The socket through which a server tells of what is new: opened, and opened again when it breaks."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlencode

import msgpack

from databroker_like import registry
from databroker_like.client._writing._sending import url_of
from databroker_like.client.context import Context
from databroker_like.errors import (
    DatabrokerError,
    NotAuthenticated,
    NotOffered,
    NotPermitted,
    ServiceFailed,
    TooLarge,
    Unreachable,
)
from databroker_like.http import error_for

__all__ = ["Socket"]

#: What a server says when it closes: nothing more comes, or it does not know who listens, or not this one.
_ENDED, _UNKNOWN, _NOT_ALLOWED, _TOO_LARGE = 1000, 4001, 4003, 1009
_LONGEST_PAUSE = 10.0


class Socket:
    """The messages of one node, as they come.

    Parameters
    ----------
    context : Context
    path_parts : sequence of str
        The names on the way to the node.
    start : int, optional
        The number of the first message that is wanted; those from now on, by default.
    max_size : int
        How many bytes a message may have.

    Raises
    ------
    NotOffered
        When the server is an application in this process.
    MissingExtra
        When the package ``websockets`` is not installed.
    """

    def __init__(self, context: Context, path_parts: Sequence[str], start: int | None, max_size: int) -> None:
        if context.app is not None:
            raise NotOffered("an application in this process cannot be listened to; a server of Tiled can, by from_uri")
        self._client = registry.require("websockets.sync.client", "listen to a server")
        self._errors = registry.require("websockets.exceptions", "listen to a server")
        self._context, self._path_parts = context, list(path_parts)
        self._next, self._max_size = start, max_size
        self._lock = threading.Lock()
        self._connection: Any = None
        self._opened = ExitStack()
        self._closed = threading.Event()
        #: Set once the server has said something: from then on nothing is missed.
        self.connected = threading.Event()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed.is_set()

    def close(self) -> None:
        """Listen no more; `messages` ends."""
        self._closed.set()
        with self._lock:
            connection = self._connection
        if connection is not None:
            connection.close()

    def messages(self) -> Iterator[dict[str, Any]]:
        """What the server says, until it says that nothing more comes, or `close` is called.

        When the connection breaks, it is opened again, and goes on after the last message that came.

        Yields
        ------
        dict

        Raises
        ------
        DatabrokerError
            When the server refuses, is not there, or says something that cannot be meant.
        """
        patience = float(os.environ.get("TILED_RETRY_TIMEOUT", 45))
        pause, broken = 0.2, None
        while not self._closed.is_set():
            try:
                self._open()
            except Unreachable:
                # One that never answered is not there; one that did may be again.
                if broken is None or time.monotonic() - broken > patience:
                    raise
                self._closed.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            pause, broken = 0.2, None
            try:
                yield from self._received()
                return
            except self._errors.ConnectionClosed as error:
                if self._closed.is_set():
                    return
                refusal = self._refusal(error)
                if refusal is not None:
                    raise refusal from error
                broken = time.monotonic()
            finally:
                self._drop()

    def _received(self) -> Iterator[dict[str, Any]]:
        connection = self._connection
        while True:
            try:
                raw = connection.recv()
            except self._errors.ConnectionClosedOK as error:
                if self._closed.is_set() or (error.rcvd is not None and error.rcvd.code == _ENDED):
                    return
                # It goes away, and may come back.
                raise
            message = self._decoded(raw)
            self.connected.set()
            yield message
            sequence = message.get("sequence")
            if isinstance(sequence, int):
                self._next = sequence + 1

    def _decoded(self, raw: Any) -> dict[str, Any]:
        try:
            found = msgpack.unpackb(raw, timestamp=3)
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise ServiceFailed(
                f"the server sent a message of {'/'.join(self._path_parts)!r} that is broken"
            ) from error
        if not isinstance(found, dict) or not isinstance(found.get("type"), str):
            raise ServiceFailed(f"the server sent a message of {'/'.join(self._path_parts)!r} that says nothing")
        return found

    def _open(self) -> None:
        session = self._context.session
        for renewed in (False, True):
            sent = session.authorization
            try:
                connection = self._opened.enter_context(self._connect(sent))
                break
            except self._errors.InvalidStatus as error:
                status = error.response.status_code
                if status == 401 and not renewed and session.renew is not None and session.renew(sent):
                    continue
                raise self._refused(status) from error
            except (OSError, self._errors.WebSocketException) as error:
                raise Unreachable(f"{self._context.api_uri} cannot be listened to: {error}") from error
        with self._lock:
            self._connection = connection
        if self._closed.is_set():
            # Closed while it was opened.
            connection.close()

    def _connect(self, authorization: str | None) -> Any:
        session = self._context.session
        query: dict[str, str | int] = {"envelope_format": "msgpack"}
        if self._next is not None:
            query["start"] = self._next
        url = session.resolved(url_of(self._context, "stream/single", self._path_parts))
        target = url.copy_with(scheme="wss" if url.scheme == "https" else "ws")
        headers = {**session.headers, **({"Authorization": authorization} if authorization else {})}
        return self._client.connect(
            f"{target}?{urlencode(query)}",
            additional_headers=headers,
            user_agent_header="databroker-like",
            max_size=self._max_size,
            ssl=_ssl_of(self._context.verify) if target.scheme == "wss" else None,
            proxy=True if self._context.trust_env else None,
        )

    def _refused(self, status: int) -> DatabrokerError:
        name, where = "/".join(self._path_parts), self._context.api_uri
        if status == 401:
            return self._unknown()
        if status == 403:
            # What a server says that has no such route, too.
            return NotPermitted(f"the server at {where} lets you not listen to {name!r}, or streams nothing (403)")
        return error_for(status, f"the server streams nothing of {name!r}", f"{where}/stream/single/{name}")

    def _refusal(self, error: Any) -> DatabrokerError | None:
        """What the end of a connection means that is not to be opened again."""
        name = "/".join(self._path_parts)
        code = error.rcvd.code if error.rcvd is not None else None
        if error.sent is not None and error.sent.code == _TOO_LARGE and not error.rcvd_then_sent:
            return TooLarge(
                f"a message of {name!r} has more than {self._max_size} bytes: listen with start(max_size=...)"
            )
        if code == _UNKNOWN:
            return self._unknown()
        if code == _NOT_ALLOWED:
            return NotPermitted(f"the server does not let you listen to {name!r}")
        return None

    def _unknown(self) -> NotAuthenticated:
        return NotAuthenticated(
            f"the server at {self._context.api_uri} does not know who listens to {'/'.join(self._path_parts)!r}: "
            "give from_uri(..., api_key=...), set TILED_API_KEY, or log in"
        )

    def _drop(self) -> None:
        with self._lock:
            self._connection = None
        self._opened.close()


def _ssl_of(verify: Any) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        return verify
    made = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if verify is False:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made
