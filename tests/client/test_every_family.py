"""Data of every family, read from our own service in this process."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pytest

from databroker_like import errors
from databroker_like.nodes import (
    ArrayData,
    AwkwardData,
    MapNode,
    RaggedData,
    SparseData,
    TableData,
    dataset_node,
)
from databroker_like.structures import Spec
from tests.client import every_family as here


def tree() -> MapNode:
    form, length, buffers = ak.to_buffers(ak.Array(here.RECORDS))
    values = here.DENSE[tuple(here.PLACES)]
    both = {
        "table": TableData(pa.table({"time": [1.0, 2.0, 3.0], "det": [5, 6, 7]})),
        "image": ArrayData(np.arange(12.0).reshape(3, 4), dims=["time", "x"]),
        "number": ArrayData(np.arange(3)),
    }
    inside = MapNode({}, metadata={"color": "blue"})
    deep = {name: MapNode({"inside": inside}, metadata={"color": "red"}) for name in ("one", "two")}
    kinds = {
        "awkward": AwkwardData(form.to_dict(), length, {name: bytes(held) for name, held in buffers.items()}),
        "sparse": SparseData(here.PLACES, values, (6, 4), dims=["y", "x"]),
        "cut": SparseData(here.PLACES, values, (6, 4), chunks=((3, 3), (4,))),
        "ragged": RaggedData(here.ROWS),
        "moments": ArrayData(here.MOMENTS),
        "words": ArrayData(here.WORDS),
        "empty": ArrayData(np.zeros((0, 3))),
        "point": ArrayData(np.array(4.5)),
        "dataset": dataset_node(here.DATASET),
        "both": MapNode(both, specs=[Spec("composite")]),
        "tab": TableData(here.TABLE),
        "deep": MapNode(deep),
    }
    return MapNode({"kinds": MapNode(kinds)})


class TestOurs(here.EveryFamily):
    @pytest.fixture
    def kinds(self, served: Callable[..., Any]) -> Any:
        return served(tree(), "kinds")

    @pytest.fixture
    def lazy(self, served: Callable[..., Any]) -> Any:
        return served(tree(), "kinds", clients="dask")

    def test_everything_is_exported_in_every_format(self, kinds: Any) -> None:
        for key, node in kinds.items():
            refused = {"image/png", "image/tiff"} if key in ("moments", "words") else set()
            for media_type in set(node.formats) if key != "empty" else ():
                into = io.BytesIO()
                if media_type in refused:
                    with pytest.raises(errors.Invalid, match="only real numbers"):
                        node.export(into, format=media_type)
                else:
                    node.export(into, format=media_type)
                assert bool(into.getvalue()) == (media_type not in refused), (key, media_type)
