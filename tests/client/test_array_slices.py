"""Random parts of random arrays, read from our own service in this process, are those of numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from databroker_like.client import Context, from_context
from databroker_like.client import array as arrays
from databroker_like.nodes import ArrayData, MapNode
from databroker_like.tree import build_app

dtypes = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?"),
    hnp.complex_number_dtypes(endianness="?"),
    hnp.datetime64_dtypes(max_period="s", min_period="ns", endianness="="),
    hnp.unicode_string_dtypes(max_len=3),
    hnp.byte_string_dtypes(max_len=3),
    st.just(np.dtype([("n", "<i2"), ("rgb", "u1", (3,)), ("x", ">f8")])),
)


@st.composite
def asked(draw: st.DrawFn) -> tuple[np.ndarray, tuple[tuple[int, ...], ...], Any]:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
    dtype = draw(dtypes)
    if dtype.names:
        array = np.zeros(shape, dtype)
        array["n"] = draw(hnp.arrays(np.int16, shape))
    else:
        array = draw(hnp.arrays(dtype, shape))
    chunks = tuple(tuple(_cut(n, draw(st.integers(1, 5)))) for n in shape)
    index = draw(hnp.basic_indices(shape, allow_ellipsis=True, allow_newaxis=False)) if shape else ()
    return array, chunks, index


def _cut(length: int, step: int) -> list[int]:
    return [min(step, length - at) for at in range(0, length, step)] or [0]


def same(found: Any, expected: Any) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    if not found.shape:
        # A value by itself has neither an order of its bytes nor room for longer texts.
        np.testing.assert_array_equal(found, expected)
        return
    assert (found.dtype, found.shape, found.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


@given(asked(), st.sampled_from([1, 16, 1 << 20]))
@settings(max_examples=60)
def test_parts_are_those_of_numpy(case: Any, most: int) -> None:
    array, chunks, index = case
    before = arrays._WHOLE_BYTES, arrays._PIECE_BYTES
    arrays._WHOLE_BYTES = arrays._PIECE_BYTES = most
    try:
        with Context.from_app(build_app(MapNode({"a": ArrayData(array, chunks=chunks)}), public=True)) as context:
            client = from_context(context, node_path_parts=["a"])
            same(client.read(), array)
            same(client[index], array[index])
            same(client.read(index), array[index])
    finally:
        arrays._WHOLE_BYTES, arrays._PIECE_BYTES = before


@given(asked(), st.data())
@settings(max_examples=40)
def test_blocks_and_parts_of_them_are_those_of_numpy(case: Any, data: st.DataObject) -> None:
    array, chunks, _ = case
    block = tuple(data.draw(st.integers(0, len(cuts) - 1)) for cuts in chunks)
    box = tuple(slice(sum(cuts[:at]), sum(cuts[: at + 1])) for cuts, at in zip(chunks, block, strict=True))
    inside = array[(*box, ...)]
    index = data.draw(hnp.basic_indices(inside.shape, allow_newaxis=False)) if inside.shape else ()
    with Context.from_app(build_app(MapNode({"a": ArrayData(array, chunks=chunks)}), public=True)) as context:
        client = from_context(context, node_path_parts=["a"])
        same(client.read_block(block), inside)
        same(client.read_block(block, index), inside[index])


@given(asked())
@settings(max_examples=15, deadline=None)
def test_dask_computes_the_same(case: Any) -> None:
    array, chunks, index = case
    with Context.from_app(build_app(MapNode({"a": ArrayData(array, chunks=chunks)}), public=True)) as context:
        client = from_context(context, "dask", ["a"])
        same(client.read(index).compute(scheduler="synchronous"), array[index])
        same(client.compute(), array)
