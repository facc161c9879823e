"""Files that are damaged, edited, linked in circles, or hold values that fit their encoding badly."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import msgpack
import numpy as np
import pytest

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.errors import InvalidDocument
from databroker_like.testing import _runs as samples
from databroker_like_handlers.npy import NumpySeqHandler

UID = "41fb8ca9-0000-4000-8000-000000000000"


def encoded(suffix: str, events: int) -> bytes:
    documents = samples.scalars(events=events, uid=UID, time=1000.0)
    if suffix == "jsonl":
        return "".join(json.dumps(pair) + "\n" for pair in documents).encode()
    return b"".join(msgpack.packb(list(pair)) for pair in documents)


CATALOGS = {"jsonl": BlueskyJSONLCatalog, "msgpack": BlueskyMsgpackCatalog}


@pytest.mark.filterwarnings("ignore:.*truncated:UserWarning")
@pytest.mark.parametrize("suffix", CATALOGS)
@pytest.mark.parametrize("events", [3, 3000])
def test_a_compressed_file_that_is_cut_off_reads_up_to_there(tmp_path: Path, suffix: str, events: int) -> None:
    path = tmp_path / f"a.{suffix}.gz"
    whole = gzip.compress(encoded(suffix, events))
    path.write_bytes(whole[: -min(len(whole) // 10, 2000)])
    catalog = CATALOGS[suffix](str(path))
    found = catalog[UID].primary.read().sizes["time"]
    assert found >= events // 2
    assert "truncated" in catalog.problems[str(path)]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("suffix", CATALOGS)
def test_a_compressed_file_with_damage_anywhere_spoils_no_other(tmp_path: Path, suffix: str, write_lines) -> None:
    whole = gzip.compress(encoded(suffix, 500))
    problems = set()
    for place in range(12, len(whole) - 8, len(whole) // 60):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        damaged[place + 1] ^= 0x5A
        (tmp_path / f"{place}.{suffix}.gz").write_bytes(damaged)
    good = "a good run"
    other = samples.scalars(events=2, uid=good, time=2000.0)
    if suffix == "jsonl":
        write_lines(tmp_path / "good.jsonl", other)
    else:
        (tmp_path / "good.msgpack").write_bytes(b"".join(msgpack.packb(list(pair)) for pair in other))
    catalog = CATALOGS[suffix](str(tmp_path / f"*.{suffix}*"))
    assert good in catalog
    assert catalog[good].primary.read().sizes["time"] == 2
    for uid in catalog:
        list(catalog[uid].documents(fill="no"))
    problems = set(catalog.problems.values())
    assert any("decompressing" in problem for problem in problems)


def test_a_finished_run_that_was_edited_in_its_file_is_read_as_it_is_now(tmp_path: Path, write_lines, settle) -> None:
    documents = samples.scalars(events=2, uid=UID, time=1000.0)
    path = write_lines(tmp_path / "a.jsonl", documents)
    settle(tmp_path)
    catalog = BlueskyJSONLCatalog(str(path))
    before = catalog[UID]
    key = next(iter(before.primary.read()))
    assert catalog[UID] is before
    for name, doc in documents:
        if name == "descriptor":
            doc["data_keys"][key]["units"] = "furlong"
    write_lines(path, documents)
    descriptor = catalog[UID].primary.metadata["descriptors"][0]
    assert descriptor["data_keys"][key]["units"] == "furlong"
    assert catalog[UID] is catalog[UID]


def test_a_run_stays_the_same_object_while_it_is_recorded_and_when_it_ends(tmp_path: Path) -> None:
    catalog = BlueskyJSONLCatalog(str(tmp_path / "*.jsonl"))
    seen = []
    for name, doc in samples.scalars(events=3, uid=UID, time=1000.0):
        catalog.insert(name, doc)
        seen.append(catalog[-1])
    catalog.close()
    assert all(run is seen[0] for run in seen)
    assert catalog[-1] is seen[0]


def test_links_that_lead_back_are_followed_once(tmp_path: Path, write_lines) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    write_lines(tmp_path / "real" / "deep" / "a.jsonl", samples.scalars(events=1, uid=UID, time=1000.0))
    write_lines(tmp_path / "b.jsonl", samples.scalars(events=1, uid="another", time=2000.0))
    # Two of them in one folder would be 2 ** 40 ways through it.
    for name in ("one", "two"):
        (tmp_path / "real" / name).symlink_to(tmp_path)
    assert list(BlueskyJSONLCatalog(str(tmp_path / "**" / "*.jsonl"))) == [UID, "another"]
    assert list(BlueskyJSONLCatalog(str(tmp_path / "**" / "deep" / "**" / "a.jsonl"))) == [UID]


@pytest.mark.parametrize("value", [2**70, 2**70 + 1, -(2**64), 2**64 - 1])
def test_large_integers_stay_integers_in_json_lines(tmp_path: Path, value: int) -> None:
    catalog = BlueskyJSONLCatalog(str(tmp_path / "*.jsonl"))
    catalog.insert("start", {"uid": UID, "time": 1000.0, "number": value})
    catalog.close()
    found = catalog[UID].metadata["start"]["number"]
    assert (type(found), found) == (int, value)


@pytest.mark.parametrize("value", [np.array([1, 2]), np.array([1.0, np.nan]), [np.array(["a"])], float("nan")])
@pytest.mark.parametrize(
    "make", [lambda folder: BlueskyMsgpackCatalog(f"{folder}/*.msgpack"), lambda folder: BlueskyInMemoryCatalog()]
)
def test_a_start_document_may_hold_arrays_and_nan(tmp_path: Path, value: object, make) -> None:
    catalog = make(tmp_path)
    catalog.insert("start", {"uid": UID, "time": 1000.0, "thing": value})
    catalog.close()
    assert catalog[UID] is catalog[UID]
    assert catalog[UID] == catalog[-1]
    np.testing.assert_equal(catalog[UID].metadata["start"]["thing"], value)


@pytest.mark.parametrize("value", [np.longdouble(1.5), np.array([1.5], dtype=np.longdouble)])
def test_what_json_has_no_number_for_is_refused(tmp_path: Path, value: object) -> None:
    catalog = BlueskyJSONLCatalog(str(tmp_path / "*.jsonl"))
    with pytest.raises(InvalidDocument, match="cannot be written as JSON"):
        catalog.insert("start", {"uid": UID, "time": 1000.0, "thing": value})
    assert list(catalog) == []


@pytest.mark.parametrize("suffix", ["jsonl", "msgpack", "store"])
def test_what_cannot_be_written_is_named_with_its_document_and_its_place(tmp_path: Path, suffix: str) -> None:
    makers = {"jsonl": BlueskyJSONLCatalog, "msgpack": BlueskyMsgpackCatalog, "store": BlueskyEmbeddedCatalog}
    catalog = makers[suffix](str(tmp_path / ("store" if suffix == "store" else f"*.{suffix}")))
    doc = {"uid": UID, "time": 1000.0, "number": float("nan"), "sample": {"grown": [1, {"on": {1, 2}}]}}
    with pytest.raises(InvalidDocument, match=rf"{UID}.* at 'sample.grown.1.on': a set cannot be written as "):
        catalog.insert("start", doc)
    assert list(catalog) == []
    catalog.close()


def test_a_catalog_file_made_of_a_catalog_opens_again(tmp_path: Path, write_lines) -> None:
    import intake

    write_lines(tmp_path / "a.jsonl", samples.scalars(events=1, uid=UID, time=1000.0))
    catalog = BlueskyJSONLCatalog(str(tmp_path / "*.jsonl"), name="mine")
    catalog.save(str(tmp_path / "saved.yml"))
    assert list(intake.open_catalog(str(tmp_path / "saved.yml"))["mine"]) == [UID]


def _numbered(start: dict) -> dict:
    return {**start, "scan_id": 5}


def test_a_search_result_with_a_path_a_handler_and_a_transform_opens_again_too(tmp_path: Path, write_lines) -> None:
    from databroker_like import open_catalog

    for number in range(2):
        run = samples.scalars(events=1, uid=f"run{number}", time=1000.0, number=number)
        write_lines(tmp_path / f"{number}.jsonl", run)
    catalog = BlueskyJSONLCatalog(
        [tmp_path / "*.jsonl"], handler_registry={"X": NumpySeqHandler}, transforms={"start": _numbered}
    )
    catalog.save(str(tmp_path / "all.yml"))
    catalog.search({"number": {"$gte": 1}}).search({"time": {"$exists": True}}).save(str(tmp_path / "found.yml"))
    assert list(open_catalog(tmp_path / "all.yml")["catalog"]) == ["run0", "run1"]
    found = open_catalog(tmp_path / "found.yml")["search results"]
    assert list(found) == ["run1"]
    assert found.handler_registry["X"] is NumpySeqHandler
    assert found[-1].metadata["start"]["scan_id"] == 5


def test_a_folder_that_is_a_file_or_below_one_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("no folder")
    for folder, problem in ((tmp_path / "notes", "it is no folder"), (tmp_path / "notes" / "runs", "Not a directory")):
        catalog = BlueskyJSONLCatalog(str(folder / "*.jsonl"))
        assert len(catalog) == 0
        assert problem in catalog.problems[str(folder)]


def test_a_folder_that_is_not_there_or_not_to_be_read_is_a_problem(tmp_path: Path, monkeypatch) -> None:
    missing = BlueskyJSONLCatalog(str(tmp_path / "runs" / "*.jsonl"))
    assert (list(missing), missing.problems) == ([], {str(tmp_path / "runs"): "there is no such folder"})
    missing.insert("start", {"uid": UID, "time": 1000.0})
    missing.close()
    assert (list(missing), missing.problems) == ([UID], {})
    # For root every folder can be read.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert "permission denied" in missing.problems[str(tmp_path / "runs")]


def test_a_list_of_documents_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(json.dumps(samples.scalars(events=2, uid=UID, time=1000.0)).encode("utf-8-sig"))
    catalog = BlueskyJSONLCatalog(str(tmp_path / "*.json"))
    assert catalog[UID].primary.read().sizes["time"] == 2
    assert catalog.problems == {}
