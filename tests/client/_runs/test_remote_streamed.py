"""Files that a server tells become stream resources and stream datums, the same each time."""

from __future__ import annotations

from typing import Any

import event_model
import pytest

from databroker_like.client._runs._streamed import streamed_documents


def _item(*uris: str, mimetype: str = "application/x-hdf5") -> dict[str, Any]:
    # The server need not tell them in order.
    assets = [{"data_uri": uri, "num": number} for number, uri in reversed(list(enumerate(uris)))]
    source = {"mimetype": mimetype, "parameters": {"dataset": "/a"}, "assets": assets}
    return {"attributes": {"data_sources": [source]}}


def test_one_file_has_the_events_of_all_descriptors() -> None:
    [(resource, datums)] = streamed_documents("run", "img", _item("file://localhost/a.h5"), [("d1", 2), ("d2", 3)])
    assert [(doc["descriptor"], doc["indices"], doc["seq_nums"]) for doc in datums] == [
        ("d1", {"start": 0, "stop": 2}, {"start": 1, "stop": 3}),
        ("d2", {"start": 2, "stop": 5}, {"start": 1, "stop": 4}),
    ]
    assert (resource["data_key"], resource["parameters"]) == ("img", {"dataset": "/a"})
    event_model.schema_validators[event_model.DocumentNames.stream_resource].validate(resource)
    for doc in datums:
        event_model.schema_validators[event_model.DocumentNames.stream_datum].validate(doc)


def test_a_file_for_each_event_is_a_resource_each() -> None:
    item = _item(*(f"file://localhost/{n}.npy" for n in range(3)), mimetype="multipart/related;type=application/x-npy")
    found = streamed_documents("run", "img", item, [("d1", 1), ("d2", 2)])
    assert [resource["uri"][-5:] for resource, _ in found] == ["0.npy", "1.npy", "2.npy"]
    assert {resource["mimetype"] for resource, _ in found} == {"application/x-npy"}
    assert [[(doc["descriptor"], doc["seq_nums"]["start"]) for doc in datums] for _, datums in found] == [
        [("d1", 1)],
        [("d2", 1)],
        [("d2", 2)],
    ]
    assert len({resource["uid"] for resource, _ in found}) == 3
    assert found == streamed_documents("run", "img", item, [("d1", 1), ("d2", 2)])


@pytest.mark.parametrize("sources", [None, [], [{"mimetype": "application/x-hdf5", "assets": []}]])
def test_of_files_that_are_not_told_there_is_nothing(sources: Any) -> None:
    assert streamed_documents("run", "img", {"attributes": {"data_sources": sources}}, [("d", 3)]) == []


def test_files_that_are_not_one_for_each_event_are_left_out() -> None:
    assert streamed_documents("run", "img", _item("file://localhost/a", "file://localhost/b"), [("d", 3)]) == []
