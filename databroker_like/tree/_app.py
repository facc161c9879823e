"""The application: which route does what, and the one place in which requests come in and errors go out."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import chain
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from databroker_like.errors import InvalidRequest, TooLarge
from databroker_like.nodes import ContainerNode
from databroker_like.service import Access, Problem, Settings, problem_of
from databroker_like.tree import _data_routes as data
from databroker_like.tree import _told_routes as tell
from databroker_like.tree._about import about
from databroker_like.tree._asked import Asked, Params, Reply, segments_of
from databroker_like.tree._container_formats import RUN_FORMATS
from databroker_like.tree._words import JSON, from_json, to_json

__all__ = ["API", "ROUTES", "build_app"]

_logger = logging.getLogger("databroker_like.service")

#: Under which path the routes are.
API = "/api/v1"
#: How much is handed to the network at once.
_PIECE = 1 << 20

#: Route -> what answers it, and by which methods it is asked.
ROUTES: dict[str, tuple[Callable[[Asked], Reply], tuple[str, ...]]] = {
    "metadata": (tell.metadata, ("GET",)),
    "search": (tell.search, ("GET",)),
    "distinct": (tell.distinct, ("GET",)),
    "array/full": (data.array_full, ("GET",)),
    "array/block": (data.array_block, ("GET",)),
    "table/full": (data.table_full, ("GET", "POST")),
    "table/partition": (data.table_partition, ("GET", "POST")),
    "container/full": (data.container_full, ("GET", "POST")),
    "node/full": (data.node_full, ("GET",)),
    "documents": (data.documents, ("GET",)),
}


def build_app(
    root: ContainerNode, *, api_key: str | None = None, public: bool = False, settings: Settings | None = None
) -> Starlette:
    """A service of a tree, to which the clients of the Tiled protocol connect for reading.

    Parameters
    ----------
    root : ContainerNode
        What is served.
    api_key : str, optional
        Letters, digits and underscores; who shows it may read.
    public : bool
        Whether anybody may read without a key; False by default.
    settings : Settings, optional
        Limits on what may be asked for.

    Returns
    -------
    starlette.applications.Starlette
        An ASGI application, for uvicorn or any other server of these.

    Raises
    ------
    Invalid
        When nobody could read, or the key has other characters.

    Examples
    --------
    >>> from databroker_like.nodes import MapNode
    >>> app = build_app(MapNode({}, metadata={"title": "an empty tree"}), public=True)
    """
    service = _Service(root, Access(api_key, public), settings or Settings())
    routes = [
        Route("/healthz", service.health, methods=["GET"]),
        Route(API, service.about, methods=["GET"]),
        Route(f"{API}/", service.about, methods=["GET"]),
    ]
    for name, (answer, methods) in ROUTES.items():
        endpoint = service.endpoint(f"{API}/{name}", answer)
        routes.append(Route(f"{API}/{name}", endpoint, methods=list(methods)))
        routes.append(Route(f"{API}/{name}/{{path:path}}", endpoint, methods=list(methods)))
    app = Starlette(routes=routes, exception_handlers={HTTPException: service.no_route})
    # A slash more at the end of a path is the same path; the application finds that without sending callers around.
    app.router.redirect_slashes = False
    return app


class _Service:
    """What all requests share."""

    def __init__(self, root: ContainerNode, access: Access, settings: Settings) -> None:
        self.root = root
        self.access = access
        self.settings = settings

    async def health(self, request: Request) -> Response:
        """Whether the service runs."""
        return Response(to_json({"status": "ready"}), media_type=JSON)

    async def about(self, request: Request) -> Response:
        """What the service says of itself, to everybody: clients find out here whether a key is needed."""
        base, root_path = _base(request), request.scope.get("root_path", "") + API.rpartition("/")[0]
        reply = tell.told(
            Asked(self.root, self.settings, (), Params(()), request.headers.get("accept", ""), base),
            about(self.access, base, root_path, RUN_FORMATS),
        )
        return _response(request, reply)

    async def no_route(self, request: Request, error: Exception) -> Response:
        """What is answered where there is no route, or not by this method."""
        status = getattr(error, "status_code", 404)
        headers = dict(getattr(error, "headers", None) or {})
        if status == 405:
            detail = (
                f"{request.method} is not answered here; {headers.get('Allow', 'GET')} is: this service is for reading"
            )
        else:
            detail = f"there is nothing at this URL; the routes are under {API}/, such as {API}/metadata/"
        return _refusal(Problem(status, detail, headers))

    def endpoint(self, prefix: str, answer: Callable[[Asked], Reply]) -> Callable[[Request], Any]:
        """A route: who asks, what for, and what it is answered with, errors too."""

        async def endpoint(request: Request) -> Response:
            try:
                params = Params(request.query_params.multi_items())
                self.access.caller(request.headers.get("authorization"), params.one("api_key"))
                asked = Asked(
                    self.root,
                    self.settings,
                    segments_of(_inside(request, prefix)),
                    params,
                    request.headers.get("accept", ""),
                    _base(request),
                    await self._body(request),
                )
                reply = await run_in_threadpool(_begun, answer, asked)
            except ClientDisconnect:
                raise
            except Exception as error:  # noqa: BLE001 - the border of the service: the caller gets a sentence, the log the rest
                return _refusal(problem_of(error))
            return _response(request, reply)

        return endpoint

    async def _body(self, request: Request) -> Any:
        """What was sent with a POST, as JSON."""
        if request.method != "POST":
            return None
        most, read = self.settings.most_body_bytes, bytearray()
        async for piece in request.stream():
            read += piece
            if len(read) > most:
                raise TooLarge(f"a body has {most} bytes at the most")
        if not read:
            return None
        kind = request.headers.get("content-type", JSON).partition(";")[0].strip()
        if kind != JSON:
            raise InvalidRequest(f"a body is sent as {JSON}, not as {kind!r:.80}")
        return from_json(bytes(read), "the body")


def _begun(answer: Callable[[Asked], Reply], asked: Asked) -> Reply:
    """An answer whose first piece is there: what is wrong with the request shows before anything is sent."""
    reply = answer(asked)
    if isinstance(reply.content, Iterator):
        first = next(reply.content, b"")
        return Reply(chain((first,), reply.content), reply.media_type, reply.headers, reply.status)
    return reply


def _inside(request: Request, prefix: str) -> bytes:
    """The path after that of the route, as it stands in the URL: a slash in a key is written ``%2F`` there."""
    raw: bytes = (request.scope.get("raw_path") or b"").partition(b"?")[0]
    _, found, rest = raw.partition(prefix.encode())
    if not found:  # the path of the route itself is encoded, or the server tells no raw path
        rest = quote(request.scope["path"].partition(prefix)[2]).encode()
    return rest


def _base(request: Request) -> str:
    """The URL under which the routes are, as the caller reached it."""
    url = request.base_url
    return f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}{API}"


def _refusal(problem: Problem) -> Response:
    # A surrogate that came in with the request cannot go out in a sentence.
    return Response(
        to_json({"detail": problem.detail}), status_code=problem.status, media_type=JSON, headers=problem.headers
    )


def _response(request: Request, reply: Reply) -> Response:
    tag = reply.headers.get("ETag")
    if tag is not None and tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=dict(reply.headers))
    headers = {**reply.headers, "Content-Type": reply.media_type}
    content = reply.content
    if isinstance(content, bytes | memoryview):
        if len(content) <= _PIECE:
            return Response(bytes(content), reply.status, headers)
        headers["Content-Length"] = str(len(content))
        return StreamingResponse(_pieces(memoryview(content)), reply.status, headers)
    return StreamingResponse(_told(iterate_in_threadpool(content)), reply.status, headers)


async def _pieces(content: memoryview) -> AsyncIterator[memoryview]:
    """Data in pieces, so that one slow caller holds no second copy of it in a buffer of the network."""
    for at in range(0, len(content), _PIECE):
        yield content[at : at + _PIECE]


async def _told(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces as they come; when one fails the answer breaks off, which the caller sees, and the log says why."""
    try:
        async for piece in pieces:
            yield piece
    except Exception:
        _logger.exception("an answer broke off")
        raise
