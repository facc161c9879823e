"""The arguments and the arrays are those of area-detector-handlers and of ophyd, whose own handlers are asked here."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databroker_like_handlers import hdf5, npy, spe, tiff

theirs = pytest.importorskip("area_detector_handlers.handlers", reason="area-detector-handlers is not installed")

# Theirs for AD_HDF5_SWMR and AD_HDF5_SWMR_TS fail at the second point (they refresh what cannot be refreshed), so a
# new one is made for each point.
ONE_FILE = [
    ("AreaDetectorHDF5Handler", hdf5),
    ("AreaDetectorHDF5SWMRHandler", hdf5),
    ("AreaDetectorHDF5TimestampHandler", hdf5),
    ("AreaDetectorHDF5SWMRTimestampHandler", hdf5),
]
MANY_FILES = [
    ("AreaDetectorTiffHandler", tiff, "img", "tif", 1),
    ("AreaDetectorTiffHandler", tiff, "img", "tif", 3),
    ("AreaDetectorTiffHandler", tiff, "pages", "tif", 1),
    ("AreaDetectorTiffHandler", tiff, "pages", "tif", 2),
    ("AreaDetectorHDF5SingleHandler", hdf5, "img", "h5", 1),
    ("AreaDetectorHDF5SingleHandler", hdf5, "img", "h5", 4),
    ("AreaDetectorSPEHandler", spe, "img", "spe", 1),
    ("AreaDetectorSPEHandler", spe, "pages", "spe", 3),
]


def assert_same(ours, others):
    expected = np.asarray(others)
    assert (ours.shape, ours.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(np.asarray(ours), expected, strict=True)


def both(name, module, *args):
    with warnings.catch_warnings():
        # h5py tells them of ways of opening that they still use.
        warnings.simplefilter("ignore")
        return getattr(module, name)(*args), getattr(theirs, name)(*args)


@pytest.mark.parametrize("frame_per_point", [1, 3, 5])
@pytest.mark.parametrize(("name", "module"), ONE_FILE)
def test_frames_of_one_file(name, module, frame_per_point, hdf5_file):
    ours, _ = both(name, module, hdf5_file, frame_per_point)
    for point in range(12 // frame_per_point):
        _, other = both(name, module, hdf5_file, frame_per_point)
        assert_same(ours(point_number=point), other(point_number=point))
        assert ours.get_file_list([{"point_number": 0}]) == other.get_file_list([{"point_number": 0}])
        other.close()


def test_the_last_point_of_a_file_with_too_few_frames_has_what_there_is(hdf5_file):
    ours, other = both("AreaDetectorHDF5Handler", hdf5, hdf5_file, 5)
    assert ours(point_number=2).shape == (2, 5, 7)
    assert_same(ours(point_number=2), other(point_number=2))
    other.close()


@pytest.mark.parametrize(("name", "module", "filename", "suffix", "frame_per_point"), MANY_FILES)
def test_frames_of_numbered_files(name, module, filename, suffix, frame_per_point, numbered):
    ours, other = both(name, module, numbered, f"%s%s_%3.3d.{suffix}", filename, frame_per_point)
    points = [{"point_number": i} for i in range(2)]
    for point in points:
        assert_same(ours(**point), other(**point))
    assert ours.get_file_list(iter(points)) == other.get_file_list(iter(points))


def test_npy_files_of_ophyds_simulated_detectors(numbered):
    sim = pytest.importorskip("ophyd.sim", reason="ophyd is not installed")
    ours, other = npy.NumpySeqHandler(numbered + "/seq"), sim.NumpySeqHandler(numbered + "/seq")
    for i in range(4):
        assert_same(ours(index=i), other(index=i))
    keywords = [{"index": 2}, {"index": 0}]
    assert ours.get_file_list(keywords) == other.get_file_list(keywords)
    assert_same(npy.NumpySeqHandler("seq", numbered)(index=1), sim.NumpySeqHandler("seq", numbered)(index=1))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(*[st.integers(1, 4)] * 3), data_type=st.integers(0, 3), seed=st.integers(0, 2**16), data=st.data()
)
def test_spe_files_of_every_type_and_shape(tmp_path, spe_bytes, shape, data_type, seed, data):
    frames = np.random.default_rng(seed).integers(0, 30000, shape)
    (tmp_path / "a_000.spe").write_bytes(spe_bytes(frames, data_type))
    ours, other = both("AreaDetectorSPEHandler", spe, str(tmp_path), "%s%s_%3.3d.spe", "a", shape[0])
    assert_same(ours(point_number=0), other(point_number=0))
    one = data.draw(st.integers(0, shape[0] - 1))
    whole = spe.SPEArray(tmp_path / "a_000.spe")
    np.testing.assert_array_equal(whole[one, ::-1], frames[one, ::-1])
