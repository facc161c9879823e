"""Values of every kind come out of a stream as they were recorded."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from databroker_like.core._rows import as_array
from databroker_like.errors import NoSuchColumn, NoSuchDocument

OUTSIDE = {"dtype": "array", "shape": [2, 2], "external": "FILESTORE:"}


def recorded(recording: Any, values: list[Any], data_key: dict[str, Any], **more: Any) -> Any:
    descriptor = recording.descriptor({"x": data_key})
    for value in values:
        recording.event(descriptor, {"x": value}, **more)
    recording.stop()
    return recording.run.primary


def same(found: Any, expected: Any) -> bool:
    """Equality to the letter: of type, and NaN with itself."""
    if isinstance(found, np.ndarray) and isinstance(expected, list | np.ndarray):
        return len(found) == len(expected) and all(map(same, found.tolist(), expected))
    if isinstance(found, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    return type(found) is type(expected) and (found == expected or (found != found and expected != expected))


@pytest.mark.parametrize(
    ("values", "dtype", "kind"),
    [
        ([2**63 + 5, 1], "integer", "u8"),
        ([2**63 + 5, -1], "integer", "O"),
        ([2**70, 1], "integer", "O"),
        ([-(2**63), 2**63 - 1], "integer", "i8"),
        ([1.0, None, 3.0], "number", "O"),
        ([None, None], "number", "O"),
        ([float("nan"), float("inf"), 1e300], "number", "f8"),
        ([True, False], "boolean", "?"),
        ([True, None], "boolean", "O"),
        ([b"a", b"bcd"], "string", "S3"),
        ([b"a", b"bcd\0"], "string", "O"),
        (["a\0", "b"], "string", "O"),
        (["é", "日本語", ""], "string", "U3"),
        ([{"a": 1}, {"b": [2]}], "string", "O"),
        ([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], "array", "i8"),
        ([["a", "b"], ["c", "dd"]], "array", "U2"),
        ([[1, None], [2, 3]], "array", "O"),
        ([[], []], "array", "f8"),
        ([[], [1.0]], "array", "O"),
        ([[1, 2], None], "array", "O"),
        ([[[1, 2], [3]], [[4], [5, 6]]], "array", "O"),
    ],
)
def test_values_come_out_as_they_went_in(recording: Any, values: list[Any], dtype: str, kind: str) -> None:
    stream = recorded(recording, values, {"dtype": dtype, "shape": [None] * np.ndim(as_array(values)[0])})
    read, lazy = stream.read()["x"], stream.to_dask()["x"]
    assert read.dtype == np.dtype(kind) == lazy.dtype
    assert read.shape == lazy.shape
    assert all(map(same, read.values.tolist(), values))
    assert all(map(same, pickle.loads(pickle.dumps(lazy)).values.tolist(), values))
    pages = [doc for name, doc in recording.run.documents(fill="yes") if name == "event_page"]
    assert [value for page in pages for value in page["data"]["x"]] == values or values[0] != values[0]


def test_one_very_long_text_does_not_pad_all_others(recording: Any) -> None:
    values = ["x" * 20_000_000, *map(str, range(200))]
    stream = recorded(recording, values, {"dtype": "string"})
    assert stream.read()["x"].dtype == object
    assert stream.to_dask()["x"].values.tolist() == values


def test_a_chunk_whose_own_kind_is_narrower_has_the_kind_of_the_column(recording: Any) -> None:
    values = [1, 2, *range(10_000), -1, 2**63]
    stream = recorded(recording, values, {"dtype": "integer"})
    lazy = stream.to_dask()["x"]
    assert lazy.data.numblocks == (2,)
    assert lazy.data.blocks[0].compute().dtype == object
    assert lazy.values.tolist() == values


@pytest.mark.parametrize("filled", [{"x": True}, {"x": "resource/0"}, {"x": False}, {}])
@pytest.mark.parametrize("as_arrays", [True, False])
def test_values_that_stand_in_the_events_are_taken_whatever_filled_says(
    recording: Any, filled: dict[str, Any], as_arrays: bool
) -> None:
    values: list[Any] = [np.eye(2), np.ones((2, 2))]
    stream = recorded(recording, values if as_arrays else [v.tolist() for v in values], OUTSIDE, filled=filled)
    assert stream.read()["x"].values.tolist() == np.array(values).tolist()
    assert stream.to_dask()["x"].values.tolist() == np.array(values).tolist()
    for fill in ("yes", "no", "delayed"):
        pages = [doc for name, doc in recording.run.documents(fill=fill) if name == "event_page"]
        assert [np.asarray(page["data"]["x"][0]).tolist() for page in pages] == np.array(values).tolist()


def test_some_values_inside_and_some_outside_are_no_one_column(images: Any) -> None:
    descriptor = next(iter(images.cache.descriptors))
    images.event(descriptor, {"det": 1.0, "img": np.zeros((4, 6)).tolist()}, filled={"img": True})
    with pytest.warns(UserWarning, match="filled in and some do not"):
        assert list(images.run.primary.read()) == ["det"]
    stream = images.run.primary.configure_new(include=["img"])
    with pytest.raises(NoSuchColumn):
        stream.read()


def test_a_datum_that_no_document_describes_is_named(recording: Any) -> None:
    stream = recorded(recording, ["nowhere/1"], OUTSIDE)
    for reading in (stream.read, lambda: stream.to_dask().compute()):
        with pytest.raises(NoSuchDocument, match="'nowhere/1'"):
            reading()


def test_descriptors_that_lack_each_others_columns_are_joined_lazily_too(
    recording: Any, tmp_path: Path, npy_handler: Any
) -> None:
    recording.handlers["NPY"] = npy_handler
    np.save(tmp_path / "frame_0.npy", np.full((2, 2), 7, dtype="u2"))
    one = recording.descriptor({"a": {"dtype": "number"}, "img": OUTSIDE, "s": {"dtype": "string"}})
    two = recording.descriptor({"a": {"dtype": "number"}, "on": {"dtype": "boolean"}})
    datum = recording.datum(recording.resource(tmp_path, "frame"), 0)
    recording.event(one, {"a": 0.0, "img": datum, "s": "x"}, time=0.0)
    recording.event(two, {"a": 1.0, "on": True}, time=1.0)
    recording.event(one, {"a": 2.0, "img": datum, "s": "y"}, time=2.0)
    recording.stop()
    read, lazy = recording.run.primary.read(), recording.run.primary.to_dask()
    assert lazy.compute().identical(read)
    assert read["a"].values.tolist() == [0.0, 1.0, 2.0]
    assert read["img"].values[:, 0, 0].tolist()[::2] == [7.0, 7.0]
    assert np.isnan(read["img"].values[1]).all()
    assert read["s"].values.tolist()[::2] == ["x", "y"]


def test_frames_that_a_descriptor_lacks_are_not_made_before_they_are_asked_for(recording: Any) -> None:
    one = recording.descriptor({"img": {"dtype": "array", "shape": [1000, 1000]}})
    two = recording.descriptor({"a": {"dtype": "number"}})
    recording.event(one, {"img": np.zeros((1000, 1000))}, time=0.0)
    for i in range(20_000):
        recording.event(two, {"a": 1.0}, time=1.0 + i)
    lazy = recording.run.primary.to_dask()["img"]
    assert lazy.nbytes > 100e9
    assert np.isnan(lazy[17].values).all()


def test_two_streams_share_a_resource(recording: Any, tmp_path: Path, npy_handler: Any) -> None:
    recording.handlers["NPY"] = npy_handler
    resource = recording.resource(tmp_path, "frame")
    for i, name in enumerate(("primary", "dark")):
        np.save(tmp_path / f"frame_{i}.npy", np.full((2, 2), i))
        recording.event(recording.descriptor({"img": OUTSIDE}, name), {"img": recording.datum(resource, i)})
    recording.stop()
    for i, name in enumerate(("primary", "dark")):
        assert recording.run[name].read()["img"].values.max() == i
        assert recording.run[name].to_dask()["img"].values.max() == i
    names = [name for name, _ in recording.run.documents(fill="no")]
    assert names.count("resource") == 1


def test_datums_and_pages_of_them_in_any_order(recording: Any, tmp_path: Path, npy_handler: Any) -> None:
    recording.handlers["NPY"] = npy_handler
    descriptor = recording.descriptor({"img": OUTSIDE})
    resource = recording.resource(tmp_path, "frame")
    for i in range(4):
        np.save(tmp_path / f"frame_{i}.npy", np.full((2, 2), i))
    last = recording.datum(resource, 3)
    page = {"resource": resource, "datum_id": ["b", "a"], "datum_kwargs": {"index": [1, 0]}}
    recording.cache("datum_page", page)
    first = recording.datum(resource, 2)
    for datum in ("a", "b", first, last):
        recording.event(descriptor, {"img": datum})
    stream = recording.run.primary
    assert stream.read()["img"].values[:, 0, 0].tolist() == [0, 1, 2, 3]
    assert stream.to_dask()["img"].values[:, 0, 0].tolist() == [0, 1, 2, 3]


def test_a_million_events_make_the_graph_that_a_hundred_thousand_make(record: Any) -> None:
    sizes, seconds = [], []
    for count in (100_000, 1_000_000):
        recording = record()
        descriptor = recording.descriptor({"det": {"dtype": "number"}, "n": {"dtype": "integer"}})
        numbers = np.arange(count)
        page = {
            "descriptor": descriptor,
            "uid": numbers.astype("U7"),
            "time": numbers / 10,
            "seq_num": numbers + 1,
            "data": {"det": numbers / 2, "n": numbers},
            "timestamps": {"det": numbers / 10, "n": numbers / 10},
            "filled": {},
        }
        run = _run_of(recording, page)
        began = time.process_time()
        lazy = run.primary.to_dask()
        seconds.append(time.process_time() - began)
        sizes.append(len(pickle.dumps([column.data.dask.layers for column in lazy.values()])))
        assert max(column.data.npartitions for column in lazy.values()) <= 64
        assert lazy["n"][-1].values == count - 1
    assert abs(sizes[1] - sizes[0]) < 4000
    # Making sure what the values are takes a look at each; no task is made of one.
    assert seconds[1] < 1.0


class OnePage:
    """Gives the pages of events from arrays."""

    def __init__(self, page: dict[str, Any]) -> None:
        self.page = page

    def __call__(self, descriptor_uid: str, skip: int = 0, limit: int | None = None) -> Any:
        from databroker_like.core._pages import slice_pages

        return slice_pages([self.page], skip, limit)

    def __reduce__(self) -> Any:
        return OnePage, ({},)


def _run_of(recording: Any, page: dict[str, Any]) -> Any:
    from dataclasses import replace

    from databroker_like.core._run import BlueskyRun

    recording.stop()
    return BlueskyRun.from_source(replace(recording.run.source, get_event_pages=OnePage(page)))
