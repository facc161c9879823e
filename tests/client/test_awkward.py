from __future__ import annotations

import io
import zipfile
from typing import Any

import awkward as ak
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from databroker_like import errors
from databroker_like.client import Context, from_context
from databroker_like.client.awkward import AwkwardClient
from tests.client.small_server import SmallServer

RECORDS = [{"x": [1, 2], "y": 1.5, "s": "ab"}, {"x": [], "y": None, "s": ""}, {"x": [3], "y": 3.5, "s": "c"}]


@pytest.fixture
def array(opened: Any, server: Any) -> AwkwardClient:
    server.nodes["records"] = ak.Array(RECORDS)
    client = opened("records")
    server.asked.clear()
    return client


def buffers_asked(server: Any) -> list[str]:
    return [path for method, path, _ in server.asked if (method, path.split("/")[1]) == ("POST", "awkward")]


def test_all_of_it_is_read_in_one_request(array: AwkwardClient, server: Any) -> None:
    assert array.read().tolist() == array[...].tolist() == RECORDS
    assert len(array) == 3
    assert len(buffers_asked(server)) == 2


@pytest.mark.parametrize(
    "part",
    [
        "x",
        0,
        -1,
        slice(None, None, -1),
        ["x", "y"],
        ("x", slice(None), slice(0, 1)),
        (0, "y"),
        ("x", 0, 1),
        [True, False, True],
        "s",
    ],
)
def test_parts_are_what_awkward_gives_in_one_request(array: AwkwardClient, server: Any, part: Any) -> None:
    expected = ak.Array(RECORDS)[part]
    assert ak.to_list(array[part]) == ak.to_list(expected)
    assert len(buffers_asked(server)) == 1


def test_only_the_buffers_that_are_needed_are_asked_for(
    array: AwkwardClient, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []
    real = server.answer
    monkeypatch.setattr(server, "answer", lambda path, query, body: sent.append(body) or real(path, query, body))
    array["y"]
    _, _, buffers = ak.to_buffers(ak.Array(RECORDS)[["y"]])
    assert sent[0].count(b"node") == len(buffers) == 2


def test_what_was_not_foreseen_is_fetched_all_the_same(
    array: AwkwardClient, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databroker_like.client.awkward._touched", lambda *_: set())
    assert array["x"].tolist() == [[1, 2], [], [3]]
    assert array[0].tolist() == RECORDS[0]


numbers = st.lists(st.lists(st.integers(-9, 9), max_size=4), max_size=6)
slices = st.builds(slice, *[st.none() | st.integers(-4, 4)] * 2, st.sampled_from([None, 1, 2, -1]))


@given(numbers, slices, slices)
def test_slices_are_those_of_awkward(rows: list[list[int]], first: slice, second: slice) -> None:
    held = ak.values_astype(ak.Array([*rows, [0]]), "int64")
    try:
        expected = held[first, second].tolist()
    except ValueError:
        # awkward itself cannot take some empty slices.
        reject()
    with Context.from_app(SmallServer({"a": held})) as context:
        found = from_context(context, node_path_parts=["a"])[first, second]
    assert found.tolist() == expected


def test_what_is_not_there_is_told(array: AwkwardClient) -> None:
    with pytest.raises(KeyError, match="no field 'z'"):
        array["z"]
    with pytest.raises(IndexError, match="with 9"):
        array[9]
    with pytest.raises(TypeError):
        array[object()]


@pytest.mark.parametrize("compression", [None, zipfile.ZIP_DEFLATED])
def test_a_reply_of_something_else_is_told(
    array: AwkwardClient, server: Any, compression: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = io.BytesIO()
    if compression is not None:
        with zipfile.ZipFile(sink, "w", compression) as packed:
            packed.writestr("node1-data", bytes(1000))
    monkeypatch.setattr(server, "answer", lambda *_: (200, "application/zip", sink.getvalue()))
    with pytest.raises(errors.ServiceFailed, match="buffers"):
        array.read()
