"""Where the data of a node lies."""

from pathlib import Path

from databroker_like.nodes import Asset, DataSource, MapNode


def test_a_node_in_memory_has_no_files():
    assert MapNode({}).data_source() is None


def test_a_source_tells_its_files_by_their_names():
    source = DataSource("image/tiff", (Asset(Path("/secret/a.tif"), "a.tif"),), {"page": 1})
    assert [asset.name for asset in source.assets] == ["a.tif"]
    assert not source.assets[0].is_directory
