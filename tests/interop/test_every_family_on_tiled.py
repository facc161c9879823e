"""Our client reads data of every family from the real tiled server, which runs in an environment of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from databroker_like.client import from_uri
from tests.client.every_family import EveryFamily
from tests.interop.tiled_server import ROOT, clean_environment, tiled_python, tiled_server

# A server of tiled takes its time to begin and to be filled where others are at work.
pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a tiled server with something of everything."""
    place = tmp_path_factory.mktemp("tiled")
    with tiled_server(place, "catalog", "--temp", "--api-key", "secret") as uri:
        fill = [str(tiled_python()), str(ROOT / "scripts" / "peers" / "fill_tiled_families.py"), uri, "secret"]
        subprocess.run(fill, cwd=place, env=clean_environment(), check=True, capture_output=True)
        yield uri


class TestTiled(EveryFamily):
    @pytest.fixture
    def kinds(self, server: str) -> Iterator[Any]:
        client = from_uri(f"{server}/api/v1/metadata/kinds", api_key="secret")
        yield client
        client.context.close()

    @pytest.fixture
    def lazy(self, server: str) -> Iterator[Any]:
        client = from_uri(f"{server}/api/v1/metadata/kinds", "dask", api_key="secret")
        yield client
        client.context.close()

    def test_what_metadata_was_before(self, kinds: Any) -> None:
        revisions = kinds["deep", "one"].metadata_revisions
        assert [r["attributes"]["metadata"]["color"] for r in revisions] == ["red", "green"]
        assert (revisions[0]["revision_number"], revisions[-1]["revision_number"], len(revisions)) == (1, 2, 2)
        assert revisions[:1] == [revisions[0]]

    def test_the_files_behind_data(self, kinds: Any) -> None:
        held: dict[str, Any] = {}
        assert kinds["tab"].raw_export(held, compression=False) == ["partition-0.parquet"]
        assert held["partition-0.parquet"].read(4) == b"PAR1"
        node = kinds["moments"]
        ((_, inside),) = node.asset_manifest(node.data_sources()).items()
        assert sorted(inside or ()) == ["c/0", "zarr.json"]
        assert sorted(node.raw_export(held)) == ["c/0", "zarr.json"]
        assert node.data_sources()[0].mimetype == "application/x-zarr"
