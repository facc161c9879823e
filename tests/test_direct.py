from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from databroker_like import errors
from databroker_like.client import Context, from_context
from databroker_like.direct import app_from_config
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.nodes import ArrayData, ContainerNode, MapNode

A_TREE = MapNode({"small": ArrayData(np.arange(3))})


def make(size: int) -> ContainerNode:
    return MapNode({"made": ArrayData(np.arange(size))})


def fail() -> None:
    raise ZeroDivisionError("no tree today")


def opened(*trees: dict[str, Any]) -> Context:
    return Context.from_app(app_from_config({"trees": list(trees)}))


def test_a_tree_that_a_module_has_or_makes_is_read() -> None:
    with opened({"path": "/", "tree": f"{__name__}:A_TREE"}) as context:
        assert from_context(context)["small"].read().tolist() == [0, 1, 2]
    with opened({"path": "/", "tree": f"{__name__}:make", "args": {"size": 2}}) as context:
        assert from_context(context)["made"].read().tolist() == [0, 1]


def test_several_trees_stand_side_by_side(tmp_path: Path) -> None:
    store = BlueskyEmbeddedCatalog(str(tmp_path / "store"))
    store.insert("start", {"uid": "41fb8ca9", "time": 1700000000.0})
    store.close()
    trees = (
        {"path": "/runs", "tree": "catalog", "args": {"path": str(tmp_path / "store")}},
        {"path": "mine", "tree": f"{__name__}:A_TREE"},
    )
    with opened(*trees) as context:
        root = from_context(context)
        assert sorted(root) == ["mine", "runs"]
        assert list(root["runs"]) == ["41fb8ca9"]
    with opened(*trees) as context:
        assert len(from_context(context)) == 2


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "has 'trees'"),
        ({"trees": []}, "has 'trees'"),
        ({"trees": ["a"]}, "not 'a'"),
        ({"trees": [{"tree": "file"}]}, "it is 'files'"),
        ({"trees": [{"tree": "files"}]}, "has 'path'"),
        ({"trees": [{"tree": "files", "args": ["x"]}]}, "a mapping"),
        ({"trees": [{"tree": "a.b:c"}, {"tree": "a.b:c"}]}, "two trees"),
        ({"trees": [{"tree": "a.b:c"}, {"tree": "a.b:c", "path": "x"}]}, "the only one"),
        ({"trees": [{"tree": "a.b:c", "path": "x/y"}]}, "one name"),
    ],
)
def test_what_cannot_be_meant_is_told(config: dict[str, Any], said: str) -> None:
    with pytest.raises(errors.InvalidConfig, match=said):
        app_from_config(config)


@pytest.mark.parametrize(
    ("tree", "error"),
    [("fail", errors.PluginFailed), ("__name__", errors.InvalidConfig), ("Path", errors.InvalidConfig)],
)
def test_a_module_that_makes_no_tree_is_told(tree: str, error: type[Exception]) -> None:
    with opened({"tree": f"{__name__}:{tree}"}) as context, pytest.raises(error):
        from_context(context)
