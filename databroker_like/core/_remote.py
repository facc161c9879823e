"""Runs and streams that a server has: read as those that are here, and fetched block by block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from databroker_like import registry
from databroker_like.core._corrections import Corrections
from databroker_like.core._header import Header
from databroker_like.core._intake import CatalogBase
from databroker_like.core._run import BlueskyRun
from databroker_like.core._source import RunSource
from databroker_like.core._stream import BlueskyEventStream
from databroker_like.errors import Invalid, NotOffered

__all__ = ["RemoteBlueskyEventStream", "RemoteBlueskyRun", "headers_as_saved", "url_as_saved"]

#: What a stream may be narrowed by.
_PARAMETERS = ("include", "exclude", "sub_dict", "configuration_for")
#: Headers that say who asks.
_SECRETS = ("authorization", "proxy-authorization", "cookie")


def _source(url: str, http_args: Mapping[str, Any], api_key: str | None) -> tuple[RunSource, Corrections | None]:
    found: tuple[RunSource, Corrections | None] = registry.load("client.remote_source")(
        url, headers=http_args.get("headers"), api_key=api_key
    )
    return found


def url_as_saved(url: str) -> str:
    """An address as a catalog file may have it: without an API key, and without user and password.

    Parameters
    ----------
    url : str

    Returns
    -------
    str

    Examples
    --------
    >>> url_as_saved("http://me:word@localhost:8000/api/v1?a=1&api_key=secret")
    'http://localhost:8000/api/v1?a=1'
    """
    parts = urlsplit(url)
    rest = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "api_key"]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, urlencode(rest), parts.fragment))


def headers_as_saved(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Headers as a catalog file may have them: without those that say who asks.

    Parameters
    ----------
    headers : mapping

    Returns
    -------
    dict

    Examples
    --------
    >>> headers_as_saved({"X-Lab": "3", "Authorization": "Apikey secret"})
    {'X-Lab': '3'}
    """
    return {name: value for name, value in headers.items() if name.lower() not in _SECRETS}


def _saved(name: str | None, kind: type, metadata: Mapping[str, Any], url: str, more: Mapping[str, Any]) -> Any:
    """What a catalog file says of a run or a stream: where it is, and no secret."""
    if not url:
        raise NotOffered("what has no address cannot be saved: it was opened from its source")
    args = {"url": url_as_saved(url), **{key: value for key, value in more.items() if value}}
    source = {"driver": f"{kind.__module__}.{kind.__qualname__}", "description": "", "metadata": metadata, "args": args}
    return {"sources": {name or unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]): source}}


class _TakesAnything(type(CatalogBase)):  # type: ignore[misc]
    """Makes an object as Python does: what a server says more of a run is passed over."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return type.__call__(cls, *args, **kwargs)


class RemoteBlueskyRun(BlueskyRun, metaclass=_TakesAnything):
    """A run that a server has: the streams, data and documents of a `BlueskyRun`, fetched when they are asked for.

    Constructing it asks nothing of the server. External files are opened on the server, and their data is sent block
    by block, blocks side by side. The API key is that in the URL or in the environment variable ``TILED_API_KEY``; it
    and the headers go to this server alone.

    Parameters
    ----------
    url : str
        The address of the run's node, on any server of the Tiled protocol.
    http_args : dict, optional
        For its requests; ``headers`` among them.
    name : str, optional
    parameters : dict, optional
        Kept as it is: nothing is made anew on the server for one who reads.
    metadata : dict, optional
        More metadata; ``start`` and ``stop`` are always the run's own.
    headers : dict, optional
        For its requests, in the place of ``http_args``.
    api_key : str, optional
        In the place of the one in the URL or in ``TILED_API_KEY``; not written into a saved catalog.
    source : RunSource, optional
        The getters of the run, in the place of the address.
    transforms : dict, optional
        ``"start"``, ``"stop"``, ``"resource"``, ``"descriptor"`` -> function that mends such a document.
    **kwargs
        Passed over.

    Notes
    -----
    ``get_file_list`` is not there: the paths of a server mean nothing here.

    Examples
    --------
    >>> run = RemoteBlueskyRun("http://localhost:8000/api/v1/metadata/runs/41fb8ca9", {"headers": {"X-Lab": "3"}})
    >>> run.url
    'http://localhost:8000/api/v1/metadata/runs/41fb8ca9'
    """

    def __init__(
        self,
        url: str = "",
        http_args: Mapping[str, Any] | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, Any] | None = None,
        api_key: str | None = None,
        source: RunSource | None = None,
        transforms: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not url and source is None:
            raise Invalid("a remote run needs a url: that of its node on a server")
        self.url = url
        self.http_args = {**(http_args or {}), **({"headers": dict(headers)} if headers else {})}
        self.parameters = dict(parameters or {})
        self._api_key = api_key
        corrections = kwargs.get("corrections")
        if source is None:
            source, corrections = _source(url, self.http_args, api_key)
        super().__init__(
            source=source,
            transforms=transforms,
            corrections=corrections,
            name=name,
            metadata=dict(metadata or {}),
        )

    @property
    def get_file_list(self) -> Any:
        """Not there: the paths of a server mean nothing here."""
        raise AttributeError("get_file_list")

    def __getattr__(self, name: str) -> Any:
        if name == "get_file_list":
            raise AttributeError(f"{type(self).__name__} has no 'get_file_list': its files are on the server")
        return super().__getattr__(name)

    def at_revision(self, revision: int) -> BlueskyRun:
        """The run as it was after so many amendments, where the server keeps that.

        Parameters
        ----------
        revision : int
            0 is what was recorded.

        Returns
        -------
        BlueskyRun

        Raises
        ------
        OutOfRange
            When there is no such revision.
        NotOffered
            When the run was changed on a server that has the nodes of runs alone, as one of Tiled; or it was made of
            getters, which do not tell.
        """
        if self._header.corrections is None:
            raise NotOffered(
                "this run was made of getters, which tell it as it is; open it by its url, or in a catalog: "
                "BlueskyRemoteCatalog(url)[uid].at_revision(...)"
            )
        return super().at_revision(revision)

    def _make_stream(self, name: str) -> BlueskyEventStream:
        url = f"{self.url.partition('?')[0].rstrip('/')}/{quote(name, safe='')}" if self.url else ""
        return RemoteBlueskyEventStream(url, name=name, header=self._header)

    def configure_new(self, **kwargs: Any) -> Any:
        """This run; or, with arguments, a new one with those changed."""
        if not kwargs:
            return self
        given: dict[str, Any] = {"http_args": self.http_args, "name": self.name, "parameters": self.parameters}
        if self._api_key:
            given["api_key"] = self._api_key
        if not self.url:
            given["source"] = self.source
        return type(self)(**{"url": self.url, "metadata": self._own_metadata(), **given, **kwargs})

    __call__ = get = configure_new

    def _own_metadata(self) -> dict[str, Any]:
        return {key: value for key, value in self._given.items() if key not in ("start", "stop")}

    def _yaml(self) -> Any:
        http_args = {key: value for key, value in self.http_args.items() if key != "headers"}
        headers = headers_as_saved(self.http_args.get("headers") or {})
        more = {"http_args": {**http_args, **({"headers": headers} if headers else {})}, "parameters": self.parameters}
        return _saved(self.name, type(self), self._own_metadata(), self.url, more)


class RemoteBlueskyEventStream(BlueskyEventStream):
    """A stream of a run that a server has: the same data as of a `BlueskyEventStream`, fetched when it is asked for.

    Parameters
    ----------
    url : str
        The address of the stream's node, below that of its run.
    headers : dict, optional
        For its requests.
    name : str, optional
        Of the stream; by default the last part of the address.
    parameters : dict, optional
        ``include``, ``exclude``, ``sub_dict`` and ``configuration_for``, as of a `BlueskyEventStream`.
    metadata : dict, optional
        More metadata; ``start``, ``stop`` and ``descriptors`` are always the run's own.
    include, exclude, sub_dict, configuration_for
        In the place of ``parameters``.
    api_key : str, optional
        In the place of the one in the URL or in ``TILED_API_KEY``; not written into a saved catalog.
    header : Header, optional
        Of the run, when that is at hand.
    **kwargs
        Passed over.

    Examples
    --------
    >>> stream = RemoteBlueskyEventStream("http://localhost:8000/api/v1/metadata/runs/41fb8ca9/primary")
    >>> stream.name
    'primary'
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, Any] | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        include: list[str] | None = None,
        exclude: list[str] | None = None,
        sub_dict: str | None = None,
        configuration_for: str | None = None,
        api_key: str | None = None,
        header: Header | None = None,
        **kwargs: Any,
    ) -> None:
        self.url = url
        self.headers = dict(headers or {})
        self.parameters = dict(parameters or {})
        source = None
        if header is None:
            run, name_in_url = _run_and_stream(url)
            name = name or name_in_url
            source, _ = _source(run, {"headers": self.headers} if self.headers else {}, api_key)
        super().__init__(
            name or "primary",
            source=source,
            header=header,
            metadata=metadata,
            include=include or self.parameters.get("include"),
            exclude=exclude or self.parameters.get("exclude"),
            sub_dict=sub_dict or self.parameters.get("sub_dict") or "data",
            configuration_for=configuration_for or self.parameters.get("configuration_for"),
        )

    def _yaml(self) -> Any:
        of_run = ("start", "stop", "descriptors", "catalog_dir")
        metadata = {key: value for key, value in self._given.items() if key not in of_run}
        given = {key: self._captured_init_kwargs.get(key) for key in _PARAMETERS}
        more = {"headers": headers_as_saved(self.headers), "parameters": self.parameters, **given}
        return _saved(self.name, type(self), metadata, self.url, more)


def _run_and_stream(url: str) -> tuple[str, str]:
    """The address of a run, and the name of a stream of it, from the address of the stream."""
    parts = urlsplit(url)
    run, _, name = parts.path.rstrip("/").rpartition("/")
    if not name or not run:
        raise Invalid(f"{parts.path!r} is no address of a stream; one ends with that of its run and /primary")
    # Streams stood in a container of that name, once.
    run = run.removesuffix("/streams")
    return urlunsplit((parts.scheme, parts.netloc, run, parts.query, "")), unquote(name)
