"""What is found in a container, and in the containers in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from databroker_like.client._finding._filters import Condition, filters_of, parameters
from databroker_like.client._finding._paging import LARGEST_PAGE, pages
from databroker_like.client.context import Context
from databroker_like.client.iterviews import Listed
from databroker_like.errors import Invalid, NotFound, WrongType
from databroker_like.queries import KeyLookup

__all__ = ["DeepSearchResults"]

_Path = tuple[str, ...]
#: For so many seconds the number of results is taken to be what it was.
_COUNTED_FOR = 1.0


class DeepSearchResults(Listed[_Path]):
    """The nodes that match, at any depth: a mapping from their paths, which are tuples of keys, to their clients.

    Parameters
    ----------
    context : Context
    link : str
        Where the server searches.
    path_parts : sequence of str
        Of the container that is searched; the paths of what is found begin there.
    conditions : sequence of (name, fields)
        All of which hold of what is found.
    max_depth : int or None
        How many levels are searched; as many as the server does, by default.
    opened : callable
        Makes the client of what the server says of a node.
    include_data_sources : bool
        Whether the server is asked where the data lies.

    Examples
    --------
    >>> from databroker_like.client import Context, from_context
    >>> from databroker_like.nodes import MapNode
    >>> from databroker_like.tree import build_app
    >>> from databroker_like.queries import Key
    >>> inside = MapNode({"b": MapNode({}, metadata={"color": "red"})})
    >>> with Context.from_app(build_app(MapNode({"a": inside}), public=True)) as context:
    ...     found = from_context(context).search_deep(Key("color") == "red")
    ...     list(found), found["a", "b"].metadata
    ([('a', 'b')], {'color': 'red'})
    """

    def __init__(
        self,
        context: Context,
        *,
        link: str,
        path_parts: Sequence[str],
        conditions: Sequence[Condition],
        max_depth: int | None,
        opened: Callable[[dict[str, Any]], Any],
        include_data_sources: bool = False,
    ) -> None:
        if max_depth is not None and (not isinstance(max_depth, int) or max_depth < 1):
            raise Invalid(f"max_depth is how many levels are searched, 1 or more, not {max_depth!r}")
        self._context = context
        self._link = link
        self._above = tuple(path_parts)
        self._conditions = tuple(conditions)
        self._max_depth = max_depth
        self._opened = opened
        self._include_data_sources = include_data_sources
        self._counted: tuple[float, int] | None = None

    def __repr__(self) -> str:
        found = list(islice(self, 6))
        shown = ", ".join([*map(repr, found[:5]), *(["..."] if len(found) > 5 else [])])
        return f"<{type(self).__name__} {{{shown}}}>"

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DeepSearchResults):
            return NotImplemented
        mine = (self._link, self._conditions, self._max_depth)
        return mine == (other._link, other._conditions, other._max_depth)

    def __getitem__(self, key: str | _Path) -> Any:
        path = [part for part in key.split("/") if part] if isinstance(key, str) else key
        if not isinstance(path, list | tuple) or not all(isinstance(name, str) for name in path):
            raise WrongType(f"a key here is a tuple of strings, not {key!r:.200}; by position, it is .values()[...]")
        if path and (self._max_depth is None or len(path) <= self._max_depth):
            # What matches at a path is what a search in the container above it finds.
            above = self._context.node_url([*self._above, *path[:-1]]).replace("/metadata/", "/search/", 1)
            asked = parameters([*self._conditions, *filters_of(KeyLookup(path[-1]))])
            try:
                found = self._context.get_json(above, [*asked, *self._what(False), ("page[limit]", 1)])["data"]
            except NotFound:
                found = []
            if found:
                return self._opened(found[0])
        raise NotFound(f"there is no {'/'.join(path)!r} among what is found in {'/'.join(self._above) or 'the root'!r}")

    def __len__(self) -> int:
        if self._counted is None or time.monotonic() - self._counted[0] > _COUNTED_FOR:
            page = self._context.get_json(self._link, [*self._asked(), ("fields", "count")])
            self._counted = (time.monotonic(), int(page["meta"]["count"]))
        return self._counted[1]

    def listed(
        self, kind: str, *, start: int = 0, most: int | None = None, reverse: bool = False, page_size: int | None = None
    ) -> Iterator[Any]:
        found: Iterable[dict[str, Any]]
        if reverse:
            # No server sorts what it finds at several levels: they are counted.
            end = max(len(self) - start, 0)
            begin = 0 if most is None else max(end - most, 0)
            found = list(self._items(kind == "keys", begin, end - begin, page_size))[::-1]
        else:
            found = self._items(kind == "keys", start, most, page_size)
        for item in found:
            path = (*item["attributes"]["ancestors"][len(self._above) :], item["id"])
            yield path if kind == "keys" else self._opened(item) if kind == "values" else (path, self._opened(item))

    def _items(self, bare: bool, start: int, most: int | None, page_size: int | None) -> Iterator[dict[str, Any]]:
        if most == 0:
            return iter(())
        asked = [*self._asked(), *self._what(bare)]
        if start:
            asked.append(("page[offset]", start))
        if page_size is not None or most is not None:
            asked.append(("page[limit]", min(page_size or LARGEST_PAGE, LARGEST_PAGE if most is None else most)))
        found = (item for page in pages(self._context, self._link, asked) for item in page["data"])
        return islice(found, most)

    def _asked(self) -> list[tuple[str, str | int]]:
        asked: list[tuple[str, str | int]] = [*parameters(self._conditions)]
        if self._max_depth is not None:
            asked.append(("max_depth", self._max_depth))
        return asked

    def _what(self, bare: bool) -> list[tuple[str, str | int]]:
        if bare:
            return [("fields", "")]
        return [("include_data_sources", "true")] if self._include_data_sources else []
