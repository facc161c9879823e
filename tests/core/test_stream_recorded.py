"""Columns of runs that the real RunEngine records with ophyd-async's simulated detector, which writes real HDF5."""

from collections import defaultdict

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import h5py
import numpy as np
import pytest
from bluesky import RunEngine
from ophyd_async.core import StaticPathProvider, TriggerInfo, UUIDFilenameProvider, init_devices
from ophyd_async.sim import PatternGenerator, SimBlobDetector

from databroker_like.core._stream_assets import count_events, stream_column
from databroker_like.files._lazy import to_dask
from databroker_like.testing._lazy_arrays import open_files


class Recorded:
    """The documents of a run as they arrive, and columns made of those that came so far."""

    def __init__(self):
        self.documents = defaultdict(list)

    def __call__(self, name, doc):
        self.documents[name].append(doc)

    def column(self, key, **how):
        (descriptor,) = self.documents["descriptor"]
        return stream_column(
            key, descriptor["data_keys"][key], self.documents["stream_resource"], self.documents["stream_datum"], **how
        )

    def count(self, key):
        return count_events(key, self.documents["stream_resource"], self.documents["stream_datum"])


@pytest.fixture
def engine():
    made = RunEngine({}, call_returns_result=False)
    yield made
    made.loop.call_soon_threadsafe(made.loop.stop)
    made._th.join(300)
    made.loop.close()


@pytest.fixture
def detector(engine, tmp_path):
    with init_devices():
        # Its name is the variable's.
        det = SimBlobDetector(StaticPathProvider(UUIDFilenameProvider(), tmp_path), PatternGenerator())
    assert det.name == "det"
    return det


def expose(detector, events, frames):
    @bpp.stage_decorator([detector])
    @bpp.run_decorator()
    def plan():
        once = TriggerInfo(livetime=0.1, collections_per_event=frames)
        yield from bps.prepare(detector, once, wait=True)
        for _ in range(events):
            yield from bps.trigger_and_read([detector])

    return plan()


@pytest.mark.parametrize("frames", [1, 3])
def test_what_the_detector_wrote_is_what_the_columns_read(engine, detector, tmp_path, frames):
    recorded = Recorded()
    engine(expose(detector, 2, frames), recorded)
    (path,) = tmp_path.glob("*.h5")
    with h5py.File(path) as file:
        images, sums = file["entry/data/data"][:], file["entry/sum"][:]
    assert len(images) == 2 * frames
    image, total = recorded.column("det"), recorded.column("det-sum")
    assert recorded.count("det") == 2
    assert image.shape == (2, frames, 240, 320)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image[:], images.reshape(image.shape))
    np.testing.assert_array_equal(total[:], sums if frames == 1 else sums.reshape(2, frames))
    np.testing.assert_array_equal(to_dask(image)[-1].compute(scheduler="synchronous"), images[-frames:])
    assert open_files(tmp_path) == []


def test_a_run_can_be_read_while_the_detector_writes(engine, detector, tmp_path):
    recorded = Recorded()
    seen = []

    def look(name, doc):
        recorded(name, doc)
        if name == "event":
            seen.append((recorded.count("det"), recorded.column("det")[-1, 0].sum(), recorded.column("det-sum")[-1]))

    engine(expose(detector, 3, 1), look)
    assert [events for events, _, _ in seen] == [1, 2, 3]
    assert [int(image) for _, image, _ in seen] == [int(total) for _, _, total in seen]
    assert seen[0][1] > 0


def test_a_run_whose_files_moved_is_read_through_root_map(engine, detector, tmp_path):
    recorded = Recorded()
    engine(expose(detector, 1, 1), recorded)
    (path,) = tmp_path.glob("*.h5")
    (tmp_path / "archive").mkdir()
    path.rename(tmp_path / "archive" / path.name)
    found = recorded.column("det-sum", root_map={str(tmp_path): str(tmp_path / "archive")})
    assert found.shape == (1,)
    assert found[0] > 0
