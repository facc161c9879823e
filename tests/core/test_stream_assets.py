"""Stream resources and datums as columns: real files, in every layout that detectors write."""

import os
import pickle
import re

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from databroker_like.core import _stream_readers
from databroker_like.core._stream_assets import StreamColumn, count_events, stream_column
from databroker_like.errors import Invalid, InvalidDocument, InvalidFile, MissingFile, NoSuchHandler
from databroker_like.files import hdf5
from databroker_like.files._lazy import MemoryArray, to_dask
from databroker_like.testing._lazy_arrays import LazyArrayContract, open_files

FRAMES = np.random.default_rng(1).integers(0, 60000, (12, 5, 4)).astype("uint16")


def array_key(*shape, dtype="array", **more):
    return {"dtype": dtype, "shape": list(shape), "source": "sim", "external": "STREAM:", **more}


def resource(uri, mimetype="application/x-hdf5", uid="r", key="image", **parameters):
    return {
        "uid": uid,
        "data_key": key,
        "mimetype": mimetype,
        "uri": f"file://localhost{uri}",
        "parameters": parameters,
        "run_start": "s",
    }


def datums(*stretches, uid="r", first=1):
    """One stream_datum to each (start, stop) of indices, the events numbered on from ``first``."""
    documents = []
    for i, (start, stop) in enumerate(stretches):
        seq_nums = {"start": first, "stop": first + stop - start}
        first = seq_nums["stop"]
        documents.append(
            {
                "uid": f"{uid}/{i}",
                "stream_resource": uid,
                "descriptor": "d",
                "indices": {"start": start, "stop": stop},
                "seq_nums": seq_nums,
            }
        )
    return documents


def write(path, data=FRAMES, name="entry/data"):
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=data, chunks=(1, *data.shape[1:]), maxshape=(None, *data.shape[1:]))
    return path


def column(path, key, *stretches, **parameters):
    document = resource(path, dataset="entry/data", **parameters)
    return stream_column("image", key, [document], datums(*stretches))


class TestFramesOfOneFile(LazyArrayContract):
    def make(self, folder):
        return column(write(folder / "a.h5"), array_key(5, 4), (0, 4), (4, 9)), FRAMES[:9]


class TestSeveralFramesToAnEvent(LazyArrayContract):
    def make(self, folder):
        return column(write(folder / "a.h5"), array_key(3, 5, 4), (0, 1), (1, 4)), FRAMES.reshape(4, 3, 5, 4)


class TestTwoFilesOneAfterTheOther(LazyArrayContract):
    def make(self, folder):
        write(folder / "a.h5", FRAMES[:5])
        write(folder / "b.h5", FRAMES[5:])
        resources = [resource(folder / f"{n}.h5", uid=n, dataset="entry/data") for n in "ba"]
        found = [*datums((0, 7), uid="b", first=6), *datums((0, 2), (2, 5), uid="a")]
        return stream_column("image", array_key(5, 4), resources, found), FRAMES


def test_one_frame_to_an_event_keeps_the_axis_that_was_declared(tmp_path):
    found = column(write(tmp_path / "a.h5"), array_key(1, 5, 4), (0, 12))
    np.testing.assert_array_equal(np.asarray(found), FRAMES[:, None])


def test_a_file_that_has_the_axis_too_is_read_as_declared(tmp_path):
    stacked = write(tmp_path / "a.h5", FRAMES.reshape(4, 3, 5, 4))
    found = column(stacked, array_key(3, 5, 4), (0, 4), join_method="stack")
    np.testing.assert_array_equal(found[1:3], FRAMES.reshape(4, 3, 5, 4)[1:3])


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_number_has_no_axis(tmp_path, shape):
    path = write(tmp_path / "a.h5", np.arange(10.0))
    assert column(path, array_key(*shape, dtype="number"), (0, 3), (3, 10))[:].tolist() == list(range(10))


def test_several_numbers_to_an_event_have_one(tmp_path):
    path = write(tmp_path / "a.h5", np.arange(10.0))
    assert column(path, array_key(5, dtype="number"), (0, 2))[:].tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_the_type_is_that_of_the_file(tmp_path):
    found = column(write(tmp_path / "a.h5"), array_key(5, 4, dtype_numpy="<f8"), (0, 2))
    assert found.dtype == np.uint16


@pytest.mark.parametrize(
    ("declared", "found_shape"), [((7, 7), (5, 4)), ((4,), (5, 4)), ((2, 4, 5), (2, 5, 4)), ((24, 5, 4), (2, 5, 4))]
)
def test_a_wrong_declared_shape_gives_way_to_the_file_with_one_warning(tmp_path, declared, found_shape):
    found = column(write(tmp_path / "a.h5"), array_key(*declared), (0, 6))
    told = f"declares shape {declared} for 'image', the data has {found_shape}"
    with pytest.warns(UserWarning, match=re.escape(told)):
        assert found.shape == (6, *found_shape)
    # Every further warning would be an error.
    assert found[0].shape == found_shape
    assert np.asarray(found).shape == (6, *found_shape)


def test_a_declared_axis_of_unknown_length_is_no_contradiction(tmp_path):
    assert column(write(tmp_path / "a.h5"), array_key(None, 4), (0, 6)).shape == (6, 5, 4)


def test_a_file_that_goes_on_reads_up_to_what_was_announced(tmp_path):
    assert column(write(tmp_path / "a.h5"), array_key(5, 4), (0, 7)).shape == (7, 5, 4)


def test_a_file_shorter_than_announced_names_both_numbers(tmp_path):
    found = column(write(tmp_path / "a.h5"), array_key(5, 4), (0, 20))
    assert found.rows == 20
    with pytest.raises(InvalidFile, match=r"a\.h5.*holds 12 rows and 20 were announced"):
        found[0]


def test_a_longer_run_is_read_when_more_was_announced(tmp_path):
    path = write(tmp_path / "a.h5", FRAMES[:3])
    assert column(path, array_key(5, 4), (0, 3)).shape == (3, 5, 4)
    with h5py.File(path, "r+") as file:
        file["entry/data"].resize(12, 0)
        file["entry/data"][:] = FRAMES
    np.testing.assert_array_equal(column(path, array_key(5, 4), (0, 3), (3, 12))[:], FRAMES)


def test_events_are_in_the_order_of_their_numbers_and_a_datum_counts_once(tmp_path):
    document = resource(write(tmp_path / "a.h5"), dataset="entry/data")
    found = datums((4, 6), (0, 2))
    read = stream_column("image", array_key(5, 4), [document], [*found[::-1], *found])
    np.testing.assert_array_equal(read[:], FRAMES[[4, 5, 0, 1]])
    assert count_events("image", [document], [*found, *found]) == 4


def test_frames_that_belong_to_no_event_are_left_out(tmp_path):
    found = datums((0, 2), (2, 5), (5, 7))
    found[1]["seq_nums"] = {"start": 3, "stop": 3}
    read = stream_column("image", array_key(5, 4), [resource(write(tmp_path / "a.h5"), dataset="entry/data")], found)
    np.testing.assert_array_equal(read[:], FRAMES[[0, 1, 5, 6]])


def test_datums_without_event_numbers_are_taken_as_they_come(tmp_path):
    found = datums((0, 2), (2, 5))
    for document in found:
        document["seq_nums"] = {"start": 0, "stop": 0}
    document = resource(write(tmp_path / "a.h5"), dataset="entry/data")
    assert stream_column("image", array_key(5, 4), [document], found).shape == (5, 5, 4)


def test_indices_that_go_backwards_are_refused(tmp_path):
    found = datums((0, 2))
    found[0]["indices"] = {"start": 3, "stop": 1}
    with pytest.raises(InvalidDocument, match="'r/0': indices 3 to 1"):
        stream_column("image", array_key(5, 4), [resource(tmp_path / "a.h5")], found)


def test_other_keys_are_passed_over_and_nothing_announced_is_an_empty_column(tmp_path):
    document = resource(write(tmp_path / "a.h5"), dataset="entry/data", key="other")
    empty = stream_column("image", array_key(5, 4, dtype_numpy="<u2"), [document], datums((0, 5)))
    assert (empty.shape, empty.dtype) == ((0, 5, 4), np.uint16)
    assert stream_column("n", array_key(1, dtype="number"), [], []).shape == (0,)
    assert stream_column("n", array_key(None, dtype="integer"), [], []).dtype == np.int64


def count_opens(monkeypatch):
    opened = []
    real = hdf5._opened
    monkeypatch.setattr(hdf5, "_opened", lambda *args: opened.append(args[1]) or real(*args))
    return opened


def test_nothing_is_opened_before_it_is_looked_at_and_one_frame_opens_one_file_once(tmp_path, monkeypatch):
    resources = [resource(write(tmp_path / f"{n}.h5"), uid=n, dataset="entry/data") for n in "abcdef"]
    found = [d for i, n in enumerate("abcdef") for d in datums((0, 12), uid=n, first=1 + 12 * i)]
    opened = count_opens(monkeypatch)
    read = stream_column("image", array_key(5, 4), resources, found)
    assert opened == []
    assert read.shape == (72, 5, 4)
    opened.clear()
    np.testing.assert_array_equal(read[12 * 4 + 3], FRAMES[3])
    assert opened == [str(tmp_path / "e.h5")]
    assert open_files(tmp_path) == []


def test_many_datums_of_one_file_are_read_in_one_go(tmp_path, monkeypatch):
    found = column(write(tmp_path / "a.h5"), array_key(5, 4), *((i, i + 1) for i in range(12)))
    assert found.shape == (12, 5, 4)
    opened = count_opens(monkeypatch)
    np.testing.assert_array_equal(np.asarray(found), FRAMES)
    assert len(opened) == 1


def test_a_column_computes_as_a_dask_array_after_pickling(tmp_path):
    found = to_dask(column(write(tmp_path / "a.h5"), array_key(5, 4), (0, 12)))
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again[2:5].compute(scheduler="synchronous"), FRAMES[2:5])


def test_the_part_of_a_dataset_that_the_parameters_ask_for(tmp_path):
    path = write(tmp_path / "a.h5")
    assert column(path, array_key(5), (0, 12), slice=":, :, 2")[:].tolist() == FRAMES[:, :, 2].tolist()
    thin = write(tmp_path / "b.h5", FRAMES[:, None])
    np.testing.assert_array_equal(column(thin, array_key(5, 4), (0, 12), squeeze=True)[:], FRAMES)
    with pytest.raises(Invalid, match="cannot be understood"):
        _ = column(path, array_key(5), (0, 12), slice="1:x").shape


def test_a_resource_that_does_not_name_its_dataset_says_so(tmp_path):
    found = stream_column("image", array_key(5, 4), [resource(tmp_path / "a.h5")], datums((0, 1)))
    with pytest.raises(Invalid, match="'image' does not say which dataset"):
        _ = found.shape


# -- other formats ------------------------------------------------------------------------------------------------


def pictures(folder):
    for i, frame in enumerate(FRAMES):
        tifffile.imwrite(folder / f"scan_{i:06d}.tiff", frame)
    return "multipart/related;type=image/tiff", {"template": "scan_{:06d}.tiff", "chunk_shape": [1, 5, 4]}


@pytest.mark.parametrize(
    ("declared", "expected"), [((5, 4), FRAMES), ((1, 5, 4), FRAMES[:, None]), ((3, 5, 4), FRAMES.reshape(4, 3, 5, 4))]
)
def test_numbered_tiff_files(tmp_path, declared, expected):
    mimetype, parameters = pictures(tmp_path)
    document = resource(f"{tmp_path}/", mimetype, **parameters)
    found = stream_column("image", array_key(*declared), [document], datums((0, len(expected))))
    np.testing.assert_array_equal(np.asarray(found), expected)


def test_numbered_tiff_files_one_to_an_event_where_more_were_declared(tmp_path):
    mimetype, parameters = pictures(tmp_path)
    document = resource(f"{tmp_path}/", mimetype, **parameters)
    found = stream_column("image", array_key(3, 5, 4), [document], datums((0, 12)))
    with pytest.warns(UserWarning, match=r"declares shape \(3, 5, 4\) for 'image', the data has \(1, 5, 4\)"):
        np.testing.assert_array_equal(found[:], FRAMES[:, None])


def test_tiff_files_of_several_pages(tmp_path):
    for i in range(4):
        tifffile.imwrite(tmp_path / f"{i}.tif", FRAMES[3 * i : 3 * i + 3], photometric="minisblack")
    document = resource(f"{tmp_path}/", "multipart/related; type=image/tiff", template="{}.tif", chunk_shape=(3,))
    found = stream_column("image", array_key(3, 5, 4), [document], datums((0, 4)))
    np.testing.assert_array_equal(found[1:], FRAMES.reshape(4, 3, 5, 4)[1:])
    stacked = resource(f"{tmp_path}/", document["mimetype"], template="{}.tif", join_method="stack")
    np.testing.assert_array_equal(stream_column("image", array_key(3, 5, 4), [stacked], datums((1, 3)))[0], FRAMES[3:6])


def test_one_tiff_file_with_pages(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", FRAMES, photometric="minisblack")
    found = stream_column("image", array_key(5, 4), [resource(tmp_path / "a.tif", "image/tiff")], datums((2, 6)))
    np.testing.assert_array_equal(found[:], FRAMES[2:6])


def test_numbered_jpeg_files(tmp_path):
    expected = []
    for i in range(4):
        Image.fromarray((FRAMES[i] // 256).astype("uint8")).save(tmp_path / f"scan_{i:06d}.jpg", quality=95)
        with Image.open(tmp_path / f"scan_{i:06d}.jpg") as image:
            expected.append(np.array(image))
    document = resource(f"{tmp_path}/", "multipart/related;type=image/jpeg", template="scan_{:06d}.jpg")
    for declared, shape in (((5, 4), (4, 5, 4)), ((1, 5, 4), (4, 1, 5, 4))):
        found = stream_column("image", array_key(*declared), [document], datums((0, 4)))
        np.testing.assert_array_equal(found[:], np.reshape(expected, shape))
    single = resource(tmp_path / "scan_000002.jpg", "image/jpeg")
    np.testing.assert_array_equal(stream_column("image", array_key(5, 4), [single], datums((0, 1)))[0], expected[2])


def test_npy_files(tmp_path):
    for i, frame in enumerate(FRAMES[:3]):
        np.save(tmp_path / f"ab_{i}.npy", frame)
    numbered = resource(f"{tmp_path}/", "multipart/related;type=application/x-npy", filename="ab")
    np.testing.assert_array_equal(stream_column("image", array_key(5, 4), [numbered], datums((0, 3)))[:], FRAMES[:3])
    np.save(tmp_path / "all.npy", FRAMES)
    single = resource(tmp_path / "all.npy", "application/x-npy")
    np.testing.assert_array_equal(stream_column("image", array_key(5, 4), [single], datums((0, 12)))[:], FRAMES)


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_arrays(tmp_path, version):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=version)
    group.create_array("image", data=FRAMES, chunks=(2, 5, 4))
    document = resource(tmp_path / "a.zarr", "application/x-zarr", dataset="image")
    found = stream_column("image", array_key(3, 5, 4), [document], datums((0, 4)))
    np.testing.assert_array_equal(found[2], FRAMES[6:9])


def test_csv_columns(tmp_path):
    (tmp_path / "a.csv").write_text("time,current\n0.0,1\n0.5,2\n1.0,3\n")
    document = resource(tmp_path / "a.csv", "text/csv;header=present", key="current")
    number = array_key(1, dtype="number")
    assert stream_column("current", number, [document], datums((0, 3)))[:].tolist() == [1, 2, 3]
    named = resource(tmp_path / "a.csv", "text/csv;header=present", column="time")
    assert stream_column("image", number, [named], datums((1, 3)))[:].tolist() == [0.5, 1.0]
    (tmp_path / "b.csv").write_text("0.0,1\n0.5,2\n1.0,3\n1.5,4\n")
    bare = resource(tmp_path / "b.csv", "text/csv;header=absent")
    assert stream_column("image", array_key(1, 2), [bare], datums((0, 4)))[3].tolist() == [[1.5, 4]]
    assert stream_column("image", array_key(2, 2), [bare], datums((0, 2)))[1].tolist() == [[1, 3], [1.5, 4]]
    (tmp_path / "c.csv").write_text("7\n8\n")
    one = resource(tmp_path / "c.csv", "text/csv;header=absent")
    assert stream_column("image", number, [one], datums((0, 2)))[:].tolist() == [7, 8]


def test_a_sequence_that_does_not_say_how_its_files_are_named(tmp_path):
    document = resource(f"{tmp_path}/", "multipart/related;type=image/tiff")
    with pytest.raises(Invalid, match="need 'template'"):
        _ = stream_column("image", array_key(5, 4), [document], datums((0, 1))).shape


# -- what can be missing ------------------------------------------------------------------------------------------


def test_a_missing_file_names_the_path_and_whether_root_map_touched_it(tmp_path):
    document = resource("/data/2020/a.h5", dataset="entry/data")
    moved = stream_column("image", array_key(5, 4), [document], datums((0, 1)), root_map={"/data": str(tmp_path)})
    with pytest.raises(MissingFile, match=f"{tmp_path}/2020/a.h5'; its root '/data' was changed by root_map"):
        _ = moved.shape
    still = stream_column("image", array_key(5, 4), [document], datums((0, 1)), root_map={"/other": "/mnt"})
    with pytest.raises(MissingFile, match=r"'/data/2020/a\.h5'; it was not changed by root_map"):
        _ = still.shape
    (tmp_path / "2020").mkdir()
    write(tmp_path / "2020" / "a.h5")
    np.testing.assert_array_equal(moved[:], FRAMES[:1])


def test_a_missing_picture_in_the_middle_says_it_too(tmp_path):
    mimetype, parameters = pictures(tmp_path)
    document = resource("/data/", mimetype, **parameters)
    found = stream_column("image", array_key(5, 4), [document], datums((0, 12)), root_map={"/data": str(tmp_path)})
    assert found.shape == FRAMES.shape
    os.remove(tmp_path / "scan_000007.tiff")
    np.testing.assert_array_equal(found[6], FRAMES[6])
    with pytest.raises(MissingFile, match=r"scan_000007\.tiff'; its root '/data' was changed by root_map"):
        found[7]


def test_an_unknown_mimetype_names_the_known_ones_and_the_way_to_add_one(tmp_path):
    document = resource(tmp_path / "a", "application/x-hdf", uid="abc")
    with pytest.raises(NoSuchHandler) as caught:
        stream_column("image", array_key(5, 4), [document], datums((0, 1), uid="abc"))
    message = str(caught.value)
    for part in ("'application/x-hdf'", "'abc'", "nearest is 'application/x-hdf5'", "'text/csv'", "databroker.readers"):
        assert part in message


def read_noughts(asset):
    return MemoryArray(np.zeros((asset.stop, *asset.shape), "i2"))


class Entry:
    def __init__(self, name, found):
        self.name, self.module_name, self.found = name, f"{name}_plugin", found

    def load(self):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def test_a_package_adds_a_reader_and_a_broken_one_is_named(tmp_path, monkeypatch):
    entries = [
        Entry("broken", ImportError("no module named spam")),
        Entry("mine", {"application/x-mine": read_noughts, "application/x-hdf5": read_noughts}),
        Entry("theirs", {"Application/X-Mine": "os.path.join"}),
    ]
    monkeypatch.setattr(_stream_readers, "entry_points", lambda group: entries if group == "databroker.readers" else [])
    document = resource(tmp_path / "a", "application/x-mine")
    with pytest.warns(UserWarning, match="'broken' .*no module named spam"):
        found = stream_column("image", array_key(2), [document], datums((0, 3)))
    assert found[:].tolist() == [[0, 0]] * 3
    # A mimetype that is known is not looked for among the plugins.
    assert column(write(tmp_path / "a.h5"), array_key(5, 4), (0, 1)).dtype == np.uint16


def test_a_reader_that_is_handed_in_comes_first(tmp_path):
    document = resource(tmp_path / "a.h5")
    found = stream_column(
        "image", array_key(2), [document], datums((0, 3)), readers={"application/x-hdf5": read_noughts}
    )
    assert isinstance(found, StreamColumn)
    assert found.shape == (3, 2)


# -- the others' opinion ------------------------------------------------------------------------------------------


@pytest.mark.peer
@pytest.mark.parametrize(
    ("declared", "data", "join_method"),
    [
        ((1, 5, 4), FRAMES, "concat"),
        ((3, 5, 4), FRAMES, "concat"),
        ((5, 4), FRAMES, "stack"),
        ((3, 5, 4), FRAMES.reshape(4, 3, 5, 4), "stack"),
        ((4,), np.arange(16), "concat"),
    ],
)
def test_bluesky_lays_the_same_frames_out(tmp_path, declared, data, join_method):
    """bluesky's consolidators leave the frames of all events in one axis; the values and their order are ours."""
    consolidators = pytest.importorskip(
        "bluesky.consolidators", reason="bluesky's consolidators need tiled", exc_type=ImportError
    )
    write(tmp_path / "a.h5", data)
    events = len(data) if join_method == "stack" else len(data) // declared[0]
    document = resource(tmp_path / "a.h5", dataset="entry/data", chunk_shape=(1,), join_method=join_method)
    found = datums((0, 1), (1, events))
    key = array_key(*declared, dtype_numpy=data.dtype.str)
    theirs = consolidators.consolidator_factory(document, {"data_keys": {"image": key}, "uid": "d"})
    for one in found:
        theirs.consume_stream_datum(one)
    ours = stream_column("image", key, [document], found)
    np.testing.assert_array_equal(ours[:].reshape(theirs.shape), data)
    assert ours.dtype == theirs.data_type.to_numpy_dtype()
    assert [asset.data_uri for asset in theirs.assets] == [document["uri"]]
