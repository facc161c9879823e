"""Frames in HDF5 files: all of them into memory, and one lazily."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import FRAMES, camera_run, streamed_run
from benchmarks.measure import Row, best_of

__all__ = ["rows"]


def all_frames(path: Path) -> Any:
    """The anchor: h5py reads the dataset whole."""
    import h5py

    with h5py.File(path, "r") as file:
        return file["entry/data/data"][:]


def one_frame(path: Path) -> Any:
    """The anchor: h5py opens the file and reads one frame."""
    import h5py

    with h5py.File(path, "r") as file:
        return file["entry/data/data"][100]


class _OneFile:
    """What dask needs of an array, opened for each read: the least that reading lazily through dask costs."""

    shape, dtype, ndim = FRAMES, np.dtype("uint16"), 3

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getitem__(self, key: Any) -> Any:
        import h5py

        with h5py.File(self._path, "r") as file:
            return file["entry/data/data"][key]


def through_dask(path: Path) -> Any:
    """The floor of everything lazy: dask over h5py, and nothing of ours."""
    import dask.array as da

    return da.from_array(_OneFile(path), chunks=(1, *FRAMES[1:]), name=str(path), asarray=False, inline_array=True)


def rows(folder: Path, *, times: int = 5) -> Iterator[Row]:
    """The rows of the table that are about images."""
    from databroker_like.drivers.jsonl import BlueskyJSONLCatalog

    makers: dict[str, Callable[[Path], Path]] = {"resource/datum": camera_run, "stream_resource": streamed_run}
    for way, make in makers.items():
        path = make(folder / way.replace("/", "-"))
        images = path.with_name("images.h5")
        catalog = BlueskyJSONLCatalog(str(path))

        def read(catalog: Any = catalog) -> Any:
            return catalog[-1].primary.read()["img"].values

        assert (read()[:, 0].reshape(FRAMES) == all_frames(images)).all()
        anchor = best_of(times, all_frames, before=lambda images=images: images)  # type: ignore[misc]
        cost = best_of(times, read)
        yield Row(
            f"200 HDF5 frames of 512 x 512 uint16 into memory, {way}",
            cost / anchor,
            1.2,
            "times",
            f"{cost * 1e3:.0f} ms; h5py {anchor * 1e3:.0f} ms",
        )
        stream = catalog[-1].primary
        lazy = stream.to_dask()["img"]
        chunk = ("img", 100, *(0 for _ in lazy.shape[1:]))
        assert (stream.read_partition(chunk).reshape(FRAMES[1:]) == one_frame(images)).all()

        def many_frames(stream: Any = stream, chunk: tuple[Any, ...] = chunk) -> None:
            for _ in range(100):
                stream.read_partition(chunk)

        def many_through_xarray(lazy: Any = lazy) -> None:
            for _ in range(100):
                lazy[100].values

        def many_anchors(images: Path = images) -> None:
            for _ in range(100):
                one_frame(images)

        through = through_dask(images)

        def many_through_dask(array: Any = through) -> None:
            for _ in range(100):
                array[100].compute()

        anchor, cost = best_of(times, many_anchors) / 100, best_of(times, many_frames) / 100
        dask, xarray = best_of(times, many_through_dask) / 100, best_of(times, many_through_xarray) / 100
        yield Row(
            f"one HDF5 frame of 200 lazily, {way}",
            cost / anchor,
            2,
            "times",
            f"{cost * 1e3:.2f} ms by read_partition; h5py {anchor * 1e3:.2f} ms",
        )
        yield Row(
            f"one HDF5 frame of 200 by to_dask, {way}",
            xarray / dask,
            1.5,
            "times",
            f"{xarray * 1e3:.2f} ms; dask over h5py without us {dask * 1e3:.2f} ms, h5py {anchor * 1e3:.2f} ms",
        )
