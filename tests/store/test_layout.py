"""How runs lie in a tree: every value of `read()` stands in a table or an array, and describing reads none."""

from __future__ import annotations

import dataclasses
import json
import math
import warnings
from pathlib import Path
from typing import Any

import intake
import numpy
import pyarrow
import pytest

from databroker_like.core import BlueskyRun
from databroker_like.core._pages import page_size, slice_pages
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.errors import Invalid, MissingFile, NoSuchColumn
from databroker_like.store import _layout, _segment
from databroker_like.store._layout import RunLayout, Spec, run_layout
from databroker_like.store._layout_nodes import ArrayLeaf
from databroker_like.store._segment import Segment, SegmentPage, encode_segment
from databroker_like.testing import _runs as samples


class Segmented:
    """The pages of a source as segments; counts what is read of them."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.columns: list[int] = []
        self.segments: dict[str, list[Segment]] = {}

    def pages(self, uid: str, skip: int = 0, limit: int | None = None) -> list[Any]:
        if uid not in self.segments:
            pages = [page for page in self.source.get_event_pages(uid) if page_size(page)]
            self.segments[uid] = [Segment(encode_segment([page])) for page in pages]
            for segment in self.segments[uid]:
                segment.column = self._counting(segment)
        return list(slice_pages([segment.page(uid) for segment in self.segments[uid]], skip, limit))

    def _counting(self, segment: Segment) -> Any:
        def column(number: int, start: int, stop: int) -> Any:
            self.columns.append(number)
            return Segment.column(segment, number, start, stop)

        return column


def segmented(source: Any) -> Any:
    return dataclasses.replace(source, get_event_pages=Segmented(source).pages)


def run_of(documents: Any) -> BlueskyRun:
    catalog = BlueskyInMemoryCatalog()
    for name, doc in documents:
        catalog.v1.insert(name, doc)
    return catalog[documents[0][1]["uid"]]


def source_of(run: BlueskyRun) -> Any:
    return run._header.source


def check_values(run: BlueskyRun, layout: RunLayout) -> int:
    """Compare everything with what reading the run gives; says how many columns were compared."""
    compared = 0
    assert list(layout.streams) == list(run)
    for name, stream in layout.streams.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            data, times = run[name].read(), run[name].timestamps.read()
        tables = {column: table for table in stream.tables.values() for column in table.columns}
        for key, variable in data.data_vars.items():
            if key in stream.arrays:
                leaf = stream.arrays[key]
                assert leaf.shape == variable.shape
                assert len(leaf.dims) == variable.ndim
                assert tuple(map(sum, leaf.chunks)) == leaf.shape
                numpy.testing.assert_array_equal(leaf.read(), variable.values)
            else:
                same_column(tables[key].read([key]), variable.values)
            compared += 1
        if tables:
            table = next(iter(stream.tables.values()))
            assert table.rows == data.sizes.get("time", 0)
            same_column(table.read(["time"]), data["time"].values if "time" in data else numpy.empty(0))
        for key, variable in times.data_vars.items():
            same_column(tables[f"ts_{key}"].read([f"ts_{key}"]), variable.values)
    return compared


def same_column(table: pyarrow.Table, values: numpy.ndarray) -> None:
    (field,), (column,) = table.schema, table.columns
    found = column.to_pylist()
    if (field.metadata or {}).get(b"encoding") == b"json":
        found = [None if text is None else json.loads(text) for text in found]
    if values.dtype.kind == "f":
        numpy.testing.assert_array_equal(numpy.array(found, float).reshape(values.shape), values)
    else:
        assert found == [value.tolist() if hasattr(value, "tolist") else value for value in values]


@pytest.mark.parametrize("kind", samples.SAMPLES)
@pytest.mark.parametrize("stored", [False, True], ids=["plain", "segments"])
def test_tables_and_arrays_hold_what_reading_a_run_gives(kind, stored):
    run = run_of(samples.SAMPLES[kind]())
    source = source_of(run)
    layout = run_layout(segmented(source) if stored else source)
    compared = check_values(run, layout)
    assert compared == sum(len(run[name].read().data_vars) for name in run)


def recorded(shared_data: Path) -> dict[str, BlueskyRun]:
    found = {}
    for pack in ("absorption-pack", "images-pack"):
        catalogs = intake.open_catalog(str(shared_data / pack / "catalog.yml"))
        catalog = catalogs[next(iter(catalogs))]
        found.update({uid: catalog[uid] for uid in catalog})
    for files in ("edge-scans-jsonl/*.jsonl", "beamline-json/*.json"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            catalog = BlueskyJSONLCatalog(str(shared_data / files))
            found.update({uid: catalog[uid] for uid in catalog})
    return found


def test_recorded_runs_lie_in_the_tree_with_the_values_that_reading_gives(shared_data):
    runs = recorded(shared_data)
    assert len(runs) > 10
    compared = 0
    for run in runs.values():
        compared += check_values(run, run_layout(source_of(run)))
        compared += check_values(run, run_layout(segmented(source_of(run))))
    assert compared > 200


def test_a_run_is_a_container_of_its_streams_with_its_start_and_stop():
    documents = samples.several_streams(uid="abc", tiled_specs=["XAS", {"name": "Scan", "version": "1.2"}])
    layout = run_layout(source_of(run_of(documents)))
    assert layout.uid == "abc"
    assert layout.specs == (Spec("XAS"), Spec("Scan", "1.2"), Spec("BlueskyRun", "3.0"))
    assert dict(layout.metadata["start"]) == documents[0][1]
    assert dict(layout.metadata["stop"]) == documents[-1][1]
    assert list(layout.streams) == ["baseline", "primary", "monitor"]
    primary = layout.streams["primary"]
    assert primary.specs == (Spec("BlueskyEventStream", "3.0"), Spec("composite"))
    assert list(primary.nodes) == ["internal"]
    assert "stop" not in run_layout(source_of(run_of(samples.no_stop()))).metadata


def test_the_metadata_of_a_stream_is_its_descriptor_and_what_later_ones_changed():
    documents = samples.several_streams()
    first, second = (doc for name, doc in documents if name == "descriptor" and doc["name"] == "primary")
    metadata = run_layout(source_of(run_of(documents))).streams["primary"].metadata
    assert not {"name", "run_start", "object_keys"} & metadata.keys()
    assert metadata["uid"] == first["uid"]
    assert metadata["time"] == first["time"]
    assert metadata["data_keys"] == first["data_keys"]
    assert metadata["_config_updates"] == [
        {"uid": second["uid"], "time": second["time"], "configuration": second["configuration"]}
    ]
    (one,) = run_layout(source_of(run_of(samples.scalars()))).streams.values()
    assert one.metadata["hints"] == {"device": {"fields": ["motor"]}}
    assert one.metadata["configuration"]["device"]["data"] == {"gain": 2.5}
    assert "_config_updates" not in one.metadata


def test_the_table_of_a_stream_says_its_types_and_reads_some_rows_of_some_columns():
    documents = samples.scalars(events=7)
    table = run_layout(source_of(run_of(documents))).streams["primary"].tables["internal"]
    keys = ["motor", "count", "open", "mixed"]
    assert table.columns == ["seq_num", "time", *keys, *(f"ts_{key}" for key in keys)]
    assert [str(table.schema.field(key).type) for key in ["seq_num", "time", *keys, "ts_open"]] == [
        "int64",
        "double",
        "double",
        "int64",
        "bool",
        "double",
        "double",
    ]
    assert table.metadata == {key: documents[1][1]["data_keys"][key] for key in keys}
    assert table.rows == 7
    assert table.read().num_rows == 7
    assert table.read(["count", "motor"], 2, 4).to_pydict() == {"count": [2, 3], "motor": [0.2, 0.3]}
    assert table.read(["count"], -2).to_pydict() == {"count": [5, 6]}
    assert table.read(["count"], 5, 2).num_rows == 0
    with pytest.raises(NoSuchColumn, match="'motr'; it has 'motor'"):
        table.read(["motr"])


def test_describing_a_run_reads_no_column_and_a_table_reads_only_what_is_asked_for():
    counted = Segmented(source_of(run_of(samples.arrays(events=4))))
    layout = run_layout(dataclasses.replace(counted.source, get_event_pages=counted.pages))
    stream = layout.streams["primary"]
    assert stream.tables["internal"].schema.names
    assert counted.columns == []
    assert stream.tables["internal"].read(["sum"], 1, 3).num_rows == 2
    assert len(counted.columns) == 1


def with_columns(columns: dict[str, list[Any]], **keys: Any) -> list[tuple[str, dict[str, Any]]]:
    run = samples._Recording()
    data_keys = {key: keys.get(key, {"source": "s", "dtype": "array", "shape": []}) for key in columns}
    stream = run.stream("primary", data_keys)
    for row in zip(*columns.values(), strict=True):
        run.event(stream, dict(zip(columns, row, strict=True)))
    return run.stop()


_IMAGES = [[[float(n + row * 5 + col) for col in range(5)] for row in range(4)] for n in range(6)]


@pytest.mark.parametrize("stored", [False, True], ids=["plain", "segments"])
def test_larger_arrays_and_texts_in_arrays_lie_beside_the_table(monkeypatch, stored):
    monkeypatch.setattr(_segment, "BATCH_ROWS", 4)
    small = [[n, n + 1] for n in range(6)]
    names = [["a", "b" * (n + 1)] for n in range(6)]
    documents = with_columns(
        {"image": _IMAGES, "small": small, "names": names},
        image={"source": "s", "dtype": "array", "shape": [4, 5], "dims": ["y", "x"]},
    )
    source = source_of(run_of(documents))
    stream = run_layout(segmented(source) if stored else source).streams["primary"]
    assert list(stream.nodes) == ["internal", "image", "names"]
    image, texts = stream.arrays["image"], stream.arrays["names"]
    assert (image.shape, image.dtype, image.dims) == ((6, 4, 5), numpy.dtype("<f8"), ("time", "y", "x"))
    assert not image.is_external
    assert image.chunks == (((4, 2) if stored else (6,)), (4,), (5,))
    numpy.testing.assert_array_equal(image.read((slice(1, 5), 2)), numpy.array(_IMAGES)[1:5, 2])
    numpy.testing.assert_array_equal(image.block(0, 0, 0), numpy.array(_IMAGES)[: 4 if stored else 6])
    with pytest.raises(Invalid, match="no block"):
        image.block(7, 0, 0)
    assert texts.dtype == numpy.dtype("<U6")
    assert texts.dims == ("time", "names_0")
    assert texts.read().tolist() == names
    table = stream.tables["internal"]
    assert str(table.schema.field("small").type) == "list<item: int64>"
    assert table.read(["small"], 2, 4)["small"].to_pylist() == small[2:4]
    assert "ts_image" in table.columns


def test_one_image_is_read_without_the_others(monkeypatch):
    monkeypatch.setattr(_segment, "BATCH_ROWS", 2)
    read: list[tuple[int, int]] = []
    original = Segment.column

    def column(self: Segment, number: int, start: int, stop: int) -> Any:
        read.append((start, stop))
        return original(self, number, start, stop)

    monkeypatch.setattr(Segment, "column", column)
    kept = Segment(encode_segment(source_pages(with_columns({"image": _IMAGES}))))
    source = dataclasses.replace(
        source_of(run_of(with_columns({"image": _IMAGES}))),
        get_event_pages=lambda uid, skip=0, limit=None: slice_pages([kept.page(uid)], skip, limit),
    )
    image = run_layout(source).streams["primary"].arrays["image"]
    assert read == []
    numpy.testing.assert_array_equal(image.block(1, 0, 0), numpy.array(_IMAGES)[2:4])
    assert set(read) == {(2, 4)}


def source_pages(documents: Any) -> list[Any]:
    source = source_of(run_of(documents))
    return list(source.get_event_pages(source.get_event_descriptors()[0]["uid"]))


@pytest.mark.parametrize("stored", [False, True], ids=["plain", "segments"])
def test_values_of_no_one_type_stand_in_the_table_as_json(stored):
    values = [1, "a", None, {"x": [1.5]}, [1, [2]], numpy.arange(2)]
    source = source_of(run_of(with_columns({"any": values, "bytes": [b"a"] * 6, "odd": ["\ud800"] * 6})))
    table = run_layout(segmented(source) if stored else source).streams["primary"].tables["internal"]
    assert table.schema.field("any").metadata == {b"encoding": b"json"}
    found = [None if text is None else json.loads(text) for text in table.read(["any"])["any"].to_pylist()]
    assert found == [1, "a", None, {"x": [1.5]}, [1, [2]], [0, 1]]
    assert table.read(["bytes"])["bytes"].to_pylist() == [b"a"] * 6
    assert table.read(["odd"])["odd"].to_pylist() == ["?"] * 6


@pytest.mark.parametrize("stored", [False, True], ids=["plain", "segments"])
@pytest.mark.parametrize(
    "values",
    [
        ["x", 1],
        [2.5, "longer text"],
        ["x", True],
        ["x", math.nan, 1e300],
        ["", 0],
        ["x", b"b"],
        [1, b"b"],
        [b"b", math.nan],
        ["\u00b5", 1],
        ["x" * 40, 1, -(2**63)],
    ],
    ids=ascii,
)
def test_texts_among_other_values_stand_in_the_table_as_reading_gives_them(values, stored):
    run = run_of(with_columns({"mixed": values}))
    source = source_of(run)
    layout = run_layout(segmented(source) if stored else source)
    assert check_values(run, layout) > 0
    table = layout.streams["primary"].tables["internal"]
    whole = table.read(["mixed"])
    assert str(table.schema.field("mixed").type) in ("string", "binary")
    for row in range(len(values)):
        assert table.read(["mixed"], row, row + 1).equals(whole.slice(row, 1))


def test_half_a_surrogate_pair_beside_a_number_is_replaced():
    source = source_of(run_of(with_columns({"mixed": ["\ud800", 1]})))
    table = run_layout(source).streams["primary"].tables["internal"]
    assert table.read(["mixed"])["mixed"].to_pylist() == ["?", "1"]


def test_texts_that_become_nothing_after_the_run_was_looked_at_are_told_of():
    documents = with_columns({"x": ["a", "b"]})
    source = source_of(run_of(documents))
    table = run_layout(source).streams["primary"].tables["internal"]
    for changed_to in ([["a"], "b"], [["a"], ["b"]], [None, 1], [b"\xff", "a"], [{}, 2**70]):
        page = {**source_pages(documents)[0], "data": {"x": changed_to}}
        changed = dataclasses.replace(
            table, source=dataclasses.replace(source, get_event_pages=lambda *a, page=page, **k: [page])
        )
        with pytest.raises(Invalid, match="describe the run again"):
            changed.read(["x"])


def test_very_many_columns_are_several_tables(monkeypatch):
    monkeypatch.setattr(_layout, "MOST_COLUMNS", 4)
    run = run_of(samples.scalars())
    stream = run_layout(source_of(run)).streams["primary"]
    assert [table.columns for table in stream.tables.values()] == [
        ["seq_num", "time", "motor", "count"],
        ["open", "mixed", "ts_motor", "ts_count"],
        ["ts_open", "ts_mixed"],
    ]
    assert list(stream.tables) == ["internal_0", "internal_1", "internal_2"]
    assert [list(table.metadata) for table in stream.tables.values()] == [["motor", "count"], ["open", "mixed"], []]
    assert check_values(run, run_layout(source_of(run))) == 4


def test_external_images_are_arrays_and_their_datum_ids_are_not_shown(tmp_path):
    documents = samples.external(tmp_path, events=3)
    run = run_of(documents)
    stream = run_layout(source_of(run)).streams["primary"]
    leaf = stream.arrays["image"]
    assert isinstance(leaf, ArrayLeaf)
    assert leaf.is_external
    assert "image" not in stream.tables["internal"].columns
    assert leaf.metadata == documents[1][1]["data_keys"]["image"]
    assert leaf.shape == (3, 4, 5)
    assert leaf.dtype == numpy.dtype("uint16")
    assert leaf.read((1, 0, 0)) == 1
    assert check_values(run, run_layout(source_of(run))) == 2
    for file in tmp_path.iterdir():
        file.unlink()
    gone = run_layout(source_of(run)).streams["primary"]
    assert gone.tables["internal"].rows == 3
    with pytest.raises(MissingFile):
        gone.arrays["image"].read()


def test_streams_of_external_data_are_arrays_without_a_table(tmp_path):
    import h5py

    data = numpy.arange(80, dtype="<u2").reshape(4, 4, 5)
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file.create_dataset("entry/data/data", data=data, chunks=(1, 4, 5))
    run = run_of(samples.stream_external(str(tmp_path), events=4))
    stream = run_layout(source_of(run)).streams["primary"]
    assert list(stream.nodes) == ["image"]
    leaf = stream.arrays["image"]
    assert leaf.is_external
    assert leaf.shape[0] == 4
    numpy.testing.assert_array_equal(leaf.read().reshape(data.shape), data)
    assert check_values(run, run_layout(source_of(run))) == 1


def test_a_column_that_some_events_lack_has_no_values_there():
    run = samples._Recording()
    keys = {"x": {"source": "s", "dtype": "integer", "shape": []}}
    wide = {"source": "s", "dtype": "array", "shape": [17]}
    first = run.stream("primary", keys)
    run.event(first, {"x": 1})
    second = run.stream("another", {"x": keys["x"], "row": wide, "y": keys["x"]})
    run.documents[-1][1]["name"] = "primary"  # with other keys than the first, which old recordings have
    run.event(second, {"x": 2, "row": list(range(17)), "y": 5})
    found = run_of(run.stop())
    stream = run_layout(source_of(found)).streams["primary"]
    assert stream.tables["internal"].read(["x", "y"]).to_pydict() == {"x": [1, 2], "y": [None, 5]}
    assert list(stream.metadata["data_keys"]) == ["x", "row", "y"]
    row = stream.arrays["row"]
    assert row.shape == (2, 17)
    assert numpy.isnan(row.read(0)).all()
    numpy.testing.assert_array_equal(row.read(1), numpy.arange(17))


def test_events_that_change_their_kind_after_the_run_was_looked_at_are_told_of():
    documents = with_columns({"x": [1.0, 2.0]})
    source = source_of(run_of(documents))
    table = run_layout(source).streams["primary"].tables["internal"]
    page = dict(source_pages(documents)[0])
    page["data"] = {"x": ["a", "b"]}
    changed = dataclasses.replace(table, source=dataclasses.replace(source, get_event_pages=lambda *a, **k: [page]))
    with pytest.raises(Invalid, match="describe the run again"):
        changed.read(["x"])


def test_a_stream_without_events_has_the_types_that_are_declared():
    stream = run_layout(source_of(run_of(samples.zero_events()))).streams["primary"]
    schema = stream.tables["internal"].schema
    assert [str(schema.field(key).type) for key in ("motor", "count", "open")] == ["double", "int64", "bool"]
    assert stream.tables["internal"].read().num_rows == 0


def test_segment_pages_are_told_apart_from_pages_in_memory():
    source = source_of(run_of(samples.scalars()))
    uid = source.get_event_descriptors()[0]["uid"]
    assert all(isinstance(page, SegmentPage) for page in segmented(source).get_event_pages(uid))
