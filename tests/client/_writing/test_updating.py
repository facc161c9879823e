from __future__ import annotations

from typing import Any

import pytest

from databroker_like import errors
from databroker_like.client import DELETE_KEY
from tests.client.recording_server import RecordingServer


@pytest.fixture
def node(writable: Any) -> Any:
    return writable.create_container("a", metadata={"n": 1, "deep": {"x": [1, 2], "y": 0}}, specs=["demo"])


def test_only_what_becomes_different_is_sent(node: Any, recording: RecordingServer) -> None:
    node.update_metadata({"n": DELETE_KEY, "deep": {"x": [1, 3]}, "é": "ü"}, specs=["demo", "more"])
    asked = recording.changes[-1]
    assert (asked.method, asked.path, asked.query) == ("PATCH", "/metadata/a", {})
    assert asked.json == {
        "content-type": "application/json-patch+json",
        "metadata": [
            {"op": "remove", "path": "/n"},
            {"op": "replace", "path": "/deep/x/1", "value": 3},
            {"op": "add", "path": "/é", "value": "ü"},
        ],
        "specs": [{"op": "add", "path": "/1", "value": {"name": "more", "version": None}}],
        "access_tags": None,
    }
    # What the server made of it is asked for.
    assert recording.asked[-1].method == "GET"


def test_nothing_is_sent_when_nothing_becomes_different(node: Any, recording: RecordingServer) -> None:
    before = len(recording.asked)
    node.update_metadata({"deep": {"y": 0}}, specs=["demo"])
    node.update_metadata()
    assert len(recording.asked) == before


def test_what_is_not_given_has_no_patch(node: Any) -> None:
    assert node.build_metadata_patches() == (None, None, None)
    assert node.build_metadata_patches({}, ["demo"], ["tag"]) == ([], [], [{"op": "add", "path": "/0", "value": "tag"}])


def test_the_version_before_may_be_dropped(node: Any, recording: RecordingServer) -> None:
    node.update_metadata({"n": 2}, drop_revision=True)
    assert recording.changes[-1].query == {"drop_revision": "true"}
    node.replace_metadata({"m": 1}, drop_revision=True)
    assert recording.changes[-1].query == {"drop_revision": "true"}


def test_metadata_is_replaced(node: Any, recording: RecordingServer) -> None:
    node.replace_metadata({"m": (1,)}, specs=["x"])
    asked = recording.changes[-1]
    assert (asked.method, asked.path) == ("PUT", "/metadata/a")
    assert asked.json == {"metadata": {"m": [1]}, "specs": [{"name": "x", "version": None}], "access_tags": None}


def test_a_patch_is_sent_as_it_is(node: Any, recording: RecordingServer) -> None:
    node.patch_metadata({"n": None}, content_type="application/merge-patch+json")
    assert recording.changes[-1].json["metadata"] == {"n": None}
    assert recording.changes[-1].json["content-type"] == "application/merge-patch+json"
    with pytest.raises(errors.Invalid, match="merge-patch"):
        node.patch_metadata({}, content_type="text/plain")


def test_a_patch_is_not_done_twice(node: Any, recording: RecordingServer) -> None:
    recording.instead = [503]
    before = len(recording.changes)
    with pytest.raises(errors.Unreachable):
        node.patch_metadata([{"op": "add", "path": "/deep/x/-", "value": 3}])
    assert len(recording.changes) == before + 1


@pytest.mark.parametrize("wrong", [{"metadata": ["a"]}, {"specs": "demo"}])
def test_what_is_no_metadata_is_refused(node: Any, wrong: Any) -> None:
    with pytest.raises(errors.Invalid):
        node.update_metadata(**wrong)


def test_a_stream_is_closed(node: Any, recording: RecordingServer) -> None:
    node.close_stream()
    assert (recording.changes[-1].method, recording.changes[-1].path) == ("DELETE", "/stream/close/a")


def test_what_metadata_was_is_forgotten(node: Any, recording: RecordingServer) -> None:
    recording.instead = [503]
    node.metadata_revisions.delete_revision(2)
    asked = recording.changes[-1]
    assert (asked.method, asked.path, asked.query) == ("DELETE", "/revisions/a", {"number": "2"})
    recording.instead = [404]
    with pytest.raises(errors.NotFound):
        node.metadata_revisions.delete_revision(7)
