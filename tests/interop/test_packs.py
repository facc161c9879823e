"""Exports of databroker-pack, and other people's recordings, in the folders they come in."""

from __future__ import annotations

import csv
import json
import warnings
from pathlib import Path

import intake
import numpy as np
import pytest

from databroker_like.drivers.jsonl import BlueskyJSONLCatalog


def test_a_pack_opens_through_its_own_catalog_file(shared_data: Path) -> None:
    catalogs = intake.open_catalog(str(shared_data / "absorption-pack" / "catalog.yml"))
    (name,) = catalogs
    run = catalogs[name][-1]
    assert run.metadata["start"]["uid"] == "befa48fc-3976-4812-8eee-688223770b46"
    assert {"baseline", "primary"} <= set(run)


@pytest.mark.parametrize("stream", ["primary", "baseline"])
def test_a_scan_is_what_the_persons_own_export_of_it_says(shared_data: Path, stream: str) -> None:
    folder = shared_data / "absorption-pack"
    catalogs = intake.open_catalog(str(folder / "catalog.yml"))
    data = catalogs[next(iter(catalogs))][-1][stream].read()
    with (folder / "export" / f"scan_1049_{stream}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    compared = 0
    for column in rows[0]:
        if column not in data.data_vars:
            continue
        values = [row[column] for row in rows]
        if data[column].dtype.kind in "fi":
            np.testing.assert_allclose(data[column].values, [float(v) if v else np.nan for v in values], rtol=1e-9)
            compared += 1
    assert data.sizes["time"] == len(rows)
    assert compared > 5


def test_a_pack_with_images_reads_them_from_beside_it(shared_data: Path) -> None:
    folder = shared_data / "images-pack"
    catalogs = intake.open_catalog(str(folder / "catalog.yml"))
    catalog = catalogs[next(iter(catalogs))]
    assert len(catalog) == 3
    read = {}
    for uid in catalog:
        for stream in catalog[uid]:
            descriptor = catalog[uid][stream].metadata["descriptors"][0]
            if any("external" in key for key in descriptor["data_keys"].values()):
                read[uid] = catalog[uid][stream].read()
    assert len(read) == 1
    (data,) = read.values()
    images = [v for v in data.data_vars.values() if v.ndim == 3]
    assert images
    (stored,) = (np.load(path) for path in (folder / "external_files").rglob("*.npy"))
    np.testing.assert_array_equal(images[0].values[0], stored)


def test_runs_in_json_lists_give_what_their_documents_say(shared_data: Path) -> None:
    folder = shared_data / "beamline-json"
    catalog = BlueskyJSONLCatalog(str(folder / "*.json"))
    files = sorted(folder.glob("*.json"))
    assert len(catalog) == len(files) == 3
    for path in files:
        documents = json.loads(path.read_text())
        start = next(doc for name, doc in documents if name == "start")
        run = catalog[start["uid"]]
        for descriptor in (doc for name, doc in documents if name == "descriptor"):
            events = [doc for name, doc in documents if name == "event" and doc["descriptor"] == descriptor["uid"]]
            data = run[descriptor["name"]].read()
            assert data.sizes["time"] == len(events)
            for key in descriptor["data_keys"]:
                assert data[key].values.tolist() == [event["data"][key] for event in events], key


def test_runs_whose_image_files_are_absent_still_give_their_numbers(shared_data: Path) -> None:
    catalog = BlueskyJSONLCatalog(str(shared_data / "edge-scans-jsonl" / "*.jsonl"))
    assert len(catalog) == 9
    columns = 0
    for uid in catalog:
        for stream in catalog[uid]:
            descriptors = catalog[uid][stream].metadata["descriptors"]
            inside = [k for k, v in descriptors[0]["data_keys"].items() if "external" not in v]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                data = catalog[uid][stream].configure_new(include=inside).read() if inside else None
            columns += 0 if data is None else len(data.data_vars)
    assert columns > 20
