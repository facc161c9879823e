"""What the clients of all kinds of nodes share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import httpx

from databroker_like import registry
from databroker_like.client._views import DictView, ListView
from databroker_like.client.context import Context
from databroker_like.errors import Invalid, ServiceFailed, listed, nearest
from databroker_like.structures import Spec, Structure, structure_from_json

__all__ = ["UNCHANGED", "BaseClient", "StructureClients", "client_of"]

#: ``"numpy"``, ``"dask"``, or structure family or spec -> class.
StructureClients = str | Mapping[str, Any]
_NAMED = {"numpy": "client.numpy", "dask": "client.dask"}


class _Unchanged:
    def __repr__(self) -> str:
        return "UNCHANGED"


#: Stands for "as before" among the arguments of `BaseClient.new_variation`.
UNCHANGED: Any = _Unchanged()


class BaseClient:
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
        self.include_data_sources = include_data_sources
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

    def data_sources(self) -> list[dict[str, Any]] | None:
        """Where and how the data lies on the server, as far as it says so.

        Returns
        -------
        list of dict, or None
        """
        if self._attributes.get("data_sources") is None:
            item = self.context.get_item(self.path_parts, include_data_sources=True)
            return item["attributes"].get("data_sources")
        return self._attributes["data_sources"]

    def refresh(self) -> BaseClient:
        """Ask the server again what this node is.

        Returns
        -------
        BaseClient
            This one.
        """
        self._item = self.context.get_item(self.path_parts, include_data_sources=self.include_data_sources)
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
            "include_data_sources": self.include_data_sources,
            "structure": self._structure,
        }
        changed = {name: value for name, value in given.items() if value is not UNCHANGED}
        return type(self)(self.context, item=self._item, **{**as_before, **changed, **kwargs})

    def _child(self, item: dict[str, Any]) -> Any:
        return client_of(self.context, item, self.structure_clients, include_data_sources=self.include_data_sources)

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
        link = self._item["links"].get("full")
        if link is None:
            raise Invalid(f"the server does not export {'/'.join(self.path_parts)!r}")
        if path is None:
            self.context.session.receive("GET", link, _Into(filepath), params=asked)
        else:
            _to_file(path, lambda file: self.context.session.receive("GET", link, _Into(file), params=asked))


class _Into:
    """A reply written to an open file; begun anew when the connection broke."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._start: int | None = file.tell() if file.seekable() else None
        self._begun = False

    def __call__(self, response: httpx.Response) -> None:
        if self._begun:
            if self._start is None:
                raise ServiceFailed("the connection broke, and what was written to the stream cannot be taken back")
            self._file.seek(self._start)
            self._file.truncate()
        self._begun = True
        for part in response.iter_bytes():
            self._file.write(part)


def _to_file(path: Path, write: Any) -> None:
    """A file that is there whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            write(file)
        # The rights that any new file gets, not those of a private one.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


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
    classes = structure_clients
    if isinstance(classes, str):
        if classes not in _NAMED:
            near = listed(nearest(classes, _NAMED) or _NAMED)
            raise Invalid(f"structure_clients is {near}, or a dictionary of classes, not {classes!r}")
        classes = registry.load(_NAMED[classes])()
    attributes = item["attributes"]
    names: Sequence[str] = [
        *(Spec.from_json(spec).name for spec in attributes.get("specs") or ()),
        attributes["structure_family"],
    ]
    chosen = next((classes[name] for name in names if name in classes), BaseClient)
    return chosen(context, item=item, structure_clients=structure_clients, include_data_sources=include_data_sources)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value
