"""What the clients of all kinds of nodes share."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import IO, Any

from databroker_like import registry
from databroker_like.client._assets import fetch_assets, manifest_of
from databroker_like.client._data_sources import DataSource
from databroker_like.client._revisions import MetadataRevisions
from databroker_like.client._saving import Into, to_file
from databroker_like.client._specials import registered_client, special_client
from databroker_like.client._views import DictView, ListView
from databroker_like.client._writing._updating import Updating
from databroker_like.client.context import Context
from databroker_like.errors import Invalid, NotOffered, listed, nearest
from databroker_like.structures import Spec, Structure, structure_from_json

__all__ = ["UNCHANGED", "BaseClient", "StructureClients", "class_of", "client_of"]

#: ``"numpy"``, ``"dask"``, or structure family or spec -> class.
StructureClients = str | Mapping[str, Any]
_NAMED = {"numpy": "client.numpy", "dask": "client.dask"}


class _Unchanged:
    def __repr__(self) -> str:
        return "UNCHANGED"


#: Stands for "as before" among the arguments of `BaseClient.new_variation`.
UNCHANGED: Any = _Unchanged()


class BaseClient(Updating):
    """A node on a server, of whatever kind.

    Parameters
    ----------
    context : Context
        The server.
    item : dict
        What the server says of the node.
    structure_clients : {"numpy", "dask"} or mapping
        Which classes the nodes below it get: structure family, or name of a spec, to class.
    structure : Structure, optional
        In place of that of the item.
    include_data_sources : bool
        Whether the server is asked where the data lies.
    """

    def __init__(
        self,
        context: Context,
        *,
        item: dict[str, Any],
        structure_clients: StructureClients = "numpy",
        structure: Structure | None = None,
        include_data_sources: bool = False,
    ) -> None:
        self.context = context
        self.structure_clients = structure_clients
        self._include_data_sources = include_data_sources
        self._item = item
        self._structure = structure

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'/'.join(self.path_parts)!r}>"

    def __dask_tokenize__(self) -> tuple[str, str, Any]:
        # The same data has the same name in dask's graphs.
        return type(self).__name__, self.uri, self._attributes.get("structure")

    @property
    def item(self) -> dict[str, Any]:
        """What the server says of this node, as it said it."""
        return self._item

    @property
    def _attributes(self) -> dict[str, Any]:
        return self._item["attributes"]

    @property
    def metadata(self) -> DictView:
        """The metadata of this node, to be looked at."""
        return DictView(self._attributes.get("metadata") or {})

    def metadata_copy(self) -> dict[str, Any]:
        """The metadata of this node, to be changed at will."""
        return _copied(self._attributes.get("metadata") or {})

    @property
    def specs(self) -> ListView:
        """What this node promises to be: a sequence of `Spec`, the most special first."""
        return ListView([Spec.from_json(spec) for spec in self._attributes.get("specs") or ()])

    @property
    def structure_family(self) -> str:
        """The kind of data: ``"array"``, ``"table"``, ``"container"``, ``"awkward"``, ``"sparse"`` or ``"ragged"``."""
        return self._attributes["structure_family"]

    @property
    def uri(self) -> str:
        """The address of this node, which `from_uri` opens."""
        return self._item["links"]["self"]

    @property
    def path_parts(self) -> list[str]:
        """The names on the way from the root to this node; empty for the root."""
        parts = [*(self._attributes.get("ancestors") or ()), self._item.get("id") or ""]
        return [part for part in parts if part]

    @property
    def formats(self) -> list[str]:
        """The media types that the server exports this data as."""
        offered = self.context.server_info.formats
        names = [self.structure_family, *(spec.name for spec in self.specs)]
        return sorted({media_type for name in names for media_type in offered.get(name) or ()})

    @property
    def parent(self) -> BaseClient:
        """The container in which this node is."""
        if not self.path_parts:
            raise Invalid("the root is in no container")
        return self._child(self.context.get_item(self.path_parts[:-1]))

    def structure(self) -> Structure | None:
        """What the data is like: type, shape, chunks, columns.

        Returns
        -------
        Structure
            One of `databroker_like.structures`; None when the server says nothing of it.

        Raises
        ------
        Invalid
            When the server describes it in a way that cannot be meant.
        """
        if self._structure is None and self._attributes.get("structure") is not None:
            self._structure = structure_from_json(self.structure_family, self._attributes["structure"])
        return self._structure

    @property
    def access_tags(self) -> ListView | None:
        """The tags by which the server decides who may see this; None when it says none."""
        tags = self._attributes.get("access_tags")
        return None if tags is None else ListView(tags)

    def data_sources(self) -> list[DataSource] | None:
        """Where and how the data lies on the server, as far as it says so.

        Returns
        -------
        list of DataSource, or None
        """
        told = self.include_data_sources()._attributes.get("data_sources")
        return None if told is None else [DataSource(_copied(source)) for source in told]

    def include_data_sources(self) -> Any:
        """The same node, with what the server says of where its data lies; asked for if it has not been.

        Returns
        -------
        BaseClient
            This one, when it has been.
        """
        if self._include_data_sources and self._attributes.get("data_sources") is not None:
            return self
        found = self.new_variation(include_data_sources=True)
        return found if self._attributes.get("data_sources") is not None else found.refresh()

    def asset_manifest(self, data_sources: Iterable[Mapping[str, Any]]) -> dict[int, list[str] | None]:
        """What is in those folders in which data lies.

        Parameters
        ----------
        data_sources : sequence of dict
            As `data_sources` gives them, or some of them.

        Returns
        -------
        dict
            The number of each asset, with the relative paths in it; None for one that is a single file.
        """
        return manifest_of(self.context, self.path_parts, data_sources)

    def raw_export(
        self,
        destination: str | os.PathLike[str] | MutableMapping[str, Any] | None = None,
        max_workers: int = 4,
        compression: bool = True,
    ) -> list[Any]:
        """Fetch the files in which the data lies on the server, as they are there.

        Parameters
        ----------
        destination : path or dict, optional
            The folder for them, this one by default. In a dict, each becomes an ``io.BytesIO``.
        max_workers : int
            How many are fetched side by side; 4 by default.
        compression : bool
            Whether the server may compress them on the way; True by default.

        Returns
        -------
        list of pathlib.Path, or of str
            The files, or the keys in the dict: by their own name when there is one, and below the number of the asset
            when there are several.

        Raises
        ------
        NotOffered
            When the data lies in no files that the server gives away.
        """
        sources = self.data_sources() or []
        return fetch_assets(self.context, self.path_parts, sources, destination, max_workers, compression)

    @property
    def metadata_revisions(self) -> MetadataRevisions:
        """What the metadata was before: ``node.metadata_revisions[0]``, ``node.metadata_revisions[:]``."""
        return MetadataRevisions(self.context, self.path_parts)

    def login(self, **kwargs: Any) -> None:
        """Prove to the server who you are; it asks for what it wants to know.

        Parameters
        ----------
        **kwargs
            As of `Context.login`.
        """
        self.context.login(**kwargs)

    def logout(self) -> None:
        """End the session with the server, if there is one."""
        self.context.logout()

    def refresh(self) -> BaseClient:
        """Ask the server again what this node is.

        Returns
        -------
        BaseClient
            This one.
        """
        self._item = self.context.get_item(self.path_parts, include_data_sources=self._include_data_sources)
        self._structure = None
        return self

    def new_variation(
        self,
        structure_clients: Any = UNCHANGED,
        include_data_sources: Any = UNCHANGED,
        structure: Any = UNCHANGED,
        **kwargs: Any,
    ) -> Any:
        """The same node, opened with other settings.

        Parameters
        ----------
        structure_clients, include_data_sources, structure
            As of the constructor; as they are by default.
        **kwargs
            What the class takes besides.

        Returns
        -------
        BaseClient
        """
        given = {
            "structure_clients": structure_clients,
            "include_data_sources": include_data_sources,
            "structure": structure,
        }
        as_before = {
            "structure_clients": self.structure_clients,
            "include_data_sources": self._include_data_sources,
            "structure": self._structure,
        }
        changed = {name: value for name, value in given.items() if value is not UNCHANGED}
        return type(self)(self.context, item=self._item, **{**as_before, **changed, **kwargs})

    def _child(self, item: dict[str, Any]) -> Any:
        return client_of(self.context, item, self.structure_clients, include_data_sources=self._include_data_sources)

    def _export(
        self, filepath: str | os.PathLike[str] | IO[bytes], params: Iterable[tuple[str, str]], format: str | None
    ) -> None:
        asked = list(params)
        if isinstance(filepath, str | os.PathLike):
            path = Path(filepath)
            format = format or path.suffix.removeprefix(".")
        else:
            path = None
        if not format:
            raise Invalid(f"in which format? Give format=...; one of {listed(self.formats)}")
        asked.append(("format", format))
        link = self._link("full")
        if path is None:
            into = Into(filepath)
            try:
                self.context.session.receive("GET", link, into, params=asked)
            except BaseException:
                into.take_back()
                raise
        else:
            to_file(path, lambda file: self.context.session.receive("GET", link, Into(file), params=asked))

    def _link(self, name: str) -> str:
        link = (self._item.get("links") or {}).get(name)
        if link is None:
            raise NotOffered(f"the server has no {name} for {self.uri}")
        return link


def client_of(
    context: Context,
    item: dict[str, Any],
    structure_clients: StructureClients = "numpy",
    *,
    include_data_sources: bool = False,
) -> Any:
    """The client of a node, of the class for its first spec that has one, or for its structure family.

    Parameters
    ----------
    context : Context
    item : dict
        What the server says of it.
    structure_clients : {"numpy", "dask"} or mapping
    include_data_sources : bool

    Returns
    -------
    BaseClient
        Where no class is meant for it, a `BaseClient` itself, which has the metadata and the structure.

    Raises
    ------
    Invalid
        When ``structure_clients`` is another word.
    """
    attributes = item["attributes"]
    chosen = class_of(
        [Spec.from_json(spec).name for spec in attributes.get("specs") or ()],
        attributes["structure_family"],
        structure_clients,
    )
    return chosen(context, item=item, structure_clients=structure_clients, include_data_sources=include_data_sources)


def class_of(specs: Iterable[str], family: str, structure_clients: StructureClients = "numpy") -> Any:
    """The class for a node: that of the first of its specs that has one, or that of its structure family.

    For each spec, what stands in ``structure_clients`` goes before what `register_special_client` was told, that before
    our own classes, and those before the ones that packages bring as entry points of the group
    ``databroker_like.special_client``.

    Parameters
    ----------
    specs : iterable of str
        Their names.
    family : str
    structure_clients : {"numpy", "dask"} or mapping
        What a mapping has no class for is read into memory.

    Returns
    -------
    type

    Raises
    ------
    Invalid
        When ``structure_clients`` is another word.

    Examples
    --------
    >>> class_of(["xarray_dataset"], "container"), class_of([], "array", "dask")
    (<class '...xarray.DatasetClient'>, <class '...array.DaskArrayClient'>)
    """
    given: Mapping[str, Any] = {}
    word: Any = structure_clients
    if not isinstance(structure_clients, str):
        given, word = structure_clients, "numpy"
    if word not in _NAMED:
        near = listed(nearest(word, _NAMED) or _NAMED)
        raise Invalid(f"structure_clients is {near}, or a dictionary of classes, not {word!r}")
    ours = registry.load(_NAMED[word])()
    for name in specs:
        found = given.get(name) or registered_client(name) or ours.get(name) or special_client(name)
        if found is not None:
            return found
    return given.get(family) or ours.get(family) or BaseClient


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value
