"""What lies at a path is a tree: a store, a catalog file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from databroker_like.doors import open_app, open_root
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.errors import DatabrokerError, Invalid, InvalidCatalog, MissingFile, NotWritable
from databroker_like.nodes import ArrayNode, MapNode, find
from databroker_like.nodes.catalogs import CatalogNode
from databroker_like.nodes.files import FolderNode
from databroker_like.nodes.runs import RunsNode


def _store(folder: Path) -> Path:
    catalog = BlueskyEmbeddedCatalog(folder)
    catalog.insert("start", {"uid": "one", "time": 1.0})
    catalog.close()
    return folder


def test_a_folder_with_a_database_is_a_catalog_of_runs_that_nothing_is_written_to(tmp_path: Path) -> None:
    with open_root(_store(tmp_path / "store")) as root:
        assert isinstance(root, RunsNode)
        assert list(root.keys()) == ["one"]
        with pytest.raises(NotWritable):
            root._catalog.insert("start", {"uid": "two", "time": 2.0})


def test_a_yaml_file_is_a_catalog_of_sources(tmp_path: Path) -> None:
    _store(tmp_path / "store")
    for suffix in ("yml", "yaml"):
        file = tmp_path / f"lab.{suffix}"
        file.write_text('sources: {runs: {driver: bluesky-embedded-catalog, args: {path: "{{ CATALOG_DIR }}/store"}}}')
        with open_root(str(file)) as root:
            assert isinstance(root, CatalogNode)
            runs = root.get("runs")
            assert isinstance(runs, RunsNode)
            assert list(runs.keys()) == ["one"]


def test_another_folder_is_a_tree_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    np.save(tmp_path / "inner" / "grid.npy", np.arange(6).reshape(2, 3))
    with open_root(tmp_path) as root:
        assert isinstance(root, FolderNode)
        grid = find(root, ["inner", "grid"])
        assert isinstance(grid, ArrayNode)
        assert grid.read((1, 0)) == 3


def test_what_is_wrong_with_it_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.db").write_text("this is no database" * 100)
    with pytest.raises(DatabrokerError, match=r"store\.db"), open_root(tmp_path / "store"):
        pass
    (tmp_path / "lab.yml").write_text("sources: [")
    with pytest.raises(InvalidCatalog, match="line 1"), open_root(tmp_path / "lab.yml"):
        pass


def test_what_is_none_of_them_is_refused(tmp_path: Path) -> None:
    _store(tmp_path / "store")
    with pytest.raises(MissingFile, match="'store'"), open_root(tmp_path / "stor"):
        pass
    file = tmp_path / "notes.txt"
    file.write_text("nothing")
    with pytest.raises(Invalid, match=r"\.yml"), open_root(file):
        pass


def test_the_application_is_that_of_a_tree() -> None:
    assert open_app(MapNode({}), public=True).routes
