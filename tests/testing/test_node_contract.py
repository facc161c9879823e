"""NodeContract: our own nodes keep it, and nodes that do not are found out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import awkward
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tifffile
import xarray as xr
import zarr
from event_model import compose_run

from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.nodes import (
    ArrayData,
    ArrayNode,
    Asset,
    AwkwardData,
    DataSource,
    MapNode,
    Node,
    RaggedData,
    SparseData,
    TableData,
    dataset_node,
)
from databroker_like.nodes.files import FolderNode
from databroker_like.nodes.runs import RunsNode
from databroker_like.structures import Spec
from databroker_like.testing import NodeContract

GRID = np.arange(35.0).reshape(7, 5)


def in_memory() -> MapNode:
    """A node of every structure family."""
    form, length, buffers = awkward.to_buffers(awkward.Array([[1, 2], [3]]))
    frame = pd.DataFrame({"x": [1, 2, 3], "name": ["a", "b", "c"], "t": pd.date_range("2026", periods=3)})
    dataset = xr.Dataset({"y": ("x", [0.5, np.nan])}, coords={"x": [1, 2]}, attrs={"scan": 5})
    return MapNode(
        {
            "grid": ArrayData(
                GRID, chunks=((3, 3, 1), (2, 3)), metadata={"color": "red", "n": 9}, specs=[Spec("demo")]
            ),
            "scalar": ArrayData(np.array(5), metadata={"color": "blue", "n": 10}),
            "empty": ArrayData(np.zeros((0, 3))),
            "records": ArrayData(np.array([(1, np.nan)], dtype=[("a", ">i4"), ("b", "f8")])),
            "table": TableData(frame, partition_rows=2),
            "lists": TableData(pa.table({"l": [[1], [1, 2]]})),
            "sparse": SparseData([[0, 3], [1, 2]], [1.5, 2.5], (4, 4), chunks=((2, 2), (4,))),
            "ragged": RaggedData([[1.0, 2.0], [3.0]]),
            "awkward": AwkwardData(form.to_dict(), length, buffers),
            "dataset": dataset_node(dataset),
            "inner": MapNode({f"k{i}": MapNode({}, metadata={"i": i}) for i in range(60)}),
        }
    )


class TestNodesInMemory(NodeContract):
    @pytest.fixture
    def node(self) -> Node:
        return in_memory()


class TestFilesInAFolder(NodeContract):
    @pytest.fixture
    def node(self, tmp_path: Path) -> Iterator[Node]:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.attrs["color"] = "red"
            file.create_dataset("entry/data", data=GRID, chunks=(2, 3)).attrs["units"] = "mm"
            file["texts"] = ["a", "bcd"]
            file.create_dataset("rows", (2,), h5py.vlen_dtype("i4"))[0] = [1, 2]
            file.create_dataset("references", (2,), h5py.ref_dtype)
        for number in range(3):
            tifffile.imwrite(tmp_path / f"i_{number}.tif", np.full((3, 4), number, "u2"))
        np.save(tmp_path / "n.npy", GRID)
        pd.DataFrame({"x": [1, 2], "y": ["a", "b"]}).to_csv(tmp_path / "t.csv", index=False)
        pd.DataFrame({"x": [1, 2], "y": ["a", None]}).to_parquet(tmp_path / "p.parquet")
        pd.DataFrame({"x": [1, 2], "y": [0.5, None]}).to_excel(tmp_path / "w.xlsx", index=False)
        zarr.open_group(tmp_path / "z.zarr", mode="w").create_array("x", data=GRID)
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "damaged.npy").write_bytes(b"garbage")
        tree = FolderNode(tmp_path, metadata={"title": "files"})
        yield tree
        tree.close()


class TestRuns(NodeContract):
    @pytest.fixture
    def node(self) -> Node:
        catalog = BlueskyInMemoryCatalog()
        for number in range(3):
            run = compose_run(metadata={"scan_id": number, "plan_name": "count"})
            stream = run.compose_descriptor(
                name="primary",
                data_keys={
                    "x": {"source": "s", "dtype": "number", "shape": []},
                    "img": {"source": "s", "dtype": "array", "shape": [2, 3]},
                },
            )
            documents: list[tuple[str, Any]] = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]
            for event in range(4):
                data = {"x": event / 2, "img": [[event] * 3] * 2}
                documents.append(
                    ("event", stream.compose_event(data=data, timestamps={"x": 1.0 * event, "img": 1.0 * event}))
                )
            documents.append(("stop", run.compose_stop()))
            for name, doc in documents:
                catalog.v1.insert(name, doc)
        return RunsNode(catalog)


# -- nodes that break it ----------------------------------------------------------------------------------------------


def fails(node: Node, rule: str) -> str:
    """What the contract says when a rule is broken."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - which one depends on the rule
        getattr(NodeContract(), rule)(node)
    assert isinstance(caught.value, AssertionError | pytest.fail.Exception), caught.value
    return str(caught.value)


def changed(base: type, **members: Any) -> type:
    """A class of nodes with something else in the place of what is right."""
    return type(f"Broken{base.__name__}", (base,), members)


def array_that(**members: Any) -> ArrayNode:
    """An array with a fault."""
    made: ArrayNode = changed(ArrayData, **members)(GRID, chunks=((4, 3), (5,)))
    return made


def test_metadata_that_is_no_json_is_found_out() -> None:
    assert "cannot be written as JSON" in fails(MapNode({}, metadata={"a": {1, 2}}), "test_what_is_said_of_it_is_plain")
    assert "not text" in fails(MapNode({}, metadata={1: 2}), "test_what_is_said_of_it_is_plain")  # type: ignore[dict-item]
    listed = changed(MapNode, specs=property(lambda self: ["demo"]))({})
    assert "not a tuple" in fails(listed, "test_what_is_said_of_it_is_plain")


def test_a_version_that_changes_or_is_no_plain_value_is_found_out() -> None:
    ticks = iter(range(100))
    rule = "test_its_version_is_plain_and_the_same_while_nothing_changes"
    assert "changes" in fails(array_that(version=property(lambda self: next(ticks))), rule)
    assert "make it text" in fails(array_that(version=property(lambda self: object())), rule)


def test_a_structure_of_another_family_is_found_out() -> None:
    rule = "test_its_structure_is_the_one_of_its_family"
    other = MapNode({}).structure()
    assert "it is ArrayStructure" in fails(array_that(structure=lambda self: other), rule)


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda self, slices=(): GRID.astype("f4")[slices], "type float32"),
        (lambda self, slices=(): GRID, "shape"),
        (lambda self, slices=(): GRID[slices].tolist(), "not an array of numpy"),
        (lambda self, slices=(): (GRID + (slices != ()))[slices], "not what numpy gives"),
    ],
)
def test_an_array_that_is_not_what_it_says_is_found_out(read: Callable[..., Any], said: str) -> None:
    def checked(self: Any, slices: Any = ()) -> Any:
        ArrayData.read(self, slices)
        return read(self, slices)

    blocks = {"read_block": ArrayData.read_block} if said != "not an array of numpy" else {}
    assert said in fails(array_that(read=checked, **blocks), "test_its_data_is_what_its_structure_says")


def test_an_array_whose_blocks_are_others_is_found_out() -> None:
    def read_block(self: Any, block: Any, slices: Any = ()) -> Any:
        return ArrayData.read_block(self, block, slices) * (1 + sum(block))

    rule = "test_its_data_is_what_its_structure_says"
    assert "block (1, 0)" in fails(array_that(read_block=read_block), rule)


def test_an_array_that_says_nothing_beyond_its_end_is_found_out() -> None:
    def read(self: Any, slices: Any = ()) -> Any:
        try:
            return ArrayData.read(self, slices)
        except IndexError:
            return GRID[0]

    assert "DID NOT RAISE" in fails(array_that(read=read), "test_its_data_is_what_its_structure_says")


def same_part(table: TableData, number: int, columns: Any) -> pa.Table:
    """The first part of a table, whichever is asked for."""
    table.check_partition(number)
    return TableData.read_partition(table, 0, columns)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"read_partition": lambda self, number, columns=None: same_part(self, number, columns)}, "do not make it up"),
        ({"check_columns": lambda self, columns: None}, "no such column"),
        ({"get": lambda self, key: ArrayData(GRID)}, "column that is not there"),
    ],
)
def test_a_table_that_is_not_what_it_says_is_found_out(members: dict[str, Any], said: str) -> None:
    frame = pd.DataFrame({"x": range(6), "y": range(6)})
    node = changed(TableData, **members)(frame, partition_rows=2)
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - of pyarrow, where columns are not checked
        NodeContract().test_its_data_is_what_its_structure_says(node)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"count": lambda self: 3}, "counts 3"),
        ({"keys": lambda self, offset=0, limit=None: iter(["a", "a"])}, "more than once"),
        ({"get": lambda self, key: ArrayData(GRID)}, "not there"),
        ({"get": lambda self, key: None}, "is listed"),
        ({"page": lambda self, offset, limit: (0, [])}, "page(0, 1)"),
        ({"items": lambda self, offset=0, limit=None: MapNode.items(self)}, "items(0, 1)"),
    ],
)
def test_a_container_that_lists_wrongly_is_found_out(members: dict[str, Any], said: str) -> None:
    node = changed(MapNode, **members)({"a": ArrayData(GRID), "b": ArrayData(GRID)})
    assert said in fails(node, "test_a_container_lists_what_is_in_it")


def test_a_container_that_searches_or_sorts_wrongly_is_found_out() -> None:
    nodes = {"a": MapNode({}, metadata={"n": 1}), "b": MapNode({}, metadata={"n": 2})}
    blind = changed(MapNode, search=lambda self, query: self)(nodes)
    assert "not there" in fails(blind, "test_a_container_searches")
    unsorted = changed(MapNode, sorted=lambda self, by: self)(nodes)
    assert "backwards" in fails(unsorted, "test_a_container_sorts")
    uncounted = changed(MapNode, distinct_families=lambda self: [])(nodes)
    assert "not counted" in fails(uncounted, "test_a_container_tells_different_values")


def test_a_node_that_answers_threads_differently_is_found_out() -> None:
    turns = iter(range(1000))
    node = array_that(read=lambda self, slices=(): GRID + next(turns))
    assert "different answers" in fails(node, "test_it_is_asked_from_many_threads")


def test_files_that_are_not_there_or_tell_where_they_lie_are_found_out(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(b"1")
    rule = "test_the_files_that_it_names_are_there"

    def with_asset(name: str, path: Path) -> Node:
        source = DataSource("application/x-raw", (Asset(path, name),))
        return array_that(data_source=lambda self: source)

    assert "no such file" in fails(with_asset("b.raw", tmp_path / "b.raw"), rule)
    assert "where it lies" in fails(with_asset(str(tmp_path / "a.raw"), tmp_path / "a.raw"), rule)
    assert "out of its folder" in fails(with_asset("../a.raw", tmp_path / "a.raw"), rule)
    NodeContract().test_the_files_that_it_names_are_there(with_asset("a.raw", tmp_path / "a.raw"))
