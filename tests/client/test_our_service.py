"""The client reads from our own service, in process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from databroker_like import queries as q
from databroker_like.client import DESCENDING, Context, from_context
from databroker_like.nodes import ArrayData, MapNode, TableData
from databroker_like.tree import build_app

GRID = np.arange(35.0).reshape(7, 5)


@pytest.fixture
def root() -> Iterator[Any]:
    many = {f"k{n:02}": MapNode({}, metadata={"n": n, "name": f"sample {n}"}) for n in range(12)}
    tree = MapNode({"grid": ArrayData(GRID), "table": TableData(pa.table({"a": [1, 2]})), "many": MapNode(many)})
    with Context.from_app(build_app(tree, api_key="secret"), api_key="secret") as context:
        yield from_context(context)


def test_arrays_and_tables_are_read(root: Any) -> None:
    np.testing.assert_array_equal(root["grid"].read(), GRID)
    np.testing.assert_array_equal(root["grid"][::-2, 1:3], GRID[::-2, 1:3])
    np.testing.assert_array_equal(root["grid"].read_block((0, 0)), GRID)
    assert root["table"].read()["a"].tolist() == root["table"]["a"].read().tolist() == [1, 2]


def test_containers_are_listed_searched_and_sorted(root: Any) -> None:
    many = root["many"]
    expected = [f"k{n:02}" for n in range(12)]
    assert many.keys()[:] == expected
    assert many.keys()[-3:] == expected[-3:]
    assert many.keys().page_size(5)[2:] == expected[2:]
    assert many.search(q.Key("n") > 9).keys()[:] == ["k10", "k11"]
    assert many.sort(("n", DESCENDING)).keys()[:2] == ["k11", "k10"]
    assert "k03" in many.search(q.Key("n") < 5)
    assert len(many) == 12
    with pytest.raises(KeyError):
        many["nothing"]


def test_nodes_that_are_called_as_steps_upward_are_nodes() -> None:
    tree = MapNode({"a": MapNode({"..": ArrayData(np.arange(5)), ".": MapNode({"x": ArrayData(np.arange(3))})})})
    with Context.from_app(build_app(tree, public=True)) as context:
        root = from_context(context)
        assert root["a", ".."].read().tolist() == [0, 1, 2, 3, 4]
        assert list(root["a"]["."]) == ["x"]
        assert root["a", ".", "x"].read().tolist() == [0, 1, 2]
        assert root["a"].values()[0].path_parts == ["a", ".."]
        with pytest.raises(KeyError):
            root["..", "a"]
