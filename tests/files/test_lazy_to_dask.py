"""Dask arrays made of lazy ones."""

import os
import subprocess
import sys
import time

import h5py
import numpy as np

from databroker_like.files._dask import chunk_shape
from databroker_like.files._lazy import MemoryArray, stack, to_dask, view
from databroker_like.files.hdf5 import HDF5Array


def write(path, shape, chunks=None, dtype="u2"):
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "data", shape=shape, chunks=chunks, maxshape=(None, *shape[1:]) if chunks else None, dtype=dtype
        )
    return HDF5Array(path, "data")


def test_images_have_the_chunks_of_the_file(tmp_path):
    frames = write(tmp_path / "a.h5", (10, 256, 512), (2, 256, 256))
    assert to_dask(frames).chunks == ((2,) * 5, (256,), (256, 256))


def test_small_chunks_are_widened_to_the_frame(tmp_path):
    frames = write(tmp_path / "a.h5", (10, 64, 64), (1, 8, 8))
    assert chunk_shape(frames) == (1, 64, 64)


def test_numbers_come_ten_thousand_or_more_at_once_and_in_whole_chunks_of_the_file(tmp_path):
    numbers = write(tmp_path / "a.h5", (50_000,), (1024,), "f8")
    assert chunk_shape(numbers) == (10_240,)
    assert chunk_shape(write(tmp_path / "b.h5", (7,), (1024,), "f8")) == (7,)
    assert chunk_shape(write(tmp_path / "c.h5", (50_000, 1), (1, 1), "f8")) == (10_000, 1)


def test_chunks_can_be_chosen(tmp_path):
    assert to_dask(write(tmp_path / "a.h5", (10, 4)), chunks=(5, 2)).chunks == ((5, 5), (2, 2))


def test_nothing_is_still_an_array():
    assert to_dask(MemoryArray(np.empty((0, 3), "u1"))).compute().shape == (0, 3)
    assert to_dask(MemoryArray(np.float32(2))).compute() == 2


def test_making_the_graph_does_not_grow_with_the_events(tmp_path):
    few = write(tmp_path / "few.h5", (100, 256, 256), (1, 256, 256))
    many = write(tmp_path / "many.h5", (100_000, 256, 256), (1, 256, 256))

    def seconds(array):
        best = np.inf
        for _ in range(3):
            start = time.process_time()
            made = to_dask(array)
            best = min(best, time.process_time() - start)
        assert sum(type(layer).__name__ == "MaterializedLayer" for layer in made.dask.layers.values()) == 0
        return best

    assert seconds(few) >= 0
    assert seconds(many) < 5


NAME = """
import sys
from databroker_like.files.hdf5 import HDF5Array
from databroker_like.files._lazy import to_dask, stack, view
array = HDF5Array(sys.argv[1], "data")
print(to_dask(stack([view(array, i) for i in range(3)])).name)
"""


def test_the_name_is_the_same_in_every_process(tmp_path):
    array = write(tmp_path / "a.h5", (5, 100, 400))
    names = {to_dask(stack([view(array, i) for i in range(3)])).name}
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-c", NAME, str(tmp_path / "a.h5")]
        names.add(subprocess.run(command, env=env, capture_output=True, check=True, text=True).stdout.strip())
    assert len(names) == 1
