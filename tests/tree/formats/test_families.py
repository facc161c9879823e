"""Sparse, ragged and awkward arrays as clients read them: the same as numpy and awkward make of them."""

import io
import json
import zipfile

import awkward
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.nodes import AwkwardData, MapNode, RaggedData, SparseData
from databroker_like.service import Settings
from databroker_like.slices import format_slices
from tests.tree.conftest import caller

ARROW = "application/vnd.apache.arrow.file"


def of_axis(length):
    bound = st.none() | st.integers(-length - 2, length + 2)
    step = st.none() | st.sampled_from([1, 2, 3, -1, -2])
    return st.integers(-length, length - 1) | st.builds(slice, bound, bound, step)


def arrow(reply):
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == ARROW
    return pa.ipc.open_file(io.BytesIO(reply.content)).read_all()


def unzipped(reply):
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(reply.content))
    assert all(one.compress_type == zipfile.ZIP_STORED for one in archive.infolist())
    return {name: archive.read(name) for name in archive.namelist()}


# -- sparse -----------------------------------------------------------------------------------------------------------

DENSE = np.where(np.arange(35).reshape(7, 5) % 3 == 0, np.arange(35.0).reshape(7, 5) + 0.5, 0)
CUTS = ((3, 3, 1), (2, 2, 1))
SPARSE = caller(MapNode({"s": SparseData(np.array(DENSE.nonzero()), DENSE[DENSE.nonzero()], (7, 5), chunks=CUTS)}))


def dense(table, shape):
    found = np.zeros(shape)
    found[tuple(table[f"dim{axis}"].to_numpy() for axis in range(len(shape)))] = table["data"].to_numpy()
    return found


@given(slices=st.tuples(of_axis(7), of_axis(5)) | st.tuples(of_axis(7)))
def test_a_slice_of_a_sparse_array_is_what_numpy_makes_of_the_dense_one(slices):
    expected = DENSE[slices]
    table = arrow(SPARSE.get("/api/v1/array/full/s", params={"slice": format_slices(slices)}))
    if expected.ndim:
        np.testing.assert_array_equal(dense(table, expected.shape), expected)
    else:
        assert table["data"].to_pylist() == [expected][: len(table)]
        assert bool(expected) == bool(len(table))


@given(block=st.tuples(st.integers(0, 2), st.integers(0, 2)), data=st.data())
def test_a_block_of_a_sparse_array_counts_from_where_it_begins(block, data):
    rows, columns = ((0, 3), (3, 6), (6, 7))[block[0]], ((0, 2), (2, 4), (4, 5))[block[1]]
    expected = DENSE[slice(*rows), slice(*columns)]
    slices = data.draw(st.none() | st.tuples(st.slices(expected.shape[0]), st.slices(expected.shape[1])))
    params = {"block": f"{block[0]},{block[1]}"}
    if slices is not None:
        expected, params["slice"] = expected[slices], format_slices(slices)
    params["expected_shape"] = ",".join(map(str, expected.shape))
    np.testing.assert_array_equal(
        dense(arrow(SPARSE.get("/api/v1/array/block/s", params=params)), expected.shape), expected
    )


def test_a_sparse_array_is_wrongly_asked_for_with_a_sentence():
    for query, status in (
        ("full/s?slice=7", 400),
        ("full/s?slice=x", 422),
        ("full/s?slice=1,1,1", 400),
        ("full/s?expected_shape=5,7", 400),
        ("block/s", 422),
        ("block/s?block=9,9", 422),
        ("full/s?format=png", 406),
    ):
        reply = SPARSE.get(f"/api/v1/array/{query}")
        assert (reply.status_code, bool(reply.json()["detail"])) == (status, True), query


FORMATS = SPARSE.get("/api/v1/").json()["formats"]


@pytest.mark.parametrize("media_type", FORMATS["sparse"])
@pytest.mark.parametrize("query", ["", "?slice=1:3,2", "?slice=0,0"])
def test_a_sparse_array_is_exported_in_every_format(media_type, query):
    reply = SPARSE.get(f"/api/v1/array/full/s{query}", params={"format": media_type} if not query else None)
    if query:
        reply = SPARSE.get(f"/api/v1/array/full/s{query}&format={media_type}")
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].partition(";")[0] == media_type
    assert reply.content


def test_elements_of_a_sparse_array_are_exported_with_their_coordinates():
    params = {"slice": ":2,:3"}
    table = {"dim0": [0, 0, 1], "dim1": [0, 3, 1], "data": [0.5, 3.5, 6.5]}
    found = np.nonzero(DENSE[:2, :3])
    table = {"dim0": found[0].tolist(), "dim1": found[1].tolist(), "data": DENSE[:2, :3][found].tolist()}
    ask = SPARSE.get
    assert ask("/api/v1/array/full/s", params={**params, "format": "json"}).json() == table
    lines = ask("/api/v1/array/full/s", params={**params, "format": "csv"}).text.splitlines()
    assert lines[0] == "dim0,dim1,data"
    assert [[float(cell) for cell in line.split(",")] for line in lines[1:]] == list(
        map(list, zip(*table.values(), strict=True))
    )
    parquet = ask("/api/v1/array/full/s", params={**params, "format": "parquet"})
    assert pyarrow.parquet.read_table(io.BytesIO(parquet.content)).to_pydict() == table


class Unread(SparseData):
    def read(self, slices=()):
        raise AssertionError("it is read")


def test_a_sparse_array_is_weighed_by_its_elements_before_it_is_read():
    huge = MapNode({"s": SparseData([[5], [7]], [1.0], (1 << 40, 1 << 40)), "u": Unread([[1, 2]], [1, 2], (5,))})
    client = caller(huge, settings=Settings(most_reply_bytes=31))
    assert arrow(client.get("/api/v1/array/full/s"))["dim1"].to_pylist() == [7]
    assert client.get("/api/v1/array/full/u").status_code == 413


# -- ragged -----------------------------------------------------------------------------------------------------------

ROWS = [[1.5, 2.5, 3.5], [], [4.5], [5.5, 6.5]]
RAGGED = caller(
    MapNode(
        {
            "r": RaggedData(ROWS),
            "deep": RaggedData([[[1, 2], [3]], [], [[4]]]),
            "inner": RaggedData([np.arange(6, dtype=">i2").reshape(3, 2), np.empty((0, 2), ">i2")]),
            "text": RaggedData([["a"], ["b", "längst"]]),
            "time": RaggedData([np.array(["2026-01-01"], "M8[s]"), np.array(["NaT", "2026-01-02"], "M8[s]")]),
            "none": RaggedData([]),
        }
    )
)


def of_zip(reply):
    """As the clients put it together."""
    buffers = unzipped(reply)
    form = awkward.forms.from_json(json.loads(buffers.pop("form")))
    return awkward.from_buffers(form, int.from_bytes(buffers.pop("length"), "big"), buffers)


@given(first=of_axis(4), second=st.none() | st.slices(3))
def test_a_slice_of_a_ragged_array_is_that_of_its_rows(first, second):
    slices = (first,) if second is None else (first, second)
    if isinstance(first, int):
        expected = ROWS[first] if second is None else ROWS[first][second]
    else:
        expected = [row if second is None else row[second] for row in ROWS[first]]
    params = {"slice": format_slices(slices)}
    assert RAGGED.get("/api/v1/ragged/full/r", params=params).json() == expected
    assert of_zip(RAGGED.get("/api/v1/ragged/full/r", params={**params, "format": "zip"})).to_list() == expected


@pytest.mark.parametrize(
    ("name", "query", "expected"),
    [
        ("r", "", ROWS),
        ("r", "slice=0,1", 2.5),
        ("r", "slice=2:,0", [4.5, 5.5]),
        ("deep", "", [[[1, 2], [3]], [], [[4]]]),
        ("deep", "slice=0", [[1, 2], [3]]),
        ("deep", "slice=:,:1,:1", [[[1]], [], [[4]]]),
        ("inner", "", [[[0, 1], [2, 3], [4, 5]], []]),
        ("inner", "slice=:,:,1", [[1, 3, 5], []]),
        ("text", "", [["a"], ["b", "längst"]]),
        ("time", "", [["2026-01-01T00:00:00"], ["NaT", "2026-01-02T00:00:00"]]),
        ("none", "", []),
    ],
)
def test_a_ragged_array_is_sent_as_json_to_who_takes_anything(name, query, expected):
    reply = RAGGED.get(f"/api/v1/ragged/full/{name}?{query}")
    assert (reply.headers["content-type"], reply.json()) == ("application/json", expected)
    zipped = RAGGED.get(f"/api/v1/ragged/full/{name}?{query}", headers={"Accept": "application/zip"})
    if name == "text" or not isinstance(expected, list):
        assert (zipped.status_code, "JSON" in zipped.json()["detail"]) == (400, True)
    elif name != "time":
        assert of_zip(zipped).to_list() == expected


@pytest.mark.parametrize("media_type", FORMATS["ragged"])
@pytest.mark.parametrize("name", ["r", "deep", "inner", "none"])
def test_a_ragged_array_is_exported_in_every_format(media_type, name):
    reply = RAGGED.get(f"/api/v1/ragged/full/{name}", params={"format": media_type})
    assert (reply.status_code, reply.headers["content-type"]) == (200, media_type), reply.text
    expected = RAGGED.get(f"/api/v1/ragged/full/{name}").json()
    if media_type == ARROW:
        assert arrow(reply)["data"].to_pylist() == expected
    elif media_type == "application/x-parquet":
        assert pyarrow.parquet.read_table(io.BytesIO(reply.content))["data"].to_pylist() == expected


def test_a_ragged_array_is_wrongly_asked_for_with_a_sentence():
    for query, status in (
        ("slice=9", 400),
        ("slice=:,1", 400),
        ("slice=x", 422),
        ("slice=1,1,1", 400),
        ("format=x", 406),
    ):
        reply = RAGGED.get(f"/api/v1/ragged/full/r?{query}")
        assert (reply.status_code, bool(reply.json()["detail"])) == (status, True), query
    assert RAGGED.get("/api/v1/array/full/r").status_code == 404


def test_a_ragged_array_that_is_too_large_is_read_by_slices():
    client = caller(MapNode({"r": RaggedData(ROWS)}), settings=Settings(most_reply_bytes=60))
    assert client.get("/api/v1/ragged/full/r").status_code == 413
    assert client.get("/api/v1/ragged/full/r?slice=2:").json() == ROWS[2:]


# -- awkward ----------------------------------------------------------------------------------------------------------

ITEMS = [{"x": [1, 2], "y": 1.5, "s": "ab", "o": None}, {"x": [], "y": 2.5, "s": "längst", "o": 3}]
FORM, LENGTH, BUFFERS = awkward.to_buffers(awkward.Array(ITEMS))
AWKWARD = caller(
    MapNode(
        {
            "a": AwkwardData(FORM.to_dict(), LENGTH, BUFFERS),
            "broken": AwkwardData(FORM.to_dict(), LENGTH, {"node1-offsets": b"123"}),
        }
    )
)


def test_an_awkward_array_is_a_zip_of_its_buffers():
    buffers = unzipped(AWKWARD.get("/api/v1/awkward/full/a"))
    assert buffers == {name: bytes(buffer) for name, buffer in BUFFERS.items()}
    assert awkward.from_buffers(FORM, LENGTH, buffers).to_list() == ITEMS
    assert unzipped(AWKWARD.get("/api/v1/awkward/buffers/a")) == buffers


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (["node2-data"], ["node2-data"]),
        (["node1", "node2"], ["node1-offsets", "node2-data"]),
        (["node0"], []),
        ([], []),
    ],
)
def test_some_buffers_come_by_their_names_or_by_those_of_parts_of_the_form(keys, names):
    posted = AWKWARD.post("/api/v1/awkward/buffers/a", json=keys, headers={"Accept": "application/zip"})
    assert list(unzipped(posted)) == names
    if keys:
        got = AWKWARD.get("/api/v1/awkward/buffers/a", params=[("form_key", key) for key in keys])
        assert got.content == posted.content


def test_an_awkward_array_is_wrongly_asked_for_with_a_sentence():
    for reply, status in (
        (AWKWARD.get("/api/v1/awkward/buffers/a?form_key=node9-data"), 404),
        (AWKWARD.post("/api/v1/awkward/buffers/a", json={"a": 1}), 422),
        (AWKWARD.get("/api/v1/awkward/buffers/a?form_key=node1&format=json"), 406),
        (AWKWARD.get("/api/v1/awkward/full/broken?format=json"), 400),
        (AWKWARD.get("/api/v1/awkward/full/a?format=csv"), 406),
    ):
        assert (reply.status_code, bool(reply.json()["detail"])) == (status, True)


@pytest.mark.parametrize("media_type", FORMATS["awkward"])
def test_an_awkward_array_is_exported_in_every_format(media_type):
    reply = AWKWARD.get("/api/v1/awkward/full/a", params={"format": media_type})
    assert (reply.status_code, reply.headers["content-type"]) == (200, media_type), reply.text
    if media_type == "application/json":
        assert reply.json() == ITEMS
    elif media_type == ARROW:
        assert arrow(reply).to_pylist() == ITEMS
    elif media_type == "application/x-parquet":
        assert pyarrow.parquet.read_table(io.BytesIO(reply.content)).to_pylist() == ITEMS


def test_an_awkward_array_that_is_too_large_is_refused():
    client = caller(
        MapNode({"a": AwkwardData(FORM.to_dict(), LENGTH, BUFFERS)}), settings=Settings(most_reply_bytes=30)
    )
    assert client.get("/api/v1/awkward/full/a").status_code == 413
    assert client.get("/api/v1/awkward/buffers/a?form_key=node1").status_code == 200
