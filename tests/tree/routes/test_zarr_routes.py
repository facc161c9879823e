"""What the library of zarr reads of a tree over HTTP."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from databroker_like.errors import MissingFile
from databroker_like.nodes import ArrayData, MapNode, RaggedData, SparseData, TableData, dataset_node
from databroker_like.service import Settings
from databroker_like.structures import ArrayStructure
from databroker_like.tree import build_app
from databroker_like.tree.formats._zarr import boxed, chunk_shape, padded
from tests.support.loopback import listening
from tests.support.serving import get
from tests.tree.conftest import caller

GRID = np.arange(35.0).reshape(7, 5)
ARRAYS = {
    "grid": ArrayData(GRID, chunks=((3, 3, 1), (2, 2, 1)), metadata={"color": "red", "bad": float("nan")}),
    "uneven": ArrayData(GRID, chunks=((1, 4, 2), (5,)), dims=("y", "x")),
    "scalar": ArrayData(np.array(5, dtype="<i4")),
    "big": ArrayData(np.arange(10, dtype=">i4"), chunks=((4, 4, 2),)),
    "bool": ArrayData(np.array([True, False])),
    "half": ArrayData(np.arange(3, dtype="<f2")),
    "complex": ArrayData(np.array([1 + 2j, 0])),
    "text": ArrayData(np.array(["a", "längst"])),
    "bytes": ArrayData(np.array([b"a", b"bc"])),
    "time": ArrayData(np.array(["2026-01-01", "NaT", "2026-01-03"], dtype="M8[ns]"), chunks=((2, 1),)),
    "tens": ArrayData(np.array([1, 2], dtype="m8[10us]")),
    "records": ArrayData(np.array([(1, 0.5, "a"), (2, 1.5, "bc")], dtype=[("n", "<i4"), ("x", ">f8"), ("s", "<U2")])),
    "empty": ArrayData(np.empty((0, 3))),
}


def tree() -> MapNode:
    dataset = xr.Dataset(
        {"img": (("t", "x"), np.arange(6).reshape(3, 2), {"units": "counts"}), "n": ((), 5)},
        coords={"t": ("t", pd.date_range("2026-01-01", periods=3)), "w": ("t", [0.5, 1.5, 2.5]), "x": [10, 20]},
        attrs={"scan": 5},
    )
    return MapNode(
        {
            **ARRAYS,
            "inner": MapNode({"deep": MapNode({"one": ArrayData(np.arange(3))}), "a b": ArrayData(np.arange(2))}),
            "table": TableData(pd.DataFrame({"x": [1, 2, 3], "name": ["a", "b", "c"]}), metadata={"level": 1}),
            "dataset": dataset_node(dataset),
            "sparse": SparseData([[1]], [1.0], (3,)),
            "ragged": RaggedData([[1], [2, 3]]),
            "fields": ArrayData(np.zeros(2, dtype=[("v", "<f4", (2,))])),
            "many": MapNode({f"k{i}": ArrayData(np.arange(i)) for i in range(101)}),
        },
        metadata={"title": "everything"},
    )


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The service, on a port of its own."""
    with listening(build_app(tree(), api_key="secret")) as url:
        yield url


def store(url: str, path: str) -> Any:
    headers = {"Authorization": "Apikey secret"}
    return zarr.storage.FsspecStore.from_url(
        f"{url}/zarr/{path}", storage_options={"client_kwargs": {"headers": headers}}, read_only=True
    )


@pytest.fixture(autouse=True)
def types_that_zarr_may_change() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=zarr.errors.UnstableSpecificationWarning)
        warnings.filterwarnings("ignore", message=".*Zarr format 3 specification.*")
        yield


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", ARRAYS)
def test_zarr_reads_the_array_that_is_there(url: str, name: str, version: int) -> None:
    opened = zarr.open_array(store(url, f"v{version}/{name}"), mode="r", zarr_format=version)
    expected = ARRAYS[name].read()
    assert (opened.shape, opened.dtype.newbyteorder("=")) == (expected.shape, expected.dtype.newbyteorder("="))
    found = np.asarray(opened[...])
    if expected.dtype.names:
        assert found.tolist() == expected.tolist()
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_reads_parts_of_an_array(url: str, version: int) -> None:
    grid = zarr.open_array(store(url, f"v{version}/grid"), mode="r", zarr_format=version)
    assert grid.chunks == (3, 2)
    np.testing.assert_array_equal(grid[5:, 3:], GRID[5:, 3:])
    np.testing.assert_array_equal(grid[::2, 1], GRID[::2, 1])
    assert grid.attrs.asdict() == {"color": "red", "bad": None}


@pytest.mark.parametrize("version", [2, 3])
def test_containers_and_tables_are_groups(url: str, version: int) -> None:
    opened = zarr.open_group(store(url, f"v{version}"), mode="r", zarr_format=version)
    assert opened.attrs.asdict() == {"title": "everything"}
    np.testing.assert_array_equal(opened["inner/deep/one"][...], np.arange(3))
    inner = zarr.open_group(store(url, f"v{version}/inner"), mode="r", zarr_format=version)
    assert sorted(inner) == ["a b", "deep"]
    np.testing.assert_array_equal(inner["a b"][...], np.arange(2))
    table = zarr.open_group(store(url, f"v{version}/table"), mode="r", zarr_format=version)
    assert (sorted(table), table.attrs.asdict()) == (["name", "x"], {"level": 1})
    assert table["x"][...].tolist() == [1, 2, 3]
    assert table["name"][...].tolist() == ["a", "b", "c"]
    many = zarr.open_group(store(url, f"v{version}/many"), mode="r", zarr_format=version)
    assert many["k5"][...].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("version", [2, 3])
def test_xarray_opens_a_dataset(url: str, version: int) -> None:
    node = tree().get("dataset")
    opened = xr.open_zarr(store(url, f"v{version}/dataset"), zarr_format=version, chunks=None).load()
    assert opened.attrs == {"scan": 5}
    assert set(opened.coords) == {"t", "w", "x"}
    assert opened["img"].attrs == {"units": "counts"}
    assert node is not None
    for name in ("img", "n", "t", "w", "x"):
        np.testing.assert_array_equal(opened[name].values, node.get(name).read())


def test_only_who_has_the_key_reads(url: str) -> None:
    assert get(f"{url}/zarr/v3/grid/zarr.json").status_code == 401
    assert get(f"{url}/zarr/v3/grid/zarr.json?api_key=secret").json()["node_type"] == "array"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("v2/grid/.zgroup", 404),
        ("v2/grid/zarr.json", 404),
        ("v2/grid/0", 404),
        ("v2/grid/3.0", 404),
        ("v2/grid/0.-1", 404),
        ("v2/grid/0.0.0", 404),
        ("v2/grid/0/0", 404),
        ("v2/grid", 404),
        ("v2/inner/.zarray", 404),
        ("v2/many/.zmetadata", 404),
        ("v2/nothing/.zarray", 404),
        ("v2/sparse/.zarray", 404),
        ("v2/sparse/.zattrs", 404),
        ("v2/fields/.zarray", 400),
        ("v3/fields/zarr.json", 400),
        ("v3/fields/c/0", 400),
        ("v3/grid/c/0", 404),
        ("v3/grid/c/3/0", 404),
        ("v3/grid/c/x/0", 404),
        ("v3/grid/0.0", 404),
        ("v3/empty/c/0/0", 404),
        ("v3/ragged/zarr.json", 404),
        ("v3/table/name/c/1", 404),
        ("v3/", 404),
        ("v4/grid/zarr.json", 404),
    ],
)
def test_what_is_not_there_is_said_so(path: str, status: int) -> None:
    reply = caller(tree()).get(f"/zarr/{path}")
    assert (reply.status_code, bool(reply.json()["detail"])) == (status, True), reply.text


class Gone(MapNode):
    """A container that cannot be looked into."""

    def count(self) -> int:
        raise MissingFile("the file is gone")


def test_a_group_with_something_broken_in_it_tells_of_itself_alone() -> None:
    client = caller(MapNode({"a": ArrayData(np.arange(2)), "gone": Gone({})}, metadata={"title": "x"}))
    assert client.get("/zarr/v3/zarr.json").json() == {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"title": "x"},
    }
    assert client.get("/zarr/v2/.zmetadata").status_code == 404
    assert client.get("/zarr/v3/a/c/0").content == np.arange(2).tobytes()


def test_a_chunk_that_is_too_large_is_refused() -> None:
    client = caller(MapNode({"a": ArrayData(np.zeros(100))}), settings=Settings(most_reply_bytes=79))
    assert client.get("/zarr/v3/a/c/0").status_code == 413


def test_blocks_that_are_very_large_are_smaller_chunks() -> None:
    structure = ArrayStructure.from_json(
        {
            "data_type": {"endianness": "little", "kind": "f", "itemsize": 8, "dt_units": None},
            "shape": [1 << 16, 1 << 10],
            "chunks": [[1 << 16], [1 << 10]],
        }
    )
    assert np.prod(chunk_shape(structure)) * 8 <= 64 << 20


@given(shape=st.lists(st.integers(0, 7), max_size=3), data=st.data())
def test_chunks_make_up_the_array(shape: list[int], data: st.DataObject) -> None:
    def cut(length: int) -> tuple[int, ...]:
        ends = sorted(data.draw(st.sets(st.integers(1, length - 1)))) if length > 1 else []
        return tuple(int(n) for n in np.diff([0, *ends, length]))

    array = np.arange(int(np.prod(shape))).reshape(shape)
    structure = ArrayStructure.from_array(array, chunks=tuple(map(cut, shape)))
    lengths = chunk_shape(structure)
    found = np.full([-(-whole // length) * length for whole, length in zip(shape, lengths, strict=True)], -1)
    for chunk in product(*(range(-(-whole // length)) for whole, length in zip(shape, lengths, strict=True))):
        box = boxed(structure, chunk)
        assert box is not None
        whole = tuple(slice(n * length, (n + 1) * length) for n, length in zip(chunk, lengths, strict=True))
        found[whole] = padded(array[box], lengths)
    np.testing.assert_array_equal(found[tuple(map(slice, shape))], array)
    assert boxed(structure, (0,) * (len(shape) + 1)) is None


def test_records_have_a_word_for_an_element_of_zeros() -> None:
    said = caller(tree()).get("/zarr/v3/records/zarr.json").json()
    assert said["codecs"] == [{"name": "bytes", "configuration": {"endian": "little"}}]
    assert base64.b64decode(said["fill_value"]) == bytes(20)


class Counted(ArrayData):
    """An array that says its version, and counts how often it is read."""

    version = "first"
    readings = 0

    def read(self, slices: Any = ()) -> np.ndarray:
        self.readings += 1
        return super().read(slices)


@pytest.mark.parametrize("path", ["v2/grid/1.0", "v3/grid/c/1/0"])
def test_a_chunk_is_not_read_for_who_has_it(path: str) -> None:
    node = Counted(GRID, chunks=((3, 3, 1), (5,)))
    client = caller(MapNode({"grid": node}))
    reply = client.get(f"/zarr/{path}")
    tag = reply.headers["etag"]
    assert reply.content == GRID[3:6].tobytes()
    assert node.readings == 1
    for header in (tag, f'"other", W/{tag}', "*"):
        known = client.get(f"/zarr/{path}", headers={"If-None-Match": header})
        assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", tag)
    assert node.readings == 1
    assert client.get(f"/zarr/{path}", headers={"If-None-Match": '"other"'}).content == reply.content
    other = path.replace("1", "0")
    assert client.get(f"/zarr/{other}").headers["etag"] != tag
    node.version = "second"
    changed = client.get(f"/zarr/{path}", headers={"If-None-Match": tag})
    assert (changed.status_code, changed.headers["etag"] != tag) == (200, True)


def test_a_chunk_of_what_says_no_version_has_no_tag() -> None:
    client = caller(tree())
    assert "etag" not in client.get("/zarr/v2/grid/0.0").headers
    assert client.get("/zarr/v2/grid/0.0", headers={"If-None-Match": "*"}).status_code == 200


@pytest.mark.parametrize("path", ["v2/inner/.zmetadata", "v2/grid/.zarray", "v2/grid/.zattrs", "v3/grid/zarr.json"])
def test_what_describes_a_store_is_known_again(path: str) -> None:
    client = caller(tree())
    tag = client.get(f"/zarr/{path}").headers["etag"]
    assert client.get(f"/zarr/{path}", headers={"If-None-Match": tag}).status_code == 304


def test_parts_of_what_is_in_a_store_are_sent() -> None:
    client = caller(MapNode({"grid": Counted(GRID, chunks=((3, 3, 1), (5,)))}))
    for path in ("v3/grid/c/0/0", "v3/grid/zarr.json"):
        whole = client.get(f"/zarr/{path}")
        assert whole.headers["accept-ranges"] == "bytes"
        size, tag = len(whole.content), whole.headers["etag"]
        part = client.get(f"/zarr/{path}", headers={"Range": "bytes=8-23"})
        assert (part.status_code, part.content) == (206, whole.content[8:24])
        assert part.headers["content-range"] == f"bytes 8-23/{size}"
        assert part.headers["etag"] == tag
        assert client.get(f"/zarr/{path}", headers={"Range": "bytes=-5"}).content == whole.content[-5:]
        beyond = client.get(f"/zarr/{path}", headers={"Range": f"bytes={size}-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
        for known, status in ((tag, 206), ('"other"', 200)):
            asked = {"Range": "bytes=0-3", "If-Range": known}
            assert client.get(f"/zarr/{path}", headers=asked).status_code == status
        head = client.request("HEAD", f"/zarr/{path}")
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(size))
        assert head.headers["etag"] == tag


def test_the_store_of_zarr_gets_the_bytes_that_it_asks_for(url: str) -> None:
    opened, octets = store(url, "v3/grid"), np.ascontiguousarray(GRID[:3, :2]).tobytes()
    wanted = {None: octets, RangeByteRequest(8, 24): octets[8:24], OffsetByteRequest(40): octets[40:]}
    for asked, expected in {**wanted, SuffixByteRequest(8): octets[-8:]}.items():
        assert sync(opened.get("c/0/0", default_buffer_prototype(), asked)).to_bytes() == expected
