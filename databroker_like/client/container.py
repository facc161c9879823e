"""Containers of nodes: looked up, listed, searched, sorted."""

from __future__ import annotations

import enum
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from contextvars import ContextVar
from itertools import islice
from typing import IO, Any

from databroker_like.client._finding._deep import DeepSearchResults
from databroker_like.client._finding._filters import Condition, filters_of, parameters
from databroker_like.client._finding._paging import LARGEST_PAGE, nearest_keys, pages
from databroker_like.client._subscribing import ContainerSubscribing
from databroker_like.client._writing._nodes import ContainerWriting
from databroker_like.client.base import UNCHANGED, BaseClient
from databroker_like.client.iterviews import Listed
from databroker_like.errors import Invalid, NotFound, WrongType, listed
from databroker_like.queries import KeyLookup
from databroker_like.utils._node_path import path_of

__all__ = ["ASCENDING", "DESCENDING", "Container", "DeepSearchResults"]


class Direction(enum.IntEnum):
    """In which direction `Container.sort` sorts."""

    ASCENDING = 1
    DESCENDING = -1


#: Smallest first, and largest first: ``container.sort(("time", DESCENDING))``.
ASCENDING, DESCENDING = Direction.ASCENDING, Direction.DESCENDING

#: For so many seconds the number of nodes is taken to be what it was: ``list(container)`` asks for it, too.
_COUNTED_FOR = 1.0
#: As many keys are offered to choose from.
_MOST_COMPLETIONS = LARGEST_PAGE

#: Whether it is only asked if there is a node: who does wants to know of no others.
_asking_only: ContextVar[bool] = ContextVar("asking_only", default=False)


class Container(ContainerSubscribing, ContainerWriting, BaseClient, Listed[str]):
    """A container of nodes, as a read-only mapping.

    Nothing is listed that is not asked for: ``container.values()[-1]`` is one request, however many nodes there are.

    Parameters
    ----------
    context, item, structure_clients, structure, include_data_sources
        As of `BaseClient`.
    queries : sequence of query
        All of which hold of the nodes seen here; ones of `databroker_like.queries`.
    sorting : sequence of (key, 1 or -1), optional
        In place of that of the server.

    Examples
    --------
    >>> from databroker_like.client import Context, from_context
    >>> from databroker_like.nodes import MapNode
    >>> from databroker_like.tree import build_app
    >>> from databroker_like.queries import Key
    >>> tree = MapNode({f"scan {n}": MapNode({}, metadata={"n": n}) for n in range(12)})
    >>> with Context.from_app(build_app(tree, public=True)) as context:
    ...     scans = from_context(context)
    ...     scans.keys()[-2:], len(scans.search(Key("n") > 3)), scans.sort(("n", -1)).values().first().metadata["n"]
    (['scan 10', 'scan 11'], 8, 11)
    """

    def __init__(
        self,
        context: Any,
        *,
        item: dict[str, Any],
        structure_clients: Any = "numpy",
        structure: Any = None,
        include_data_sources: bool = False,
        queries: Sequence[Any] = (),
        sorting: Iterable[tuple[str, int]] | None = None,
    ) -> None:
        super().__init__(
            context,
            item=item,
            structure_clients=structure_clients,
            structure=structure,
            include_data_sources=include_data_sources,
        )
        self._queries = tuple(queries)
        self._conditions: tuple[Condition, ...] = tuple(c for query in self._queries for c in filters_of(query))
        self._own_sorting = sorting is not None
        if sorting is None:
            told = self._attributes.get("sorting") or [{"key": "", "direction": 1}]
            sorting = [(by["key"], by["direction"]) for by in told]
        self._sorting = [(key, int(direction)) for key, direction in sorting]
        self._counted: tuple[float, int] | None = None

    def __repr__(self) -> str:
        keys = list(islice(self.listed("keys", most=11), 11))
        shown = ", ".join([*map(repr, keys[:10]), *(["..."] if len(keys) > 10 else [])])
        return f"<{type(self).__name__} {{{shown}}}>"

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        # Not item by item, as a Mapping is compared: that would read everything.
        if not isinstance(other, Container):
            return NotImplemented
        mine = (self.uri, self._conditions, self._sorting)
        return mine == (other.uri, other._conditions, other._sorting)

    # -- one node ----------------------------------------------------------------------------------------------------

    def __getitem__(self, keys: str | tuple[str, ...]) -> Any:
        names = keys if isinstance(keys, tuple) else (keys,)
        for name in names:
            if not isinstance(name, str):
                raise WrongType(
                    f"a key is a string, not {name!r}; by position, it is .values()[{name!r}], or .keys()[{name!r}]"
                )
        path = [part for name in names for part in name.split("/") if part]
        if not path:
            raise NotFound(f"{keys!r} is the name of nothing")
        if self._conditions:
            return self._among_results(path)
        item, rest = self._inlined(path)
        if not rest:
            return self._child(item)
        try:
            return self._child(self._item_at(path, names))
        except NotFound as error:
            if _asking_only.get():
                raise
            near = nearest_keys(self.context, [*self.path_parts, *path[:-1]], path[-1])
            raise type(error)(f"{error}; nearest: {listed(near)}" if near else str(error)) from None

    def __contains__(self, keys: object) -> bool:
        return self._found(keys) is not None

    def get(self, key: Any, default: Any = None) -> Any:
        """The node of a key, or something else where there is none.

        Parameters
        ----------
        key : str
        default : optional

        Returns
        -------
        client, or the default
        """
        found = self._found(key)
        return default if found is None else found

    def _found(self, keys: Any) -> Any:
        asking = _asking_only.set(True)
        try:
            return self[keys]
        except KeyError:
            return None
        finally:
            _asking_only.reset(asking)

    def _item_at(self, path: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
        above, told = self.path_parts, self._include_data_sources
        try:
            return self.context.get_item([*above, *path], include_data_sources=told)
        except NotFound:
            # There are servers with slashes in their keys.
            if list(names) == list(path):
                raise
            with suppress(NotFound):
                return self.context.get_item([*above, *names], include_data_sources=told)
            raise

    def _inlined(self, path: Sequence[str]) -> tuple[dict[str, Any], Sequence[str]]:
        """As far as what was sent with this container leads, and what of the path is left."""
        item = self.item
        for at, part in enumerate(path):
            contents = (item["attributes"].get("structure") or {}).get("contents")
            if not contents or part not in contents:
                return item, path[at:]
            item = contents[part]
        return item, ()

    def _among_results(self, path: Sequence[str]) -> Any:
        asked = parameters([*self._conditions, *filters_of(KeyLookup(path[0]))])
        found = self._page(self._link("search"), [*asked, ("page[limit]", 1)])["data"]
        if not found:
            near = [] if _asking_only.get() else nearest_keys(self.context, self.path_parts, path[0], self._conditions)
            others = f"; nearest: {listed(near)}" if near else ""
            raise NotFound(f"there is no {path[0]!r} among the results of this search in {self.uri}{others}")
        child = self._child(found[0])
        return child["/".join(path[1:])] if len(path) > 1 else child

    def _ipython_key_completions_(self) -> list[str]:
        # What is offered after container[" and the tab key; a server may have millions.
        return self.keys()[:_MOST_COMPLETIONS]

    # -- many nodes --------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        inlined = self._contents()
        if inlined is not None:
            return len(inlined)
        if self._counted is None or time.monotonic() - self._counted[0] > _COUNTED_FOR:
            asked: list[tuple[str, str | int]] = [*parameters(self._conditions), ("fields", "count")]
            count = int(self._page(self._link("search"), asked)["meta"]["count"])
            # tiled 0.2.20 says 0 of a file in its catalog, whatever is in it.
            self._counted = (time.monotonic(), count or sum(1 for _ in self.listed("keys")))
        return self._counted[1]

    def listed(
        self, kind: str, *, start: int = 0, most: int | None = None, reverse: bool = False, page_size: int | None = None
    ) -> Iterator[Any]:
        for item in islice(self._listed_items(kind == "keys", start, most, reverse, page_size), most):
            key = item["id"]
            yield key if kind == "keys" else self._child(item) if kind == "values" else (key, self._child(item))

    def _listed_items(
        self, bare: bool, start: int, most: int | None, reverse: bool, page_size: int | None
    ) -> Iterator[dict[str, Any]]:
        inlined = self._contents()
        if inlined is not None:
            values = list(inlined.values())[::-1] if reverse else list(inlined.values())
            yield from values[start:]
            return
        asked: list[tuple[str, str | int]] = [*parameters(self._conditions)]
        if bare:
            asked.append(("fields", ""))
        elif self._include_data_sources:
            asked.append(("include_data_sources", "true"))
        asked += [("sort", by) for by in self._sort_parameters(reverse)]
        if start:
            asked.append(("page[offset]", start))
        if page_size is not None or most is not None:
            asked.append(("page[limit]", min(page_size or LARGEST_PAGE, LARGEST_PAGE if most is None else most)))
        for page in pages(self.context, self._link("search"), asked):
            yield from page["data"]

    def _contents(self) -> dict[str, Any] | None:
        """The nodes that were sent with this container, when they are what is to be listed."""
        if self._conditions or self._own_sorting:
            return None
        return (self._attributes.get("structure") or {}).get("contents")

    def _sort_parameters(self, reverse: bool) -> list[str]:
        if not reverse and not self._own_sorting:
            return []
        sign = -1 if reverse else 1
        return [key if direction * sign > 0 else f"-{key}" for key, direction in self._sorting or [("", 1)]]

    def _page(self, url: str, params: Sequence[tuple[str, str | int]]) -> dict[str, Any]:
        return self.context.get_json(url, params)

    # -- other views of the same -------------------------------------------------------------------------------------

    @property
    def sorting(self) -> list[tuple[str, int]]:
        """By what the nodes are sorted: (key, 1 or -1), the weightiest first; the key "" is the server's own order."""
        return list(self._sorting)

    def search(self, query: Any) -> Container:
        """The same container, with those nodes of which a query holds; nothing is asked yet.

        Parameters
        ----------
        query : query
            Of `databroker_like.queries`, such as ``Key("color") == "red"`` or ``FullText("gold")``.

        Returns
        -------
        Container

        Raises
        ------
        InvalidQuery
            When the protocol has no such query.
        """
        return self.new_variation(queries=(*self._queries, query))

    def search_deep(self, *queries: Any, max_depth: int | None = None) -> DeepSearchResults:
        """The nodes in this container, and in those in it, of which all of some queries hold; nothing is asked yet.

        Parameters
        ----------
        *queries : query
            One or more, of `databroker_like.queries`; beside those of this container itself.
        max_depth : int, optional
            How many levels are searched: 1 is what is in this container itself. As many as the server does, by default.

        Returns
        -------
        DeepSearchResults
            A mapping whose keys are tuples: ``results["raw", "scan 1"]``.

        Raises
        ------
        Invalid
            When there is no query.
        InvalidQuery
            When the protocol has no such query.
        NotOffered
            When the server has no such search.
        """
        if not queries and not self._conditions:
            raise Invalid("search_deep(Key('color') == 'red') needs a query; list(container) is what is in it")
        return DeepSearchResults(
            self.context,
            link=self._link("search_deep"),
            path_parts=self.path_parts,
            conditions=[*self._conditions, *(c for query in queries for c in filters_of(query))],
            max_depth=max_depth,
            opened=self._child,
            include_data_sources=self._include_data_sources,
        )

    def sort(self, *sorting: tuple[str, int]) -> Container:
        """The same container in another order; nothing is asked yet.

        Parameters
        ----------
        *sorting : (key, direction)
            A dotted key of the metadata, and `ASCENDING` or `DESCENDING`; the weightiest first.

        Returns
        -------
        Container

        Raises
        ------
        Invalid
            When it is something else.
        """
        for by in sorting:
            if not isinstance(by, tuple) or len(by) != 2 or not isinstance(by[0], str) or by[1] not in (1, -1):
                raise Invalid(f"sort by ('time', ASCENDING) or ('time', DESCENDING), not by {by!r}")
        keys = [key for key, _ in sorting]
        if len(set(keys)) < len(keys):
            raise Invalid(f"each key is sorted by once, not as in {keys}")
        return self.new_variation(sorting=sorting or None)

    def distinct(
        self, *metadata_keys: str, structure_families: bool = False, specs: bool = False, counts: bool = False
    ) -> dict[str, Any]:
        """The different values that the nodes have, of the keys asked for.

        Parameters
        ----------
        *metadata_keys : str
            Dotted keys.
        structure_families, specs : bool
            Whether these are asked for, too.
        counts : bool
            Whether it is counted how many nodes have each.

        Returns
        -------
        dict
            ``{"metadata": {key: [{"value": ..., "count": ...}]}, "structure_families": [...], "specs": [...]}``
        """
        asked = [("metadata", key) for key in metadata_keys]
        for name, wanted in (("structure_families", structure_families), ("specs", specs), ("counts", counts)):
            if wanted:
                asked.append((name, "true"))
        url = f"{self.context.api_uri}/distinct/{path_of(self.path_parts)}"
        return self.context.get_json(url, [*asked, *parameters(self._conditions)])

    def refresh(self) -> Any:
        self._counted = None
        return super().refresh()

    def new_variation(  # type: ignore[override]
        self,
        *,
        structure_clients: Any = UNCHANGED,
        queries: Any = UNCHANGED,
        sorting: Any = UNCHANGED,
        **kwargs: Any,
    ) -> Container:
        """The same container, opened with other settings.

        Parameters
        ----------
        structure_clients, queries, sorting
            As of the constructor; as they are by default.
        **kwargs
            As of `BaseClient.new_variation`.

        Returns
        -------
        Container
        """
        if sorting is UNCHANGED:
            sorting = self._sorting if self._own_sorting else None
        return super().new_variation(
            structure_clients=structure_clients,
            queries=self._queries if queries is UNCHANGED else queries,
            sorting=sorting,
            **kwargs,
        )

    def export(
        self,
        filepath: str | os.PathLike[str] | IO[bytes],
        fields: Sequence[str] | None = None,
        *,
        format: str | None = None,
    ) -> None:
        """Have the server write all that is in here in some format, and save that.

        Parameters
        ----------
        filepath : path or binary file
        fields : sequence of str, optional
            The keys of those that are wanted; all by default.
        format : str, optional
            A media type or short name, such as ``"h5"``; by default, that of the file's name.
        """
        self._export(filepath, [("field", name) for name in fields or ()], format)
