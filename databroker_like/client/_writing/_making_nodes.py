"""Nodes that a client makes in a container, and those that it deletes from there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from databroker_like.client._writing._sending import as_key, as_specs, as_wire, send, url_of
from databroker_like.client._writing._updating import delete_node
from databroker_like.client.context import Context
from databroker_like.errors import Conflict, DatabrokerError, Invalid, NotFound, ServiceFailed
from databroker_like.structures import Structure

__all__ = ["NodeMaking", "said_if_unfinished"]


class NodeMaking:
    """The part of `Container` that makes nodes and deletes them."""

    #: When the nodes were counted, and how many there were.
    _counted: tuple[float, int] | None = None

    if TYPE_CHECKING:
        context: Context

        @property
        def path_parts(self) -> list[str]: ...
        @property
        def uri(self) -> str: ...
        def _child(self, item: dict[str, Any]) -> Any: ...
        def keys(self) -> Any: ...

    def create_container(
        self,
        key: str | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        specs: Sequence[Any] | None = None,
        access_tags: Sequence[str] | None = None,
    ) -> Any:
        """Make an empty container in this one.

        Parameters
        ----------
        key : str, optional
            A random one by default.
        metadata : dict, optional
            Of what JSON is made of.
        specs : list of str or Spec, optional
            What it promises to be.
        access_tags : list of str, optional
            By which the server decides who may see it.

        Returns
        -------
        Container

        Raises
        ------
        Conflict
            When there is a node of this key.
        NotWritable
            When the server takes nothing here.
        """
        return self.new("container", [], key=key, metadata=metadata, specs=specs, access_tags=access_tags)

    def new(
        self,
        structure_family: str,
        data_sources: Sequence[Mapping[str, Any]],
        *,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        specs: Sequence[Any] | None = None,
        access_tags: Sequence[str] | None = None,
    ) -> Any:
        """Make a node in this container, into which data can be written.

        When the connection breaks and nobody knows whether the node was made, it is asked for once more; and when there
        is one then that is just like it, that is taken to be it.

        Parameters
        ----------
        structure_family : str
            As ``"array"``.
        data_sources : list of dict
            One, or none for a container: ``{"structure_family": ..., "structure": ..., "management": "writable"}``, as
            on the wire; ``structure`` may be one of `databroker_like.structures`.
        key, metadata, specs, access_tags
            As of `create_container`.

        Returns
        -------
        BaseClient
            Of the class for its specs or its family.

        Raises
        ------
        Conflict
            When there is a node of this key.
        NotWritable
            When the server takes nothing here.
        """
        return self._made("metadata", structure_family, data_sources, key, metadata, specs, access_tags)

    def delete_contents(
        self, keys: str | Iterable[str] | None = None, recursive: bool = False, external_only: bool = True
    ) -> Any:
        """Have the server forget some of the nodes in here, or all.

        Parameters
        ----------
        keys : str or iterable of str, optional
            All, by default.
        recursive : bool
            Whether all that is in them goes, too; False by default.
        external_only : bool
            Whether only nodes go whose data lies in files of somebody else, which stay; True by default. With False,
            data that the server keeps itself is deleted for good.

        Returns
        -------
        Container
            This one.

        Raises
        ------
        NotFound
            When there is no node of such a key.
        Conflict
            When there is something in one, or the server keeps the data itself, and it was not said that this goes.
        NotWritable
            When the server deletes nothing.
        """
        if keys is None:
            for key in list(self.keys()):
                delete_node(self.context, [*self.path_parts, key], recursive, external_only)
        else:
            for key in [keys] if isinstance(keys, str) else dict.fromkeys(keys):
                self._delete(key, recursive, external_only)
        # The number of nodes that was counted a moment ago is not theirs.
        self._counted = None
        return self

    def _delete(self, key: str, recursive: bool, external_only: bool) -> None:
        path = [part for part in key.split("/") if part]
        if not path:
            raise NotFound(f"{key!r} is the name of nothing")
        try:
            delete_node(self.context, [*self.path_parts, *path], recursive, external_only)
        except NotFound:
            # There are servers with slashes in their keys.
            if path == [key]:
                raise
            delete_node(self.context, [*self.path_parts, key], recursive, external_only)

    def _new_of(
        self,
        family: str,
        structure: Structure,
        mimetype: str | None,
        key: str | None,
        metadata: Mapping[str, Any] | None,
        specs: Sequence[Any] | None,
        access_tags: Sequence[str] | None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Any:
        source = {"structure": structure, "mimetype": mimetype, "parameters": parameters or {}}
        return self.new(family, [source], key=key, metadata=metadata, specs=specs, access_tags=access_tags)

    def _made(
        self,
        route: str,
        family: str,
        data_sources: Sequence[Mapping[str, Any]],
        key: str | None,
        metadata: Mapping[str, Any] | None,
        specs: Sequence[Any] | None,
        access_tags: Sequence[str] | None,
    ) -> Any:
        named = as_key(key)
        body = as_wire(
            {
                "id": named,
                "structure_family": family,
                "metadata": metadata or {},
                "specs": as_specs(specs),
                "data_sources": [_source(family, source) for source in data_sources],
                "access_tags": None if access_tags is None else list(access_tags),
            }
        )
        doubts: list[bool] = []
        url = url_of(self.context, route, self.path_parts)
        try:
            told = send(self.context, "POST", url, json=body, doubted=lambda: doubts.append(True))
        except Conflict as error:
            path = [*self.path_parts, named]
            if doubts:
                found = self.context.get_item(path, include_data_sources=True)
                if _is_as_asked(found, body):
                    return self._child(found)
            raise Conflict(f"there is a node {'/'.join(path)!r} already: {error}") from error
        self._counted = None
        if not isinstance(told, Mapping):
            raise ServiceFailed(f"{url} does not say what was made: {told!r:.100}; look for {named!r} in {self.uri}")
        links = {"self": self.context.node_url([*self.path_parts, named]), **(told.get("links") or {})}
        return self._child(_item(self.path_parts, body, {**told, "links": links}))


def _source(family: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A data source as on the wire, with what need not be said."""
    if not isinstance(given, Mapping):
        raise Invalid(f"a data source is a dictionary, as on the wire, not {type(given).__name__!r}")
    structure = given.get("structure")
    return {
        "structure_family": family,
        "id": None,
        "mimetype": None,
        "parameters": {},
        "properties": {},
        "assets": [],
        "management": "writable",
        **given,
        "structure": structure if isinstance(structure, Mapping | None) else structure.to_json(),
    }


def _item(above: Sequence[str], body: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """What the server would say of a node that was made, of what it said when it made it."""
    sources = told.get("data_sources") or body["data_sources"]
    is_container = body["structure_family"] == "container"
    metadata = told.get("metadata")
    return {
        "id": told.get("id", body["id"]),
        "attributes": {
            "ancestors": list(above),
            "structure_family": body["structure_family"],
            "specs": body["specs"],
            "metadata": body["metadata"] if metadata is None else metadata,
            "structure": {"contents": None, "count": 0} if is_container or not sources else sources[0]["structure"],
            "access_tags": told.get("access_tags", body["access_tags"]),
            "sorting": [{"key": "", "direction": 1}] if is_container else None,
            "data_sources": sources,
        },
        "links": told["links"],
        "meta": None,
    }


def _is_as_asked(found: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Whether a node is the one that was asked for."""
    attributes = found["attributes"]
    if attributes["structure_family"] != body["structure_family"]:
        return False
    if as_wire(attributes.get("metadata") or {}) != body["metadata"]:
        return False
    if as_specs(attributes.get("specs")) != body["specs"]:
        return False
    return not body["data_sources"] or attributes.get("structure") == body["data_sources"][0]["structure"]


@contextmanager
def said_if_unfinished(made: Any) -> Iterator[None]:
    """An error in it says that there is a node that lacks its data."""
    try:
        yield
    except DatabrokerError as error:
        error.add_note(
            f"The node {'/'.join(made.path_parts)!r} was made and lacks data: write it again with its write(...), "
            "or delete it with delete(external_only=False)."
        )
        raise
