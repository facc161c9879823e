"""The files of which nodes are read, sent as they are."""

import os
from urllib.parse import quote

import pytest

from databroker_like.nodes import Asset, DataSource, MapNode
from databroker_like.service import Settings
from tests.tree.conftest import caller


class FromFiles(MapNode):
    """A node that is read of files."""

    def __init__(self, *assets):
        super().__init__({})
        self.assets = assets

    def data_source(self):
        return DataSource("image/tiff", self.assets, {"dataset": "x"})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret.txt").write_text("hunter2")
    folder = tmp_path / "data"
    (folder / "c" / "0").mkdir(parents=True)
    (folder / "c" / "0" / "0").write_bytes(bytes(range(100)))
    (folder / "zarr.json").write_bytes(b"{}")
    (folder / "ä b.txt").write_bytes(b"umlaut")
    (folder / "inside").symlink_to("zarr.json")
    (folder / "outside").symlink_to(tmp_path / "secret.txt")
    (folder / "away").symlink_to(tmp_path)
    (folder / "loop").symlink_to("loop")
    (folder / "self").symlink_to(".")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture
def client(folder):
    large = folder.parent / "a.tif"
    large.write_bytes(b"0123456789" * 100_000)
    node = FromFiles(
        Asset(large, "images/a.tif", num=0),
        Asset(folder, "images/data", is_directory=True),
        Asset(folder / "gone", "images/gone"),
        Asset(folder / "gone", "images/gone", is_directory=True),
        Asset(folder / "pipe", "images/pipe"),
    )
    return caller(MapNode({"node": node, "other": MapNode({})}), settings=Settings(most_files=20))


def octets(client, *, headers=None, **params):
    return client.get("/api/v1/asset/bytes/node", params=params, headers=headers)


def test_the_files_of_a_node_are_told_by_name_and_number_and_not_where_they_are(client, tmp_path):
    for params in ({"include_data_sources": "true"}, {"fields": "data_sources"}):
        reply = client.get("/api/v1/metadata/node", params=params)
        assert str(tmp_path) not in reply.text
        (source,) = reply.json()["data"]["attributes"]["data_sources"]
        assert {k: source[k] for k in ("id", "mimetype", "parameters", "structure_family", "management")} == {
            "id": 1,
            "mimetype": "image/tiff",
            "parameters": {"dataset": "x"},
            "structure_family": "container",
            "management": "external",
        }
        said = {"parameter": "data_uris", "is_directory": False}
        assert source["assets"][:2] == [
            {**said, "id": 1, "data_uri": "images/a.tif", "size": 1_000_000, "num": 0},
            {**said, "id": 2, "data_uri": "images/data", "is_directory": True, "size": None, "num": None},
        ]
        assert source["assets"][2]["size"] is None
    assert client.get("/api/v1/metadata/node").json()["data"]["attributes"]["data_sources"] is None
    other = client.get("/api/v1/metadata/other?include_data_sources=true").json()["data"]
    assert other["attributes"]["data_sources"] == []


def test_the_files_in_a_folder_are_listed_as_paths_inside_it(client):
    reply = client.get("/api/v1/asset/manifest/node?id=2")
    assert reply.json() == {"manifest": ["c/0/0", "inside", "zarr.json", "ä b.txt"]}


def test_each_file_that_is_listed_is_sent(client, folder):
    for relative in client.get("/api/v1/asset/manifest/node?id=2").json()["manifest"]:
        reply = octets(client, id=2, relative_path=relative)
        assert reply.status_code == 200
        assert reply.content == (folder / relative).read_bytes()
        name = relative.rpartition("/")[2]
        assert reply.headers["content-disposition"] == f'attachment; filename="{name}"'


def test_a_large_file_is_sent_in_pieces_and_whole(client):
    reply = octets(client, id=1)
    assert reply.content == b"0123456789" * 100_000
    assert reply.headers["content-length"] == "1000000"
    assert reply.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [("0-9", 0, 9), ("999990-", 999_990, 999_999), ("-3", 999_997, 999_999), ("5-99999999", 5, 999_999)],
)
def test_a_part_of_a_file_is_sent(client, wanted, first, last):
    reply = octets(client, id=1, headers={"Range": f"bytes={wanted}"})
    assert reply.status_code == 206
    assert reply.content == (b"0123456789" * 100_000)[first : last + 1]
    assert reply.headers["content-range"] == f"bytes {first}-{last}/1000000"


def test_a_part_that_is_not_there_is_refused_and_one_that_is_not_understood_is_all(client):
    reply = octets(client, id=1, headers={"Range": "bytes=1000000-"})
    assert (reply.status_code, reply.headers["content-range"]) == (416, "bytes */1000000")
    assert "1000000 bytes" in reply.json()["detail"]
    for header in ("bytes=9-3", "bytes=x", "lines=1-2", "bytes=0-1,5-6", "bytes=-", "bytes=" + "9" * 50 + "-"):
        assert len(octets(client, id=1, headers={"Range": header}).content) == 1_000_000


def test_a_file_that_has_not_changed_is_not_sent_again(client, folder):
    tag = octets(client, id=1).headers["etag"]
    assert octets(client, id=1, headers={"If-None-Match": tag}).status_code == 304
    part = {"Range": "bytes=0-9", "If-Range": tag}
    assert octets(client, id=1, headers=part).status_code == 206
    (folder.parent / "a.tif").write_bytes(b"new")
    assert octets(client, id=1, headers={"If-None-Match": tag}).content == b"new"
    assert octets(client, id=1, headers=part).content == b"new"


@pytest.mark.parametrize(
    "relative",
    [
        "../secret.txt", "c/../../secret.txt", "/etc/passwd", "..", ".", "", "c//0", "c/./0", "c\\0", "a\0b", "/",
        "C:\\x", "a/" * 70 + "b", "x" * 5000, "..%2Fsecret.txt", "..\udc80",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_folder(client, relative):
    reply = client.get(f"/api/v1/asset/bytes/node?id=2&relative_path={quote(relative, errors='surrogatepass')}")
    assert reply.status_code in (404, 422), reply.text
    assert "hunter2" not in reply.text


@pytest.mark.parametrize(
    "relative", ["outside", "away/secret.txt", "away/data/zarr.json/x", "loop", "self", "pipe", "c"]
)
def test_what_is_no_file_of_the_folder_is_not_sent(client, relative):
    reply = octets(client, id=2, relative_path=relative)
    assert reply.status_code == 404, reply.text
    assert relative in reply.json()["detail"]


@pytest.mark.parametrize(
    ("route", "params", "status"),
    [
        ("bytes", "id=2", 422),
        ("bytes", "id=1&relative_path=a", 422),
        ("bytes", "id=0", 404),
        ("bytes", "id=9", 404),
        ("bytes", "id=x", 422),
        ("bytes", "id=-1", 422),
        ("bytes", "", 422),
        ("bytes", "id=3", 410),
        ("bytes", "id=4&relative_path=a", 410),
        ("bytes", "id=5", 404),
        ("manifest", "id=1", 422),
        ("manifest", "id=4", 410),
        ("manifest", "", 422),
    ],
)
def test_a_file_that_is_not_there_is_refused_with_a_sentence(client, tmp_path, route, params, status):
    reply = client.get(f"/api/v1/asset/{route}/node?{params}")
    assert reply.status_code == status, reply.text
    assert len(reply.json()["detail"].split()) > 3
    assert str(tmp_path) not in reply.text


def test_a_node_that_is_read_of_no_files_has_none_to_send(client):
    for route in ("bytes", "manifest"):
        assert client.get(f"/api/v1/asset/{route}/other?id=1").status_code == 404


def test_a_folder_of_more_files_than_are_listed_is_refused(client, folder):
    for number in range(20):
        (folder / f"{number}.txt").touch()
    assert client.get("/api/v1/asset/manifest/node?id=2").status_code == 413


def test_a_file_that_becomes_shorter_breaks_off(folder):
    path = folder.parent / "shrinking"
    path.write_bytes(b"x" * 1_000_000)
    from databroker_like.errors import MissingFile
    from databroker_like.tree.routes._folders import opened

    with opened(Asset(path, "shrinking"), None) as file:
        path.write_bytes(b"x")
        with pytest.raises(MissingFile):
            list(file.pieces(0, file.size, 1000))
