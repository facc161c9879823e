"""Runs recorded at beamlines read as what the people who recorded them say of them."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy
import pytest

from databroker_like.core._pages import unpack_event_page
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.testing._alike import assert_alike


def _decoded(path: Path) -> list:
    text = path.read_text()
    return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def absorption(shared_data):
    return BlueskyMsgpackCatalog(str(shared_data / "absorption-pack" / "documents" / "*.msgpack"))[-1]


@pytest.mark.parametrize("stream", ["primary", "baseline"])
def test_an_exported_scan_reads_as_its_own_csv(shared_data, absorption, stream):
    with (shared_data / "absorption-pack" / "export" / f"scan_1049_{stream}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    dataset = absorption[stream].read()
    assert len(dataset["time"]) == len(rows) > 1
    columns = set(rows[0]) - {"seq_num"}
    assert columns == {*map(str, dataset.data_vars), "time"}
    for name in columns:
        for value, text in zip(dataset[name].values.tolist(), (row[name] for row in rows), strict=True):
            if isinstance(value, bool | str):
                assert str(value) == text, name
            elif isinstance(value, list):
                assert numpy.array_equal(value, [float(part) for part in text.strip("[]").split()]), name
            else:
                assert math.isclose(value, float(text), rel_tol=1e-12), name


def test_an_exported_scan_has_the_metadata_of_its_own_json(shared_data, absorption):
    exported = json.loads((shared_data / "absorption-pack" / "export" / "scan_1049_meta.json").read_text())["metadata"]
    for part in ("start", "stop"):
        said = exported[part]
        assert {key: absorption.metadata[part][key] for key in said} == said
    source = absorption.cat.collection.source(absorption.metadata["start"]["uid"], None)
    said = {uid: doc for docs in exported["descriptors"].values() for uid, doc in docs.items()}
    for descriptor in source.get_event_descriptors():
        assert json.loads(json.dumps(descriptor["data_keys"])) == said[descriptor["uid"]]["data_keys"]


def test_an_exported_image_is_the_one_in_its_file(shared_data):
    pack = shared_data / "images-pack"
    root = "f8483b80395561ac779a5425da6646ca"
    catalog = BlueskyMsgpackCatalog(
        str(pack / "documents" / "*.msgpack"),
        root_map={root: str(pack / "external_files" / root)},
        handler_registry={"NPY_SEQ": "ophyd.sim.NumpySeqHandler"},
    )
    assert len(catalog) == 3
    run = next(run for run in catalog.values() if "img" in run["primary"].read())
    image = run["primary"].read()["img"].values
    (file,) = (pack / "external_files" / root).glob("*.npy")
    numpy.testing.assert_array_equal(image.reshape(10, 10), numpy.load(file))


@pytest.mark.parametrize(("folder", "count"), [("edge-scans-jsonl", 9), ("beamline-json", 3)])
def test_every_document_of_a_file_comes_out_of_the_catalog(shared_data, folder, count):
    catalog = BlueskyJSONLCatalog(str(shared_data / folder))
    assert catalog.problems == {}
    assert len(catalog) == count
    times = [catalog.collection.start(uid)["time"] for uid in catalog]
    assert times == sorted(times)
    for path in (shared_data / folder).glob("*.json*"):
        documents = _decoded(path)
        uid = documents[0][1]["uid"]
        source = catalog.collection.source(uid, None)
        assert_alike([source.get_run_start()], [documents[0][1]])
        assert_alike([source.get_run_stop()], [doc for name, doc in documents if name == "stop"])
        descriptors = [doc for name, doc in documents if name == "descriptor"]
        assert_alike(source.get_event_descriptors(), descriptors)
        assert_alike(source.get_resources(), [doc for name, doc in documents if name == "resource"])
        for descriptor in descriptors:
            written = []
            for name, doc in documents:
                if name in ("event", "event_page") and doc["descriptor"] == descriptor["uid"]:
                    written += [doc] if name == "event" else unpack_event_page(doc)
            read = [event for page in source.get_event_pages(descriptor["uid"]) for event in unpack_event_page(page)]
            assert_alike(read, written)


def test_a_run_whose_images_are_absent_reads_its_numbers(shared_data):
    run = BlueskyJSONLCatalog(str(shared_data / "edge-scans-jsonl" / "2ecb9b67*.jsonl"))[-1]
    dataset = run["primary"].configure_new(exclude=["ns_image"]).read()
    assert dataset["ns_gap"].shape == (25,)
