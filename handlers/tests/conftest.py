"""Files as area detectors write them."""

from __future__ import annotations

import struct

import numpy as np
import pytest

#: Number of the element type in an SPE header -> the type.
SPE_TYPES = {0: "<f4", 1: "<i4", 2: "<i2", 3: "<u2"}


def _spe_bytes(frames, data_type):
    """An SPE file of (frames, y, x), with the header entries that readers look at."""
    frames = np.asarray(frames)
    header = bytearray(4100)
    struct.pack_into("<10s", header, 20, b"01Jan2024")
    struct.pack_into("<7s", header, 172, b"120000")
    struct.pack_into("<H", header, 42, frames.shape[2])
    struct.pack_into("<H", header, 656, frames.shape[1])
    struct.pack_into("<h", header, 108, data_type)
    struct.pack_into("<I", header, 1446, frames.shape[0])
    return bytes(header) + frames.astype(SPE_TYPES[data_type]).tobytes()


@pytest.fixture
def spe_bytes():
    """``spe_bytes(frames, data_type)``: the content of an SPE file."""
    return _spe_bytes


@pytest.fixture
def frames():
    """(12, 5, 7) uint16, every element another."""
    return np.arange(12 * 5 * 7, dtype="uint16").reshape(12, 5, 7)


@pytest.fixture
def hdf5_file(tmp_path, frames):
    """An area detector's HDF5 file with 12 frames and their times."""
    import h5py

    path = tmp_path / "scan.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("entry/data/data", data=frames, chunks=(1, 5, 7))
        times = file.create_group("entry/instrument/NDAttributes")
        times["NDArrayEpicsTSSec"] = np.arange(1000, 1012, dtype="uint32")
        times["NDArrayEpicsTSnSec"] = np.arange(12, dtype="uint32") * 1_000_000
    return str(path)


@pytest.fixture
def numbered(tmp_path, frames):
    """A folder with img_000.tif, img_000.h5, img_000.spe, ... img_011; and pages_000.tif, ... of 3 pages each."""
    import h5py
    import tifffile

    for i, frame in enumerate(frames):
        tifffile.imwrite(tmp_path / f"img_{i:03d}.tif", frame)
        with h5py.File(tmp_path / f"img_{i:03d}.h5", "w") as file:
            file["entry/data/data"] = frame
        (tmp_path / f"img_{i:03d}.spe").write_bytes(_spe_bytes(frame[None], 3))
    for i in range(4):
        tifffile.imwrite(tmp_path / f"pages_{i:03d}.tif", frames[3 * i : 3 * i + 3], photometric="minisblack")
        (tmp_path / f"pages_{i:03d}.spe").write_bytes(_spe_bytes(frames[3 * i : 3 * i + 3], 3))
        np.save(tmp_path / f"seq_{i}.npy", frames[i])
    return str(tmp_path)
