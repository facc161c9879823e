"""The nodes of another server of the Tiled protocol, each asked for as it is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databroker_like import registry
from databroker_like.errors import DatabrokerError, NotFound, NotOffered
from databroker_like.nodes._arrays import ArrayNode
from databroker_like.nodes._asking import as_sorting
from databroker_like.nodes._node import DEFAULT_SORTING, ContainerNode, Node, Query, Sorting
from databroker_like.nodes._revised import Revised
from databroker_like.nodes._run import RunNode
from databroker_like.nodes._run_parts import RunParts
from databroker_like.nodes._tables import TableNode
from databroker_like.slices import Slices
from databroker_like.structures import Spec
from databroker_like.utils._once import once

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["RemoteNode", "remote_node"]


def remote_node(server: str, path: str | None = None) -> RemoteNode:
    """A node on another server.

    Parameters
    ----------
    server : str
        Its URL, with ``?api_key=...`` where it needs one; ``tiled://`` stands for ``http://``.
    path : str, optional
        That of the node; the root by default.

    Returns
    -------
    RemoteNode

    Raises
    ------
    Unreachable
        When there is no such server.
    NotFound
        When it has no such node.
    """
    scheme, mark, rest = server.partition("://")
    url = f"http://{rest}" if scheme == "tiled" and mark else server
    client = registry.load("client.from_uri")(url)
    try:
        return _node_of(client[path] if path else client)
    except DatabrokerError:
        client.context.close()
        raise


class RemoteNode(Node):
    """A node that is known through a client of it.

    Parameters
    ----------
    client : BaseClient
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._specs = tuple(Spec(spec.name, spec.version) for spec in client.specs)

    @property
    def metadata(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._client.metadata_copy()
        return found

    @property
    def specs(self) -> tuple[Spec, ...]:
        return self._specs

    def structure(self) -> Any:
        return self._client.structure()

    def close(self) -> None:
        """Release the connections to the server, for all of its nodes."""
        self._client.context.close()


class _RemoteContainer(RemoteNode, ContainerNode):
    def __init__(self, client: Any, sorting: Sorting = DEFAULT_SORTING) -> None:
        super().__init__(client)
        self._sorting = sorting

    def structure(self) -> Any:
        return ContainerNode.structure(self)

    def get(self, key: str) -> Node | None:
        # A slash in a key is a part of it here, and parts two keys there.
        if not key or "/" in key:
            return None
        try:
            return _node_of(self._client[key])
        except NotFound:
            return None

    def items(self, offset: int = 0, limit: int | None = None) -> Iterator[tuple[str, Node]]:
        return ((key, _node_of(client)) for key, client in self._client.listed("items", start=offset, most=limit))

    def keys(self, offset: int = 0, limit: int | None = None) -> Iterator[str]:
        found: Iterator[str] = self._client.listed("keys", start=offset, most=limit)
        return found

    def count(self) -> int:
        return len(self._client)

    def search(self, query: Query) -> ContainerNode:
        return _RemoteContainer(self._client.search(query), self._sorting)

    def sorted(self, by: Sequence[tuple[str, int]]) -> ContainerNode:
        sorting = as_sorting(by)
        return _RemoteContainer(self._client.sort(*sorting), sorting)

    @property
    def sorting(self) -> Sorting:
        return self._sorting

    def distinct(self, key: str) -> list[tuple[Any, int]]:
        found = self._client.distinct(key, counts=True)["metadata"].get(key) or ()
        return [(one["value"], one["count"]) for one in found]


class _RemoteRun(_RemoteContainer):
    """A run: its nodes as they are there, and its documents as a remote run has them."""

    @once
    def _run(self) -> RunNode:
        return RunNode(self._client.run._header)

    def documents(self, *, fill: str = "no") -> Iterator[tuple[str, Any]]:
        """The documents of the run; made of its nodes, where the other server has no others.

        Parameters
        ----------
        fill : {"no", "yes"}

        Returns
        -------
        iterator of (name, document)
        """
        return self._run.documents(fill=fill)


class _RemoteRunInParts(_RemoteRun):
    """A run that the other server tells in parts, at every revision, and which is so handed on."""

    @property
    def parts(self) -> RunParts:
        """The run in parts."""
        return self._run.parts

    def revisions(self) -> Sequence[Revised]:
        return self._run.revisions()

    def at_revision(self, revision: int) -> RunNode:
        return self._run.at_revision(revision)


class _RemoteArray(RemoteNode, ArrayNode):
    def read(self, slices: Slices = ()) -> np.ndarray:
        found: np.ndarray = self._client.read(slices)
        return found

    def read_block(self, block: Sequence[int], slices: Slices = ()) -> np.ndarray:
        found: np.ndarray = self._client.read_block(tuple(block), slices)
        return found


class _RemoteTable(RemoteNode, TableNode):
    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self._as_told(self._client.read(None if columns is None else list(columns)), columns)

    def read_partition(self, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        self.check_partition(number)
        return self._as_told(
            self._client.read_partition(number, columns if columns is None else list(columns)), columns
        )

    def _as_told(self, frame: Any, columns: Sequence[str] | None) -> pa.Table:
        """A table of the types that the structure names, whatever pandas made of them."""
        import pyarrow as pa

        schema = self.structure().schema
        names = schema.names if columns is None else list(columns)
        if any(name not in frame.columns for name in schema.names if name in names):
            frame = frame.reset_index()
        return pa.Table.from_pandas(frame, pa.schema([schema.field(name) for name in names]), preserve_index=False)


_FAMILIES: Mapping[str, type[RemoteNode]] = {
    "container": _RemoteContainer,
    "array": _RemoteArray,
    "table": _RemoteTable,
}


def _node_of(client: Any) -> RemoteNode:
    # A client that shows the columns of tables among the arrays has the tables themselves below this name.
    client = getattr(client, "base", client)
    family = str(getattr(client.structure_family, "value", client.structure_family))
    kind = _FAMILIES.get(family)
    if kind is _RemoteContainer and hasattr(type(client), "run"):
        kind = _RemoteRunInParts if "documents" in client.item["links"] else _RemoteRun
    if kind is None:
        raise NotOffered(f"{client.uri} is of the family {family!r}, which is not handed on here; ask its server")
    return kind(client)
