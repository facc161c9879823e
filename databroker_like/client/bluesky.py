"""Runs, and catalogs of runs, among the nodes of a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from databroker_like import queries as q
from databroker_like.client._runs._collection import source_and_revisions
from databroker_like.client._runs._server import Server
from databroker_like.client.composite import CompositeClient
from databroker_like.client.container import Container
from databroker_like.client.remote import BlueskyRemoteCatalog
from databroker_like.core._remote import RemoteBlueskyRun
from databroker_like.errors import AmbiguousKey, Invalid, NoSuchRun, NotFound, listed

__all__ = ["BlueskyEventStream", "BlueskyRun", "CatalogOfBlueskyRuns"]


class BlueskyEventStream(CompositeClient):
    """A stream of a run: its columns and its arrays along the times of its events.

    What a node with the spec ``BlueskyEventStream`` is opened as.
    """

    _first_axis = "time"


class BlueskyRun(Container):
    """A run as a container of its streams, which also has the documents that were recorded.

    What a node with the spec ``BlueskyRun`` is opened as. Its members are nodes, as of every container; `run` is the
    same run as catalogs of this package have it, whose streams are labelled datasets.
    """

    @property
    def start(self) -> Mapping[str, Any]:
        """The start document, as it was when this was opened."""
        return self.metadata.get("start") or {}

    @property
    def stop(self) -> Mapping[str, Any] | None:
        """The stop document, as it was when this was opened; None when the run went on."""
        return self.metadata.get("stop") or None

    @property
    def run(self) -> RemoteBlueskyRun:
        """The run with its streams as datasets: ``client.run["primary"].read()``."""
        path = tuple(self.path_parts)
        source, corrections = source_and_revisions(Server(self.context), path, self.item)
        name = str(self.start.get("uid") or path[-1])
        found: RemoteBlueskyRun = RemoteBlueskyRun(self.uri, name=name, source=source, corrections=corrections)
        return found

    @property
    def streams(self) -> list[str]:
        """The names of the streams, in the order in which they were declared."""
        return list(self.run)

    def documents(
        self, fill: str = "no", *, strict_order: bool = True, revision: int | None = None
    ) -> Iterator[tuple[str, Any]]:
        """The documents of the run, each after all those that it refers to.

        A server that keeps runs as nodes alone has no documents; they are made of the nodes then, the same each time.

        Parameters
        ----------
        fill : {"no", "yes", "delayed"}
            As of `databroker_like.core.BlueskyRun.documents`.
        strict_order : bool
            One event to a page, in the order of their times; True by default.
        revision : int, optional
            As they were after so many amendments, where the server keeps that; as they are now by default.

        Returns
        -------
        iterator of (name, document)
        """
        return self.run.documents(fill=fill, strict_order=strict_order, revision=revision)


class CatalogOfBlueskyRuns(Container):
    """A container of runs, which are also looked up by part of a uid, by scan_id and by how recent they are.

    What a node with the spec ``CatalogOfBlueskyRuns`` is opened as. `runs` is the same as a catalog of this package,
    which is searched as these are.
    """

    @property
    def runs(self) -> BlueskyRemoteCatalog:
        """The runs as a catalog: ``client.runs.search({"plan_name": "scan"})[-1]["primary"].read()``.

        Raises
        ------
        Invalid
            When these are the results of a search among nodes; search the catalog in its place.
        """
        if self._queries:
            raise Invalid("these are the results of a search; search in .runs of the whole container in its place")
        name = self.path_parts[-1] if self.path_parts else None
        return BlueskyRemoteCatalog("/".join(self.path_parts), context=self.context, name=name)

    def __getitem__(self, keys: Any) -> Any:
        if isinstance(keys, str):
            try:
                return super().__getitem__(keys)
            except NotFound:
                found = self._begun(keys) if keys and not set(keys) & set("/%_") else []
                if len(found) > 1:
                    raise AmbiguousKey(
                        f"the uids of several runs begin with {keys!r}, such as {listed(found)}; give more of it"
                    ) from None
                if not found:
                    raise
                return super().__getitem__(found[0])
        if isinstance(keys, bool) or not hasattr(keys, "__index__"):
            return super().__getitem__(keys)
        if keys < 0:
            return self.values()[keys]
        for run in self.search(q.Eq("start.scan_id", int(keys))).values()[-1:]:
            return run
        raise NoSuchRun(f"no run in {self.uri} has the scan_id {keys}")

    def _begun(self, text: str) -> list[str]:
        """The keys of a few runs whose uids begin with a text."""
        return self.search(q.Like("start.uid", f"{text}%")).keys()[:3]
