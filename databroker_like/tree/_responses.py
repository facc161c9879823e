"""An answer as it goes out: not at all to who has it, in fewer bytes where that pays, in pieces when it is large."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from time import monotonic

import anyio
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from databroker_like.service import Hold, Problem, Settings
from databroker_like.tree._asked import Reply
from databroker_like.tree._compression import compressed, compressed_pieces, encodings
from databroker_like.tree._tags import is_known
from databroker_like.tree._words import JSON, to_json

__all__ = ["Delivery", "begun", "refusal", "sent", "unchanged"]

_logger = logging.getLogger("databroker_like.service")

Piece = bytes | memoryview

#: How much is handed to the network at once; and to who takes that in no time.
_PIECE, _LARGE_PIECE = 1 << 20, 4 << 20
_NO_TIME = 0.25
#: What is compressed in no time, and needs no other thread for it.
_SMALL = 1 << 15
#: Who is on this machine gets his answers earlier as they are.
_HERE = frozenset({"127.0.0.1", "::1", "localhost", "testclient"})
#: A proxy on this machine asks for others.
_FROM_ELSEWHERE = ("x-forwarded-for", "forwarded", "via")


class Delivery:
    """A large answer on its way: it ends when it is sent, when the caller is gone, or when he takes nothing any more.

    Parameters
    ----------
    response : starlette.responses.Response
    hold : Hold
        What it holds, which is given back at the end.
    seconds : float
        For so long a caller may take nothing.
    """

    def __init__(self, response: Response, hold: Hold, seconds: float) -> None:
        self._response = response
        self._hold = hold
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def pressed(message: Message) -> None:
            with anyio.fail_after(self._seconds):
                await send(message)

        try:
            await self._response(scope, receive, pressed)
        except TimeoutError:
            # Nothing more is sent, by which the server sees that the connection is to be closed.
            _logger.warning("an answer was given up: its caller took nothing of it for %s seconds", self._seconds)
        except asyncio.CancelledError:
            # The server ends. Of this, too, the caller sees that the answer is not whole.
            _logger.warning("an answer was cut off, for the server stops")
        finally:
            self._hold.release()


def begun(reply: Reply) -> Reply:
    """An answer whose first piece is there: what is wrong with the request shows before anything is sent.

    Parameters
    ----------
    reply : Reply

    Returns
    -------
    Reply
    """
    if isinstance(reply.content, Iterator):
        first = next(reply.content, b"")
        return Reply(chain((first,), reply.content), reply.media_type, reply.headers, reply.status)
    return reply


def refusal(problem: Problem) -> Response:
    """What a wrong request is answered.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    starlette.responses.Response
    """
    # A surrogate that came in with the request cannot go out in a sentence.
    return Response(
        to_json({"detail": problem.detail}), status_code=problem.status, media_type=JSON, headers=problem.headers
    )


def unchanged(request: Request, tag: str | None, headers: dict[str, str] | None = None) -> Response | None:
    """The answer to a caller who has already what is asked for; None when it is to be sent.

    Parameters
    ----------
    request : starlette.requests.Request
    tag : str or None
        Of the answer.
    headers : dict, optional
        Of it.

    Returns
    -------
    starlette.responses.Response or None
    """
    if not is_known(tag, request.headers.get("if-none-match")):
        return None
    kept = {name: value for name, value in (headers or {}).items() if name not in ("Content-Length", "Content-Range")}
    return Response(status_code=304, headers={**kept, "ETag": tag or ""})


async def sent(request: Request, reply: Reply, settings: Settings, itemsize: int = 1) -> Response:
    """An answer as it goes out.

    Parameters
    ----------
    request : starlette.requests.Request
    reply : Reply
    settings : Settings
    itemsize : int
        Bytes of a number, when it is an array of such; 1 by default.

    Returns
    -------
    starlette.responses.Response
    """
    headers = dict(reply.headers)
    known = unchanged(request, headers.get("ETag"), headers) if reply.status < 300 else None
    if known is not None:
        if isinstance(reply.content, Iterator):
            _close(reply.content)
        return known
    content = reply.content
    headers["Content-Type"] = reply.media_type
    media_type = reply.media_type.partition(";")[0]
    # What people recorded is shown by a browser as what it is said to be, and never run in the name of the service.
    headers["X-Content-Type-Options"] = "nosniff"
    if media_type == "text/html":
        headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    # Of what has a length already, parts may be asked for.
    if settings.compression != "never" and encodings(media_type) and "Content-Length" not in headers:
        headers["Vary"] = f"{headers['Vary']}, Accept-Encoding" if "Vary" in headers else "Accept-Encoding"
        is_needed = request.method != "HEAD" or not isinstance(content, Iterator)
        if is_needed and _is_far(request, settings):
            content = await _smaller(request, content, media_type, itemsize, headers)
    if isinstance(content, bytes | memoryview):
        if request.method == "HEAD":
            return Response(b"", reply.status, {**headers, "Content-Length": str(len(content))})
        if len(content) <= _PIECE:
            return Response(bytes(content), reply.status, headers)
        headers["Content-Length"] = str(len(content))
        return StreamingResponse(_pieces(memoryview(content)), reply.status, headers)
    if request.method == "HEAD":
        _close(content)
        return Response(b"", reply.status, headers)
    return StreamingResponse(_told(iterate_in_threadpool(content)), reply.status, headers)


def _close(pieces: Iterator[Piece]) -> None:
    """End what will not be sent, and the files that it has open."""
    close = getattr(pieces, "close", None)
    if close is not None:
        close()


def _is_far(request: Request, settings: Settings) -> bool:
    """Whether the caller is at the end of a wire on which fewer bytes are faster."""
    if settings.compression == "always" or request.client is None:
        return settings.compression == "always"
    return request.client.host not in _HERE or any(name in request.headers for name in _FROM_ELSEWHERE)


async def _smaller(
    request: Request, content: Piece | Iterator[Piece], media_type: str, itemsize: int, headers: dict[str, str]
) -> Piece | Iterator[Piece]:
    accepted = request.headers.get("accept-encoding", "")
    if not accepted:
        return content
    smaller: Piece | Iterator[Piece]
    if isinstance(content, Iterator):
        smaller, encoding = await run_in_threadpool(compressed_pieces, content, media_type, accepted)
        if not encoding:
            return smaller
    else:
        asked = content, media_type, accepted, itemsize
        found = compressed(*asked) if len(content) <= _SMALL else await run_in_threadpool(compressed, *asked)
        if found is None:
            return content
        smaller, encoding = found
    headers["Content-Encoding"] = encoding
    if "ETag" in headers:  # The same data, but not the same bytes.
        headers["ETag"] = f"W/{headers['ETag'].removeprefix('W/')}"
    return smaller


async def _pieces(content: memoryview) -> AsyncIterator[memoryview]:
    """Data in pieces, so that one slow caller holds no second copy of it in a buffer of the network."""
    at, size = 0, _PIECE
    while at < len(content):
        begin = monotonic()
        yield content[at : at + size]
        at += size
        size = min(2 * size, _LARGE_PIECE) if monotonic() - begin < _NO_TIME else _PIECE


async def _told(pieces: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    """Pieces as they come; when one fails the answer breaks off, which the caller sees, and the log says why."""
    try:
        async for piece in pieces:
            yield piece
    except Exception:
        _logger.exception("an answer broke off")
        raise
