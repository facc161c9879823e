"""A file that is missing, cut short or of another format is an error that names it."""

from __future__ import annotations

import numpy as np
import pytest

from databroker_like.errors import Invalid, InvalidFile, MissingFile
from databroker_like_handlers import csv, hdf5, npy, spe, tiff

NUMBERED = {
    "tif": tiff.AreaDetectorTiffHandler,
    "h5": hdf5.AreaDetectorHDF5SingleHandler,
    "spe": spe.AreaDetectorSPEHandler,
}


@pytest.mark.parametrize("suffix", NUMBERED)
@pytest.mark.parametrize("keep", [0, 10, 200, "half"])
def test_a_numbered_file_cut_short(numbered, tmp_path, suffix, keep):
    path = tmp_path / f"img_002.{suffix}"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2 if keep == "half" else keep])
    handler = NUMBERED[suffix](numbered, f"%s%s_%3.3d.{suffix}", "img")
    with pytest.raises(InvalidFile, match=rf"img_002\.{suffix}"):
        np.asarray(handler(point_number=2))
    assert np.asarray(handler(point_number=3)).shape[-2:] == (5, 7)


@pytest.mark.parametrize("suffix", NUMBERED)
def test_a_numbered_file_that_is_missing(numbered, suffix):
    handler = NUMBERED[suffix](numbered, f"%s%s_%3.3d.{suffix}", "img")
    with pytest.raises(MissingFile, match=rf"img_099\.{suffix}"):
        np.asarray(handler(point_number=99))


@pytest.mark.parametrize("handler_class", [hdf5.AreaDetectorHDF5Handler, hdf5.AreaDetectorHDF5TimestampHandler])
def test_points_beyond_the_end_of_a_file(handler_class, hdf5_file):
    with pytest.raises(InvalidFile, match=r"scan\.h5.* has 12 frames, and none from number 12 on"):
        np.asarray(handler_class(hdf5_file)(point_number=12))


def test_an_hdf5_file_without_frames_names_what_it_has(tmp_path):
    import h5py

    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["entry/data/dta"] = [1]
    with pytest.raises(InvalidFile, match="entry/data/dta"):
        np.asarray(hdf5.AreaDetectorHDF5Handler(tmp_path / "other.h5")(point_number=0))


def test_an_hdf5_file_that_grows_is_read_to_its_new_end(tmp_path, frames):
    import h5py

    with h5py.File(tmp_path / "live.h5", "w", libver="latest") as file:
        data = file.create_dataset("entry/data/data", data=frames[:4], maxshape=(None, 5, 7), chunks=(1, 5, 7))
        file.swmr_mode = True
        handler = hdf5.AreaDetectorHDF5SWMRHandler(str(tmp_path / "live.h5"))
        assert np.asarray(handler(point_number=3)).tolist() == frames[3:4].tolist()
        data.resize(6, axis=0)
        data[4:] = frames[4:6]
        data.flush()
        assert np.asarray(handler(point_number=5)).tolist() == frames[5:6].tolist()


def test_an_spe_file_with_another_number_of_frames(numbered):
    handler = spe.AreaDetectorSPEHandler(numbered, "%s%s_%3.3d.spe", "pages", 2)
    with pytest.raises(InvalidFile, match=r"pages_000\.spe' has 3 frames, and 2 were announced"):
        np.asarray(handler(point_number=0))


@pytest.mark.parametrize(("position", "value"), [(108, 4), (108, 255), (42, 0), (656, 0), (1446, 0)])
def test_an_spe_header_that_makes_no_sense(tmp_path, spe_bytes, position, value):
    content = bytearray(spe_bytes(np.ones((1, 2, 3)), 3))
    content[position] = value
    (tmp_path / "a_0.spe").write_bytes(content)
    with pytest.raises(InvalidFile, match="is it of another format"):
        np.asarray(spe.AreaDetectorSPEHandler(tmp_path, "%s%s_%d.spe", "a")(point_number=0))


def test_an_npy_file_with_pickled_objects_is_not_unpickled(tmp_path):
    np.save(tmp_path / "seq_0.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidFile, match="pickled objects are never loaded"):
        np.asarray(npy.NumpySeqHandler(tmp_path / "seq")(index=0))


def test_a_csv_file_without_the_column(tmp_path):
    (tmp_path / "a.csv").write_text("temperature,time\n1,2\n")
    with pytest.raises(InvalidFile, match="temperature"):
        np.asarray(csv.CSVHandler(tmp_path / "a.csv")(column="temprature"))


def test_csv_columns_and_values(tmp_path):
    (tmp_path / "a.csv").write_text("x,y,name\n1,0.5,a\n2,0.25,b\n")
    handler = csv.CSVHandler(tmp_path / "a.csv")
    assert np.asarray(handler(column="x")).tolist() == [1, 2]
    assert np.asarray(handler(column="y", row=1)) == 0.25
    assert np.asarray(handler(column="name")).tolist() == ["a", "b"]
    (tmp_path / "b.csv").write_text("1,2\n3,4\n")
    assert np.asarray(csv.CSVHandler(tmp_path / "b.csv", header=False)()).tolist() == [[1, 2], [3, 4]]


def test_a_template_without_three_places(numbered):
    handler = tiff.AreaDetectorTiffHandler(numbered, "%s_%d.tif", "img")
    with pytest.raises(Invalid, match="write it like"):
        handler(point_number=0)


def test_one_frame_of_many_is_read_alone(tmp_path):
    """Of fifty frames the one that is asked for is asked of HDF5, and none before."""
    import h5py

    from databroker_like.files import hdf5 as reader

    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("entry/data/data", data=np.ones((50, 64, 64), "uint16"), chunks=(1, 64, 64))
    read = []
    original = reader.HDF5Array._read

    def watched(self, handle, out, box):
        read.append(tuple(map(len, box)))
        original(self, handle, out, box)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader.HDF5Array, "_read", watched)
        result = hdf5.AreaDetectorHDF5Handler(str(tmp_path / "scan.h5"), frame_per_point=50)(point_number=0)
        assert result.shape == (50, 64, 64)
        assert read == []
        np.testing.assert_array_equal(result[17], np.ones((64, 64)))
    assert read == [(1, 64, 64)]
