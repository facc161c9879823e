"""A run of ophyd-async's simulated detector, which streams real HDF5, is read through stream_resource."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import h5py
import numpy as np
import pytest
from ophyd_async.core import StaticFilenameProvider, StaticPathProvider
from ophyd_async.sim import PatternGenerator, SimBlobDetector

from databroker_like.drivers.jsonl import BlueskyJSONLCatalog


@pytest.fixture
def detector(engine: Any, tmp_path: Path) -> SimBlobDetector:
    provider = StaticPathProvider(StaticFilenameProvider("blobs"), tmp_path)
    made = SimBlobDetector(provider, pattern_generator=PatternGenerator(), name="blob")
    asyncio.run_coroutine_threadsafe(made.connect(), engine.loop).result(300)
    return made


@pytest.mark.slow
def test_streamed_frames_and_scalars_are_what_the_file_holds(
    engine: Any, documents: Any, detector: SimBlobDetector, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    catalog = BlueskyJSONLCatalog(str(runs / "*.jsonl"))
    engine.subscribe(catalog.insert)

    def plan() -> Any:
        yield from bps.abs_set(detector.driver.acquire_period, 0.05) if hasattr(detector, "driver") else bps.null()
        yield from bp.count([detector], num=3)

    (uid,) = engine(plan())
    emitted = {name for name, _ in documents}
    assert {"stream_resource", "stream_datum"} <= emitted
    read = catalog[uid].primary.read()
    descriptor = next(doc for name, doc in documents if name == "descriptor")
    external = [key for key, data_key in descriptor["data_keys"].items() if "external" in data_key]
    assert "blob" in external
    resources = {doc["data_key"]: doc for name, doc in documents if name == "stream_resource"}
    for key in external:
        resource = resources[key]
        with h5py.File(resource["uri"].removeprefix("file://localhost"), "r") as file:
            stored = file[resource["parameters"]["dataset"]][:]
        assert read[key].sizes["time"] == 3
        np.testing.assert_array_equal(read[key].values.reshape(stored.shape), stored)
        assert read[key].dtype == stored.dtype
    lazy = catalog[uid].primary.to_dask()["blob"]
    assert lazy.dtype == read["blob"].dtype
    np.testing.assert_array_equal(lazy[1].values, read["blob"][1].values)
