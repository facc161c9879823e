"""What a run being recorded takes, and what it costs to know what it has."""

from __future__ import annotations

import copy
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from databroker_like.core._pages import pack_event_page, unpack_event_page
from databroker_like.drivers._open_run import OpenRun
from databroker_like.drivers._places import Rows, identities
from databroker_like.errors import Conflict, InvalidDocument


class ListLog:
    """Documents in a list, with the number of times they were read again."""

    def __init__(self):
        self.documents = []
        self.replayed = 0

    def replay(self, since=0):
        for number in range(since, len(self.documents)):
            self.replayed += 1
            yield (number, 1), *self.documents[number]

    def append(self, name, doc):
        self.documents.append((name, copy.deepcopy(dict(doc))))
        return len(self.documents) - 1, 1

    def at(self, place):
        return self.documents[place[0]]

    def as_kept(self, name, doc):
        return doc

    def events(self):
        found = []
        for name, doc in self.documents:
            found += [doc] if name == "event" else list(unpack_event_page(doc)) if name == "event_page" else []
        return found


def event(seq_num, take=0, value=0.0, descriptor="d"):
    return {
        "uid": f"{descriptor}-{seq_num}-{take}",
        "descriptor": descriptor,
        "seq_num": seq_num,
        "time": 100.0 * take + seq_num,
        "data": {"x": value},
        "timestamps": {"x": 1.0},
        "filled": {},
    }


def page(events):
    return dict(pack_event_page(*events))


@pytest.fixture
def run():
    made = OpenRun("a", ListLog())
    made.take("start", {"uid": "a", "time": 0.0})
    return made


# Batches of events, each sent one by one or as a page; a later take of a number only after an earlier one.
BATCHES = st.lists(
    st.tuples(st.booleans(), st.lists(st.tuples(st.integers(1, 6), st.integers(0, 2)), min_size=1, max_size=5)),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(BATCHES)
@example([(False, [(3, 0), (5, 0), (4, 0), (5, 2), (5, 1)])])
def test_however_events_come_again_each_is_kept_once_in_the_order_they_first_came(batches):
    run = OpenRun("a", ListLog())
    run.take("start", {"uid": "a", "time": 0.0})
    kept, takes = [], {}
    for as_page, numbers in batches:
        events = [event(seq_num, take) for seq_num, take in numbers]
        sent = [("event_page", page(events), events)] if as_page else [("event", one, [one]) for one in events]
        for name, doc, members in sent:
            new, latest = [], dict(takes)
            refused = False
            for one in members:
                if one in kept or one in new:
                    continue
                refused = refused or one["time"] <= latest.get(one["seq_num"], -1.0)
                latest[one["seq_num"]] = one["time"]
                new.append(one)
            if refused:
                with pytest.raises(Conflict):
                    run.take(name, doc)
            else:
                run.take(name, doc)
                kept += new
                takes = latest
    assert run.log.events() == kept


def test_nothing_is_read_again_while_everything_is_new(run):
    for number in range(1, 501):
        run.take("event", event(number))
    run.take("event_page", page([event(number) for number in range(501, 601)]))
    assert run.log.replayed == 0


def test_what_comes_twice_is_looked_up_without_reading_everything_each_time(run):
    for number in range(1, 301):
        for _ in range(3):
            run.take("event", event(number))
    assert run.log.replayed <= 2 * len(run.log.documents)
    assert len(run.log.events()) == 300


def test_knowing_a_long_run_takes_no_memory_for_each_event():
    rows = Rows(ListLog())
    for number in range(1, 100_001):
        rows.add(identities("event", {"descriptor": "d", "seq_num": number}))
        rows.add(identities("datum", {"datum_id": f"resource/{number}"}))
    sizes = [sys.getsizeof(getattr(known, name)) for known in rows._known.values() for name in ("_firsts", "_lasts")]
    assert sum(sizes) < 1_000
    assert rows.has_any([("event d", 99_999)])
    assert not rows.has_any([("event d", 100_001), ("event other", 1)])


@pytest.mark.parametrize(
    "ids", [["r/0", "r/1", "r/00", "r/-1", "r/²"], ["41fb", "41fc"], ["a/1", "b/1", "a/b/1", "/1", "1", "a/"]]
)
def test_datums_are_told_by_their_ids_whatever_these_look_like(run, ids):
    for _ in range(2):
        for number, datum_id in enumerate(ids):
            run.take("datum", {"datum_id": datum_id, "resource": "r", "datum_kwargs": {"n": number}})
    assert [doc["datum_id"] for name, doc in run.log.documents if name == "datum"] == ids
    for datum_id in ids:
        with pytest.raises(Conflict, match="datum"):
            run.take("datum", {"datum_id": datum_id, "resource": "r", "datum_kwargs": {"n": -1}})


def test_after_the_stop_document_only_what_is_there_is_taken(run):
    run.take("event", event(1))
    run.take("stop", {"uid": "z", "run_start": "a", "time": 9.0, "exit_status": "success"})
    run.take("event_page", page([event(1)]))
    with pytest.raises(InvalidDocument, match="after the stop"):
        run.take("event_page", page([event(1), event(2)]))
    with pytest.raises(InvalidDocument, match="after the stop"):
        run.take("event", event(1, take=1))
    assert len(run.log.documents) == 3


def test_external_data_that_is_filled_is_not_the_same(run):
    one = {**event(1), "filled": {"x": False}}
    run.take("event", one)
    run.take("event_page", page([one]))
    with pytest.raises(Conflict):
        run.take("event", {**one, "filled": {"x": True}})
    plain = {key: value for key, value in event(2).items() if key != "filled"}
    run.take("event", plain)
    run.take("event", {**plain, "filled": {}})
    assert len(run.log.events()) == 2
