from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sparse
from hypothesis import given
from hypothesis import strategies as st

from databroker_like import errors
from databroker_like.client import Context, from_context
from databroker_like.client.sparse import SparseClient
from tests.client.small_server import SmallServer

DENSE = np.array([[0, 1.5, 0, 0], [2.5, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 3.5], [0, 0, 4.5, 0]])


@pytest.fixture
def array(opened: Any, server: Any) -> SparseClient:
    server.nodes["sparse"] = sparse.COO.from_numpy(DENSE)
    client = opened("sparse")
    server.asked.clear()
    return client


def test_it_is_read_whole_and_says_what_it_is(array: SparseClient) -> None:
    assert isinstance(array.read(), sparse.COO)
    np.testing.assert_array_equal(array.todense(), DENSE)
    assert (array.shape, array.ndim, array.chunks, array.dims) == ((6, 4), 2, ((2, 2, 2), (2, 2)), None)


@pytest.mark.parametrize(
    "index", [0, (4, 3), (0, 0), (..., 1), slice(None, None, -2), (slice(3, None), slice(None, None, -1)), slice(2, 2)]
)
def test_parts_are_what_numpy_gives(array: SparseClient, index: Any) -> None:
    found = array[index]
    np.testing.assert_array_equal(getattr(found, "todense", lambda: found)(), DENSE[index])


one = st.integers(-6, 5) | st.builds(slice, *[st.none() | st.integers(-7, 7)] * 2, st.sampled_from([None, 1, 2, -1]))


@given(st.tuples(one, st.builds(slice, st.none() | st.integers(-5, 5), st.none(), st.sampled_from([None, -1, 3]))))
def test_slices_are_those_of_numpy(index: Any) -> None:
    with Context.from_app(SmallServer({"a": sparse.COO.from_numpy(DENSE)})) as context:
        found = from_context(context, node_path_parts=["a"])[index]
    np.testing.assert_array_equal(found.todense(), DENSE[index])


def test_nothing_is_asked_for_where_nothing_is_wanted(array: SparseClient, server: Any) -> None:
    assert array[:0].shape == (0, 4)
    assert server.asked == []


def test_blocks_count_from_where_they_begin(array: SparseClient) -> None:
    np.testing.assert_array_equal(array.read_block((2, 1)).todense(), DENSE[4:, 2:])
    np.testing.assert_array_equal(array.read_block((2, 1), (0, slice(None, None, -1))).todense(), DENSE[4, :1:-1])
    with pytest.raises(IndexError, match="no block"):
        array.read_block((3, 0))


def test_what_is_too_large_at_once_is_read_by_blocks(array: SparseClient, server: Any) -> None:
    server.most_elements = 2
    np.testing.assert_array_equal(array.todense(), DENSE)
    np.testing.assert_array_equal(array[...].todense(), DENSE)
    with pytest.raises(errors.TooLarge):
        array[1:]


@pytest.mark.parametrize("index", [None, [0, 1], (0, 0, 0)])
def test_what_is_no_index_is_told_without_asking(array: SparseClient, server: Any, index: Any) -> None:
    with pytest.raises((errors.Invalid, errors.OutOfRange)):
        array[index]
    assert server.asked == []


def test_a_reply_of_something_else_is_told(array: SparseClient, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "answer", lambda *_: (200, "a/b", b"nonsense"))
    with pytest.raises(errors.ServiceFailed, match="no elements"):
        array.read()
