"""What a MongoDB refuses for the moment is asked again: each document is there once, a page whole or not at all."""

from __future__ import annotations

import random

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    OperationFailure,
    WriteConcernError,
    WriteError,
)

from databroker_like.core._pages import pack_event_page
from databroker_like.drivers import _mongo_indexes, _mongo_patience
from databroker_like.drivers._mongo_indexes import is_unique
from databroker_like.drivers._mongo_patience import ATTEMPTS, is_passing, patiently
from databroker_like.drivers.mongo_normalized import BlueskyMongoCatalog
from databroker_like.errors import Conflict, NotWritable
from databroker_like.testing import _runs as samples

#: A deadlock, as a MongoDB on PostgreSQL says it of one document; the code is that of neither.
DEADLOCK = {"index": 0, "code": 16908292, "errmsg": "deadlock detected", "sqlstate": "40P01"}


def deadlock():
    return WriteError(DEADLOCK["errmsg"], DEADLOCK["code"], DEADLOCK)


def labelled(label):
    details = {"ok": 0.0, "errmsg": "interrupted", "code": 11601, "errorLabels": [label]}
    return OperationFailure("interrupted", 11601, details)


def bulk(*refused):
    return BulkWriteError({"writeErrors": list(refused), "writeConcernErrors": [], "nInserted": 0})


PASSING = {
    "a deadlock of PostgreSQL": deadlock(),
    "a deadlock of PostgreSQL at an index": OperationFailure("deadlock detected", 8000),
    "a serialization failure of PostgreSQL": OperationFailure("could not serialize access due to ...", 8000),
    "a write conflict": WriteError("WriteConflict", 112),
    "a lock not got": OperationFailure("Unable to acquire lock", 24),
    "an index that is being made": OperationFailure("cannot perform operation: an index build is running", 12587),
    "too many requests": WriteError("Request rate is large", 16500),
    "a retryable write": labelled("RetryableWriteError"),
    "a transaction in the way": labelled("TransientTransactionError"),
    "one of a page": bulk(DEADLOCK),
}
LASTING = {
    "not allowed": OperationFailure("not authorized", 13),
    "a duplicate": DuplicateKeyError("E11000 duplicate key error", 11000),
    "a duplicate of a page": bulk({"index": 0, "code": 11000, "errmsg": "E11000 duplicate key error"}),
    "not journaled": WriteConcernError(
        "waiting for replication timed out", 64, {"errorLabels": ["RetryableWriteError"]}
    ),
    "not journaled of a page": BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 91}]}),
    "not reached": AutoReconnect("connection closed"),
    "another error altogether": ValueError("deadlock detected"),
}


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """How long is waited, without waiting."""
    waited = []
    monkeypatch.setattr(_mongo_patience, "sleep", waited.append)
    monkeypatch.setattr(_mongo_indexes, "sleep", waited.append)
    return waited


@pytest.fixture
def catalog(mongo):
    made = BlueskyMongoCatalog(mongo(), mongo())
    yield made
    made.close()


@pytest.fixture
def refusing(catalog, monkeypatch):
    """Let a method of all collections fail so many times; ``before`` is called with what was given to it each time."""

    def refuse(method, error, times=1, before=None):
        kind = type(catalog.collection.server.collection("event"))
        really = getattr(kind, method)
        failed = []

        def refusing(self, *args, **kwargs):
            if len(failed) < times:
                failed.append(error)
                if before is not None:
                    before(lambda *given: really(self, *given), *args)
                raise error
            return really(self, *args, **kwargs)

        monkeypatch.setattr(kind, method, refusing)
        return failed

    return refuse


def begun(catalog, events=8):
    """A run without its events and its end, recorded; and its events, and its end."""
    run = samples.scalars(events=events)
    for name, doc in run[:2]:
        catalog.insert(name, doc)
    return [doc for name, doc in run if name == "event"], run[-1]


def stored(catalog):
    found = catalog.collection.server.collection("event").find({}, sort=[("_id", 1)])
    return [doc["uid"] for doc in found]


def uids(events):
    return [doc["uid"] for doc in events]


# -- what passes


@pytest.mark.parametrize("error", PASSING.values(), ids=PASSING)
def test_a_refusal_that_passes_is_told_from_others(error):
    assert is_passing(error)


@pytest.mark.parametrize("error", LASTING.values(), ids=LASTING)
def test_a_refusal_that_stays_is_told_from_others(error):
    assert not is_passing(error)


def test_each_pause_is_of_a_random_length_below_a_limit_that_grows(pauses):
    def refuse():
        raise deadlock()

    for _ in range(2):
        with pytest.raises(WriteError):
            patiently(refuse)
    first, second = pauses[: ATTEMPTS - 1], pauses[ATTEMPTS - 1 :]
    assert len(first) == len(second) == ATTEMPTS - 1
    assert first != second
    limits = [min(0.02 * 2**number, 2.0) for number in range(ATTEMPTS - 1)]
    assert all(
        limit / 4 <= pause <= limit for some in (first, second) for pause, limit in zip(some, limits, strict=True)
    )
    assert sum(limits) < 10


def test_a_refusal_that_stays_is_not_asked_again(pauses):
    asked = []

    def refuse():
        asked.append(1)
        raise LASTING["not allowed"]

    with pytest.raises(OperationFailure):
        patiently(refuse)
    assert (len(asked), pauses) == (1, [])


# -- one document


@pytest.mark.parametrize("error", list(PASSING.values())[:-1], ids=list(PASSING)[:-1])
def test_documents_refused_for_a_moment_are_recorded_once(catalog, refusing, error):
    events, (_, stop) = begun(catalog)
    failed = refusing("insert_one", error, 3)
    catalog.insert("event", events[0])
    assert len(failed) == 3
    assert stored(catalog) == uids(events[:1])
    failed = refusing("insert_one", error, 3)
    catalog.insert("stop", stop)
    assert len(failed) == 3
    assert catalog[-1].metadata["stop"] == stop


def test_a_document_that_was_written_although_it_was_refused_is_there_once(catalog, refusing):
    events, (_, stop) = begun(catalog)
    error = labelled("RetryableWriteError")
    refusing("insert_one", error, before=lambda really, document: really(document))
    catalog.insert("event", events[0])
    refusing("insert_one", error, before=lambda really, document: really(document))
    catalog.insert("stop", stop)
    assert stored(catalog) == uids(events[:1])
    assert catalog.collection.server.collection("run_stop").count_documents({}) == 1


def test_a_document_that_somebody_else_wrote_meanwhile_is_there_once_or_refused(catalog, refusing):
    events, _ = begun(catalog)
    other = BlueskyMongoCatalog(*catalog._captured_init_args)
    refusing("insert_one", deadlock(), before=lambda *_: other.insert("event", events[0]))
    catalog.insert("event", events[0])
    assert stored(catalog) == uids(events[:1])
    refusing("insert_one", deadlock(), before=lambda *_: other.insert("event", {**events[1], "uid": "another"}))
    with pytest.raises(Conflict, match="another event of seq_num 2"):
        catalog.insert("event", events[1])
    assert stored(catalog) == [events[0]["uid"], "another"]


def test_a_document_that_is_refused_every_time_is_told_with_what_to_do_and_can_be_sent_again(catalog, refusing, pauses):
    events, _ = begun(catalog)
    failed = refusing("insert_one", deadlock(), ATTEMPTS)
    with pytest.raises(
        NotWritable,
        match=rf"refuses to write: deadlock detected; it was asked {ATTEMPTS} times, and other writers were in the "
        "way each time. Send the same document again when the server has less to do",
    ):
        catalog.insert("event", events[0])
    assert (len(failed), len(pauses)) == (ATTEMPTS, ATTEMPTS - 1)
    assert stored(catalog) == []
    catalog.insert("event", events[0])
    assert stored(catalog) == uids(events[:1])


def test_a_look_that_is_refused_for_a_moment_is_taken_again(catalog, refusing):
    events, _ = begun(catalog)
    catalog.insert("event", events[0])
    failed = refusing("find", OperationFailure("WriteConflict", 112), 3)
    catalog.insert("event", events[0])
    assert len(failed) == 3
    catalog.close()
    failed = refusing("find_one", OperationFailure("WriteConflict", 112), 3)
    catalog.insert("event", events[1])
    assert len(failed) == 3
    assert stored(catalog) == uids(events[:2])


# -- a page


@pytest.mark.parametrize("written", [0, 3, 7])
def test_a_page_of_which_one_is_refused_for_a_moment_is_kept_whole_and_in_order(catalog, refusing, written):
    events, _ = begun(catalog)
    catalog.insert("event", events[0])
    failed = refusing(
        "insert_many",
        bulk({**DEADLOCK, "index": written}),
        before=lambda really, documents: written and really(documents[:written]),
    )
    catalog.insert("event_page", pack_event_page(*events))
    assert len(failed) == 1
    assert stored(catalog) == uids(events)


@pytest.mark.parametrize("written", [0, 3, 7])
def test_a_page_that_was_written_in_part_although_all_of_it_was_refused_is_kept_whole(catalog, refusing, written):
    events, _ = begun(catalog, 7)
    refusing(
        "insert_many",
        labelled("RetryableWriteError"),
        before=lambda really, documents: written and really(documents[:written]),
    )
    catalog.insert("event_page", pack_event_page(*events))
    assert stored(catalog) == uids(events)


@pytest.mark.parametrize("times", [0, 3])
def test_of_a_page_that_is_refused_every_time_nothing_stays_and_it_can_be_sent_again(catalog, refusing, times):
    events, _ = begun(catalog)
    catalog.insert("event", events[0])
    pick = random.Random(3)

    def some(really, documents):
        number = pick.randrange(len(documents))  # one fewer than there are, so that the last is never written
        if number:
            really(documents[:number])

    refusing("insert_many", bulk(DEADLOCK), ATTEMPTS, before=some)
    failed = refusing("insert_one", deadlock(), ATTEMPTS)  # once one alone is left
    taking_back = refusing("delete_many", OperationFailure("WriteConflict", 112), times)
    with pytest.raises(NotWritable, match=r"refuses to write: deadlock detected; it was asked \d+ times"):
        catalog.insert("event_page", pack_event_page(*events))
    assert len(taking_back) == times
    assert stored(catalog) == uids(events[:1])
    failed.extend([None] * ATTEMPTS)
    catalog.insert("event_page", pack_event_page(*events))
    assert stored(catalog) == uids(events)


def test_of_a_page_nothing_stays_when_somebody_else_took_the_place_of_one_meanwhile(catalog, refusing):
    events, _ = begun(catalog)
    other = BlueskyMongoCatalog(*catalog._captured_init_args)

    def meanwhile(really, documents):
        really(documents[:3])
        other.insert("event", {**events[5], "uid": "another"})

    refusing("insert_many", bulk({**DEADLOCK, "index": 3}), before=meanwhile)
    with pytest.raises(Conflict, match="another event of seq_num 6"):
        catalog.insert("event_page", pack_event_page(*events))
    assert stored(catalog) == ["another"]


def test_a_page_that_somebody_else_writes_at_the_same_time_is_there_once(catalog, refusing):
    events, _ = begun(catalog)
    other = BlueskyMongoCatalog(*catalog._captured_init_args)

    def meanwhile(really, documents):
        really(documents[:2])
        for event in events[:5]:
            other.insert("event", event)

    refusing("insert_many", bulk({**DEADLOCK, "index": 2}), before=meanwhile)
    catalog.insert("event_page", pack_event_page(*events))
    assert sorted(stored(catalog)) == sorted(uids(events))


# -- indexes


@pytest.mark.parametrize("times", [1, ATTEMPTS - 1])
def test_an_index_refused_for_a_moment_is_made_and_stays_unique(catalog, refusing, times):
    failed = refusing("create_index", PASSING["a deadlock of PostgreSQL at an index"], times)
    begun(catalog)
    assert len(failed) == times
    assert is_unique(catalog.collection.server, "run_start", "uid")


def test_an_index_that_somebody_else_made_meanwhile_is_taken(catalog, refusing):
    refusing(
        "create_index",
        PASSING["a deadlock of PostgreSQL at an index"],
        ATTEMPTS,
        before=lambda really, keys: really(keys),
    )
    catalog.create_indexes()
    assert {
        tuple(key for key, _ in described["key"])
        for described in catalog.collection.server.collection("event").index_information().values()
    } >= {("uid",), ("descriptor", "seq_num", "time")}


def test_an_index_that_is_refused_every_time_is_told_with_what_to_do_and_nothing_is_recorded(catalog, refusing):
    run = samples.scalars()
    failed = refusing("create_index", PASSING["a deadlock of PostgreSQL at an index"], ATTEMPTS)
    with pytest.raises(NotWritable, match=rf"refuses for now: deadlock detected; it was asked {ATTEMPTS} times"):
        catalog.insert(*run[0])
    assert len(failed) == ATTEMPTS
    assert list(catalog) == []
    for name, doc in run:
        catalog.insert(name, doc)
    assert is_unique(catalog.collection.server, "run_start", "uid")
    assert len(catalog[-1]["primary"].read()["time"]) == 5


def test_an_index_that_may_not_be_made_is_asked_for_once(catalog, refusing, pauses):
    failed = refusing("create_index", LASTING["not allowed"], ATTEMPTS)
    with pytest.raises(NotWritable, match="does not allow it: not authorized"):
        catalog.insert(*samples.scalars()[0])
    assert (len(failed), pauses) == (1, [])
