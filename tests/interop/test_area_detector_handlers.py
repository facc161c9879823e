"""The real area-detector-handlers and ophyd packages beside our own handlers: the same files, the same arrays."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from area_detector_handlers.handlers import (
    AreaDetectorHDF5Handler,
    AreaDetectorTiffHandler,
    HDF5DatasetSliceHandlerPureNumpy,
)
from ophyd.sim import NumpySeqHandler

from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like_handlers.hdf5 import AreaDetectorHDF5Handler as OurHDF5Handler
from databroker_like_handlers.tiff import AreaDetectorTiffHandler as OurTiffHandler

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
ROOT_MAP = {"/recorded/external": str(DATA / "external")}


def read(handlers: dict[str, Any] | None, run: str) -> Any:
    catalog = BlueskyJSONLCatalog(str(DATA / "runs" / f"{run}.jsonl"), handler_registry=handlers, root_map=ROOT_MAP)
    return catalog[-1].primary.read()


@pytest.mark.parametrize("run", ["hdf5_images", "hdf5_several_frames", "hdf5_ophyd_shape"])
@pytest.mark.parametrize(
    "theirs", [AreaDetectorHDF5Handler, partial(HDF5DatasetSliceHandlerPureNumpy, key="/entry/data/data")]
)
def test_hdf5_images_are_the_same_through_either_handler(run: str, theirs: Any) -> None:
    assert read({"AD_HDF5": theirs}, run).identical(read({"AD_HDF5": OurHDF5Handler}, run))


def test_npy_images_are_the_same_through_ophyds_handler_and_the_one_that_is_discovered() -> None:
    assert read({"NPY_SEQ": NumpySeqHandler}, "numpy_images").identical(read(None, "numpy_images"))


def test_tiff_images_are_the_same_through_either_handler(tmp_path: Path) -> None:
    for i in range(6):
        tifffile.imwrite(tmp_path / f"shot_{i:03d}.tif", np.arange(20, dtype="uint16").reshape(4, 5) + i)
    kwargs = {"template": "%s%s_%3.3d.tif", "filename": "shot", "frame_per_point": 2}
    theirs, ours = AreaDetectorTiffHandler(str(tmp_path), **kwargs), OurTiffHandler(str(tmp_path), **kwargs)
    for point in range(3):
        np.testing.assert_array_equal(np.asarray(ours(point_number=point)), theirs(point_number=point))
    points = [{"point_number": point} for point in range(3)]
    assert list(map(str, ours.get_file_list(points))) == list(map(str, theirs.get_file_list(points)))


def test_documents_are_filled_the_same_by_either_handler() -> None:
    def filled(handler: Any) -> list[Any]:
        path = str(DATA / "runs" / "hdf5_images.jsonl")
        catalog = BlueskyJSONLCatalog(path, handler_registry={"AD_HDF5": handler}, root_map=ROOT_MAP)
        pages = [doc for name, doc in catalog[-1].documents(fill="yes") if name == "event_page"]
        return [np.asarray(page["data"]["cam_image"][0]).tolist() for page in pages]

    assert filled(AreaDetectorHDF5Handler) == filled(OurHDF5Handler)
    with h5py.File(DATA / "external" / "hdf5" / "one_frame.h5", "r") as file:
        assert filled(OurHDF5Handler) == file["entry/data/data"][:][:, np.newaxis].tolist()


def test_the_recorded_file_says_which_frames_there_are() -> None:
    lines = (DATA / "runs" / "hdf5_images.jsonl").read_text(encoding="utf-8").splitlines()
    datums = [doc for name, doc in map(json.loads, lines) if name == "datum"]
    assert [datum["datum_kwargs"]["point_number"] for datum in datums] == [0, 1, 2]
