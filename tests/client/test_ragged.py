from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pytest
import ragged
from hypothesis import given
from hypothesis import strategies as st

from databroker_like import errors
from databroker_like.client import Context, from_context
from databroker_like.client.ragged import RaggedClient, _layout
from tests.client.small_server import ARROW, SmallServer, arrow

ROWS = [[1.0, 2.0], [3.0], [], [4.0, 5.0, 6.0]]


@pytest.fixture(params=[True, False], ids=["arrow", "json"])
def array(request: pytest.FixtureRequest, opened: Any, server: Any) -> RaggedClient:
    server.nodes["ragged"] = ragged.array(ROWS)
    server.rows_as_arrow = request.param
    client = opened("ragged")
    server.asked.clear()
    return client


def test_it_is_read_whole_and_says_what_it_is(array: RaggedClient) -> None:
    assert isinstance(array.read(), ragged.array)
    assert array.read().tolist() == ROWS
    assert (array.shape, array.ndim, array.size, len(array), array.dims) == ((4, None), 2, 6, 4, None)
    assert (array.chunks, str(array.dtype)) == (((4,), None), "float64")


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, ROWS[0]),
        (-1, ROWS[-1]),
        ((3, 1), 5.0),
        (slice(1, 3), ROWS[1:3]),
        (slice(None, None, -2), ROWS[::-2]),
        ((..., slice(None, None, -1)), [row[::-1] for row in ROWS]),
        ((slice(0, 2), 0), [1.0, 3.0]),
    ],
)
def test_parts_are_taken(array: RaggedClient, server: Any, index: Any, expected: Any) -> None:
    found = array[index]
    assert (found.tolist() if hasattr(found, "tolist") else found) == expected
    assert len(server.asked) == 1


@given(
    st.lists(st.lists(st.integers(-9, 9), max_size=3), min_size=1, max_size=5),
    *[st.builds(slice, *[st.none() | st.integers(-4, 4)] * 2, st.sampled_from([None, 1, 2, -1]))] * 2,
)
def test_slices_are_those_of_lists(rows: list[list[int]], first: slice, second: slice) -> None:
    held = [[*row, 0] for row in rows]
    with Context.from_app(SmallServer({"a": ragged.array(held, dtype="int64")})) as context:
        found = from_context(context, node_path_parts=["a"])[first, second]
    assert found.tolist() == [row[second] for row in held[first]]


def test_nothing_is_asked_for_where_nothing_is_wanted(array: RaggedClient, server: Any) -> None:
    assert array[2:2].tolist() == []
    assert server.asked == []


def test_what_is_not_there_is_told(array: RaggedClient) -> None:
    with pytest.raises(IndexError, match="beyond axis 0"):
        array[4]
    with pytest.raises(IndexError, match="beyond a row"):
        array[1, 1]
    with pytest.raises(errors.Invalid):
        array[None]


def test_a_reply_of_something_else_is_told(array: RaggedClient, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("application/json", "application/vnd.apache.arrow.file"):
        monkeypatch.setattr(server, "answer", lambda *_, kind=kind: (200, kind, b"nonsense"))
        with pytest.raises(errors.ServiceFailed, match="no rows"):
            array.read()


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([[[1.0, 2.0], []], [], [[3.0]]], pa.list_(pa.large_list(pa.float64()))),
        ([[1, 2], [3, 4]], pa.list_(pa.int32(), 2)),
        ([[[1, 2]], [], [[3, 4], [5, 6]]], pa.list_(pa.list_(pa.uint8(), 2))),
    ],
)
def test_lists_of_every_kind_become_rows(rows: Any, kind: pa.DataType) -> None:
    column = pa.array([*rows, *rows], kind)
    assert ak.Array(_layout(ak, column)).tolist() == [*rows, *rows]
    assert ak.Array(_layout(ak, column[1:4])).tolist() == [*rows, *rows][1:4]
    inner = np.dtype(str(ragged.array(ak.Array(_layout(ak, column))).dtype))
    assert inner.kind in "fiu"


@pytest.mark.parametrize("rows", [[[1.0], None], [[1.0, None]]])
def test_what_is_missing_is_told(array: RaggedClient, server: Any, rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    content = arrow(pa.table({"": pa.array(rows)}))
    monkeypatch.setattr(server, "answer", lambda *_: (200, ARROW, content))
    with pytest.raises(errors.ServiceFailed, match="missing"):
        array.read()
