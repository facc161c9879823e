"""A catalog of runs as a container, asked page by page and never listed as a whole."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from databroker_like.core._document import same
from databroker_like.core._filler import filler_getter
from databroker_like.core._header import FoundHeader
from databroker_like.core._lookup import both
from databroker_like.core._transforms import parse_transforms
from databroker_like.errors import NoSuchRun
from databroker_like.nodes._asking import as_sorting
from databroker_like.nodes._node import DEFAULT_SORTING, ContainerNode, Query, Sorting
from databroker_like.nodes._run import RunNode, StreamNode
from databroker_like.queries import And, Eq, Everything, Not, Or, SpecsQuery, run_query
from databroker_like.queries import Node as Condition
from databroker_like.store._layout import run_specs
from databroker_like.structures import Spec, StructureFamily
from databroker_like.v2 import Broker

__all__ = ["RunNode", "RunsNode", "StreamNode"]

Doc = Mapping[str, Any]

#: How many runs are kept that were asked for, each with what describes it.
_KEPT = 256
_RUN = "BlueskyRun"
#: What stands for a transform of descriptors where there is none.
_AS_IT_IS = parse_transforms(None)["descriptor"]
#: By what a collection orders its runs itself.
_BY_TIME = ("", "start.time")


class RunsNode(ContainerNode):
    """The runs of a catalog as a container: their uids are its keys, oldest first.

    What it answers is current. A query is one on ``start`` and ``stop``, as ``start.plan_name``; the catalog's
    storage answers it, with its index when it has one.

    Parameters
    ----------
    catalog : Broker
    metadata : mapping, optional
        Nothing by default; what the catalog has of its own may name its folder, and stays here.
    specs : iterable of Spec
        ``CatalogOfBlueskyRuns`` by default.

    Examples
    --------
    >>> node = RunsNode(Broker())
    >>> node.count(), list(node.keys()), node.get("41fb8ca9")
    (0, [], None)
    """

    def __init__(
        self,
        catalog: Broker,
        *,
        metadata: Doc | None = None,
        specs: Iterable[Spec] = (Spec("CatalogOfBlueskyRuns", "3.0"),),
    ) -> None:
        self._catalog = catalog
        self._metadata: Doc = {} if metadata is None else metadata
        self._specs = tuple(specs)
        self._query: Condition = catalog._query
        self._sorting: Sorting = DEFAULT_SORTING
        self._kept = _Kept()

    @property
    def metadata(self) -> Doc:
        return self._metadata

    @property
    def specs(self) -> tuple[Spec, ...]:
        return self._specs

    @property
    def sorting(self) -> Sorting:
        return self._sorting

    def get(self, key: str) -> RunNode | None:
        """The run of a full uid; None when there is none, or it is not among those that a search found."""
        collection = self._catalog.collection
        if not isinstance(self._query, Everything) and not collection.matches(key, self._query):
            return None
        try:
            start = collection.start(key)
            version = collection.version(key)
        except KeyError:
            return None
        return self._run(key, start, version)

    def items(self, offset: int = 0, limit: int | None = None) -> Iterator[tuple[str, RunNode]]:
        for uid, start, stop, version in self._heads(offset, limit):
            yield uid, self._run(uid, start, version, stop)

    def page(self, offset: int, limit: int) -> tuple[int, Sequence[tuple[str, RunNode]]]:
        count = self.count()
        if not limit or offset >= count:
            return count, []
        heads = list(self._heads(offset, limit))
        if self._catalog._transforms["descriptor"] is _AS_IT_IS:
            # All at once: each by itself would read its descriptors, to tell how many streams it has.
            counts = self._catalog.collection.stream_counts({uid: version for uid, _, _, version in heads})
        else:
            counts = {}
        get_filler = self._get_filler()
        return count, [(head[0], self._counted(counts.get(head[0]), get_filler, *head)) for head in heads]

    def _heads(self, offset: int, limit: int | None) -> Iterator[tuple[str, Doc, Doc | None, Any]]:
        """The uid, start, stop and version of runs."""
        collection = self._catalog.collection
        by, asked = self._order()
        asked.update(skip=offset, limit=limit)
        heads = collection.heads_sorted(by, self._query, **asked) if by else collection.heads(self._query, **asked)
        for uid, start, stop in heads:
            try:
                version = collection.version(uid)
            except NoSuchRun:  # somebody has deleted it since it was found
                continue
            yield uid, start, stop, version

    def keys(self, offset: int = 0, limit: int | None = None) -> Iterator[str]:
        collection = self._catalog.collection
        by, asked = self._order()
        asked.update(skip=offset, limit=limit)
        return collection.find_sorted(by, self._query, **asked) if by else collection.find(self._query, **asked)

    def _order(self) -> tuple[list[tuple[str, int]], dict[str, Any]]:
        """By which keys of the searched document runs are sorted, and in which order of time equals are."""
        by: list[tuple[str, int]] = []
        for key, direction in self._sorting:
            if key in _BY_TIME:
                return by, {"newest_first": direction < 0}
            by.append((_searched_key(key), direction))
        return by, {"newest_first": False}

    def count(self) -> int:
        return self._catalog.collection.count(self._query)

    def search(self, query: Query) -> RunsNode:
        condition = _with_specs(query) if isinstance(query, SpecsQuery) else run_query(query)
        return self._changed(both(self._query, condition), self._sorting)

    def sorted(self, by: Sequence[tuple[str, int]]) -> RunsNode:
        sorting = as_sorting(by)
        for key, _ in sorting:
            if key not in _BY_TIME:
                _searched_key(key)
        return self._changed(self._query, sorting)

    def _changed(self, query: Condition, sorting: Sorting) -> RunsNode:
        other = RunsNode(self._catalog, metadata=self._metadata, specs=self._specs)
        other._query, other._sorting, other._kept = query, sorting, self._kept
        return other

    def distinct(self, key: str) -> list[tuple[Any, int]]:
        return self._catalog.collection.distinct(_searched_key(key), self._query)

    def distinct_families(self) -> list[tuple[StructureFamily, int]]:
        count = self.count()
        return [(StructureFamily.container, count)] if count else []

    def distinct_specs(self) -> list[tuple[tuple[Spec, ...], int]]:
        claimed = self._catalog.collection.distinct("tiled_specs", self._query)
        if all(value is None for value, _ in claimed):
            return [(run_specs({}), count) for _, count in claimed]
        return super().distinct_specs()

    def _run(self, uid: str, start: Doc, version: Any, stop: Doc | None = None) -> RunNode:
        kept = self._kept.get(uid, start, version)
        if kept is not None:
            return kept
        node = self._made(self._get_filler(), uid, start, stop, version)
        self._kept.keep(uid, start, version, node)
        return node

    def _counted(
        self, streams: int | None, get_filler: Any, uid: str, start: Doc, stop: Doc | None, version: Any
    ) -> RunNode:
        """A run on a page, of which it may be known how many streams it has."""
        if streams is None or stop is None:
            return self._run(uid, start, version, stop)
        # Nothing of it is read to tell what it is, and so there is nothing to keep.
        node = self._made(get_filler, uid, start, stop, version)
        node.expect(streams)
        return node

    def _made(self, get_filler: Any, uid: str, start: Doc, stop: Doc | None, version: Any) -> RunNode:
        header = FoundHeader(self._catalog.collection, uid, get_filler, self._catalog._transforms, start, stop)
        # What was found is taken in before other threads see the run.
        assert header.start
        assert stop is None or header.stop
        return RunNode(header, version)

    def _get_filler(self) -> Any:
        catalog = self._catalog
        return filler_getter(catalog._filler_class, catalog._handlers, catalog._root_map)


def _searched_key(key: str) -> str:
    """A key of the metadata of a run, as the searched document has it; InvalidQuery when there is none such."""
    condition = run_query(Eq(key, None))
    assert isinstance(condition, Eq)
    return condition.key


def _with_specs(query: SpecsQuery) -> Condition:
    """Runs with some specs, without others: those that all have, and those that start documents claim."""
    wanted = [_claims(name) for name in query.include or () if name != _RUN]
    unwanted = [Everything() if name == _RUN else _claims(name) for name in query.exclude or ()]
    conditions = [*wanted, *(Not(condition) for condition in unwanted)]
    return And(conditions) if conditions else Everything()


def _claims(name: str) -> Condition:
    return Or([Eq("tiled_specs", name), Eq("tiled_specs.name", name)])


class _Kept:
    """The runs that were asked for last, as long as they are what they were; used by many threads."""

    def __init__(self, size: int = _KEPT) -> None:
        self._size = size
        self._runs: OrderedDict[str, tuple[Doc, Any, RunNode]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, uid: str, start: Doc, version: Any) -> RunNode | None:
        """The run kept; None when there is none, or its documents were changed."""
        with self._lock:
            kept = self._runs.get(uid)
            if kept is None or version is None or kept[1] != version:
                return None
            self._runs.move_to_end(uid)
        return kept[2] if same(kept[0], start) else None

    def keep(self, uid: str, start: Doc, version: Any, node: RunNode) -> None:
        """Keep a run, unless nothing would tell that it is changed."""
        if version is None:
            return
        with self._lock:
            self._runs[uid] = (start, version, node)
            self._runs.move_to_end(uid)
            while len(self._runs) > self._size:
                self._runs.popitem(last=False)
