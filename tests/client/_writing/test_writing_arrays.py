from __future__ import annotations

import pickle
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from databroker_like import errors
from databroker_like.client._writing import _arrays
from databroker_like.client._writing._arrays import put_array
from databroker_like.client._writing._bodies import array_of, memory_of, whole_chunks
from databroker_like.structures import ArrayStructure
from tests.client.recording_server import RecordingServer

GRID = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize(
    "array",
    [
        GRID,
        GRID.T,
        GRID[::-2],
        GRID.astype(">f4"),
        np.array(["é", "xyz"]),
        np.array([b"ab", b""]),
        np.array(["2026-01-01"], "M8[ms]"),
        np.array([True, False]),
        np.array([1 + 2j]),
        np.array([(1, 2.5)], [("n", "<i2"), ("x", ">f8", (2,))]),
        np.array(4.5),
        np.empty((0, 3)),
        [[1, 2], [3, 4]],
        np.array(["a", "bcd"], np.dtypes.StringDType()),
    ],
)
def test_an_array_is_written_by_one_request_as_it_lies_in_memory(
    writable: Any, recording: RecordingServer, array: Any
) -> None:
    made = writable.write_array(array, key="a", metadata={"n": 1})
    posted, put = recording.changes
    expected = np.asarray(array)
    if expected.dtype.kind == "T":
        expected = np.array(["a", "bcd"])
    structure = ArrayStructure.from_json(posted.json["data_sources"][0]["structure"])
    assert (structure.shape, structure.data_type.to_numpy_dtype()) == (expected.shape, expected.dtype)
    assert (put.method, put.path, put.query, put.kind) == ("PUT", "/array/full/a", {}, "application/octet-stream")
    assert put.body == expected.tobytes()
    assert (made.shape, made.dtype, dict(made.metadata)) == (expected.shape, expected.dtype, {"n": 1})


def test_masked_elements_are_not_written_as_if_they_were_there(writable: Any, recording: RecordingServer) -> None:
    writable.write_array(np.ma.masked_array([1, 2]))
    with pytest.raises(errors.WrongType, match="filled"):
        writable.write_array(np.ma.masked_array([1, 2], [False, True]))
    assert len(recording.changes) == 2


def test_an_array_that_has_grown_since_is_looked_up(writable: Any, recording: RecordingServer) -> None:
    made = writable.write_array(GRID, key="a")
    recording.nodes["a"]["attributes"]["structure"] = ArrayStructure.from_array(np.ones((5, 3))).to_json()
    made.write(np.ones((5, 3)))
    assert recording.changes[-1].array("f8", (5, 3)).tolist() == np.ones((5, 3)).tolist()


def test_axes_have_names(writable: Any, recording: RecordingServer) -> None:
    assert writable.write_array(GRID, dims=["y", "x"]).dims == ("y", "x")
    assert writable.write_array(xr.DataArray(GRID, dims=["row", "column"])).dims == ("row", "column")


@pytest.mark.parametrize(
    "array", [[{"a": 1}], np.array([1, "a"], object), [None], da.from_array(np.array([object()]), chunks=1)]
)
def test_python_objects_are_refused_before_anything_is_sent(
    writable: Any, recording: RecordingServer, array: Any
) -> None:
    with pytest.raises(errors.WrongType, match="only a pickle could hold them"):
        writable.write_array(array)
    assert recording.changes == []


def test_a_dask_array_is_written_block_by_block(writable: Any, recording: RecordingServer) -> None:
    array = da.from_array(GRID, chunks=(2, 2))
    made = writable.write_array(array, key="a")
    blocks = {asked.query["block"]: asked for asked in recording.changes[1:]}
    assert set(blocks) == {"0,0", "0,1", "1,0", "1,1"}
    assert {asked.path for asked in blocks.values()} == {"/array/block/a"}
    assert blocks["1,0"].array("f8", (2, 2)).tolist() == GRID[2:, :2].tolist()
    assert blocks["0,1"].array("f8", (2, 1)).tolist() == GRID[:2, 2:].tolist()
    assert made.chunks == ((2, 2), (2, 1))


def test_a_dask_array_without_elements_is_written_whole(writable: Any, recording: RecordingServer) -> None:
    writable.write_array(da.zeros((0, 6), chunks=(1, 3)), key="a")
    assert [(asked.path, asked.body) for asked in recording.changes[1:]] == [("/array/full/a", b"")]


def test_a_lazy_data_array_of_xarray_stays_lazy(writable: Any, recording: RecordingServer) -> None:
    writable.write_array(xr.DataArray(da.from_array(GRID, chunks=(2, 3)), dims=["y", "x"]), key="a")
    assert [asked.path for asked in recording.changes[1:]] == ["/array/block/a"] * 2


def test_blocks_are_alike_but_for_the_last(writable: Any, recording: RecordingServer) -> None:
    array = da.from_array(np.arange(7.0), chunks=((3, 2, 2),))
    made = writable.write_array(array)
    assert made.chunks == ((3, 3, 1),)
    written = {asked.query["block"]: asked.array("f8", -1).tolist() for asked in recording.changes[1:]}
    assert written == {"0": [0, 1, 2], "1": [3, 4, 5], "2": [6]}


def test_a_large_array_of_numpy_is_written_in_blocks(
    writable: Any, recording: RecordingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    structure = ArrayStructure.from_array(GRID, chunks=((2, 2), (3,)))
    monkeypatch.setattr(_arrays, "_AT_ONCE", 10)
    made = writable.new("array", [{"structure": structure}], key="a")
    put_array(writable.context, made.item, structure, GRID, persist=False)
    written = {asked.query["block"]: asked for asked in recording.changes[1:]}
    assert {asked.query["persist"] for asked in written.values()} == {"false"}
    assert written["1,0"].array("f8", (2, 3)).tolist() == GRID[2:].tolist()
    assert len(written) == 2


@given(st.lists(st.integers(0, 200), min_size=1, max_size=3), st.lists(st.integers(1, 120), min_size=3, max_size=3))
def test_no_block_is_too_large_and_none_is_missing(shape: list[int], steps: list[int]) -> None:
    dtype = np.dtype(("V", 1 << 20))
    array = da.zeros(shape, dtype="u1", chunks=steps[: len(shape)]).view("u1")
    lengths = whole_chunks(array)
    assert tuple(map(sum, lengths)) == tuple(shape)
    fat = _Fat(array.shape, array.chunks, dtype)
    for axis, cuts in enumerate(whole_chunks(fat)):
        assert sum(cuts) == shape[axis]
        assert all(cut == cuts[0] for cut in cuts[:-1])
        assert cuts[-1] <= cuts[0]
    largest = int(np.prod([cuts[0] for cuts in whole_chunks(fat)], dtype=float)) * dtype.itemsize
    assert largest <= 10**8


class _Fat:
    """Has the chunks of a dask array with elements of a megabyte, and none of their bytes."""

    __module__ = "dask.array"

    def __init__(self, shape: Any, chunks: Any, dtype: Any) -> None:
        self.shape, self.chunks, self.dtype = shape, chunks, dtype


def test_blocks_of_unknown_length_are_refused(writable: Any) -> None:
    array = da.from_array(np.arange(4), chunks=2)
    with pytest.raises(errors.Invalid, match="compute_chunk_sizes"):
        writable.write_array(array[array > 1])


def test_all_is_written_anew(writable: Any, recording: RecordingServer) -> None:
    made = writable.write_array(GRID, key="a")
    made.write(GRID.astype("f4") + 1, persist=False)
    put = recording.changes[-1]
    assert (put.query, put.array("f8", (4, 3)).tolist()) == ({"persist": "false"}, (GRID + 1).tolist())
    with pytest.raises(errors.Invalid, match=r"patch\(..., extend=True\)"):
        made.write(GRID[:2])
    with pytest.raises(errors.Invalid, match="astype"):
        writable.write_array([1, 2]).write([1.5, 2.5])


def test_blocks_are_written(writable: Any, recording: RecordingServer) -> None:
    made = writable.write_array(da.from_array(GRID, chunks=(2, 3)), key="a")
    made.write_block(np.ones((2, 3)), (1, 0))
    put = recording.changes[-1]
    assert (put.method, put.path, put.query) == ("PUT", "/array/block/a", {"block": "1,0"})
    with pytest.raises(errors.OutOfRange):
        made.write_block(np.ones((2, 3)), (2, 0))
    with pytest.raises(errors.Invalid, match="does not fit"):
        made.write_block(np.ones((3, 2)), (1, 0))


def test_a_part_of_a_block_is_written_as_a_part_of_the_whole(writable: Any, recording: RecordingServer) -> None:
    made = writable.write_array(da.from_array(GRID, chunks=(2, 3)), key="a")
    recording.structure = made.structure().to_json()
    made.write_block([[7, 8]], (1, 0), slice=(slice(1, 2), slice(1, None)))
    asked = recording.changes[-1]
    assert (asked.method, asked.path, asked.query) == ("PATCH", "/array/full/a", {"offset": "3,1", "shape": "1,2"})
    assert asked.array("f8", (2,)).tolist() == [7, 8]
    made.write_block([9, 9, 9], (0, 0), slice=1)
    assert recording.changes[-1].query == {"offset": "1,0", "shape": "1,3"}
    for gap in (slice(None, None, 2), slice(None, None, -1)):
        with pytest.raises(errors.Invalid, match="no gaps"):
            made.write_block(np.ones((1, 3)), (0, 0), slice=gap)
    with pytest.raises(errors.Invalid, match="does not fit a part"):
        made.write_block([1, 2], (0, 0), slice=1)


def test_a_part_makes_the_array_grow(writable: Any, recording: RecordingServer) -> None:
    made = writable.write_array(GRID, key="a")
    recording.structure = {**made.structure().to_json(), "shape": [5, 3], "chunks": [[4, 1], [3]]}
    made.patch([[1, 2, 3]], 4, extend=True)
    asked = recording.changes[-1]
    assert asked.query == {"offset": "4,0", "shape": "1,3", "extend": "true"}
    assert asked.array("f8", (3,)).tolist() == [1, 2, 3]
    assert (made.shape, made.chunks) == ((5, 3), ((4, 1), (3,)))
    made.patch([[1, 2]], (0, 1), persist=False)
    assert recording.changes[-1].query == {"offset": "0,1", "shape": "1,2", "persist": "false"}


@pytest.mark.parametrize(("array", "offset"), [([1, 2, 3], 0), ([[1, 2, 3]], (0, 0, 0)), ([[1, 2, 3]], -1)])
def test_a_part_that_cannot_lie_there_is_refused(writable: Any, array: Any, offset: Any) -> None:
    made = writable.write_array(GRID)
    with pytest.raises(errors.Invalid):
        made.patch(array, offset)


def test_a_part_beyond_the_end_says_how_to_make_the_array_grow(writable: Any, recording: RecordingServer) -> None:
    made = writable.write_array(GRID)
    recording.instead = [409]
    with pytest.raises(errors.Conflict, match=r"up to \(5, 3\).*extend=True"):
        made.patch([[1, 2, 3]], 4)


def test_requests_that_may_be_done_twice_are_repeated(writable: Any, recording: RecordingServer) -> None:
    recording.instead = ["", 503]
    writable.write_array(GRID, key="a")
    assert [asked.path for asked in recording.changes] == ["/metadata/", "/array/full/a", "/array/full/a"]
    assert recording.changes[1].body == recording.changes[2].body == GRID.tobytes()


def test_memory_is_not_copied_where_it_lies_in_order() -> None:
    array = np.arange(10)
    assert np.shares_memory(np.frombuffer(memory_of(array), int), array)
    assert array_of(array) is array


def test_what_dask_stores_into_can_be_sent_to_its_workers(recording: RecordingServer) -> None:
    from databroker_like.client import Context

    structure = ArrayStructure.from_array(GRID)
    item = {"id": "a", "links": {"block": "http://localhost:1/api/v1/array/block/a?block={0},{1}"}}
    blocks = _arrays._Blocks(Context("http://localhost:1/api/v1"), item, structure, True)
    blocks.advance = lambda: None
    again = pickle.loads(pickle.dumps(blocks))
    assert (again.structure, again.advance) == (structure, None)
