"""What is in memory is shown as a tree, and read in parts as its owner would read it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import dask.array
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from databroker_like import queries
from databroker_like.errors import Invalid, InvalidQuery, NoSuchColumn, NotFound, OutOfRange, WrongType
from databroker_like.nodes import (
    ArrayData,
    AwkwardData,
    MapNode,
    RaggedData,
    SparseData,
    TableData,
    dataset_node,
    find,
)
from databroker_like.nodes._asking import in_order_of, ranks
from databroker_like.queries import Tally
from databroker_like.queries._values import rank
from databroker_like.structures import Spec, StructureFamily

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)


def _tree() -> MapNode:
    return MapNode(
        {
            "a": MapNode({}, metadata={"n": 9, "color": "red", "tags": ["x", "y"]}, specs=[Spec("special", "1")]),
            "b": ArrayData(np.arange(6).reshape(2, 3), metadata={"n": 10, "color": "red"}),
            "c": TableData(pa.table({"x": [1, 2, 3]}), metadata={"n": 100, "color": "blue"}),
            "d": ArrayData(np.float64(1)),
        },
        metadata={"title": "all"},
    )


def test_nothing_heavy_is_loaded_with_the_package() -> None:
    heavy = "{'numpy', 'pyarrow', 'pandas', 'xarray', 'dask', 'sqlalchemy'}"
    code = f"import sys, databroker_like.nodes; print({heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_container_is_listed_page_by_page() -> None:
    tree = _tree()
    assert tree.count() == tree.structure().count == 4
    assert list(tree.keys()) == ["a", "b", "c", "d"]
    assert list(tree.keys(1, 2)) == ["b", "c"]
    assert [key for key, _ in tree.items(3, 5)] == ["d"]
    assert list(tree.keys(10)) == []
    assert tree.get("nothing") is None


def test_what_is_put_into_the_mapping_shows() -> None:
    nodes = {"a": MapNode({})}
    tree = MapNode(nodes)
    found = tree.search(queries.Everything())
    nodes["b"] = MapNode({})
    assert tree.count() == found.count() == 2
    assert found.get("b") is nodes["b"]


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        (queries.Eq("color", "red"), "ab"),
        (queries.NotEq("color", "red"), "c"),
        (queries.Comparison("gt", "n", 9), "bc"),
        (queries.In("n", [9, 100]), "ac"),
        (queries.Contains("tags", "y"), "a"),
        (queries.KeyPresent("n", False), "d"),
        (queries.Like("color", "R%"), "ab"),
        (queries.Regex("color", "^b"), "c"),
        (queries.FullText("blue"), "c"),
        (queries.KeyLookup("b"), "b"),
        (queries.KeysFilter(["b", "d", "z"]), "bd"),
        (queries.StructureFamilyQuery("array"), "bd"),
        (queries.StructureFamilyQuery(StructureFamily.table), "c"),
        (queries.SpecsQuery(["special"]), "a"),
        (queries.SpecsQuery([], ["special"]), "bcd"),
    ],
)
def test_a_search_finds_by_metadata_and_by_what_a_node_is(query: object, keys: str) -> None:
    found = _tree().search(query)  # type: ignore[arg-type]
    assert list(found.keys()) == list(keys)
    assert found.count() == len(keys)
    assert all((found.get(key) is not None) == (key in keys) for key in "abcd")
    assert found.metadata == {"title": "all"}


def test_searches_follow_one_another() -> None:
    found = _tree().search(queries.Eq("color", "red")).search(queries.Comparison("gt", "n", 9))
    assert list(found.keys()) == ["b"]
    assert found.distinct_families() == [("array", 1)]


def test_access_tags_are_for_a_server_to_know() -> None:
    with pytest.raises(InvalidQuery, match="access tags"):
        _tree().search(queries.AccessTagsFilter(["public"]))


def test_numbers_are_sorted_as_numbers_and_what_has_no_key_comes_last() -> None:
    tree = _tree()
    assert list(tree.sorted([("n", 1)]).keys()) == ["a", "b", "c", "d"]
    assert list(tree.sorted([("n", -1)]).keys()) == ["c", "b", "a", "d"]
    assert list(tree.sorted([("color", 1), ("n", -1)]).keys()) == ["c", "b", "a", "d"]
    assert list(tree.sorted([("color", 1), ("", -1)]).keys()) == ["c", "b", "a", "d"]
    assert list(tree.sorted([("", -1)]).keys(0, 2)) == ["d", "c"]
    assert tree.sorted([("n", -1)]).search(queries.Eq("color", "red")).sorting == (("n", -1),)
    assert tree.sorting == (("", 1),)


@given(st.lists(st.one_of(st.none(), st.integers(), st.floats(allow_nan=False), st.text()), max_size=12))
def test_sorting_is_stable_and_reversed_but_for_what_is_missing(values: list) -> None:
    tree = MapNode({str(i): MapNode({}, metadata={"deep": {"v": v}}) for i, v in enumerate(values)})
    for direction in (1, -1):
        order = [values[int(key)] for key, _ in tree.sorted([("deep.v", direction)]).items()]
        numbers = [v for v in order if isinstance(v, int | float)]
        texts = [v for v in order if isinstance(v, str)]
        assert numbers == sorted(numbers, reverse=direction < 0)
        assert texts == sorted(texts, reverse=direction < 0)
        first, second = (numbers, texts) if direction > 0 else (texts, numbers)
        assert order == first + second + [None] * values.count(None)


@pytest.mark.parametrize(
    "by", [[("n", 0)], [("n", 1), ("n", -1)], [("", 1), ("n", 1)], [(3, 1)], [(str(i), 1) for i in range(17)]]
)
def test_an_order_that_cannot_be_meant_is_refused(by: list) -> None:
    with pytest.raises(Invalid):
        _tree().sorted(by)


def test_different_values_are_counted_exactly() -> None:
    tree = _tree()
    assert tree.distinct("color") == [("red", 2), (None, 1), ("blue", 1)]
    assert tree.distinct_families() == [("array", 2), ("container", 1), ("table", 1)]
    assert tree.distinct_specs() == [((), 3), ((Spec("special", "1"),), 1)]


def test_a_path_leads_to_a_node_and_a_wrong_one_is_said() -> None:
    tree = _tree()
    assert find(tree, []) is tree
    assert find(tree, ["", "c", "", "x"]).structure_family == "array"
    for path in (["z"], ["a", "z"], ["b", "0"], ["c", "z"]):
        with pytest.raises(NotFound, match="No such entry"):
            find(tree, path)


@given(SHAPES.flatmap(lambda s: st.tuples(st.just(s), arrays.basic_indices(s), st.integers(1, 40))))
def test_a_part_of_an_array_is_what_numpy_gives(asked: tuple) -> None:
    shape, index, most = asked
    from databroker_like.structures import regular_chunks

    index = index if isinstance(index, tuple) else (index,)
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    node = ArrayData(array, chunks=regular_chunks(shape, 8, most_bytes=most))
    assert np.array_equal(node.read(index), array[index])
    blocks = np.ndindex(*map(len, node.structure().chunks))
    whole = np.full_like(array, -1)
    for block in blocks:
        whole[node.structure().block_box(block)] = node.read_block(block)
    assert np.array_equal(whole, array)


@given(
    arrays.array_shapes(min_dims=1, max_dims=3, max_side=4).flatmap(
        lambda s: st.tuples(st.just(s), arrays.basic_indices(s))
    )
)
def test_a_part_of_a_block_is_counted_from_where_it_begins(asked: tuple) -> None:
    shape, index = asked
    index = index if isinstance(index, tuple) else (index,)
    double = tuple(2 * n for n in shape)
    array = np.arange(np.prod(double, dtype=int)).reshape(double)
    node = ArrayData(array, chunks=tuple((n, n) for n in shape))
    last = array[tuple(slice(n, None) for n in shape)]
    assert np.array_equal(node.read_block((1,) * len(shape), index), last[index])


def test_a_part_that_is_not_there_is_refused() -> None:
    node = ArrayData(np.zeros((4, 2)), chunks=((2, 2), (2,)))
    with pytest.raises(OutOfRange, match="axis 0"):
        node.read((4,))
    with pytest.raises(OutOfRange, match="3 indexes"):
        node.read((0, 0, 0))
    with pytest.raises(OutOfRange, match="no block"):
        node.read_block((2, 0))
    with pytest.raises(OutOfRange, match="of the block"):
        node.read_block((1, 0), (2,))


def test_dask_arrays_give_themselves_away_in_parts() -> None:
    import dask.array

    node = ArrayData(dask.array.arange(10, chunks=4), dims=["x"])
    assert node.structure().chunks == ((4, 4, 2),)
    assert node.read((slice(3, 6),)).tolist() == [3, 4, 5]
    assert type(node.read_block((2,))) is np.ndarray


def test_structured_arrays_are_sent_without_gaps() -> None:
    padded = np.zeros(3, np.dtype({"names": ["a", "b"], "formats": ["u1", "<f8"], "offsets": [0, 8]}))
    padded["b"] = [1, 2, 3]
    node = ArrayData(padded)
    assert node.read().dtype.itemsize == node.structure().data_type.itemsize == 9
    assert node.read((slice(1, None),))["b"].tolist() == [2, 3]
    with pytest.raises(Invalid, match="cannot be sent"):
        ArrayData(np.array([{}], object))


def test_a_table_is_read_by_columns_and_parts() -> None:
    node = TableData(pa.table({"x": range(5), "y": list("abcde")}), partition_rows=2, metadata={"a": 1})
    assert (node.structure().npartitions, node.structure().columns) == (3, ("x", "y"))
    assert node.read().num_rows == 5
    assert node.read(["y", "x"]).column_names == ["y", "x"]
    assert node.read([]).num_columns == 0
    assert [node.read_partition(n, ["x"])["x"].to_pylist() for n in range(3)] == [[0, 1], [2, 3], [4]]
    for wrong in (3, -1):
        with pytest.raises(OutOfRange, match="no partition"):
            node.read_partition(wrong)
    with pytest.raises(NoSuchColumn, match="'z'"):
        node.read(["z"])
    assert TableData(pa.table({"x": []})).structure().npartitions == 1
    with pytest.raises(WrongType, match="not list"):
        TableData([1])  # type: ignore[arg-type]


def test_a_dataframe_comes_back_with_its_index() -> None:
    frame = pd.DataFrame({"x": [1.5, 2.5]}, index=pd.Index(["a", "b"], name="name"))
    node = TableData(frame)
    pd.testing.assert_frame_equal(node.read().to_pandas(), frame)
    assert node.structure().columns == ("x", "name")


@pytest.mark.parametrize(
    ("column", "array"),
    [
        (pa.chunked_array([[1, 2], [3]]), np.array([1, 2, 3])),
        (pa.chunked_array([[1, None]]), np.array([1, np.nan])),
        (pa.chunked_array([["a", None, "bcd"]]), np.array(["a", "", "bcd"])),
        (pa.chunked_array([[b"a", None]], pa.binary()), np.array([b"a", b""])),
        (pa.chunked_array([[True, False]]), np.array([True, False])),
        (pa.chunked_array([[True, None]]), np.array([1, np.nan])),
        (pa.chunked_array([[[[1, 2]], [[3, 4]]]]), np.array([[[1, 2]], [[3, 4]]])),
        (pa.chunked_array([pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2))]), np.array([[1, 2], [3, 4]], "i1")),
        (pa.chunked_array([pa.array(["b", "a", "b"]).dictionary_encode()]), np.array(["b", "a", "b"])),
        (pa.chunked_array([pa.array([0, 1], pa.timestamp("ms"))]), np.array([0, 1], "M8[ms]")),
        (pa.chunked_array([], pa.int16()), np.array([], "i2")),
        (pa.chunked_array([], pa.string()), np.array([], "U")),
    ],
)
def test_a_column_of_a_table_is_an_array(column: pa.ChunkedArray, array: np.ndarray) -> None:
    node = TableData(pa.table({"x": column})).get("x")
    assert node is not None
    found = node.read()
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    assert node.structure().shape == array.shape
    assert node.structure().data_type.to_numpy_dtype() == found.dtype
    assert dict(node.metadata) == {}


@pytest.mark.parametrize("values", [[[1], [1, 2]], [[1], None], [{"a": 1}]])
def test_what_is_no_array_stays_in_its_table(values: list) -> None:
    table = TableData(pa.table({"x": values}))
    node = table.get("x")
    assert node is not None
    with pytest.raises(Invalid, match="read the table"):
        node.read()
    assert table.get("y") is None


@given(
    SHAPES.flatmap(lambda s: st.tuples(arrays.arrays(np.int8, s, elements=st.integers(0, 1)), arrays.basic_indices(s)))
)
def test_a_part_of_a_sparse_array_is_that_part_of_the_dense_one(asked: tuple) -> None:
    dense, index = asked
    index = index if isinstance(index, tuple) else (index,)
    node = SparseData(
        np.array(np.nonzero(dense)) if dense.ndim else np.empty((0, int(dense))), dense[dense > 0], dense.shape
    )
    places, elements = node.read(index)
    part = np.zeros_like(np.asarray(dense[index]))
    assert places.shape == (part.ndim, len(elements))
    part[tuple(places)] = elements if part.ndim else elements.sum()
    assert np.array_equal(part, dense[index])


def test_blocks_of_a_sparse_array() -> None:
    node = SparseData([[0, 3], [1, 2]], [1.5, 2.5], (4, 4), chunks=((2, 2), (4,)))
    places, elements = node.read_block((1, 0))
    assert (places.tolist(), elements.tolist()) == ([[1], [2]], [2.5])
    assert node.structure().layout == "COO"
    with pytest.raises(Invalid, match="beyond"):
        SparseData([[4]], [1.0], (4,))
    with pytest.raises(Invalid, match="2 elements"):
        SparseData([[1]], [1.0, 2.0], (4,))


@given(data=st.data())
def test_arrays_of_every_kind_are_sliced_as_numpy_does(kinds: dict[str, Any], data: st.DataObject) -> None:
    def of_axis(length: int) -> st.SearchStrategy[Any]:
        bound, step = st.none() | st.integers(-length - 2, length + 2), st.sampled_from([None, 1, 2, 3, -1, -2])
        return st.integers(-length, length - 1) | st.builds(slice, bound, bound, step)

    slices = data.draw(st.tuples(of_axis(5), of_axis(4)) | st.tuples(of_axis(5)) | st.just(()))
    expected = np.arange(20).reshape(5, 4)[slices]
    for kind, array in kinds.items():
        found = ArrayData(array).read(slices)
        assert (kind, type(found), found.shape) == (kind, np.ndarray, expected.shape)
        np.testing.assert_array_equal(found, expected, kind)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The same array in memory and in files."""
    array = np.arange(20).reshape(5, 4)
    with h5py.File(tmp_path_factory.mktemp("kinds") / "a.h5", "w") as file:
        yield {
            "numpy": array,
            "dask": dask.array.from_array(array, chunks=(2, 3)),
            "h5py": file.create_dataset("a", data=array),
            "zarr": zarr.array(array, chunks=(2, 3)),
        }


def test_rows_of_different_lengths() -> None:
    node = RaggedData([[1, 2], [3.5], []])
    assert node.structure().to_json()["shape"] == [3, None]
    assert node.structure().size == 3
    assert [row.tolist() for row in node.read()] == [[1, 2], [3.5], []]
    assert [row.tolist() for row in node.read((slice(0, 2), slice(None, None, -1)))] == [[2, 1], [3.5]]
    assert np.asarray(node.read((1,))).tolist() == [3.5]
    for wrong in ((3,), (slice(None), 0)):
        with pytest.raises(OutOfRange):
            node.read(wrong)
    with pytest.raises(Invalid, match="one axis"):
        RaggedData([1, 2])
    with pytest.raises(Invalid, match="same axes"):
        RaggedData([np.ones((1, 2)), np.ones((1, 3))])
    assert RaggedData([]).structure().size == 0


def test_rows_of_rows_of_different_lengths() -> None:
    node = RaggedData([[[1, 2], [3]], [], [[4]]])
    assert node.structure().to_json()["shape"] == [3, None, None]
    assert node.structure().data_type.to_numpy_dtype() == np.dtype("i8")

    def lists(rows: Any) -> Any:
        return rows.tolist() if isinstance(rows, np.ndarray) else [lists(row) for row in rows]

    assert lists(node.read()) == [[[1, 2], [3]], [], [[4]]]
    assert lists(node.read((0,))) == [[1, 2], [3]]
    assert lists(node.read((slice(0, 3, 2), 0))) == [[1, 2], [4]]
    assert lists(node.read((slice(0, 3, 2), 0, 0))) == [1, 4]
    assert lists(node.read((0, 1, 0))) == 3
    assert lists(node.read((slice(0, 0), 0, 0))) == []
    with pytest.raises(OutOfRange):
        node.read((slice(None), 0))


def test_rows_with_axes_of_their_own() -> None:
    rows = [np.arange(6).reshape(3, 2), np.arange(0).reshape(0, 2), np.arange(2).reshape(1, 2)]
    node = RaggedData(rows, dims=("time", "peak", "xy"))
    assert node.structure().to_json()["shape"] == [3, None, 2]
    assert node.structure().dims == ("time", "peak", "xy")
    assert [row.tolist() for row in node.read((slice(None), slice(None), 1))] == [[1, 3, 5], [], [1]]
    assert np.asarray(node.read((slice(0, 3, 2), 0))).tolist() == [[0, 1], [0, 1]]


def test_buffers_of_an_awkward_array() -> None:
    form = {"class": "NumpyArray", "primitive": "uint8", "inner_shape": [], "parameters": {}, "form_key": "node0"}
    node = AwkwardData(form, 2, {"node0-data": b"\x01\x02"}, metadata={"a": 1})
    assert node.structure().to_json() == {"length": 2, "form": form}
    assert node.read_buffers() == node.read_buffers(["node0-data"]) == {"node0-data": b"\x01\x02"}
    assert node.read_buffers(["node0"]) == node.read_buffers()
    assert (node.count_bytes(), node.count_bytes([])) == (2, 0)
    with pytest.raises(NotFound, match="node0-data"):
        node.read_buffers(["node1-data"])


def test_a_dataset_is_a_container_of_arrays() -> None:
    dataset = xr.Dataset({"img": (("t", "x"), np.ones((2, 3)), {"units": "counts"})}, coords={"t": [0.5, 1.5]})
    node = dataset_node(dataset, metadata={"scan": 1}, specs=[Spec("mine")])
    assert [spec.name for spec in node.specs] == ["mine", "xarray_dataset"]
    assert node.metadata == {"scan": 1, "attrs": {}}
    img, time = node.get("img"), node.get("t")
    assert img is not None
    assert time is not None
    assert (img.metadata, img.specs, img.structure().dims) == (
        {"attrs": {"units": "counts"}},
        (Spec("xarray_data_var"),),
        ("t", "x"),
    )
    assert time.specs == (Spec("xarray_coord"),)


def test_only_a_plain_mapping_in_memory_is_at_hand():
    class Late(dict):
        """Looks somewhere when it is asked."""

    class Other(MapNode):
        """Tells of itself in a way of its own."""

    assert MapNode({"a": ArrayData(np.arange(2))}).at_hand
    assert ArrayData(np.arange(2)).at_hand
    assert not MapNode(Late()).at_hand
    assert not Other({}).at_hand


def test_what_is_taken_out_of_a_mapping_while_it_is_listed_is_left_out():
    class Shrinking(dict):
        def get(self, key, default=None):
            return None if key == "b" else super().get(key, default)

    tree = MapNode(Shrinking({key: MapNode({}, metadata={"n": n}) for n, key in enumerate("abc")}))
    assert [key for key, _ in tree.items()] == ["a", "c"]
    assert [key for key, _ in tree.page(0, 3)[1]] == ["a", "c"]
    assert list(tree.sorted([("n", -1)]).keys()) == ["c", "a"]


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(),
    st.text(max_size=2),
    st.lists(st.integers(0, 2), max_size=2),
)


@given(documents=st.lists(st.fixed_dictionaries({}, optional={"a": VALUES, "b": VALUES}), max_size=8))
def test_the_order_and_the_different_values_are_those_of_each_document_by_itself(documents):
    tree = MapNode({str(at): MapNode({}, metadata=document) for at, document in enumerate(documents)})
    for by in ((("a", 1),), (("b", -1), ("a", 1), ("", -1))):
        wanted = in_order_of(by, ((str(at), ranks(document, by)) for at, document in enumerate(documents)))
        assert list(tree.sorted(by).keys()) == wanted
    tally = Tally("a")
    for document in documents:
        tally.add(document)
    counted = [(rank(value), count) for value, count in tally.counts()]
    assert [(rank(value), count) for value, count in tree.distinct("a")] == counted


def test_no_rows_of_a_column_of_lists_have_the_axes_of_all_rows() -> None:
    column = TableData(pa.table({"img": [[[1, 2], [3, 4]]] * 3})).get("img")
    assert column is not None
    assert column.read((slice(2, 2),)).shape == (0, 2, 2)
    assert column.read((slice(2, 2), 0)).shape == (0, 2)
