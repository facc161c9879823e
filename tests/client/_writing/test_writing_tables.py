from __future__ import annotations

from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from databroker_like import errors
from databroker_like.client._writing._bodies import table_of
from databroker_like.structures import TableStructure
from tests.client.recording_server import RecordingServer

FRAME = pd.DataFrame({"x": [1, 2, 3, 4], "name": list("abcd")})


@pytest.mark.parametrize(
    "data",
    [
        FRAME,
        pa.table({"x": [1, 2, 3, 4], "name": list("abcd")}),
        pa.record_batch({"x": [1, 2, 3, 4], "name": list("abcd")}),
        {"x": [1, 2, 3, 4], "name": np.array(list("abcd"))},
    ],
)
def test_a_table_is_written_by_one_request(writable: Any, recording: RecordingServer, data: Any) -> None:
    made = writable.write_table(data, key="t", metadata={"n": 1}, specs=["demo"])
    posted, put = recording.changes
    structure = TableStructure.from_json(posted.json["data_sources"][0]["structure"])
    assert (structure.columns, structure.npartitions) == (("x", "name"), 1)
    assert (put.method, put.path, put.kind) == ("PUT", "/table/full/t", "application/vnd.apache.arrow.file")
    assert put.table.to_pydict() == {"x": [1, 2, 3, 4], "name": list("abcd")}
    assert structure.schema.equals(put.table.schema)
    assert made.columns == ["x", "name"]


def test_the_older_name_does_the_same(writable: Any, recording: RecordingServer) -> None:
    writable.write_dataframe(FRAME, key="t")
    assert recording.changes[-1].path == "/table/full/t"


def test_a_column_of_arrays_is_written(writable: Any, recording: RecordingServer) -> None:
    writable.write_table({"spectrum": np.arange(6).reshape(2, 3)})
    assert recording.changes[-1].table.to_pydict() == {"spectrum": [[0, 1, 2], [3, 4, 5]]}


@pytest.mark.parametrize(
    ("frame", "names"),
    [
        (FRAME, ["x", "name"]),
        (FRAME.set_index(pd.Index([5, 6, 7, 9], name="at")), ["x", "name", "at"]),
        (FRAME.set_index(pd.Index([5, 6, 7, 9])), ["x", "name", "index"]),
        (FRAME.set_index([pd.Index([1, 1, 2, 2]), pd.Index([1, 2, 1, 2])]), ["x", "name", "level_0", "level_1"]),
    ],
)
def test_an_index_that_does_not_merely_count_is_a_column(frame: Any, names: list[str]) -> None:
    table = table_of(frame)
    assert table.schema.names == names
    again = table.to_pandas()
    np.testing.assert_array_equal(again.index.to_numpy(), frame.index.to_numpy())


def test_an_index_without_a_name_takes_no_column_away() -> None:
    with pytest.raises(errors.Invalid, match="name the index"):
        table_of(pd.DataFrame({"index": [1, 2]}, index=[5, 6]))


@pytest.mark.parametrize(
    "data", [{"_x": [1]}, pd.DataFrame({"_x": [1]}), pa.schema({"_x": pa.int64()}), pa.table([[1], [2]], ["a", "a"])]
)
def test_names_that_a_table_cannot_have_are_refused(writable: Any, recording: RecordingServer, data: Any) -> None:
    with pytest.raises(errors.Invalid, match=r"begins with '_'|there twice"):
        writable.create_appendable_table(data)
    assert recording.changes == []


@pytest.mark.parametrize("data", [[1, 2], pd.DataFrame({1: [2]}), {"x": [object()]}, {"x": [1], "y": [1, 2]}])
def test_what_is_no_table_is_refused(writable: Any, recording: RecordingServer, data: Any) -> None:
    with pytest.raises((errors.Invalid, errors.WrongType)):
        writable.write_table(data)
    assert recording.changes == []


def test_a_dataframe_of_dask_is_written_partition_by_partition(writable: Any, recording: RecordingServer) -> None:
    lazy = dd.from_pandas(FRAME, npartitions=2)
    made = writable.write_table(lazy, key="t")
    assert made.structure().npartitions == 2
    parts = {asked.query["partition"]: asked for asked in recording.changes[1:]}
    assert {asked.path for asked in parts.values()} == {"/table/partition/t"}
    assert parts["0"].table.to_pydict()["x"] == [1, 2]
    assert parts["1"].table.to_pydict()["name"] == ["c", "d"]
    made.write(lazy)
    assert len(recording.changes) == 5
    with pytest.raises(errors.Invalid, match="repartition"):
        made.write(lazy.repartition(npartitions=1))


def test_rows_are_written_anew(writable: Any, recording: RecordingServer) -> None:
    made = writable.write_table(FRAME, key="t")
    made.write(FRAME[["name", "x"]].iloc[:2])
    assert recording.changes[-1].table.schema.names == ["x", "name"]
    made.write_partition(0, {"x": [9.0], "name": ["z"]})
    asked = recording.changes[-1]
    assert (asked.method, asked.path, asked.query) == ("PUT", "/table/partition/t", {"partition": "0"})
    assert asked.table.schema.equals(made.structure().schema)
    with pytest.raises(errors.OutOfRange, match=r"has \d+ partitions?, and no partition"):
        made.write_partition(1, FRAME)


def test_a_table_of_several_partitions_is_spread_over_them(writable: Any, recording: RecordingServer) -> None:
    made = writable.create_appendable_table(pa.schema({"x": pa.int64()}), 3, key="t", table_name="mine")
    source = recording.changes[0].json["data_sources"][0]
    assert (source["mimetype"], source["parameters"]) == ("application/x-tiled-sql-table", {"table_name": "mine"})
    made.write({"x": [1, 2, 3, 4]})
    written = {asked.query["partition"]: asked.table["x"].to_pylist() for asked in recording.changes[1:]}
    assert written == {"0": [1, 2], "1": [3, 4], "2": []}


@pytest.mark.parametrize("data", [{"x": [1]}, {"x": [1], "name": ["a"], "more": [1]}])
def test_other_columns_are_named(writable: Any, data: Any) -> None:
    made = writable.write_table(FRAME)
    with pytest.raises(errors.NoSuchColumn, match=r"lacks 'name'|has 'more' besides"):
        made.write(data)


def test_a_column_that_would_not_be_the_same_is_refused(writable: Any) -> None:
    made = writable.write_table({"x": [1]})
    with pytest.raises(errors.Invalid, match="another type"):
        made.append_partition(0, {"x": [1.5]})


def test_rows_are_added(writable: Any, recording: RecordingServer) -> None:
    made = writable.create_appendable_table(pa.schema({"x": pa.int64(), "y": pa.float64()}), key="t")
    made.append_partition(0, {"y": [1], "x": [2]})
    asked = recording.changes[-1]
    assert (asked.method, asked.path, asked.query) == ("PATCH", "/table/partition/t", {"partition": "0"})
    assert asked.table.to_pydict() == {"x": [2], "y": [1.0]}


@pytest.mark.parametrize(("status", "times"), [(503, 1), ("lost", 1), (429, 2)])
def test_no_row_is_added_twice(writable: Any, recording: RecordingServer, status: Any, times: int) -> None:
    made = writable.create_appendable_table(pa.schema({"x": pa.int64()}), key="t")
    recording.instead = [status]
    if times == 1:
        with pytest.raises(errors.Unreachable):
            made.append_partition(0, {"x": [1]})
    else:
        made.append_partition(0, {"x": [1]})
    assert len(recording.changes) == times + 1
