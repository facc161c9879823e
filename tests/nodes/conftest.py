"""For these tests a source takes long only where they say so, and not because the machine is busy."""

from __future__ import annotations

import pytest

from databroker_like.nodes import _held_source


@pytest.fixture(autouse=True)
def _nothing_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PATIENCE", "SOON", "SLOW"):
        monkeypatch.setattr(_held_source, name, 300.0)
