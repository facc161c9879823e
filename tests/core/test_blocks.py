"""One chunk of one column at a time."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from databroker_like.core._run import BlueskyRun
from databroker_like.core._stream import PartitionIndexError
from databroker_like.errors import NoSuchColumn


class Counting:
    """Counts how often a getter is called."""

    def __init__(self, getter: Any) -> None:
        self.getter = getter
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.getter(*args, **kwargs)


def counted(recording: Any) -> tuple[BlueskyRun, Counting]:
    pages = Counting(recording.run.source.get_event_pages)
    return BlueskyRun.from_source(replace(recording.run.source, get_event_pages=pages)), pages


def test_blocks_are_the_chunks_of_to_dask(images: Any) -> None:
    stream = images.run.primary
    lazy = stream.to_dask()
    for key in ("img", "det"):
        for numbers in np.ndindex(lazy[key].data.numblocks):
            expected = lazy[key].data.blocks[numbers].compute()
            found = stream.read_partition((key, *numbers))
            assert found.dtype == expected.dtype
            assert found.tolist() == expected.tolist()
    assert stream.read_partition(("img", -1, 0, 0)).tolist() == lazy.img[3:4].values.tolist()
    assert stream.read_partition(("img", slice(1, 3), 0, 0)).shape == (2, 4, 6)
    assert stream.read_partition(("img", 2)).tolist() == lazy.img[2:3].values.tolist()
    assert stream.read_partition(("time", 0)).tolist() == [1.0, 2.0, 3.0, 4.0]


def test_a_complete_run_is_laid_out_once(images: Any) -> None:
    run, pages = counted(images)
    stream = run.primary
    for i in range(4):
        assert stream.read_partition(("img", i, 0, 0)).max() == i
    first = pages.calls
    for i in range(4):
        stream.read_partition(("img", i, 0, 0))
    assert pages.calls == first


def test_a_run_in_progress_shows_its_new_events(recording: Any) -> None:
    descriptor = recording.descriptor({"det": {"dtype": "number"}})
    stream = None
    for i in range(3):
        recording.event(descriptor, {"det": float(i)})
        stream = stream or recording.run.primary
        assert stream.read_partition(("det", 0)).tolist() == [float(n) for n in range(i + 1)]
    recording.stop()
    assert len(stream.read_partition(("det", 0))) == 3


def test_a_file_that_was_replaced_is_looked_at_anew(images: Any, tmp_path: Path, npy_handler: Any) -> None:
    class Whole(npy_handler):  # type: ignore[misc]
        def __call__(self, index: int) -> Any:
            return np.load(self.path)

    images.handlers["NPY"] = Whole
    path = tmp_path / "frame"
    stream = images.run.primary
    for shape in ((4, 6), (2, 3)):
        with open(path, "wb") as file:
            np.save(file, np.zeros(shape))
        os.utime(path, ns=(shape[0], shape[0]))
        with pytest.warns(UserWarning, match="declared") if shape == (2, 3) else contextlib.nullcontext():
            assert stream.read_partition(("img", 0, 0, 0)).shape == (1, *shape)


def test_another_handler_and_another_root_are_seen(images: Any, tmp_path: Path, npy_handler: Any) -> None:
    class Doubling(npy_handler):  # type: ignore[misc]
        def __call__(self, index: int) -> Any:
            return np.repeat(super().__call__(index) * 2, 2, axis=0)

    stream = images.run.primary
    assert stream.read_partition(("img", 1, 0, 0)).max() == 1
    stream._header.source.get_filler.handler_registry["NPY"] = Doubling
    with pytest.warns(UserWarning, match="declared"):
        found = stream.read_partition(("img", 1, 0, 0))
    assert found.shape == (1, 8, 6)
    assert found.max() == 2
    stream._header.source.get_filler.root_map[str(tmp_path)] = str(tmp_path / "nowhere")
    with pytest.warns(UserWarning, match="left out"), pytest.raises(NoSuchColumn):
        stream.read_partition(("img", 1, 0, 0))
    del stream._header.source.get_filler.root_map[str(tmp_path)]
    with pytest.warns(UserWarning, match="declared"):
        assert stream.read_partition(("img", 1, 0, 0)).max() == 2


def test_what_is_chosen_after_a_block_was_read_counts(images: Any) -> None:
    stream = images.run.primary
    assert stream.read_partition(("det", 0)).tolist() == [0.0, 1.0, 2.0, 3.0]
    stream.exclude = ["det"]
    with pytest.raises(NoSuchColumn):
        stream.read_partition(("det", 0))


@pytest.mark.parametrize("numbers", [(4, 0, 0), (-5, 0, 0), (0, 1, 0), (0, 0, 0, 0)])
def test_a_chunk_beyond_the_end_is_refused(images: Any, numbers: tuple[int, ...]) -> None:
    with pytest.raises(PartitionIndexError, match="no chunk"):
        images.run.primary.read_partition(("img", *numbers))


def test_several_descriptors_make_one_column(recording: Any) -> None:
    for start in (0, 2):
        descriptor = recording.descriptor({"det": {"dtype": "number"}})
        for i in (start, start + 1):
            recording.event(descriptor, {"det": float(i)}, time=float(i))
    recording.stop()
    stream = recording.run.primary
    for _ in range(2):
        assert stream.read_partition(("det", 0)).tolist() == [0.0, 1.0]
        assert stream.read_partition(("det", 1)).tolist() == [2.0, 3.0]
