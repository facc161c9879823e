"""The files behind data, fetched from our own service in this process; and what a server must not make of names."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from databroker_like import errors
from databroker_like.client import _assets
from databroker_like.nodes import ArrayData, Asset, DataSource, MapNode


class OfFiles(ArrayData):
    """An array that says of which files it was read."""

    def __init__(self, *assets: Asset) -> None:
        super().__init__(np.zeros(2))
        self._source = DataSource("application/x-data", assets, {"dataset": "a"})

    def data_source(self) -> DataSource:
        return self._source


@pytest.fixture
def root(tmp_path: Path, served: Callable[..., Any]) -> Any:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    for name in ("one.bin", "two words.bin", "folder/zarr.json", "folder/inner/0"):
        (tmp_path / name).write_bytes(f"this is {name}".encode())
    one, two = (Asset(tmp_path / name, name) for name in ("one.bin", "two words.bin"))
    folder = Asset(tmp_path / "folder", "folder", is_directory=True)
    nodes = {"one": OfFiles(one), "both": OfFiles(one, two), "folder": OfFiles(folder), "mixed": OfFiles(one, folder)}
    return served(MapNode({**nodes, "none": ArrayData(np.zeros(2))}))


def texts(found: dict[str, io.BytesIO]) -> dict[str, str]:
    return {key: held.read().decode() for key, held in found.items()}


def test_where_data_lies_is_asked_for_when_it_is_wanted(root: Any) -> None:
    node = root["one"]
    assert node.item["attributes"].get("data_sources") is None
    (source,) = node.data_sources()
    assert (source.mimetype, source["mimetype"], source.parameters) == ("application/x-data",) * 2 + ({"dataset": "a"},)
    assert (source.assets[0].id, source.assets[0].is_directory) == (1, False)
    with pytest.raises(AttributeError, match="no 'colour'"):
        source.colour  # noqa: B018
    told = node.include_data_sources()
    assert told.include_data_sources() is told
    assert told.data_sources() == node.data_sources()
    told.data_sources()[0]["assets"].clear()
    assert len(told.data_sources()[0].assets) == 1


def test_what_is_in_folders_is_listed(root: Any) -> None:
    node = root["mixed"]
    found = node.asset_manifest(node.data_sources())
    assert {number: inside and sorted(inside) for number, inside in found.items()} == {
        1: None,
        2: ["inner/0", "zarr.json"],
    }


@pytest.mark.parametrize("compression", [True, False])
def test_files_are_fetched_as_they_are(root: Any, tmp_path: Path, compression: bool) -> None:
    place = tmp_path / "here"
    (path,) = root["one"].raw_export(place, compression=compression)
    assert (path, path.read_text()) == (place / "one.bin", "this is one.bin")
    assert [p.name for p in place.iterdir()] == ["one.bin"]
    paths = root["folder"].raw_export(str(place))
    assert sorted(p.relative_to(place).as_posix() for p in paths) == ["inner/0", "zarr.json"]
    assert (place / "inner" / "0").read_text() == "this is folder/inner/0"


def test_files_of_several_assets_do_not_meet(root: Any) -> None:
    held: dict[str, io.BytesIO] = {}
    keys = root["mixed"].raw_export(held, max_workers=1)
    assert sorted(keys) == sorted(held) == ["1/one.bin", "2/inner/0", "2/zarr.json"]
    assert texts(held)["2/zarr.json"] == "this is folder/zarr.json"
    held.clear()
    root["both"].raw_export(held)
    assert texts(held) == {"1/one.bin": "this is one.bin", "2/two words.bin": "this is two words.bin"}


def test_data_of_no_files_is_told(root: Any) -> None:
    for node in (root["none"], root):
        with pytest.raises(errors.NotOffered, match="no files"):
            node.raw_export({})


FOLDER = {"id": 1, "data_uri": "file://localhost/data/a%20b", "is_directory": True}


@pytest.mark.parametrize(
    ("told", "inside"),
    [("c/0", "c/0"), ("/data/a b/c/0", "c/0"), ("zarr.json", "zarr.json")],
)
def test_paths_are_those_in_the_folder(told: str, inside: str) -> None:
    assert _assets._inside(told, FOLDER) == inside


@pytest.mark.parametrize(
    "told",
    ["../a", "/etc/passwd", "a/../../b", "a//b", "", ".", "C:\\a", "a\\..\\b", "/data/a b/../x", "/data/a bc", "a\0"],
)
def test_paths_that_lead_out_of_the_folder_are_refused(told: str) -> None:
    with pytest.raises(errors.ServiceFailed, match="leads out"):
        _assets._inside(told, FOLDER)


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("file://localhost/data/a%20b.h5", "a b.h5"),
        ("file://localhost/data/..", "asset-1"),
        ("file://localhost/data/a%5Cb", "a_b"),
        ("file://localhost/data/%2E%2E", "asset-1"),
        ("", "asset-1"),
    ],
)
def test_files_are_named_as_on_the_server_if_that_is_a_name(uri: str, name: str) -> None:
    assert _assets._file_name({"id": 1, "data_uri": uri}) == name


@pytest.mark.parametrize("told", [b"nonsense", b"{}", b'{"manifest": [1]}', b'{"manifest": {"a": 1}}'])
def test_a_list_of_something_else_is_told(root: Any, told: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    node = root["folder"]
    sources = node.data_sources()
    real = node.context.session.fetch
    reply = type("Reply", (), {"content": told, "url": "http://h/"})()
    monkeypatch.setattr(
        node.context.session, "fetch", lambda m, url, **more: reply if "manifest" in url else real(m, url, **more)
    )
    with pytest.raises(errors.ServiceFailed, match="no list of files"):
        node.asset_manifest(sources)
