from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from databroker_like import errors
from databroker_like.client import Context, from_context
from databroker_like.client._writing._sending import as_json, as_key, as_wire
from databroker_like.nodes import ArrayData, MapNode, TableData
from databroker_like.structures import ArrayStructure, Spec
from databroker_like.tree import build_app
from tests.client.recording_server import RecordingServer


def test_a_container_is_made_with_what_it_is_given(writable: Any, recording: RecordingServer) -> None:
    made = writable.create_container(
        "a b", metadata={"shape": (2, 3), "x": np.float32(0.5), "y": np.arange(2)}, specs=["demo", Spec("other", "1")]
    )
    (asked,) = recording.changes
    assert (asked.method, asked.path) == ("POST", "/metadata/")
    assert asked.json == {
        "id": "a b",
        "structure_family": "container",
        "metadata": {"shape": [2, 3], "x": 0.5, "y": [0, 1]},
        "specs": [{"name": "demo", "version": None}, {"name": "other", "version": "1"}],
        "data_sources": [],
        "access_tags": None,
    }
    assert (made.path_parts, dict(made.metadata)) == (["a b"], asked.json["metadata"])
    assert [spec.name for spec in made.specs] == ["demo", "other"]
    inner = made.create_container("inner")
    assert recording.changes[-1].path == "/metadata/a b"
    assert inner.path_parts == ["a b", "inner"]


def test_what_has_no_key_gets_a_random_one_from_the_client(writable: Any, recording: RecordingServer) -> None:
    keys = [writable.create_container().path_parts[-1] for _ in range(2)]
    assert keys[0] != keys[1]
    assert [str(uuid.UUID(key)) for key in keys] == keys == [asked.json["id"] for asked in recording.changes]


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", "a\n", 3])
def test_a_key_that_cannot_stand_in_an_address_is_refused(key: Any) -> None:
    with pytest.raises((errors.Invalid, errors.WrongType)):
        as_key(key)


@pytest.mark.parametrize("value", [{1: 2}, {"a": object()}, {"a": {1j}}])
def test_what_json_has_no_word_for_is_refused(value: Any) -> None:
    with pytest.raises(errors.WrongType, match="cannot be written as JSON"):
        as_json(value)


def test_metadata_that_was_read_can_be_written(writable: Any) -> None:
    first = writable.create_container("a", metadata={"nested": {"list": [1, {"b": 2}]}})
    again = writable.create_container("b", metadata=first.metadata, specs=first.specs)
    assert again.metadata_copy() == first.metadata_copy() == as_wire(first.metadata)


def test_a_node_that_is_there_is_not_written_again(writable: Any) -> None:
    writable.create_container("a")
    with pytest.raises(errors.Conflict, match="there is a node 'a' already"):
        writable.create_container("a")


def test_a_node_of_which_nobody_knew_whether_it_was_made_is_taken(writable: Any, recording: RecordingServer) -> None:
    recording.instead = ["lost"]
    made = writable.write_array([1, 2, 3], key="a", metadata={"n": (1,)}, specs=["demo"])
    assert [(asked.method, asked.path) for asked in recording.changes] == [
        ("POST", "/metadata/"),
        ("POST", "/metadata/"),
        ("PUT", "/array/full/a"),
    ]
    assert made.path_parts == ["a"]


@pytest.mark.parametrize("other", [{"metadata": {"n": 2}}, {"specs": ["other"]}])
def test_another_node_that_came_between_is_not_taken(writable: Any, recording: RecordingServer, other: Any) -> None:
    writable.create_container("a", metadata={"n": 1})
    recording.instead = [503]
    with pytest.raises(errors.Conflict, match="already"):
        writable.create_container("a", **{"metadata": {"n": 1}, **other})


@pytest.mark.parametrize(("answer", "said"), [(b"null", "does not say what was made"), (b"{", "is broken")])
def test_an_answer_that_says_nothing_is_told(answer: bytes, said: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            node = recording.nodes[""]
            body = answer if scope["method"] == "POST" else orjson.dumps({"data": node, "formats": {}})
            head = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": body})

    recording = RecordingServer()
    context = Context.from_app(app)
    with context, pytest.raises(errors.ServiceFailed, match=said):
        from_context(context).create_container("a")


def test_a_low_level_node_is_made_of_its_data_sources(writable: Any, recording: RecordingServer) -> None:
    structure = ArrayStructure.from_array(np.ones(3))
    made = writable.new("array", [{"structure": structure, "mimetype": "application/x-zarr"}], key="a")
    (source,) = recording.changes[0].json["data_sources"]
    assert source == {
        "structure_family": "array",
        "id": None,
        "mimetype": "application/x-zarr",
        "parameters": {},
        "properties": {},
        "assets": [],
        "management": "writable",
        "structure": structure.to_json(),
    }
    assert made.structure() == structure
    with pytest.raises(errors.Invalid, match="data source"):
        writable.new("array", ["a.npy"])


def test_contents_are_deleted_one_by_one_or_all(writable: Any, recording: RecordingServer) -> None:
    for key in "abcd":
        writable.create_container(key)
    assert len(writable) == 4
    assert writable.delete_contents("a") is writable
    assert len(writable) == 3
    writable.delete_contents(["b", "b"], recursive=True, external_only=False)
    assert recording.changes[-1].query == {"recursive": "true", "external_only": "false"}
    assert recording.changes[-2].query == {"recursive": "false", "external_only": "true"}
    writable.delete_contents()
    assert list(recording.nodes) == [""]
    with pytest.raises(errors.NotFound):
        writable.delete_contents("a")


def test_a_path_is_deleted_and_a_key_with_a_slash_in_it(writable: Any, recording: RecordingServer) -> None:
    writable.create_container("a").create_container("b")
    writable.delete_contents("a/b")
    assert list(recording.nodes) == ["", "a"]
    recording.nodes["c%2Fd"] = recording.nodes["a"] | {"id": "c/d"}
    writable.delete_contents("c/d")
    assert list(recording.nodes) == ["", "a"]
    recording.nodes["c%2Fd"] = recording.nodes["a"] | {"id": "c/d"}
    writable.delete_contents()
    assert list(recording.nodes) == [""]
    with pytest.raises(errors.NotFound, match="name of nothing"):
        writable.delete_contents("/")


def test_what_was_deleted_without_an_answer_is_deleted(writable: Any, recording: RecordingServer) -> None:
    made = writable.create_container("a")
    recording.instead = ["lost"]
    made.delete()
    assert list(recording.nodes) == [""]
    with pytest.raises(errors.NotFound):
        made.delete()


def test_a_node_whose_data_did_not_arrive_is_told_of(writable: Any, recording: RecordingServer) -> None:
    recording.instead = ["", 500]
    with pytest.raises(errors.ServiceFailed) as caught:
        writable.write_array([1, 2], key="a")
    assert "The node 'a' was made and lacks data" in caught.value.__notes__[0]


def test_a_server_that_is_for_reading_is_said_to_be() -> None:
    tree = MapNode({"a": ArrayData(np.ones(3)), "t": TableData(pa.table({"x": [1]}))})
    with Context.from_app(build_app(tree, public=True)) as context:
        root = from_context(context)
        for write in (
            lambda: root.write_array([1]),
            lambda: root.create_container("b"),
            lambda: root["a"].write([1, 2, 3]),
            lambda: root["a"].patch([1.0], 3, extend=True),
            lambda: root["t"].write({"x": [2]}),
            lambda: root["t"].append_partition(0, {"x": [2]}),
            lambda: root["a"].update_metadata({"n": 1}),
            lambda: root["a"].replace_metadata({"n": 1}),
            lambda: root["a"].delete(),
            lambda: root["a"].close_stream(),
        ):
            with pytest.raises(errors.NotWritable, match=r"for reading\. Write to a server with a writable catalog"):
                write()
