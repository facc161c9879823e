"""A stream as labelled arrays."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import event_model
import numpy as np
import pytest
import xarray as xr

from databroker_like.core import BlueskyEventStream, PartitionIndexError
from databroker_like.errors import Invalid, NoSuchColumn, WrongType

ARRAY = {"dtype": "array", "shape": [3]}
NUMBER = {"dtype": "number"}


def test_columns_have_the_dtypes_of_their_values_in_the_order_of_the_data_keys(scalars: Any) -> None:
    dataset = scalars.run.primary.read()
    assert {key: str(column.dtype) for key, column in dataset.items()} == {
        "det": "float64",
        "n": "int64",
        "word": "<U4",
        "on": "bool",
        "spectrum": "int64",
    }
    assert list(dataset) == ["det", "n", "word", "on", "spectrum"]
    assert dataset.spectrum.dims == ("time", "dim_0")
    assert list(dataset.coords) == ["time"]
    assert dataset.time.values.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert dataset.det.attrs == {"object": "det_device"}
    assert not dataset.attrs


def test_to_dask_is_what_read_is_but_later(scalars: Any) -> None:
    lazy = scalars.run.primary.to_dask()
    assert all(hasattr(column.data, "dask") for column in lazy.values())
    xr.testing.assert_identical(lazy.compute(), scalars.run.primary.read())
    assert {k: v.dtype for k, v in lazy.items()} == {k: v.dtype for k, v in scalars.run.primary.read().items()}


def test_what_read_gives_is_the_callers_own(scalars: Any) -> None:
    stream = scalars.run.primary
    lazy = stream.to_dask()
    first = stream.read()
    first.det[:] = -1
    first.spectrum[:] = -1
    assert stream.read().det.values.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert hasattr(lazy.det.data, "dask")
    assert lazy.det.values.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_numpy_columns_of_a_source_are_not_handed_out(record: Any) -> None:
    kept = np.arange(3.0)
    recording = record()
    descriptor = recording.descriptor({"det": NUMBER})
    page = {
        "descriptor": descriptor,
        "uid": ["a", "b", "c"],
        "time": np.array([1.0, 2.0, 3.0]),
        "seq_num": np.array([1, 2, 3]),
        "data": {"det": kept},
        "timestamps": {"det": kept},
        "filled": {},
    }
    run = recording.open()
    source = run.source
    object.__setattr__(source, "get_event_pages", lambda uid, skip=0, limit=None: [page])
    run.primary.read().det[:] = 7
    assert kept.tolist() == [0.0, 1.0, 2.0]


def test_include_and_exclude_keep_the_order_of_the_data_keys(scalars: Any) -> None:
    stream = scalars.run.primary
    assert list(stream(include=["spectrum", "det"]).read()) == ["det", "spectrum"]
    assert list(stream(exclude=["det", "on"]).read()) == ["n", "word", "spectrum"]
    with pytest.raises(ValueError, match="mutually exclusive"):
        stream(include=["det"], exclude=["n"])


def test_timestamps_of_an_array_are_one_number_to_an_event(scalars: Any) -> None:
    dataset = scalars.run.primary.timestamps.read()
    assert {column.dims for column in dataset.values()} == {("time",)}
    assert dataset.spectrum.values.tolist() == [1.25, 2.25, 3.25, 4.25, 5.25]
    xr.testing.assert_identical(scalars.run.primary.timestamps.to_dask().compute(), dataset)
    with pytest.raises(ValueError, match="sub_dict='date'"):
        scalars.run.primary(sub_dict="date")


def test_dimensions_are_numbered_through_the_stream_unless_named(recording: Any) -> None:
    descriptor = recording.descriptor(
        {
            "a": {"dtype": "array", "shape": [2]},
            "b": {"dtype": "array", "shape": [2, 3], "dims": ["y", "x"]},
            "c": {"dtype": "array", "shape": [2, 2]},
        }
    )
    recording.event(descriptor, {"a": [1, 2], "b": [[1, 2, 3]] * 2, "c": [[1, 2]] * 2})
    dataset = recording.run.primary.read()
    assert dataset.a.dims == ("time", "dim_0")
    assert dataset.b.dims == ("time", "y", "x")
    assert dataset.c.dims == ("time", "dim_1", "dim_2")


def test_declared_dimensions_that_contradict_each_other_are_numbered_with_a_warning(recording: Any) -> None:
    descriptor = recording.descriptor(
        {"a": {"dtype": "array", "shape": [2], "dims": ["x"]}, "b": {"dtype": "array", "shape": [3], "dims": ["x"]}}
    )
    recording.event(descriptor, {"a": [1, 2], "b": [1, 2, 3]})
    with pytest.warns(UserWarning, match=r"\['x'\] declared for 'b'"):
        dataset = recording.run.primary.read()
    assert (dataset.a.dims, dataset.b.dims) == (("time", "x"), ("time", "dim_0"))


def test_a_wrong_declared_shape_is_told_once_and_the_data_is_right(recording: Any) -> None:
    descriptor = recording.descriptor({"a": {"dtype": "array", "shape": [5, 7]}, "det": NUMBER})
    for _ in range(3):
        recording.event(descriptor, {"a": [[1, 2], [3, 4]], "det": 1.0})
    stream = recording.run.primary
    for reading in (stream.read, stream.to_dask):
        with pytest.warns(UserWarning, match="was declared") as caught:
            dataset = reading()
        assert len(caught) == 1
        assert "'a' was declared with shape (5, 7) and its data has shape (2, 2)" in str(caught[0].message)
        assert caught[0].filename == __file__
        assert dataset.a.shape == (3, 2, 2)


@pytest.mark.parametrize("declared", [[-1, 2], [None, 2], [2, 2]])
def test_a_declared_shape_that_leaves_a_length_open_fits(recording: Any, declared: list[Any]) -> None:
    descriptor = recording.descriptor({"a": {"dtype": "array", "shape": declared}})
    recording.event(descriptor, {"a": [[1, 2], [3, 4]]})
    assert recording.run.primary.read().a.shape == (1, 2, 2)


def test_values_of_different_shapes_make_a_column_of_arrays(recording: Any) -> None:
    descriptor = recording.descriptor({"a": {"dtype": "array", "shape": [-1]}})
    recording.event(descriptor, {"a": [1, 2]})
    recording.event(descriptor, {"a": [1, 2, 3]})
    for dataset in (recording.run.primary.read(), recording.run.primary.to_dask().compute()):
        assert dataset.a.dtype == object
        assert dataset.a.dims == ("time",)
        assert [value.tolist() for value in dataset.a.values] == [[1, 2], [1, 2, 3]]


@pytest.mark.parametrize("lazy", [False, True])
def test_a_stream_without_events_has_the_shapes_and_dtypes_declared(recording: Any, lazy: bool) -> None:
    recording.descriptor(
        {
            "det": NUMBER,
            "n": {"dtype": "integer"},
            "word": {"dtype": "string"},
            "on": {"dtype": "boolean"},
            "a": ARRAY,
            "img": {"dtype": "array", "shape": [4, 6], "dtype_numpy": "<u2", "external": "FILESTORE:"},
        }
    )
    stream = recording.run.primary
    dataset = stream.to_dask().compute() if lazy else stream.read()
    assert {k: (v.shape, v.dtype.kind) for k, v in dataset.items()} == {
        "det": ((0,), "f"),
        "n": ((0,), "i"),
        "word": ((0,), "U"),
        "on": ((0,), "b"),
        "a": ((0, 3), "f"),
        "img": ((0, 4, 6), "u"),
    }
    assert dataset.time.dtype == "float64"
    assert all(not column.shape[0] for column in stream.timestamps.read().values())


def test_a_stream_of_a_run_in_progress_shows_what_came_since(recording: Any) -> None:
    descriptor = recording.descriptor({"det": NUMBER})
    stream = recording.run.primary
    assert stream.read().sizes["time"] == 0
    recording.event(descriptor, {"det": 1.0})
    assert stream.read().det.values.tolist() == [1.0]
    assert stream.to_dask().det.compute().values.tolist() == [1.0]
    recording.event(descriptor, {"det": 2.0})
    assert stream.read().det.values.tolist() == [1.0, 2.0]
    assert stream.metadata["stop"] is None
    recording.stop()
    assert stream.metadata["stop"]["exit_status"] == "success"


def test_a_lazy_column_of_a_run_in_progress_keeps_its_length(recording: Any) -> None:
    descriptor = recording.descriptor({"det": NUMBER})
    recording.event(descriptor, {"det": 1.0})
    lazy = recording.run.primary.to_dask()
    recording.event(descriptor, {"det": 2.0})
    assert lazy.det.values.tolist() == [1.0]


def test_a_descriptor_without_a_name_is_the_primary_stream_and_says_so(recording: Any) -> None:
    descriptor = recording.descriptor({"det": NUMBER}, name=None)
    recording.event(descriptor, {"det": 1.0})
    run = recording.run
    with pytest.warns(UserWarning, match="has no 'name'"):
        assert list(run) == ["primary"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run.primary.read().det.values.tolist() == [1.0]


# -- several descriptors -----------------------------------------------------------------------------------------------


def test_descriptors_are_joined_along_time_and_integers_stay_integers(recording: Any) -> None:
    first = recording.descriptor({"n": {"dtype": "integer"}, "word": {"dtype": "string"}})
    second = recording.descriptor({"n": {"dtype": "integer"}, "word": {"dtype": "string"}})
    recording.event(first, {"n": 1, "word": "a"}, time=1.0)
    recording.event(second, {"n": 3, "word": "abc"}, time=3.0)
    recording.event(first, {"n": 2, "word": "b"}, time=2.0)
    for dataset in (recording.run.primary.read(), recording.run.primary.to_dask().compute()):
        assert dataset.time.values.tolist() == [1.0, 2.0, 3.0]
        assert dataset.n.values.tolist() == [1, 2, 3]
        assert dataset.n.dtype == "int64"
        assert dataset.word.values.tolist() == ["a", "b", "abc"]
        assert dataset.n.attrs == {"object": "n_device"}


def test_a_column_that_a_descriptor_lacks_is_nan_there(recording: Any) -> None:
    first = recording.descriptor({"n": {"dtype": "integer"}})
    second = recording.descriptor({"n": {"dtype": "integer"}, "m": {"dtype": "integer"}, "a": ARRAY})
    recording.event(first, {"n": 1}, time=1.0)
    recording.event(second, {"n": 2, "m": 5, "a": [1, 2, 3]}, time=2.0)
    for dataset in (recording.run.primary.read(), recording.run.primary.to_dask().compute()):
        assert dataset.n.values.tolist() == [1, 2]
        assert np.isnan(dataset.m.values[0])
        assert dataset.m.values[1] == 5
        assert np.isnan(dataset.a.values[0]).all()
        assert dataset.a.values[1].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5, None, 2.5], [0.5, np.nan, 2.5]),
        ([1, None, 3], [1.0, np.nan, 3.0]),
        (["a", None, "b"], ["a", np.nan, "b"]),
        ([True, None, False], [True, np.nan, False]),
        ([[1, 2], None, [3, 4]], [[1.0, 2.0], [np.nan, np.nan], [3.0, 4.0]]),
    ],
)
def test_an_event_that_lacks_a_declared_key_is_a_gap_and_not_the_end_of_the_column(
    recording: Any, values: list[Any], expected: list[Any]
) -> None:
    data_key = {"dtype": "array", "shape": [2]} if isinstance(values[0], list) else {"dtype": "number", "shape": []}
    descriptor = recording.descriptor({"x": data_key, "y": {"dtype": "integer", "shape": []}})
    for i, value in enumerate(values):
        recording.event(descriptor, {"y": i} if value is None else {"x": value, "y": i})
    recording.stop()
    for lazy in (False, True):
        with pytest.warns(UserWarning, match="1 of 3 events have no 'x'"):
            dataset = recording.run.primary.to_dask() if lazy else recording.run.primary.read()
        found = dataset.x.compute().values.tolist()
        assert repr(found) == repr([float("nan") if v is np.nan else v for v in expected])
        assert dataset.y.values.tolist() == [0, 1, 2]


def test_arrays_whose_length_changes_with_the_descriptor_make_a_column_of_arrays(recording: Any) -> None:
    first = recording.descriptor({"a": {"dtype": "array", "shape": [2]}})
    second = recording.descriptor({"a": {"dtype": "array", "shape": [3]}})
    recording.event(first, {"a": [1, 2]}, time=1.0)
    recording.event(second, {"a": [1, 2, 3]}, time=2.0)
    stream = recording.run.primary
    with pytest.warns(UserWarning, match="differ from event to event"):
        dataset = stream.read()
    assert [value.tolist() for value in dataset.a.values] == [[1, 2], [1, 2, 3]]
    with pytest.raises(ValueError, match=r"exclude=\['a'\]"):
        stream.to_dask()


# -- configuration -------------------------------------------------------------------------------------------------


@pytest.fixture
def configured(recording: Any) -> Any:
    configuration = {
        "det": {
            "data": {"exposure": 0.5, "window": [1, 2]},
            "timestamps": {"exposure": 10.0, "window": 11.0},
            "data_keys": {
                "exposure": {"dtype": "number", "shape": [], "source": "x"},
                "window": {"dtype": "array", "shape": [2], "source": "x"},
            },
        },
        "idle": {"data": {}, "timestamps": {}, "data_keys": {}},
    }
    descriptor = recording.descriptor(
        {"det": NUMBER}, configuration=configuration, object_keys={"det": ["det"], "idle": []}
    )
    recording.event(descriptor, {"det": 1.0})
    recording.event(descriptor, {"det": 2.0})
    return recording


def test_the_configuration_of_a_device_is_repeated_along_the_events(configured: Any) -> None:
    config = configured.run.primary.config
    assert list(config) == ["det", "idle"]
    dataset = config["det"].read()
    assert dataset.exposure.values.tolist() == [0.5, 0.5]
    assert dataset.window.values.tolist() == [[1, 2], [1, 2]]
    assert dataset.window.dims == ("time", "dim_0")
    xr.testing.assert_identical(config.det.read(), dataset)
    xr.testing.assert_identical(config["det"].to_dask().compute(), dataset)
    assert len(config["idle"].read()) == 0
    with pytest.raises(KeyError, match="no device 'dett' in stream 'primary' of run 41fb8ca9; it has 'det'"):
        config["dett"]
    with pytest.raises(AttributeError, match=r"no attribute 'dett', and there is no device 'dett' .*; it has 'det'"):
        config.dett  # noqa: B018
    assert not hasattr(config, "nope")


def test_the_configuration_timestamps_are_one_number_to_a_field(configured: Any) -> None:
    dataset = configured.run.primary.config_timestamps["det"].read()
    assert dataset.window.values.tolist() == [11.0, 11.0]
    assert dataset.window.dims == ("time",)


def test_the_configuration_ignores_include(configured: Any) -> None:
    stream = configured.run.primary(include=["det"])
    assert list(stream.config["det"].read()) == ["exposure", "window"]


def test_a_changed_configuration_shows_from_its_events_on(recording: Any) -> None:
    def configuration(value: float) -> dict[str, Any]:
        data_keys = {"exposure": {"dtype": "number", "shape": [], "source": "x"}}
        return {"det": {"data": {"exposure": value}, "timestamps": {"exposure": 0.0}, "data_keys": data_keys}}

    for i, value in enumerate([0.1, 0.2]):
        descriptor = recording.descriptor(
            {"det": NUMBER}, configuration=configuration(value), object_keys={"det": ["det"]}
        )
        recording.event(descriptor, {"det": 1.0}, time=float(i))
    assert recording.run.primary.config["det"].read().exposure.values.tolist() == [0.1, 0.2]


# -- partitions ------------------------------------------------------------------------------------------------------


def test_partitions_give_the_documents_and_end_in_empty_lists(images: Any) -> None:
    stream = images.run.primary
    found: list[Any] = []
    for index in range(100):
        part = stream.read_partition({"index": index, "fill": "no", "partition_size": 1})
        if not part:
            break
        found.append([name for name, _ in part])
    assert found[0] == ["start", "descriptor", "resource"]
    assert found[1] == ["datum_page"]
    assert found[-1][-1] == "stop"
    assert stream.read_partition({"index": 99, "fill": "no", "partition_size": "auto"}) == []
    assert stream.npartitions == len(
        [i for i in range(10) if stream.read_partition({"index": i, "fill": "no", "partition_size": "auto"})]
    )


def test_partitions_fill_and_take_fillers_of_the_callers_own(images: Any) -> None:
    stream = images.run.primary

    def events(fill: Any) -> list[Any]:
        parts = (stream.read_partition({"index": i, "fill": fill, "partition_size": "auto"}) for i in range(5))
        return [doc["data"]["img"] for part in parts for name, doc in part if name == "event_page"]

    assert np.asarray(events("yes")[0][2]).tolist() == np.full((4, 6), 2).tolist()
    filler = event_model.Filler({"NPY": images.handlers["NPY"]}, inplace=False)
    assert np.asarray(events(filler)[0][3]).tolist() == np.full((4, 6), 3).tolist()
    assert all(isinstance(value, str) for value in events("no")[0])


def test_a_partition_can_be_a_chunk_of_a_column(images: Any) -> None:
    stream = images.run.primary
    assert stream.read_partition(("img", 2, 0, 0)).tolist() == np.full((1, 4, 6), 2).tolist()
    with pytest.raises(PartitionIndexError, match="has no chunk"):
        stream.read_partition(("img", 99, 0, 0))
    with pytest.raises(NoSuchColumn, match="no column 'imh' in stream 'primary' of run 41fb8ca9; it has 'img'"):
        stream.read_partition(("imh", 0))
    with pytest.raises(WrongType):
        stream.read_partition(0)
    with pytest.raises(Invalid, match="partition_size"):
        stream.read_partition({"index": 0, "fill": "no", "partition_size": "big"})
    with pytest.raises(Invalid, match="fill"):
        stream.read_partition({"index": 0, "fill": "maybe", "partition_size": 1})


# -- as an object --------------------------------------------------------------------------------------------------


def test_calling_a_stream_gives_itself_or_another_view(scalars: Any) -> None:
    stream = scalars.run.primary
    assert stream() is stream.get() is stream.configure_new() is stream
    view = stream(include=["det"])
    assert isinstance(view, BlueskyEventStream)
    assert list(view.timestamps.read()) == ["det"]
    assert view != stream
    assert view == stream(include=["det"])
    with pytest.raises(TypeError, match="'includes'"):
        stream(includes=["det"])


def test_a_stream_pickles_and_reads_the_same(images: Any, scalars: Any) -> None:
    for recording in (images, scalars):
        stream = recording.run.primary
        copy = pickle.loads(pickle.dumps(stream))
        xr.testing.assert_identical(copy.read(), stream.read())
        assert copy == stream


def test_metadata_has_the_documents_of_the_stream(scalars: Any) -> None:
    scalars.cache.stop_doc = None
    other = scalars.descriptor({"det": NUMBER}, name="baseline")
    metadata = scalars.run.primary.metadata
    assert metadata["start"]["uid"] == scalars.uid
    assert metadata["stop"] is None
    assert [doc["name"] for doc in metadata["descriptors"]] == ["primary"]
    assert other != metadata["descriptors"][0]["uid"]


def test_a_stream_is_made_from_getters_and_fillers_one_by_one(images: Any) -> None:
    source = images.run.source
    fillers = {"yes": source.get_filler(coerce="force_numpy"), "delayed": source.get_filler(coerce="as_is"), "no": None}
    stream = BlueskyEventStream(
        "primary",
        get_run_stop=source.get_run_stop,
        get_event_descriptors=source.get_event_descriptors,
        get_event_pages=source.get_event_pages,
        get_event_count=source.get_event_count,
        get_resources=source.get_resources,
        get_resource=source.get_resource,
        lookup_resource_for_datum=source.lookup_resource_for_datum,
        get_datum_pages=source.get_datum_pages,
        fillers=fillers,
        transforms={},
        metadata={"start": source.get_run_start(), "stop": source.get_run_stop()},
        entry=None,
    )
    xr.testing.assert_identical(stream.read(), images.run.primary.read())


def test_a_stream_shows_its_columns(images: Any) -> None:
    stream = images.run.primary
    assert repr(stream) == "<BlueskyEventStream 'primary' from Run 41fb8ca9...>"
    assert "img" in stream._repr_html_()
    assert stream.describe()["container"] == "bluesky-event-stream"


def test_a_key_to_include_that_is_not_there_is_told_with_those_there_are(scalars: Any) -> None:
    stream = scalars.run.primary.configure_new(include=["dte"])
    with pytest.warns(UserWarning, match="no data key 'dte' in this stream; it has 'det'"):
        assert list(stream.read()) == []


def test_intake_discovers_the_layout_of_a_stream(images: Any) -> None:
    stream = images.run.primary
    found = stream.discover()
    assert (found["dtype"], found["shape"]) == (None, None)
    assert found["npartitions"] == stream.npartitions
    assert found["metadata"]["start"] == stream.metadata["start"]
    assert found["metadata"]["dims"]["time"] == 4
    assert found["metadata"]["data_vars"]["img"] == ["time", "dim_0", "dim_1"]
    assert found["metadata"]["coords"] == ("time",)
