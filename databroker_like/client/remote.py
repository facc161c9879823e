"""The catalog of runs that a server has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from databroker_like.client._runs._collection import RemoteRuns
from databroker_like.client._runs._server import Server, server_at
from databroker_like.client.context import Context
from databroker_like.core._collection import RunCollection
from databroker_like.core._remote import RemoteBlueskyRun, headers_as_saved, url_as_saved
from databroker_like.core._source import RunSource
from databroker_like.errors import WrongType
from databroker_like.v2 import Broker

__all__ = ["BlueskyRemoteCatalog"]


class BlueskyRemoteCatalog(Broker):
    """Runs on a server of the Tiled protocol, looked up, searched and read as if they were here.

    Opening it asks nothing. Searches are answered by the server as far as it can, and finished here; external files
    are opened by the server, and their data is sent block by block.

    Parameters
    ----------
    url : str
        The address of the container with the runs: ``http://localhost:8000``, or
        ``http://localhost:8000/api/v1/metadata/raw``.
    headers : dict, optional
        Sent with every request to this server, and to no other.
    api_key : str, optional
        The environment variable ``TILED_API_KEY`` by default. It goes to this server alone, is not shown, and is not
        written into the YAML of a saved catalog.
    context : databroker_like.client.context.Context, optional
        A server that is open already, such as an application in process; ``url`` is the path of a node there then.
    handler_registry, root_map, filler_class : optional
        As of every catalog; external files are opened by the server, with its own.
    query : dict, optional
        Only the runs whose start document matches; all by default.
    transforms : dict, optional
        ``"start"``, ``"stop"``, ``"resource"``, ``"descriptor"`` -> function that mends such a document, here.
    **kwargs
        What every intake catalog takes: ``name``, ``description``, ``metadata``, ...

    Examples
    --------
    >>> catalog = BlueskyRemoteCatalog("http://localhost:8000/api/v1/metadata/raw", headers={"X-Lab": "3"})
    >>> catalog.url
    'http://localhost:8000/api/v1/metadata/raw'
    """

    name = "bluesky-remote-catalog"

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        api_key: str | None = None,
        context: Context | None = None,
        handler_registry: Mapping[str, Any] | None = None,
        root_map: Mapping[str, str] | None = None,
        filler_class: Any = "event_model.Filler",
        query: Any = None,
        transforms: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(url, str):
            raise WrongType(f"the url of a server is text, such as 'http://localhost:8000', not {url!r:.100}")
        self.url = url
        self._headers = dict(headers or {})
        self._api_key = api_key
        self._context = context
        super().__init__(
            handler_registry=handler_registry,
            root_map=root_map,
            filler_class=filler_class,
            query=query,
            transforms=transforms,
            **kwargs,
        )

    def _make_collection(self) -> RunCollection:
        if self._context is not None:
            return RemoteRuns(Server(self._context), tuple(part for part in self.url.split("/") if part))
        return RemoteRuns(*server_at(self.url, headers=self._headers, api_key=self._api_key))

    def _opened(self, source: RunSource, **settings: Any) -> RemoteBlueskyRun:
        collection = self.collection
        assert isinstance(collection, RemoteRuns)
        url = collection.url(settings["name"])
        http_args = {"headers": self._headers} if self._headers else {}
        return RemoteBlueskyRun.from_source(source, url=url, http_args=http_args, **settings)

    def _yaml(self) -> Any:
        data = super()._yaml()
        for source in data["sources"].values():
            args = source["args"]
            if args.get("api_key"):
                args["api_key"] = "{{ env(TILED_API_KEY) }}"
            if isinstance(args.get("url"), str):
                args["url"] = url_as_saved(args["url"])
            if args.get("headers"):
                args["headers"] = headers_as_saved(args["headers"])
        return data
