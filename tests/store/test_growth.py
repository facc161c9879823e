"""Which events are new, which are there already, and what becomes of those that make no columns."""

import contextlib

import pytest

from databroker_like.errors import Conflict, InvalidDocument
from databroker_like.store import _growth
from databroker_like.store._recording import StoreSink
from databroker_like.store._removal import delete
from databroker_like.store._store import Store
from tests.store.conftest import as_page, make_event, make_run, record, recorded


@pytest.fixture
def sink(store):
    with contextlib.closing(StoreSink(store)) as made:
        yield made


def begin(sink, uid="a"):
    for name, doc in make_run(uid, 0, stop=False):
        sink.insert(name, doc)


def seq_nums(store, uid="a"):
    found = []
    for name, doc in recorded(store, uid):
        if name in ("event", "event_page"):
            found += [doc["seq_num"]] if name == "event" else doc["seq_num"]
    return found


def test_an_event_that_is_twice_in_a_page_is_recorded_once(store, sink):
    begin(sink)
    one, two = make_event("a", 1), make_event("a", 2)
    sink.insert("event_page", as_page([one, two, one]))
    assert seq_nums(store) == [1, 2]


@pytest.mark.parametrize("changed", [{"uid": "other"}, {"data": {"x": 5.0, "n": 5}}])
def test_two_different_events_of_one_seq_num_make_no_page(store, sink, changed):
    begin(sink)
    one = make_event("a", 1)
    with pytest.raises(Conflict, match="seq_num 1"):
        sink.insert("event_page", as_page([one, make_event("a", 2), {**one, **changed}]))
    assert seq_nums(store) == []


def test_an_event_that_was_taken_again_may_be_in_the_same_page(store, sink):
    begin(sink)
    one = make_event("a", 1)
    again = {**one, "uid": "again", "time": one["time"] + 0.5}
    page = as_page([one, again, make_event("a", 2)])
    sink.insert("event_page", page)
    sink.insert("event_page", page)
    assert seq_nums(store) == [1, 1, 2]


@pytest.mark.parametrize("kept", ["rows", "columns", "files"])
def test_a_page_that_is_there_is_compared_in_one_look(store, sink, kept, monkeypatch):
    if kept != "rows":
        monkeypatch.setattr(_growth, "EVENTS_AT_MOST", 5)
    if kept == "files":
        monkeypatch.setattr(_growth, "ROWS_TO_A_FILE", 15)
        monkeypatch.setattr(_growth, "SMALLEST_FILE", 10)
    events = [make_event("a", number) for number in range(1, 41)]
    begin(sink)
    for event in events:
        sink.insert("event", event)
    looks = []
    read = store.database.read
    monkeypatch.setattr(store.database, "read", lambda: looks.append(1) or read())
    sink.insert("event_page", as_page(events[3:]))
    assert len(looks) == 1
    with pytest.raises(Conflict, match="seq_num 30"):
        sink.insert("event_page", as_page([*events[:29], {**events[29], "uid": "other"}]))
    sink.insert("event_page", as_page([*events[30:], make_event("a", 41), make_event("a", 42)]))
    assert seq_nums(store) == list(range(1, 43))
    assert store.check() == []


def test_events_of_a_run_that_was_deleted_are_refused(store, sink):
    begin(sink)
    sink.insert("event", make_event("a", 1))
    delete(Store(store.path), "a", unfinished=True)
    with pytest.raises(InvalidDocument, match="no run that is being recorded"):
        sink.insert("event", make_event("a", 2))
    assert store.check() == []


def test_events_of_a_run_that_was_deleted_and_recorded_anew_go_to_the_new_one(store, sink):
    begin(sink)
    sink.insert("event", make_event("a", 1))
    other = Store(store.path)
    delete(other, "a", unfinished=True)
    record(other, make_run("a", 0, stop=False))
    sink.insert("event", make_event("a", 2))
    assert seq_nums(store) == [2]
    assert store.check() == []


def test_events_that_make_no_columns_are_recorded_and_the_run_ends(store, sink, small):
    """Half a surrogate pair in a data key: the documents are kept as they are, and it is told."""
    start, descriptor, *_, stop = make_run("a", 1)
    key = "x\ud800"
    sink.insert(*start)
    sink.insert("descriptor", {**descriptor[1], "data_keys": {key: descriptor[1]["data_keys"]["x"]}})
    events = [{**make_event("a", number), "data": {key: 1.0}, "timestamps": {key: 1.0}} for number in range(1, 7)]
    for event in events[:4]:
        sink.insert("event", event)
    with pytest.warns(UserWarning, match="recorded and are not yet columns: the data key"):
        sink.insert("event", events[4])
    sink.insert("event", events[5])
    with pytest.warns(UserWarning, match="not yet sealed: the data key"):
        sink.insert(*stop)
    assert [doc for name, doc in recorded(store, "a") if name == "event"] == events
    assert recorded(store, "a")[-1] == stop
    assert store.check() == []
