"""The application: the one place in which requests come in and errors go out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from time import perf_counter
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from databroker_like.errors import InvalidRequest, TooLarge, WrongType
from databroker_like.nodes import ContainerNode, Node
from databroker_like.service import Access, Budget, Hold, Problem, Settings, problem_of
from databroker_like.structures import StructureFamily
from databroker_like.tree._about import about
from databroker_like.tree._asked import Asked, Params, Reply, segments_of
from databroker_like.tree._openapi import described, described_in_words
from databroker_like.tree._responses import Delivery, begun, refusal, sent, unchanged
from databroker_like.tree._tags import data_tag
from databroker_like.tree._words import JSON, from_json, to_json
from databroker_like.tree.routes import _told as tell
from databroker_like.tree.routes._all import API, REVISION, ROUTES, VIEWS, Answers

__all__ = ["API", "ROUTES", "build_app"]

_URLS = 16
_logger = logging.getLogger("databroker_like.service")
#: To a caller whose answer was not ready when the server was told to stop.
_STOPPING = Problem(503, "the service was stopped before this was answered; ask again in a while", {"Retry-After": "5"})


class _Keys(PathConvertor):
    """What follows a route: keys of nodes, in which there may be any character, also the end of a line."""

    regex = "(?s:.*)"


register_url_convertor("keys", _Keys())


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
    WrongType
        When what is to be served is no container of nodes, but a path, a catalog or a dictionary.
    Invalid
        When nobody could read, or the key has other characters.

    Examples
    --------
    >>> from databroker_like.nodes import MapNode
    >>> app = build_app(MapNode({}, metadata={"title": "an empty tree"}), public=True)
    """
    if not isinstance(root, ContainerNode):
        raise WrongType(
            f"a service serves a tree of nodes, and no {type(root).__name__}; make one: `with open_root(path) as "
            "root:` of a folder or a file, RunsNode(catalog) of a catalog of runs, MapNode(dictionary) of several nodes"
        )
    service = _Service(root, Access(api_key, public), settings or Settings())
    routes = []
    for name, answers in ROUTES.items():
        endpoint, methods = service.endpoint(name, answers), list(answers.methods)
        routes.append(Route(f"{API}/{name}/{{path:keys}}", endpoint, methods=methods))
        routes.append(Route(f"{API}/{name}", endpoint, methods=methods))
    for prefix, answers in VIEWS.items():
        endpoint, methods = service.endpoint(prefix, answers, ""), list(answers.methods)
        routes.append(Route(f"{prefix}/{{path:keys}}", endpoint, methods=methods))
    routes += [
        Route(API, service.about, methods=["GET"]),
        Route(f"{API}/", service.about, methods=["GET"]),
        Route("/healthz", service.health, methods=["GET"]),
        Route("/openapi.json", service.openapi, methods=["GET"]),
        Route("/docs", service.docs, methods=["GET"]),
        Route("/", service.door, methods=["GET"]),
    ]
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
        self.budget = Budget(settings.most_held_bytes)
        # By the URL under which the service is reached; there are few.
        self._about = lru_cache(_URLS)(partial(about, access))
        self._description = lru_cache(_URLS)(partial(described, ROUTES, VIEWS, API))

    async def health(self, request: Request) -> Response:
        """Whether the service runs."""
        return await self._json(request, {"status": "ready"})

    async def door(self, request: Request) -> Response:
        """Where the rest is."""
        root = _root(request)
        return await self._json(
            request, {"api": f"{root}{API}/", "documentation": f"{root}/docs", "openapi": f"{root}/openapi.json"}
        )

    async def openapi(self, request: Request) -> Response:
        """The description of all routes."""
        return await self._json(request, self._description(_root(request)))

    async def docs(self, request: Request) -> Response:
        """The same to be read by people, with nothing in it from elsewhere."""
        page = Reply(described_in_words(self._description(_root(request))), "text/html; charset=utf-8")
        return await sent(request, page, self.settings)

    async def _json(self, request: Request, value: Any) -> Response:
        return await sent(request, Reply(to_json(value), JSON), self.settings)

    async def about(self, request: Request) -> Response:
        """What the service says of itself, to everybody: clients find out here whether a key is needed."""
        try:
            base = f"{_root(request)}{API}"
            params = Params(request.query_params.multi_items())
            asked = Asked(self.root, self.settings, (), params, request.headers.get("accept", ""), base)
            reply = tell.told(asked, self._about(base, _root_path(request)))
        except Exception as error:  # noqa: BLE001 - as of all routes
            return refusal(problem_of(error))
        return await sent(request, reply, self.settings)

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
        return refusal(Problem(status, detail, headers))

    def endpoint(self, name: str, answers: Answers, above: str = f"{API}/") -> Callable[[Request], Any]:
        """A route: who asks, what for, and what it is answered with, errors too."""
        prefix, answer = above + name, answers.answer

        def data(asked: Asked, known: Callable[[str | None], Response | None]) -> tuple[Reply | Response, int]:
            """Data, which is not read for who has it."""
            tag = data_tag(asked, name)
            there = known(tag)
            if there is not None:
                return there, 1
            reply = begun(answer(asked))
            return (reply if tag is None else reply.with_headers({"ETag": tag})), _itemsize(asked.node)

        async def answered(request: Request, hold: Hold) -> Response:
            asked = await self._asked(request, prefix, hold)
            if REVISION in answers.parameters:
                asked = replace(asked, revision=asked.params.whole(REVISION))
            itemsize = 1
            reply: Reply | Response
            if answers.is_data:
                reply, itemsize = await run_in_threadpool(data, asked, lambda tag: unchanged(request, tag))
            elif answer is tell.metadata and _is_at_hand(asked):
                reply = answer(asked)
            else:
                reply = await run_in_threadpool(_begun, answer, asked)
            return await sent(request, reply, self.settings, itemsize) if isinstance(reply, Reply) else reply

        async def endpoint(request: Request) -> Response | Delivery:
            began, hold = perf_counter(), self.budget.hold()
            response: Response | None = None
            try:
                response = await answered(request, hold)
            except ClientDisconnect:
                raise
            except asyncio.CancelledError:
                # The server ends; the caller is told, rather than that the service failed.
                _logger.warning("%s %s was cut off, for the server stops", request.method, prefix.rstrip("/"))
                response = refusal(_STOPPING)
            except Exception as error:  # noqa: BLE001 - the border of the service: the caller gets a sentence, the log the rest
                response = refusal(problem_of(error))
            finally:
                if not isinstance(response, StreamingResponse):
                    hold.release()
            response.headers["Server-Timing"] = f"app;dur={(perf_counter() - began) * 1000:.1f}"
            if isinstance(response, StreamingResponse):
                return Delivery(response, hold, self.settings.most_idle_seconds)
            return response

        return endpoint

    async def _asked(self, request: Request, prefix: str, hold: Hold) -> Asked:
        """What is asked for, by somebody who may."""
        params, headers = Params(request.query_params.multi_items()), request.headers
        self.access.caller(headers.get("authorization"), params.one("api_key"))
        return Asked(
            self.root,
            self.settings,
            segments_of(_inside(request, prefix)),
            params,
            headers.get("accept", ""),
            f"{_root(request)}{API}",
            await self._body(request),
            _root_path(request),
            headers.get("range"),
            headers.get("if-range"),
            headers.get("if-none-match"),
            hold,
        )

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
    return begun(answer(asked))


def _is_at_hand(asked: Asked) -> bool:
    """Whether a node is told at once, so that no other thread need do it."""
    if asked.params.many("include_data_sources") or asked.params.many("select_metadata"):
        return False
    node: Node = asked.root
    for key in asked.segments:
        inside = node.get(key) if node.at_hand else None
        if inside is None:
            return False
        node = inside
    return node.at_hand and not (isinstance(node, ContainerNode) and node.is_told_whole)


def _itemsize(node: Node) -> int:
    """How many bytes a number of an array has."""
    if node.structure_family is not StructureFamily.array:
        return 1
    size: int = node.structure().data_type.itemsize  # type: ignore[union-attr]
    return size


def _inside(request: Request, prefix: str) -> bytes:
    """The path after that of the route, as it stands in the URL: a slash in a key is written ``%2F`` there."""
    raw: bytes = (request.scope.get("raw_path") or b"").partition(b"?")[0]
    _, found, rest = raw.partition(prefix.encode())
    if not found:  # the path of the route itself is encoded, or the server tells no raw path
        rest = quote(request.scope["path"].partition(prefix)[2]).encode()
    return rest


def _root(request: Request) -> str:
    """The URL of the service, as the caller reached it."""
    url = request.base_url
    return f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}"


def _root_path(request: Request) -> str:
    """The path of the service, as the caller reached it."""
    path: str = request.scope.get("root_path", "")
    return path + API.rpartition("/")[0]
