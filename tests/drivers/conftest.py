"""What the tests of the drivers share."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from databroker_like.drivers._parsed import PARSED

Documents = list[tuple[str, dict[str, Any]]]


@pytest.fixture(autouse=True)
def _caches_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Each test begins with nothing decoded and nothing indexed."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    PARSED.clear()
    yield cache
    PARSED.clear()


@pytest.fixture
def cache(_caches_of_its_own: Path) -> Path:
    return _caches_of_its_own / "databroker-like"


@pytest.fixture
def write_lines() -> Callable[[Path, Documents], Path]:
    def write(path: Path, documents: Documents) -> Path:
        path.write_text("".join(json.dumps(pair) + "\n" for pair in documents))
        return path

    return write


@pytest.fixture
def settle() -> Callable[[Path], None]:
    """Make files look as if they had been written a while ago."""

    def old(folder: Path) -> None:
        for path in folder.iterdir():
            os.utime(path, ns=(time.time_ns(), time.time_ns() - 10**10))
        time.sleep(0.03)  # the time of the last status change cannot be set

    return old
