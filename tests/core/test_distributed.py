"""What is lazy computes on other processes."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]


#: For so long processes of a busy machine may take to find each other.
_PATIENCE = "300s"


@pytest.fixture(autouse=True)
def _leaves_nothing_behind() -> Iterator[None]:
    """What a cluster leaves open is collected here, where nothing is said of it, and not in another test."""
    yield
    gc.collect()


@pytest.fixture
def filled(recording: Any, tmp_path: Path) -> Any:
    """A run whose images a handler with an entry point reads, and whose scalars make several chunks."""
    pytest.importorskip("databroker_like_handlers")
    descriptor = recording.descriptor(
        {"det": {"dtype": "number"}, "img": {"dtype": "array", "shape": [8, 8], "external": "FILESTORE:"}}
    )
    recording.handlers["NPY_SEQ"] = "databroker_like_handlers.npy.NumpySeqHandler"
    resource = recording.resource(tmp_path, "frame", spec="NPY_SEQ")
    for i in range(6):
        np.save(tmp_path / f"frame_{i}.npy", np.full((8, 8), i, dtype="uint16"))
        recording.event(descriptor, {"det": float(i), "img": recording.datum(resource, i)})
    recording.stop()
    return recording


def test_a_filled_image_stream_computes_on_a_cluster_of_processes(filled: Any) -> None:
    distributed = pytest.importorskip("distributed")
    lazy = filled.run.primary.to_dask()
    expected = filled.run.primary.read()
    with warnings.catch_warnings():
        # A cluster that starts, in a process with threads, says this on some interpreters.
        warnings.simplefilter("ignore", DeprecationWarning)
        with (
            dask.config.set({f"distributed.comm.timeouts.{name}": _PATIENCE for name in ("connect", "tcp")}),
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
            ) as cluster,
            distributed.Client(cluster, timeout=_PATIENCE) as client,
        ):
            pids = set(client.run(__import__("os").getpid).values())
            found = client.compute(lazy.img.data.sum(axis=(1, 2))).result()
            whole = lazy.compute()
    assert len(pids) == 2
    assert found.tolist() == [64 * i for i in range(6)]
    xr.testing.assert_identical(whole, expected)
