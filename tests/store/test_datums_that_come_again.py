"""Datums that come again, in pages or one by one."""

import contextlib

import numpy
import pytest

from databroker_like.errors import Conflict, InvalidDocument
from databroker_like.store import _recording
from databroker_like.store._recording import StoreSink
from tests.store.conftest import make_run, recorded

RESOURCE = {"uid": "r", "run_start": "a", "spec": "S", "root": "/", "resource_path": "f", "resource_kwargs": {}}


@pytest.fixture
def sink(store):
    with contextlib.closing(StoreSink(store)) as made:
        made.insert(*make_run("a", 0, stop=False)[0])
        made.insert("resource", RESOURCE)
        yield made


def page(*numbers):
    return {"resource": "r", "datum_id": [f"r/{n}" for n in numbers], "datum_kwargs": {"frame": list(numbers)}}


def datum(number, **kwargs):
    return {"resource": "r", "datum_id": f"r/{number}", "datum_kwargs": {"frame": number, **kwargs}}


def datums(store):
    return [doc for name, doc in recorded(store, "a") if name.startswith("datum")]


def test_a_page_that_comes_again_is_read_once(store, sink, monkeypatch):
    decoded = []
    decode = _recording.decode
    monkeypatch.setattr(_recording, "decode", lambda body: decoded.append(body) or decode(body))
    sink.insert("datum_page", page(*range(600)))
    sink.insert("datum_page", page(*range(600, 700)))
    sink.insert("datum_page", page(*range(700)))
    assert datums(store) == [page(*range(600)), page(*range(600, 700))]
    assert len(decoded) == 2


def test_what_is_new_in_a_page_is_recorded(store, sink):
    sink.insert("datum", datum(1))
    sink.insert("datum_page", page(2, 3))
    sink.insert("datum_page", page(1, 2, 3, 4, 5))
    arrays = {"datum_id": numpy.array(["r/5", "r/6"]), "datum_kwargs": {"frame": numpy.array([5, 6])}}
    sink.insert("datum_page", {"resource": "r", **arrays})
    sink.insert("datum", datum(6))
    assert datums(store) == [datum(1), page(2, 3), page(4, 5), page(6)]
    assert store.check() == []


@pytest.mark.parametrize("other", [datum(2, gain=1), datum(2) | {"datum_kwargs": {"frame": 9}}])
def test_another_datum_of_a_known_id_is_refused(store, sink, other):
    sink.insert("datum_page", page(1, 2))
    with pytest.raises(Conflict, match="another datum 'r/2' already"):
        sink.insert("datum", other)
    with pytest.raises(Conflict, match="another datum 'r/2' already"):
        sink.insert("datum_page", page(1, 2, 3) | {"datum_kwargs": {"frame": [1, 9, 3]}})
    assert datums(store) == [page(1, 2)]


@pytest.mark.parametrize("checked", [True, False])
def test_a_page_whose_columns_are_of_different_lengths_is_refused(store, sink, checked):
    other = StoreSink(store, checked=checked)
    with pytest.raises(InvalidDocument, match="1 values in a page of 2"):
        other.insert("datum_page", page(1, 2) | {"datum_kwargs": {"frame": [1]}})
    other.close()
    assert datums(store) == []
