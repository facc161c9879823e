"""Every handler here keeps the contract."""

from __future__ import annotations

import os

import numpy as np
import pytest

from databroker_like.testing import HandlerCase, HandlerContract
from databroker_like_handlers import csv, hdf5, npy, spe, tiff

#: (6, 300, 300) uint16: a frame takes 180 kB.
FRAMES = np.arange(6 * 300 * 300, dtype="uint32").astype("uint16").reshape(6, 300, 300)
POINTS = [({"point_number": i}, FRAMES[2 * i : 2 * i + 2]) for i in range(3)]


class OpensNothingMeanwhile(HandlerContract):
    """A stricter rule of our own: no file stays open between readings, closed or not."""

    def test_holds_no_file_between_readings(self, case):
        handler = case.make()
        results = [handler(**kwargs) for kwargs, _ in case.datums]
        for result in results:
            _ = (result.shape, result[..., :1])
        here = {os.path.realpath(name) for name in case.files()}
        links = [f"/proc/self/fd/{entry}" for entry in os.listdir("/proc/self/fd")]
        assert not here & {os.readlink(link) for link in links if os.path.lexists(link)}


class TestAreaDetectorHDF5Handler(OpensNothingMeanwhile):
    @pytest.fixture(params=[hdf5.AreaDetectorHDF5Handler, hdf5.AreaDetectorHDF5SWMRHandler])
    def case(self, request, tmp_path):
        import h5py

        with h5py.File(tmp_path / "scan.h5", "w") as file:
            file.create_dataset("entry/data/data", data=FRAMES, chunks=(1, 300, 300), compression="gzip")
        return HandlerCase(request.param, tmp_path / "scan.h5", POINTS, {"frame_per_point": 2})


class TestAreaDetectorHDF5TimestampHandler(OpensNothingMeanwhile):
    @pytest.fixture(params=[hdf5.AreaDetectorHDF5TimestampHandler, hdf5.AreaDetectorHDF5SWMRTimestampHandler])
    def case(self, request, tmp_path):
        import h5py

        seconds = np.arange(40_000, dtype="uint32")
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            file["entry/instrument/NDAttributes/NDArrayEpicsTSSec"] = seconds
            file["entry/instrument/NDAttributes/NDArrayEpicsTSnSec"] = np.full(40_000, 500_000_000, dtype="uint32")
        datums = [({"point_number": i}, seconds[20_000 * i : 20_000 * (i + 1)] + 0.5) for i in range(2)]
        return HandlerCase(request.param, tmp_path / "scan.h5", datums, {"frame_per_point": 20_000})


class TestAreaDetectorHDF5SingleHandler(OpensNothingMeanwhile):
    @pytest.fixture
    def case(self, tmp_path):
        import h5py

        for i, frame in enumerate(FRAMES):
            with h5py.File(tmp_path / f"img_{i:06d}.h5", "w") as file:
                file["entry/data/data"] = frame
        kwargs = {"template": "%s%s_%6.6d.h5", "filename": "img", "frame_per_point": 2}
        return HandlerCase(hdf5.AreaDetectorHDF5SingleHandler, tmp_path, POINTS, kwargs)


class TestAreaDetectorTiffHandler(OpensNothingMeanwhile):
    @pytest.fixture(params=[None, "zlib"])
    def case(self, request, tmp_path):
        import tifffile

        for i, frame in enumerate(FRAMES):
            tifffile.imwrite(tmp_path / f"img_{i:06d}.tif", frame, compression=request.param)
        kwargs = {"template": "%s%s_%6.6d.tif", "filename": "img", "frame_per_point": 2}
        return HandlerCase(tiff.AreaDetectorTiffHandler, tmp_path, POINTS, kwargs)


class TestAreaDetectorSPEHandler(OpensNothingMeanwhile):
    @pytest.fixture
    def case(self, tmp_path, spe_bytes):
        for i in range(3):
            (tmp_path / f"img_{i}.spe").write_bytes(spe_bytes(FRAMES[2 * i : 2 * i + 2], 3))
        kwargs = {"template": "%s%s_%d.spe", "filename": "img", "frame_per_point": 2}
        return HandlerCase(spe.AreaDetectorSPEHandler, tmp_path, POINTS, kwargs)


class TestNumpySeqHandler(OpensNothingMeanwhile):
    @pytest.fixture
    def case(self, tmp_path):
        for i, frame in enumerate(FRAMES):
            np.save(tmp_path / f"seq_{i}.npy", frame)
        datums = [({"index": i}, frame) for i, frame in enumerate(FRAMES)]
        return HandlerCase(npy.NumpySeqHandler, tmp_path / "seq", datums)


class TestCSVHandler(OpensNothingMeanwhile):
    @pytest.fixture
    def case(self, tmp_path):
        values = np.arange(2 * 20_000).reshape(20_000, 2)
        np.savetxt(tmp_path / "table.csv", values, fmt="%d", delimiter=",", header="x,y", comments="")
        datums = [({"column": "x"}, values[:, 0]), ({"column": 1}, values[:, 1]), ({}, values)]
        return HandlerCase(csv.CSVHandler, tmp_path / "table.csv", datums)

    def test_reads_nothing_before_it_is_asked(self, case):
        """The type of a column is known when it was parsed; being made and called still needs no file at all."""
        os.remove(case.path)
        result = case.make()(column="x")
        with pytest.raises(FileNotFoundError, match=r"table\.csv"):
            _ = result.shape
