"""The runs that contracts are tried on are runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy
import pytest

from databroker_like.core._validation import validate
from databroker_like.testing._runs import SAMPLES, external, no_stop, paged, scalars, stream_external, zero_events


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_document_of_a_sample_is_valid(kind: str) -> None:
    documents = SAMPLES[kind]()
    for name, doc in documents:
        validate(name, doc)
    assert documents[0][0] == "start"


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_sample_is_of_the_run_that_was_asked_for(kind: str) -> None:
    uid = "0d9f6f8e-0000-4000-8000-000000000001"
    documents = SAMPLES[kind](uid=uid, time=5.0, scan_id=9, sample="silver")
    start = documents[0][1]
    assert (start["uid"], start["time"], start["scan_id"], start["sample"]) == (uid, 5.0, 9, "silver")
    assert all(doc["run_start"] == uid for name, doc in documents if name in ("descriptor", "stop"))


def test_runs_may_have_no_end_and_streams_no_events() -> None:
    assert Counter(name for name, _ in no_stop(2)) == {"start": 1, "descriptor": 1, "event": 2}
    assert Counter(name for name, _ in zero_events()) == {"start": 1, "descriptor": 1, "stop": 1}


def test_pages_hold_the_same_events() -> None:
    uid = "0d9f6f8e-0000-4000-8000-000000000002"
    single = [doc["data"]["motor"] for name, doc in scalars(5, uid=uid) if name == "event"]
    pages = [doc["data"]["motor"] for name, doc in paged(5, uid=uid) if name == "event_page"]
    assert len(pages) == 2
    assert [value for page in pages for value in page] == single


def test_external_runs_write_the_files_they_refer_to(tmp_path: Path) -> None:
    documents = external(tmp_path, 2)
    assert Counter(name for name, _ in documents)["datum"] == 2
    assert (numpy.load(tmp_path / "image_1.npy") == numpy.full((4, 5), 1, dtype="uint16")).all()


def test_streamed_runs_announce_every_event_once() -> None:
    spans = [doc["indices"] for name, doc in stream_external("/data", 5) if name == "stream_datum"]
    assert [i for span in spans for i in range(span["start"], span["stop"])] == list(range(5))
