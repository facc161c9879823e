"""The contract runs over a service, on loopback, of an embedded store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from databroker_like.client.remote import BlueskyRemoteCatalog
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.nodes import MapNode, Node
from databroker_like.nodes.runs import RunsNode
from databroker_like.testing import DriverContract
from databroker_like.tree import build_app
from databroker_like.v2 import Broker
from tests.contracts.test_embedded_keeps_the_contract import record
from tests.support.loopback import listening

pytestmark = pytest.mark.slow

Documents = list[tuple[str, dict[str, Any]]]


class _Shelf(MapNode):
    """A container to which catalogs are added while it is served."""

    def __init__(self) -> None:
        super().__init__({})
        self.catalogs: dict[str, BlueskyEmbeddedCatalog] = {}

    def get(self, key: str) -> Node | None:
        return RunsNode(self.catalogs[key]) if key in self.catalogs else None


@pytest.fixture(scope="module")
def _service() -> Iterator[tuple[str, _Shelf]]:
    shelf = _Shelf()
    with listening(build_app(shelf, api_key="secret")) as url:
        yield f"{url}/api/v1/metadata", shelf
    for catalog in shelf.catalogs.values():
        catalog.close()


class TestRemote(DriverContract):
    records = False

    @pytest.fixture(autouse=True)
    def _of_this_service(self, _service: tuple[str, _Shelf]) -> None:
        type(self).url, type(self).shelf = _service

    url: str
    shelf: _Shelf

    def make_catalog(self, folder: Path, runs: Iterable[Documents]) -> Broker:
        served = BlueskyEmbeddedCatalog(folder)
        for run in runs:
            record(served, run)
        key = f"c{len(self.shelf.catalogs)}"
        self.shelf.catalogs[key] = served
        return BlueskyRemoteCatalog(f"{self.url}/{key}", api_key="secret")

    def add_run(self, catalog: Broker, folder: Path, run: Documents) -> None:
        another = BlueskyEmbeddedCatalog(folder)
        record(another, run)
        another.close()
