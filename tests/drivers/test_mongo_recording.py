"""Recording into a MongoDB: what was acknowledged is there, once, and nothing is half written."""

from __future__ import annotations

import copy
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy
import pytest

from databroker_like.core._pages import pack_event_page
from databroker_like.drivers._mongo_server import MongoServer, close_clients
from databroker_like.drivers._mongo_sink import NormalizedSink
from databroker_like.drivers._mongo_writing import Writer
from databroker_like.drivers.mongo_normalized import BlueskyMongoCatalog
from databroker_like.errors import Conflict, Invalid, InvalidDocument, NotWritable
from databroker_like.testing import _runs as samples
from databroker_like.testing._alike import assert_alike


@pytest.fixture
def catalog(mongo):
    made = BlueskyMongoCatalog(mongo(), mongo())
    yield made
    made.close()


def insert(catalog, documents):
    for name, doc in documents:
        catalog.insert(name, doc)


def content(catalog):
    """Every document of both databases."""
    return {
        (server.shown, name): list(server.collection(name).find())
        for server in (catalog.collection.server, catalog.collection.assets)
        for name in sorted(server.database.list_collection_names())
    }


def event(run, seq_num, **more):
    descriptor = next(doc for name, doc in run if name == "descriptor")
    keys = list(descriptor["data_keys"])
    return {
        "uid": f"{descriptor['uid']}-{seq_num}",
        "descriptor": descriptor["uid"],
        "seq_num": seq_num,
        "time": 1000.0 + seq_num,
        "data": dict.fromkeys(keys, 1.5),
        "timestamps": dict.fromkeys(keys, 1000.0),
        "filled": {},
        **more,
    }


# -- identity


def test_another_event_of_the_same_place_in_its_stream_is_refused(catalog):
    run = samples.scalars(events=0)[:-1]
    insert(catalog, run)
    catalog.insert("event", event(run, 1))
    before = content(catalog)
    with pytest.raises(Conflict, match=r"another event of seq_num 1 .* event 'another' is not recorded"):
        catalog.insert("event", event(run, 1, uid="another", data=event(run, 5)["data"]))
    with pytest.raises(Conflict):
        catalog.insert("event", event(run, 2, uid=event(run, 1)["uid"]))
    assert content(catalog) == before


def test_another_stop_of_the_same_run_is_refused(catalog):
    run = samples.scalars()
    insert(catalog, run)
    with pytest.raises(Conflict):
        catalog.insert("stop", {**run[-1][1], "uid": "another"})
    assert catalog[-1].metadata["stop"]["uid"] == run[-1][1]["uid"]


def test_documents_after_the_stop_are_refused_and_the_same_ones_are_not(catalog):
    run = samples.scalars()
    insert(catalog, run)
    insert(catalog, run)
    catalog.close()
    insert(catalog, run)
    before = content(catalog)
    with pytest.raises(InvalidDocument, match="comes after the stop document"):
        catalog.insert("event", event(run, 99))
    with pytest.raises(InvalidDocument, match="comes after the stop document"):
        catalog.insert("event_page", pack_event_page(event(run, 98), event(run, 99)))
    with pytest.raises(InvalidDocument, match="comes after the stop document"):
        catalog.insert("descriptor", {**run[1][1], "uid": "late"})
    assert content(catalog) == before


def test_the_same_document_with_arrays_nan_and_tuples_is_the_same(catalog):
    run = samples.scalars(events=0)[:-1]
    insert(catalog, run)
    for _ in range(2):
        catalog.insert(
            "event",
            event(
                run,
                1,
                data={"motor": float("nan"), "count": numpy.int64(3), "open": (1, 2), "mixed": numpy.arange(3.0)},
            ),
        )
    (page,) = catalog.collection.source(run[0][1]["uid"], None).get_event_pages(run[1][1]["uid"])
    assert [type(value) for value in (page["data"]["count"][0].item(), page["data"]["mixed"][0])] == [int, list]
    assert page["data"]["mixed"][0] == [0.0, 1.0, 2.0]
    assert page["data"]["open"][0] == [1, 2]


def test_a_sender_may_change_its_document_afterwards(catalog):
    run = samples.scalars()
    sent = copy.deepcopy(run)
    for name, doc in sent:
        catalog.insert(name, doc)
        assert "_id" not in doc
        doc.clear()
    assert catalog[-1].metadata["start"] == run[0][1]


# -- pages


def test_a_page_is_kept_as_events_in_their_order(catalog):
    run = samples.scalars(events=0)[:-1]
    insert(catalog, run)
    count = 200 if catalog.collection.server.is_mongomock else 1500  # more than are asked for at once
    events = [event(run, number) for number in range(1, count + 1)]
    catalog.insert("event_page", pack_event_page(*events))
    assert catalog.collection.server.collection("event").count_documents({}) == count
    source = catalog.collection.source(run[0][1]["uid"], None)
    pages = list(source.get_event_pages(run[1][1]["uid"]))
    assert [n for page in pages for n in page["seq_num"]] == list(range(1, count + 1))


def test_a_page_of_which_some_are_there_adds_the_others(catalog):
    run = samples.scalars(events=0)[:-1]
    insert(catalog, run)
    events = [event(run, number) for number in range(1, 9)]
    for doc in (events[0], events[3], events[4]):
        catalog.insert("event", doc)
    catalog.insert("event_page", pack_event_page(*events))
    catalog.insert("event_page", pack_event_page(*events[2:]))
    catalog.insert("event_page", pack_event_page(*events))
    found = sorted(doc["seq_num"] for doc in catalog.collection.server.collection("event").find())
    assert found == list(range(1, 9))


@pytest.mark.parametrize("position", [0, 3, 7])
def test_of_a_page_that_is_refused_nothing_stays(catalog, position):
    run = samples.scalars(events=0)[:-1]
    insert(catalog, run)
    events = [event(run, number) for number in range(1, 9)]
    catalog.insert("event", {**events[position], "uid": "another", "time": 5000.0})
    before = content(catalog)
    with pytest.raises(Conflict, match="another event"):
        catalog.insert("event_page", pack_event_page(*events))
    assert content(catalog) == before


@pytest.mark.parametrize("position", [0, 3, 7])
def test_of_a_page_that_somebody_else_was_faster_with_nothing_stays_or_the_rest_follows(catalog, position):
    run = samples.scalars(events=0)[:-1]
    insert(catalog, run)
    catalog.insert("event", event(run, 1))
    events = [event(run, number) for number in range(2, 10)]
    other = BlueskyMongoCatalog(*catalog._captured_init_args)
    other.insert("event", {**events[position], "uid": "another"})
    before = content(catalog)
    with pytest.raises(Conflict, match="another event"):
        catalog.insert("event_page", pack_event_page(*events))
    assert content(catalog) == before
    more = [event(run, number) for number in range(11, 20)]
    other.insert("event", more[position])
    catalog.insert("event_page", pack_event_page(*more))
    assert catalog.collection.server.collection("event").count_documents({"seq_num": {"$gt": 10}}) == 9


def test_a_page_that_holds_one_place_twice_is_refused_before_it_is_written(catalog):
    run = samples.scalars(events=0)[:-1]
    insert(catalog, run)
    before = content(catalog)
    with pytest.raises(Conflict, match="another event of seq_num 1"):
        catalog.insert("event_page", pack_event_page(event(run, 1), event(run, 1, uid="other")))
    assert content(catalog) == before


def test_pages_of_datums_are_kept_as_datums(catalog, tmp_path):
    run = samples.external(tmp_path)
    resource = next(doc for name, doc in run if name == "resource")
    datums = [doc for name, doc in run if name == "datum"]
    insert(catalog, [pair for pair in run[:-1] if pair[0] != "datum"])
    page = {
        "resource": resource["uid"],
        "datum_id": [doc["datum_id"] for doc in datums],
        "datum_kwargs": {"index": numpy.array([doc["datum_kwargs"]["index"] for doc in datums])},
    }
    catalog.insert("datum_page", page)
    catalog.insert("datum_page", page)
    stored = list(catalog.collection.assets.collection("datum").find({}, {"_id": 0}, sort=[("_id", 1)]))
    assert_alike(stored, datums)
    with pytest.raises(Conflict):
        catalog.insert("datum_page", {**page, "datum_kwargs": {"index": [7, 8, 9]}})


# -- what a MongoDB cannot hold


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"sample": {"a.b": 1}}, "'a.b' (must not contain|was unexpected)"),
        ({"sample": {"$set": 1}}, "'\\$set' must not start with '\\$'"),
        ({"sample": 2**64}, "8-byte|not valid"),
        ({"sample": "\ud800"}, "surrogates"),
        ({"sample": {"image": [0.0] * 2_000_000}}, "MB; a MongoDB keeps documents of at most 16 MB"),
        ({"sample": {"x": object}}, "cannot encode object"),
    ],
)
def test_what_it_cannot_hold_is_told_before_anything_is_written(catalog, more, said):
    run = samples.scalars(events=0)[:-1]
    with pytest.raises(InvalidDocument, match=said) as caught:
        catalog.insert("start", {"uid": "whole", "time": 1.0, **more})
    assert len(str(caught.value)) < 600
    assert list(catalog) == []
    insert(catalog, run)
    before = content(catalog)
    with pytest.raises(Invalid):
        catalog.insert(
            "event_page",
            pack_event_page(event(run, 1), event(run, 2, data=dict.fromkeys(event(run, 2)["data"], more["sample"]))),
        )
    assert content(catalog) == before


def test_a_fsync_that_is_none_is_refused():
    with pytest.raises(Invalid, match=r"fsync, .* is one of 'event', 'never', 'stop', not 'sometimes'"):
        BlueskyMongoCatalog("mongodb://h/a", "mongodb://h/b", fsync="sometimes")


@pytest.mark.parametrize(
    ("fsync", "journaled"),
    [("never", set()), ("stop", {"run_stop"}), ("event", {"run_start", "event_descriptor", "event", "run_stop"})],
)
def test_fsync_says_what_the_server_journals_before_it_answers(mongo_server, fsync, journaled):
    from pymongo import monitoring

    class Watch(monitoring.CommandListener):
        def started(self, sent):
            if sent.command_name == "insert":
                commands.append((sent.command["insert"], sent.command.get("writeConcern", {})))

        def succeeded(self, sent):
            """Nothing to see."""

        failed = succeeded

    import pymongo

    commands = []
    with pymongo.MongoClient(os.environ["DATABROKER_LIKE_TEST_MONGO"], event_listeners=[Watch()], w=0) as client:
        database = client[MongoServer(mongo_server()).address.database]
        catalog = BlueskyMongoCatalog(database, database, fsync=fsync)
        insert(catalog, samples.scalars(events=2))
        assert {name for name, concern in commands if concern.get("j")} == journaled
        # Even with a client that asks for no answer, each is acknowledged.
        assert {concern.get("w", 1) for _, concern in commands} == {1}
        assert len(catalog[-1]["primary"].read()["time"]) == 2


def test_resources_on_another_server_are_journaled_at_once_because_the_stop_document_goes_elsewhere():
    here, beside, elsewhere = (MongoServer(f"mongodb://127.0.0.1:{port}/{name}") for port, name in ("1a", "1b", "2a"))
    for assets, journaled in ((beside, False), (elsewhere, True)):
        writer = Writer(here, assets, "stop")
        assert bool(writer._collection("datum").write_concern.document.get("j")) is journaled
        assert writer._collection("stop").write_concern.document["j"]
        assert not writer._collection("event").write_concern.document.get("j")
    close_clients()


# -- older databases


def test_a_database_that_holds_something_twice_is_recorded_into_by_looking_first(catalog):
    run = samples.scalars(events=3)
    events = catalog.collection.server.collection("event")
    old = {"descriptor": "old", "seq_num": 1, "time": 1.0, "data": {}, "timestamps": {}, "filled": {}}
    events.insert_many([{**old, "uid": "a"}, {**old, "uid": "b"}, {**old, "uid": "b"}])
    insert(catalog, run)
    insert(catalog, run)
    with pytest.raises(Conflict):
        catalog.insert("event", {**run[2][1], "time": 7.0})
    with pytest.raises(Conflict):
        catalog.insert("event", {**run[2][1], "uid": "another"})
    assert events.count_documents({}) == 6
    names = {tuple(key for key, _ in index["key"]) for index in events.index_information().values()}
    assert ("descriptor", "seq_num", "time") in names


def test_a_resource_that_names_no_run_belongs_to_the_only_one(catalog, tmp_path):
    run = samples.external(tmp_path)
    documents = [(n, {k: v for k, v in d.items() if n != "resource" or k != "run_start"}) for n, d in run]
    insert(catalog, documents)
    insert(catalog, documents[:2])
    resource = next(doc for name, doc in documents if name == "resource")
    source = catalog.collection.source(run[0][1]["uid"], None)
    assert_alike(source.get_resources(), [resource])
    assert_alike([source.get_resource(resource["uid"])], [resource])


def test_an_older_database_may_hold_resources_twice(catalog, tmp_path):
    run = samples.external(tmp_path)
    insert(catalog, run)
    resource = next(doc for name, doc in run if name == "resource")
    catalog.collection.assets.collection("resource").insert_one(dict(resource))
    assert_alike(catalog.collection.source(run[0][1]["uid"], None).get_resources(), [resource])


# -- several at once, and death


def test_several_threads_record_runs_at_the_same_time(catalog):
    runs = [samples.scalars(uid=f"run-{number}", time=float(number), events=20) for number in range(4)]
    threads = [threading.Thread(target=insert, args=(catalog, run)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(run["primary"].read()["time"]) for run in catalog.values()] == [20] * 4


def test_two_recorders_of_the_same_documents_keep_each_once(mongo_server):
    uris = mongo_server(), mongo_server()
    run = samples.several_streams(events=20)
    sinks = [NormalizedSink(*map(MongoServer, uris)) for _ in range(2)]
    failed = []

    def record(sink):
        try:
            for name, doc in run:
                sink.insert(name, doc)
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=record, args=(sink,)) for sink in sinks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    counted = MongoServer(uris[0]).collection("event").count_documents({})
    assert counted == sum(name == "event" for name, _ in run)


WRITER = """
    import json, sys
    from databroker_like.drivers.mongo_normalized import BlueskyMongoCatalog
    from databroker_like.core._pages import pack_event_page
    catalog = BlueskyMongoCatalog(sys.argv[1], sys.argv[2])
    for line in sys.stdin:
        name, doc = json.loads(line)
        catalog.insert(name, doc)
        print(json.dumps([name, doc.get("uid")]), flush=True)
"""


def test_what_was_acknowledged_survives_the_death_of_the_process(mongo_server):
    uris = mongo_server(), mongo_server()
    catalog = BlueskyMongoCatalog(*uris)
    catalog.create_indexes()
    pick = random.Random(5)
    for attempt in range(4):
        run = samples.scalars(events=60, uid=f"run-{attempt}", time=float(attempt))
        pages = [
            ("event_page", pack_event_page(*[doc for _, doc in run[2:-1]][begin : begin + 7]))
            for begin in range(0, 60, 7)
        ]
        documents = run if attempt % 2 else [*run[:2], *pages, run[-1]]
        writer = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), *uris],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = "".join(json.dumps([name, doc], default=lambda value: value.tolist()) + "\n" for name, doc in documents)
        feeder = threading.Thread(target=_feed, args=(writer.stdin, lines))
        feeder.start()
        acknowledged = []
        until = pick.randrange(1, len(documents))
        for line in writer.stdout:
            acknowledged.append(json.loads(line))
            if len(acknowledged) == until:
                time.sleep(pick.random() * 0.01)
                os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        feeder.join()
        events = [
            uid
            for name, uids in acknowledged
            if name.startswith("event")
            for uid in ([uids] if isinstance(uids, str) else uids)
        ]
        there = {doc["uid"] for doc in catalog.collection.server.collection("event").find({}, {"uid": 1})}
        assert len(acknowledged) >= until
        assert set(events) <= there
        # The run goes on where it was cut off, by sending everything again.
        insert(catalog, documents)
        source = catalog.collection.source(f"run-{attempt}", None)
        assert source.get_event_count(run[1][1]["uid"]) == 60
        catalog.close()


def _feed(stream, lines):
    try:
        with stream:
            stream.write(lines)
    except BrokenPipeError:
        return


def test_a_server_that_does_not_allow_it_is_told(catalog, monkeypatch):
    from pymongo.errors import OperationFailure

    insert(catalog, samples.nothing_but_start())

    def refuse(*args, **kwargs):
        raise OperationFailure("not authorized on runs to execute command insert", code=13)

    collection = type(catalog.collection.server.collection("run_stop"))
    monkeypatch.setattr(collection, "insert_one", refuse)
    uid = next(iter(catalog))
    with pytest.raises(NotWritable, match="not authorized on runs"):
        catalog.insert("stop", {"uid": "s", "run_start": uid, "time": 2.0, "exit_status": "success"})
    monkeypatch.undo()
    assert catalog[-1].metadata["stop"] is None
    catalog.insert("stop", {"uid": "s", "run_start": uid, "time": 2.0, "exit_status": "success"})


def test_the_run_engine_records(catalog):
    from bluesky import RunEngine
    from bluesky.plans import scan
    from ophyd.sim import det, motor

    engine = RunEngine({}, context_managers=[])
    engine.subscribe(catalog.insert)
    (uid,) = engine(scan([det], motor, -1, 1, 5))
    run = catalog[uid]
    assert run.metadata["stop"]["exit_status"] == "success"
    assert run["primary"].read()["motor"].values.tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
