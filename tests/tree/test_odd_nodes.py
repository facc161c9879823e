"""Nodes with odd types, shapes and nothing in them: whatever is asked is answered, or refused with a sentence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
import xarray as xr

from databroker_like.nodes import (
    ArrayData,
    ContainerNode,
    MapNode,
    Node,
    RaggedData,
    SparseData,
    TableData,
    dataset_node,
)
from tests.tree.conftest import caller

COLUMNS = {
    "struct": pa.array([{"a": 1}, None]),
    "dictionary": pa.array(["a", "b"]).dictionary_encode(),
    "duration": pa.array([1, None], pa.duration("ns")),
    "decimal": pa.array([None, None], pa.decimal128(5, 2)),
    "null": pa.nulls(2),
    "date": pa.array([1, 2], pa.date32()),
    "time": pa.array([1, 2], pa.time64("us")),
    "zone": pa.array([1, 2], pa.timestamp("ns", tz="UTC")),
    "map": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
    "half": pa.array([np.float16(1), None], pa.float16()),
    "binary": pa.array([b"\xff", None]),
    "fixed": pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2)),
    "large": pa.array([2**64 - 1, 0], pa.uint64()),
}
ARRAYS = {
    "void": np.zeros(2, "V3"),
    "longest": np.ones(2, "f16"),
    "longest complex": np.ones(2, "c32"),
    "days": np.array([1, 2], "m8[D]"),
    "empty text": np.array([""]),
    "nested": np.zeros(2, [("a", [("b", "i4"), ("c", "U2")]), ("d", "M8[s]")]),
    "vectors": np.zeros(2, [("v", "f4", (2,))]),
    "five axes": np.zeros((1, 2, 1, 2, 1)),
    "not finite": np.array([[np.inf, np.nan], [1, -np.inf]]),
    "nothing": np.zeros((3, 0)),
    "scalar": np.array("a"),
}
if np.lib.NumpyVersion(np.__version__) < "2.5.0":  # which advises against times of no unit
    ARRAYS["of no unit"] = np.array(["NaT"], "M8")
TREE = MapNode(
    {
        **{name: ArrayData(array) for name, array in ARRAYS.items()},
        **{f"column {name}": TableData(pa.table({name: column})) for name, column in COLUMNS.items()},
        "no rows": TableData(pa.table({"a": pa.array([], pa.int64())})),
        "no columns": TableData(pa.table({})),
        "no elements": SparseData(np.zeros((2, 0), int), np.zeros(0), (3, 3)),
        "no axes": SparseData(np.zeros((0, 1), int), [5.0], ()),
        "complex elements": SparseData([[1]], [1j], (3,)),
        "ragged texts": RaggedData([["a", "bb"], []]),
        "ragged times": RaggedData([np.array(["2026-01-01"], "M8[ns]"), np.array([], "M8[ns]")]),
        "ragged complex": RaggedData([[1j], [2j, 3j]]),
        "ragged booleans": RaggedData([[True], []]),
        "no variables": dataset_node(xr.Dataset()),
        "no lengths": dataset_node(xr.Dataset({"a": ("t", np.zeros(0)), "b": (("t", "x"), np.zeros((0, 2)))})),
    }
)
CLIENT = caller(TREE)
FORMATS = CLIENT.get("/api/v1/").json()["formats"]
ROUTES = {
    "array": ["array/full{}?", "array/block{}?block={}&"],
    "sparse": ["array/full{}?", "array/block{}?block={}&"],
    "table": ["table/full{}?", "table/partition{}?partition=0&"],
    "ragged": ["ragged/full{}?"],
    "container": ["container/full{}?"],
}
SLICES = ("0", "::-2", "5:1", "...,0", "99", "0,0,0,0,0,0")


def walked(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    yield path, node
    if isinstance(node, ContainerNode):
        for key, one in node.items():
            yield from walked(one, f"{path}/{key}")


def asked(path: str, node: Node) -> Iterator[str]:
    """All that is asked of a node."""
    family = node.structure_family.value
    kinds = FORMATS["xarray_dataset" if any(spec.name == "xarray_dataset" for spec in node.specs) else family]
    for number, media_type in enumerate(kinds):
        for route in ROUTES[family]:
            block = ",".join("0" for _ in getattr(node.structure(), "shape", ()))
            url = f"/api/v1/{route.format(path, block)}format={media_type}"
            yield url
            if family in ("array", "sparse", "ragged"):
                yield f"{url}&slice={SLICES[number % len(SLICES)]}"
    for key in (".zarray", ".zgroup", ".zattrs", ".zmetadata", "0", "0.0"):
        yield f"/zarr/v2{path}/{key}"
    for key in ("zarr.json", "c", "c/0", "c/0/0"):
        yield f"/zarr/v3{path}/{key}"


@pytest.mark.parametrize("path", [path for path, _ in walked(TREE, "")])
def test_what_is_asked_is_answered_or_refused_with_a_sentence(path: str) -> None:
    node = dict(walked(TREE, ""))[path]
    answered = 0
    for url in asked(path, node):
        reply = CLIENT.get(url)
        assert reply.status_code in (200, 400, 404), (url, reply.text)
        answered += reply.status_code == 200
        assert reply.status_code == 200 or len(reply.json()["detail"]) > 10, url
    # Complex numbers are in no table, and a sparse array is sent as one.
    assert answered > 3 or path == "/complex elements"
