"""Where external files lie."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.core._asset_paths import explaining, file_uri_to_path, missing_file, resolve_path, resolve_uri
from databroker_like.errors import InvalidFile, MissingFile
from databroker_like.files.npy import NPYArray


@pytest.mark.parametrize(
    ("root", "resource_path", "root_map", "expected"),
    [
        ("/data", "a/b.h5", None, ("/data/a/b.h5", False)),
        ("/data/", "a/b.h5", {}, ("/data/a/b.h5", False)),
        ("", "/data/b.h5", {"/data": "/mnt"}, ("/data/b.h5", False)),
        ("", "b.h5", {"": "/mnt"}, ("/mnt/b.h5", True)),
        ("/", "data/b.h5", None, ("/data/b.h5", False)),
        ("/", "/data/b.h5", None, ("/data/b.h5", False)),
        ("/data", "b.h5", {"/data": "/mnt"}, ("/mnt/b.h5", True)),
        ("/data", "b.h5", {"/dat": "/mnt"}, ("/data/b.h5", False)),
        ("/data", "b.h5", {"/data": "/data"}, ("/data/b.h5", False)),
        ("/data", "/data/a/b.h5", {"/data": "/mnt"}, ("/mnt/a/b.h5", True)),
        ("/data", "a/../b.h5", None, ("/data/a/../b.h5", False)),
    ],
)
def test_a_resource_path_lies_below_its_mapped_root(root, resource_path, root_map, expected):
    assert resolve_path(root, resource_path, root_map) == expected


@pytest.mark.parametrize("resource_path", ["../b.h5", "a/../../b.h5", "/etc/passwd", "/data2/b.h5"])
@pytest.mark.parametrize("root_map", [None, {"/data": "/mnt"}])
def test_a_resource_path_that_leaves_its_root_is_refused(resource_path, root_map):
    with pytest.raises(InvalidFile, match="leads out of its root '/data'"):
        resolve_path("/data", resource_path, root_map)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("file://localhost/data/a.h5", "/data/a.h5"),
        ("file:///data/a.h5", "/data/a.h5"),
        ("FILE://LOCALHOST/data/a.h5", "/data/a.h5"),
        ("file:/data/a.h5", "/data/a.h5"),
        ("/data/a.h5", "/data/a.h5"),
        ("file://localhost/my%20data/%C3%BC%23.h5", "/my data/ü#.h5"),
        ("file://localhost/data/scan#1?.h5", "/data/scan#1?.h5"),
        ("file://localhost/data/", "/data/"),
    ],
)
def test_a_file_uri_is_a_path(uri, expected):
    assert file_uri_to_path(uri) == expected


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("file://beamline7/data/a.h5", "on the host 'beamline7'"),
        ("https://example.org/a.h5", "has the scheme 'https'"),
        ("s3://bucket/a.h5", "has the scheme 's3'"),
        ("a.h5", "is no URI"),
        ("file:a.h5", "no absolute path"),
        ("file://localhost", "no absolute path"),
        ("file://localhost/a%00b", "no absolute path"),
    ],
)
def test_what_is_no_file_here_is_refused(uri, message):
    with pytest.raises(InvalidFile, match=message):
        file_uri_to_path(uri)


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20))
def test_any_file_name_survives_a_uri(name):
    assert file_uri_to_path("file://localhost/" + quote(name)) == "/" + name


@pytest.mark.parametrize(
    ("path", "root_map", "expected", "touched"),
    [
        ("/data/a/b.h5", {"/data": "/mnt"}, "/mnt/a/b.h5", True),
        ("/data/a/b.h5", {"/data/": "/mnt/"}, "/mnt/a/b.h5", True),
        ("/data/a/b.h5", {"/dat": "/mnt"}, "/data/a/b.h5", False),
        ("/data/a/b.h5", {"/data": "/x", "/data/a": "/mnt"}, "/mnt/b.h5", True),
        ("/data/a/", {"/data": "/mnt"}, "/mnt/a/", True),
        ("/data/b.h5", {"/": "/mnt"}, "/mnt/data/b.h5", True),
        ("/data/b.h5", {"/data/b.h5": "/mnt/c.h5"}, "/mnt/c.h5", True),
        ("/data/b.h5", {"": "/mnt"}, "/data/b.h5", False),
    ],
)
def test_root_map_moves_whole_folders_of_a_uri(path, root_map, expected, touched):
    assert resolve_uri("file://localhost" + path, root_map)[:2] == (expected, touched)


def test_a_missing_file_says_what_root_map_did():
    touched = missing_file("/mnt/a.h5", "/data", True)
    assert "'/mnt/a.h5'" in str(touched)
    assert "'/data' was changed by root_map" in str(touched)
    assert "'/data' was not changed by root_map" in str(missing_file("/data/a.h5", "/data", False))
    assert "root_map={'/data': ...}" in str(missing_file("/data/a.h5", "", False))
    assert isinstance(touched, FileNotFoundError)
    assert touched.filename == "/mnt/a.h5"


def test_a_reader_that_misses_a_file_gets_the_explanation(tmp_path):
    with (
        pytest.raises(MissingFile, match=r"a\.npy'; its root '/data' was changed by root_map"),
        explaining("/data", True),
    ):
        NPYArray(tmp_path / "a.npy")[0]
