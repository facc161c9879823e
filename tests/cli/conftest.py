"""A store with a few runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.testing import _runs as samples


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The folder of a store with three runs."""
    folder = tmp_path / "store"
    catalog = BlueskyEmbeddedCatalog(folder)
    for number in range(3):
        for name, doc in samples.scalars(4, uid=f"run-{number}", time=1.7e9 + number, scan_id=number):
            catalog.insert(name, doc)
    catalog.close()
    return folder
