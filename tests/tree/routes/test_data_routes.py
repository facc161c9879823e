"""Arrays, tables, containers and documents, as a client reads them."""

import io
import json
from contextlib import closing

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from event_model import compose_run
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.nodes import ArrayData, MapNode, TableData
from databroker_like.nodes.runs import RunsNode
from databroker_like.service import Settings
from databroker_like.slices import format_slices
from tests.tree.conftest import caller, everything

GRID = np.arange(35.0).reshape(7, 5)
ARROW = "application/vnd.apache.arrow.file"


def of_axis(length):
    bound = st.none() | st.integers(-length - 2, length + 2)
    step = st.none() | st.sampled_from([1, 2, 3, -1, -2])
    return st.integers(-length, length - 1) | st.builds(slice, bound, bound, step)


@given(slices=st.tuples(of_axis(7), of_axis(5)) | st.tuples(of_axis(7)))
def test_a_slice_is_what_numpy_makes_of_it(slices):
    expected = GRID[slices]
    reply = caller(everything()).get("/api/v1/array/full/grid", params={"slice": format_slices(slices)})
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/octet-stream"
    np.testing.assert_array_equal(np.frombuffer(reply.content, "<f8").reshape(expected.shape), expected)


@given(block=st.tuples(st.integers(0, 2), st.integers(0, 2)), slices=st.none() | st.tuples(of_axis(1), of_axis(1)))
def test_a_block_is_the_part_of_the_array_that_its_structure_says(block, slices):
    rows, columns = ((0, 3), (3, 6), (6, 7))[block[0]], ((0, 2), (2, 4), (4, 5))[block[1]]
    expected = GRID[slice(*rows), slice(*columns)]
    params = {"block": f"{block[0]},{block[1]}"}
    if slices is not None:
        expected, params["slice"] = expected[slices], format_slices(slices)
    reply = caller(everything()).get("/api/v1/array/block/grid", params=params)
    assert reply.status_code == 200, reply.text
    np.testing.assert_array_equal(np.frombuffer(reply.content, "<f8").reshape(expected.shape), expected)


def test_the_shape_that_is_expected_is_that_of_the_part(ask):
    assert ask("/array/full/grid", {"slice": "1:3,0", "expected_shape": "2"}).status_code == 200
    assert ask("/array/full/grid", {"slice": "1,0", "expected_shape": "scalar"}).status_code == 200
    assert ask("/array/block/grid", {"block": "2,2", "expected_shape": "1,1"}).status_code == 200
    assert "(7, 5)" in ask("/array/full/grid", {"expected_shape": "5,7"}).json()["detail"]


def test_an_array_without_axes_is_read(ask):
    for reply in (ask("/array/full/scalar"), ask("/array/block/scalar", {"block": ""})):
        assert np.frombuffer(reply.content, "<i4").tolist() == [5]
    assert ask("/array/full/scalar", {"format": "json"}).json() == 5
    assert ask("/array/full/scalar", {"format": "csv"}).text == "5\n"


@pytest.mark.parametrize(
    "array",
    [
        np.arange(3, dtype=">i4"),
        np.array([True, False]),
        np.array(["a", "längst"]),
        np.array([b"a", b"\xff"]),
        np.array(["2026-01-01", "NaT"], dtype="M8[ns]"),
        np.array([1 + 2j, 0]),
        np.array([(1, 0.5), (2, 1.5)], dtype=[("n", "<i4"), ("x", "<f8")]),
        np.empty((0, 3)),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(10)[::-2],
    ],
    ids=lambda array: array.dtype.str if array.ndim == 1 else str(array.shape),
)
def test_elements_of_any_type_arrive_as_they_are(array):
    client = caller(MapNode({"a": ArrayData(array)}))
    reply = client.get("/api/v1/array/full/a")
    assert reply.content == array.tobytes("C")
    for form in ("json", "csv"):
        assert client.get("/api/v1/array/full/a", params={"format": form}).status_code == 200


def test_arrays_are_exported(ask):
    assert ask("/array/full/grid", {"format": "json", "slice": ":2"}).json() == GRID[:2].tolist()
    csv = ask("/array/full/grid", {"format": "csv", "slice": "0,:2"})
    assert csv.text == "0.0\n1.0\n"
    assert csv.headers["content-type"] == "text/csv; charset=utf-8"
    assert ask("/array/full/grid", headers={"Accept": "text/csv, */*;q=0.1"}).text.startswith("0.0,1.0,2.0")
    assert ask("/array/full/grid", headers={"Accept": "text/*"}).headers["content-type"].startswith("text/csv")
    assert ask("/array/full/grid", headers={"Accept": "image/x-none, application/json;q=0.5"}).json() == GRID.tolist()
    sent = ask("/array/full/grid", {"filename": "grid 1.bin"})
    assert sent.headers["content-disposition"] == 'attachment; filename="grid 1.bin"'


def test_what_has_no_rows_is_no_csv(ask):
    client = caller(MapNode({"cube": ArrayData(np.zeros((2, 2, 2)))}))
    reply = client.get("/api/v1/array/full/cube", params={"format": "csv"})
    assert (reply.status_code, "3 axes" in reply.json()["detail"]) == (400, True)
    assert client.get("/api/v1/array/full/cube", params={"format": "csv", "slice": "0"}).text == "0.0,0.0\n0.0,0.0\n"


def test_a_format_that_is_nearly_right_is_suggested(ask):
    assert "'json'" in ask("/array/full/grid", {"format": "jsn"}).json()["detail"]


class Unread(ArrayData):
    """It says that it is read."""

    def read(self, slices=()):
        raise AssertionError("it is read")


def test_what_is_too_large_is_refused_before_it_is_read():
    client = caller(MapNode({"a": Unread(np.zeros(100))}), settings=Settings(most_reply_bytes=79))
    for route in ("full/a?slice=:10", "full/a", "block/a?block=0"):
        reply = client.get(f"/api/v1/array/{route}")
        assert (reply.status_code, "79 are sent at once" in reply.json()["detail"]) == (413, True)


# -- tables -----------------------------------------------------------------------------------------------------------


def opened(reply):
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == ARROW
    return pa.ipc.open_file(io.BytesIO(reply.content)).read_all()


def test_a_table_is_an_arrow_file(ask):
    table = opened(ask("/table/full/table"))
    assert table.column_names == ["x", "y", "name"]
    assert table["x"].to_pylist() == [1, 2, 3]
    assert opened(ask("/table/partition/table", {"partition": 0})).equals(table)
    assert opened(ask("/node/full/table")).equals(table)


def test_some_columns_come_in_the_order_in_which_they_are_wanted(ask, tree):
    params = [("column", "name"), ("column", "x")]
    assert opened(ask("/table/full/table", params)).column_names == ["name", "x"]
    assert opened(ask("/table/partition/table", [*params, ("partition", "0")])).column_names == ["name", "x"]
    assert opened(ask("/table/full/table", {"field": "y"})).column_names == ["y"]
    reply = caller(tree).post("/api/v1/table/partition/table?partition=0", json=["y", "x"])
    assert opened(reply).column_names == ["y", "x"]


def test_the_nearest_column_is_named(ask):
    reply = ask("/table/full/table", {"column": "nam"})
    assert (reply.status_code, "'name'" in reply.json()["detail"]) == (404, True)


def test_tables_are_exported(ask):
    assert ask("/table/full/table", {"format": "csv"}).text == "x,y,name\n1,0.5,a\n2,,b\n3,2.5,c\n"
    assert ask("/table/full/table", {"format": "json"}).json() == {
        "x": [1, 2, 3],
        "y": [0.5, None, 2.5],
        "name": ["a", "b", "c"],
    }
    lines = ask("/table/full/table", {"format": "json-seq"})
    assert lines.headers["content-type"] == "application/json-seq"
    assert [json.loads(line) for line in lines.text.splitlines()][1] == {"x": 2, "y": None, "name": "b"}
    parquet = ask("/table/full/table", {"format": "parquet"})
    assert pyarrow.parquet.read_table(io.BytesIO(parquet.content))["name"].to_pylist() == ["a", "b", "c"]


def test_a_column_is_read_as_an_array(ask):
    assert np.frombuffer(ask("/array/full/table/x", {"slice": "1:"}).content, "<i8").tolist() == [2, 3]
    assert ask("/array/full/table/name", {"format": "json"}).json() == ["a", "b", "c"]


def test_a_table_that_is_too_large_is_refused():
    table = TableData(pd.DataFrame({"x": np.zeros(100)}))
    client = caller(MapNode({"t": table}), settings=Settings(most_reply_bytes=100))
    reply = client.get("/api/v1/table/full/t")
    assert (reply.status_code, "partitions" in reply.json()["detail"]) == (413, True)


# -- containers and documents -----------------------------------------------------------------------------------------


def test_a_container_is_sent_with_all_that_is_in_it(ask, tree):
    whole = {
        "contents": {
            "deep": {"contents": {"one": {"contents": {}, "metadata": {}}}, "metadata": {"level": 2}},
            "a/b c": {"contents": {}, "metadata": {}},
        },
        "metadata": {"level": 1},
    }
    assert ask("/container/full/inner").json() == whole
    assert ask("/node/full/inner", {"format": "json"}).json() == whole
    for part in (
        ask("/container/full/inner", {"field": "deep"}),
        caller(tree).post("/api/v1/container/full/inner", json=["deep"]),
    ):
        assert part.json() == {"contents": {"deep": whole["contents"]["deep"]}, "metadata": {"level": 1}}


def test_a_container_with_too_much_in_it_is_refused():
    wide = MapNode({f"k{i}": MapNode({}) for i in range(20)})
    deep = MapNode({})
    for _ in range(20):
        deep = MapNode({"in": deep})
    client = caller(MapNode({"wide": wide, "deep": deep}), settings=Settings(most_nodes=21, deepest=19))
    assert client.get("/api/v1/container/full/wide").status_code == 200
    assert client.get("/api/v1/container/full/").status_code == 413
    assert client.get("/api/v1/container/full/deep/in").status_code == 200
    assert client.get("/api/v1/container/full/deep").status_code == 413


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/documents/run", {}),
        ("/container/full/run", {"format": "application/json-seq"}),
        ("/container/full/run", {"format": "json-seq"}),
    ],
)
@pytest.mark.parametrize("fill", ["yes", "no", None])
def test_a_run_is_sent_as_its_documents_one_a_line(ask, path, params, fill):
    reply = ask(path, params if fill is None else {**params, "fill": fill})
    assert reply.headers["content-type"] == "application/json-seq"
    start, page, stop = map(json.loads, reply.text.splitlines())
    assert start == {"name": "start", "doc": {"uid": "a", "time": 1.0}}
    assert stop == {"name": "stop", "doc": {"run_start": "a", "note": None}}
    nan, big, half = page["doc"]["data"]["x"]
    assert (nan != nan, big, half) == (True, 2**70, 0.5)
    assert page["doc"]["filled"] == {"x": [fill == "yes"]}


class Failing(MapNode):
    """A run whose documents end early."""

    def documents(self, *, fill):
        yield from (("start", {"uid": str(number), "note": "x" * 1000}) for number in range(100))
        raise OSError("the disk is gone")


def test_documents_that_fail_on_the_way_are_not_taken_for_all(caplog):
    with pytest.raises(OSError, match="the disk"):
        broken_off(caller(MapNode({"run": Failing({})})))
    assert "the disk is gone" in caplog.text


def broken_off(client):
    import asyncio

    import httpx

    async def asked():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(client.app), base_url="http://testserver") as caller:
            await caller.get("/api/v1/documents/run")

    asyncio.run(asked())


def test_as_many_rows_as_are_expected_are_sent_of_a_run_that_has_gone_on(tmp_path):
    images = np.arange(200).reshape(10, 4, 5)
    run = compose_run()
    stream = run.compose_descriptor(
        name="primary", data_keys={"image": {"source": "s", "dtype": "array", "shape": [4, 5]}}
    )
    with closing(BlueskyEmbeddedCatalog(str(tmp_path / "store"))) as catalog:
        client = caller(MapNode({"raw": RunsNode(catalog)}))

        def answer(what):
            route, said = what.split("/image?")
            return client.get(f"/api/v1/array/{route}/raw/{run.start_doc['uid']}/primary/image?{said}")

        catalog.insert("start", run.start_doc)
        catalog.insert("descriptor", stream.descriptor_doc)
        for image in images:
            catalog.insert("event", stream.compose_event(data={"image": image.tolist()}, timestamps={"image": 0.0}))
        for what in ("full/image?", "block/image?block=0,0,0&"):
            for rows in (0, 7, 10):
                assert answer(f"{what}expected_shape={rows},4,5").content == images[:rows].tobytes()
            for other in ("11,4,5", "7,4,4", "7", "scalar"):
                assert answer(f"{what}expected_shape={other}").status_code == 400
            assert answer(f"{what}expected_shape=2,4,5&slice=1:3").content == images[1:3].tobytes()
            assert answer(f"{what}expected_shape=1,4,5&slice=1:3").status_code == 400
        catalog.insert("stop", run.compose_stop())
        # It changes no more: who expects another shape is wrong.
        assert answer("full/image?expected_shape=7,4,5").status_code == 400
