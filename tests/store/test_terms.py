"""What a run is searched by: written with it, complete, and gone with it."""

import math
import multiprocessing
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import create_engine, event, func, insert, select, text

from databroker_like.codecs import encode
from databroker_like.store import _terms as terms
from databroker_like.store._schema import key, metadata, run, term
from databroker_like.store._terms import index_run, index_stop, terms_of, unindex_run
from tests.store.searching import Runs, memory
from tests.store.test_search import heads


def at(path, value, stop=None):
    """The rows at a key, as kind, number and text."""
    found = terms_of({"uid": "u", "time": 0.0, "a": value}, stop)
    return sorted(row[1:] for row in found if row[0] == path)


@pytest.mark.parametrize(
    ("value", "row"),
    [
        (None, (terms.NULL, 0.0, "")),
        (True, (terms.BOOL, 1.0, "")),
        (1, (terms.NUMBER, 1.0, "")),
        (-0.0, (terms.NUMBER, 0.0, "")),
        (np.float32(0.5), (terms.NUMBER, 0.5, "")),
        (np.array(3), (terms.NUMBER, 3.0, "")),
        (math.inf, (terms.NUMBER, math.inf, "")),
        (math.nan, (terms.NAN, 0.0, "")),
        (2**60, (terms.NUMBER, float(2**60), "")),
        (2**60 + 1, (terms.BIG, float(2**60), "")),
        (-(10**400), (terms.BIG, -math.inf, "")),
        ("", (terms.TEXT, 0.0, "")),
        ("x" * 400, (terms.TEXT, 0.0, "x" * 400)),
        ("x" * 401, (terms.LONG, 0.0, "x" * 400)),
        ("x\0", (terms.OTHER, 0.0, "")),
        ("\ud800", (terms.OTHER, 0.0, "")),
        (b"x", (terms.OTHER, 0.0, "")),
        (datetime(2020, 1, 1, tzinfo=UTC), (terms.OTHER, 0.0, "")),
        ({}, (terms.DICT, 0.0, "")),
    ],
)
def test_a_value_has_one_row_of_its_kind(value, row):
    (found,) = at("a", value)
    assert found == row
    assert math.copysign(1, found[1]) == math.copysign(1, row[1])


def test_a_list_has_a_row_of_its_own_and_one_for_each_different_member():
    assert at("a", (1, 1.0, "x", np.array([2]), {"b": 5})) == [
        (terms.LIST, 5.0, ""),
        (terms.NUMBER + terms.SEVERAL, 1.0, ""),
        (terms.TEXT + terms.SEVERAL, 0.0, "x"),
        (terms.NESTED + terms.SEVERAL, 0.0, ""),
    ]
    assert at("a", []) == [(terms.LIST, 0.0, "")]
    assert at("a", np.zeros((2, 3))) == [(terms.LIST, 2.0, ""), (terms.NESTED + terms.SEVERAL, 0.0, "")]


def test_a_key_leads_through_documents_and_lists_of_documents():
    assert at("a.b.c", {"b": {"c": 1}}) == [(terms.NUMBER, 1.0, "")]
    assert at("a.b", [{"b": 1}, {"c": 2}]) == [(terms.NUMBER, 1.0, "")]
    assert at("a.b", [{"b": 1}, {"b": [2]}, [{"b": 3}]]) == [
        (terms.MANY, 0.0, ""),
        (terms.NUMBER + terms.SEVERAL, 1.0, ""),
        (terms.NUMBER + terms.SEVERAL, 2.0, ""),
        (terms.LIST + terms.SEVERAL, 1.0, ""),
    ]


def test_keys_that_no_query_can_say_and_what_the_table_of_runs_says_have_no_rows():
    start = {"uid": "u", "time": 5, "a.b": 1, "": 2, "$text": 3, 4: 5, "x\0": 6, "\ud800": 7, "y" * 401: 8, "stop": 9}
    assert {row[0] for row in terms_of(start, None)} == {"$text"}
    assert ("time", terms.NAN, 0.0, "") in terms_of({"uid": "u", "time": math.nan}, None)


def test_the_stop_document_stands_under_stop_and_its_words_are_not_searched():
    assert at("stop.exit_status", 0, {"exit_status": "fail"}) == [(terms.TEXT, 0.0, "fail")]
    assert at("stop", 0, {}) == [(terms.DICT, 0.0, "")]
    assert [row[2] for row in at("$text", "ein Maß, ein MASS", {"reason": "no beam"})] == ["ein", "mass", "u"]


def test_of_a_very_long_list_is_known_that_there_is_more():
    many = at("a", [*range(10_000), {"b": 1}])
    assert many == [
        (terms.LIST, 10_001.0, ""),
        (terms.OTHER + terms.SEVERAL, 0.0, ""),
        (terms.NESTED + terms.SEVERAL, 0.0, ""),
    ]
    assert (terms.OTHER + terms.SEVERAL, 0.0, "") in at("$text", " ".join(map(str, range(20_000))))
    assert (terms.OTHER + terms.SEVERAL, 0.0, "") in at("$text", "w" * 401)


# -- in the database --------------------------------------------------------------------------------------------------


def rows(connection):
    return set(map(tuple, connection.execute(select(*term.c))))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(heads())
def test_rows_go_with_their_run_and_no_other(several):
    runs = Runs()
    before = []
    with runs.engine.connect() as connection:
        for start, stop, time in several:
            connection.rollback()
            before.append((rows(connection), None))
            connection.rollback()
            before[-1] = before[-1][0], runs.add({**start, "time": time}, stop)
        for left, uid in reversed(before):
            connection.rollback()
            runs.delete(uid)
            assert rows(connection) == left


@settings(max_examples=50)
@given(heads())
def test_it_makes_no_difference_when_the_stop_document_comes(several):
    engine = memory()
    with engine.connect() as connection:
        for number, (start, stop, time) in enumerate(several):
            with connection.begin():
                index_run(connection, number, time, start, stop)
                at_once = rows(connection)
                unindex_run(connection, number, time, start, stop)
                index_run(connection, number, time, start, None)
                if stop is not None:
                    index_stop(connection, number, time, stop)
                    index_stop(connection, number, time, stop)
                assert rows(connection) == at_once


def test_keys_of_a_transaction_that_came_to_nothing_are_written_again():
    runs = Runs()
    with runs.engine.connect() as connection:
        for name in ("first", "second"):
            index_run(connection, 1, 0.0, {name: 1}, None)
            index_run(connection, 2, 0.0, {name: 1}, None)
            connection.rollback()
    for n, name in enumerate(("second", "other", "first", "other")):
        runs.add({name: n})
    for n, name in enumerate(("second", "other", "first", "other")):
        assert runs.find({name: n}) == [f"run{n:04}"]
    with runs.engine.begin() as connection:
        used = set(connection.scalars(select(term.c.key_id)))
        assert used <= set(connection.scalars(select(key.c.id)))


def write(url, first, number):
    engine = create_engine(url, connect_args={"isolation_level": None, "timeout": 60})
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    for n in range(first, first + number):
        start = {"uid": f"run{n:04}", "time": float(n), f"key{n % 7}": n, "all": {"of": ["them", n]}}
        with engine.begin() as connection:
            values = {"uid": start["uid"], "time": start["time"], "start": encode(start)}
            run_id = connection.execute(insert(run).values(values).returning(run.c.id)).scalar_one()
            index_run(connection, run_id, start["time"], start, None)
    engine.dispose()


def test_several_processes_write_keys_at_once(tmp_path):
    url = f"sqlite:///{tmp_path}/runs.db"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("PRAGMA journal_mode=WAL"))
        metadata.create_all(connection)
    writer = multiprocessing.get_context("spawn").Process(target=write, args=(url, 100, 40))
    writer.start()
    write(url, 0, 40)
    writer.join()
    assert writer.exitcode == 0
    with engine.connect() as connection:
        names = dict(map(tuple, connection.execute(select(key.c.name, key.c.id))))
        assert len(names) == 7 + 3
        for n in (*range(40), *range(100, 140)):
            where = term.c.key_id == names[f"key{n % 7}"], term.c.kind == terms.NUMBER, term.c.num == n
            assert connection.scalar(select(func.count()).where(*where)) == 1
        assert connection.scalar(select(func.count()).where(term.c.key_id == names["all"])) == 80
    engine.dispose()
