"""NodeContract: what a node of a tree keeps, as tests that a writer of nodes inherits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

import pytest

from databroker_like.errors import Invalid, InvalidQuery
from databroker_like.nodes import (
    ArrayNode,
    AwkwardNode,
    ContainerNode,
    DataSource,
    Node,
    RaggedNode,
    SparseNode,
    TableNode,
)
from databroker_like.queries import Eq, KeyLookup, KeysFilter, StructureFamilyQuery
from databroker_like.structures import (
    ArrayStructure,
    AwkwardStructure,
    ContainerStructure,
    RaggedStructure,
    SparseStructure,
    Spec,
    StructureFamily,
    TableStructure,
)
from databroker_like.testing._node_data import CHECKS, same_data

__all__ = ["NodeContract"]

#: No more of a container is looked at, and no deeper.
_MOST_NODES, _DEEPEST = 40, 5
_NOWHERE = "no node has this key"

#: Structure family -> the class of its nodes, and of their structures.
_FAMILIES: dict[StructureFamily, tuple[type, type]] = {
    StructureFamily.container: (ContainerNode, ContainerStructure),
    StructureFamily.array: (ArrayNode, ArrayStructure),
    StructureFamily.table: (TableNode, TableStructure),
    StructureFamily.sparse: (SparseNode, SparseStructure),
    StructureFamily.ragged: (RaggedNode, RaggedStructure),
    StructureFamily.awkward: (AwkwardNode, AwkwardStructure),
}


@dataclass(frozen=True)
class _Placed:
    """A node and how it was reached, for what is said when it fails."""

    node: Node
    path: tuple[str, ...]

    def __str__(self) -> str:
        where = "/".join(self.path) or "the node"
        return f"{where} ({type(self.node).__name__})"


class NodeContract:
    """The rules that nodes of a tree keep; inherit it, and hand in a node.

    All that is in the node is looked at too, as far as the first forty of a container.

    - What is said of a node is plain: texts, numbers, lists and mappings; it is the same each time, and so is its
      version.
    - Its structure is the one of its structure family, and can be sent and read again.
    - A container tells its keys, counts them, and gives their nodes page by page, in one order; it searches by key,
      structure family and metadata, and sorts.
    - An array has the type and shape that its structure says, gives the slices that numpy gives, and is made up of
      its blocks; a table has the columns that its structure says, and is made up of its partitions.
    - What is not there is None, or an error of its own kind.
    - It is asked from many threads at once.
    - The files that it names are there, and their names lead out of nowhere.

    Examples
    --------
    In a test module of a plugin::

        class TestMyNode(NodeContract):
            @pytest.fixture
            def node(self, tmp_path):
                (tmp_path / "a.raw").write_bytes(bytes(100))
                return MyNode(tmp_path / "a.raw")
    """

    @pytest.fixture
    def node(self) -> Node:
        """The node under test; a subclass writes it."""
        raise NotImplementedError("write a fixture 'node' that returns a node")

    def test_what_is_said_of_it_is_plain(self, node: Node) -> None:
        """Metadata is a mapping that becomes JSON; specs are a tuple of Spec."""
        for placed in _walk(node):
            said = placed.node.metadata
            assert hasattr(said, "keys"), f"the metadata of {placed} is {type(said).__name__}, and not a mapping"
            for key in said:
                assert isinstance(key, str), f"the metadata of {placed} has the key {key!r}, which is not text"
            try:
                text = json.dumps(_without_numpy(said))
            except (TypeError, ValueError) as error:
                raise AssertionError(f"the metadata of {placed} cannot be written as JSON: {error}") from error
            assert text == json.dumps(_without_numpy(placed.node.metadata)), f"the metadata of {placed} changes"
            specs = placed.node.specs
            assert isinstance(specs, tuple), f"the specs of {placed} are {type(specs).__name__}, and not a tuple"
            for spec in specs:
                assert isinstance(spec, Spec), f"the specs of {placed} have {spec!r}, which is not a Spec"

    def test_its_version_is_plain_and_the_same_while_nothing_changes(self, node: Node) -> None:
        """Text, numbers, None, or tuples of these."""
        for placed in _walk(node):
            version = placed.node.version
            assert _is_plain(version), (
                f"the version of {placed} is {version!r:.200}; make it text, numbers, or tuples of these"
            )
            assert placed.node.version == version, f"the version of {placed} changes though nothing else does"

    def test_its_structure_is_the_one_of_its_family(self, node: Node) -> None:
        """And it is sent and read again without loss."""
        for placed in _walk(node):
            family = placed.node.structure_family
            assert family in _FAMILIES, f"{placed} is of the structure family {family!r}, which there is not"
            base, kind = _FAMILIES[family]
            assert isinstance(placed.node, base), (
                f"{placed} says that it is of {family.value}, and is no {base.__name__}"
            )
            structure = placed.node.structure()
            assert isinstance(structure, kind), (
                f"the structure of {placed} is {type(structure).__name__}; of {family.value} it is {kind.__name__}"
            )
            sent = json.loads(json.dumps(structure.to_json()))
            again = kind.from_json(sent)  # type: ignore[attr-defined]
            assert again.to_json() == structure.to_json(), f"the structure of {placed} is another when it is read again"

    def test_its_data_is_what_its_structure_says(self, node: Node) -> None:
        """Types, shapes, columns; slices, blocks and partitions; errors for what is not there."""
        for placed in _walk(node):
            check = CHECKS.get(placed.node.structure_family)
            if check is not None:
                check(placed.node, str(placed))

    def test_a_container_lists_what_is_in_it(self, node: Node) -> None:
        """Keys, count, pages and single nodes agree with one another."""
        for placed in _containers(node):
            container = placed.node
            keys = list(container.keys())
            assert all(isinstance(key, str) and key for key in keys), f"{placed} has keys that are no text, or empty"
            assert len(set(keys)) == len(keys), f"{placed} has a key more than once: {sorted(keys)!r:.300}"
            assert container.count() == len(keys), f"{placed} counts {container.count()} and has {len(keys)} keys"
            assert container.structure().count == len(keys), f"the structure of {placed} counts otherwise than it does"
            some = keys[:_MOST_NODES]
            assert [key for key, _ in islice(container.items(), _MOST_NODES)] == some, (
                f"items and keys of {placed} are in different orders"
            )
            for offset, limit in ((0, 1), (1, 2), (len(keys) // 2, 3), (max(0, len(keys) - 1), 5), (len(keys) + 1, 2)):
                page = keys[offset : offset + limit]
                assert list(container.keys(offset, limit)) == page, (
                    f"keys({offset}, {limit}) of {placed} are not {page}"
                )
                assert [key for key, _ in container.items(offset, limit)] == page, (
                    f"items({offset}, {limit}) of {placed} are not those of the keys {page}"
                )
                count, items = container.page(offset, limit)
                assert (count, [key for key, _ in items]) == (len(keys), page), (
                    f"page({offset}, {limit}) of {placed} is another than count, keys and items say"
                )
            for key, inner in islice(container.items(), _MOST_NODES):
                found = container.get(key)
                assert found is not None, f"get({key!r}) of {placed} is None, and the key is listed"
                assert found.structure_family is inner.structure_family, (
                    f"{key!r} in {placed} is of another structure family when it is asked for than when it is listed"
                )
            assert container.get(_NOWHERE) is None, f"get of {placed} gives something for a key that is not there"

    def test_a_container_searches(self, node: Node) -> None:
        """By key, by structure family, by metadata; and within what was found."""
        for placed in _containers(node):
            container = placed.node
            keys = list(islice(container.keys(), _MOST_NODES))
            assert list(container.search(KeyLookup(_NOWHERE)).keys()) == [], f"{placed} finds a key that is not there"
            for key, inner in islice(container.items(), 3):
                alone = container.search(KeyLookup(key))
                assert (list(alone.keys()), alone.count()) == ([key], 1), f"a search of {placed} for {key!r} fails"
                assert alone.get(key) is not None, f"what a search of {placed} found cannot be asked for"
                for other in keys:
                    assert other == key or alone.get(other) is None, f"{other!r} was not searched for in {placed}"
                family = container.search(StructureFamilyQuery(inner.structure_family.value))
                assert family.get(key) is not None, f"{key!r} in {placed} is not found by its structure family"
                for name, value in _searchable(inner):
                    found = container.search(Eq(name, value))
                    assert found.get(key) is not None, f"{key!r} in {placed} is not found by {name} == {value!r}"
                    assert found.count() == len(list(found.keys())), f"a search of {placed} counts wrongly"
                    assert list(found.search(KeyLookup(key)).keys()) == [key], (
                        f"a search within a search of {placed} fails"
                    )
            if len(keys) > 1:
                pair = {keys[0], keys[-1]}
                assert set(container.search(KeysFilter(sorted(pair))).keys()) == pair, f"{placed} finds no two keys"

    def test_a_container_sorts(self, node: Node) -> None:
        """Its own order forwards and backwards, and by metadata; each node stays."""
        for placed in _containers(node):
            container = placed.node
            keys = list(container.keys())
            if len(keys) > 1000:
                continue
            assert list(container.sorted([("", 1)]).keys()) == keys, f"{placed} in its own order is in another"
            assert list(container.sorted([("", -1)]).keys()) == keys[::-1], f"{placed} backwards is not backwards"
            for name, direction in (("no such key", 1), *((name, -1) for name in _names(container))):
                by = [(name, direction)]
                try:
                    ordered = container.sorted(by)
                except InvalidQuery:
                    continue  # It knows that nothing in it can be sorted by such a key, and says so.
                assert sorted(ordered.keys()) == sorted(keys), f"{placed} sorted by {by} has other nodes"
                assert next(iter(ordered.sorting)) == by[0], f"{placed} does not say by what it is sorted"
            with pytest.raises(Invalid):
                container.sorted([("a", 2)])
            assert list(container.keys()) == keys, f"sorting {placed} changed its own order"

    def test_a_container_tells_different_values(self, node: Node) -> None:
        """Structure families and specs, each with how many nodes have them."""
        for placed in _containers(node):
            container = placed.node
            count = container.count()
            if count > 1000:
                continue
            assert sum(n for _, n in container.distinct_families()) == count, f"families in {placed} are not counted"
            assert sum(n for _, n in container.distinct_specs()) == count, f"specs in {placed} are not counted"

    def test_it_is_asked_from_many_threads(self, node: Node) -> None:
        """Eight threads read all that is in it, and get the same."""
        with ThreadPoolExecutor(8) as pool:
            told = [done.result() for done in [pool.submit(_all_of, node) for _ in range(8)]]
        for one in told[1:]:
            assert one == told[0], "threads that ask at the same time get different answers"

    def test_the_files_that_it_names_are_there(self, node: Node) -> None:
        """Each asset is a file or a folder, and its name leads out of nowhere."""
        for placed in _walk(node):
            source = placed.node.data_source()
            if source is None:
                continue
            assert isinstance(source, DataSource), f"the data source of {placed} is {type(source).__name__}"
            for asset in source.assets:
                name = PurePosixPath(asset.name)
                assert not name.is_absolute(), f"{placed} names the file {asset.name!r}, which tells where it lies"
                assert ".." not in name.parts, f"{placed} names the file {asset.name!r}, which leads out of its folder"
                there = asset.path.is_dir() if asset.is_directory else asset.path.is_file()
                assert there, f"{placed} names {asset.name!r}, and there is no such file or folder"
                folder = str(asset.path.parent)
                said = json.dumps(_without_numpy(placed.node.metadata))
                assert len(folder) < 2 or folder not in said, f"the metadata of {placed} tells where its files lie"


def _walk(node: Node, path: tuple[str, ...] = ()) -> Iterator[_Placed]:
    yield _Placed(node, path)
    if isinstance(node, ContainerNode) and len(path) < _DEEPEST:
        for key, inner in islice(node.items(), _MOST_NODES):
            yield from _walk(inner, (*path, key))


def _containers(node: Node) -> Iterator[Any]:
    return (placed for placed in _walk(node) if isinstance(placed.node, ContainerNode))


def _without_numpy(value: Any) -> Any:
    """What a service would make of it too: scalars and arrays of numpy are numbers and lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "keys"):
        return {key: _without_numpy(value[key]) for key in value}
    if isinstance(value, list | tuple):
        return [_without_numpy(inner) for inner in value]
    return value


def _is_plain(version: Any) -> bool:
    if isinstance(version, tuple):
        return all(map(_is_plain, version))
    return version is None or type(version) in (str, int, float, bool)


def _searchable(node: Node) -> Iterator[tuple[str, Any]]:
    """Some of what is said of a node that can be searched for."""
    plain = ((name, value) for name, value in node.metadata.items() if type(value) in (str, int, bool))
    return islice(((name, value) for name, value in plain if name and not set(name) & set(".$") and value != ""), 2)


def _names(container: ContainerNode) -> list[str]:
    first = next(iter(container.items(0, 1)), None)
    return [] if first is None else [name for name, _ in _searchable(first[1])]


def _all_of(node: Node) -> list[Any]:
    """All that is in a node, as something that can be compared."""
    return [
        (placed.path, json.dumps(_without_numpy(placed.node.metadata)), same_data(placed.node))
        for placed in _walk(node)
    ]
