from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import awkward as ak
import numpy as np
import orjson
import pyarrow as pa
import pytest
import xarray as xr

from databroker_like import errors
from databroker_like import queries as q
from databroker_like.client import Context, _copying, from_context
from databroker_like.client._copying import plan_of
from databroker_like.client.sync import Copied, copy
from databroker_like.nodes import (
    ArrayData,
    AwkwardData,
    MapNode,
    RaggedData,
    SparseData,
    TableData,
    dataset_node,
)
from databroker_like.structures import ArrayStructure, Spec
from databroker_like.tree import build_app
from tests.client.recording_server import RecordingServer

GRID = np.arange(35.0).reshape(7, 5)
TABLE = pa.table({"x": list(range(10)), "name": list("abcdefghij")})
RECORDS = [{"x": [1, 2], "y": 1.5}, {"x": [], "y": 2.5}]
DATASET = xr.Dataset({"v": (("y", "x"), np.ones((2, 3)))}, {"x": [1, 2, 3]}, {"title": "d"})


def records() -> AwkwardData:
    form, length, buffers = ak.to_buffers(ak.Array(RECORDS))
    return AwkwardData(form.to_dict(), length, buffers)


@pytest.fixture
def source() -> Iterator[Any]:
    tree = {
        "grid": ArrayData(GRID, metadata={"n": 1}, specs=[Spec("demo", "1")], dims=["y", "x"]),
        "empty": ArrayData(np.empty((0, 3))),
        "table": TableData(TABLE, partition_rows=4),
        "awkward": records(),
        "sparse": SparseData([[0, 2], [1, 2]], [1.5, 2.5], (3, 4), chunks=((2, 1), (4,))),
        "ragged": RaggedData([[1.0, 2.0], [], [3.0]]),
        "dataset": dataset_node(DATASET),
        "inner": MapNode({f"k{n}": MapNode({"a": ArrayData(np.full(2, n))}, metadata={"n": n}) for n in range(3)}),
    }
    with Context.from_app(build_app(MapNode(tree), public=True)) as context:
        yield from_context(context)


def structure_at(recording: RecordingServer, path: str) -> Any:
    return recording.nodes[path]["attributes"]["structure"]


def test_everything_is_copied_with_its_metadata_and_specs(
    source: Any, writable: Any, recording: RecordingServer
) -> None:
    assert copy(source, writable) == Copied(written=16, skipped=0)
    assert [key for key in recording.nodes if key and "/" not in key] == list(source)
    grid = recording.nodes["grid"]["attributes"]
    assert (grid["metadata"], grid["specs"]) == ({"n": 1}, [{"name": "demo", "version": "1"}])
    assert grid["structure"]["dims"] == ["y", "x"]
    (put,) = recording.written("grid")
    np.testing.assert_array_equal(put.array("f8", GRID.shape), GRID)
    assert recording.written("empty") == []
    assert structure_at(recording, "empty")["shape"] == [0, 3]
    parts = sorted(recording.written("table"), key=lambda asked: asked.query["partition"])
    assert pa.concat_tables([asked.table for asked in parts]).to_pydict() == TABLE.to_pydict()
    assert structure_at(recording, "table")["npartitions"] == len(parts) == 3
    (put,) = recording.written("awkward")
    told = structure_at(recording, "awkward")
    buffers = {name: np.frombuffer(part, "u1") for name, part in put.zipped.items()}
    assert ak.from_buffers(ak.forms.from_dict(told["form"]), told["length"], buffers).to_list() == RECORDS
    blocks = {asked.query["block"]: asked.table.to_pydict() for asked in recording.written("sparse")}
    assert blocks == {
        "0,0": {"dim0": [0], "dim1": [1], "data": [1.5]},
        "1,0": {"dim0": [0], "dim1": [2], "data": [2.5]},
    }
    (put,) = recording.written("ragged")
    assert np.frombuffer(put.zipped["node0-offsets"], "i8").tolist() == [0, 2, 2, 3]
    dataset = recording.nodes["dataset"]["attributes"]
    assert (dataset["specs"][0]["name"], dataset["metadata"]["attrs"]) == ("xarray_dataset", {"title": "d"})
    assert recording.written("dataset/x")[0].array("i8", 3).tolist() == [1, 2, 3]
    assert recording.nodes["inner/k2"]["attributes"]["metadata"] == {"n": 2}
    assert recording.written("inner/k2/a")[0].array("i8", 2).tolist() == [2, 2]


def test_no_copy_keeps_the_mark_of_one_that_is_going_on(source: Any, writable: Any, recording: RecordingServer) -> None:
    copy(source, writable)
    made = {asked.json["id"]: asked.json["metadata"] for asked in recording.changes if asked.method == "POST"}
    assert made["grid"] == {"n": 1, "unfinished_copy": True}
    assert "unfinished_copy" not in made["inner"]
    assert not [key for key, node in recording.nodes.items() if "unfinished_copy" in node["attributes"]["metadata"]]
    ends = [asked for asked in recording.changes if asked.method == "PUT" and asked.path.startswith("/metadata/")]
    assert {asked.query["drop_revision"] for asked in ends} == {"true"}


def test_a_part_of_a_container_is_copied(source: Any, writable: Any, recording: RecordingServer) -> None:
    assert copy(source.items().head(2), writable).written == 2
    assert copy(source["inner"].search(q.Key("n") > 0), writable).written == 4
    assert copy(source["table"], writable).written == 1
    assert [key for key in recording.nodes if key and "/" not in key] == ["grid", "empty", "k1", "k2", "table"]


def test_a_large_array_is_copied_block_by_block(
    source: Any, writable: Any, recording: RecordingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_copying, "_AT_ONCE", 10)
    plan = plan_of(source["grid"])
    structure = ArrayStructure.from_array(GRID, chunks=((4, 3), (5,)))
    made = writable.new("array", [{"structure": structure}], key="a")
    plan.write(made)
    (put,) = recording.written("a")
    assert put.query == {"block": "0,0"}
    assert put.array("f8", GRID.shape).tolist() == GRID.tolist()


def test_what_is_there_is_an_error_a_warning_or_passed_over(
    source: Any, writable: Any, recording: RecordingServer
) -> None:
    copy(source, writable)
    before = len(recording.changes)
    with pytest.raises(errors.Conflict, match="'grid' already") as caught:
        copy(source, writable)
    assert "at the copy of" in caught.value.__notes__[-1]
    with pytest.warns(UserWarning, match="is there already, and is not copied") as warned:
        assert copy(source, writable, "warn") == Copied(written=0, skipped=16)
    assert len(warned) == 16
    assert copy(source, writable, "skip") == Copied(written=0, skipped=16)
    assert {asked.method for asked in recording.changes[before:]} == {"POST"}


def test_a_copy_that_was_cut_short_is_taken_up(source: Any, writable: Any, recording: RecordingServer) -> None:
    inner = writable.create_container("inner")
    inner.create_container("k0", metadata={"n": 0})
    structure = ArrayStructure.from_array(np.ones(1))
    sources = [{"structure": structure}]
    writable.new("array", sources, key="grid", metadata={"n": 1, "unfinished_copy": True})
    writable.write_array([5], key="empty")
    with pytest.raises(errors.Conflict, match=r"cut short.*on_conflict='skip'"):
        copy(source, writable)
    assert copy(source, writable, "skip") == Copied(written=13, skipped=3)
    (put,) = recording.written("grid")
    assert put.array("f8", GRID.shape).tolist() == GRID.tolist()
    assert recording.nodes["grid"]["attributes"]["metadata"] == {"n": 1}
    assert structure_at(recording, "empty")["shape"] == [1]


def test_something_of_another_kind_stays(source: Any, writable: Any, recording: RecordingServer) -> None:
    writable.write_array([5], key="inner")
    assert copy(source.search(q.KeysFilter(["inner"])), writable, "skip") == Copied(written=0, skipped=1)
    assert list(recording.nodes) == ["", "inner"]


def test_an_error_ends_the_copy_and_says_of_which_node(source: Any, writable: Any, recording: RecordingServer) -> None:
    recording.refused = {"/array/full/grid"}
    with pytest.raises(errors.Invalid) as caught:
        copy(source, writable)
    assert any("metadata/grid" in note for note in caught.value.__notes__)
    assert recording.nodes["grid"]["attributes"]["metadata"]["unfinished_copy"] is True


def test_a_table_that_grows_is_copied_as_one(writable: Any, recording: RecordingServer) -> None:
    class Grows(TableData):
        def data_source(self) -> Any:
            return None

    with Context.from_app(build_app(MapNode({"t": Grows(TABLE)}), public=True)) as context:
        table = from_context(context)["t"]
        table.item["attributes"]["data_sources"] = [{"mimetype": "application/x-tiled-sql-table"}]
        table._include_data_sources = True
        plan = plan_of(table)
        made = writable.new("table", [{"structure": plan.structure, "mimetype": plan.mimetype}], key="t")
        plan.write(made)
    assert plan.mimetype == "application/x-tiled-sql-table"
    (patch,) = recording.written("t")
    assert (patch.method, patch.query, patch.table.to_pydict()) == ("PATCH", {"partition": "0"}, TABLE.to_pydict())


def test_names_that_servers_keep_are_refused(writable: Any) -> None:
    table = TableData(pa.table({"_x": [1]}))
    context = Context.from_app(build_app(MapNode({"t": table}), public=True))
    with context, pytest.raises(errors.Invalid, match="begins with '_'"):
        copy(from_context(context), writable)


def test_a_copy_into_itself_is_refused(source: Any, writable: Any) -> None:
    made = writable.create_container("a").create_container("b")
    for what in (writable, writable["a"], made, writable.items()[:]):
        with pytest.raises(errors.Invalid, match="no end"):
            copy(what, made)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda source, dest: copy(source, dest, "overwrite"),
        lambda source, dest: copy(source, source["grid"]),
        lambda source, dest: copy(["a"], dest),
        lambda source, dest: copy([("a", 1)], dest),
    ],
)
def test_what_cannot_be_copied_is_refused(source: Any, writable: Any, wrong: Any) -> None:
    with pytest.raises(errors.Invalid):
        wrong(source, writable)


def test_a_place_for_reading_is_said_to_be(source: Any) -> None:
    context = Context.from_app(build_app(MapNode({}), public=True))
    with context, pytest.raises(errors.NotWritable, match="for reading"):
        copy(source, from_context(context))


def test_rows_that_have_no_elements_are_copied(writable: Any, recording: RecordingServer) -> None:
    with Context.from_app(build_app(MapNode({"r": RaggedData([[], []])}), public=True)) as context:
        copy(from_context(context), writable)
    (put,) = recording.written("r")
    assert orjson.loads(orjson.loads(put.zipped["form"]))["content"]["primitive"] == "float64"
