"""Runs and streams that a server has: read as those that are here, and fetched block by block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from databroker_like import registry
from databroker_like.core._header import Header
from databroker_like.core._intake import CatalogBase
from databroker_like.core._run import BlueskyRun
from databroker_like.core._source import RunSource
from databroker_like.core._stream import BlueskyEventStream
from databroker_like.errors import Invalid, NotOffered

__all__ = ["RemoteBlueskyEventStream", "RemoteBlueskyRun"]


def _source(url: str, http_args: Mapping[str, Any]) -> RunSource:
    return registry.load("client.remote_source")(url, headers=http_args.get("headers"))


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
        source: RunSource | None = None,
        transforms: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not url and source is None:
            raise Invalid("a remote run needs a url: that of its node on a server")
        self.url = url
        self.http_args = {**(http_args or {}), **({"headers": dict(headers)} if headers else {})}
        self.parameters = dict(parameters or {})
        if source is None:
            source = _source(url, self.http_args)
        super().__init__(
            source=source,
            transforms=transforms,
            corrections=kwargs.get("corrections"),
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
        """The run as it was after so many amendments, as far as that is known here.

        Parameters
        ----------
        revision : int

        Returns
        -------
        BlueskyRun

        Raises
        ------
        NotOffered
            When the run was amended, or it is opened by its address alone, which does not tell.
        """
        if self._header.corrections is None:
            raise NotOffered(
                "whether this run was amended is asked of its catalog: BlueskyRemoteCatalog(url)[uid].at_revision(...)"
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
        if not self.url:
            given["source"] = self.source
        return type(self)(**{"url": self.url, "metadata": self._own_metadata(), **given, **kwargs})

    __call__ = get = configure_new

    def _own_metadata(self) -> dict[str, Any]:
        return {key: value for key, value in self._given.items() if key not in ("start", "stop")}


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
            source = _source(run, {"headers": self.headers} if self.headers else {})
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


def _run_and_stream(url: str) -> tuple[str, str]:
    """The address of a run, and the name of a stream of it, from the address of the stream."""
    parts = urlsplit(url)
    run, _, name = parts.path.rstrip("/").rpartition("/")
    if not name or not run:
        raise Invalid(f"{parts.path!r} is no address of a stream; one ends with that of its run and /primary")
    # Streams stood in a container of that name, once.
    run = run.removesuffix("/streams")
    return urlunsplit((parts.scheme, parts.netloc, run, parts.query, "")), unquote(name)
