"""Streams whose data detectors wrote to files of their own: stream_resource and stream_datum documents."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

h5py = pytest.importorskip("h5py")

FRAMES = {"dtype": "array", "shape": [4, 6], "dtype_numpy": "<u2", "external": "STREAM:"}


def announce(recording: Any, descriptor: str, key: str, path: Path, *ranges: tuple[int, int]) -> None:
    """The documents of a detector that writes the dataset ``/frames`` of a file."""
    uid = f"{key}-file"
    if uid not in recording.cache.stream_resources:
        recording.cache(
            "stream_resource",
            {
                "uid": uid,
                "data_key": key,
                "mimetype": "application/x-hdf5",
                "uri": f"file://localhost{path}",
                "parameters": {"dataset": "/frames"},
                "run_start": recording.uid,
            },
        )
    for start, stop in ranges:
        recording.cache(
            "stream_datum",
            {
                "uid": f"{uid}/{start}",
                "stream_resource": uid,
                "descriptor": descriptor,
                "indices": {"start": start, "stop": stop},
                "seq_nums": {"start": start + 1, "stop": stop + 1},
            },
        )


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    path = tmp_path / "frames.h5"
    with h5py.File(path, "w") as file:
        file["frames"] = np.arange(5 * 24, dtype="uint16").reshape(5, 4, 6)
    return path


def test_a_stream_beside_events_has_their_times(recording: Any, frames: Path) -> None:
    descriptor = recording.descriptor({"det": {"dtype": "number"}, "img": FRAMES})
    for i in range(5):
        recording.event(descriptor, {"det": float(i)})
    announce(recording, descriptor, "img", frames, (0, 2), (2, 5))
    recording.stop()
    stream = recording.run.primary
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = stream.read()
        lazy = stream.to_dask()
    assert list(dataset) == ["det", "img"]
    assert dataset.img.dtype == "uint16"
    assert dataset.img.values[:, 0, 0].tolist() == [0, 24, 48, 72, 96]
    assert dataset.img.attrs == {"object": "img_device"}
    xr.testing.assert_identical(pickle.loads(pickle.dumps(lazy)).compute(), dataset)
    assert list(stream.timestamps.read()) == ["det"]


def test_a_stream_without_events_has_as_many_rows_as_were_announced_and_no_times(recording: Any, frames: Path) -> None:
    descriptor = recording.descriptor({"img": FRAMES}, name="fly")
    announce(recording, descriptor, "img", frames, (0, 3))
    stream = recording.run.fly
    assert stream.read().img.shape == (3, 4, 6)
    assert "time" not in stream.read().coords
    announce(recording, descriptor, "img", frames, (3, 5))
    assert stream.to_dask().img.shape == (5, 4, 6)


def test_only_rows_that_all_columns_have_are_given(recording: Any, frames: Path) -> None:
    descriptor = recording.descriptor({"det": {"dtype": "number"}, "img": FRAMES})
    for i in range(5):
        recording.event(descriptor, {"det": float(i)})
    announce(recording, descriptor, "img", frames, (0, 3))
    stream = recording.run.primary
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a detector may lag behind while the run goes on
        assert dict(stream.read().sizes) == {"time": 3, "dim_0": 4, "dim_1": 6}
    recording.stop()
    with pytest.warns(UserWarning, match="different numbers of rows \\('events' 5, 'img' 3\\)"):
        assert stream.to_dask().sizes["time"] == 3


def test_a_column_that_nothing_was_announced_for_is_left_out(recording: Any) -> None:
    descriptor = recording.descriptor({"det": {"dtype": "number"}, "img": FRAMES})
    assert recording.run.primary.read().img.shape == (0, 4, 6)
    recording.event(descriptor, {"det": 1.0})
    with pytest.warns(UserWarning, match="'img' is left out; no stream_datum document"):
        assert list(recording.run.primary.read()) == ["det"]
    with pytest.raises(KeyError, match="no stream_datum"):
        recording.run.primary(include=["img"]).read()


def test_a_missing_file_costs_only_its_column_and_root_map_finds_it(recording: Any, frames: Path) -> None:
    descriptor = recording.descriptor({"det": {"dtype": "number"}, "img": FRAMES})
    recording.event(descriptor, {"det": 1.0})
    announce(recording, descriptor, "img", Path("/recorded/frames.h5"), (0, 1))
    stream = recording.run.primary
    for reading in (stream.read, stream.to_dask):
        with pytest.warns(UserWarning, match="'img' is left out; there is no file '/recorded/frames.h5'"):
            assert list(reading()) == ["det"]
    with pytest.raises(FileNotFoundError):
        stream(include=["img"]).read()
    recording.root_map["/recorded"] = str(frames.parent)
    assert stream.read().img.shape == (1, 4, 6)


def test_a_wrong_declared_shape_is_told_once(recording: Any, frames: Path) -> None:
    descriptor = recording.descriptor({"img": {**FRAMES, "shape": [9, 9]}})
    announce(recording, descriptor, "img", frames, (0, 5))
    with pytest.warns(UserWarning, match="'img'") as caught:
        assert recording.run.primary.read().img.shape == (5, 4, 6)
    assert len(caught) == 1


def test_documents_hold_the_announcements_before_the_events(recording: Any, frames: Path) -> None:
    descriptor = recording.descriptor({"det": {"dtype": "number"}, "img": FRAMES})
    recording.event(descriptor, {"det": 1.0})
    announce(recording, descriptor, "img", frames, (0, 1))
    recording.stop()
    for fill in ("yes", "no", "delayed"):
        assert [name for name, _ in recording.run.documents(fill=fill)] == [
            "start",
            "descriptor",
            "stream_resource",
            "stream_datum",
            "event_page",
            "stop",
        ]


@pytest.mark.parametrize("external", [True, False])
@pytest.mark.parametrize("dtype", ["number", "integer"])
def test_a_number_declared_as_a_row_of_one_is_no_wrong_declaration(
    recording: Any, tmp_path: Path, dtype: str, external: bool
) -> None:
    data_key = {"dtype": dtype, "shape": [1], **({"external": "STREAM:"} if external else {})}
    descriptor = recording.descriptor({"total": data_key})
    path = tmp_path / "total.h5"
    with h5py.File(path, "w") as file:
        file["frames"] = np.arange(3)
    if external:
        announce(recording, descriptor, "total", path, (0, 3))
    for i in range(3):
        recording.event(descriptor, {} if external else {"total": i})
    recording.stop()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for dataset in (recording.run.primary.read(), recording.run.primary.to_dask()):
            assert dataset["total"].dims == ("time",)
            assert dataset["total"].values.tolist() == [0, 1, 2]


def test_an_array_declared_as_a_row_of_one_is_a_wrong_declaration_of_a_number(recording: Any) -> None:
    descriptor = recording.descriptor({"total": {"dtype": "array", "shape": [1]}})
    recording.event(descriptor, {"total": 1.0})
    with pytest.warns(UserWarning, match="declared with shape"):
        recording.run.primary.read()
