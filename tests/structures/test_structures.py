"""What is said of data is what the protocol's own clients and servers say, and nothing a stranger writes breaks it."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from databroker_like.errors import Invalid, OutOfRange
from databroker_like.structures import (
    ArrayStructure,
    AwkwardStructure,
    BuiltinDtype,
    ContainerStructure,
    RaggedStructure,
    SparseStructure,
    Spec,
    StructuredDtype,
    TableStructure,
    data_type_from_json,
    data_type_of,
    regular_chunks,
    structure_from_json,
)

#: Recorded from a server of the protocol.
FLOAT = {"endianness": "little", "kind": "f", "itemsize": 8, "dt_units": None}
ARRAY = {"data_type": FLOAT, "chunks": [[2, 2], [3]], "shape": [4, 3], "dims": ["y", "x"], "resizable": False}
SPARSE = {
    "chunks": [[4]],
    "shape": [4],
    "data_type": FLOAT,
    "coord_data_type": {"endianness": "little", "kind": "i", "itemsize": 8, "dt_units": None},
    "dims": None,
    "resizable": False,
    "layout": "COO",
}
TABLE = {
    "arrow_schema": "data:application/vnd.apache.arrow.file;base64,"
    "/////3gAAAAQAAAAAAAKAAwABgAFAAgACgAAAAABBAAMAAAACAAIAAAABAAIAAAABAAAAAEAAAAUAAAAEAAUAAgABgAHAAwAAAAQ"
    "ABAAAAAAAAECEAAAABwAAAAEAAAAAAAAAAEAAABhAAAACAAMAAgABwAIAAAAAAAAAUAAAAA=",
    "npartitions": 1,
    "columns": ["a"],
    "resizable": False,
}
RAGGED = {
    "data_type": FLOAT,
    "shape": [2, None],
    "size": 3,
    "chunks": [[2], None],
    "dims": None,
    "resizable": False,
}
AWKWARD = {
    "length": 2,
    "form": {"class": "NumpyArray", "primitive": "int64", "inner_shape": [], "parameters": {}, "form_key": "node0"},
}
CONTAINER = {"contents": None, "count": 5}
RECORDED = {
    "array": ARRAY,
    "sparse": SPARSE,
    "table": TABLE,
    "ragged": RAGGED,
    "awkward": AWKWARD,
    "container": CONTAINER,
}


@pytest.mark.parametrize("family", RECORDED)
def test_what_a_server_sent_is_read_and_written_to_the_letter(family: str) -> None:
    wire = json.dumps(RECORDED[family])
    assert json.dumps(structure_from_json(family, json.loads(wire)).to_json()) == wire


def test_the_schema_of_a_table_is_read_when_it_is_asked_for() -> None:
    assert TableStructure.from_json(TABLE).schema == pa.schema({"a": pa.int64()})
    schema = pa.schema([pa.field("s", pa.string(), metadata={"encoding": "json"}), pa.field("n", pa.list_(pa.int8()))])
    found = TableStructure.from_json(TableStructure.from_schema(schema, 3).to_json())
    assert found.schema.equals(schema, check_metadata=True)
    assert (found.npartitions, found.columns) == (3, ("s", "n"))


@pytest.mark.parametrize(
    "uri", ["http://example.org", "data:application/vnd.apache.arrow.file;base64,!!", TABLE["arrow_schema"][:80]]
)
def test_a_schema_that_is_none_is_refused(uri: str) -> None:
    with pytest.raises(Invalid, match="schema of a table"):
        TableStructure.from_json({**TABLE, "arrow_schema": uri}).schema  # noqa: B018


@pytest.mark.parametrize(
    ("dtype", "wire"),
    [
        ("<f8", FLOAT),
        (">i4", {"endianness": "big", "kind": "i", "itemsize": 4, "dt_units": None}),
        ("|b1", {"endianness": "not_applicable", "kind": "b", "itemsize": 1, "dt_units": None}),
        ("<U5", {"endianness": "little", "kind": "U", "itemsize": 20, "dt_units": None}),
        ("|S5", {"endianness": "not_applicable", "kind": "S", "itemsize": 5, "dt_units": None}),
        ("<M8[25us]", {"endianness": "little", "kind": "M", "itemsize": 8, "dt_units": "[25us]"}),
        ("<m8[D]", {"endianness": "little", "kind": "m", "itemsize": 8, "dt_units": "[D]"}),
    ],
)
def test_types_of_elements_on_the_wire(dtype: str, wire: dict) -> None:
    described = data_type_of(np.dtype(dtype))
    assert described.to_json() == wire
    assert data_type_from_json(wire).to_numpy_dtype() == np.dtype(dtype)


def _scalar_types() -> st.SearchStrategy[np.dtype]:
    kinds = [
        arrays.boolean_dtypes(),
        arrays.integer_dtypes(endianness="?"),
        arrays.unsigned_integer_dtypes(endianness="?"),
        arrays.floating_dtypes(endianness="?"),
        arrays.complex_number_dtypes(endianness="?"),
        arrays.datetime64_dtypes(endianness="?"),
        arrays.timedelta64_dtypes(endianness="?"),
        arrays.byte_string_dtypes(),
        arrays.unicode_string_dtypes(endianness="?"),
    ]
    return st.one_of(kinds)


@given(st.one_of(_scalar_types(), arrays.nested_dtypes(_scalar_types(), max_leaves=5).filter(lambda t: t.base == t)))
def test_every_type_without_objects_comes_back(dtype: np.dtype) -> None:
    described = data_type_of(dtype)
    again = data_type_from_json(json.loads(json.dumps(described.to_json())))
    assert again == described
    assert again.to_numpy_dtype() == np.empty(0, dtype).astype(described.to_numpy_dtype()).dtype
    assert described.to_numpy_dtype().itemsize == described.itemsize


def test_gaps_between_fields_are_left_out() -> None:
    padded = np.dtype({"names": ["a", "b"], "formats": ["u1", "<f8"], "offsets": [0, 8]})
    described = data_type_of(padded)
    assert isinstance(described, StructuredDtype)
    assert described.itemsize == 9
    assert described.to_numpy_dtype() == np.dtype([("a", "u1"), ("b", "<f8")])


def test_python_objects_are_neither_said_nor_read() -> None:
    with pytest.raises(Invalid, match="cannot be sent"):
        ArrayStructure.from_array(np.array([{}], dtype=object))
    with pytest.raises(Invalid, match="cannot be sent"):
        data_type_of(np.dtype([("a", "O")]))
    with pytest.raises(Invalid, match="kind 'O'"):
        data_type_from_json({**FLOAT, "kind": "O"}).to_numpy_dtype()


def test_a_type_that_numpy_has_not_is_refused() -> None:
    with pytest.raises(Invalid, match="no type '<f3'"):
        BuiltinDtype.from_json({**FLOAT, "itemsize": 3}).to_numpy_dtype()
    twice = {"itemsize": 16, "fields": [{"name": "a", "dtype": FLOAT, "shape": None}] * 2}
    with pytest.raises(Invalid, match="no structured type with the fields"):
        StructuredDtype.from_json(twice).to_numpy_dtype()
    with pytest.raises(Invalid, match="has 'fields'"):
        StructuredDtype.from_json(FLOAT)


def test_a_type_is_not_nested_without_end() -> None:
    deep: dict = FLOAT
    for _ in range(50):
        deep = {"itemsize": 8, "fields": [{"name": "a", "dtype": deep, "shape": None}]}
    with pytest.raises(Invalid, match="16 deep"):
        data_type_from_json(deep)


@pytest.mark.parametrize(
    ("family", "change", "said"),
    [
        ("array", {"shape": [4, 4]}, "do not make up the shape"),
        ("array", {"shape": [-4, 3]}, "whole number from 0"),
        ("array", {"shape": "4,3"}, "'shape' of the array is a list"),
        ("array", {"shape": [1.5, 3]}, "whole number"),
        ("array", {"chunks": [[2, 2], 3]}, "list of whole numbers"),
        ("array", {"shape": [1] * 65, "chunks": [[1]] * 65}, "65 axes"),
        ("array", {"dims": ["x"]}, "1 names for an array of 2 axes"),
        ("array", {"dims": [1, 2]}, "list of texts"),
        ("array", {"resizable": "yes"}, "resizable"),
        ("array", {"data_type": {**FLOAT, "endianness": "middle"}}, "endianness"),
        ("array", {"data_type": {**FLOAT, "itemsize": True}}, "'itemsize'"),
        ("array", {"data_type": None}, "'data_type' of the array is an object"),
        ("sparse", {"layout": "CSR"}, "'COO'"),
        ("table", {"columns": [None]}, "list of texts"),
        ("table", {"npartitions": -1}, "'npartitions'"),
        ("ragged", {"shape": [3, None]}, "do not make up the shape"),
        ("awkward", {"form": []}, "'form' of the awkward array is an object"),
        ("container", {"count": None}, "'count' of the container"),
    ],
)
def test_what_cannot_be_meant_is_refused(family: str, change: dict, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        structure_from_json(family, {**RECORDED[family], **change})


@pytest.mark.parametrize("family", RECORDED)
@pytest.mark.parametrize("other", [None, [], 3, {}])
def test_what_is_no_description_is_refused(family: str, other: object) -> None:
    with pytest.raises(Invalid):
        structure_from_json(family, other)  # type: ignore[arg-type]


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(Invalid, match="no structure family 'cube'"):
        structure_from_json("cube", {})


def test_what_is_left_out_has_a_default() -> None:
    array = ArrayStructure.from_json({key: ARRAY[key] for key in ("data_type", "chunks", "shape")})
    assert (array.dims, array.resizable) == (None, False)
    sparse = SparseStructure.from_json({key: SPARSE[key] for key in ("data_type", "chunks", "shape")})
    assert sparse.to_json() == SPARSE
    assert ArrayStructure.from_json({**ARRAY, "resizable": [True, False]}).to_json()["resizable"] == [True, False]
    assert AwkwardStructure.from_json(AWKWARD).length == 2
    assert ContainerStructure.from_json({"count": 1}).contents is None
    assert RaggedStructure.from_json(RAGGED).shape == (2, None)


def test_a_spec_is_a_name_and_perhaps_a_version() -> None:
    assert (
        Spec.from_json("a")
        == Spec("a")
        == Spec.from_json({"name": "a", "version": None})
        == Spec.from_json({"name": "a"})
    )
    assert Spec.from_json({"name": "a", "version": "3.0"}).to_json() == {"name": "a", "version": "3.0"}
    for wrong in ({}, {"name": 3}, {"name": "a", "version": 3}, None):
        with pytest.raises(Invalid, match="spec"):
            Spec.from_json(wrong)  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 40), max_size=4), st.integers(1, 16), st.integers(1, 5000))
def test_chunks_make_up_the_array_and_are_no_larger_than_asked(shape: list[int], itemsize: int, most: int) -> None:
    chunks = regular_chunks(shape, itemsize, most_bytes=most)
    assert tuple(map(sum, chunks)) == tuple(shape)
    largest = itemsize * int(np.prod([max(cuts) for cuts in chunks], dtype=int))
    assert largest <= max(most, itemsize)
    assert all(len(set(cuts[:-1])) <= 1 for cuts in chunks)


def test_the_chunks_of_a_dask_array_are_its_own() -> None:
    import dask.array

    lazy = dask.array.ones((5, 3), chunks=(2, 3))
    assert ArrayStructure.from_array(lazy, dims=["y", "x"]).chunks == ((2, 2, 1), (3,))
    assert ArrayStructure.from_array(np.float64(3)).chunks == ()


def test_a_block_lies_where_its_chunks_say() -> None:
    array = ArrayStructure.from_json(ARRAY)
    assert array.block_box((1, 0)) == (slice(2, 4), slice(0, 3))
    assert (array.ndim, array.size, array.nbytes) == (2, 12, 96)
    assert SparseStructure.from_json(SPARSE).block_box((0,)) == (slice(0, 4),)
    for wrong in ((2, 0), (-1, 0), (0,), (0, 0, 0)):
        with pytest.raises(OutOfRange, match="there is no block"):
            array.block_box(wrong)
