"""Columns whose values lie in files."""

from __future__ import annotations

import functools
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import dask.array as da
import event_model
import numpy as np
import pytest
import xarray as xr

from databroker_like.core import extract_dtype, extract_shape
from databroker_like.core._datums import DatumTable
from databroker_like.core._delayed import coerce_dask
from databroker_like.core._filler import HandlerCache, HandlerOpener, filler_getter, opener_of
from databroker_like.errors import HandlerFailed, MissingFile, NoSuchDocument, NoSuchHandler
from databroker_like.files._lazy import MemoryArray, view

IMAGE = {"dtype": "array", "shape": [4, 6], "external": "FILESTORE:"}


def test_images_are_read_as_they_lie_in_the_files(images: Any) -> None:
    dataset = images.run.primary.read()
    assert dataset.img.dtype == "uint16"
    assert dataset.img.dims == ("time", "dim_0", "dim_1")
    assert dataset.img.values[:, 0, 0].tolist() == [0, 1, 2, 3]
    assert dataset.img.values.flags.writeable


def test_handlers_are_made_once_to_a_reading_and_let_go(images: Any, npy_handler: Any) -> None:
    images.run.primary.read()
    assert len(npy_handler.opened) == len(npy_handler.closed) == 2  # one to look at the shape, one to read all
    list(images.run.documents(fill="yes"))
    assert len(npy_handler.opened) == len(npy_handler.closed) == 3


def test_to_dask_opens_only_the_first_frame_and_then_only_what_is_asked_for(images: Any, tmp_path: Path) -> None:
    lazy = images.run.primary.to_dask()
    for i in (0, 1, 3):
        (tmp_path / f"frame_{i}.npy").unlink()
    assert lazy.img.dtype == "uint16"
    assert lazy.img.chunks == ((1, 1, 1, 1), (4,), (6,))
    assert lazy.img[2].values.tolist() == np.full((4, 6), 2).tolist()
    with pytest.raises(MissingFile):
        lazy.img[3].compute()


def test_a_lazy_image_stream_pickles(images: Any) -> None:
    lazy = pickle.loads(pickle.dumps(images.run.primary.to_dask()))
    xr.testing.assert_identical(lazy.compute(), images.run.primary.read())


def test_the_graph_of_scalars_does_not_grow_with_the_events(record: Any) -> None:
    sizes, lengths = [], []
    for count in (20, 2000):
        recording = record()
        descriptor = recording.descriptor({"det": {"dtype": "number"}, "a": {"dtype": "array", "shape": [2]}})
        for i in range(count):
            recording.event(descriptor, {"det": float(i), "a": [i, i]})
        source = recording.run.source
        lazy = recording.run.primary.to_dask()
        sizes.append(sum(len(column.data.dask) for column in lazy.values()))
        column = next(iter(lazy.det.data.dask.layers.values()))
        lengths.append(len(pickle.dumps(lazy.det.data.dask)) - len(pickle.dumps(source)))
        assert column is not None
    assert sizes[0] == sizes[1]
    assert abs(lengths[0] - lengths[1]) < 200


def test_chunks_of_scalars_hold_10_000_events_or_more(record: Any) -> None:
    recording = record()
    descriptor = recording.descriptor({"det": {"dtype": "number"}})
    values = np.arange(25_000.0)
    recording.cache(
        "event_page",
        {
            "descriptor": descriptor,
            "uid": [str(i) for i in range(25_000)],
            "time": values,
            "seq_num": np.arange(25_000),
            "data": {"det": values},
            "timestamps": {"det": values},
            "filled": {},
        },
    )
    lazy = recording.run.primary.to_dask()
    assert lazy.det.chunks == ((10_000, 10_000, 5_000),)
    assert lazy.det.values.tolist() == values.tolist()
    assert lazy.det[9_999:20_001:5000].values.tolist() == [9_999.0, 14_999.0, 19_999.0]


# -- what is missing -----------------------------------------------------------------------------------------------


def test_a_missing_handler_costs_only_the_columns_that_need_it(images: Any) -> None:
    images.handlers.clear()
    images.handlers["OTHER"] = object
    stream = images.run.primary
    for reading in (stream.read, stream.to_dask):
        with pytest.warns(UserWarning, match="is left out") as caught:
            dataset = reading()
        assert list(dataset) == ["det"]
        assert len(caught) == 1
        said = str(caught[0].message)
        assert caught[0].filename == __file__
        for part in (
            "stream 'primary' of run 41fb8ca9",
            "'img'",
            "'NPY'",
            "'OTHER'",
            "register_handler",
            "exclude=['img']",
        ):
            assert part in said
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(stream(exclude=["img"]).read()) == ["det"]
        assert stream.timestamps.read().img.dims == ("time",)
    with pytest.raises(NoSuchHandler, match="'NPY'"):
        stream(include=["img"]).read()
    with pytest.raises(event_model.UndefinedAssetSpecification):
        list(images.run.documents(fill="yes"))


@pytest.mark.parametrize("mapped", [False, True])
def test_a_missing_file_names_the_path_the_root_and_the_root_map(images: Any, tmp_path: Path, mapped: bool) -> None:
    if mapped:
        images.root_map[str(tmp_path)] = "/nowhere"
    else:
        (tmp_path / "frame_0.npy").unlink()
    stream = images.run.primary
    with pytest.warns(UserWarning, match="'img' is left out; there is no file") as caught:
        assert list(stream.read()) == ["det"]
    said = str(caught[0].message)
    assert repr(str(tmp_path)) in said
    assert ("was changed by root_map" in said) == mapped
    assert ("'/nowhere/frame'" in said) == mapped
    with pytest.raises(FileNotFoundError, match="frame"):
        stream(include=["img"]).read()


def test_files_that_have_moved_are_found_through_the_root_map(images: Any, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    run = images.run
    for file in tmp_path.glob("*.npy"):
        file.rename(tmp_path / "moved" / file.name)
    images.root_map[str(tmp_path)] = str(tmp_path / "moved")
    assert run.primary.read().img.values[3, 0, 0] == 3
    images.root_map.clear()
    with pytest.warns(UserWarning, match="'img' is left out"):
        run.primary.read()


def test_a_handler_that_raises_is_named(images: Any) -> None:
    class Broken:
        def __init__(self, path: str) -> None:
            pass

        def __call__(self, index: int) -> Any:
            raise KeyError("surprise")

    images.handlers["NPY"] = Broken
    with pytest.raises(
        HandlerFailed, match=r"KeyError while reading .*Broken: 'surprise'; resource '41fb8ca9-resource-0'"
    ):
        images.run.primary.read()
    assert list(images.run.primary(exclude=["img"]).read()) == ["det"]


def test_an_event_that_refers_to_no_datum_is_an_incomplete_run(recording: Any, npy_handler: Any) -> None:
    recording.handlers["NPY"] = npy_handler
    descriptor = recording.descriptor({"img": IMAGE})
    recording.event(descriptor, {"img": "nothing/0"})
    with pytest.raises(NoSuchDocument, match="'nothing/0', which the run does not have"):
        recording.run.primary.read()


# -- what handlers give --------------------------------------------------------------------------------------------


def test_images_of_different_shapes_make_a_column_of_arrays(images: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "frame_2.npy", np.zeros((2, 2), dtype="uint16"))
    with pytest.warns(UserWarning, match="differ from event to event"):
        dataset = images.run.primary.read()
    assert dataset.img.dtype == object
    assert [value.shape for value in dataset.img.values] == [(4, 6), (4, 6), (2, 2), (4, 6)]


class Frames:
    """A handler that gives views of one lazy array, and counts what is read of it."""

    reads: list[Any] = []

    def __init__(self, path: str) -> None:
        self.frames = Counted(np.arange(40).reshape(10, 2, 2))

    def __call__(self, index: int) -> Any:
        return view(self.frames, index)


class Counted(MemoryArray):
    def _read(self, handle: Any, out: Any, box: Any) -> None:
        Frames.reads.append(box[0])
        super()._read(handle, out, box)


def lazy_frames(recording: Any, order: list[int]) -> Any:
    recording.handlers["NPY"] = Frames
    Frames.reads = []
    descriptor = recording.descriptor({"img": {**IMAGE, "shape": [2, 2]}})
    resource = recording.resource(Path("/nowhere"), "x")
    for i in order:
        recording.event(descriptor, {"img": recording.datum(resource, i)})
    return recording.run


def test_neighbours_in_one_file_are_read_at_once(recording: Any) -> None:
    run = lazy_frames(recording, [2, 3, 4, 5, 1])
    assert run.primary.read().img.values[:, 0, 0].tolist() == [8, 12, 16, 20, 4]
    assert Frames.reads == [range(2, 6), range(1, 2)]


def test_one_frame_lazily_reads_one_frame(recording: Any) -> None:
    run = lazy_frames(recording, [2, 3, 4, 5])
    lazy = run.primary.to_dask()
    Frames.reads = []
    assert lazy.img[1].values[0, 0] == 12
    assert Frames.reads == [range(3, 4)]


def test_a_handler_may_give_dask_arrays_and_numbers(images: Any) -> None:
    class Dask:
        def __init__(self, path: str) -> None:
            pass

        def __call__(self, index: int) -> Any:
            return da.full((4, 6), index, dtype="int16")

    images.handlers["NPY"] = Dask
    dataset = images.run.primary.read()
    assert dataset.img.dtype == "int16"
    assert dataset.img.values[:, 1, 1].tolist() == [0, 1, 2, 3]

    class Number(Dask):
        def __call__(self, index: int) -> float:
            return index / 2

    images.handlers["NPY"] = Number
    with pytest.warns(UserWarning, match=r"declared with shape \(4, 6\)"):
        assert images.run.primary.read().img.values.tolist() == [0.0, 0.5, 1.0, 1.5]


def test_values_filled_in_before_they_were_recorded_are_taken_as_they_are(recording: Any) -> None:
    descriptor = recording.descriptor({"img": {**IMAGE, "shape": [2]}})
    for i in range(2):
        recording.event(descriptor, {"img": [i, i]}, filled={"img": True})
    assert recording.run.primary.read().img.values.tolist() == [[0, 0], [1, 1]]


# -- fillers of the user's own -----------------------------------------------------------------------------------------


class Doubling(event_model.Filler):
    """A subclass with a meaning of its own."""

    def fill_event(self, doc: Any, *args: Any, **kwargs: Any) -> Any:
        filled = super().fill_event(doc, *args, **kwargs)
        filled["data"]["img"] = filled["data"]["img"] * 2
        return filled


class Router:
    """No Filler at all: shaped like a DocumentRouter, and takes no 'coerce'."""

    def __init__(self, handler_registry: Any, root_map: Any) -> None:
        self.seen: list[str] = []

    def __call__(self, name: str, doc: Any) -> Any:
        self.seen.append(name)
        if name == "event_page":
            doc = {**doc, "data": {**doc["data"], "img": [np.ones((4, 6)) * len(self.seen)] * len(doc["uid"])}}
        return name, doc


@pytest.mark.parametrize("filler_class", [Doubling, functools.partial(Doubling, retry_intervals=[])])
def test_a_subclass_of_filler_fills(images: Any, filler_class: Any) -> None:
    run = images.open(filler_class=filler_class)
    assert run.primary.read().img.values[:, 0, 0].tolist() == [0, 2, 4, 6]
    assert run.primary.to_dask().img[3].values[0, 0] == 6
    pages = [doc for name, doc in run.documents(fill="yes") if name == "event_page"]
    assert [np.asarray(page["data"]["img"][0])[0, 0] for page in pages] == [0, 2, 4, 6]


def test_a_partial_of_filler_and_a_dotted_name_read_as_the_class_does(images: Any) -> None:
    expected = images.run.primary.read()
    partial = functools.partial(event_model.Filler, retry_intervals=[])
    for filler_class in (partial, "event_model:Filler", event_model.Filler):
        xr.testing.assert_identical(images.open(filler_class=filler_class).primary.read(), expected)


def test_anything_shaped_like_a_document_router_fills(images: Any) -> None:
    run = images.open(filler_class=Router)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = run.primary.read()
    # descriptor, resource and datum_page come before the page
    assert dataset.img.values[0, 0, 0] == 4.0


def test_a_get_filler_as_databroker_hands_it_in_reads_on_columns() -> None:
    get_filler = functools.partial(event_model.Filler, {"X": Frames}, root_map={"/a": "/b"}, inplace=False)
    opener = opener_of(get_filler)
    assert opener is not None
    assert opener.root_map == {"/a": "/b"}
    assert opener.registry["X"] is Frames
    assert opener_of(functools.partial(Doubling, {}, inplace=False)) is None


def test_a_filler_getter_pickles_and_sees_later_changes() -> None:
    root_map: dict[str, str] = {}
    get_filler = filler_getter("event_model.Filler", {"X": Frames}, root_map)
    root_map["/a"] = "/b"
    assert get_filler().root_map == {"/a": "/b"}
    assert pickle.loads(pickle.dumps(get_filler))(coerce="as_is").handler_registry["X"] is Frames


# -- small things ------------------------------------------------------------------------------------------------------


def test_handlers_are_let_go_when_there_are_too_many(npy_handler: Any, tmp_path: Path) -> None:
    cache = HandlerCache(HandlerOpener({"NPY": npy_handler}, {}), most=2)
    with cache:
        for i in range(4):
            cache.handler({"uid": str(i), "spec": "NPY", "root": "", "resource_path": str(i), "resource_kwargs": {}})
        assert npy_handler.closed == ["0", "1"]
        cache.handler({"uid": "3", "spec": "NPY", "root": "", "resource_path": "3", "resource_kwargs": {}})
        assert len(npy_handler.opened) == 4
    assert npy_handler.closed == ["0", "1", "2", "3"]


def test_a_file_that_is_slow_to_appear_is_tried_again(tmp_path: Path, npy_handler: Any) -> None:
    attempts = []

    def slow(path: str) -> str:
        attempts.append(path)
        if len(attempts) < 3:
            raise OSError("not yet")
        return path

    resource = {"uid": "r", "spec": "S", "root": str(tmp_path), "resource_path": "a", "resource_kwargs": {}}
    assert HandlerOpener({"S": slow}, {}, (0.0, 0.0)).open(resource) == str(tmp_path / "a")
    attempts.clear()
    with pytest.raises(HandlerFailed, match="not yet"):
        HandlerOpener({"S": slow}, {}, (0.0,)).open(resource)


def test_datum_ids_need_not_have_the_resource_in_them(images: Any) -> None:
    resource = images.resource(Path("/nowhere"), "other")
    images.cache("datum", {"datum_id": "free", "resource": resource, "datum_kwargs": {"index": 7}})
    table = DatumTable(images.run.source, {})
    found, keywords = table.look_up("free")
    assert (found["uid"], keywords) == (resource, {"index": 7})
    with pytest.raises(NoSuchDocument, match="'unknown'"):
        table.look_up("unknown")


@pytest.mark.parametrize(
    ("shape", "resource", "expected"),
    [
        ([4, 6], None, [4, 6]),
        ([4, 6, 0], {"resource_kwargs": {"frame_per_point": 3}}, [3, 6, 4]),
        ([-1, 6], {"resource_kwargs": {"frame_per_point": 3}}, [3, 6]),
        ([-1, 6], {}, [5, 6]),
        ([4, 6, 0], None, [-1, 6, 4]),
    ],
)
def test_misreported_shapes_are_mended(shape: list[int], resource: Any, expected: list[int]) -> None:
    descriptor = {
        "data_keys": {"img": {"shape": shape}},
        "object_keys": {"det": ["img"]},
        "configuration": {"det": {"data": {"det_cam_num_images": 5}}},
    }
    assert extract_shape(descriptor, "img", resource) == expected


def test_declared_dtypes_are_looked_for_in_every_place() -> None:
    for data_key, expected in [
        ({"dtype": "array"}, "float64"),
        ({"dtype": "array", "dtype_numpy": "<u2"}, "uint16"),
        ({"dtype": "array", "dtype_str": "|i1"}, "int8"),
        ({"dtype": "array", "dtype_numpy": "nonsense"}, "float64"),
        ({"dtype": "boolean"}, "bool"),
    ]:
        assert extract_dtype({"data_keys": {"a": data_key}}, "a") == expected


def test_the_delayed_coercion_is_taught_without_a_quarrel() -> None:
    program = (
        "import event_model\n"
        "event_model.register_coercion('delayed', lambda handler, state: handler)\n"
        "from databroker_like.core._filler import filler_getter\n"
        "filler_getter(event_model.Filler, {}, {})(coerce='delayed')\n"
        "print('fine')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == "fine"


def test_delayed_handlers_give_dask_arrays(images: Any) -> None:
    filler = images.get_filler()(coerce="delayed")
    flow = list(images.run.documents(fill="no"))
    filled = [filler(name, doc)[1] for name, doc in flow]
    arrays = [doc["data"]["img"][0] for (name, _), doc in zip(flow, filled, strict=True) if name == "event_page"]
    assert all(isinstance(array, da.Array) for array in arrays)
    assert arrays[2].compute()[0, 0] == 2
    assert coerce_dask(type("Own", (), {"return_type": {"delayed": True}}), None).__name__ == "Own"
