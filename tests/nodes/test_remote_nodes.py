"""The nodes of another server are nodes here: a catalog file hands them on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from databroker_like.client import Context, from_context, from_uri
from databroker_like.client.remote import BlueskyRemoteCatalog
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.errors import DatabrokerError, NoSuchFormat, NotFound
from databroker_like.nodes import ArrayData, ArrayNode, ContainerNode, MapNode, TableData, TableNode, find
from databroker_like.nodes._remote_nodes import RemoteNode, remote_node
from databroker_like.nodes.catalogs import BrokenNode, CatalogNode
from databroker_like.nodes.runs import RunsNode
from databroker_like.queries import Eq
from databroker_like.structures import Spec
from databroker_like.testing import _runs as samples
from databroker_like.tree import build_app
from tests.client.remote_runs import assert_same
from tests.support.loopback import listening

GRID = np.arange(35.0).reshape(7, 5)


@pytest.fixture(scope="module")
def there() -> ContainerNode:
    """What the other server has."""
    return MapNode(
        {
            "grid": ArrayData(
                GRID, chunks=((3, 3, 1), (2, 2, 1)), metadata={"color": "red"}, specs=[Spec("demo", "1")]
            ),
            "table": TableData(pd.DataFrame({"x": [1, 2, 3], "name": ["a", None, "c"]}), partition_rows=2),
            "many": MapNode({f"k{i}": MapNode({}, metadata={"i": i, "half": i // 2}) for i in range(20)}),
        },
        metadata={"title": "there"},
    )


@contextmanager
def _served(root: ContainerNode) -> Iterator[str]:
    with listening(build_app(root, api_key="secret"), log_level="critical", ws="none") as url:
        yield url


@pytest.fixture(scope="module")
def url(there: ContainerNode) -> Iterator[str]:
    with _served(there) as url:
        yield url


@pytest.fixture
def root(url: str) -> Iterator[Any]:
    node = remote_node(f"{url}?api_key=secret")
    yield node
    node.close()


def test_arrays_are_read_in_parts(root: Any) -> None:
    grid = root.get("grid")
    assert isinstance(grid, ArrayNode)
    assert (grid.metadata, grid.specs) == ({"color": "red"}, (Spec("demo", "1"),))
    assert grid.structure().chunks == ((3, 3, 1), (2, 2, 1))
    np.testing.assert_array_equal(grid.read(), GRID)
    for slices in ((1,), (slice(1, 6, 2), 3), (slice(None), slice(2, None)), (-1, -1)):
        np.testing.assert_array_equal(grid.read(slices), GRID[slices])
    np.testing.assert_array_equal(grid.read_block((1, 0)), GRID[3:6, :2])


def test_tables_are_read_by_columns_and_partitions(root: Any) -> None:
    table = root.get("table")
    assert isinstance(table, TableNode)
    assert table.structure().npartitions == 2
    assert table.read(["name", "x"]).to_pydict() == {"name": ["a", None, "c"], "x": [1, 2, 3]}
    assert table.read_partition(1).to_pydict() == {"x": [3], "name": ["c"]}
    assert table.read().schema.equals(table.structure().schema)
    column = find(root, ["table", "x"])
    assert isinstance(column, ArrayNode)
    assert column.read((slice(1, None),)).tolist() == [2, 3]


def test_containers_are_listed_searched_and_sorted_there(root: Any) -> None:
    many = root.get("many")
    assert isinstance(many, ContainerNode)
    assert many.count() == many.structure().count == 20
    assert list(many.keys(3, 2)) == ["k3", "k4"]
    assert [key for key, _ in many.items(18)] == ["k18", "k19"]
    assert list(many.search(Eq("half", 3)).keys()) == ["k6", "k7"]
    assert list(many.sorted([("i", -1)]).keys(0, 2)) == ["k19", "k18"]
    assert many.sorted([("i", -1)]).sorting == (("i", -1),)
    assert many.search(Eq("half", 3)).distinct("half") == [(3, 2)]
    assert many.get("nothing") is None
    assert many.get("a/b") is None


def test_a_part_of_the_other_server_is_a_root(url: str) -> None:
    node = remote_node(f"{url}?api_key=secret", "many/k3")
    assert node.metadata == {"i": 3, "half": 1}
    node.close()
    with pytest.raises(NotFound):
        remote_node(f"{url}?api_key=secret", "nothing")
    with pytest.raises(DatabrokerError):
        remote_node(url)


def test_a_catalog_file_hands_on_what_another_server_has(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", "secret")
    (tmp_path / "lab.yml").write_text(
        f"""
sources:
  all: {{driver: tiled_cat, args: {{server: "{url}?api_key={{{{ env(OTHER_KEY) }}}}"}}}}
  part: {{driver: tiled_cat, args: {{server: "tiled{url[4:]}?api_key=secret", path: many}}}}
  refused: {{driver: tiled_cat, args: {{server: "{url}?api_key=wrong"}}}}
"""
    )
    with CatalogNode.of_file(tmp_path / "lab.yml") as tree:
        nodes = dict(tree.items())
        assert isinstance(nodes["all"], RemoteNode)
        np.testing.assert_array_equal(find(tree, ["all", "grid"]).read((0,)), GRID[0])  # type: ignore[attr-defined]
        assert nodes["part"].structure().count == 20
        assert isinstance(nodes["refused"], BrokenNode)
        assert "wrong" not in nodes["refused"].metadata["error"]
        assert "secret" not in str([node.metadata for node in nodes.values()])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlueskyEmbeddedCatalog]:
    """Runs on the other server: one with images that was amended, and one of several streams."""
    folder = tmp_path_factory.mktemp("runs")
    with closing(BlueskyEmbeddedCatalog(str(folder / "store"))) as catalog:
        for name, doc in [*samples.external(folder, uid="images"), *samples.several_streams(3, uid="streams")]:
            catalog.v1.insert(name, doc)
        catalog["images"].amend({"start": {"sample": "gold"}}, reason="it was forgotten")
        yield catalog


@contextmanager
def _handed_on(root: ContainerNode) -> Iterator[Context]:
    """A service, in process, that hands on the nodes of another one as ``far``."""
    with _served(root) as url:
        far = remote_node(f"{url}?api_key=secret")
        with Context.from_app(build_app(MapNode({"far": far}), public=True)) as context:
            yield context
        far.close()


def test_a_run_that_is_handed_on_is_the_run(runs: BlueskyEmbeddedCatalog) -> None:
    with _handed_on(MapNode({"raw": RunsNode(runs)})) as context:
        there = BlueskyRemoteCatalog("far/raw", context=context)
        assert sorted(there) == sorted(runs)
        for uid in runs:
            for stream in runs[uid]:
                assert there[uid][stream].read().identical(runs[uid][stream].read())
                assert there[uid][stream].to_dask().compute().identical(runs[uid][stream].read())
            for revision in (None, 0):
                for fill in ("no", "yes"):
                    expected = [(name, dict(doc)) for name, doc in runs[uid].documents(fill=fill, revision=revision)]
                    found = [(name, dict(doc)) for name, doc in there[uid].documents(fill=fill, revision=revision)]
                    assert_same(found, expected)
        assert there["images"].revisions == runs["images"].revisions
        # As the tiled client asks for it, and as any other program does.
        far, near = RunsNode(runs).get("images"), f"{context.api_uri}/%s/far/raw/images"
        assert far is not None
        said = [{"name": name, "doc": doc} for name, doc in far.documents()]
        for route in ("container/full", "documents"):
            reply = context.session.fetch("GET", near % route, accept="application/json-seq")
            assert [orjson.loads(line) for line in reply.content.splitlines()] == orjson.loads(orjson.dumps(said))


def test_a_run_of_nodes_alone_that_is_handed_on_has_the_documents_that_are_made_of_them(
    runs: BlueskyEmbeddedCatalog,
) -> None:
    nodes = {uid: RunsNode(runs).get(uid) for uid in runs}
    alone = {
        uid: MapNode(dict(run.items()), metadata=run.metadata, specs=run.specs) for uid, run in nodes.items() if run
    }
    with (
        _handed_on(MapNode({"raw": MapNode(alone), "whole": RunsNode(runs)})) as context,
        _served(MapNode(alone)) as url,
    ):
        client = from_uri(url, api_key="secret")
        near = from_context(context)["far"]
        with client.context:
            # Also when runs on the same server were told in parts before, and others are after.
            assert_same(_told(near["whole", "images"].documents()), _told(runs["images"].documents(fill="no")))
            for uid in alone:
                made = _told(client[uid].documents())
                assert_same(_told(near["raw", uid].documents()), made)
                reply = context.session.fetch("GET", f"{context.api_uri}/documents/far/raw/{uid}")
                assert [orjson.loads(line)["name"] for line in reply.content.splitlines()] == [name for name, _ in made]
            with pytest.raises(NoSuchFormat, match="where it is kept"):
                context.session.fetch("GET", f"{context.api_uri}/documents/far/raw/images?part=around")


def _told(documents: Any) -> list[tuple[str, Any]]:
    return [(name, orjson.loads(orjson.dumps(doc, option=orjson.OPT_SERIALIZE_NUMPY))) for name, doc in documents]
