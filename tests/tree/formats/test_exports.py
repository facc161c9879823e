"""Every format in which data is sent, read back by those who read such files."""

import io
import json
import string

import h5py
import numpy as np
import openpyxl
import pandas as pd
import PIL.Image
import pyarrow as pa
import pyarrow.parquet
import pytest
import tifffile
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from databroker_like import registry
from databroker_like.errors import Invalid, MissingExtra
from databroker_like.nodes import (
    ArrayData,
    AwkwardData,
    MapNode,
    RaggedData,
    SparseData,
    TableData,
    dataset_node,
)
from databroker_like.service import Settings
from databroker_like.structures import Spec
from databroker_like.tree.formats._array import ARRAY_FORMATS, array_octets, as_described
from databroker_like.tree.formats._images import as_png
from databroker_like.tree.formats._rows import as_sheet
from databroker_like.tree.formats._table import arrow_array
from tests.tree.conftest import caller

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TABLE = pd.DataFrame(
    {
        "n": [1, 2, 3],
        "x": [0.5, np.nan, np.inf],
        "s": ["a", "=1+1", None],
        "when": pd.to_datetime(["2026-01-01", "2026-01-02", None]).astype("M8[ns]"),
        "list": [[1], [2, 3], None],
        "b": [b"a", b"\xff", b""],
        "flag": [True, False, None],
    }
)
DATASET = xr.Dataset(
    {
        "img": (("t", "x"), np.arange(6).reshape(3, 2), {"units": "counts"}),
        "a": ("t", [1.5, np.nan, 3.5]),
        "n": ((), np.int64(5)),
    },
    coords={"t": ("t", pd.date_range("2026-01-01", periods=3)), "w": ("t", ["p", "q", "r"]), "x": [10, 20]},
    attrs={"scan": 5, "title": "längst", "nested": {"a": [1]}},
)
ROOT = MapNode(
    {
        "grid": ArrayData(np.arange(6.0).reshape(2, 3) / 2),
        "line": ArrayData(np.arange(3)),
        "number": ArrayData(np.array(5)),
        "cube": ArrayData(np.arange(24, dtype=">u2").reshape(2, 3, 4)),
        "records": ArrayData(np.array([(1, "a"), (2, "b,c")], dtype=[("n", "<i4"), ("s", "<U3")])),
        "colours": ArrayData(np.arange(2 * 2 * 3, dtype="u1").reshape(2, 2, 3)),
        "table": TableData(TABLE),
        "dataset": dataset_node(DATASET),
        "flat": dataset_node(DATASET[["a", "n", "w"]]),
    }
)
CLIENT = caller(ROOT)
ABOUT = CLIENT.get("/api/v1/").json()


def ask(path, **params):
    reply = CLIENT.get(f"/api/v1{path}", params=params)
    assert reply.status_code == 200, reply.text
    return reply


def refused(path, **params):
    reply = CLIENT.get(f"/api/v1{path}", params=params)
    return reply.status_code, reply.json()["detail"]


@pytest.mark.parametrize(
    ("path", "family"),
    [
        ("/array/full/grid", "array"),
        ("/array/full/line", "array"),
        ("/array/full/colours", "array"),
        ("/array/block/grid?block=0,0", "array"),
        ("/table/full/table", "table"),
        ("/table/partition/table?partition=0", "table"),
        ("/node/full/table", "table"),
        ("/container/full/", "container"),
        ("/container/full/flat", "xarray_dataset"),
        ("/container/full/dataset", "xarray_dataset"),
    ],
)
def test_what_is_said_to_be_sent_is_sent(path, family):
    for media_type in ABOUT["formats"][family]:
        if (path, media_type) in NO_TABLES:
            continue
        reply = CLIENT.get(f"/api/v1{path}", headers={"Accept": media_type})
        assert reply.status_code == 200, (media_type, reply.text)
        assert reply.headers["content-type"].partition(";")[0] == media_type
        for alias in ABOUT["aliases"][family].get(media_type, ()):
            named = ask(path.partition("?")[0], format=alias, **dict(query(path)))
            assert named.headers["content-type"] == reply.headers["content-type"]


def query(path):
    return [pair.split("=") for pair in path.partition("?")[2].split("&") if pair]


#: An array of three axes is an image in colours, and no table.
NO_TABLES = {
    ("/array/full/colours", media_type)
    for media_type in (
        "text/csv",
        "text/x-comma-separated-values",
        "text/plain",
        "application/vnd.ms-excel",
        "text/html",
        XLSX,
    )
}


#: Of the server that clients know, version 0.2.20.
NAMED = {
    "table": [
        "application/vnd.apache.arrow.file",
        "application/x-parquet",
        "text/csv",
        "text/x-comma-separated-values",
        "text/plain",
        "application/vnd.ms-excel",
        "text/html",
        XLSX,
        "application/json",
        "application/json-seq",
        "application/x-hdf5",
    ],
    "container": ["application/x-hdf5", "application/json"],
    "array": [
        "application/octet-stream",
        "application/json",
        "text/csv",
        "text/x-comma-separated-values",
        "text/plain",
        "application/vnd.ms-excel",
        "image/png",
        "image/tiff",
        "text/html",
    ],
    "awkward": [
        "application/zip",
        "application/json",
        "application/vnd.apache.arrow.file",
        "application/x-parquet",
    ],
    "ragged": [
        "application/json",
        "application/zip",
        "application/vnd.apache.arrow.file",
        "application/x-parquet",
    ],
    "sparse": [
        "application/x-hdf5",
        XLSX,
        "application/vnd.apache.arrow.file",
        "application/x-parquet",
        "text/csv",
        "text/plain",
        "text/html",
        "application/json",
    ],
    "xarray_dataset": [
        "application/vnd.apache.arrow.file",
        "application/x-parquet",
        "text/csv",
        "text/comma-separated-values",
        "text/plain",
        "text/html",
        XLSX,
        "application/json",
        "application/x-hdf5",
    ],
}


@pytest.mark.parametrize("family", NAMED)
def test_every_format_that_clients_know_is_there(family):
    assert set(NAMED[family]) <= set(ABOUT["formats"][family])


# -- arrays -----------------------------------------------------------------------------------------------------------


@given(
    arrays.arrays(
        st.sampled_from(["?", "<i2", ">i4", "<u8", "<f4", ">f8", "<c8", "<U3", "S2", "M8[s]"]),
        arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
def test_arrays_of_any_type_and_shape_are_json_and_npy(array):
    client = caller(MapNode({"a": ArrayData(array)}))
    listed = client.get("/api/v1/array/full/a", params={"format": "json"})
    assert listed.status_code == 200, listed.text
    assert np.shape(json.loads(listed.content)) == array.shape or array.size == 0
    back = np.load(io.BytesIO(client.get("/api/v1/array/full/a", params={"format": "npy"}).content))
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_json_of_an_array_of_many_rows_is_whole():
    for array in (np.arange(300_000) * 0.5, np.arange(200_000).reshape(50_000, 4), np.zeros((0, 3)), np.zeros((3, 0))):
        client = caller(MapNode({"a": ArrayData(array)}))
        assert client.get("/api/v1/array/full/a?format=json").json() == array.tolist()


def test_an_array_is_a_png():
    def image(path, **params):
        return np.asarray(PIL.Image.open(io.BytesIO(ask(path, format="png", **params).content)))

    assert image("/array/full/grid").tolist() == [[0, 51, 102], [153, 204, 255]]
    assert image("/array/full/line").tolist() == [[0, 128, 255]]
    assert image("/array/full/number").tolist() == [[0]]
    assert image("/array/full/colours").tolist() == np.arange(12).reshape(2, 2, 3).tolist()
    assert image("/array/full/cube", slice="0").shape == (3, 4)
    assert image("/array/full/cube").shape == (2, 3, 4)  # four channels
    status, detail = refused("/array/full/cube", format="png", slice=":,:,:2")
    assert (status, "two axes" in detail) == (400, True)
    assert refused("/array/full/records", format="png")[0] == 400
    assert refused("/array/full/line", format="png", slice=":0")[0] == 400


@given(arrays.arrays(np.float64, (2, 3), elements=st.floats(width=64)))
def test_any_numbers_are_an_image(array):
    with np.errstate(all="raise"):
        image = np.asarray(PIL.Image.open(io.BytesIO(b"".join(as_png(array)))))
    finite = array[np.isfinite(array)]
    if finite.size and finite.min() < finite.max():
        assert image[np.isfinite(array)].min() == 0
        assert image[np.isfinite(array)].max() == 255


def test_an_array_is_a_tiff_with_its_numbers():
    for name in ("grid", "cube", "line"):
        found = tifffile.imread(io.BytesIO(ask(f"/array/full/{name}", format="tiff").content))
        expected = ROOT.get(name).read()
        np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    assert refused("/array/full/records", format="tif")[0] == 400


def test_records_are_tables_with_names():
    assert ask("/array/full/records", format="csv").text == 'n,s\n1,a\n2,"b,c"\n'
    assert ask("/array/full/records", format="json").json() == [[1, "a"], [2, "b,c"]]
    assert "<th>n</th><th>s</th>" in ask("/array/full/records", format="html").text
    sheet = openpyxl.load_workbook(io.BytesIO(ask("/array/full/records", format="xlsx").content)).active
    assert [list(row) for row in sheet.values] == [["n", "s"], [1, "a"], [2, "b,c"]]


# -- tables -----------------------------------------------------------------------------------------------------------


def test_a_table_is_a_sheet_in_which_nothing_is_a_formula():
    sheet = openpyxl.load_workbook(io.BytesIO(ask("/table/full/table", format="xlsx").content)).active
    header, first, second, third = ([cell.value for cell in row] for row in sheet.rows)
    assert header == list(TABLE)
    assert first[:4] == [1, 0.5, "a", pd.Timestamp("2026-01-01")]
    assert second[:3] == [2, None, "=1+1"]
    assert sheet["C3"].data_type == "s"
    assert third[1:4] == ["inf", None, None]
    assert second[4:] == ["[2, 3]", "\\xff", False]


def test_a_table_is_html_that_shows_what_is_in_it():
    text = ask("/table/full/table", column="s", format="html").text
    assert "<tr><th>s</th></tr>\n<tr><td>a</td></tr>\n<tr><td>=1+1</td></tr>\n<tr><td></td></tr>" in text
    hostile = caller(MapNode({"t": TableData(pd.DataFrame({"<script>": ["<b>&"]}))}))
    page = hostile.get("/api/v1/table/full/t?format=html").text
    assert "<script>" not in page
    assert "&lt;b&gt;&amp;" in page


def test_a_table_is_datasets_of_hdf5():
    file = h5py.File(io.BytesIO(ask("/table/full/table", format="h5").content))
    assert file["n"][:].tolist() == [1, 2, 3]
    assert file["s"].asstr()[:].tolist() == ["a", "=1+1", ""]
    assert file["when"].attrs["units"] == "nanoseconds since 1970-01-01"
    assert file["when"][:].tolist()[0] == pd.Timestamp("2026-01-01").value
    assert [json.loads(one) for one in file["list"].asstr()[:]] == [[1], [2, 3], None]
    assert list(file) == list(TABLE)


def test_a_table_is_csv_and_json():
    lines = ask("/table/full/table", format="csv").text.splitlines()
    assert lines[0] == "n,x,s,when,list,b,flag"
    assert lines[1] == "1,0.5,a,2026-01-01 00:00:00,[1],a,True"
    assert lines[3] == "3,inf,,,,,"
    columns = ask("/table/full/table", format="json").json()
    assert columns["n"] == [1, 2, 3]
    assert columns["x"] == [0.5, None, None]
    assert columns["b"] == ["a", "\\xff", ""]
    rows = [json.loads(line) for line in ask("/table/full/table", format="json-seq").text.splitlines()]
    assert rows[1]["list"] == [2, 3]
    assert [row["n"] for row in rows] == [1, 2, 3]


@given(
    st.lists(
        st.tuples(st.text(string.printable, max_size=5), st.floats(), st.integers(-(1 << 63), (1 << 63) - 1)),
        max_size=5,
    )
)
def test_an_arrow_file_is_the_table(rows):
    table = pa.table(
        {"s": pa.array([r[0] for r in rows], pa.string()), "x": pa.array([r[1] for r in rows], pa.float64())}
    )
    client = caller(MapNode({"t": TableData(table)}))
    for path in ("full/t", "partition/t?partition=0"):
        content = client.get(f"/api/v1/table/{path}").content
        back = pa.ipc.open_file(io.BytesIO(content)).read_all()
        back.validate(full=True)
        assert back.column("s").equals(table.column("s"))
        np.testing.assert_array_equal(back.column("x").to_numpy(), table.column("x").to_numpy())


@given(
    columns=st.dictionaries(
        st.text(min_size=1, max_size=4).filter(str.isprintable), st.integers(), min_size=1, max_size=5
    ),
    rows=st.integers(0, 7),
    part=st.integers(1, 4),
    data=st.data(),
)
def test_parts_and_columns_of_a_table_are_those_of_the_table(columns, rows, part, data):
    table = pa.table({name: np.arange(rows) + seed % 1000 for name, seed in columns.items()})
    node = TableData(table, partition_rows=part)
    client = caller(MapNode({"t": node}))
    chosen = data.draw(st.lists(st.sampled_from(list(columns)), unique=True, min_size=1))
    number = data.draw(st.integers(0, node.structure().npartitions - 1))
    params = [("column", name) for name in chosen]
    whole = client.get("/api/v1/table/full/t", params=params)
    posted = client.post(f"/api/v1/table/partition/t?partition={number}", json=chosen)
    assert pa.ipc.open_file(io.BytesIO(whole.content)).read_all().equals(table.select(chosen))
    expected = table.select(chosen).slice(number * part, part)
    assert pa.ipc.open_file(io.BytesIO(posted.content)).read_all().equals(expected)
    beyond = client.get("/api/v1/table/partition/t", params={"partition": node.structure().npartitions})
    assert (beyond.status_code, bool(beyond.json()["detail"])) == (400, True)


def test_an_arrow_file_of_large_pieces_is_the_table():
    numbers = pa.array(np.arange(700_000))
    lists = pa.ListArray.from_arrays(pa.array(np.arange(700_001, dtype="i4")), numbers)
    table = pa.table({"x": np.arange(700_000) * 0.5, "s": numbers.cast(pa.string()), "list": lists}).slice(5)
    client = caller(MapNode({"t": TableData(pa.concat_tables([table, table.slice(7, 100)]), partition_rows=300_000)}))
    whole = pa.ipc.open_file(io.BytesIO(client.get("/api/v1/table/full/t").content)).read_all()
    assert whole.equals(pa.concat_tables([table, table.slice(7, 100)]))
    part = pa.ipc.open_file(io.BytesIO(client.get("/api/v1/table/partition/t?partition=1").content)).read_all()
    assert part.equals(table.slice(300_000, 300_000))


class Parts(TableData):
    """A table that does not say how large it is, and counts what is read of it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.parts_read = 0

    def count_bytes(self, columns=None, partition=None):
        return None

    def read_partition(self, number, columns=None):
        self.parts_read += 1
        return super().read_partition(number, columns)


class Unread(TableData):
    def read(self, columns=None):
        raise AssertionError("it is read")


def test_a_table_that_is_too_large_is_refused_before_it_is_read():
    table = pd.DataFrame({"x": np.arange(1000), "y": np.arange(1000)})
    parts = Parts(table, partition_rows=100)
    unread = Unread(pd.DataFrame({"x": np.arange(10)}))
    unread.count_bytes = lambda columns=None, partition=None: 8000
    client = caller(MapNode({"parts": parts, "unread": unread}), settings=Settings(most_reply_bytes=3000))
    assert client.get("/api/v1/table/full/parts").status_code == 413
    assert parts.parts_read == 2
    assert client.get("/api/v1/table/partition/parts?partition=9&column=x").status_code == 200
    for path in ("full/unread", "partition/unread?partition=0"):
        assert client.get(f"/api/v1/table/{path}").status_code == 413
    small = caller(MapNode({"parts": parts}))
    assert small.get("/api/v1/table/full/parts?format=json").json() == table.to_dict("list")


# -- containers -------------------------------------------------------------------------------------------------------


def test_a_container_is_groups_and_datasets_of_hdf5():
    import awkward

    form, length, buffers = awkward.to_buffers(awkward.Array([[1, 2], [3]]))
    root = MapNode(
        {
            "grid": ArrayData(np.arange(35).reshape(7, 5), chunks=((3, 3, 1), (2, 2, 1)), metadata={"color": "red"}),
            "a/b": ArrayData(np.array(["a", "längst"])),
            "time": ArrayData(np.array(["2026-01-01", "NaT"], "M8[D]")),
            "months": ArrayData(np.array(["2026-01"], "M8[M]")),
            "records": ArrayData(np.array([(1, "ä", "2026-01-01")], [("n", "<i4"), ("s", "<U2"), ("t", "M8[s]")])),
            "empty": ArrayData(np.empty((0, 3))),
            "inner": MapNode({"deep": MapNode({".": ArrayData(np.array(5 + 1j))})}, metadata={"level": 1}),
            "table": TableData(pd.DataFrame({"x": [1, 2], "s": ["a", "b"]})),
            "sparse": SparseData([[1, 2]], [0.5, 1.5], (4,)),
            "ragged": RaggedData([[[1], [2, 3]], []]),
            "awkward": AwkwardData(form.to_dict(), length, buffers),
        },
        metadata={
            "title": "x" * 100_000,
            "n": 5,
            "nested": {"a": [1, None]},
            "numbers": [1, 2],
            "none": None,
            "big": 1 << 80,
        },
    )
    file = h5py.File(io.BytesIO(caller(root).get("/api/v1/container/full/?format=hdf5").content))
    assert (len(file.attrs["title"]), file.attrs["n"], file.attrs["numbers"].tolist()) == (100_000, 5, [1, 2])
    assert json.loads(file.attrs["nested"]) == {"a": [1, None]}
    assert json.loads(file.attrs["none"]) is None
    np.testing.assert_array_equal(file["grid"][...], np.arange(35).reshape(7, 5))
    assert file["grid"].attrs["color"] == "red"
    assert file["a%2Fb"].asstr()[:].tolist() == ["a", "längst"]
    assert file["time"].attrs["units"] == "days since 1970-01-01"
    assert file["months"].attrs["units"] == "seconds since 1970-01-01"
    assert file["months"][0] == np.datetime64("2026-01", "s").astype(int)
    assert file["records"]["s"].tolist() == ["ä".encode()]
    assert file["empty"].shape == (0, 3)
    assert file["inner"].attrs["level"] == 1
    assert file["inner/deep/%2E"][()] == 5 + 1j
    assert file["table/x"][:].tolist() == [1, 2]
    assert (file["sparse/coordinates"][...].tolist(), file["sparse/data"][:].tolist()) == ([[1, 2]], [0.5, 1.5])
    assert file["sparse"].attrs["shape"].tolist() == [4]
    assert [file[f"ragged/{name}"][:].tolist() for name in ("offsets0", "offsets1", "data")] == [
        [0, 2, 2],
        [0, 1, 3],
        [1, 2, 3],
    ]
    assert file["awkward/node1-data"][:].view("<i8").tolist() == [1, 2, 3]
    assert json.loads(file["awkward"].attrs["form"]) == form.to_dict()
    some = h5py.File(io.BytesIO(caller(root).get("/api/v1/container/full/?format=h5&field=inner").content))
    assert list(some) == ["inner"]


class UnreadArray(ArrayData):
    def read(self, slices=()):
        raise AssertionError("it is read")


def test_a_container_that_is_too_large_is_refused_before_it_is_read():
    inner = MapNode({"a": UnreadArray(np.zeros(10)), "b": UnreadArray(np.zeros(10))})
    table = TableData(pd.DataFrame({"x": np.zeros(100), "y": np.zeros(100)}))
    client = caller(
        MapNode({"inner": inner, "t": MapNode({"t": table})}), settings=Settings(most_reply_bytes=150, most_nodes=3)
    )
    for path in ("inner", "t", ""):
        reply = client.get(f"/api/v1/container/full/{path}?format=h5")
        assert (reply.status_code, "'field'" in reply.json()["detail"]) == (413, True)


def test_a_field_that_is_not_there_is_said_with_the_nearest():
    status, detail = refused("/container/full/", format="h5", field="grit")
    assert (status, "'grid'" in detail) == (404, True)


# -- Datasets ---------------------------------------------------------------------------------------------------------


def arrow(reply):
    return pa.ipc.open_file(io.BytesIO(reply.content)).read_all().to_pandas()


def test_variables_of_one_axis_are_columns_beside_one_another():
    fields = ["a", "t", "n", "w"]
    for reply in (
        ask("/container/full/dataset", format="application/vnd.apache.arrow.file", field=fields),
        CLIENT.post("/api/v1/container/full/dataset?format=arrow", json=fields),
    ):
        table = arrow(reply)
        assert list(table) == fields
        np.testing.assert_array_equal(table["a"], DATASET["a"])
        np.testing.assert_array_equal(table["t"].to_numpy(), DATASET["t"])
        assert table["n"].tolist() == [5, 5, 5]
        assert table["w"].tolist() == ["p", "q", "r"]
    assert arrow(ask("/container/full/dataset", format="arrow", field="n"))["n"].tolist() == [5]
    lengths = dataset_node(xr.Dataset({"a": ("u", [1, 2]), "b": ("v", [3, 4])}))
    reply = caller(MapNode({"d": lengths})).get("/api/v1/container/full/d?format=arrow&field=a&field=b")
    assert arrow(reply).to_dict("list") == {"a": [1, 2], "b": [3, 4]}


@pytest.mark.parametrize("fields", [[], ["img"], ["img", "a"], ["img", "x", "n"], ["x", "t"]])
def test_variables_of_more_axes_are_rows_for_every_position(fields):
    table = arrow(ask("/container/full/dataset", format="arrow", field=fields))
    expected = (DATASET[fields] if fields else DATASET).to_dataframe().reset_index()
    assert set(fields) <= set(table)
    assert len(table) == len(expected)
    order = ["t", "x"]
    table, expected = (one.sort_values(order).reset_index(drop=True) for one in (table, expected))
    for name in table:
        pd.testing.assert_series_equal(table[name], expected[name], check_dtype=False)


def test_a_dataset_is_a_file_of_netcdf():
    for form in ("nc", "h5"):
        content = ask("/container/full/dataset", format=form).content
        opened = xr.open_dataset(io.BytesIO(content), engine="h5netcdf").load()
        for name in DATASET.variables:
            np.testing.assert_array_equal(opened[name].values, DATASET[name].values)
            assert opened[name].dims == DATASET[name].dims
        assert set(opened.coords) == set(DATASET.coords)
        assert (opened.attrs["scan"], opened.attrs["title"]) == (5, "längst")
        assert opened["img"].attrs["units"] == "counts"
    some = ask("/container/full/dataset", format="nc", field=["img"]).content
    assert xr.open_dataset(io.BytesIO(some), engine="h5netcdf")["img"].dims == ("t", "x")


def test_a_dataset_that_is_no_table_is_refused_with_a_sentence():
    node = MapNode(
        {
            "c": ArrayData(np.array([1j]), dims=["t"]),
            "t": TableData(pd.DataFrame({"x": [1]})),
            "u": ArrayData(np.zeros((2, 2)), dims=["t", "v"]),
        },
        specs=[Spec("xarray_dataset")],
    )
    client = caller(MapNode({"d": node}))
    for field, said in (("c", "complex"), ("t", "no array"), ("u&field=c", "lengths"), ("x", "no node")):
        reply = client.get(f"/api/v1/container/full/d?format=csv&field={field}")
        assert (reply.status_code in (400, 404), said in reply.json()["detail"]) == (True, True), reply.text
    wide = dataset_node(xr.Dataset({"a": ("x", np.zeros(1000)), "b": ("y", np.zeros(999))}))
    small = caller(MapNode({"d": wide}), settings=Settings(most_reply_bytes=100_000))
    assert small.get("/api/v1/container/full/d?format=csv").status_code == 413


# -- parts ------------------------------------------------------------------------------------------------------------


def test_a_sheet_has_room_for_so_many_rows():
    with pytest.raises(Invalid, match="1048576 rows"):
        as_sheet(None, [], count=1 << 20, width=1)


@pytest.mark.parametrize(
    "array",
    [
        np.array([1, 2], ">f4"),
        np.array(["2026-01-01", "NaT"], "M8[D]"),
        np.array([1, 2], "m8[10us]"),
        np.array(["2026-01"], "M8[M]"),
        np.array([(1, "a")], [("n", ">i2"), ("s", "<U1")]),
        np.array([b"a", b""]),
        np.array([True, False]),
    ],
    ids=str,
)
def test_arrays_are_columns(array):
    column = arrow_array(array, "x")
    if array.dtype.kind in "mM":
        assert column.to_numpy(zero_copy_only=False).astype(array.dtype).tolist() == array.tolist()
    else:
        assert column.to_pylist() == (
            [dict(zip(array.dtype.names, row, strict=True)) for row in array.tolist()]
            if array.dtype.names
            else array.tolist()
        )


def test_what_is_not_installed_is_not_offered(monkeypatch):
    monkeypatch.setattr("databroker_like.tree._media._is_installed", lambda name: name not in ("PIL", "h5py"))
    about = caller(ROOT).get("/api/v1/").json()
    assert "image/png" not in about["formats"]["array"]
    assert "image/tiff" in about["formats"]["array"]
    assert about["formats"]["container"] == ["application/json"]


def test_what_is_not_installed_is_said_with_how_to_install_it(monkeypatch):
    def require(package, purpose):
        raise MissingExtra(f"{package!r} is needed to {purpose}; {registry._install_hint(package.partition('.')[0])}")

    for module in ("_images", "_rows", "_hdf5"):
        monkeypatch.setattr(f"databroker_like.tree.formats.{module}.require", require)
    for form in ("png", "tiff", "xlsx"):
        status, detail = refused("/array/full/grid", format=form)
        assert (status, "pip install 'databroker-like[" in detail) == (422, True)
    assert refused("/container/full/", format="h5")[0] == 422


def test_times_beyond_those_of_python_are_text():
    table = pa.table({"t": pa.array([1 << 50, None], pa.timestamp("s"))})
    client = caller(MapNode({"t": TableData(table)}))
    for form in ("csv", "json", "json-seq", "html", "xlsx", "h5", "arrow", "parquet"):
        assert client.get("/api/v1/table/full/t", params={"format": form}).status_code == 200, form
    assert "35680317-09-25T18:57:04" in client.get("/api/v1/table/full/t?format=csv").text


def test_an_awkward_array_that_makes_no_sense_is_refused():
    import awkward

    form, length, buffers = awkward.to_buffers(awkward.Array([[1, 2], [3]]))
    wrong = {**buffers, "node0-offsets": np.array([0, 9, 99])}
    client = caller(MapNode({"a": AwkwardData(form.to_dict(), length, wrong)}))
    for form in ("json", "arrow", "parquet"):
        assert client.get(f"/api/v1/awkward/full/a?format={form}").status_code in (200, 400)


def test_names_that_netcdf_has_for_itself_are_left_to_it():
    node = MapNode(
        {
            "x": ArrayData(np.arange(2), dims=["x"], metadata={"attrs": {"CLASS": 1, "DIMENSION_LIST": "a", "b": 2}}),
            "y": ArrayData(np.zeros((2, 3)), dims=["x", "x"]),
            "x_": ArrayData(np.zeros(4), dims=["x"]),
        },
        specs=[Spec("xarray_dataset")],
        metadata={"REFERENCE_LIST": [1.5]},
    )
    reply = caller(MapNode({"d": node})).get("/api/v1/container/full/d?format=nc")
    file = h5py.File(io.BytesIO(reply.content))
    assert file["x"].attrs["b"] == 2
    assert file["y"].dims[0][0].name == "/x"
    assert file["y"].dims[1][0].shape == (3,)
    assert file["x_"].dims[0][0].shape == (4,)


def test_a_sheet_that_would_take_very_long_is_refused():
    table = TableData(pd.DataFrame({"x": np.arange(125_001), "y": 0.5}))
    client = caller(MapNode({"a": ArrayData(np.zeros((251, 1000), "i1")), "t": table}))
    for path, cells in (("array/full/a", "251000 cells"), ("table/full/t", "250002 cells")):
        reply = client.get(f"/api/v1/{path}?format=xlsx")
        detail = reply.json()["detail"]
        assert (reply.status_code, [word in detail for word in (cells, "'csv'", "'parquet'")]) == (413, [True] * 3)


def test_an_image_of_many_rows_is_spread_over_all_of_them(monkeypatch):
    monkeypatch.setattr("databroker_like.tree.formats._images._AT_ONCE", 7)
    array = np.arange(60.0).reshape(20, 3)
    image = np.asarray(PIL.Image.open(io.BytesIO(b"".join(as_png(array)))))
    np.testing.assert_array_equal(image, np.rint(array / 59 * 255))


def test_numbers_of_the_longest_kind_are_sent():
    for array in (np.array([1, 2], "f16"), np.array([1 + 2j], "c32"), np.array([b"ab"], "V2")):
        client = caller(MapNode({"a": ArrayData(array)}))
        for form in ("json", "csv", "html", "npy", "application/octet-stream", "xlsx"):
            reply = client.get("/api/v1/array/full/a", params={"format": form})
            assert reply.status_code == 200, (array, form, reply.text)
        for form in ("png", "tiff"):
            assert client.get("/api/v1/array/full/a", params={"format": form}).status_code in (200, 400)
        assert client.get("/api/v1/container/full/?format=h5").status_code == 200


def test_formats_are_named_once():
    names = [name for form in ARRAY_FORMATS for name in (form.media_type, *form.aliases)]
    assert len(names) == len(set(names))


def test_arrays_are_sent_from_where_they_lie():
    for array in (np.arange(12.0).reshape(3, 4), np.arange(12, dtype=">i4")):
        node = ArrayData(array)
        octets = array_octets(as_described(node.read(), node.structure()))
        assert np.shares_memory(np.frombuffer(octets, np.uint8), array)
    assert bytes(array_octets(np.asfortranarray(np.arange(6).reshape(2, 3)))) == np.arange(6).tobytes()


@pytest.mark.parametrize("form", ["json", "csv", "html"])
def test_texts_of_large_data_come_in_pieces(form):
    writes = {name: one.write for one in ARRAY_FORMATS for name in one.aliases}
    sizes = [len(piece) for piece in writes[form](np.random.default_rng(0).random((100_000, 4)))]
    assert sum(sizes) > 5_000_000
    assert max(sizes) < 2_000_000
