"""Several writers and many readers at once, in processes of one machine."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databroker_like.errors import Conflict, InvalidDocument, NotWritable
from databroker_like.store import _growth
from databroker_like.store._database import Overtaken
from databroker_like.store._recording import StoreSink
from databroker_like.store._store import Store
from tests.store.conftest import as_page, make_event, make_run, recorded

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_processes_record_other_runs_and_the_same_while_others_read(tmp_path):
    command = [sys.executable, "-m", "tests.store.crowd", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert (done.stdout, done.stderr) == ("well\n", "")


@pytest.fixture
def two(store, small):
    """Two recorders that know nothing of each other."""
    sinks = StoreSink(store), StoreSink(Store(store.path))
    yield sinks
    for sink in sinks:
        sink.close()


def send(sink, docs):
    for name, doc in docs:
        sink.insert(name, doc)


@pytest.mark.parametrize("turns", [1, 2, 4, 9, 30])
def test_two_that_send_the_same_in_turns_record_it_once(store, two, turns):
    docs = make_run("a", 40)
    for begin in range(0, len(docs), turns):
        for sink in two:
            send(sink, docs[begin : begin + turns])
    assert recorded(store, "a") == docs
    assert store.check() == []


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    turns=st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=30),
)
def test_two_that_send_the_same_in_any_order_of_turns_record_it_once(sizes, turns):
    """Each is at its own place among the documents; events come one by one (0) or in pages of so many."""
    docs, number = make_run("a", 0, stop=False), 0
    for size in sizes:
        events = [make_event("a", number + n + 1) for n in range(max(1, size))]
        number += len(events)
        docs.append(("event_page", as_page(events)) if size else ("event", events[0]))
    docs.append(make_run("a", 1)[-1])
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for name, value in (("EVENTS_AT_MOST", 3), ("ROWS_TO_A_FILE", 9), ("SMALLEST_FILE", 1000)):
            patch.setattr(_growth, name, value)
        stores = [Store(folder), Store(folder)]
        sinks, at = [StoreSink(store) for store in stores], [0, 0]
        for who, count in [*turns, (0, len(docs)), (1, len(docs))]:
            send(sinks[who], docs[at[who] : at[who] + count])
            at[who] += count
        assert recorded(stores[0], "a") == docs
        assert stores[0].check() == []
        for sink, store in zip(sinks, stores, strict=True):
            sink.close()
            store.close()


def test_one_that_was_left_behind_adds_after_the_columns_the_other_made(store, two):
    """What it knows of where the events end is old, and the rows there are no single rows any more."""
    first, second = two
    docs = make_run("a", 40)
    send(first, docs[:4])
    send(second, docs[:4])
    send(first, docs[4:20])
    second.insert("event", make_event("a", 100))
    second.insert("event_page", as_page([make_event("a", number) for number in (101, 102)]))
    first.insert("event_page", as_page([make_event("a", number) for number in (103, 104)]))
    send(first, docs[-1:])
    held = [doc["seq_num"] for name, doc in recorded(store, "a") if name == "event"]
    assert held == [*range(1, 19), 100]
    pages = [doc["seq_num"] for name, doc in recorded(store, "a") if name == "event_page"]
    assert pages == [[101, 102], [103, 104]]
    assert recorded(store, "a")[-1][0] == "stop"
    assert store.check() == []


def test_a_stop_document_of_one_that_was_left_behind_comes_last(store, two):
    first, second = two
    docs = make_run("a", 10)
    send(second, docs[:3])
    send(first, docs[:-1])
    second.insert(*docs[-1])
    assert recorded(store, "a") == docs
    with pytest.raises(ValueError, match="after the stop document"):
        send(StoreSink(Store(store.path)), [("event", make_event("a", 99))])
    assert store.check() == []


def late_documents():
    resource = {"uid": "a-r", "run_start": "a", "spec": "X", "root": "/", "resource_path": "x", "resource_kwargs": {}}
    datum = {"datum_id": "a-r/9", "resource": "a-r", "datum_kwargs": {}}
    page = {"resource": "a-r", "datum_id": ["a-r/8"], "datum_kwargs": {}}
    return [
        ("event", make_event("a", 99)),
        ("event_page", as_page([make_event("a", 98), make_event("a", 99)])),
        ("event_page", as_page([make_event("a", 3), make_event("a", 99)])),
        ("descriptor", {**make_run("a", 0)[1][1], "uid": "late"}),
        ("resource", {**resource, "uid": "late"}),
        ("datum", datum),
        ("datum_page", page),
        ("stop", {**make_run("a", 9)[-1][1], "uid": "late"}),
    ], ("resource", resource)


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("events", [3, 40], ids=["a few events", "many events"])
def test_what_is_left_behind_by_the_stop_document_of_another_is_refused(store, two, number, events):
    first, second = two
    late, resource = late_documents()
    docs = make_run("a", events)
    docs.insert(2, resource)
    for sink in two:
        send(sink, docs[:5])
    send(first, docs[5:])
    with pytest.raises((InvalidDocument, Conflict), match=r"comes after the stop document of run a|holds another stop"):
        second.insert(*late[number])
    send(second, docs)
    assert recorded(store, "a") == docs
    assert store.check() == []


def test_a_different_document_is_refused_whoever_sent_the_first(store, two):
    first, second = two
    docs = make_run("a", 4)
    send(second, docs[:2])
    send(first, docs)
    for name, doc in (docs[0], docs[1], docs[-1]):
        with pytest.raises(ValueError, match=r"another .* already"):
            second.insert(name, {**doc, "time": 5.0})
    other = make_event("a", 2)
    other["data"]["x"] = 99.0
    with pytest.raises(ValueError, match=r"seq_num 2.*already|already"):
        second.insert("event", other)
    assert recorded(store, "a") == docs


def test_a_place_that_others_take_again_and_again_is_told_in_the_end(store, two, monkeypatch):
    """It is no endless loop, and not the database's own error."""
    first, second = two
    docs = make_run("a", 3)
    send(first, docs[:2])
    taken = []

    def take(name, doc):
        taken.append(doc)
        raise Overtaken("always")

    monkeypatch.setattr(second, "_take", take)
    with pytest.raises(NotWritable, match=r"event .* is not recorded: other processes were quicker .*insert it again"):
        second.insert(*docs[2])
    assert 2 < len(taken) < 100
    monkeypatch.undo()
    send(second, docs[2:])
    assert recorded(store, "a") == docs


@pytest.mark.parametrize("at", [1, -1], ids=["descriptor", "stop"])
def test_a_document_that_another_records_just_before_is_there_once(store, two, monkeypatch, at):
    """The other one comes between the look whether it is there and the writing."""
    first, second = two
    docs = make_run("a", 3)
    for sink in two:
        send(sink, docs[:at])
    compared = second._compare

    def compare(*asked):
        found = compared(*asked)
        first.insert(*docs[at])
        return found

    monkeypatch.setattr(second, "_compare", compare)
    second.insert(*docs[at])
    monkeypatch.undo()
    for sink in two:
        send(sink, docs)
    assert recorded(store, "a") == docs
    assert store.check() == []
