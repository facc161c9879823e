from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from databroker_like import errors
from databroker_like.client import Context, from_context
from databroker_like.client._live import parsed_update
from databroker_like.client._writing._bodies import arrow_file
from databroker_like.client.stream import (
    ArraySubscription,
    CallbackRegistry,
    ContainerSubscription,
    LiveArrayRef,
    TableSubscription,
)
from databroker_like.nodes import ArrayData, MapNode, TableData
from databroker_like.structures import Spec, data_type_of
from databroker_like.tree import build_app
from tests.client.streaming_server import StreamingServer, says

WHEN = "2026-11-21T01:31:26.033117"
FLOATS = data_type_of(np.dtype("<f8")).to_json()
ARRAY_SCHEMA = {"type": "array-schema", "version": 1, "data_type": FLOATS}
TABLE_SCHEMA = {"type": "table-schema", "version": 1, "arrow_schema": "data:..."}
CONTAINER_SCHEMA = {"type": "container-schema", "version": 1}


def elements(sequence: int, *values: float, **more: Any) -> dict[str, Any]:
    told = {"shape": [len(values)], "offset": None, "block": None, "payload": np.array(values, "f8").tobytes()}
    head = {"type": "array-data", "sequence": sequence, "timestamp": WHEN, "mimetype": "application/octet-stream"}
    return {**head, **told, **more}


@contextmanager
def listening(server: StreamingServer, kind: Any = ArraySubscription, **more: Any) -> Iterator[Any]:
    """A subscription that has not begun."""
    with (
        server.running(**more),
        Context(f"{server.uri}/api/v1", api_key="secret") as context,
        kind(context, ["a", "b c"]) as subscription,
    ):
        yield subscription


def heard(server: StreamingServer, kind: Any = ArraySubscription, start: int | None = None, **more: Any) -> list[Any]:
    """The data of all updates until the end."""
    found: list[Any] = []
    with listening(server, kind, **more) as subscription:
        subscription.new_data.add_callback(lambda update: found.append(update))
        subscription.stream_closed.add_callback(lambda told: found.append("closed"))
        subscription.disconnected.add_callback(lambda told: found.append("disconnected"))
        subscription.start(start)
    return found


def test_elements_are_heard_in_order_until_the_stream_ends() -> None:
    server = StreamingServer(says(ARRAY_SCHEMA, elements(1, 1, 2), elements(2, 3, offset=[2], block=[1])))
    first, second, *rest = heard(server, start=1)
    assert first.data().tolist() == [1, 2]
    assert (second.data().tolist(), second.offset, second.block, second.sequence) == ([3], (2,), (1,), 2)
    assert second.timestamp.isoformat() == WHEN
    assert rest == ["closed", "disconnected"]
    assert server.asked == [
        ("/api/v1/stream/single/a/b%20c", {"envelope_format": "msgpack", "start": "1"}, "Apikey secret")
    ]


def test_rows_are_heard() -> None:
    body = bytes(arrow_file(pa.table({"x": [1, 2]})))
    rows = {
        "type": "table-data",
        "sequence": 1,
        "timestamp": WHEN,
        "mimetype": "application/vnd.apache.arrow.file",
        "partition": 0,
        "append": True,
        "payload": body,
    }
    (update, *_) = heard(StreamingServer(says(TABLE_SCHEMA, rows)), TableSubscription)
    assert update.data()["x"].tolist() == [1, 2]
    assert (update.partition, update.append, update.arrow_schema) == (0, True, "data:...")


def test_a_broken_connection_goes_on_after_the_last_update() -> None:
    server = StreamingServer(
        says(ARRAY_SCHEMA, elements(4, 1), code=None),
        says(ARRAY_SCHEMA, elements(5, 2), code=1012),
        says(ARRAY_SCHEMA, elements(6, 3)),
    )
    found = heard(server)
    assert [update.data().tolist() for update in found[:-2]] == [[1], [2], [3]]
    assert [query.get("start") for _, query, _ in server.asked] == [None, "5", "6"]


def test_a_server_that_goes_away_for_good_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILED_RETRY_TIMEOUT", "0.3")
    server = StreamingServer(says(ARRAY_SCHEMA, elements(1, 1), code=1012, wait=True))
    seen = threading.Event()
    with server.running(), Context(f"{server.uri}/api/v1") as context:
        subscription = ArraySubscription(context, ["a"])
        subscription.new_data.add_callback(lambda update: seen.set())
        subscription.start_in_thread()
        assert seen.wait(300)
    subscription._thread.join(300)
    subscription.disconnect()
    assert isinstance(subscription.error, errors.Unreachable)


@pytest.mark.parametrize(
    ("script", "error", "said"),
    [
        (says(code=4001), errors.NotAuthenticated, "TILED_API_KEY"),
        (says(ARRAY_SCHEMA, code=4003), errors.NotPermitted, "does not let you"),
        (says(ARRAY_SCHEMA, b"\xc1"), errors.ServiceFailed, "broken"),
        (says(ARRAY_SCHEMA, {"sequence": 1}), errors.ServiceFailed, "says nothing"),
        (says(ARRAY_SCHEMA, {"type": "array-data"}), errors.ServiceFailed, "cannot be meant"),
        (says(ARRAY_SCHEMA, elements(1, 2, mimetype="x/y")), errors.ServiceFailed, "x/y"),
    ],
)
def test_what_ends_it_before_its_time_is_an_error(script: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        heard(StreamingServer(script))


def test_an_update_that_is_too_large_says_how_to_take_it() -> None:
    server = StreamingServer(says(ARRAY_SCHEMA, elements(1, *range(100)), wait=True))
    with listening(server) as subscription, pytest.raises(errors.TooLarge, match="max_size"):
        subscription.start(max_size=500)


@pytest.mark.parametrize(
    ("status", "error"), [(401, errors.NotAuthenticated), (403, errors.NotPermitted), (404, errors.NotFound)]
)
def test_a_server_that_refuses_is_an_error_at_once(status: int, error: type[Exception]) -> None:
    def refuse(connection: Any, request: Any) -> Any:
        return connection.respond(status, "no\n")

    server = StreamingServer(says())
    with listening(server, process_request=refuse) as subscription, pytest.raises(error, match="'a/b c'"):
        subscription.start_in_thread()


def test_an_old_token_is_renewed() -> None:
    def refuse(connection: Any, request: Any) -> Any:
        return None if request.headers.get("Authorization") == "Bearer new" else connection.respond(401, "no\n")

    server = StreamingServer(says(ARRAY_SCHEMA, elements(1, 1)))
    with server.running(process_request=refuse), Context(f"{server.uri}/api/v1") as context:

        def renew(refused: str | None) -> bool:
            context.session.authorization = "Bearer new"
            return refused == "Bearer old"

        context.session.authorization, context.session.renew = "Bearer old", renew
        with ArraySubscription(context, ["a"]) as subscription:
            subscription.start()
    assert [key for _, _, key in server.asked] == ["Bearer new"]


def test_no_server_is_an_error_at_once() -> None:
    context = Context("http://127.0.0.1:9/api/v1")
    with ArraySubscription(context) as subscription, pytest.raises(errors.Unreachable, match="cannot be listened to"):
        subscription.start_in_thread()


def test_it_ends_when_it_is_told_to() -> None:
    server = StreamingServer(says(ARRAY_SCHEMA, wait=True))
    told: list[Any] = []
    with server.running(), Context(f"{server.uri}/api/v1") as context:
        with ArraySubscription(context, ["a"]) as subscription:
            subscription.stream_closed.add_callback(told.append)
            subscription.disconnected.add_callback(told.append)
            assert subscription.start_in_thread() is subscription
        assert (told, subscription.error) == ([subscription], None)
        with pytest.raises(errors.Invalid, match="started once"):
            subscription.start()


def test_a_callback_may_end_it() -> None:
    server = StreamingServer(says(ARRAY_SCHEMA, elements(1, 1), elements(2, 2), wait=True))
    with server.running(), Context(f"{server.uri}/api/v1") as context:
        subscription = ArraySubscription(context, ["a"])
        subscription.new_data.add_callback(lambda update: subscription.disconnect())
        subscription.start()
    assert subscription.error is None


def test_another_thread_ends_it_and_what_came_is_told() -> None:
    server = StreamingServer(says(ARRAY_SCHEMA, *(elements(n, n) for n in range(1, 20)), wait=True))
    told: list[Any] = []
    first = threading.Event()
    with listening(server) as subscription:
        subscription.new_data.add_callback(lambda update: (told.append(update.sequence), first.set()))
        subscription.disconnected.add_callback(lambda _: told.append("disconnected"))
        thread = threading.Thread(target=subscription.start)
        thread.start()
        assert first.wait(300)
        subscription.disconnect()
        thread.join(300)
        assert not thread.is_alive()
    assert told[-1] == "disconnected"
    assert told[:-1] == list(range(1, len(told)))


def test_it_may_end_without_being_waited_for() -> None:
    server = StreamingServer(says(ARRAY_SCHEMA, elements(1, 1), wait=True))
    ended = threading.Event()
    with listening(server) as subscription:
        subscription.disconnected.add_callback(lambda _: ended.set())
        subscription.start_in_thread()
        subscription.disconnect(wait=False)
        assert ended.wait(300)
    assert subscription.error is None


def test_a_callback_that_fails_hinders_no_other(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Any] = []
    server = StreamingServer(says(ARRAY_SCHEMA, elements(1, 1), elements(2, 2)))
    with server.running(), Context(f"{server.uri}/api/v1") as context, ArraySubscription(context, ["a"]) as made:
        made.new_data.add_callback(lambda update: 1 / 0).add_callback(seen.append)
        made.start()
    assert [update.sequence for update in seen] == [1, 2]
    assert sum("failed at" in record.message for record in caplog.records) == 2


def test_what_is_of_a_kind_unknown_here_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = StreamingServer(says(ARRAY_SCHEMA, {"type": "array-hologram", "sequence": 1}, elements(2, 1)))
    assert [update.sequence for update in heard(server)[:-2]] == [2]
    assert "array-hologram" in caplog.text


def test_callbacks_are_added_and_removed() -> None:
    class Now:
        def submit(self, call: Any, *given: Any) -> None:
            call(*given)

    seen: list[Any] = []
    registry: CallbackRegistry[str] = CallbackRegistry(Now())
    assert registry.add_callback(seen.append) is registry
    registry.process("a")
    registry.remove_callback(seen.append).process("b")
    assert seen == ["a"]
    for wrong in (lambda: registry.add_callback("print"), lambda: registry.remove_callback(print)):
        with pytest.raises(errors.Invalid):
            wrong()


@pytest.mark.parametrize("start", [-1, "1", 1.5])
def test_updates_are_numbered_from_one(start: Any) -> None:
    context = Context("http://127.0.0.1:9/api/v1")
    with ArraySubscription(context) as subscription, pytest.raises(errors.Invalid, match="numbered from 1"):
        subscription.start(start)


@pytest.fixture
def root() -> Iterator[Any]:
    tree = MapNode({"a": ArrayData(np.arange(5.0), metadata={"n": 1}), "t": TableData(pa.table({"x": [1]}))})
    with Context.from_app(build_app(tree, public=True)) as context:
        yield from_context(context)


def test_each_kind_of_node_is_listened_to_in_its_way(root: Any) -> None:
    for client, kind in ((root, ContainerSubscription), (root["a"], ArraySubscription), (root["t"], TableSubscription)):
        with client.subscribe() as subscription:
            assert type(subscription) is kind
            assert subscription.segments == client.path_parts
            with pytest.raises(errors.NotOffered, match="in this process"):
                subscription.start()


def test_a_node_that_was_made_has_a_client(root: Any) -> None:
    told = {
        "type": "container-child-created",
        "sequence": 1,
        "timestamp": WHEN,
        "key": "a",
        "structure_family": "array",
        "specs": [{"name": "demo", "version": None}],
        "metadata": {"n": 1},
        "data_sources": [],
        "access_tags": [],
    }
    changed = {**told, "type": "container-child-metadata-updated", "metadata": {"n": 2}}
    seen: list[Any] = []
    with root.subscribe() as subscription:
        subscription.child_created.add_callback(seen.append)
        subscription.child_metadata_updated.add_callback(seen.append)
        for message in (told, changed):
            subscription.process(parsed_update(subscription, CONTAINER_SCHEMA, message))
    created, updated = seen
    assert (created.key, created.specs, created.structure_family) == ("a", [Spec("demo")], "array")
    assert created.child().read().tolist() == [0, 1, 2, 3, 4]
    assert created.uri == root["a"].uri
    assert updated.metadata == {"n": 2}


def test_elements_in_files_are_read_when_they_are_wanted(root: Any) -> None:
    message = {
        "type": "array-ref",
        "sequence": 1,
        "timestamp": WHEN,
        "shape": [5],
        "patch": {"offset": [1], "shape": [2]},
        "data_source": {"id": 1},
        "uri": None,
        "data_type": FLOATS,
    }
    with root["a"].subscribe() as subscription:
        part = parsed_update(subscription, ARRAY_SCHEMA, message)
        whole = parsed_update(subscription, ARRAY_SCHEMA, {**message, "patch": None})
    assert isinstance(part, LiveArrayRef)
    assert part.data().tolist() == [1, 2]
    assert whole.data().tolist() == [0, 1, 2, 3, 4]
