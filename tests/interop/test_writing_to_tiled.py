"""Our client writes to the real tiled server, and the real client reads what was written."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import dask.dataframe as dd
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tifffile
import xarray as xr
from event_model import compose_run

from databroker_like import errors
from databroker_like.client import DELETE_KEY, Context, from_context, from_uri
from databroker_like.client.sync import Copied, copy
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.nodes import ArrayData, MapNode, RaggedData, SparseData, TableData, dataset_node
from databroker_like.nodes.runs import RunsNode
from databroker_like.structures import Spec
from databroker_like.tree import build_app
from tests.interop.tiled_server import ROOT, clean_environment, tiled_python, tiled_server

GRID = np.arange(12.0).reshape(4, 3)
RECORDS = [{"x": [1, 2], "y": 1.5}, {"x": [], "y": 2.5}]

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the server may read."""
    folder = tmp_path_factory.mktemp("files")
    np.save(folder / "grid.npy", GRID)
    for n in range(2):
        tifffile.imwrite(folder / f"i{n}.tif", np.full((4, 5), n, "u2"))
    (folder / "t.csv").write_text("x,name\n1,a\n2,b\n")
    with h5py.File(folder / "h.h5", "w") as file:
        file["entry/data"] = GRID
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, files: Path) -> Iterator[str]:
    asked = ["catalog", "--temp", "--api-key", "secret", "--read", str(files)]
    with tiled_server(tmp_path_factory.mktemp("tiled"), *asked) as uri:
        yield uri


@pytest.fixture
def place(server: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A container of the test's own."""
    root = from_uri(server, api_key="secret")
    made = root.create_container(request.node.name.replace("/", "-"))
    yield made
    made.delete(recursive=True, external_only=False)
    root.context.close()


def asked(node: Any) -> Any:
    """What the real client reads below a node."""
    script = [str(tiled_python()), str(ROOT / "scripts" / "peers" / "ask_tiled.py"), node.uri, "secret"]
    done = subprocess.run(script, env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_real_client_reads_what_was_written(place: Any) -> None:
    place.create_container("inner", metadata={"n": np.float64(0.5), "shape": (2, 3)}, specs=["demo"])
    place.write_array(GRID, key="grid", metadata={"color": "red"}, specs=[Spec("demo", "2")], dims=["y", "x"])
    place.write_array(da.from_array(GRID, chunks=(3, 2)), key="blocks")
    place.write_array(["é", "xyz"], key="text")
    place.write_table({"x": [1, 2], "name": ["a", "b"]}, key="table")
    place.write_awkward(RECORDS, key="awkward")
    place.write_sparse([[0, 1], [1, 2]], [1.5, 2.5], (2, 3), key="sparse")
    place.write_ragged([[1, 2, 3], [4]], key="ragged")
    place.write_ragged([[1.5] * 5, [2.0] * 3, [1.0] * 8], key="cut", max_partition_bytes=64)
    found = asked(place)["contents"]
    assert found["inner"]["metadata"] == {"n": 0.5, "shape": [2, 3]}
    assert found["inner"]["specs"] == [["demo", None]]
    assert (found["grid"]["metadata"], found["grid"]["specs"]) == ({"color": "red"}, [["demo", "2"]])
    assert {key: node["values"] for key, node in found.items() if key != "inner"} == {
        "grid": GRID.tolist(),
        "blocks": GRID.tolist(),
        "text": ["é", "xyz"],
        "table": {"x": [1, 2], "name": ["a", "b"]},
        "awkward": RECORDS,
        "sparse": [[0, 1.5, 0], [0, 0, 2.5]],
        "ragged": [[1, 2, 3], [4]],
        "cut": [[1.5] * 5, [2.0] * 3, [1.0] * 8],
    }


@pytest.mark.parametrize(
    "array",
    [
        GRID[::-2].T,
        GRID.astype(">i2"),
        np.array([b"ab", b"c"]),
        np.array(["2026-01-01", "NaT"], "M8[ns]"),
        np.array([True, False]),
        np.array([1 + 2j]),
        np.array([(1, 2.5)], [("n", "<i2"), ("x", "<f8")]),
        np.array(4.5),
        np.empty((0, 3)),
        np.arange(6_000_000).reshape(3000, 2000),
    ],
    ids=lambda array: f"{array.dtype.str.strip('|<>')}-{'x'.join(map(str, array.shape))}",
)
def test_an_array_comes_back_as_it_was(place: Any, array: Any) -> None:
    found = place.write_array(array).read()
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_a_dask_array_with_uneven_blocks_comes_back(place: Any) -> None:
    lazy = da.from_array(np.arange(1000.0).reshape(100, 10), chunks=((30, 50, 20), (3, 7)))
    made = place.write_array(lazy, key="a")
    assert made.chunks == ((50, 50), (7, 3))
    np.testing.assert_array_equal(place["a"].read(), lazy.compute())


def test_arrays_are_changed_and_grow(place: Any) -> None:
    made = place.write_array(da.from_array(GRID, chunks=(2, 3)), key="a")
    expected = GRID.copy()
    made.write_block(np.full((2, 3), 7), (1, 0))
    expected[2:] = 7
    made.write_block([[8, 9]], (0, 0), slice=(slice(1, 2), slice(1, None)))
    expected[1, 1:] = [8, 9]
    made.patch([[1, 2]], (3, 0))
    expected[3, :2] = [1, 2]
    made.patch([[1, 2, 3]], 4, extend=True)
    np.testing.assert_array_equal(made.read(), [*expected, [1, 2, 3]])
    assert made.structure() == place["a"].structure()
    with pytest.raises(errors.Conflict, match="extend=True"):
        made.patch([[1, 2, 3]], 50)
    made.write(np.zeros(made.shape))
    assert not place["a"].read().any()


def test_an_array_that_grows_whenever_it_is_asked_for_is_read(place: Any, server: str) -> None:
    made = place.write_array(np.arange(6.0).reshape(2, 3), key="a")
    rows = 2
    with from_uri(server, api_key="secret").context as context:
        session = context.session
        grown = from_context(context, node_path_parts=[*place.path_parts, "a"])
        ask = session._once

        def once(*asked: Any) -> Any:
            nonlocal rows
            if any("/array/" in str(one) for one in asked):
                made.patch(np.arange(3.0 * rows, 3.0 * rows + 3)[None], rows, extend=True)
                rows += 1
            return ask(*asked)

        session._once = once
        for read in (grown.read, lambda: grown.read_block((len(grown.chunks[0]) - 1, 0))):
            before, found = rows, read()
            assert len(found) <= rows
            assert rows > before
            assert np.ptp(np.diff(found.ravel())) == 0


def test_tables_are_written_in_partitions_changed_and_grow(place: Any) -> None:
    frame = pd.DataFrame({"x": range(6), "name": list("abcdef")})
    made = place.write_table(dd.from_pandas(frame, npartitions=3), key="t")
    assert made.structure().npartitions == 3
    assert made.read().reset_index(drop=True)["name"].tolist() == list("abcdef")
    made.write_partition(1, {"name": ["y", "z"], "x": [8, 9]})
    assert made.read()["x"].tolist() == [0, 1, 8, 9, 4, 5]
    indexed = place.write_table(frame.set_index(pd.Index([3, 1, 4, 1, 5, 9])))
    assert indexed.read().index.tolist() == [3, 1, 4, 1, 5, 9]
    growing = place.create_appendable_table(pa.schema({"x": pa.int64(), "y": pa.float64()}), key="growing")
    for n in range(3):
        growing.append_partition(0, {"y": [n], "x": [n]})
    assert place["growing"].read().to_dict("list") == {"x": [0, 1, 2], "y": [0.0, 1.0, 2.0]}
    with pytest.raises(errors.Invalid, match="begins with '_'"):
        place.write_table({"_x": [1]})


def test_sparse_awkward_and_ragged_arrays_are_changed(place: Any) -> None:
    sparse = place.write_sparse([[], []], [], (2, 3), key="s")
    sparse.write([[1], [2]], [4.0])
    assert place["s"].todense().tolist() == [[0, 0, 0], [0, 0, 4]]
    awkward = place.write_awkward(RECORDS, key="a")
    awkward.write([{"x": [3, 4], "y": 0.5}, {"x": [], "y": 2.5}])
    assert place["a"].read().to_list()[0] == {"x": [3, 4], "y": 0.5}
    ragged = place.write_ragged([[1.0, 2.0], []], key="r")
    ragged.patch([[3], [4, 5]], 2, extend=True)
    assert place["r"].read().tolist() == [[1, 2], [], [3], [4, 5]]
    assert ragged.shape == (4, None)


def test_metadata_is_changed_and_was_before(place: Any) -> None:
    made = place.create_container("a", metadata={"n": 1, "deep": {"x": [1, 2], "y": 0}}, specs=["demo"])
    made.update_metadata({"n": DELETE_KEY, "deep": {"x": [1, 3, 4]}}, specs=["demo", "more"])
    expected = {"deep": {"x": [1, 3, 4], "y": 0}}
    assert made.metadata_copy() == place["a"].metadata_copy() == expected
    assert [spec.name for spec in made.specs] == ["demo", "more"]
    made.patch_metadata({"deep": None, "m": 2}, content_type="application/merge-patch+json")
    assert made.metadata_copy() == {"m": 2}
    made.replace_metadata({"z": 0})
    made.replace_metadata({"z": 1}, drop_revision=True)
    assert place["a"].metadata_copy() == {"z": 1}
    before = [revision["attributes"]["metadata"] for revision in made.metadata_revisions]
    assert before == [{"n": 1, "deep": {"x": [1, 2], "y": 0}}, expected, {"m": 2}]
    assert [revision["revision_number"] for revision in made.metadata_revisions[1:2]] == [2]
    made.metadata_revisions.delete_revision(2)
    assert [revision["revision_number"] for revision in made.metadata_revisions[:]] == [1, 3]
    with pytest.raises(errors.NotFound):
        made.metadata_revisions.delete_revision(2)


def test_nodes_are_deleted_when_it_is_said_that_their_data_goes(place: Any) -> None:
    inner = place.create_container("inner")
    inner.write_array(GRID, key="a")
    with pytest.raises(errors.Conflict, match="not empty"):
        inner.delete()
    with pytest.raises(errors.Conflict, match="external_only=False"):
        inner.delete_contents()
    inner.delete_contents("a", external_only=False)
    inner.delete()
    assert list(place) == []
    with pytest.raises(errors.NotFound):
        inner.delete()


def test_a_key_that_is_taken_and_a_wrong_api_key_are_told(place: Any, server: str) -> None:
    place.create_container("a")
    with pytest.raises(errors.Conflict, match="already"):
        place.write_array(GRID, key="a")
    with from_uri(server, api_key="secret").context as context:
        root = from_context(context)
        context.api_key = "wrong"
        with pytest.raises(errors.NotAuthenticated, match="refuses this API key"):
            root.create_container("b")


def test_what_is_written_is_heard(place: Any) -> None:
    seen: list[Any] = []
    closed = threading.Event()
    with place.subscribe() as nodes:
        nodes.child_created.add_callback(lambda update: seen.append((update.key, update.child().structure_family)))
        nodes.child_metadata_updated.add_callback(lambda update: seen.append(update.metadata))
        nodes.stream_closed.add_callback(lambda _: closed.set())
        nodes.start_in_thread()
        array = place.write_array(np.zeros(3), key="a")
        table = place.create_appendable_table(pa.schema({"x": pa.int64()}), key="t")
        array.update_metadata({"n": 1})
        place.close_stream()
        assert closed.wait(300)
    assert seen == [("a", "array"), ("t", "table"), {"n": 1}]

    elements: list[Any] = []
    with array.subscribe() as listening:
        listening.new_data.add_callback(lambda update: elements.append((update.offset, update.data().tolist())))
        listening.start_in_thread()
        array.write([1.0, 2.0, 3.0])
        array.patch([4.0], 3, extend=True)
        array.write([0.0, 0.0, 0.0, 9.0], persist=False)
        array.close_stream()
        listening._thread.join(300)
    assert elements == [(None, [1, 2, 3]), ((3,), [4]), (None, [0, 0, 0, 9])]
    assert array.read().tolist() == [1, 2, 3, 4]

    rows: list[Any] = []
    with table.subscribe() as listening:
        listening.new_data.add_callback(lambda update: rows.append((update.append, update.data()["x"].tolist())))
        listening.start_in_thread()
        table.append_partition(0, {"x": [1, 2]})
        table.append_partition(0, {"x": [3]})
        table.close_stream()
        listening._thread.join(300)
    assert rows == [(True, [1, 2]), (True, [3])]


def test_files_are_shown_where_they_lie(place: Any, files: Path, tmp_path: Path) -> None:
    np.testing.assert_array_equal(place.register(files / "grid.npy", metadata={"n": 1}).read(), GRID)
    images = place.register(files / "i1.tif", files / "i0.tif", key="images")
    assert images.read().tolist() == [[[n] * 5] * 4 for n in (1, 0)]
    assert place.register(files / "t.csv").read().to_dict("list") == {"x": [1, 2], "name": ["a", "b"]}
    np.testing.assert_array_equal(place.register(files / "h.h5", key="h5")["entry", "data"].read(), GRID)
    data = place.register(files / "h.h5", parameters={"dataset": "entry/data"})
    np.testing.assert_array_equal(data[1:, 0], GRID[1:, 0])
    assert {node.data_sources()[0].management for node in place.values()} == {"external"}
    # What the server forgets stays where it is.
    place.delete_contents()
    assert list(place) == []
    assert (files / "grid.npy").exists()
    np.save(tmp_path / "elsewhere.npy", GRID)
    with pytest.raises(errors.DatabrokerError):
        place.register(tmp_path / "elsewhere.npy").read()


def same(one: Any, other: Any) -> None:
    """Two containers hold the same, in the same order."""
    assert list(one) == list(other)
    for key, node in one.items():
        copied = other[key]
        assert (copied.structure_family, copied.metadata_copy()) == (node.structure_family, node.metadata_copy())
        assert list(copied.specs) == list(node.specs)
        if node.structure_family == "container":
            same(node, copied)
        elif node.structure_family == "table":
            mine, theirs = (table.read().reset_index(drop=True) for table in (node, copied))
            pd.testing.assert_frame_equal(mine, theirs, check_dtype=False)
        elif node.structure_family == "sparse":
            np.testing.assert_array_equal(node.todense(), copied.todense())
        elif node.structure_family in ("awkward", "ragged"):
            assert node.read().tolist() == copied.read().tolist()
        else:
            assert (node.dims, node.dtype) == (copied.dims, copied.dtype)
            np.testing.assert_array_equal(node.read(), copied.read())


def recorded_run() -> Any:
    catalog = BlueskyInMemoryCatalog()
    run = compose_run(metadata={"sample": "gold"})
    keys = {
        "det": {"dtype": "number", "shape": [], "source": "s"},
        "img": {"dtype": "array", "shape": [2], "source": "s"},
    }
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    catalog.v1.insert("start", run.start_doc)
    catalog.v1.insert("descriptor", stream.descriptor_doc)
    for n in range(3):
        data, when = {"det": n / 2, "img": [n, n]}, {"det": 1.0 * n, "img": 1.0 * n}
        catalog.v1.insert("event", stream.compose_event(data=data, timestamps=when))
    catalog.v1.insert("stop", run.compose_stop())
    return catalog


@pytest.mark.timeout(900)
def test_a_tree_is_copied_from_here_to_tiled_and_on(place: Any) -> None:
    dataset = xr.Dataset({"v": (("y", "x"), GRID)}, {"x": [1, 2, 3]}, {"title": "d"})
    tree = MapNode(
        {
            "grid": ArrayData(GRID, metadata={"n": 1}, specs=[Spec("demo", "1")], dims=["y", "x"]),
            "large": ArrayData(np.arange(6_000_000).reshape(3000, 2000)),
            "table": TableData(pa.table({"x": list(range(10)), "s": list("abcdefghij")}), partition_rows=4),
            "sparse": SparseData([[0, 2], [1, 2]], [1.5, 2.5], (3, 4), chunks=((2, 1), (4,))),
            "ragged": RaggedData([[1.0, 2.0], [], [3.0]]),
            "dataset": dataset_node(dataset),
            "runs": RunsNode(recorded_run()),
        }
    )
    there, further = place.create_container("there"), place.create_container("further")
    with Context.from_app(build_app(tree, public=True)) as context:
        source = from_context(context)
        copied = copy(source, there)
        assert copied.skipped == 0
        same(source, place["there"])
        assert copy(source, there, "skip") == Copied(written=0, skipped=copied.written)
        with pytest.raises(errors.Conflict):
            copy(source, there)
    xr.testing.assert_identical(place["there", "dataset"].read(), dataset)
    there.write_awkward(RECORDS, key="awkward")
    growing = there.create_appendable_table(pa.schema({"x": pa.int64()}), key="growing")
    growing.append_partition(0, {"x": [1, 2]})
    copy(place["there"], further)
    same(place["there"], place["further"])
    # It still grows there.
    place["further", "growing"].append_partition(0, {"x": [3]})
    assert place["further", "growing"].read()["x"].tolist() == [1, 2, 3]
    assert asked(place["further"])["contents"]["awkward"]["values"] == RECORDS


def test_a_copy_that_was_cut_short_is_taken_up(place: Any) -> None:
    tree = MapNode({f"a{n}": ArrayData(np.full(4, n), metadata={"n": n}) for n in range(4)})
    with Context.from_app(build_app(tree, public=True)) as context:
        source = from_context(context)
        copy(source.items()[:2], place)
        # As it is left behind when the process is killed: made, and without data.
        place.write_array(np.zeros(2), key="a2", metadata={"n": 2, "unfinished_copy": True})
        with pytest.raises(errors.Conflict, match="already"):
            copy(source, place)
        assert copy(source, place, "skip") == Copied(written=2, skipped=2)
        same(source, place)
