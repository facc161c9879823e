from __future__ import annotations

import math
from typing import Any

import awkward as ak
import numpy as np
import orjson
import pytest
import ragged
from hypothesis import given
from hypothesis import strategies as st

from databroker_like import errors
from databroker_like.client._writing._buffers import ragged_parts
from tests.client.recording_server import RecordingServer

RECORDS = [{"x": [1, 2], "y": 1.5}, {"x": [], "y": 2.5}]


def from_zip(parts: dict[str, bytes], form: dict[str, Any], length: int) -> Any:
    buffers = {name: np.frombuffer(part, "u1") for name, part in parts.items()}
    return ak.from_buffers(ak.forms.from_dict(form), length, buffers)


def test_an_awkward_array_is_written_as_its_buffers(writable: Any, recording: RecordingServer) -> None:
    made = writable.write_awkward(ak.Array(RECORDS), key="a", metadata={"n": 1})
    posted, put = recording.changes
    structure = posted.json["data_sources"][0]["structure"]
    assert (put.method, put.path, put.kind) == ("PUT", "/awkward/full/a", "application/zip")
    assert from_zip(put.zipped, structure["form"], structure["length"]).to_list() == RECORDS
    made.write([{"x": [1, 2], "y": 0.5}, {"x": [3], "y": 2.5}])
    assert recording.changes[-1].path == "/awkward/full/a"
    with pytest.raises(errors.Invalid, match="another form or length"):
        made.write(RECORDS[:1])
    with pytest.raises(errors.Invalid, match="no names"):
        writable.write_awkward(RECORDS, dims=["a"])


def test_only_what_is_in_a_part_is_sent(writable: Any, recording: RecordingServer) -> None:
    whole = ak.Array([list(range(n)) for n in range(100)])
    writable.write_awkward(whole[1:3])
    assert sum(map(len, recording.changes[-1].zipped.values())) <= 8 * 6


def test_elements_are_written_with_their_places(writable: Any, recording: RecordingServer) -> None:
    made = writable.write_sparse([[0, 1], [1, 2]], [1.5, 2.5], (3, 4), key="s", dims=["y", "x"])
    posted, put = recording.changes
    structure = posted.json["data_sources"][0]["structure"]
    assert (structure["shape"], structure["chunks"], structure["dims"]) == ([3, 4], [[3], [4]], ["y", "x"])
    assert (put.path, put.kind) == ("/array/full/s", "application/vnd.apache.arrow.file")
    assert put.table.to_pydict() == {"dim0": [0, 1], "dim1": [1, 2], "data": [1.5, 2.5]}
    made.write([[2], [3]], [9.0])
    assert recording.changes[-1].table.to_pydict() == {"dim0": [2], "dim1": [3], "data": [9.0]}
    made.write_block([[0], [0]], [1.0], (0, 0))
    assert recording.changes[-1].query == {"block": "0,0"}
    with pytest.raises(errors.OutOfRange):
        made.write_block([[0], [0]], [1.0], (1, 0))


def test_no_elements_at_all_are_written(writable: Any, recording: RecordingServer) -> None:
    writable.write_sparse([[], []], [], (3, 4))
    assert recording.changes[-1].table.num_rows == 0
    kind = recording.changes[0].json["data_sources"][0]["structure"]["coord_data_type"]["kind"]
    assert kind == "i"


@pytest.mark.parametrize(
    ("coords", "data"),
    [([[0, 1]], [1, 2]), ([[0, 1], [0, 1]], [1]), ([[0], [4]], [1]), ([[-1], [0]], [1]), ([[0.5], [0]], [1])],
)
def test_places_that_do_not_fit_are_refused(writable: Any, recording: RecordingServer, coords: Any, data: Any) -> None:
    with pytest.raises(errors.Invalid):
        writable.write_sparse(coords, data, (3, 4))
    assert recording.changes == []


@pytest.mark.parametrize(
    ("rows", "shape", "size"),
    [
        ([[1, 2, 3], [4]], [2, None], 4),
        ([[[1.5, 2], [3]], [[4]], []], [3, None, None], 4),
        (ragged.array([[1, 2], [], [3]]), [3, None], 3),
        (ak.Array([np.ones((2, 3)), np.ones((1, 3))]), [2, None, None], 9),
        (np.ones((2, 3)), [2, None], 6),
        ([[], []], [2, None], 0),
        ([], [0, None], 0),
        ([[], [[]]], [2, None, None], 0),
    ],
)
def test_rows_are_written_with_their_form(
    writable: Any, recording: RecordingServer, rows: Any, shape: Any, size: int
) -> None:
    made = writable.write_ragged(rows, key="r")
    posted, put = recording.changes
    source = posted.json["data_sources"][0]
    assert source["mimetype"] == "application/x-ragged+sql"
    assert (source["structure"]["shape"], source["structure"]["size"]) == (shape, size)
    assert (put.path, put.kind) == ("/ragged/full/r", "application/zip")
    parts = put.zipped
    length, form = int.from_bytes(parts.pop("length"), "big"), orjson.loads(orjson.loads(parts.pop("form")))
    expected = rows.tolist() if hasattr(rows, "tolist") else rows
    assert from_zip(parts, form, length).to_list() == expected
    assert made.shape == tuple(shape)


@given(
    st.lists(st.integers(0, 20), max_size=12),
    st.integers(8, 200),
)
def test_blocks_of_rows_are_no_larger_than_allowed(lengths: list[int], most: int) -> None:
    if not lengths:
        return
    structure, _ = ragged_parts([[0.5] * n for n in [*lengths, 1]], most_bytes=most)
    cuts, at = structure.chunks[0] or (), 0
    assert sum(cuts) == len(lengths) + 1
    for cut in cuts:
        inside = [*lengths, 1][at : at + cut]
        assert cut == 1 or sum(inside) * 8 <= most
        at += cut


def test_blocks_of_rows_are_written_one_after_another(writable: Any, recording: RecordingServer) -> None:
    writable.write_ragged([[1.5] * 5, [2.0] * 3, [1.0] * 8, [2.0]], key="r", max_partition_bytes=64)
    puts = recording.changes[1:]
    assert [(asked.path, asked.query) for asked in puts] == [("/ragged/block/r", {"block": str(n)}) for n in range(3)]
    assert [int.from_bytes(asked.zipped["length"], "big") for asked in puts] == [2, 1, 1]


def test_rows_are_added_and_written_anew(writable: Any, recording: RecordingServer) -> None:
    made = writable.write_ragged([[1.5, 2.5], [3.5]], key="r")
    recording.structure = {**made.structure().to_json(), "shape": [3, None], "size": 4, "chunks": [[2, 1], None]}
    made.patch([[4]], 2, extend=True)
    asked = recording.changes[-1]
    assert (asked.method, asked.path) == ("PATCH", "/ragged/full/r")
    assert asked.query == {"shape": "1", "offset": "2", "extend": "true"}
    assert np.frombuffer(asked.zipped["node1-data"], "f8").tolist() == [4.0]
    assert made.shape == (3, None)
    with pytest.raises(errors.Invalid, match="2 rows do not fit"):
        made.write([[1], [2]])
    with pytest.raises(errors.Invalid, match=r"2 axes|3 axes"):
        made.patch([[[1]]], 3, extend=True)
    made.write_block([[1, 2]], 1, persist=False)
    assert recording.changes[-1].query == {"block": "1", "persist": "false"}


def test_rows_are_not_added_twice(writable: Any, recording: RecordingServer) -> None:
    made = writable.write_ragged([[1.5]], key="r")
    recording.instead = [503]
    with pytest.raises(errors.Unreachable):
        made.patch([[4.0]], 1, extend=True)
    assert len(recording.changes) == 3


@pytest.mark.parametrize("rows", [["ab"], [{"x": 1}], [[1, None]], [1, 2], [["a"], []], [[math.nan, {}]]])
def test_what_has_no_rows_of_numbers_is_refused(writable: Any, recording: RecordingServer, rows: Any) -> None:
    with pytest.raises(errors.Invalid, match=r"write_awkward|no array of it"):
        writable.write_ragged(rows)
    assert recording.changes == []
    with pytest.raises(errors.NotOffered):
        writable.write_ragged([[1]], appendable=False)
