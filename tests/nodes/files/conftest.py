"""For these tests a file is new for longer than a busy machine may take between two lines of a test."""

from __future__ import annotations

import pytest

from databroker_like.nodes.files import _folder, _place


@pytest.fixture(autouse=True)
def _new_for_half_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_place, _folder):
        monkeypatch.setattr(module, "SETTLED_NANOSECONDS", 1800 * 10**9)
