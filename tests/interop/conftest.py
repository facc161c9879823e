"""Runs recorded on the spot by the real RunEngine, with ophyd's and ophyd-async's simulated devices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_model import NumpyEncoder


@pytest.fixture
def engine() -> Iterator[Any]:
    """A RunEngine, whose event loop ends with the test."""
    from bluesky import RunEngine

    made = RunEngine(context_managers=[])
    yield made
    made.loop.call_soon_threadsafe(made.loop.stop)
    made._th.join(300)
    made.loop.close()


@pytest.fixture
def documents(engine: Any) -> list[tuple[str, dict[str, Any]]]:
    """What the engine emitted, as it was emitted."""
    emitted: list[tuple[str, dict[str, Any]]] = []
    engine.subscribe(lambda name, doc: emitted.append((name, json.loads(json.dumps(doc, cls=NumpyEncoder)))))
    return emitted


@pytest.fixture
def img(tmp_path: Path) -> Any:
    """A simulated camera that writes .npy files, spec NPY_SEQ."""
    from ophyd.sim import SynSignalWithRegistry

    folder = tmp_path / "images"
    folder.mkdir()
    frames = iter(range(1000))
    return SynSignalWithRegistry(
        name="img", func=lambda: np.arange(6).reshape(2, 3) + 10 * next(frames), save_path=str(folder)
    )
