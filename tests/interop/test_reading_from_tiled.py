"""Our client reads from the real tiled server, which runs in an environment of its own, over loopback."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from databroker_like import errors
from databroker_like import queries as q
from databroker_like.client import DESCENDING, from_uri
from tests.interop.tiled_server import clean_environment, tiled_python, tiled_server

ROOT = Path(__file__).parents[2]
SMALL = np.arange(12.0).reshape(4, 3)
LARGE = np.arange(6000000).reshape(3000, 2000)

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a tiled server with something of everything."""
    place = tmp_path_factory.mktemp("tiled")
    with tiled_server(place, "catalog", "--temp", "--api-key", "secret") as uri:
        fill = [str(tiled_python()), str(ROOT / "scripts" / "peers" / "fill_tiled.py"), uri, "secret"]
        subprocess.run(fill, cwd=place, env=clean_environment(), check=True, capture_output=True)
        yield uri


@pytest.fixture
def root(server: str) -> Iterator[Any]:
    client = from_uri(server, api_key="secret")
    yield client
    client.context.close()


@pytest.fixture
def lazy(server: str) -> Iterator[Any]:
    client = from_uri(f"{server}/api/v1/metadata/things?api_key=secret", "dask")
    yield client
    client.context.close()


@pytest.mark.parametrize("index", [(), 2, (..., 1), (slice(1, 3), 0), (slice(None, None, -1), slice(None, None, 2))])
def test_arrays_are_read_in_part(root: Any, index: Any) -> None:
    array = root["things", "small"]
    np.testing.assert_array_equal(array[index], SMALL[index])
    assert (array.dims, array.chunks) == (("y", "x"), ((4,), (3,)))
    assert dict(array.metadata) == {"color": "red", "n": 1}
    assert [spec.name for spec in array.specs] == ["demo"]


def test_large_arrays_are_read_whole_in_part_and_by_blocks(root: Any, lazy: Any) -> None:
    array = root["things/large"]
    np.testing.assert_array_equal(array.read(), LARGE)
    np.testing.assert_array_equal(array[5:2500:3, 1999:100:-7], LARGE[5:2500:3, 1999:100:-7])
    np.testing.assert_array_equal(array.read_block((1, 2)), LARGE[1000:2000, 1400:2000])
    assert int(lazy["large"].read().sum().compute()) == int(LARGE.sum())


def test_tables_are_read(root: Any, lazy: Any) -> None:
    table = root["things", "tab"]
    assert table.read().to_dict("list") == {"a": [1, 2, 3], "s": ["x", "y", "z"]}
    assert list(table.read(["s"]).columns) == ["s"]
    assert table["a"].read().tolist() == [1, 2, 3]
    assert lazy["tab"].read().compute()["s"].tolist() == ["x", "y", "z"]


def test_containers_are_listed_from_either_end(root: Any) -> None:
    keys, expected = root["many"].keys(), [f"k{n:03}" for n in range(12)]
    for part in (slice(2, 5), slice(-3, None), slice(-1, -4, -1), slice(None, None, 5), slice(1, -1)):
        assert keys[part] == expected[part]
    assert (keys[-1], len(keys), keys.page_size(5)[:]) == ("k011", 12, expected)
    assert list(reversed(keys)) == expected[::-1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (q.Key("n") > 9, [10, 11]),
        (q.Gte("n", 3) & q.Lt("n", 6), [3, 4, 5]),
        (q.In("n", [1, 2]), [1, 2]),
        (q.NotIn("n", list(range(2, 12))), [0, 1]),
        (q.Like("name", "sample 1%"), [1, 10, 11]),
        (q.KeysFilter(["k001"]), [1]),
        (q.Contains("tags", 3), [3]),
        (q.KeyPresent("nothing"), []),
        (q.FullText("sample"), list(range(12))),
        (q.StructureFamilyQuery("container"), list(range(12))),
        (q.SpecsQuery(["demo"]), []),
    ],
)
def test_searches_find_what_they_mean(root: Any, query: Any, found: list[int]) -> None:
    results = root["many"].search(query)
    assert results.keys()[:] == [f"k{n:03}" for n in found]
    assert len(results) == len(found)
    assert ("k004" in results) == (4 in found)


def test_containers_are_sorted_and_tallied(root: Any) -> None:
    assert root["many"].sort(("name", DESCENDING)).keys()[:2] == ["k009", "k008"]
    colors = root["things"].distinct("color", counts=True)["metadata"]["color"]
    assert {entry["value"]: entry["count"] for entry in colors} == {"red": 1, "blue": 2}


def test_exports_are_written_by_the_server(root: Any) -> None:
    into = io.BytesIO()
    root["things", "small"].export(into, format="csv", slice=(slice(0, 2), ...))
    assert into.getvalue() == b"0.0,1.0,2.0\n3.0,4.0,5.0\n"
    assert "text/csv" in root["things", "small"].formats


def test_refusals_are_told(root: Any, server: str) -> None:
    with pytest.raises(KeyError, match="there is no 'things/nothing'"):
        root["things/nothing"]
    with pytest.raises(errors.NotAuthenticated, match="wants an API key"):
        from_uri(server)
    with pytest.raises(errors.NotAuthenticated, match="refuses"):
        from_uri(server, api_key="wrong")
