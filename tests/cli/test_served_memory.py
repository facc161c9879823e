"""What a server has read and sent, it gives back."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.serving import PATIENCE, get, memory_of, serving

#: What a server may hold then.
_MOST = 300 << 20


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is looked up in /proc, and given back by the C library")
def test_after_a_hundred_megabytes_little_memory_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    values = np.random.default_rng(1).random((500_000, 10))
    pd.DataFrame(values, columns=list("abcdefghij")).to_parquet(folder / "table.parquet")
    np.save(folder / "array.npy", values)
    with serving(folder, tmp_path, "--public") as server:
        read = 0
        for route in ("array/full/array", "table/partition/table?partition=0", "array/full/array"):
            read += len(get(f"{server.url}/api/v1/{route}").content)
        assert read > 80e6
        until = time.monotonic() + PATIENCE
        while memory_of(server.process.pid) > _MOST and time.monotonic() < until:
            time.sleep(0.5)
        assert memory_of(server.process.pid) < _MOST
