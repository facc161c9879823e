"""Runs and streams that another machine serves: what they are called and how they answer; reading needs a service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from intake.source.base import DataSource

from databroker_like.core._documents import check_fill
from databroker_like.core._intake import CatalogBase
from databroker_like.core._persistence import NotPersisted
from databroker_like.errors import NotOffered

__all__ = ["RemoteBlueskyEventStream", "RemoteBlueskyRun"]


def _not_here(what: str, url: str) -> NoReturn:
    raise NotOffered(
        f"{what} at {url!r} cannot be read over the network by this release; open the catalog where its files are, or "
        "copy them here"
    )


class _TakesAnything(type(CatalogBase)):  # type: ignore[misc]
    """Makes an object as Python does: what a server says more of a run is passed over."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return type.__call__(cls, *args, **kwargs)


class RemoteBlueskyRun(NotPersisted, CatalogBase, metaclass=_TakesAnything):
    """A run that a server has.

    Parameters
    ----------
    url : str
        The address of the server.
    http_args : dict, optional
        For its requests; ``headers`` among them.
    name : str, optional
    parameters : dict, optional
        For the server, when it opens the run.
    metadata : dict, optional
    headers : dict, optional
        For its requests, in the place of ``http_args``.
    **kwargs
        Passed over.

    Examples
    --------
    >>> run = RemoteBlueskyRun("http://beamline:8000", {}, "41fb8ca9", {}, metadata={"start": {"uid": "41fb8ca9"}})
    >>> run
    <RemoteBlueskyRun uid='41fb8ca9'>
    """

    container = "bluesky-run"
    version = "0.0.1"
    partition_access = True
    name = "bluesky-run"

    def __init__(
        self,
        url: str,
        http_args: Mapping[str, Any] | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.url = url
        self.http_args = {**(http_args or {}), **({"headers": dict(headers)} if headers else {})}
        self.parameters = dict(parameters or {})
        super().__init__(name=name, metadata=dict(metadata or {}))

    def _make_entries_container(self) -> Mapping[str, Any]:
        return _Nothing(self)

    def configure_new(self, **kwargs: Any) -> Any:
        """This run; or, with arguments, a new one with those changed."""
        if not kwargs:
            return self
        given = {"http_args": self.http_args, "name": self.name, "parameters": self.parameters}
        return type(self)(**{"url": self.url, "metadata": self.metadata, **given, **kwargs})

    __call__ = get = configure_new

    def __getattr__(self, name: str) -> Any:
        # A catalog looks for attributes among its members, which are elsewhere.
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def documents(
        self, *, fill: str, strict_order: bool = True, revision: int | None = None
    ) -> Iterator[tuple[str, Any]]:
        """The documents of the run, which this release does not fetch."""
        check_fill(fill)
        if fill == "delayed":
            raise NotOffered("fill='delayed' is not offered for a run on a server; use 'yes' or 'no'")
        _not_here("a run", self.url)

    def canonical(self, *, fill: str, strict_order: bool = True) -> Iterator[tuple[str, Any]]:
        """What `documents` was called before."""
        return self.documents(fill=fill, strict_order=strict_order)

    def read_canonical(self) -> Iterator[tuple[str, Any]]:
        """What ``documents(fill="yes")`` was called before."""
        return self.documents(fill="yes")

    def read(self) -> Any:
        """Not offered: the streams are what is read."""
        raise NotOffered("a run itself is not read; read one of its streams, as in run['primary'].read()")

    to_dask = read

    def search(self, *args: Any, **kwargs: Any) -> Any:
        """Not offered: catalogs of runs are searched."""
        raise NotOffered("a run is not searched; search the catalog it comes from: catalog.search({...})")

    def __repr__(self) -> str:
        uid = (self.metadata.get("start") or {}).get("uid", self.name)
        return f"<{type(self).__name__} uid={uid!r}>"


class _Nothing(Mapping[str, Any]):
    def __init__(self, run: RemoteBlueskyRun) -> None:
        self._run = run

    def __getitem__(self, name: str) -> Any:
        _not_here(f"the stream {name!r} of a run", self._run.url)

    def __contains__(self, name: object) -> bool:
        _not_here("a run", self._run.url)

    def __iter__(self) -> Iterator[str]:
        _not_here("a run", self._run.url)

    def __len__(self) -> int:
        _not_here("a run", self._run.url)


class RemoteBlueskyEventStream(NotPersisted, DataSource):
    """A stream of a run that a server has.

    Parameters
    ----------
    url : str
        The address of the server.
    headers : dict, optional
        For its requests.
    name : str, optional
    parameters : dict, optional
        For the server, when it opens the stream.
    metadata : dict, optional
    **kwargs
        Passed over.
    """

    container = "bluesky-event-stream"
    version = "0.0.1"
    partition_access = True
    name = "bluesky-event-stream"
    _ipython_display_ = None

    def __init__(
        self,
        url: str,
        headers: Mapping[str, Any] | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.url = url
        self.headers = dict(headers or {})
        self.parameters = dict(parameters or {})
        super().__init__(metadata=dict(metadata or {}))
        if name is not None:
            self.name = name

    def read(self) -> Any:
        """The stream in memory, which this release does not fetch."""
        _not_here("a stream", self.url)

    def to_dask(self) -> Any:
        """The stream as dask arrays, which this release does not fetch."""
        _not_here("a stream", self.url)

    def read_partition(self, partition: Any) -> Any:
        """Some of the documents, which this release does not fetch."""
        _not_here("a stream", self.url)

    def configure_new(self, **kwargs: Any) -> Any:
        """This stream; or, with arguments, a new one with those changed."""
        if not kwargs:
            return self
        given = {"headers": self.headers, "name": self.name, "parameters": self.parameters}
        return type(self)(**{"url": self.url, "metadata": self.metadata, **given, **kwargs})

    __call__ = get = configure_new

    def _close(self) -> None:
        return

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} at {self.url}>"
